"""Estimate medians, percentiles, ratios and paired accuracy changes, each with its 95 % interval.

Pure functions over numbers: nothing here knows of configurations, and nothing is formatted.
docs/measurement.md explains the choices; sources are named at each function.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, chdtri, stdtrit

Array = NDArray[np.float64]

CONFIDENCE = 0.95
#: Confidence of the rule that says how many samples a percentile takes.
CARRYING_CONFIDENCE = 0.99
#: Below this many visits (or rounds) a median has no 95 % interval: the whole range covers less than that.
MIN_VISITS = 6
#: An outlier is further from the median than this many scaled median absolute deviations.
OUTLIER_MADS = 3.0
#: The quantiles that a distribution is drawn from: every twentieth, and more of them in the tails.
SHARES = (0.01, 0.025, *(twentieth / 20 for twentieth in range(1, 20)), 0.975, 0.99)

_Z95 = 1.959963984540054
_MAD_SCALE = 1.4826


class Estimate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure with its 95 % interval. `low` and `high` are None where there are too few visits for one.

    Of an upper percentile `high` alone is None where the visits differ too much to know it.
    """

    point: float
    low: float | None
    high: float | None


class Trend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a series changed from its first value to its last, as a share; the p-value is two-sided."""

    change: float
    p_value: float


class PairedChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A paired change of accuracy, in percentage points; a positive drop is a loss."""

    drop_pp: float
    low_pp: float
    high_pp: float
    gained: int
    lost: int
    p_value: float


# ---------------------------------------------------------------- medians over visits


def median_estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Return the median of one figure per visit, with its interval; none where too few values carry one.

    Interpolated order statistics: Hettmansperger & Sheather, Statistics & Probability Letters 4 (1986);
    Nyblom, ibid. 14 (1992). Free of any assumption on the distribution's shape but its continuity.
    """
    if not values:
        raise ValueError("a median takes at least one value")
    ordered = sorted(values)
    n = len(ordered)
    point = float(median(ordered))
    place = median_place(n, confidence)
    if place is None:
        return Estimate(point=point, low=None, high=None)
    depth, weight = place
    low = ordered[depth - 1] + weight * (ordered[depth] - ordered[depth - 1])
    high = ordered[n - depth] - weight * (ordered[n - depth] - ordered[n - depth - 1])
    return Estimate(point=point, low=min(low, point), high=max(high, point))


@cache
def median_place(n: int, confidence: float) -> tuple[int, float] | None:
    """Return where a median's interval ends among n sorted values: how deep, and what part of the way on.

    None where n values are too few for one. The lower end lies between the values of that depth (1 is the
    smallest) and the next; the upper end mirrors it.
    """
    if _coverage(n, 1) < confidence:
        return None
    depth = 1
    while _coverage(n, depth + 1) >= confidence:
        depth += 1
    wide, narrow = _coverage(n, depth), _coverage(n, depth + 1)
    excess = (wide - confidence) / (wide - narrow)
    return depth, (n - depth) * excess / (depth + (n - 2 * depth) * excess)


@cache
def _coverage(n: int, depth: int) -> float:
    """Return how often the depth-th smallest and depth-th largest of n values enclose the median."""
    return 1.0 - 2.0 * float(bdtr(depth - 1, n, 0.5))


def paired_ratio(
    numerator: Mapping[int, float], denominator: Mapping[int, float], confidence: float = CONFIDENCE
) -> Estimate | None:
    """Return the median ratio over the rounds that both figures have, with its interval; None without any.

    Pairing inside rounds takes out what a round's machine did to both. Keys are rounds.
    """
    shared = sorted(numerator.keys() & denominator.keys())
    if not shared:
        return None
    return median_estimate([numerator[key] / denominator[key] for key in shared], confidence)


def ratio_of_independent(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Return the ratio of two figures that were not measured in pairs, with an interval where both have one.

    On the scale of logarithms the difference's reach to each side is the root of the squares of the two
    reaches that could have made it (the method of variance estimates recovery: Zou & Donner, Statistics in
    Medicine 27, 2008). Both figures must be above zero.
    """
    point = numerator.point / denominator.point
    ends = (numerator.low, numerator.high, denominator.low, denominator.high)
    if any(end is None or end <= 0 for end in ends):
        return Estimate(point=point, low=None, high=None)
    a_low, a_high, b_low, b_high = (math.log(end) for end in ends if end is not None)
    a, b = math.log(numerator.point), math.log(denominator.point)
    return Estimate(
        point=point,
        low=math.exp(a - b - math.hypot(a - a_low, b_high - b)),
        high=math.exp(a - b + math.hypot(a_high - a, b - b_low)),
    )


