"""What runs of the same code differ by is not called a change, and what is one is found."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from looks import Noise, drawn, template

from benchmarks.simulated import NOISES, generator
from perftool.analysis import drift
from perftool.analysis.compare import compare
from perftool.analysis.compared import Comparison
from perftool.analysis.drift import Figures
from perftool.analysis.metrics import LATENCY, THROUGHPUT
from perftool.analysis.stats import Estimate

ROWS = (THROUGHPUT, LATENCY[50])
BASE = template()


def quiet(
    rng: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Draw visits that spread by 1 %."""
    return 1 + 0.01 * rng.standard_normal(shape)


def verdicts(found: Comparison) -> set[str]:
    own = {shift.verdict for each in found.configurations for shift in each.shifts}
    return own | {one.verdict for one in found.common}


def simulated(name: str, noise: Noise, pairs: int, **second: object) -> list[Comparison]:
    """Compare simulated pairs of runs; `second` says what is different in the second ones."""
    rng = generator("compare", name)
    return [
        compare(
            drawn(rng, BASE, noise),
            drawn(rng, BASE, noise, **second),  # type: ignore[arg-type]
            ROWS,
            threshold=0.03,
        )
        for _ in range(pairs)
    ]


@pytest.mark.parametrize("name", ["quiet", "normal", "spiky", "loaded"])
def test_two_runs_of_the_same_code_cry_no_regression(name: str) -> None:
    found = simulated(name, {**NOISES, "quiet": quiet}[name], 200)
    regressions = sum(bool(one.regressions) for one in found)
    moved = sum(bool(verdicts(one) & {"worse", "better"}) for one in found)
    assert regressions <= 0.05 * len(found)
    assert moved <= 0.10 * len(found)


def test_plain_intervals_would_cry_regression_in_many_pairs() -> None:
    found = simulated("plain", quiet, 60)
    cries = 0
    for one in found:
        ratios = [each.shifts[0].ratio for each in one.configurations]
        cries += any(ratio and ratio.high is not None and ratio.high < 1 for ratio in ratios)
    assert cries > 0.4 * len(found)


def test_one_configuration_that_is_slower_is_found_and_no_other() -> None:
    changes = np.ones(14)
    changes[7] = 0.75
    found = simulated("one", NOISES["normal"], 40, changes=changes)
    caught = [
        one
        for one in found
        if [each.id for each in one.configurations if each.regression] == [BASE.summary.configurations[5].id]
    ]
    assert len(caught) >= 0.7 * len(found)


def test_what_is_slower_everywhere_is_said_of_all_and_of_no_configuration() -> None:
    found = simulated("all", quiet, 40, changes=0.85)
    common = [one for one in found if any(each.regression for each in one.common)]
    single = [one for one in found if any(each.regression for each in one.configurations)]
    assert len(common) >= 0.9 * len(found)
    assert len(single) <= 0.1 * len(found)


def test_all_but_the_baselines_slower_is_no_machine() -> None:
    changes = np.full(14, 0.75)
    changes[:2] = 1.0
    found = simulated("but baselines", NOISES["normal"], 20, changes=changes)
    for one in found:
        assert {each.kind for each in one.common} == {"most"}
        assert any(each.regression for each in one.common)
        assert any("which its hint baselines did not follow" in note for note in one.notes)
        assert not any(each.regression for each in one.configurations if not each.baseline)


# ---------------------------------------------------------------- the parts


def test_a_control_takes_out_what_a_round_and_a_run_did() -> None:
    before = {0: 10.0, 1: 8.0, 2: 10.0, 3: 5.0, 4: 10.0, 5: 9.0}
    control = {key: value * 2 for key, value in before.items()}
    slow = {key: value * 0.7 for key, value in before.items()}
    change = drift.relative_change(
        before, slow, (control, {key: value * 1.4 for key, value in before.items()})
    )
    assert change is not None
    assert (change.point, change.low, change.high) == pytest.approx((1.0, 1.0, 1.0))


def test_the_control_is_the_geometric_mean_of_rounds_that_all_have() -> None:
    assert drift.control_series([{0: 2.0, 1: 3.0}, {0: 8.0, 2: 1.0}]) == pytest.approx({0: 4.0})
    assert drift.control_series([]) == {}


