"""Two runs side by side: what is matched, what is judged, and what is refused."""

import msgspec
import pytest
from journals import BASELINES, EVALUATIONS, NINE, Journal, Measured, changed, evaluated
from looks import look, nine_look, with_header

from perftool.analysis.compare import compare, metrics_of
from perftool.analysis.compared import Comparison, ConfigurationShift, Shift
from perftool.analysis.matching import Look
from perftool.analysis.metrics import COMPILE, LATENCY, LATENCY_SYNC, MEMORY, THROUGHPUT, TOP1
from perftool.errors import InputError
from perftool.spec import Grid, Limits, Profile

ROWS = (THROUGHPUT, LATENCY[50], LATENCY[95], MEMORY, TOP1)
INT8 = "cpu-int8-b1-s2"


def compared(before: Look, now: Look, threshold: float | None = 0.03) -> Comparison:
    return compare(before, now, ROWS, threshold=threshold)


def of(found: Comparison, id: str) -> ConfigurationShift:
    return next(each for each in found.configurations if each.id == id)


def shift(found: Comparison, id: str, metric: str = "throughput") -> Shift:
    return next(one for one in of(found, id).shifts if one.metric == metric)


def test_a_run_and_itself_are_the_same() -> None:
    one = nine_look()
    found = compared(one, one)
    assert found.regressions == () and found.notes == () and found.differences == ()
    for each in found.configurations:
        for one_shift in each.shifts:
            assert one_shift.ratio is None or one_shift.ratio.point == pytest.approx(1)
            assert one_shift.verdict in ("same", "undecided", "not compared")
    assert {each.id for each in found.configurations} == {one.id for one in NINE}
    assert [each.id for each in found.configurations if each.control] == [one.id for one in BASELINES]
    assert all(one.verdict == "same" for one in found.accuracy) and len(found.accuracy) == 4


def test_a_slower_configuration_is_a_regression_and_a_faster_one_is_better() -> None:
    found = compared(nine_look(), nine_look("now", {INT8: 0.7, "cpu-fp32-b1-s1": 1.4}))
    assert [each.id for each in found.configurations if each.regression] == [INT8]
    assert shift(found, INT8).verdict == "worse"
    assert shift(found, INT8).ratio.point == pytest.approx(0.7)  # type: ignore[union-attr]
    assert shift(found, INT8).own.point == pytest.approx(0.7)  # type: ignore[union-attr]
    assert shift(found, INT8, "latency_p50").verdict == "worse"
    assert shift(found, "cpu-fp32-b1-s1").verdict == "better"
    assert any(text.startswith(f"{INT8}: throughput 33") and "0.70x" in text for text in found.regressions)


def test_a_threshold_lets_smaller_regressions_pass_and_none_lets_all() -> None:
    before, now = nine_look(), nine_look("now", {INT8: 0.7})
    assert shift(compared(before, now, 0.45), INT8).verdict == "worse"
    assert compared(before, now, 0.45).regressions == ()
    assert compared(before, now, None).regressions == ()
    assert compared(before, now, 0.25).regressions != ()


def test_a_slower_machine_is_no_regression_of_any_configuration() -> None:
    machine = (1.0, 0.99, 1.01, 0.9, 1.0, 0.98)
    found = compared(nine_look(), nine_look("now", machine=tuple(0.96 * one for one in machine)))
    assert found.regressions == ()
    assert {one.verdict for each in found.configurations for one in each.shifts} <= {
        "same",
        "undecided",
        "not compared",
    }
    assert shift(found, INT8).ratio.point == pytest.approx(0.96)  # type: ignore[union-attr]
    assert shift(found, INT8).own.point == pytest.approx(1.0)  # type: ignore[union-attr]


def test_a_machine_slower_by_much_is_said_of_all_with_what_may_have_done_it() -> None:
    machine = (1.0, 0.99, 1.01, 0.9, 1.0, 0.98)
    slow = nine_look("now", machine=tuple(0.7 * one for one in machine))
    found = compared(nine_look(), slow)
    assert {one.verdict for one in found.common} == {"worse"}
    assert not any(each.regression for each in found.configurations)
    assert any(text.startswith("all of CPU: throughput 0.70x") for text in found.regressions)
    assert any("nothing that runs record differs, which leaves the machine" in note for note in found.notes)
    newer = compared(nine_look(), with_header(slow, host={"openvino": "2026.5"}))
    assert any("(openvino was 2026.4, is 2026.5)" in note for note in newer.notes)


