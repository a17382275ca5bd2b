"""Write figures and names: as many digits as they carry, and nothing that a terminal would obey."""

import math

from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult
from perftool.analysis.stats import Estimate

#: What stands for a figure that was not measured, or that its samples cannot carry.
ABSENT = "-"


def plain(text: str) -> str:
    """Return a foreign name or message on one line, without control characters."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def with_interval(estimate: Estimate, digits: int) -> str:
    """Write a point and half the width of its interval, to two significant digits of that: `33.0 ±1.3`.

    What is known to be at least so much is written `≥33.0`.
    """
    if estimate.low == estimate.point and estimate.high is None:
        return f"≥{estimate.point:.{digits}f}"
    if estimate.low is None or estimate.high is None or estimate.low == estimate.high:
        return f"{estimate.point:.{digits}f}"
    half = (estimate.high - estimate.low) / 2
    decimals = min(max(1 - math.floor(math.log10(half)), 0), digits + 1)
    return f"{unsigned_zero(estimate.point, decimals)} ±{half:.{decimals}f}"


def chance(p_value: float) -> str:
    """Write a p-value; what three decimals would make zero is not certain."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def unsigned_zero(value: float, decimals: int) -> str:
    """Write a number; what rounds to zero has no sign."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def span(low: float | None, high: float | None, digits: int, unit: str = "") -> str:
    """Write an interval: ` (1.97x to 2.03x)`, or nothing where there is none."""
    if low is None or high is None:
        return ""
    return f" ({low:.{digits}f}{unit} to {high:.{digits}f}{unit})"


def figure(metric: Metric, result: ConfigurationResult) -> str:
    """Write a metric of a configuration, with its interval where it has one."""
    estimate = metric.read(result)
    return ABSENT if estimate is None else with_interval(estimate, metric.digits)
