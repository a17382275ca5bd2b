"""Which rates a run of open load offers, and how long they take. Pure: nothing is measured here."""

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
#: ... until the answer is enclosed this closely, as a share of the upper end.
CLOSE_ENOUGH = 0.05
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


def burst_seconds(question: Question, percentile: int, rate_fps: float, batch: int) -> float:
    """Return how long a rate takes with its warm-up, as far as chance and overload do not change it."""
    least = LEAST_SECONDS if question.seconds is None else question.seconds
    return BURST_OVER_WINDOW * max(least, arrivals_of(question, percentile) * batch / rate_fps)


def forecast(question: Question, profile: Profile, rates: tuple[float, ...]) -> Forecast:
    """Return how long the given rates take, warm-ups included."""
    percentile, batch = profile.limits.percentile, profile.grids[0].batches[0]
    return Forecast(
        rates=rates,
        seconds=tuple(burst_seconds(question, percentile, rate, batch) for rate in rates),
        arrivals=arrivals_of(question, percentile),
        percentile=percentile,
        search=question.search,
    )


def next_rate(
    points: tuple[RatePoint, ...], capacity_fps: float, percentile: int, bound_ms: float
) -> float | None:
    """Return the rate that a search tries next; None when it is over.

    The answer lies between the highest rate up to which all hold (0 at first) and the lowest that misses or
    overloads (at first the closed loop's throughput, more than which cannot be served). The middle is tried,
    until the two are within `CLOSE_ENOUGH`, or `MOST_RATES` were tried, or even a rate at which hardly a
    request waits has missed. A rate that gave no answer is stepped round, downwards.
    """
    if len(points) >= MOST_RATES:
        return None
    answers = {point.rate_fps: _holds(point, percentile, bound_ms) for point in points}
    missing = min((rate for rate, holds in answers.items() if holds is False), default=capacity_fps)
    holding = max((rate for rate, holds in answers.items() if holds and rate < missing), default=0.0)
    if holding == 0 and missing <= LOWEST_SHARE * capacity_fps:
        return None
    high = missing
    while high - holding > CLOSE_ENOUGH * missing:
        middle = rounded((holding + high) / 2)
        if middle not in answers:
            return middle
        high = middle
    return None


def _holds(point: RatePoint, percentile: int, bound_ms: float) -> bool | None:
    """Tell whether a rate keeps the bound; None where it gave no answer."""
    if point.refusal == "overloaded":
        return False
    found = point.percentile(percentile)
    return None if found is None else found.point <= bound_ms


def rounded(rate_fps: float) -> float:
    """Return a rate that can be said in four digits."""
    return float(f"{rate_fps:.4g}")
