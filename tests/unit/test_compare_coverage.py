"""What the baseline run could judge and the run cannot does not pass; what is the control is checked."""

import msgspec
import numpy as np
import pytest
from journals import BASELINES, EVALUATIONS, NINE, Journal, Measured, changed
from looks import look, nine_look

from perftool.analysis import drift
from perftool.analysis.compare import compare, compare_sides, metrics_of, optional_of, shift_of
from perftool.analysis.compared import Comparison
from perftool.analysis.control import Pair, find_control
from perftool.analysis.matching import Look, match, processes_of
from perftool.analysis.metrics import LATENCY, MEMORY, THROUGHPUT, TOP1, rate_metric
from perftool.analysis.result import LatencyIntervals, RatePoint
from perftool.analysis.stats import Estimate
from perftool.analysis.verdicts import is_beyond, judge
from perftool.journal import Drop, Entry, Raced
from perftool.render.compare import verdict
from perftool.spec import Bound, Grid, Limits, Profile

INT8 = "cpu-int8-b1-s2"
ROWS = (THROUGHPUT, LATENCY[50], MEMORY, TOP1)


def compared(before: Look, now: Look, threshold: float | None = 0.03) -> Comparison:
    return compare(before, now, ROWS, threshold=threshold)


def lost(found: Comparison) -> dict[str, tuple[bool, bool]]:
    """Return what is lost: whether that is worse, and whether nobody asked for it."""
    return {one.subject: (one.worse, one.meant) for one in found.lost}


# ---------------------------------------------------------------- the race


def raced(speed: float, rounds: int, by: str = "cpu-int8-b4-s1") -> Look:
    """Return a run in which a race dropped a configuration after some rounds, `speed` times as fast."""
    measured = tuple(
        changed(one, fps=one.fps * speed, rounds=rounds) if one.id == INT8 else one for one in NINE
    )
    run = Journal(measured, EVALUATIONS).run()
    drop = Drop(configuration=INT8, by=by, reason=f"dropped after {rounds} rounds: surely beaten by {by}")
    record = Entry(at_ns=run.entries[-1].at_ns, record=Raced(round=rounds - 1, drops=(drop,), front=()))
    return look(msgspec.structs.replace(run, entries=(*run.entries, record)), "now")


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_what_a_race_drops_early_since_it_is_slower_is_a_regression(rounds: int) -> None:
    found = compared(nine_look(), raced(0.4, rounds))
    assert [each.id for each in found.configurations if each.regression] == [INT8]
    assert any(text.startswith(f"{INT8}: throughput") and "0.40x" in text for text in found.regressions)
    assert INT8 not in lost(found)


def test_what_a_race_drops_though_it_is_as_fast_as_before_cannot_be_judged_and_is_named() -> None:
    found = compared(nine_look(), raced(1.0, 2))
    assert found.regressions == ()
    assert lost(found) == {INT8: (False, False)}
    said = verdict(found, 0.03)
    assert said.startswith("not comparable in all: ") and INT8 in said and "a race dropped it" in said


def test_what_is_dropped_early_and_slower_by_no_more_than_luck_is_no_regression() -> None:
    found = compared(nine_look(), raced(0.93, 2))
    assert found.regressions == () and lost(found) == {INT8: (False, False)}


def test_what_the_baseline_run_dropped_early_too_it_could_not_judge() -> None:
    found = compared(raced(1.0, 5), raced(0.4, 2))
    assert found.regressions == () and lost(found) == {}


def test_a_rival_that_became_faster_makes_nothing_worse() -> None:
    rival = "cpu-int8-b4-s1"
    fast = raced(1.0, 2)
    series = dict(fast.summary.series)
    series[rival] = msgspec.structs.replace(
        series[rival],
        throughput_fps={key: 3 * value for key, value in series[rival].throughput_fps.items()},
    )
    summary = msgspec.structs.replace(fast.summary, series=series)
    found = compared(nine_look(), Look(run=fast.run, summary=summary, choice=fast.choice))
    assert not any(text.startswith(INT8) for text in found.regressions)
    assert INT8 in lost(found)


def test_what_the_race_dropped_before_too_is_not_missed() -> None:
    found = compared(raced(1.0, 2), raced(1.0, 2))
    assert lost(found) == {} and found.regressions == ()


# ---------------------------------------------------------------- rates, devices, accuracies


