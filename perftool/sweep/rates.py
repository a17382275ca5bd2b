"""Which rates a run of open load offers, and how long they take. Pure: nothing is measured here."""

import math

from msgspec import Struct

from perftool.analysis.result import RatePoint
from perftool.analysis.stats import samples_needed
from perftool.spec import Arrivals, Profile

#: The curve, where nothing else is asked for: shares of the closed loop's throughput.
SHARES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
#: A rate's window lasts this long at least, in seconds, unless the user says otherwise.
LEAST_SECONDS = 10.0
#: A search tries this many rates at most ...
MOST_RATES = 12
#: ... none of them for longer than this, in seconds, ...
MOST_SECONDS = 300.0
#: ... each with this many times the arrivals that an interval should take: the load is known roughly, ...
MARGIN = 1.6
#: ... until what surely holds, is unsure and surely misses lie as close as this share of what surely misses.
CLOSE_ENOUGH = 0.06
#: Below this share of the closed loop's throughput hardly a request waits: what misses there, misses alone.
LOWEST_SHARE = 0.15
#: More than this many times the closed loop's throughput is not offered: nothing is learnt from it.
HIGHEST_SHARE = 10.0
#: A burst with its warm-up over its window.
BURST_OVER_WINDOW = 1.25


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked: given rates (images/s), else a search for the bound's rate, else the curve.

    Bound and percentile stand in the profile's limits. `seconds` is the least length of a window; None takes
    as long as the percentile's samples do, which a search always does.
    """

    rates: tuple[float, ...] = ()
    search: bool = False
    arrivals: Arrivals = "poisson"
    requests: int | None = None
    seconds: float | None = None


class Forecast(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to come: which rates, in how many seconds each; of a search the rate that it starts with."""

    rates: tuple[float, ...]
    seconds: tuple[float, ...]
    arrivals: int
    percentile: int
    search: bool


def arrivals_of(question: Question, percentile: int) -> int:
    """Return the least arrivals of a window."""
    return 1 if question.seconds is not None and not question.search else samples_needed(percentile)


def burst_seconds(question: Question, arrivals: int, rate_fps: float, batch: int) -> float:
    """Return how long a rate takes with its warm-up, as far as chance and overload do not change it."""
    least = LEAST_SECONDS if question.seconds is None else question.seconds
    return BURST_OVER_WINDOW * max(least, arrivals * batch / rate_fps)


def forecast(
    question: Question, profile: Profile, rates: tuple[float, ...], arrivals: int | None = None
) -> Forecast:
    """Return how long the given rates take, warm-ups included."""
    percentile, batch = profile.limits.percentile, profile.grids[0].batches[0]
    arrivals = arrivals_of(question, percentile) if arrivals is None else arrivals
    return Forecast(
        rates=rates,
        seconds=tuple(burst_seconds(question, arrivals, rate, batch) for rate in rates),
        arrivals=arrivals,
        percentile=percentile,
        search=question.search,
    )


class Burst(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is offered next: a rate, for as many arrivals at least."""

    rate_fps: float
    arrivals: int


def next_burst(
    points: tuple[RatePoint, ...], capacity_fps: float, percentile: int, bound_ms: float, batch: int = 1
) -> Burst | None:
    """Return what a search offers next; None when it is over.

    A rate surely holds where the percentile's whole interval keeps the bound, surely misses where none of it
    does or where it overloads the server, and is unsure in between. The answer's interval reaches from the
    highest rate that surely holds (0 at first) to the lowest that surely misses (at first the closed loop's
    throughput, more than which cannot be served). Its middle is tried, and once something there is unsure,
    the middle of the wider gap beside that; until the gaps are closed, or `MOST_RATES` were tried, or even a
    rate at which hardly a request waits has missed.
    """
    if len(points) >= MOST_RATES:
        return None
    verdicts = {point.rate_fps: _surely(point, percentile, bound_ms) for point in points}
    missing = min((rate for rate, holds in verdicts.items() if holds is False), default=capacity_fps)
    holding = max((rate for rate, holds in verdicts.items() if holds and rate < missing), default=0.0)
    unsure = [rate for rate, holds in verdicts.items() if holds is None and holding < rate < missing]
    gaps = [(holding, min(unsure, default=missing)), (max(unsure, default=holding), missing)]
    if gaps[0][0] == 0 and gaps[0][1] <= LOWEST_SHARE * capacity_fps:
        gaps = gaps[1:] if unsure else []
    low, high = max(gaps, key=lambda gap: gap[1] - gap[0], default=(0.0, 0.0))
    middle = rounded((low + high) / 2)
    if high - low <= CLOSE_ENOUGH * missing or middle in verdicts:
        return None
    return Burst(rate_fps=middle, arrivals=enough(middle, capacity_fps, percentile, batch))


def enough(rate_fps: float, capacity_fps: float, percentile: int, batch: int = 1) -> int:
    """Return how many arrivals an interval takes: the fuller a queue, the longer it remembers.

    No more than fit into `MOST_SECONDS`, but as many as carry the percentile.
    """
    free = max(0.0, 1 - rate_fps / capacity_fps) ** 2
    needed = samples_needed(percentile)
    most = max(needed, int(MOST_SECONDS * rate_fps / batch))
    return most if free * most <= MARGIN * needed else max(needed, math.ceil(MARGIN * needed / free))


def _surely(point: RatePoint, percentile: int, bound_ms: float) -> bool | None:
    """Tell whether a rate surely keeps the bound, or surely misses it; None where neither is sure."""
    if point.refusal == "overloaded":
        return False
    found = point.percentile(percentile)
    if found is None or found.low is None or found.high is None:
        return None
    return True if found.high <= bound_ms else False if found.low > bound_ms else None


def rounded(rate_fps: float) -> float:
    """Return a rate that can be said in four digits."""
    return float(f"{rate_fps:.4g}")
