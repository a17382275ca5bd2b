"""Estimates: against figures worked by hand, against scipy.stats' definitions, and by property."""

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from perftool.analysis.stats import (
    SHARES,
    Estimate,
    by_round,
    coefficient_of_variation,
    count_outliers,
    drop_interval,
    halves_ratio,
    mcnemar_p,
    median_estimate,
    paired_change,
    paired_ratio,
    percentile_estimate,
    pooled,
    quantiles,
    ratio_of_independent,
    samples_needed,
    trend,
)

FIGURES = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=40)


def binomial(successes: int, trials: int, p: float) -> float:
    """Return P(Binomial <= successes), by its sum."""
    return sum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes + 1))


# ---------------------------------------------------------------- medians


def test_median_of_six_visits_interpolates_between_the_two_outer_ones() -> None:
    # (min, max) covers 31/32, the next pair 25/32; Hettmansperger & Sheather: lambda = 0.5/1.4
    estimate = median_estimate([1, 2, 3, 4, 5, 6])
    weight = 5 * 0.1 / (1 + 4 * 0.1)
    assert estimate.point == 3.5
    assert estimate.low == pytest.approx(1 + weight)
    assert estimate.high == pytest.approx(6 - weight)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_below_six_visits_there_is_no_interval(count: int) -> None:
    estimate = median_estimate(list(range(count)))
    assert (estimate.low, estimate.high) == (None, None)


def test_no_visit_has_no_median() -> None:
    with pytest.raises(ValueError, match="at least one"):
        median_estimate([])


@given(FIGURES)
def test_an_interval_holds_its_point_and_stays_within_the_values(values: list[float]) -> None:
    estimate = median_estimate(values)
    if len(values) >= 6:
        assert estimate.low is not None and estimate.high is not None
        assert min(values) <= estimate.low <= estimate.point <= estimate.high <= max(values)


@given(FIGURES, st.floats(0.5, 2))
def test_a_median_scales(values: list[float], factor: float) -> None:
    one, other = median_estimate(values), median_estimate([factor * value for value in values])
    assert other.point == pytest.approx(factor * one.point)


@given(st.lists(st.floats(1, 100), min_size=6, max_size=12), st.integers(0, 11), st.floats(0, 50))
def test_raising_a_value_lowers_nothing(values: list[float], index: int, more: float) -> None:
    before = median_estimate(values)
    values[index % len(values)] += more
    after = median_estimate(values)
    for x, y in ((before.low, after.low), (before.point, after.point), (before.high, after.high)):
        assert x is not None and y is not None and y >= x - 1e-9


def test_the_median_interval_covers_95_percent_of_all_orders() -> None:
    """Enumerate which side of the median each of eight visits falls on: coverage between the bracket's."""
    hits = sum(1 <= sum(sides) <= 7 for sides in product((0, 1), repeat=8)) / 2**8
    inner = sum(2 <= sum(sides) <= 6 for sides in product((0, 1), repeat=8)) / 2**8
    assert inner < 0.95 < hits


# ---------------------------------------------------------------- ratios


def test_ratios_are_paired_inside_rounds() -> None:
    machine = [1.0, 0.5, 0.9, 0.7, 1.0, 0.8]
    slow = {index: 10 * speed for index, speed in enumerate(machine)}
    fast = {index: 30 * speed for index, speed in enumerate(machine)} | {9: 1.0}
    ratio = paired_ratio(fast, slow)
    assert ratio is not None and ratio.low is not None and ratio.high is not None
    assert (ratio.low, ratio.point, ratio.high) == pytest.approx((3, 3, 3))


def test_without_a_shared_round_there_is_no_ratio() -> None:
    assert paired_ratio({1: 1.0}, {2: 1.0}) is None


def test_several_visits_in_a_round_count_as_their_median() -> None:
    assert by_round([(1, 3.0), (0, 1.0), (1, 5.0), (1, 100.0)]) == {0: 1.0, 1: 5.0}


# ---------------------------------------------------------------- outliers and noise


def test_outliers_are_three_scaled_mads_away() -> None:
    # median 10, MAD 1, so beyond 10 +- 4.4478
    assert count_outliers([9, 10, 11, 9, 11, 10, 14.4]) == 0
    assert count_outliers([9, 10, 11, 9, 11, 10, 14.5]) == 1
    assert count_outliers([10, 10, 10, 10, 3]) == 0
    assert count_outliers([1, 100]) == 0


def test_coefficient_of_variation() -> None:
    assert coefficient_of_variation([8, 10, 12]) == pytest.approx(0.2)
    assert coefficient_of_variation([8]) is None


# ---------------------------------------------------------------- percentiles


