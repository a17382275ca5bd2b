"""Look at open load: the latency at each offered rate, and the highest rate that keeps a bound.

Pure functions over `Offered` records. A rate that the data cannot speak for is refused, in a sentence; what
is measured next is not decided here. docs/measurement.md explains the statistics.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

from perftool.analysis import stats
from perftool.analysis.evidence import disturbed
from perftool.analysis.queueing import busy_share, completions, falls_behind
from perftool.analysis.result import LatencyIntervals, RatePoint, Refusal
from perftool.analysis.stats import Estimate
from perftool.record import Offered
from perftool.spec import Arrivals

#: Into how many blocks the windows of one rate are cut together, where they are too few to be visits.
BLOCKS = 10
#: A block that holds fewer requests than this does not stand for a visit.
BLOCK_REQUESTS = 8
#: A generator is late when its own lag makes up more than this share of a percentile ...
LATE_SHARE = 0.05
#: ... and more than this many milliseconds of it.
LATE_MS = 1.0

_NS_PER_MS = 1e6


class RateUnderBound(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The highest rate, in images per second, whose latency percentile keeps a bound.

    `holds_fps` is the highest rate tried up to which every rate tried keeps it, None where there is none.
    `rate` is None where the rates tried do not enclose the answer; `reason` says why then, else it is empty.
    """

    percentile: int
    bound_ms: float
    rate: Estimate | None
    holds_fps: float | None
    reason: str


NO_LATENCY = LatencyIntervals(p50=None, p90=None, p95=None, p99=None)


def rate_points(offered: Sequence[Offered], closed_fps: float | None = None) -> tuple[RatePoint, ...]:
    """Return one configuration's points by rising rate, from its bursts of open load in any order.

    Bursts of the same rate and kind of arrivals belong to one point, however their gaps were drawn.
    `closed_fps` is the closed loop's throughput, where it is known.
    """
    groups: dict[tuple[float, Arrivals], list[Offered]] = {}
    for record in offered:
        groups.setdefault((record.load.rate_fps, record.load.arrivals), []).append(record)
    return tuple(_point(groups[key], closed_fps) for key in sorted(groups))


def _point(records: Sequence[Offered], closed_fps: float | None) -> RatePoint:
    load = records[0].load
    visits = _visits(records)
    lag_ms = _quantile_ms([lag for record in records for lag in record.lags_ns], 99)
    served = _served_fps(records)
    refusal, refused = _refusal(records, served)
    return RatePoint(
        rate_fps=load.rate_fps,
        arrivals=load.arrivals,
        served_fps=served,
        latency_ms=NO_LATENCY
        if refusal
        else _latency(visits, independent_samples(records, closed_fps), len(visits) == len(records)),
        n=sum(len(record.latencies_ns) for record in records),
        visits=len(visits),
        disturbed=sum(map(disturbed, records)),
        lag_ms=lag_ms,
        refusal=refusal,
        refused=refused,
    )