def serving(rates: dict[float, float]) -> Look:
    """Return a run in which a configuration was offered rates; for each its p95 in ms."""
    one = look(Journal(NINE, EVALUATIONS).run(objective="rate", limits=Limits(slo_ms=100.0, percentile=95)))
    points = tuple(
        RatePoint(
            rate_fps=rate,
            arrivals="poisson",
            served_fps=rate,
            latency_ms=LatencyIntervals(
                p50=None, p90=None, p95=Estimate(point=ms, low=0.9 * ms, high=1.1 * ms), p99=None
            ),
            n=1000,
            visits=6,
            disturbed=0,
            lag_ms=0.1,
            refusal=None,
            refused=None,
        )
        for rate, ms in rates.items()
    )
    configurations = tuple(
        msgspec.structs.replace(each, open=points) if each.id == INT8 else each
        for each in one.summary.configurations
    )
    summary = msgspec.structs.replace(one.summary, configurations=configurations)
    return Look(run=one.run, summary=summary, choice=one.choice)


def test_a_rate_that_is_gone_since_its_bound_is_missed_is_a_regression() -> None:
    rows = (rate_metric(Limits(slo_ms=100.0, percentile=95)), THROUGHPUT)
    before = serving({10.0: 50.0, 20.0: 80.0, 30.0: 150.0})
    gone = compare(before, serving({10.0: 400.0, 20.0: 500.0}), rows, threshold=0.03)
    assert lost(gone) == {INT8: (True, False)}
    assert any(
        text.startswith(f"{INT8}: rate before, and no more: even the lowest rate")
        for text in gone.regressions
    )
    assert compare(before, serving({10.0: 400.0}), rows, threshold=None).regressions == ()
    higher = compare(before, serving({28.0: 400.0}), rows, threshold=0.03)
    assert lost(higher) == {INT8: (False, False)}, "the rate may be what it was: none as low was tried"
    untried = compare(before, serving({}), rows, threshold=0.03)
    assert lost(untried) == {INT8: (False, False)} and untried.regressions == ()


def test_what_became_of_a_configuration_decides_whether_it_is_missed() -> None:
    refused = tuple(
        changed(one, rounds=0, left_out="no such thing") if one.id == INT8 else one for one in NINE
    )
    found = compared(nine_look(), look(Journal(refused, EVALUATIONS).run()))
    assert lost(found) == {INT8: (True, False)}
    assert any("skipped: no such thing" in text for text in found.regressions)
    unfinished = tuple(changed(one, rounds=0) if one.id == INT8 else one for one in NINE)
    found = compared(nine_look(), look(Journal(unfinished, EVALUATIONS).run()))
    assert lost(found) == {INT8: (False, False)} and found.regressions == ()
    other = tuple(one for one in NINE if one.precision != "INT8")
    found = compared(nine_look(), look(Journal(other, EVALUATIONS[:3]).run(), "now"))
    assert set(lost(found).values()) == {(False, True)} and len(found.lost) == 4, "nor its accuracy"
    assert "not asked of now: " in verdict(found, 0.03)
    assert verdict(found, 0.03).startswith("no regression")


def test_accuracy_that_is_gone_is_missed_and_few_lost_images_are_found_beside_many_speeds() -> None:
    found = compared(nine_look(), look(Journal(NINE, EVALUATIONS[:3]).run()))
    assert lost(found) == {"int8 file in f32 on CPU": (False, False)}
    worse = msgspec.structs.replace(
        EVALUATIONS[0],
        top5=tuple((9, *one[1:]) if turn < 9 else one for turn, one in enumerate(EVALUATIONS[0].top5)),
    )
    found = compared(nine_look(), look(Journal(NINE, (worse, *EVALUATIONS[1:])).run()))
    assert any("9 images lost and 0 gained of 200" in text for text in found.regressions)


