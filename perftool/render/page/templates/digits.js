"use strict";
// Figures with as many digits as their intervals carry: the rules of analysis/digits.py and render/numbers.py.

perftool.fixed = (value, digits) => {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
};

// The decimals at which a value has so many significant digits.
perftool.significant = (value, count) => {
  if (!value || !Number.isFinite(value)) return 0;
  const exponent = Number(Math.abs(value).toExponential(count - 1).split("e")[1]);
  return Math.min(9, Math.max(0, count - 1 - exponent));
};

perftool.decimals = ({ point, low, high }, digits) => {
  const { significant } = perftool;
  if (low === null || high === null || low === high) {
    return Math.max(significant(point, 2), point ? Math.min(digits, significant(point, 4)) : digits);
  }
  return Math.min(significant((high - low) / 2, 2), Math.max(digits, significant(point, 3)));
};

perftool.visible = (point, width, decimals) => {
  const shown = perftool.significant(width, 1);
  return decimals < shown && shown <= perftool.significant(point, 4) ? shown : decimals;
};

// As render/numbers.py's with_interval: `33.0 ±1.3`, or `13 +27-2` where the point is far from the middle.
perftool.withInterval = ({ point, low, high }, digits) => {
  const { significant, visible, fixed } = perftool;
  const plain = perftool.decimals({ point, low, high }, digits);
  if (low === point && high === null) return `≥${fixed(point, plain)}`;
  if (low === null || high === null || low === high) return fixed(point, plain);
  const [above, below, half] = [high - point, point - low, (high - low) / 2];
  if (Math.abs(above - half) > 0.2 * half) {
    const larger = Math.max(above, below);
    const leading = Number(larger.toExponential(6).split("e")[0]);
    const wanted = significant(larger, leading < 3.5 && Math.abs(point) >= 1 ? 2 : 1);
    const most = Math.max(digits, significant(point, 3));
    const decimals = visible(point, larger, Math.max(Math.min(wanted, most), significant(point, 2)));
    const [up, down] = [above.toFixed(decimals), below.toFixed(decimals)];
    if (up !== down) return `${fixed(point, decimals)} +${up}-${down}`;
  }
  const decimals = visible(point, half, Math.min(significant(half, 2), Math.max(digits + 1, significant(point, 3))));
  return `${fixed(point, decimals)} ±${half.toFixed(decimals)}`;
};

// As analysis/digits.py's times.
perftool.times = (ratio) => {
  const decimals = Math.max(2, perftool.significant(ratio.point, 2));
  const written = (value) => `${value.toFixed(decimals)}x`;
  return written(ratio.point) + (perftool.span(ratio, written) || " (no interval)");
};