@pytest.mark.parametrize(
    ("percentile", "count"), [(50, 11), (90, 64), (95, 130), (97, 219), (99, 662), (99.9, 6636)]
)
def test_samples_that_a_percentile_takes(percentile: float, count: int) -> None:
    assert samples_needed(percentile) == count
    assert binomial(1, count, 1 - percentile / 100) <= 0.01 < binomial(1, count - 1, 1 - percentile / 100)


@pytest.mark.parametrize("percentile", [0, 100, -1])
def test_no_such_percentile(percentile: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        samples_needed(percentile)


def test_a_percentile_that_the_samples_cannot_carry_is_none() -> None:
    assert percentile_estimate([[1.0] * 65, [1.0] * 64], 95) is None
    assert percentile_estimate([[1.0] * 65, [1.0] * 65], 95) is not None
    assert percentile_estimate([], 50) is None


def test_a_distribution_ends_where_its_samples_carry_no_more() -> None:
    def carried(count: int) -> list[float]:
        found = quantiles(pooled([[float(value) for value in range(count)]]))
        return [share for share, value in zip(SHARES, found, strict=True) if value is not None]

    assert quantiles(pooled([])) == quantiles(pooled([[1.0] * 10])) == ()
    assert carried(11) == [0.5]
    assert carried(130) == [share for share in SHARES if 0.05 <= share <= 0.95]
    assert carried(661)[-1] < 0.99 and carried(662) == list(SHARES)


def test_a_percentile_of_few_visits_has_no_interval() -> None:
    assert percentile_estimate([list(range(101))], 90) == Estimate(point=90, low=None, high=None)


def test_like_visits_give_the_interval_of_independent_samples() -> None:
    # 6 visits of the same 40 values: no visit differs, so 240 samples count in full. Clopper-Pearson for
    # 120 of 240 is 0.435 to 0.565; the pooled samples are 0..39, six of each.
    estimate = percentile_estimate([list(range(40))] * 6, 50)
    assert estimate is not None and estimate.low is not None and estimate.high is not None
    assert estimate.point == 19.5
    assert (estimate.low, estimate.high) == (17, 22)


def test_the_upper_end_of_an_upper_percentile_needs_samples_that_surely_carry_it() -> None:
    alike = [[float(value) for value in range(40)]] * 6
    found = percentile_estimate(alike, 90)
    assert found is not None and found.high is not None, "240 samples, all worth themselves"
    apart = [[value + 10.0 * visit for value in range(40)] for visit in range(6)]
    found = percentile_estimate(apart, 90)
    assert found is not None and found.low is not None
    assert found.high is None, "the slowest visit is no bound"
    known = percentile_estimate(apart, 90, surely=64)
    assert known is not None and known.high is not None
    median_ = percentile_estimate(apart, 50)
    assert median_ is not None and median_.high is not None, "a median lies in the middle of what was seen"


def test_visits_that_differ_widen_the_interval() -> None:
    like = percentile_estimate([[10 + 0.01 * i for i in range(40)]] * 6, 50)
    unlike = percentile_estimate([[10 + visit + 0.01 * i for i in range(40)] for visit in range(6)], 50)
    assert like is not None and like.low is not None and like.high is not None
    assert unlike is not None and unlike.low is not None and unlike.high is not None
    assert like.high - like.low < 0.1
    assert unlike.high - unlike.low > 3


@given(
    st.lists(st.lists(st.floats(1, 100), min_size=11, max_size=20), min_size=6, max_size=8),
    st.just(50),
)
def test_a_percentile_lies_in_its_interval(visits: list[list[float]], percentile: float) -> None:
    estimate = percentile_estimate(visits, percentile)
    assert estimate is not None and estimate.low is not None
    assert estimate.low <= estimate.point + 1e-9
    assert estimate.high is not None and estimate.point <= estimate.high + 1e-9


# ---------------------------------------------------------------- accuracy


def test_mcnemar_is_a_sign_test_on_the_changed_images() -> None:
    assert mcnemar_p(0, 0) == 1
    assert mcnemar_p(3, 3) == 1
    assert mcnemar_p(0, 5) == pytest.approx(2 / 32)
    assert mcnemar_p(1, 8) == pytest.approx(2 * 10 / 512)


def test_drop_worked_by_hand() -> None:
    # 400 images, 2 gained, 3 lost: (3 - 2) / 402 +- 1.96 sqrt((7 - 1/402) / 402^2)
    change = paired_change(2, 3, 400)
    half = 1.959964 * math.sqrt(7 / 402 - (1 / 402) ** 2) / math.sqrt(402)
    assert change.drop_pp == 0.25
    assert change.low_pp == pytest.approx(100 * (1 / 402 - half), abs=1e-4)
    assert change.high_pp == pytest.approx(100 * (1 / 402 + half), abs=1e-4)
    assert change.p_value == 1


def test_no_change_at_all_is_no_proof_of_no_drop() -> None:
    low, high = drop_interval(0, 0, 200)
    assert -0.02 < low < -0.01 and 0.01 < high < 0.02


@pytest.mark.parametrize(("gained", "lost", "images"), [(1, 0, 0), (-1, 0, 5), (3, 3, 5)])
def test_impossible_counts(gained: int, lost: int, images: int) -> None:
    with pytest.raises(ValueError, match="cannot gain"):
        drop_interval(gained, lost, images)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 900))
