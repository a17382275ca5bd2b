"""Latency at offered rates, refusals, and the rate under a bound: by hand, and on simulated queues."""

import math

import msgspec
import pytest
from queues import MS, exponential, offered, simulated, steady

from perftool.analysis.open_load import BLOCKS, independent_samples, rate_points
from perftool.analysis.queueing import busy_share, falls_behind
from perftool.analysis.rate_bound import rate_under_bound
from perftool.analysis.result import LatencyIntervals, RatePoint, Refusal
from perftool.analysis.stats import Estimate
from perftool.record import Offered

# ---------------------------------------------------------------- points


def test_a_point_counts_what_arrived_and_what_was_served() -> None:
    (point,) = rate_points([offered([50.0] * 20, rate=10)])
    assert (point.rate_fps, point.arrivals, point.n) == (10, "constant", 20)
    assert point.served_fps == pytest.approx(10)
    assert point.refusal is None and point.refused is None
    assert point.latency_ms.p50 is not None and point.latency_ms.p50.point == 50
    assert point.latency_ms.p95 is None


def test_a_batch_is_one_request_and_several_images() -> None:
    (point,) = rate_points([offered([50.0] * 20, rate=8, batch=4)])
    assert point.served_fps == pytest.approx(8)
    assert point.n == 20


def test_points_come_by_rising_rate_and_kind_of_arrivals() -> None:
    records = [
        offered([5.0] * 20, rate=20),
        offered([5.0] * 20, rate=10, kind="poisson"),
        offered([5.0] * 20, rate=10),
        offered([5.0] * 30, rate=10),
    ]
    found = [(point.rate_fps, point.arrivals, point.n) for point in rate_points(records)]
    assert found == [(10, "constant", 50), (10, "poisson", 20), (20, "constant", 20)]


def test_nothing_offered_is_no_point() -> None:
    assert rate_points([]) == ()


def test_six_windows_are_six_visits_and_one_long_one_is_cut_into_blocks() -> None:
    (several,) = rate_points([offered([50.0 + n] * 12) for n in range(6)])
    (one,) = rate_points([offered([50.0 + n % 7 for n in range(200)])])
    assert several.visits == 6
    assert one.visits == BLOCKS
    assert one.latency_ms.p50 is not None and one.latency_ms.p50.low is not None


def test_a_few_windows_are_cut_into_about_as_many_blocks_together() -> None:
    (point,) = rate_points([offered([50.0] * 100) for _ in range(3)])
    assert point.visits == 12


def test_a_short_window_is_not_cut_and_has_no_interval() -> None:
    (point,) = rate_points([offered([50.0] * 40)])
    assert point.visits == 1
    assert point.latency_ms.p50 == Estimate(point=50, low=None, high=None)


# ---------------------------------------------------------------- how much a queue's requests are worth


def test_the_busy_share_is_service_time_over_gap_waiting_left_out() -> None:
    assert busy_share(offered([50.0] * 100, rate=10)) == pytest.approx(0.5)
    # The second arrives at 100 ms and starts when the first is done, at 150 ms: 40 ms of work, then 50.
    assert busy_share(offered([150.0, 90.0, 50.0], rate=10)) == pytest.approx((150 + 40 + 50) / 3 / 100)
    assert busy_share(offered([150.0] * 100, rate=10, requests=2)) == pytest.approx(0.75)


@pytest.mark.parametrize("load", [0.5, 0.8])
@pytest.mark.parametrize("slots", [1, 2])
def test_the_busy_share_of_a_simulated_queue_is_its_load(load: float, slots: int) -> None:
    record = simulated(steady(100 * MS, 1), rate=10 * slots * load, count=5000, seed=2, slots=slots)
    assert busy_share(record) == pytest.approx(load, rel=0.02)


def test_requests_of_a_queue_are_worth_fewer_the_fuller_it_is() -> None:
    half = offered([50.0] * 662, rate=10, kind="poisson")
    nine_tenths = offered([90.0] * 662, rate=10, kind="poisson")
    assert independent_samples([half]) == pytest.approx(662 / 4)
    assert independent_samples([nine_tenths]) == pytest.approx(6.62)
    assert independent_samples([offered([90.0] * 662, rate=10)]) == 662


def test_a_queue_inside_the_runtime_counts_as_load_too() -> None:
    crowded = offered([40.0] * 662, rate=90, requests=16, kind="poisson")
    assert independent_samples([crowded]) > 300
    assert independent_samples([crowded], closed_fps=100.0) == pytest.approx(6.62)


def test_a_percentile_has_no_interval_where_the_requests_are_worth_too_few() -> None:
    (point,) = rate_points([offered([50.0 + n % 5 for n in range(662)], rate=10, kind="poisson")])
    p95, p99 = point.percentile(95), point.percentile(99)
    assert p95 is not None and p95.low is not None
    assert p99 == Estimate(point=54, low=None, high=None)