def by_round(values: Sequence[tuple[int, float]]) -> dict[int, float]:
    """Return one figure for each round: the median of its visits."""
    rounds: dict[int, list[float]] = {}
    for key, value in values:
        rounds.setdefault(key, []).append(value)
    return {key: float(median(found)) for key, found in sorted(rounds.items())}


def count_outliers(values: Sequence[float]) -> int:
    """Count the visits further from the median than 3 median absolute deviations, scaled to a normal's sigma.

    A count to be shown, not a filter. Where more than half the values are equal there is no scale, and
    nothing counts as an outlier.
    """
    if len(values) < 3:
        return 0
    centre = median(values)
    spread = _MAD_SCALE * median(abs(value - centre) for value in values)
    if spread == 0:
        return 0
    return sum(abs(value - centre) > OUTLIER_MADS * spread for value in values)


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation over the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    array = np.asarray(values, dtype=float)
    return float(array.std(ddof=1) / array.mean())


# ---------------------------------------------------------------- drift


def halves_ratio(values: Sequence[float]) -> float:
    """Return the median of a series' second half over that of its first, without the middle of an odd one."""
    half = len(values) // 2
    if half == 0:
        raise ValueError("two halves take at least two values")
    series = np.asarray(values)
    return middle(np.sort(series[-half:])) / middle(np.sort(series[:half]))


def trend(values: Sequence[float]) -> Trend | None:
    """Return how a series of positive figures changed from first to last; None for fewer than three.

    The change is Theil and Sen's median slope of the logarithms over the whole length, so it never falls by
    more than all; its p-value is Mann and Kendall's, exact, two-sided (Mann, Econometrica 13, 1945; Sen, JASA
    63, 1968). Ranks alone count, so that single slow visits do not make a trend.
    """
    n = len(values)
    if n < 3:
        return None
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    slopes = [math.log(values[j] / values[i]) / (j - i) for i, j in pairs]
    score = sum((slope > 0) - (slope < 0) for slope in slopes)
    change = math.expm1(median(slopes) * (n - 1))
    return Trend(change=float(change), p_value=_kendall_p(n, abs(score)))


@cache
def _kendall_p(n: int, score: int) -> float:
    """Return how often n values in random order have a Kendall score of at least `score` in size.

    The number of orders with k inversions grows value by value (the Mahonian numbers); the score is the
    number of pairs less twice the inversions.
    """
    counts = np.ones(1)
    for size in range(2, n + 1):
        counts = np.convolve(counts, np.full(size, 1 / size))
    pairs = n * (n - 1) // 2
    scores = pairs - 2 * np.arange(pairs + 1)
    return float(min(1.0, counts[np.abs(scores) >= score].sum()))


# ---------------------------------------------------------------- percentiles over samples


@cache
def samples_needed(percentile: float) -> int:
    """Return how many samples can carry a percentile (in percent).

    The smallest n whose second largest sample lies above the true percentile with 99 % confidence, that is
    P(Binomial(n, 1 - p) <= 1) <= 0.01. It is the binomial early stopping rule of MLPerf's LoadGen
    (loadgen/early_stopping.cc) with one sample beyond the percentile and no tolerance:
    11 for p50, 64 for p90, 130 for p95, 219 for p97, 662 for p99, 6636 for p99.9.
    """
    if not 0 < percentile < 100:
        raise ValueError(f"a percentile lies between 0 and 100, not at {percentile}")
    beyond = 1 - percentile / 100
    allowed = 1 - CARRYING_CONFIDENCE
    upper = 2
    while bdtr(1, upper, beyond) > allowed:
        upper *= 2
    lower = upper // 2
    while upper - lower > 1:
        middle = (lower + upper) // 2
        if bdtr(1, middle, beyond) > allowed:
            lower = middle
        else:
            upper = middle
    return upper