def test_p95_is_left_out_where_nobody_named_it_and_nothing_bounds_it() -> None:
    profile = Profile(name="x", grids=(Grid(),))
    rows = metrics_of(profile, ())
    assert optional_of(profile, ()) == ("latency_p95",) and optional_of(profile, ["latency_p95"]) == ()
    bound = Bound(metric="latency_p95", way="<=", value=30.0)
    limited = (Limits(latency_ms=30.0, percentile=95), Limits(bounds=(bound,)))
    for limits in limited:
        assert optional_of(msgspec.structs.replace(profile, limits=limits), ()) == ()
    few = tuple(changed(one, completions=15) for one in NINE)
    before, now = (look(Journal(few, EVALUATIONS).run()) for _ in range(2))
    found = compare(before, now, rows, threshold=0.03, optional=("latency_p95",))
    assert "latency_p95" not in found.metrics
    assert not any(one.metric == "latency_p95" for each in found.configurations for one in each.shifts)
    assert sum(note.startswith("latency_p95 is left out") for note in found.notes) == 1
    asked = compare(before, now, rows, threshold=0.03)
    assert "latency_p95" in asked.metrics


# ---------------------------------------------------------------- what stands for the machine


def test_baselines_that_became_faster_do_not_hide_a_slower_configuration() -> None:
    faster = {one.id: 2.0 for one in BASELINES}
    found = compared(nine_look(), nine_look("now", {**faster, INT8: 0.75}))
    assert [each.id for each in found.configurations if each.regression] == [INT8]
    assert {one.kind for one in found.common} == {"most"}
    assert any("so most configurations of CPU are the control" in note for note in found.notes)
    assert any("against most configurations" in text for text in found.regressions)


def test_baselines_that_resolved_otherwise_are_no_control_and_nothing_else_is_called_slower() -> None:
    slower = {one.id: 0.5 for one in BASELINES}
    measured = tuple(
        changed(one, fps=one.fps * slower.get(one.id, 1.0), executed="f32" if one.hint else None)
        for one in NINE
    )
    found = compared(nine_look(), look(Journal(measured, EVALUATIONS).run()))
    assert {each.id for each in found.configurations if each.regression} == set(slower)
    assert not any(one.regression for one in found.common)
    assert all("ran in bf16 before, f32 now" in text for text in found.regressions)
    alike = tuple(changed(one, executed="f32" if one.hint else None) for one in NINE)
    found = compared(nine_look(), look(Journal(alike, EVALUATIONS).run()))
    assert not any(each.control for each in found.configurations), "as fast, and something else"


def test_half_of_the_configurations_slower_leaves_the_baselines_the_control() -> None:
    slower = {one.id: 0.7 for one in NINE if not one.hint and one.precision in ("INT8", "BF16")}
    found = compared(nine_look(), nine_look("now", dict(list(slower.items())[:4])))
    assert {one.kind for one in found.common} == {"baselines"}
    assert {each.id for each in found.configurations if each.regression} == set(list(slower)[:4])


@pytest.mark.parametrize(("factor", "control"), [(0.95, True), (0.85, False), (1.05, True), (1.15, False)])
def test_a_baseline_is_no_control_where_it_surely_moved_apart(factor: float, control: bool) -> None:
    found = compared(nine_look(), nine_look("now", {BASELINES[0].id: factor}))
    (baseline,) = [each for each in found.configurations if each.id == BASELINES[0].id]
    assert baseline.control == control and baseline.baseline


def test_configurations_that_scattered_tell_less_of_what_most_of_them_did() -> None:
    factors = (1.1, 1.0, 0.95, 0.9, 0.88, 0.85, 0.8, 0.75, 0.7)
    mixed = dict(zip((one.id for one in NINE if not one.hint), factors, strict=True))
    assert {one.kind for one in compared(nine_look(), nine_look("now", mixed)).common} == {"baselines"}
    alike = dict.fromkeys(mixed, 0.88)
    assert {one.kind for one in compared(nine_look(), nine_look("now", alike)).common} == {"most"}


def test_a_baseline_counts_among_the_tests_whether_it_is_the_control_or_not() -> None:
    """It would have been judged by the difference that it was chosen by."""
    before, now = nine_look(), nine_look("now", {INT8: 0.8})
    matched, _ = match(before, now)
    pair = Pair(before, now, processes_of(before.run), processes_of(now.run))
    control = find_control(pair, "CPU", matched)
    (one,) = [each for each in matched if each.before.id == INT8]
    alone = shift_of(pair, control, one, THROUGHPUT, judged=True, member=False, loaded=False)
    found = compare(before, now, (THROUGHPUT,))
    (together,) = [each.shifts[0] for each in found.configurations if each.id == INT8]
    assert alone.p_value is not None
    assert together.p_value == pytest.approx(len(NINE) * alone.p_value)


