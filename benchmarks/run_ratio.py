"""The ratio of two medians from two runs that share nothing, with its 95 % interval.

Two runs have no common rounds, so there is nothing to pair. Two ways to an interval are tried against each
other in `intervals`: `analysis.stats.ratio_of_independent`, written for arrays, and another to compare.
"""

import math

import numpy as np
from scipy.stats import binom, norm

from benchmarks.simulated import Array, Medians, medians
from perftool.analysis.stats import median_estimate, ratio_of_independent

_Z95 = 1.959963984540054


def by_recovery(first: Array, second: Array) -> Medians:
    """Return the ratios of medians, row by row, as `ratio_of_independent` does."""
    one, other = medians(first), medians(second)
    point = one.point / other.point
    below = np.hypot(np.log(one.point / one.low), np.log(other.high / other.point))
    above = np.hypot(np.log(one.high / one.point), np.log(other.point / other.low))
    found = Medians(point, point * np.exp(-below), point * np.exp(above))
    own = ratio_of_independent(median_estimate(list(first[0])), median_estimate(list(second[0])))
    expected = (own.point, own.low, own.high)
    if not np.allclose([column[0] for column in found], np.array(expected, dtype=float)):
        raise AssertionError(f"ratio_of_independent gives {expected}")
    return found


def by_standard_errors(one: Array, other: Array) -> Medians:
    """Return the ratios of medians, row by row, after Price and Bonett.

    Journal of Statistical Computation and Simulation 72 (2002): a standard error of each median of logarithms
    from two order statistics about sqrt(n) from the middle, added as squares, and a normal's 1.96 of them.
    """
    logs, squares = zip(*(_log_median(series) for series in (one, other)), strict=True)
    point = logs[0] - logs[1]
    half = _Z95 * np.sqrt(squares[0] + squares[1])
    return Medians(np.exp(point), np.exp(point - half), np.exp(point + half))


def _log_median(series: Array) -> tuple[Array, Array]:
    """Return the median of each row's logarithms, and the square of its standard error."""
    ordered = np.sort(np.log(series), axis=1)
    n = ordered.shape[1]
    rank = max(1, round((n + 1) / 2 - math.sqrt(n)))
    z = norm.ppf(1 - binom.cdf(rank - 1, n, 0.5))
    errors = (ordered[:, n - rank] - ordered[:, rank - 1]) / (2 * z)
    return np.median(ordered, axis=1), errors**2
