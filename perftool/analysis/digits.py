"""Say how many decimals a figure carries: one rule for sentences, tables and ratios.

A figure of a large model is told in milliseconds with one decimal, the same figure of a small one would be
`0.1 ms (0.1 to 0.1)`. So the digits follow the interval, and what is small keeps three significant ones.
"""

import math

from perftool.analysis.stats import Estimate

#: No figure has more decimals than this, however small.
_MOST = 9


def significant(value: float, count: int) -> int:
    """Return the decimals that show so many significant digits of a value, 0 at least; of zero none."""
    if value == 0 or not math.isfinite(value):
        return 0
    # What rounds up to the next power of ten has a digit more before the point than its logarithm says.
    size = float(f"{abs(value):.{count - 1}e}")
    return min(_MOST, max(0, count - 1 - math.floor(math.log10(size))))


def decimals_of(estimate: Estimate, digits: int) -> int:
    """Return the decimals to write an estimate and the ends of its interval with.

    As many as show two significant digits of half the interval, but no more than `digits` and three
    significant digits of the point; without an interval `digits`, but two to four significant digits.
    """
    point, low, high = estimate.point, estimate.low, estimate.high
    if low is None or high is None or low == high:
        return max(significant(point, 2), min(digits, significant(point, 4) if point else digits))
    return min(significant((high - low) / 2, 2), max(digits, significant(point, 3)))


def with_ends(estimate: Estimate, digits: int, unit: str = "") -> str:
    """Write an estimate and its interval in a sentence: `101.5 ms (100.8 to 102.4)`.

    What is known to be at least so much is `101.5 ms or more`; of what has a lower end alone, that is told.
    """
    decimals = decimals_of(estimate, digits)
    text = unsigned_zero(estimate.point, decimals) + (f" {unit}" if unit else "")
    if estimate.low == estimate.point and estimate.high is None:
        return f"{text} or more"
    if estimate.low is None:
        return text
    if estimate.high is None:
        return f"{text} (at least {unsigned_zero(estimate.low, decimals)})"
    ends = (unsigned_zero(end, decimals) for end in (estimate.low, estimate.high))
    return f"{text} ({' to '.join(ends)})"


def times(estimate: Estimate) -> str:
    """Write a ratio and its interval: `0.53x (0.50x to 0.54x)`; a small one with two significant digits."""
    decimals = max(2, significant(estimate.point, 2))
    text = f"{estimate.point:.{decimals}f}x"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({estimate.low:.{decimals}f}x to {estimate.high:.{decimals}f}x)"


def unsigned_zero(value: float, decimals: int) -> str:
    """Write a number; what rounds to zero has no sign."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text
