"""Write figures and names: as many digits as they carry, and nothing that a terminal would obey."""

from perftool.analysis.digits import decimals_of, significant, unsigned_zero
from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult
from perftool.analysis.stats import Estimate

__all__ = ["ABSENT", "chance", "figure", "plain", "span", "unsigned_zero", "with_interval"]

#: What stands for a figure that was not measured, or that its samples cannot carry.
ABSENT = "-"
#: An interval whose ends lie no further from where ± puts them than this share of its half is told as ±.
_NEARLY = 0.2
_TWO_DIGITS = 3.5


def plain(text: str) -> str:
    """Return a foreign name or message on one line, without control characters."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def with_interval(estimate: Estimate, digits: int) -> str:
    """Write a point and half the width of its interval, to two significant digits of that: `33.0 ±1.3`.

    Where the point is far from the middle its distances to both ends stand there: `13 +27-2` is from 11 to
    40. The digits are those of `analysis.digits`, and one more beside ±. What is known to be at least so
    much is written `≥33.0`.
    """
    point, low, high = estimate.point, estimate.low, estimate.high
    decimals = decimals_of(estimate, digits)
    if low == point and high is None:
        return f"≥{point:.{decimals}f}"
    if low is None or high is None or low == high:
        return unsigned_zero(point, decimals)
    above, below, half = high - point, point - low, (high - low) / 2
    if abs(above - half) > _NEARLY * half:
        decimals = _for_arms(point, max(above, below), digits)
        up, down = f"{above:.{decimals}f}", f"{below:.{decimals}f}"
        if up != down:
            return f"{unsigned_zero(point, decimals)} +{up}-{down}"
    decimals = min(significant(half, 2), max(digits + 1, significant(point, 3)))
    decimals = _visible(point, half, decimals)
    return f"{unsigned_zero(point, decimals)} ±{half:.{decimals}f}"


def _for_arms(point: float, larger: float, digits: int) -> int:
    """Return the decimals for two distances, which take room: two digits of the larger where it is small.

    "Small" is led by 1 to 3 (the Particle Data Group's rule for errors). The point keeps two digits or more.
    Below 1, where zeros take room too, one digit is enough.
    """
    leading = float(f"{larger:e}".partition("e")[0])
    wanted = significant(larger, 2 if leading < _TWO_DIGITS and abs(point) >= 1 else 1)
    most = max(digits, significant(point, 3))
    return _visible(point, larger, max(min(wanted, most), significant(point, 2)))


def _visible(point: float, width: float, decimals: int) -> int:
    """Return the decimals at which a width is not zero, where four digits of the point show it."""
    shown = significant(width, 1)
    return shown if decimals < shown <= significant(point, 4) else decimals


def chance(p_value: float) -> str:
    """Write a p-value; what three decimals would make zero is not certain."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def span(low: float | None, high: float | None, digits: int, unit: str = "") -> str:
    """Write an interval: ` (1.97x to 2.03x)`, or nothing where there is none."""
    if low is None or high is None:
        return ""
    return f" ({low:.{digits}f}{unit} to {high:.{digits}f}{unit})"


def figure(metric: Metric, result: ConfigurationResult) -> str:
    """Write a metric of a configuration, with its interval where it has one."""
    estimate = metric.read(result)
    return ABSENT if estimate is None else with_interval(estimate, metric.digits)