def _visits(records: Sequence[Offered]) -> list[list[float]]:
    """Return the latencies in ms, in parts that an interval may be taken over.

    With enough windows (`stats.MIN_VISITS`) each is a part. Fewer are cut into blocks of consecutive
    arrivals, about `BLOCKS` in all: requests of a queue hang together, and only parts that are long against
    its memory differ as independent ones would. Where blocks would be too short the windows stay whole, and
    there is no interval.
    """
    whole = [
        [latency / _NS_PER_MS for latency in record.latencies_ns] for record in records if record.latencies_ns
    ]
    if not whole or len(whole) >= stats.MIN_VISITS:
        return whole
    wanted = -(-BLOCKS // len(whole))
    counts = [max(1, min(wanted, len(latencies) // BLOCK_REQUESTS)) for latencies in whole]
    if sum(counts) < stats.MIN_VISITS:
        return whole
    pairs = zip(whole, counts, strict=True)
    return [block.tolist() for latencies, count in pairs for block in np.array_split(latencies, count)]


def _latency(visits: Sequence[Sequence[float]], independent: float, whole: bool) -> LatencyIntervals:
    """Return the percentiles, each with its interval where the samples are worth enough independent ones.

    Where the parts are `whole` windows they tell themselves how much they differ; blocks of one queue do not.
    """
    surely = None if whole else independent

    def estimate(percentile: float) -> Estimate | None:
        found = stats.percentile_estimate(visits, percentile, surely)
        if found is None or independent >= stats.samples_needed(percentile):
            return found
        return Estimate(point=found.point, low=None, high=None)

    return LatencyIntervals(p50=estimate(50), p90=estimate(90), p95=estimate(95), p99=estimate(99))


def independent_samples(records: Sequence[Offered], closed_fps: float | None = None) -> float:
    """Return about how many independent samples the requests of one rate are worth.

    Under Poisson arrivals a queue forgets within some 1 / (1 - load)^2 requests (Whitt, Management Science
    35, 1989), where load is the share of time that its server is busy: 662 requests are worth 165 at half
    load, and 7 at nine tenths. A window that is not long against that memory has seen few of the queue's
    long days, and nothing inside it tells so: in simulations an interval over the blocks of 662 requests
    covered p99 in 8 % of all cases at nine tenths, instead of 95 %. Even arrivals make no such queue.
    With more requests in flight than the runtime has streams some of the queue is inside the runtime and
    looks like service: the share of the closed loop's throughput, `closed_fps`, is then the load.
    """

    def load(record: Offered) -> float:
        return max(busy_share(record), record.load.rate_fps / closed_fps if closed_fps else 0.0)

    return sum(
        len(record.latencies_ns) * max(0.0, 1 - load(record)) ** 2
        if record.load.arrivals == "poisson"
        else len(record.latencies_ns)
        for record in records
        if record.latencies_ns
    )


def _served_fps(records: Sequence[Offered]) -> float | None:
    """Return the images per second between the first and the last completion, over all windows.

    The completions of all that arrived in a window count, those after its end too: a server that falls
    behind works without a pause until then, so this is all that it can do.
    """
    images, span_ns = 0, 0.0
    for record in records:
        if len(record.latencies_ns) > 1:
            done = completions(record)
            images += record.batch * (len(done) - 1)
            span_ns += float(done[-1] - done[0])
    return images * 1e9 / span_ns if span_ns > 0 else None


def said(rate_fps: float) -> str:
    """Write a rate in four digits."""
    return f"{float(f'{rate_fps:.4g}'):g}"


def _quantile_ms(values_ns: Sequence[int], percentile: float) -> float:
    return float(np.percentile(values_ns, percentile)) / _NS_PER_MS if values_ns else 0.0


# ---------------------------------------------------------------- refusals


def _refusal(records: Sequence[Offered], served_fps: float | None) -> tuple[Refusal, str] | tuple[None, None]:
    """Return why a rate gives no figure: the generator's fault first, since it can look like the server's.

    The server is overloaded when arrivals were given up, or when it falls behind in most of the windows.
    """
    if found := _lateness(records):
        return "late", found
    rate = said(records[0].load.rate_fps)
    served = "none" if served_fps is None else said(served_fps)
    unserved = sum(record.unserved for record in records)
    given_up = f", and {unserved} requests were given up" if unserved else ""
    if unserved or 2 * sum(falls_behind(record) for record in records) > len(records):
        return "overloaded", (
            f"more than it can serve: {rate} images/s arrive, {served} are served{given_up}; "
            "latency grows without bound"
        )
    return None, None


def _lateness(records: Sequence[Offered]) -> str | None:
    """Say how late the generator was, where that is more than a small part of what is measured.

    Each percentile that the samples carry, and the median in any case, is compared with itself, the lag taken
    out of every latency: the generator is late when one of them shrinks by more than 5 %. Less than 1 ms
    passes, since a sleep on an ordinary system overshoots by some 0.1 ms; for models as fast as that the lag
    is shown beside the figures (`RatePoint.lag_ms`).
    """
    latencies = np.array([latency for record in records for latency in record.latencies_ns], dtype=float)
    lags = np.array([lag for record in records for lag in record.lags_ns], dtype=float)
    for percentile in (50, 90, 95, 99) if len(latencies) else ():
        if percentile > 50 and len(latencies) < stats.samples_needed(percentile):
            break
        with_lag = float(np.percentile(latencies, percentile)) / _NS_PER_MS
        without = float(np.percentile(latencies - lags, percentile)) / _NS_PER_MS
        if with_lag - without > max(LATE_MS, LATE_SHARE * with_lag):
            return (
                f"the generator did not keep its schedule: p{percentile} would be {without:.3g} ms instead "
                f"of {with_lag:.3g} ms without its own lag"
            )
    return None


# ---------------------------------------------------------------- the rate under a bound


class _At(NamedTuple):
    """A latency at a rate: infinite where that is more than the server can take, None where unknown."""

    rate: float
    ms: float | None


def rate_under_bound(points: Sequence[RatePoint], percentile: int, bound_ms: float) -> RateUnderBound:
    """Return the highest rate whose percentile keeps a bound; `points` are of one kind of arrivals.

    Points that answer nothing (generator late, too few samples) are passed over; an overloaded one misses.
    The rates up to the first that misses hold. Between the last of them and that first one the logarithm of
    the latency is interpolated; where that first one is overloaded it has no latency, and the last rate that
    holds is the answer.

    The interval is where the upper and the lower ends of the percentile's intervals cross the bound, among
    the rates that have such intervals. Its low end is the last of them that surely holds where none after it
    misses, and 0 where even the lowest does not surely hold. Its high end is the overloaded rate where there
    is nothing to interpolate, and unknown where no rate surely misses.
    """
    ordered = sorted(points, key=lambda point: point.rate_fps)
    answering = [point for point in ordered if _answers(point, percentile)]
    if not answering:
        return _without(percentile, bound_ms, None, _why_none(points, percentile))
    middle = list(_curve(answering, percentile, "point"))
    holding = list(takewhile(lambda at: at.ms is not None and at.ms <= bound_ms, middle))
    if not holding:
        late = [one for one in ordered if one.refusal == "late" and one.rate_fps < answering[0].rate_fps]
        reason = late[-1].refused if late else _lowest_misses(answering[0], percentile, bound_ms)
        return _without(percentile, bound_ms, None, reason or "")
    holds = holding[-1].rate
    if len(holding) == len(middle):
        reason = f"every rate tried keeps the bound, so it is at least {said(holds)} images/s"
        return _without(percentile, bound_ms, holds, reason)
    rate = _crossing(middle, bound_ms)
    assert rate is not None
    sure = [point for point in answering if has_interval(point, percentile)]
    low = _crossing(_curve(sure, percentile, "high"), bound_ms)
    kept = [at.rate for at in _curve(sure, percentile, "high") if at.ms is not None and at.ms <= bound_ms]
    if low is None and kept:
        low = kept[-1]
    high = _crossing(_curve(sure, percentile, "low"), bound_ms, beyond=True)
    return RateUnderBound(
        percentile=percentile,
        bound_ms=bound_ms,
        rate=Estimate(
            point=rate,
            low=None if low is None else min(low, rate),
            high=None if low is None or high is None else max(high, rate),
        ),
        holds_fps=holds,
        reason="",
    )


def has_interval(point: RatePoint, percentile: int) -> bool:
    """Tell whether a rate says how sure its percentile is; that it is overloaded is sure."""
    found = point.percentile(percentile)
    return point.refusal == "overloaded" or (found is not None and found.high is not None)


def _without(percentile: int, bound_ms: float, holds: float | None, reason: str) -> RateUnderBound:
    return RateUnderBound(percentile=percentile, bound_ms=bound_ms, rate=None, holds_fps=holds, reason=reason)


def _answers(point: RatePoint, percentile: int) -> bool:
    return point.refusal == "overloaded" or point.percentile(percentile) is not None


def _curve(
    points: Sequence[RatePoint], percentile: int, end: Literal["low", "point", "high"]
) -> Iterator[_At]:
    for point in points:
        found = point.percentile(percentile)
        yield _At(point.rate_fps, math.inf if found is None else getattr(found, end))


def _crossing(curve: Iterable[_At], bound_ms: float, *, beyond: bool = False) -> float | None:
    """Return the rate at which a curve first crosses the bound: 0 where its lowest rate misses it already.

    None where it never does, or where a latency before that is unknown. Where there is nothing to
    interpolate, the last rate that holds is returned, or the first that does not (`beyond`).
    """
    last: _At | None = None
    for at in curve:
        if at.ms is None:
            return None
        if at.ms > bound_ms:
            if last is None or last.ms is None:
                return at.rate if beyond else 0.0
            if math.isinf(at.ms):
                return at.rate if beyond else last.rate
            share = math.log(bound_ms / last.ms) / math.log(at.ms / last.ms)
            return last.rate + share * (at.rate - last.rate)
        last = at
    return None


def _lowest_misses(lowest: RatePoint, percentile: int, bound_ms: float) -> str:
    found = lowest.percentile(percentile)
    if found is None:
        return f"even the lowest rate tried, {said(lowest.rate_fps)} images/s, is more than it can serve"
    return (
        f"even the lowest rate tried, {said(lowest.rate_fps)} images/s, misses the bound: "
        f"p{percentile} is {found.point:.4g} ms, above {bound_ms:.4g} ms"
    )


def _why_none(points: Sequence[RatePoint], percentile: int) -> str:
    """Say why no rate answers."""
    if not points:
        return "no rate was tried"
    short = [point for point in points if point.refusal is None]
    if short:
        most = max(point.n for point in short)
        return f"p{percentile} not measurable: {most} of {stats.samples_needed(percentile)} samples"
    return points[0].refused or ""