def test_of_two_baselines_alone_the_one_that_moved_as_the_median_stays() -> None:
    few = (*BASELINES, Measured(precision="INT8", streams=2, fps=33.0))
    for odd in BASELINES:
        now = tuple(changed(one, fps=one.fps * (0.6 if one.id == odd.id else 1.0)) for one in few)
        found = compared(look(Journal(few).run()), look(Journal(now).run()))
        assert [each.id for each in found.configurations if each.regression] == [odd.id]
        assert sum(each.control for each in found.configurations) == 1


def test_what_all_changed_by_is_judged_with_the_drift_of_machines_in_mind() -> None:
    even = tuple(changed(one, wobble=0.0) for one in NINE)
    before = look(Journal(even, machine=(1.0,)).run())
    for factor, verdicts in ((0.93, {"undecided"}), (0.85, {"worse"})):
        found = compared(before, look(Journal(even, machine=(factor,)).run()))
        assert {one.verdict for one in found.common} == verdicts


def test_machines_that_are_seen_to_drift_make_what_all_changed_by_less_sure() -> None:
    even = tuple(changed(one, wobble=0.0) for one in NINE)
    before = [look(Journal(even, machine=(1.0,)).run(), f"a{turn}") for turn in range(4)]
    reaches = []
    for factors in ((0.87,) * 4, (0.75, 1.0, 0.78, 0.98)):
        now = [look(Journal(even, machine=(one,)).run(), f"b{turn}") for turn, one in enumerate(factors)]
        ratio = compare_sides(before, now, (THROUGHPUT,), threshold=0.03).common[0].ratio
        assert ratio.point == pytest.approx(0.87, abs=0.005) and ratio.low is not None
        reaches.append(ratio.point / ratio.low - 1)
    assert reaches[1] > 1.5 * reaches[0]


def test_a_control_without_members_remembers_none_of_their_figures() -> None:
    one = nine_look()
    matched, _ = match(one, one)
    pair = Pair(one, one, processes_of(one.run), processes_of(one.run))
    control = find_control(pair, "CPU", matched)
    assert all(control.series(pair, THROUGHPUT))
    assert msgspec.structs.replace(control, members=()).series(pair, THROUGHPUT) == ({}, {})


def test_few_configurations_cannot_overrule_two_baselines_that_agree() -> None:
    few = (*BASELINES, Measured(precision="INT8", streams=2, fps=33.0))
    slow = tuple(changed(one, fps=one.fps * (1.0 if one.hint else 0.6)) for one in few)
    found = compared(look(Journal(few).run()), look(Journal(slow).run()))
    assert [each.id for each in found.configurations if each.regression] == [INT8]


def test_a_cause_is_named_where_all_moved() -> None:
    machine = tuple(0.6 * one for one in (1.0, 0.99, 1.01, 0.9, 1.0, 0.98))
    otherwise = tuple(changed(one, got_streams=4) if one.id == INT8 else one for one in NINE)
    found = compared(nine_look(), look(Journal(otherwise, EVALUATIONS, machine=machine).run()))
    assert any("1 configuration streams 2 before, 4 now" in note for note in found.notes)
    busy = tuple(changed(one, other_load=0.5 if one.batch == 4 else None) for one in NINE)
    found = compared(nine_look(), look(Journal(busy, EVALUATIONS, machine=machine).run()))
    assert any("0% of the visits were disturbed before, 18% now" in note for note in found.notes)
    assert any("perftool compare A1,A2 B1,B2" in note for note in found.notes)


# ---------------------------------------------------------------- several runs of a side


def test_several_runs_of_a_side_are_surer_than_one() -> None:
    slower = {INT8: 0.93}
    one = compared(nine_look(), nine_look("b", slower))
    assert one.regressions == ()
    sides = [nine_look(f"a{n}") for n in range(4)], [nine_look(f"b{n}", slower) for n in range(4)]
    four = compare_sides(*sides, ROWS, threshold=0.03)
    assert [each.id for each in four.configurations if each.regression] == [INT8]
    assert (four.baseline.id, four.baseline.runs, four.baseline.rounds) == ("a0, a1, a2, a3", 4, 24)
    shift = next(each for each in four.configurations if each.id == INT8).shifts[0]
    assert shift.before is not None and shift.before.point == pytest.approx(33.0, rel=0.02)
    assert shift.ratio is not None and shift.ratio.point == pytest.approx(0.93)