def percentile_estimate(
    visits: Sequence[Sequence[float]], percentile: float, surely: float | None = None
) -> Estimate | None:
    """Return a percentile (in percent) of the samples of all visits, with its interval over visits.

    None where the samples cannot carry it. The point is the pooled samples' quantile (Hyndman & Fan 1996,
    type 7). The interval inverts one for the share of samples at or below the point (Woodruff, JASA 47,
    1952), widened by what visits differ more than independent samples would (Korn & Graubard, Survey
    Methodology 24, 1998): samples of one visit hang together. None below 6 visits.

    Of a percentile above the median the upper end is None where the samples are not surely worth as many
    independent ones as carry it: the slowest sample seen is then no bound of what more visits would show.
    `surely` is that number, where more is known of it than the visits show.
    """
    return percentiles_of(pooled(visits), (percentile,), surely)[0]


class Pooled(NamedTuple):
    """Samples, each visit's and those of all together, sorted: several percentiles are read off them."""

    visits: tuple[Array, ...]
    together: Array


def pooled(visits: Sequence[Sequence[float]]) -> Pooled:
    """Sort the samples of visits."""
    each = tuple(np.sort(np.asarray(visit, dtype=float)) for visit in visits if len(visit))
    return Pooled(visits=each, together=np.sort(np.concatenate(each)) if each else np.empty(0))


def percentiles_of(
    samples: Pooled, percentiles: Sequence[float], surely: float | None = None
) -> tuple[Estimate | None, ...]:
    """Return several percentiles, each as `percentile_estimate` does."""
    together = samples.together
    carried = [each for each in percentiles if len(together) >= samples_needed(each)]
    if not carried:
        return (None,) * len(percentiles)
    shares = np.array(carried) / 100
    points = _quantiles(together, shares)
    if len(samples.visits) < MIN_VISITS:
        found = [Estimate(point=point, low=None, high=None) for point in points.tolist()]
    else:
        sizes, shown = _effective_samples(samples.visits, points, shares)
        hits, tail = shares * sizes, (1 - CONFIDENCE) / 2
        low, high = betaincinv(hits, sizes - hits + 1, tail), betaincinv(hits + 1, sizes - hits, 1 - tail)
        lows, highs = _quantiles(together, np.array([low, high]))
        lows, highs = np.minimum(lows, points), np.maximum(highs, points)
        sure = shown if surely is None else np.full(len(shares), surely)
        ends = zip(carried, points.tolist(), lows.tolist(), highs.tolist(), sure.tolist(), strict=True)
        found = [
            Estimate(point=point, low=low, high=high if each <= 50 or worth >= samples_needed(each) else None)
            for each, point, low, high, worth in ends
        ]
    estimates = dict(zip(carried, found, strict=True))
    return tuple(map(estimates.get, percentiles))


def quantiles(samples: Pooled) -> tuple[float | None, ...]:
    """Return the quantiles at `SHARES` of all visits' samples together, for a picture.

    None where the samples cannot carry one, below the median by the same rule as above it; nothing at all
    where they carry none.
    """
    carried = [len(samples.together) >= needed for needed in _needed_by_shares()]
    if not any(carried):
        return ()
    found = _quantiles(samples.together, np.array(SHARES)).tolist()
    return tuple(value if carries else None for value, carries in zip(found, carried, strict=True))


@cache
def _needed_by_shares() -> tuple[int, ...]:
    """Return how many samples each of `SHARES` takes: as many as its mirror image beyond the median."""
    return tuple(samples_needed(round(100 * max(share, 1 - share), 9)) for share in SHARES)