@pytest.mark.parametrize("percentile", [50, 90, 95])
def test_intervals_cover_a_queue_s_percentile_as_far_as_they_reach(percentile: int) -> None:
    long = simulated(steady(10 * MS, 91), rate=50, count=60_000, seed=92)
    truth = rate_points([long])[0].percentile(percentile)
    assert truth is not None
    covered = 0
    for seed in range(40):
        record = simulated(steady(10 * MS, 200 + seed), rate=50, count=700, seed=seed)
        found = rate_points([record])[0].percentile(percentile)
        assert found is not None and found.low is not None
        covered += found.low <= truth.point and (found.high is None or truth.point <= found.high)
    assert covered >= 30, "in long simulations 87 % at p95, 95 % at p50"


# ---------------------------------------------------------------- refusals


def test_a_generator_that_oversleeps_is_refused_and_answers_nothing() -> None:
    record = simulated(steady(50 * MS, 1), rate=10, count=200, kind="constant", late_ns=8 * MS)
    (point,) = rate_points([record])
    assert point.refusal == "late"
    assert point.lag_ms == 8
    assert point.refused == (
        "the generator did not keep its schedule: p50 would be 50.1 ms instead of 58.1 ms without its own lag"
    )
    assert point.latency_ms == LatencyIntervals(p50=None, p90=None, p95=None, p99=None)


@pytest.mark.parametrize(
    ("lag_ms", "latency_ms", "refusal"),
    [
        (4.9, 100.0, None),
        (5.1, 100.0, "late"),
        (0.9, 1.0, None),  # Below 1 ms it is shown, not refused.
        (1.1, 1.0, "late"),
        (1.1, 100.0, None),
    ],
)
def test_a_lag_is_late_where_it_is_more_than_one_ms_and_five_per_cent_of_a_percentile(
    lag_ms: float, latency_ms: float, refusal: Refusal | None
) -> None:
    (point,) = rate_points([offered([latency_ms] * 50, rate=1, lag_ms=lag_ms)])
    assert point.refusal == refusal


def test_a_rare_lag_is_late_only_where_it_reaches_a_percentile_that_is_shown() -> None:
    def record(late: int, of: int) -> Offered:
        lags = [20 * MS] * late + [0] * (of - late)
        slow = offered([100.0 if lag else 80.0 for lag in lags], rate=1)
        return msgspec.structs.replace(slow, lags_ns=tuple(lags))

    assert rate_points([record(3, 100)])[0].refusal is None
    assert rate_points([record(11, 100)])[0].refused == (
        "the generator did not keep its schedule: p90 would be 80 ms instead of 100 ms without its own lag"
    )


def test_arrivals_given_up_are_an_overload() -> None:
    (point,) = rate_points([offered([50.0] * 40, rate=10, unserved=3)])
    assert point.refusal == "overloaded"
    assert point.refused == (
        "more than it can serve: 10 images/s arrive, 10 are served, and 3 requests were given up; "
        "latency grows without bound"
    )


def test_a_server_that_falls_behind_is_refused_with_what_it_serves() -> None:
    (point,) = rate_points([simulated(steady(100 * MS, 1), rate=12, count=200)])
    assert point.refusal == "overloaded"
    assert point.served_fps == pytest.approx(10, rel=0.02)
    assert point.refused is not None and point.refused.startswith(
        "more than it can serve: 12 images/s arrive,"
    )


def test_the_generator_s_fault_is_found_before_the_server_s() -> None:
    (point,) = rate_points([offered([50.0] * 40, rate=10, lag_ms=30, unserved=3)])
    assert point.refusal == "late"


def test_one_bad_window_of_three_is_no_overload() -> None:
    good = offered([50.0] * 40, rate=10)
    bad = offered([50.0 + 20 * n for n in range(40)], rate=10)
    assert falls_behind(bad) and not falls_behind(good)
    assert rate_points([good, good, bad])[0].refusal is None
    assert rate_points([good, bad, bad])[0].refusal == "overloaded"


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("count", [60, 662])
@pytest.mark.parametrize("service", [steady, exponential])
def test_ordinary_queueing_is_not_taken_for_an_overload(service, count: int, slots: int) -> None:  # type: ignore[no-untyped-def]
    fired = sum(
        falls_behind(
            simulated(service(100 * MS, 500 + seed), rate=9 * slots, count=count, seed=seed, slots=slots)
        )
        for seed in range(30)
    )
    assert fired <= 1


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("count", [60, 662])
def test_a_fifth_too_much_is_seen(count: int, slots: int) -> None:
    fired = sum(
        falls_behind(
            simulated(steady(100 * MS, 500 + seed), rate=12 * slots, count=count, seed=seed, slots=slots)
        )
        for seed in range(30)
    )
    assert fired >= 26


@pytest.mark.parametrize("latencies", [[], [50.0], [50.0, 5000.0]])
def test_too_few_requests_show_no_overload(latencies: list[float]) -> None:
    assert not falls_behind(offered(latencies))
    assert rate_points([offered(latencies)])[0].refusal is None


# ---------------------------------------------------------------- the rate under a bound


