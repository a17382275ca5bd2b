"""Look at open load: the latency at each offered rate, and the highest rate that keeps a bound.

Pure functions over `Offered` records. A rate that the data cannot speak for is refused, in a sentence; what
is measured next is not decided here. docs/measurement.md explains the statistics.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from perftool.analysis import stats
from perftool.analysis.result import LatencyIntervals, RatePoint, Refusal
from perftool.analysis.stats import Estimate
from perftool.record import Offered
from perftool.spec import Arrivals

#: Into how many blocks the windows of one rate are cut together, where they are too few to be visits.
BLOCKS = 10
#: A block that holds fewer requests than this does not stand for a visit.
BLOCK_REQUESTS = 8
#: A generator is late when the 99th percentile of its own lag is above this share of the median latency ...
LATE_SHARE = 0.05
#: ... and above this many milliseconds.
LATE_MS = 1.0
#: How many standard errors the pace of a full server must be away from the offered rate.
SURE = 2.0

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


def rate_points(offered: Sequence[Offered]) -> tuple[RatePoint, ...]:
    """Return one configuration's points by rising rate, from its bursts of open load in any order.

    Bursts of the same rate and kind of arrivals belong to one point, however their gaps were drawn.
    """
    groups: dict[tuple[float, Arrivals], list[Offered]] = {}
    for record in offered:
        groups.setdefault((record.load.rate_fps, record.load.arrivals), []).append(record)
    return tuple(_point(groups[key]) for key in sorted(groups))


def _point(records: Sequence[Offered]) -> RatePoint:
    load = records[0].load
    visits = _visits(records)
    lag_ms = _quantile_ms([lag for record in records for lag in record.lags_ns], 99)
    served = _served_fps(records)
    refusal, refused = _refusal(records, lag_ms, served)
    return RatePoint(
        rate_fps=load.rate_fps,
        arrivals=load.arrivals,
        served_fps=served,
        latency_ms=NO_LATENCY
        if refusal
        else LatencyIntervals(
            p50=stats.percentile_estimate(visits, 50),
            p90=stats.percentile_estimate(visits, 90),
            p95=stats.percentile_estimate(visits, 95),
            p99=stats.percentile_estimate(visits, 99),
        ),
        n=sum(len(record.latencies_ns) for record in records),
        visits=len(visits),
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


def _served_fps(records: Sequence[Offered]) -> float | None:
    """Return the images per second between the first and the last completion, over all windows.

    The completions of all that arrived in a window count, those after its end too: a server that falls
    behind works without a pause until then, so this is all that it can do.
    """
    images, span_ns = 0, 0.0
    for record in records:
        if len(record.latencies_ns) > 1:
            done = _completions(record)
            images += record.batch * (len(done) - 1)
            span_ns += float(done[-1] - done[0])
    return images * 1e9 / span_ns if span_ns > 0 else None


def _completions(record: Offered) -> NDArray[np.int64]:
    """Return when the window's requests were done, in order, in nanoseconds from its opening."""
    return np.sort(np.asarray(record.arrivals_ns) + np.asarray(record.latencies_ns))


def _quantile_ms(values_ns: Sequence[int], percentile: float) -> float:
    return float(np.percentile(values_ns, percentile)) / _NS_PER_MS if values_ns else 0.0


# ---------------------------------------------------------------- refusals


def _refusal(
    records: Sequence[Offered], lag_ms: float, served_fps: float | None
) -> tuple[Refusal | None, str | None]:
    """Return why a rate gives no figure: the generator's fault first, since it can look like the server's.

    The generator is late when its lag is more than a small part of what is measured: the 99th percentile of
    the lag above 5 % of the median latency. A lag below 1 ms passes, since a sleep on an ordinary system
    overshoots by some 0.1 ms; it is shown beside the figures (`RatePoint.lag_ms`), for fast models.

    The server is overloaded when arrivals were given up, or when it falls behind in most of the windows.
    """
    rate = f"{records[0].load.rate_fps:.4g}"
    median_ms = _quantile_ms([latency for record in records for latency in record.latencies_ns], 50)
    if lag_ms > max(LATE_MS, LATE_SHARE * median_ms):
        return "late", (
            f"the generator did not keep its schedule: 1 in 100 requests was sent {lag_ms:.3g} ms late or "
            f"more, beside a median latency of {median_ms:.3g} ms"
        )
    served = "none" if served_fps is None else f"{served_fps:.4g}"
    unserved = sum(record.unserved for record in records)
    given_up = f", and {unserved} requests were given up" if unserved else ""
    if unserved or 2 * sum(falls_behind(record) for record in records) > len(records):
        return "overloaded", (
            f"more than it can serve: {rate} images/s arrive, {served} are served{given_up}; "
            "latency grows without bound"
        )
    return None, None