def test_runs_that_scatter_by_more_than_is_guessed_make_less_sure() -> None:
    rng = np.random.default_rng(1)
    before = [nine_look(f"a{n}") for n in range(4)]
    reaches = []
    for scatter in (0.0, 0.02, 0.15):
        now = [
            nine_look(f"b{n}", {one.id: float(np.exp(scatter * rng.standard_normal())) for one in NINE})
            for n in range(4)
        ]
        found = compare_sides(before, now, ROWS, threshold=0.03)
        own = next(each for each in found.configurations if each.id == INT8).shifts[0].own
        assert own is not None and own.low is not None and own.high is not None
        reaches.append(own.high / own.low - 1)
    assert reaches[0] < 0.9 * reaches[1] < 0.5 * reaches[2]


def test_what_drifts_is_cancelled_in_turns() -> None:
    """A, B, B, A on a machine that slows by 8 % from run to run."""
    machine = (1.0, 0.99, 1.01, 0.9, 1.0, 0.98)
    first, second, third, last = (
        nine_look(str(turn), machine=tuple(one * 0.92**turn for one in machine)) for turn in range(4)
    )
    found = compare_sides((first, last), (second, third), (THROUGHPUT,), threshold=0.03)
    assert found.regressions == ()
    (common,) = found.common
    assert common.ratio.point == pytest.approx(1.0, abs=1e-6)
    once = compare(first, second, (THROUGHPUT,), threshold=0.03)
    assert once.common[0].ratio.point == pytest.approx(0.92, abs=1e-6)


def test_without_baselines_most_configurations_are_the_control() -> None:
    alone = tuple(one for one in NINE if not one.hint)
    slow = tuple(changed(one, fps=one.fps * (0.7 if one.id == INT8 else 0.96)) for one in alone)
    found = compared(look(Journal(alone).run()), look(Journal(slow).run()))
    assert {one.kind for one in found.common} == {"most"}
    assert [each.id for each in found.configurations if each.regression] == [INT8]


def test_what_failed_in_one_of_several_runs_is_lost_and_runs_of_other_hosts_are_refused() -> None:
    broken = tuple(changed(one, rounds=0, failed="killed") if one.id == INT8 else one for one in NINE)
    now = [nine_look("b0"), look(Journal(broken, EVALUATIONS).run(), "b1")]
    found = compare_sides([nine_look("a0"), nine_look("a1")], now, ROWS, threshold=0.03)
    assert any(text.startswith(f"{INT8}: failed") for text in found.regressions)
    few = [nine_look("b0"), look(Journal(tuple(changed(one, rounds=3) for one in NINE), EVALUATIONS).run())]
    found = compare_sides([nine_look("a0"), nine_look("a1")], few, ROWS, threshold=0.03)
    assert INT8 in lost(found)


# ---------------------------------------------------------------- the rules, at their edges


def estimate(point: float) -> Estimate:
    return Estimate(point=point, low=point * 0.99, high=point * 1.01)


@pytest.mark.parametrize(
    ("ratio", "own", "verdict"),
    [
        *((0.97, 0.90, "undecided"), (0.94, 0.90, "worse")),
        *((1.03, 1.11, "undecided"), (1.06, 1.11, "better")),
        *((1.02, 0.90, "undecided"), (1.0, 0.90, "undecided")),
    ],
)
def test_what_is_worse_is_so_by_itself_by_half_at_the_least(ratio: float, own: float, verdict: str) -> None:
    assert judge("higher", estimate(ratio), estimate(own), 0.001, None) == verdict


def test_both_points_must_lie_beyond_the_threshold() -> None:
    assert not is_beyond("higher", (0.96, 0.98), 0.03) and not is_beyond("higher", (0.98, 0.96), 0.03)
    assert is_beyond("higher", (0.96, 0.95), 0.03)
    assert not is_beyond("lower", (1.02, 1.05), 0.03) and not is_beyond("lower", (1.05, 1.02), 0.03)
    assert is_beyond("lower", (1.04, 1.05), 0.03) and not is_beyond("lower", (2.0,), None)


def test_rounds_have_twice_the_degrees_of_two_samples() -> None:
    six = {round: 1.0 for round in range(6)}
    assert drift.degrees(six, six) == 20 and drift.degrees({0: 1.0}, {0: 1.0}) == 1
