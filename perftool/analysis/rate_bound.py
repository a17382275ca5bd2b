"""The highest rate whose latency keeps a bound, read off the latency at each offered rate. Pure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Literal, NamedTuple

from msgspec import Struct

from perftool.analysis import stats
from perftool.analysis.open_load import said
from perftool.analysis.result import RatePoint
from perftool.analysis.stats import Estimate


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