def falls_behind(record: Offered) -> bool:
    """Tell whether a window shows a server that is always full and slower than the offered rate.

    A queue can be long by the chance of arrivals alone, so its length is no witness. The pace of a full
    server is: while every request in flight is taken, completions come as fast as it can make them, whatever
    the arrivals do. So: from the last arrival back, as long as each found all requests taken; where that is
    half of the window's arrivals at least, the pace of the completions meanwhile (counted by whole rounds of
    the requests, which may finish in step), less `SURE` standard errors, is compared with the offered rate.
    """
    at = np.asarray(record.arrivals_ns)
    count, requests = len(at), record.requests
    if not count:
        return False
    done = _completions(record)
    present = np.arange(count) - np.searchsorted(done, at, side="right")
    free = np.flatnonzero(present < requests)
    first = int(free[-1]) + 1 if len(free) else 0
    if 2 * (count - first) < count:
        return False
    full = done[int(np.searchsorted(done, at[min(first, count - 1)])) : count - requests + 1]
    rounds = np.diff(full[::requests])
    if len(rounds) < 3:
        return False
    error = float(rounds.std(ddof=1)) / math.sqrt(len(rounds))
    fastest_ns = float(rounds.mean()) - SURE * error
    return fastest_ns > requests * record.batch / record.load.rate_fps * 1e9


# ---------------------------------------------------------------- the rate under a bound


class _At(NamedTuple):
    """A latency at a rate; infinite where the rate is more than the server can take."""

    rate: float
    ms: float


def rate_under_bound(points: Sequence[RatePoint], percentile: int, bound_ms: float) -> RateUnderBound:
    """Return the highest rate whose percentile keeps a bound; `points` are of one kind of arrivals.

    Points that answer nothing (generator late, too few samples) are passed over; an overloaded one misses.
    The rates up to the first that misses hold. Between the last of them and that first one the logarithm of
    the latency is interpolated; where that first one is overloaded it has no latency, and the last rate that
    holds is the answer.

    The interval is where the upper and the lower ends of the percentile's intervals cross the bound. Its low
    end is 0 where the upper end misses the bound at the lowest rate already. Its high end is the overloaded
    rate where there is nothing to interpolate, and None where the lower end keeps the bound to the last.
    """
    ordered = sorted(points, key=lambda point: point.rate_fps)
    answering = [point for point in ordered if _answers(point, percentile)]
    if not answering:
        return _without(percentile, bound_ms, None, _why_none(points, percentile))
    middle = list(_curve(answering, percentile, "point"))
    holding = _holding(middle, bound_ms)
    if holding == 0:
        return _without(percentile, bound_ms, None, _lowest_misses(middle[0], percentile, bound_ms))
    holds = middle[holding - 1].rate
    if holding == len(middle):
        reason = f"every rate tried keeps the bound, so it is at least {holds:.4g} images/s"
        return _without(percentile, bound_ms, holds, reason)
    rate = _crossing(middle, bound_ms)
    low, high = _interval(answering, percentile, bound_ms)
    return RateUnderBound(
        percentile=percentile,
        bound_ms=bound_ms,
        rate=Estimate(
            point=rate,
            low=None if low is None else min(low, rate),
            high=None if high is None else max(high, rate),
        ),
        holds_fps=holds,
        reason="",
    )


def _interval(
    points: Sequence[RatePoint], percentile: int, bound_ms: float
) -> tuple[float | None, float | None]:
    """Return where the ends of the percentile's intervals cross the bound; None where there are none."""
    estimates = [point.percentile(percentile) for point in points]
    if any(found is not None and found.low is None for found in estimates):
        return None, None
    low = _crossing(list(_curve(points, percentile, "high")), bound_ms)
    lower_ends = list(_curve(points, percentile, "low"))
    holding = _holding(lower_ends, bound_ms)
    if holding == len(lower_ends):
        return low, None
    missing = lower_ends[holding]
    return low, missing.rate if math.isinf(missing.ms) else _crossing(lower_ends, bound_ms)


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


def _holding(curve: Sequence[_At], bound_ms: float) -> int:
    """Count the rates, from the lowest, before the first that misses the bound."""
    return next((index for index, at in enumerate(curve) if at.ms > bound_ms), len(curve))


def _crossing(curve: Sequence[_At], bound_ms: float) -> float:
    """Return the rate at which a curve crosses the bound; 0 where even its lowest rate misses it."""
    holding = _holding(curve, bound_ms)
    if holding == 0:
        return 0.0
    last = curve[holding - 1]
    if holding == len(curve) or math.isinf(curve[holding].ms):
        return last.rate
    first = curve[holding]
    share = math.log(bound_ms / last.ms) / math.log(first.ms / last.ms)
    return last.rate + share * (first.rate - last.rate)


def _lowest_misses(lowest: _At, percentile: int, bound_ms: float) -> str:
    if math.isinf(lowest.ms):
        return f"even the lowest rate tried, {lowest.rate:.4g} images/s, is more than it can serve"
    return (
        f"even the lowest rate tried, {lowest.rate:.4g} images/s, misses the bound: "
        f"p{percentile} is {lowest.ms:.4g} ms, above {bound_ms:.4g} ms"
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