def test_a_drop_lies_in_its_interval_and_gains_mirror_losses(gained: int, lost: int, more: int) -> None:
    images = gained + lost + more
    low, high = drop_interval(gained, lost, images)
    assert -1 <= low <= (lost - gained) / images <= high <= 1
    assert drop_interval(lost, gained, images) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("gain", "loss"), [(0.0, 0.005), (0.005, 0.01), (0.01, 0.015), (0.01, 0.04)])
def test_the_drops_interval_covers_95_percent(gain: float, loss: float) -> None:
    """Sum the probability of all outcomes of 200 images whose interval holds the true drop."""
    images, covered = 200, 0.0
    for gained, lost in product(range(22), repeat=2):
        low, high = drop_interval(gained, lost, images)
        if low <= loss - gain <= high:
            rest = images - gained - lost
            ways = math.comb(images, gained) * math.comb(images - gained, lost)
            covered += ways * gain**gained * loss**lost * (1 - gain - loss) ** rest
    assert covered > 0.95


# ---------------------------------------------------------------- confidence, drift, independent ratios


def test_99_percent_takes_eight_values() -> None:
    seven, eight = median_estimate(range(1, 8), 0.99), median_estimate(range(1, 9), 0.99)
    assert (seven.low, seven.high) == (None, None), "1 - 2/2**7 = 0.984"
    # (min, max) covers 1 - 2/256 = 127/128, the next pair 1 - 18/256.
    wide, narrow = 127 / 128, 238 / 256
    share = (wide - 0.99) / (wide - narrow)
    weight = 7 * share / (1 + 6 * share)
    assert eight.low == pytest.approx(1 + weight)
    assert eight.high == pytest.approx(8 - weight)


def test_halves_of_a_series_by_hand() -> None:
    assert halves_ratio([10, 12, 11, 99, 20, 22, 24]) == 22 / 11
    assert halves_ratio([1, 3]) == 3
    with pytest.raises(ValueError, match="two values"):
        halves_ratio([1])


def test_a_falling_series_of_six_has_a_trend_by_hand() -> None:
    found = trend([1.6, 0.8, 0.4, 0.2, 0.1, 0.05])
    assert found is not None
    assert found.p_value == pytest.approx(2 / math.factorial(6)), "one order falls, one rises"
    assert found.change == pytest.approx(1 / 32 - 1)
    assert trend([1.0, 2.0]) is None


def test_one_slow_visit_is_no_trend() -> None:
    found = trend([10.0, 10.1, 9.9, 10.0, 10.1, 2.0])
    assert found is not None and found.p_value > 0.05


def test_nothing_falls_by_more_than_all_of_it() -> None:
    """The canary of a machine that was quiet at first, and then was not."""
    found = trend([10.9, 9.8, 4.6, 4.4, 0.9, 0.8])
    assert found is not None and -1 < found.change < -0.9
    back = trend([0.8, 0.9, 4.4, 4.6, 9.8, 10.9])
    assert back is not None and (1 + back.change) * (1 + found.change) == pytest.approx(1)


@given(st.lists(st.integers(1, 1000), min_size=3, max_size=12, unique=True))
def test_the_trend_is_kendalls_tau_against_time(values: list[int]) -> None:
    found = trend([float(value) for value in values])
    assert found is not None
    expected = kendalltau(range(len(values)), values, method="exact").pvalue
    assert found.p_value == pytest.approx(expected)


def test_the_ratio_of_independent_figures_worked_by_hand() -> None:
    a, b = Estimate(point=20.0, low=10.0, high=40.0), Estimate(point=10.0, low=5.0, high=20.0)
    found = ratio_of_independent(a, b)
    assert found.point == 2.0
    reach = math.hypot(math.log(2), math.log(2))
    assert found.low == pytest.approx(2.0 * math.exp(-reach))
    assert found.high == pytest.approx(2.0 * math.exp(reach))
    alone = ratio_of_independent(a, Estimate(point=10.0, low=None, high=None))
    assert (alone.point, alone.low, alone.high) == (2.0, None, None)