def test_processes_that_differ_are_seen_and_a_change_of_all_is_not() -> None:
    processes = {round: round // 3 for round in range(6)}
    luck = (0.1, -0.1, 0.05, -0.05, 0.08, -0.08)
    run = [
        Figures({round: 10 * math.exp(one * (round // 3)) for round in range(6)}, processes) for one in luck
    ]
    drifting = [
        Figures({key: value * (0.5 if key > 2 else 1) for key, value in one.values.items()}, processes)
        for one in run
    ]
    still = [Figures({round: 10.0 for round in range(6)}, processes) for _ in luck]
    assert drift.process_scale([run]) == pytest.approx(drift.process_scale([drifting]))
    assert drift.process_scale([run]) > 2 * drift.process_scale([still])
    assert 0 < drift.process_scale([still, still]) < drift.GUESSED_PROCESS
    assert drift.process_scale([]) == drift.GUESSED_PROCESS


def test_a_machine_that_drifts_inside_a_run_may_have_drifted_between_runs() -> None:
    level = {round: 10.0 for round in range(6)}
    falling = {round: 10.0 - round for round in range(6)}
    assert drift.machine_scale([]) == drift.GUESSED_MACHINE
    assert drift.machine_scale([[level], [level]]) < drift.GUESSED_MACHINE
    assert drift.machine_scale([[falling], [level]]) > drift.GUESSED_MACHINE
    mostly = [falling, level, level]
    assert drift.machine_scale([mostly, mostly]) < drift.GUESSED_MACHINE


def test_more_processes_have_less_luck_and_a_control_has_its_own() -> None:
    assert drift.luck(0.02, 2, 2, 0.0) == pytest.approx(0.02)
    assert drift.luck(0.02, 4, 4) < drift.luck(0.02, 2, 2) < drift.luck(0.03, 2, 2)
    assert drift.luck(0.0, 2, 2, 0.03) == pytest.approx(0.03 * math.sqrt(2)), "each run has its own"


RATIO = st.floats(0.5, 2.0)
REACH = st.floats(1.001, 1.5)


@given(RATIO, REACH, REACH, st.floats(3, 40))
def test_a_p_value_is_below_5_percent_exactly_where_the_interval_leaves_out_1(
    point: float, down: float, up: float, degrees: float
) -> None:
    ratio = Estimate(point=point, low=point / down, high=point * up)
    found = drift.p_value(ratio, degrees)
    assert found is not None and 0 <= found <= 1
    edge = min(abs(math.log(point / down)), abs(math.log(point * up)))
    if edge > 1e-6:
        assert (found < 0.05) == (not point / down <= 1 <= point * up)


@given(RATIO, REACH, st.floats(0.0, 0.2))
def test_what_is_not_known_only_widens(point: float, reach: float, deviation: float) -> None:
    ratio = Estimate(point=point, low=point / reach, high=point * reach)
    for found in (drift.at_least(ratio, deviation, 10), drift.added(ratio, deviation, 10)):
        assert found.point == point
        assert found.low is not None and ratio.low is not None and found.low <= ratio.low * (1 + 1e-12)
        assert found.high is not None and ratio.high is not None and found.high >= ratio.high * (1 - 1e-12)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_keeps_the_order_and_lowers_nothing(p_values: list[float]) -> None:
    found = drift.holm(p_values)
    assert len(found) == len(p_values)
    for before, after in zip(p_values, found, strict=True):
        assert before <= after <= min(1.0, before * max(len(p_values), 1)) + 1e-12
    ranked = sorted(zip(p_values, found, strict=True))
    assert [after for _, after in ranked] == sorted(found)


def test_holm_as_in_the_textbook() -> None:
    assert drift.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_mean_of_ratios_is_surer_than_each() -> None:
    ratio = Estimate(point=2.0, low=1.6, high=2.5)
    mean = drift.geometric_mean([ratio, ratio])
    assert mean is not None and mean.low is not None and mean.high is not None
    assert mean.point == pytest.approx(2.0)
    assert 1.6 < mean.low < 2 < mean.high < 2.5
    bare = drift.geometric_mean([ratio, Estimate(point=1.0, low=None, high=None)])
    assert bare is not None and bare.low is None
    assert drift.geometric_mean([]) is None