def test_faster_baselines_alone_make_nothing_worse() -> None:
    faster = {one.id: 1.5 for one in BASELINES}
    found = compared(nine_look(), nine_look("now", faster))
    assert found.regressions == ()
    assert {one.kind for one in found.common} == {"most"}
    assert not any(one.verdict in ("worse", "better") for one in found.common)
    better = {each.id for each in found.configurations for one in each.shifts if one.verdict == "better"}
    assert better == {one.id for one in BASELINES}
    assert not any(one.verdict == "worse" for each in found.configurations for one in each.shifts)


def test_a_baseline_that_moved_by_itself_is_judged_by_the_other() -> None:
    id = BASELINES[1].id
    found = compared(nine_look(), nine_look("now", {id: 0.6}))
    assert [each.id for each in found.configurations if each.regression] == [id]
    assert not of(found, id).control
    assert any("moved otherwise than most" in note for note in found.notes)


def test_without_a_baseline_drift_is_allowed_for() -> None:
    alone = (Measured(precision="INT8", streams=2, fps=33.0), Measured(fps=8.4))
    before = look(Journal(alone).run())
    near = look(Journal(tuple(changed(one, fps=one.fps * 0.95) for one in alone)).run())
    far = look(Journal(tuple(changed(one, fps=one.fps * 0.6) for one in alone)).run())
    found = compared(before, near)
    assert found.common == () and found.regressions == ()
    assert any("no hint baseline of CPU" in note for note in found.notes)
    assert shift(found, INT8).verdict == "undecided"
    assert len([each for each in compared(before, far).configurations if each.regression]) == 2


def test_configurations_are_matched_by_what_they_are_and_not_by_name_or_place() -> None:
    turned = look(Journal(tuple(reversed(NINE)), EVALUATIONS).run())
    renamed = msgspec.json.encode(turned.run).replace(b"cpu-int8-b1-s2", b"another-name")
    other = look(msgspec.json.decode(renamed, type=type(turned.run)))
    found = compared(nine_look(), other)
    assert of(found, INT8).now_id == "another-name"
    assert found.only == () and found.regressions == ()


def test_what_only_one_run_has_is_listed_and_what_failed_is_a_regression() -> None:
    before = look(Journal(NINE).run())
    now = (
        *BASELINES,
        changed(NINE[2], rounds=0, failed="the child was killed"),
        Measured(precision="INT8", batch=8, fps=30.0),
        changed(NINE[4], rounds=0, left_out="no such thing here"),
    )
    found = compared(before, look(Journal(now).run(), "now"))
    assert of(found, "cpu-fp32-b1-s1").failed == "compile failed: the child was killed"
    assert of(found, "cpu-fp32-b1-s1").regression
    only = {one.id: (one.run, one.reason) for one in found.only}
    assert only["cpu-int8-b8-s1"] == ("run", "not planned")
    assert only["cpu-fp16-b1-s1"] == ("baseline", "skipped: no such thing here")
    assert only[INT8] == ("baseline", "not planned")
    assert any("cpu-fp32-b1-s1: failed, and was measured before" in text for text in found.regressions)
    assert compared(before, look(Journal(now).run()), None).regressions == ()


def test_what_resolved_otherwise_is_said() -> None:
    now = tuple(changed(one, executed="f32") if one.precision == "BF16" else one for one in NINE)
    found = compared(nine_look(), look(Journal(now, EVALUATIONS).run()))
    assert of(found, "cpu-bf16-b1-s1").notes == ("ran in bf16 before, f32 now",)
    assert of(found, INT8).notes == ()


# ---------------------------------------------------------------- single metrics


@pytest.mark.parametrize(("memory", "verdict"), [(262, "same"), (300, "worse"), (200, "better")])
def test_memory_is_judged_by_how_far_it_varies(memory: float, verdict: str) -> None:
    now = tuple(changed(one, memory_mb=memory) if one.id == INT8 else one for one in NINE)
    found = compared(nine_look(), look(Journal(now, EVALUATIONS).run()))
    assert shift(found, INT8, "peak_rss").verdict == verdict
    assert bool(found.regressions) == (verdict == "worse")