def point(
    rate: float, p95: Estimate | float | None, refusal: Refusal | None = None, n: int = 200
) -> RatePoint:
    estimate = Estimate(point=p95, low=None, high=None) if isinstance(p95, float) else p95
    return RatePoint(
        rate_fps=rate,
        arrivals="poisson",
        served_fps=rate,
        latency_ms=LatencyIntervals(p50=None, p90=None, p95=estimate, p99=None),
        n=n,
        visits=6,
        disturbed=0,
        lag_ms=0.0,
        refusal=refusal,
        refused="the generator did not keep its schedule" if refusal == "late" else refusal,
    )


def within(low: float, middle: float, high: float) -> Estimate:
    return Estimate(point=middle, low=low, high=high)


def test_the_logarithm_of_latency_is_interpolated() -> None:
    # From 100 to 400 ms, 200 ms lies half way on a logarithmic scale.
    found = rate_under_bound([point(4, 100.0), point(8, 400.0)], 95, 200)
    assert found.rate == Estimate(point=pytest.approx(6), low=None, high=None)
    assert found.holds_fps == 4
    assert found.reason == ""


def test_the_interval_is_where_the_ends_cross_the_bound() -> None:
    points = [point(2, within(25, 50, 100)), point(4, within(50, 100, 200)), point(8, within(201, 400, 800))]
    found = rate_under_bound(points, 95, 200)
    assert found.rate is not None
    assert found.rate.point == pytest.approx(6)
    assert found.rate.low == pytest.approx(4)  # The upper end reaches 200 ms at 4 images/s.
    assert found.rate.high == pytest.approx(8, abs=0.02)


def test_the_first_rate_that_misses_counts_whatever_comes_after() -> None:
    points = [point(2, 100.0), point(4, 400.0), point(6, 100.0)]
    found = rate_under_bound(points, 95, 200)
    assert found.rate is not None and found.rate.point == pytest.approx(3)


def test_an_overloaded_rate_misses_and_leaves_nothing_to_interpolate() -> None:
    points = [point(4, within(90, 100, 110)), point(8, None, "overloaded")]
    found = rate_under_bound(points, 95, 200)
    assert found.rate == Estimate(point=4, low=4, high=8)


def test_rates_without_an_answer_are_passed_over() -> None:
    points = [point(2, None, "late"), point(4, 100.0), point(6, None), point(8, 400.0)]
    found = rate_under_bound(points, 95, 200)
    assert found.rate is not None and found.rate.point == pytest.approx(6)


def test_an_upper_end_that_misses_from_the_start_gives_a_low_end_of_zero() -> None:
    points = [point(2, within(50, 100, 300)), point(4, within(250, 400, 900))]
    found = rate_under_bound(points, 95, 200)
    assert found.rate is not None and found.rate.low == 0


def test_rates_without_an_interval_are_passed_over_for_the_answer_s_interval() -> None:
    points = [point(2, within(50, 60, 70)), point(4, 100.0), point(8, within(300, 400, 500))]
    found = rate_under_bound(points, 95, 200)
    assert found.rate is not None
    # On a logarithmic scale 200 lies between 70 and 500, and between 50 and 300, this far:
    assert found.rate.low == pytest.approx(2 + 6 * math.log(200 / 70) / math.log(500 / 70))
    assert found.rate.high == pytest.approx(2 + 6 * math.log(200 / 50) / math.log(300 / 50))
    below = rate_under_bound([point(2, within(50, 60, 70)), point(4, 100.0), point(8, 400.0)], 95, 200)
    assert below.rate is not None
    assert (below.rate.low, below.rate.high) == (2, None), "surely 2, and nothing surely misses"
    unsure = rate_under_bound([point(4, 100.0), point(8, 400.0)], 95, 200)
    assert unsure.rate is not None and (unsure.rate.low, unsure.rate.high) == (None, None)


def test_a_missing_interval_beyond_the_answer_does_no_harm() -> None:
    points = [point(2, within(50, 60, 70)), point(4, within(250, 300, 400)), point(8, 4000.0)]
    found = rate_under_bound(points, 95, 200)
    assert found.rate is not None and found.rate.low is not None and found.rate.high is not None


@pytest.mark.parametrize(
    ("points", "holds", "reason"),
    [
        ([point(4, 100.0), point(8, 150.0)], 8, "so it is at least 8 images/s"),
        ([point(4, 250.0)], None, "even the lowest rate tried, 4 images/s, misses the bound: p95 is 250 ms"),
        ([point(4, None, "overloaded")], None, "4 images/s, is more than it can serve"),
        ([point(4, None, n=70), point(8, None, n=90)], None, "p95 not measurable: 90 of 130 samples"),
        ([point(4, None, "late")], None, "the generator did not keep its schedule"),
        ([], None, "no rate was tried"),
    ],
)
def test_where_there_is_no_rate_the_reason_says_why(
    points: list[RatePoint], holds: float | None, reason: str
) -> None:
    found = rate_under_bound(points, 95, 200)
    assert found.rate is None
    assert found.holds_fps == holds
    assert reason in found.reason
