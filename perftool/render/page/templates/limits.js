"use strict";
// The limits: a slider and a number for each. A slider rests where a limit lets one figure more pass.

perftool.bounds = {};
perftool.STEPS = 1000;

perftool.ownBounds = () => Object.fromEntries(perftool.content.foreseen.controls
  .filter(({ own }) => own !== null).map(({ metric, own }) => [metric, own]));

// Where on a slider a limit lies: by logarithms where the figures span more than a factor of six.
perftool.scaleOf = (control) => {
  const stops = [...control.stops].sort((a, b) => a - b);
  const least = stops[0];
  const most = stops.at(-1);
  const log = least > 0 && most / least > 6;
  const part = (value) => (log ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least));
  const at = (value) => (most === least ? 0 : Math.round(perftool.STEPS * Math.min(1, Math.max(0, part(value)))));
  const nearest = (position) => {
    let low = 0;
    let high = stops.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (at(stops[middle]) <= position) low = middle;
      else high = middle;
    }
    return Math.abs(at(stops[low]) - position) <= Math.abs(at(stops[high]) - position) ? stops[low] : stops[high];
  };
  const next = (value, up) => (up ? stops.find((stop) => stop > value) : stops.findLast((stop) => stop < value));
  return { stops, at, nearest, next };
};

perftool.buildLimits = () => {
  const { foreseen } = perftool.content;
  const rows = document.getElementById("limit-rows");
  const more = document.getElementById("limit-more");
  perftool.limitRows = new Map();
  for (const control of foreseen.controls) {
    if (control.usual) perftool.addLimit(rows, control);
    else more.append(perftool.element("option", { value: control.metric }, control.label));
  }
  const spare = () => { document.querySelector("#limits .more").hidden = more.options.length === 0; };
  spare();
  perftool.offerLimit = (control) => {
    if (perftool.limitRows.has(control.metric)) return;
    more.querySelector(`option[value="${CSS.escape(control.metric)}"]`).remove();
    spare();
    perftool.addLimit(rows, control);
  };
  // A button adds it: the arrow keys of a select change it at every step.
  document.getElementById("limit-add").addEventListener("click", () => {
    const control = foreseen.controls.find(({ metric }) => metric === more.value);
    perftool.offerLimit(control);
    perftool.setBound(control, control.way === "<=" ? Math.max(...control.stops) : Math.min(...control.stops));
    perftool.limitRows.get(control.metric).slider.focus();
  });
  document.getElementById("limits-own").addEventListener("click", () => perftool.setBounds(perftool.ownBounds()));
  document.getElementById("limits-none").addEventListener("click", () => perftool.setBounds({}));
};

perftool.addLimit = (rows, control) => {
  const { metric, label, unit, way } = control;
  const scale = perftool.scaleOf(control);
  const sign = way === "<=" ? "at most" : "at least";
  const on = perftool.element("input", { type: "checkbox", id: `limit-on-${metric}` });
  const number = perftool.element("input", { type: "number", step: "any", inputmode: "decimal", id: `limit-number-${metric}`,
    "aria-label": `limit on ${label}, ${unit}` });
  const slider = perftool.element("input", { type: "range", min: 0, max: perftool.STEPS, step: 1, id: `limit-slider-${metric}`,
    "aria-label": `${label}, ${sign}` });
  const note = perftool.element("span", { class: "note" });
  slider.disabled = scale.stops.length === 0;
  const loosest = () => (way === "<=" ? scale.stops.at(-1) : scale.stops[0]);
  on.addEventListener("change", () => {
    const typed = perftool.readNumber(control, number.value);
    perftool.setBound(control, on.checked ? typed ?? loosest() ?? 1 : undefined);
  });
  slider.addEventListener("input", () => perftool.setBound(control, scale.nearest(Number(slider.value))));
  slider.addEventListener("keydown", (event) => {
    const up = { ArrowUp: true, ArrowRight: true, ArrowDown: false, ArrowLeft: false }[event.key];
    if (up === undefined) return;
    event.preventDefault();
    const stop = scale.next(perftool.bounds[metric] ?? loosest(), up);
    if (stop !== undefined) perftool.setBound(control, stop);
  });
  number.addEventListener("input", () => {
    const value = perftool.readNumber(control, number.value);
    const emptied = number.value === "" && !number.validity.badInput;
    note.textContent = value === null && !emptied ? (control.positive ? "a number above zero" : "a number") : "";
    if (value !== null || emptied) perftool.setBound(control, value ?? undefined, { typed: true });
  });
  // What is no number does not stay in the box while the limit before it still acts.
  number.addEventListener("blur", () => {
    if (note.textContent !== "") perftool.showLimit(metric);
  });
  rows.append(perftool.element("div", { class: "limit" },
    perftool.element("label", { for: on.id }, on, ` ${label}`),
    perftool.element("span", { class: "bound" }, `${sign} `, number, ` ${unit}`), slider, note));
  perftool.limitRows.set(metric, { control, on, number, slider, scale, note, loosest });
  perftool.showLimit(metric);
};

perftool.readNumber = ({ positive }, text) => {
  const value = text.trim() === "" ? NaN : Number(text);
  return Number.isFinite(value) && (!positive || value > 0) ? value : null;
};

perftool.setBound = (control, bound, { typed = false } = {}) => {
  if (bound === undefined) delete perftool.bounds[control.metric];
  else perftool.bounds[control.metric] = bound;
  perftool.showLimit(control.metric, { typed });
  perftool.changed();
};

perftool.setBounds = (bounds) => {
  perftool.bounds = { ...bounds };
  for (const metric of perftool.limitRows.keys()) perftool.showLimit(metric);
  perftool.changed();
};

perftool.showLimit = (metric, { typed = false } = {}) => {
  const { control, on, number, slider, scale, note, loosest } = perftool.limitRows.get(metric);
  const bound = perftool.bounds[metric];
  on.checked = bound !== undefined;
  slider.classList.toggle("off", bound === undefined);
  if (!typed) {
    number.value = bound === undefined ? "" : String(bound);
    note.textContent = "";
  }
  number.placeholder = "off";
  slider.value = scale.stops.length ? scale.at(bound ?? loosest()) : 0;
  slider.setAttribute("aria-valuetext", bound === undefined ? "no limit" : `${control.way} ${bound} ${control.unit}`);
};
