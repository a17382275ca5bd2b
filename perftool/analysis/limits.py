"""Hold a measured configuration against the limits, one reason for each that it misses.

The point estimate decides. Where the interval crosses the limit the verdict is uncertain, and how much
measuring would settle it is worked out where the data tell.
"""

import math
from collections.abc import Collection
from functools import cache

from msgspec import Struct, structs

from perftool.analysis import metrics
from perftool.analysis.metric import Metric
from perftool.analysis.metrics import Percentile
from perftool.analysis.result import AccuracyResult, ConfigurationResult, Summary, Uncertain
from perftool.analysis.stats import MIN_VISITS, Estimate, drop_interval, samples_needed
from perftool.spec import Limits

#: A limit near zero is no scale for a miss; this is, in the limit's unit.
_SMALLEST_SCALE = 1.0
_MOST_IMAGES = 1_000_000
_MOST_VISITS = 1_000


class Verdict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What limits say of a configuration: it passes where `reasons` is empty.

    `excess` is the largest miss relative to its limit, infinite where a value could not be measured.
    `missed` and `crossed` name the metrics whose limit is missed, and whose interval crosses it.
    """

    reasons: tuple[str, ...]
    excess: float
    uncertain: tuple[Uncertain, ...]
    missed: tuple[str, ...]
    crossed: tuple[str, ...]


def judge(result: ConfigurationResult, limits: Limits) -> Verdict:
    """Hold a configuration that was measured against every limit."""
    reasons: list[str] = []
    uncertain: list[Uncertain] = []
    missed: list[str] = []
    crossed: list[str] = []
    excess = 0.0
    for metric, bound in bounds(limits):
        estimate = metric.read(result)
        if estimate is None:
            reasons.append(metrics.why_missing(metric, result, limits))
            missed.append(metric.name)
            excess = math.inf
            continue
        if not metric.keeps(estimate.point, bound):
            missed.append(metric.name)
            reasons.append(misses(metric, estimate.point, bound))
            scale = bound if bound >= _SMALLEST_SCALE else _SMALLEST_SCALE
            excess = max(excess, abs(estimate.point - bound) / scale)
        if _crosses(metric, estimate, bound):
            crossed.append(metric.name)
            limit = f"{metric.called} {_bound(metric, bound)} {metric.unit}"
            needs = _needs(metric, estimate, bound, result)
            uncertain.append(Uncertain(id=result.id, limit=limit, needs=needs))
    return Verdict(
        reasons=tuple(reasons),
        excess=excess,
        uncertain=tuple(uncertain),
        missed=tuple(missed),
        crossed=tuple(crossed),
    )


def bounds(limits: Limits) -> tuple[tuple[Metric, float], ...]:
    """Return each limit that is set, with its metric; of several on one metric the strictest.

    Which side of it passes is the metric's own (`Metric.way`). Raises InputError for an unknown metric.
    """
    given: list[tuple[Metric, float]] = []
    if limits.latency_ms is not None:
        given.append((metrics.LATENCY[limits.percentile], limits.latency_ms))
    if limits.accuracy_drop_pp is not None:
        given.append((metrics.DROP, limits.accuracy_drop_pp))
    if limits.memory_mb is not None:
        given.append((metrics.MEMORY, limits.memory_mb))
    given += [(metrics.named(one.metric), one.value) for one in limits.bounds]
    held: dict[str, tuple[Metric, float]] = {}
    for metric, value in given:
        if metric.name not in held or not metric.keeps(held[metric.name][1], value):
            held[metric.name] = (metric, value)
    return tuple(held.values())


def bound_on(limits: Limits, metric: Metric) -> float | None:
    """Return the limit on a metric; None where it has none."""
    return next((bound for each, bound in bounds(limits) if each.name == metric.name), None)


def without(limits: Limits, names: Collection[str]) -> Limits:
    """Return limits without those on the named metrics, however they were given."""
    dropped = {"bounds": tuple(one for one in limits.bounds if one.metric not in names)}
    short = {
        "latency_ms": metrics.LATENCY[limits.percentile],
        "accuracy_drop_pp": metrics.DROP,
        "memory_mb": metrics.MEMORY,
    }
    lifted = {field: None for field, metric in short.items() if metric.name in names}
    return structs.replace(limits, **dropped, **lifted)


def carried(limits: Limits) -> Percentile | None:
    """Return the highest percentile under the closed load that has a limit: what the samples must carry."""
    bounded = {metric.name for metric, _ in bounds(limits)}
    found = [percentile for percentile, row in metrics.LATENCY.items() if row.name in bounded]
    return max(found, default=None)


def carrying(summary: Summary, limits: Limits) -> tuple[str, ...]:
    """Say how much longer the run must be for its samples to carry the percentiles of the latency limits."""
    missing: dict[Percentile, list[tuple[str, float]]] = {}
    closed = carried(limits)
    for one in summary.configurations:
        if closed is not None and one.latency_ms and one.throughput_fps:
            seconds = (samples_needed(closed) - one.latency_ms.n) * one.batch / one.throughput_fps.point
            missing.setdefault(closed, []).append((one.id, seconds))
        if limits.slo_ms is not None:
            needed = samples_needed(limits.percentile)
            short = [(one.id, (needed - each.n) * one.batch / each.rate_fps) for each in one.open]
            missing.setdefault(limits.percentile, []).extend(short)
    found: list[str] = []
    for percentile, times in missing.items():
        short = [(id, seconds) for id, seconds in times if seconds > 0]
        if short:
            total = sum(seconds for _, seconds in short) / (summary.run.measuring_share or 1.0)
            found.append(
                f"p{percentile} takes {samples_needed(percentile)} samples of each configuration, which "
                f"{len({id for id, _ in short})} have not yet: about {max(1, round(total / 60))} min more "
                "(`sweep --resume RUN --carry-percentile` makes them)"
            )
    return tuple(found)


def misses(metric: Metric, value: float, bound: float) -> str:
    """Say that a value misses its limit, with as many digits as that takes: `p50 41.2 ms > 30 ms`."""
    text = f"{value:.{metric.digits}f}"
    for digits in range(metric.digits, 7):
        text = f"{value:.{digits}f}"
        if not metric.keeps(float(text), bound):
            break
    sign = ">" if metric.better == "lower" else "<"
    return f"{metric.called} {text} {metric.unit} {sign} {_bound(metric, bound)} {metric.unit}"


def shortest(metric: Metric, value: float, end: float | None, *, inward: bool) -> float:
    """Return the shortest number between a value and another that it must not reach; else the value.

    Outwards, a limit there lets the value pass but not the other; inwards, any limit beyond it keeps the
    value out, and some let the other pass.
    """
    down = (metric.better == "lower") == inward
    for digits in range(metric.digits, 7):
        scale: int = 10**digits
        short: float = (math.floor if down else math.ceil)(value * scale) / scale
        beyond = short <= value if down else short >= value
        if beyond and (end is None or (short > end if down else short < end)):
            return short
    return value


def _bound(metric: Metric, bound: float) -> str:
    """Write a limit as it was given; percentage points always with a decimal."""
    text = f"{bound:.10g}"
    return f"{bound:.1f}" if metric.unit == "pp" and "." not in text and "e" not in text else text


def _crosses(metric: Metric, estimate: Estimate, bound: float) -> bool:
    if estimate.low is None:
        return metric.spread
    return estimate.low < bound and (estimate.high is None or bound < estimate.high)


def _needs(metric: Metric, estimate: Estimate, bound: float, result: ConfigurationResult) -> str | None:
    """Say how many images or visits would, if nothing else changed, take the interval off the limit."""
    if metric is metrics.DROP:
        return images_needed(result.accuracy, bound)
    if estimate.low is None:
        return f"{MIN_VISITS} visits for an interval, {result.visits} so far"
    if estimate.high is None:
        return f"more visits: the {result.visits} so far differ too much for an upper end"
    reach = estimate.high - estimate.point if bound > estimate.point else estimate.point - estimate.low
    visits = visits_needed(result.visits, reach, abs(bound - estimate.point))
    return f"about {visits} visits, {result.visits} so far" if visits else None


def visits_needed(visits: int, reach: float, distance: float) -> int | None:
    """Return how many visits shrink an interval's reach to a distance: it shrinks as their square root."""
    if distance <= 0:
        return None
    needed = math.ceil(visits * (reach / distance) ** 2)
    return needed if needed <= _MOST_VISITS else None


@cache
def images_needed(found: AccuracyResult | None, bound: float) -> str | None:
    """Say how many images would, if nothing else changed, take a drop's interval off its bound."""
    if found is None or found.gained is None or found.lost is None:
        return None
    gained, lost = found.gained / found.images, found.lost / found.images

    def settled(images: int) -> bool:
        low, high = drop_interval(gained * images, lost * images, images)
        return not low * 100 < bound < high * 100

    upper = found.images
    while not settled(upper):
        upper *= 2
        if upper > _MOST_IMAGES:
            return None
    lower = upper // 2
    while upper - lower > 1:
        middle = (lower + upper) // 2
        lower, upper = (lower, middle) if settled(middle) else (middle, upper)
    return f"about {_rounded_up(upper)} images, {found.images} so far"


def _rounded_up(count: int) -> int:
    """Round up to two significant digits: a plan is no measurement."""
    step: int = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / step) * step