def test_what_nothing_tells_the_spread_of_is_not_judged() -> None:
    one = nine_look()
    found = compare(one, one, (COMPILE, LATENCY_SYNC))
    assert shift(found, INT8, "compile").verdict == "not compared"
    assert "seen once in each run" in (shift(found, INT8, "compile").reason or "")
    assert "in the baseline run" in (shift(found, INT8, "latency_sync").reason or "")


def test_few_rounds_give_no_verdict_but_the_reason() -> None:
    few = tuple(changed(one, rounds=4) for one in NINE)
    found = compared(nine_look(), look(Journal(few, EVALUATIONS).run()))
    assert shift(found, INT8).verdict == "not compared"
    assert shift(found, INT8).reason == "too few visits: 4 of the 6 that an interval takes"
    assert any("have too few visits" in note for note in found.notes)


def accuracy_of(*variants: object) -> Comparison:
    before, now = (look(Journal(NINE, (one,)).run()) for one in variants)  # type: ignore[arg-type]
    return compared(before, now)


def test_accuracy_is_paired_by_image() -> None:
    (one,) = accuracy_of(evaluated("fp32", "f32", 160), evaluated("fp32", "f32", 140)).accuracy
    assert (one.before, one.now, one.lost, one.gained) == (80.0, 70.0, 20, 0)
    assert one.verdict == "worse" and one.regression and one.drop_pp == pytest.approx(10)
    (few,) = accuracy_of(evaluated("fp32", "f32", 160), evaluated("fp32", "f32", 158)).accuracy
    assert few.verdict == "undecided" and not few.regression
    (better,) = accuracy_of(evaluated("fp32", "f32", 120), evaluated("fp32", "f32", 160)).accuracy
    assert better.verdict == "better"


def test_accuracy_on_other_images_or_without_labels_is_not_compared() -> None:
    one = evaluated("fp32", "f32", 160)
    other = msgspec.structs.replace(one, images="ef" * 32)
    (found,) = accuracy_of(one, other).accuracy
    assert (found.verdict, found.reason) == ("not compared", "other images: nothing can be paired")
    bare = msgspec.structs.replace(one, labels=())
    (found,) = accuracy_of(bare, bare).accuracy
    assert found.reason == "the images have no labels" and found.changed == 0
    (found,) = accuracy_of(one, msgspec.structs.replace(one, labels=(2,) * 200)).accuracy
    assert found.reason == "the same images under other labels"


# ---------------------------------------------------------------- runs


@pytest.mark.parametrize(
    ("field", "value", "comparable"),
    [
        ("cpu", "Another CPU", False),
        ("cores_usable", 4, False),
        ("governor", "powersave", False),
        ("openvino", "2026.5", True),
        ("kernel", "7.0", True),
        ("perftool", "0.2.0", True),
    ],
)
def test_hosts_that_differ(field: str, value: object, comparable: bool) -> None:
    found = compared(nine_look(), with_header(nine_look("now", {INT8: 0.5}), host={field: value}))
    told = found.differences if comparable else found.incomparable
    assert any(text.startswith(f"{field} was ") for text in told)
    assert bool(found.incomparable) != comparable
    assert bool(found.regressions) == comparable
    if not comparable:
        assert {one.verdict for each in found.configurations for one in each.shifts} == {"not compared"}
        assert shift(found, INT8).ratio is not None


def test_another_model_is_not_comparable_and_another_version_of_it_is() -> None:
    other = compared(nine_look(), with_header(nine_look("now"), model={"name": "resnet50"}))
    assert other.incomparable == ("model was googlenet-v4-tf, is resnet50",)
    newer = compared(nine_look(), with_header(nine_look("now"), model={"digest": "cd" * 32}))
    assert newer.incomparable == ()
    assert "has another content" in newer.differences[0]


def test_a_run_that_was_disturbed_or_not_finished_is_said_and_another_choice() -> None:
    busy = tuple(changed(one, other_load=0.5, fps=one.fps * (3 if one.batch == 4 else 1)) for one in NINE)
    found = compared(nine_look(), look(Journal(busy, EVALUATIONS, finished=False).run(), "now"))
    assert any("66 of 66 visits of now were disturbed by other load" in note for note in found.notes)
    assert "now is not finished" in found.notes
    assert any(note.startswith("recommended was ") for note in found.notes)


