"""What is offered next: the search on a simulated server, and how long things take."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import msgspec
import pytest
from journals import HOST
from queues import MS, exponential, simulated, steady

from perftool.analysis.open_load import rate_points
from perftool.analysis.rate_bound import RateUnderBound, rate_under_bound
from perftool.analysis.result import RatePoint
from perftool.errors import UsageError
from perftool.machine import DeviceFound
from perftool.record import Offered
from perftool.spec import Explicit, Grid, Limits, Profile
from perftool.sweep.loading import only_one
from perftool.sweep.plan import plan
from perftool.sweep.rates import (
    MOST_RATES,
    Question,
    arrivals_of,
    burst_seconds,
    enough,
    forecast,
    next_burst,
)

Server = Callable[[float, int], Iterator[int]]


def searched(
    server: Server,
    capacity: float,
    bound_ms: float,
    *,
    percentile: int = 90,
    late_ns: int = 0,
    count: int = 400,
) -> tuple[tuple[RatePoint, ...], RateUnderBound]:
    """Search the rate of a simulated server as a run does."""
    offered: list[Offered] = []
    points: tuple[RatePoint, ...] = ()
    while (burst := next_burst(points, capacity, percentile, bound_ms)) is not None:
        assert len(offered) < MOST_RATES
        seed = len(offered)
        service = server(1e9 / capacity, 70 + seed)
        arrivals = max(count, burst.arrivals)
        offered.append(simulated(service, rate=burst.rate_fps, count=arrivals, seed=seed, late_ns=late_ns))
        points = rate_points(offered)
    return points, rate_under_bound(points, percentile, bound_ms)


def test_the_search_finds_the_rate_of_an_exponential_server() -> None:
    # M/M/1: the time in the system is exponential with rate capacity - offered, so that
    # p90 = ln 10 / (capacity - offered); 0.5 s at 10 images/s of capacity allow 5.4 images/s.
    points, found = searched(exponential, 10, 500, count=4000)
    assert len(points) <= 9
    assert found.rate is not None
    assert found.rate.point == pytest.approx(10 - 2.3026 / 0.5, rel=0.08)
    assert found.rate.low is not None and found.rate.high is not None
    assert found.rate.low <= found.rate.point <= found.rate.high


def test_the_search_offers_enough_to_know_how_sure_its_answer_is() -> None:
    points, found = searched(steady, 10, 335, count=1)
    assert found.rate is not None and found.rate.low is not None and found.rate.high is not None
    truth = rate_points([simulated(steady(100 * MS, 3), rate=6.25, count=100_000, seed=3)])[0].percentile(90)
    assert truth is not None and truth.point == pytest.approx(335, rel=0.02), "so 6.25 is the answer"
    assert found.rate.low < 6.25 < found.rate.high
    assert found.rate.high / found.rate.low < 2.5
    fullest = max(points, key=lambda point: point.rate_fps)
    assert fullest.n > 10 * 64, "the fuller a queue, the longer it remembers"


def test_the_search_closes_the_gaps_beside_what_is_unsure() -> None:
    points, found = searched(steady, 10, 300, count=2000)
    assert found.rate is not None
    rates = sorted(point.rate_fps for point in points)
    assert len(points) <= MOST_RATES
    assert any(0 < above - below <= 0.07 * above for below, above in pairwise(rates))


def test_a_bound_that_every_rate_keeps_ends_just_below_the_capacity() -> None:
    points, found = searched(steady, 10, 1e6)
    assert found.rate is None
    assert found.holds_fps is not None and 9.4 <= found.holds_fps < 10
    assert len(points) <= 8


def test_a_bound_that_no_rate_keeps_is_given_up_where_hardly_a_request_waits() -> None:
    points, found = searched(steady, 10, 50)
    assert [point.rate_fps for point in points] == [1.25, 2.5, 5.0]
    assert found.holds_fps is None
    assert "even the lowest rate tried, 1.25 images/s, misses the bound: p90 is" in found.reason


def test_a_generator_that_is_late_everywhere_ends_the_search_without_an_answer() -> None:
    points, found = searched(steady, 10, 300, late_ns=30 * MS)
    assert "late" in {point.refusal for point in points}
    assert len(points) <= MOST_RATES
    assert found.rate is None and "did not keep its schedule" in found.reason


def test_a_rate_without_an_answer_is_stepped_round() -> None:
    (point,) = rate_points([simulated(steady(100 * MS, 1), rate=5, count=200)])
    late = msgspec.structs.replace(point, refusal="late", latency_ms=NONE.latency_ms)
    tried = next_burst((late,), 10, 90, 300)
    assert tried is not None and tried.rate_fps == 2.5


NONE = rate_points([simulated(steady(100 * MS, 1), rate=5, count=200, late_ns=60 * MS)])[0]


def test_arrivals_are_whole_batches_in_the_longest_window() -> None:
    assert enough(30, 60, 99) == 4237
    assert enough(30, 60, 99, batch=8) == 1125, "300 s of 30 images/s are 1,125 batches of 8"
    assert enough(30, 31, 99, batch=64) == 662, "as many as carry the percentile in any case"


def test_an_overloaded_rate_is_the_upper_end() -> None:
    (point,) = rate_points([simulated(steady(100 * MS, 1), rate=15, count=200)])
    assert point.refusal == "overloaded"
    tried = next_burst((point,), 20, 90, 1e6)
    assert tried is not None and tried.rate_fps == 7.5


def test_the_search_ends_after_the_most_rates() -> None:
    many = tuple(msgspec.structs.replace(NONE, rate_fps=0.1 * n) for n in range(1, MOST_RATES + 1))
    assert next_burst(many, 1000, 90, 300) is None


# ---------------------------------------------------------------- how long


def test_a_window_lasts_as_long_as_the_percentile_s_samples_take_and_ten_seconds_at_least() -> None:
    assert burst_seconds(Question(), 662, 8, 1) == pytest.approx(1.25 * 662 / 8)
    assert burst_seconds(Question(), 662, 8, 4) == pytest.approx(1.25 * 662 / 2)
    assert burst_seconds(Question(), 11, 100, 1) == pytest.approx(12.5)


def test_seconds_replace_that_but_a_search_always_takes_its_samples() -> None:
    given, search = Question(seconds=2), Question(seconds=2, search=True)
    assert burst_seconds(given, arrivals_of(given, 99), 8, 1) == pytest.approx(2.5)
    assert burst_seconds(search, arrivals_of(search, 99), 8, 1) == pytest.approx(1.25 * 662 / 8)


def test_the_forecast_has_the_time_of_each_rate() -> None:
    ahead = forecast(Question(), profile(), (4.0, 8.0))
    assert ahead.arrivals == 662
    assert ahead.seconds == (pytest.approx(1.25 * 662 / 4), pytest.approx(1.25 * 662 / 8))


# ---------------------------------------------------------------- the one configuration


def profile(**grid: object) -> Profile:
    return Profile(
        name="load",
        grids=(Grid(precisions=("FP32",), **grid),),  # type: ignore[arg-type]
        limits=Limits(percentile=99),
    )


CPU = DeviceFound(name="CPU", full_name="CPU", capabilities=("FP32", "INT8"), streams=(1, 2), properties=())


def test_the_plan_of_a_run_is_its_explicit_configuration_alone() -> None:
    made = only_one(plan(profile(streams=(2,)), HOST, (CPU,)), None)
    assert [one.id for one in made.configurations] == ["cpu-fp32-b1-s2"]
    assert made.left_out == ()


def test_requests_in_flight_can_be_more_than_streams_and_stand_in_the_name() -> None:
    (one,) = only_one(plan(profile(), HOST, (CPU,)), 4).configurations
    assert (one.id, one.requests) == ("cpu-fp32-b1-s1-r4", 4)
    assert isinstance(one.setting, Explicit) and one.setting.streams == 1


def test_what_the_device_cannot_run_is_refused_in_the_plan_s_words() -> None:
    with pytest.raises(UsageError, match="CPU takes 1 to 2 streams, not 3"):
        only_one(plan(profile(streams=(3,)), HOST, (CPU,)), None)