def middle(ordered: NDArray[Any]) -> float:
    """Return the median of sorted values, rounded as `statistics.median` does."""
    half = len(ordered) // 2
    a, b = ordered[half - 1 + len(ordered) % 2].item(), ordered[half].item()
    return float((a + b) / 2)


def _quantiles(ordered: Array, shares: NDArray[np.floating[Any]]) -> Array:
    """Return quantiles of sorted values (Hyndman & Fan 1996, type 7), rounded as `numpy.quantile` does."""
    at = (len(ordered) - 1) * shares
    below = at.astype(np.int64)
    part = at - below
    a, b = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)]
    return np.where(part >= 0.5, b - (b - a) * (1 - part), a + (b - a) * part)


def _effective_samples(visits: Sequence[Array], points: Array, shares: Array) -> tuple[Array, Array]:
    """Return how many independent samples the visits' sorted samples are worth, never more than there are,
    for each point, which lies at that share of them.

    The first figure is the estimate, for an interval that leaves as much to each side; the second is what
    they are worth with 95 % confidence, given that a variance between few visits is itself uncertain.
    """
    sizes = np.array([len(visit) for visit in visits], dtype=float)
    # A row for each point: a row's sum is rounded as that of an array of its own.
    below = np.stack([visit.searchsorted(points, side="right") for visit in visits], axis=1).astype(float)
    total, count = float(sizes.sum()), len(visits)
    residuals = (below - below.sum(axis=1, keepdims=True) / total * sizes) / total
    variances = count / (count - 1) * (residuals**2).sum(axis=1)
    alike = np.full(len(points), np.inf)
    worth = np.divide(shares * (1 - shares) / total, variances, out=alike, where=variances > 0)
    degrees, least = _lost_by_variance(total, count)
    return total * np.minimum(1.0, worth * degrees), total * np.minimum(1.0, worth * least)


@cache
def _lost_by_variance(total: float, count: int) -> tuple[float, float]:
    """Return what samples lose of their worth because a variance between a count of visits is uncertain."""
    tail = (1 + CONFIDENCE) / 2
    degrees = (float(stdtrit(total - 1, tail)) / float(stdtrit(count - 1, tail))) ** 2
    return degrees, float(chdtri(count - 1, CONFIDENCE)) / (count - 1)


# ---------------------------------------------------------------- accuracy


def paired_change(gained: int, lost: int, images: int) -> PairedChange:
    """Return the change of accuracy on the same images, of which some were gained and some lost."""
    low, high = drop_interval(gained, lost, images)
    return PairedChange(
        drop_pp=100 * (lost - gained) / images,
        low_pp=100 * low,
        high_pp=100 * high,
        gained=gained,
        lost=lost,
        p_value=mcnemar_p(gained, lost),
    )


def mcnemar_p(gained: int, lost: int) -> float:
    """Return the exact two-sided p of McNemar's test: are gains and losses equally likely?"""
    changed = gained + lost
    if changed == 0:
        return 1.0
    return min(1.0, 2.0 * float(bdtr(min(gained, lost), changed, 0.5)))


def drop_interval(gained: float, lost: float, images: float) -> tuple[float, float]:
    """Return the 95 % interval of the paired drop (lost - gained) / images, as shares.

    Bonett & Price, Journal of Educational and Behavioral Statistics 37 (2012): Wald's interval with one
    image more gained and one more lost. Where few or no images changed, Wald's covers far too little (none
    changed: a point), and this one keeps above 95 %. Counts may be fractions, for planning.
    """
    if images <= 0 or gained < 0 or lost < 0 or gained + lost > images:
        raise ValueError(f"cannot gain {gained} and lose {lost} of {images} images")
    total = images + 2
    centre = (lost - gained) / total
    half = _Z95 * math.sqrt((gained + lost + 2) / total - centre**2) / math.sqrt(total)
    return max(-1.0, centre - half), min(1.0, centre + half)