def test_beside_other_work_nothing_of_visits_is_judged_and_that_is_said() -> None:
    busy = tuple(changed(one, other_load=0.5, fps=one.fps * (0.3 if one.id == INT8 else 0.5)) for one in NINE)
    slow = look(Journal(busy, EVALUATIONS).run(), "now")
    found = compared(nine_look(), slow)
    assert shift(found, INT8).verdict == "not compared"
    assert "one of the runs alone was made beside other work" in (shift(found, INT8).reason or "")
    assert shift(found, INT8, "peak_rss").verdict == "same"
    assert found.common == () and found.regressions == ()
    (lost,) = found.lost
    assert lost.subject == "now" and "66 of 66 visits were disturbed" in lost.reason and not lost.worse
    alike = compared(look(Journal(tuple(changed(one, other_load=0.5) for one in NINE)).run()), slow)
    assert shift(alike, INT8).verdict == "worse"
    heavier = tuple(changed(one, memory_mb=900.0) if one.id == INT8 else one for one in busy)
    worse = compared(nine_look(), look(Journal(heavier, EVALUATIONS).run()))
    assert [text.split(" ")[1] for text in worse.regressions] == ["peak_rss"], "memory needs no quiet"


def disturbed(share: float) -> Look:
    """Return a run of whose configurations, of eleven, a share is disturbed."""
    count = round(share * len(NINE))
    return look(
        Journal(
            tuple(changed(one, other_load=0.5 if turn < count else None) for turn, one in enumerate(NINE)),
            EVALUATIONS,
        ).run(),
        "now",
    )


@pytest.mark.parametrize(("share", "loaded"), [(5 / 11, False), (6 / 11, True)])
def test_more_than_half_of_the_visits_disturbed_in_one_run_alone_is_too_much(
    share: float, loaded: bool
) -> None:
    found = compared(nine_look(), disturbed(share))
    assert (found.common == ()) == loaded
    assert any("visits were disturbed" in one.reason for one in found.lost) == loaded


@pytest.mark.parametrize(("share", "said"), [(1 / 11, False), (2 / 11, True)])
def test_a_tenth_of_the_visits_disturbed_is_said(share: float, said: bool) -> None:
    found = compared(nine_look(), disturbed(share))
    assert any("were disturbed by other load" in note for note in found.notes) == said


def test_the_metrics_are_those_of_the_objective_first() -> None:
    profile = Profile(name="x", grids=(Grid(),), objective="latency", limits=Limits(percentile=95))
    assert [row.name for row in metrics_of(profile, ())] == [
        *("latency_sync_p95", "throughput", "latency_p50", "latency_p95", "peak_rss", "top1")
    ]
    assert metrics_of(profile, ["peak_rss", "peak_rss"]) == (MEMORY,)
    with pytest.raises(InputError, match="did you mean throughput"):
        metrics_of(profile, ["troughput"])
    with pytest.raises(InputError, match="top1"):
        metrics_of(profile, ["top1_drop"])


def test_a_weighted_objective_is_compared_too() -> None:
    weights = {"throughput": 1.0, "latency_p50": 0.5}
    before, now = (
        look(Journal(tuple(changed(one, fps=one.fps * factor) for one in NINE)).run(objective=weights))
        for factor in (1.0, 1.0)
    )
    rows = metrics_of(before.run.header.profile, ())
    found = compare(before, now, rows)
    assert shift(found, INT8, "score").verdict in ("same", "undecided")
    assert shift(found, INT8, "score").ratio.point == pytest.approx(1)  # type: ignore[union-attr]


def test_runs_that_measured_nothing_have_nothing_to_compare() -> None:
    nothing = look(Journal((Measured(rounds=0, failed="killed"),)).run())
    found = compared(nine_look(), nothing)
    assert [each.id for each in found.configurations] == ["cpu-fp32-b1-s1"]
    assert found.common == ()
    empty = compared(nothing, nothing)
    assert empty.configurations == () and empty.regressions == ()
