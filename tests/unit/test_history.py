"""One configuration over many runs: sorted, told apart by model and machine, with what changed."""

import io
import itertools
from xml.etree import ElementTree

import msgspec
import pytest
from journals import EVALUATIONS, NINE, SECOND, Journal, Measured, changed, evaluated
from looks import look, with_header
from rich.console import Console

from perftool.analysis.history import History, Skipped, Track, follow
from perftool.analysis.matching import Look
from perftool.errors import InputError
from perftool.journal import Run
from perftool.render.history import draw, history_view, pictures

INT8 = "cpu-int8-b1-s2"
FP32 = "cpu-fp32-b1-s1"


def dated(number: int, factor: float = 1.0, **profile: object) -> Look:
    """Look at a run made `number` hours after the first; INT8 with two streams is slower by a factor."""
    measured = tuple(changed(one, fps=one.fps * factor) if one.id == INT8 else one for one in NINE)
    return hours_later(Journal(measured, EVALUATIONS).run(**profile), number)


def only(found: History) -> Track:
    (track,) = found.tracks
    return track


def test_runs_are_sorted_by_time_and_the_choice_of_the_newest_is_followed() -> None:
    track = only(follow([dated(2), dated(0), dated(1)], configuration=INT8))
    assert [point.run for point in track.points] == ["run-0", "run-1", "run-2"]
    assert only(follow([dated(2), dated(0)])).configuration == dated(2).choice
    assert (track.metric, track.unit) == ("throughput", "images/s")
    assert track.points[0].ratio is None and track.points[0].verdict == "not compared"
    assert track.points[1].verdict in ("same", "undecided")


def test_a_step_is_marked_where_it_happened_and_what_changed_there() -> None:
    runs = [dated(0), dated(1), with_header(dated(2, 0.6), host={"openvino": "2026.5"}), dated(3, 0.6)]
    track = only(follow(runs, configuration=INT8))
    assert [point.verdict for point in track.points][2] == "worse"
    assert "worse" not in [track.points[number].verdict for number in (0, 1, 3)]
    assert [point.changed for point in track.points] == [
        (),
        (),
        ("openvino was 2026.4, is 2026.5",),
        ("openvino was 2026.5, is 2026.4",),
    ]


def test_other_models_and_machines_are_tracks_of_their_own() -> None:
    runs = [
        dated(0),
        with_header(dated(1), host={"cpu": "Another"}),
        with_header(dated(2), model={"name": "resnet50"}),
        dated(3),
    ]
    tracks = follow(runs, configuration=INT8).tracks
    assert [(one.model, one.cpu, len(one.points)) for one in tracks] == [
        ("googlenet-v4-tf", "Example CPU @ 2.0 GHz", 2),
        ("googlenet-v4-tf", "Another", 1),
        ("resnet50", "Example CPU @ 2.0 GHz", 1),
    ]


def test_a_run_without_the_figure_is_stepped_over() -> None:
    hole = look(Journal((Measured(),)).run(), "hole")
    created = dated(1).run.header.created_ns
    hole = Look(
        run=msgspec.structs.replace(
            hole.run, header=msgspec.structs.replace(hole.run.header, created_ns=created)
        ),
        summary=hole.summary,
        choice=hole.choice,
    )
    track = only(follow([dated(0), hole, dated(2, 0.6)], configuration=INT8))
    assert [point.figure is None for point in track.points] == [False, True, False]
    assert track.points[2].verdict == "worse"
    assert track.points[2].ratio is not None


def test_another_profile_and_single_figures() -> None:
    runs = [dated(0), dated(1, objective="latency"), dated(2)]
    track = only(follow(runs, "peak_rss", FP32))
    assert [point.changed for point in track.points] == [(), ("another profile",), ("another profile",)]
    assert [point.verdict for point in track.points] == ["not compared", "same", "same"]
    compile_time = only(follow(runs, "compile", FP32))
    assert {point.verdict for point in compile_time.points} == {"not compared"}


def test_a_name_that_nothing_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean cpu-int8-b1-s2"):
        follow([dated(0)], configuration="cpu-int8-b1-s3")


def test_a_run_that_measured_nothing_makes_no_track() -> None:
    nothing = look(Journal((Measured(rounds=0, failed="killed"),)).run())
    assert follow([nothing]).tracks == ()
    assert pictures(History(tracks=(), skipped=())) == {}


def test_the_picture_draws_every_run_with_its_interval_and_every_change() -> None:
    runs = [dated(0), dated(1), with_header(dated(2, 0.6), host={"openvino": "$2026.5$"}), dated(3, 0.6)]
    track = only(follow(runs, configuration=INT8))
    figure = draw(track)
    assert figure is not None
    (axes,) = figure.axes
    assert len(axes.containers) == 4  # an interval for each run
    assert 0 < axes.get_ylim()[0] < 18.0 and axes.get_ylim()[1] > 33.0
    assert [line.get_text() for line in axes.texts] == ["1", "2"]
    legend = [line.get_text() for line in figure.legends[0].get_texts()]
    assert "95 % interval" in legend and "surely worse than before" in legend
    assert any(line.startswith("1: openvino was 2026.4, is") for line in legend)


def test_pictures_are_png_and_svg_the_same_twice_and_one_for_each_track() -> None:
    found = follow([dated(0), dated(1), with_header(dated(2), host={"cpu": "$\\frac{ & <b>"})])
    drawn = pictures(found)
    assert list(drawn) == [f"history-{number}.{kind}" for number in (1, 2) for kind in ("png", "svg")]
    assert drawn == pictures(found)
    for name, content in drawn.items():
        if name.endswith("svg"):
            ElementTree.fromstring(content)
    assert list(pictures(History(tracks=found.tracks[:1], skipped=()))) == ["history.png", "history.svg"]


def test_many_runs_still_have_readable_ticks() -> None:
    runs = [dated(number) for number in range(30)]
    figure = draw(only(follow(runs, configuration=INT8)))
    assert figure is not None
    axes = figure.axes[0]
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    assert len(boxes) <= 12
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_what_was_skipped_is_shown() -> None:
    found = History(
        tracks=follow([dated(0), dated(1)], configuration=INT8).tracks,
        skipped=(Skipped(run="x", reason="line 3: [red]no[/red]"),),
    )
    text = shown(found)
    assert "skipped: x: line 3: [red]no[/red]" in text
    assert "run-0" in text and "run-1" in text and INT8 in text


# ---------------------------------------------------------------- what has no figure, or no verdict


def hours_later(run: Run, number: int) -> Look:
    """Look at a run made `number` hours after the first."""
    created = run.header.created_ns + number * 3600 * SECOND
    header = msgspec.structs.replace(run.header, created_ns=created)
    return look(msgspec.structs.replace(run, header=header), f"run-{number}")


def shown(found: History) -> str:
    text = io.StringIO()
    Console(file=text, width=300, no_color=True, color_system=None).print(*history_view(found))
    return text.getvalue()


def test_a_run_beside_other_work_is_not_called_worse_as_compare_does_not() -> None:
    busy = Journal(tuple(changed(one, fps=one.fps * 0.6, other_load=0.5) for one in NINE), EVALUATIONS)
    found = follow([dated(0), hours_later(busy.run(), 1)], configuration=INT8)
    last = only(found).points[-1]
    assert last.ratio is not None and last.ratio.high is not None and last.ratio.high < 0.9
    assert (last.verdict, last.p_value) == ("not compared", None)
    assert last.reason is not None and "made beside other work" in last.reason
    assert f"run-1: not compared: {last.reason}" in shown(found)


def test_a_drop_has_no_history_and_top1_is_paired_by_image() -> None:
    with pytest.raises(InputError, match="top1_drop: has no ratio; compare top1"):
        follow([dated(0)], "top1_drop", INT8)
    evaluations = (*EVALUATIONS[:3], evaluated("int8", "f32", 120))
    worse = hours_later(Journal(NINE, evaluations).run(), 2)
    found = follow([dated(0), dated(1), worse], "top1", INT8)
    first, same, last = only(found).points
    assert (first.verdict, first.reason) == ("not compared", None)
    assert (same.verdict, last.verdict) == ("same", "worse")
    assert last.p_value is not None and last.p_value < 1e-6
    assert last.ratio is not None and last.ratio.point == pytest.approx(120 / 158)
    assert "images lost and gained" in shown(found)


def test_top1_of_other_images_has_its_reason() -> None:
    other = tuple(msgspec.structs.replace(one, images="ef" * 32) for one in EVALUATIONS)
    last = only(follow([dated(0), hours_later(Journal(NINE, other).run(), 1)], "top1", INT8)).points[-1]
    assert (last.verdict, last.reason) == ("not compared", "other images: nothing can be paired")


def test_what_became_of_the_configuration_is_said_and_marked() -> None:
    killed, left_out = (
        tuple(changed(one, **fields) if one.id == INT8 else one for one in NINE)
        for fields in ({"rounds": 0, "failed": "killed"}, {"rounds": 0, "left_out": "CPU has 1 stream"})
    )
    without = tuple(one for one in NINE if one.id != INT8)
    runs = [hours_later(Journal(one, EVALUATIONS).run(), at) for at, one in enumerate((killed, left_out), 1)]
    found = follow([dated(0), *runs, hours_later(Journal(without).run(), 3)], configuration=INT8)
    track = only(found)
    assert [one.reason for one in track.points] == [
        *(None, "failed: compile failed: killed", "skipped: CPU has 1 stream", "not planned")
    ]
    assert "run-1: no throughput: failed: compile failed: killed" in shown(found)
    figure = draw(track)
    assert figure is not None
    (marked,) = (line for line in figure.axes[0].lines if line.get_marker() == "x")
    assert list(marked.get_xdata()) == [1, 2, 3]
    legend = [line.get_text().replace("\n", "") for line in figure.legends[0].get_texts()]
    assert "no figure: failed, skipped, not planned or not measured" in legend


def test_a_percentile_that_the_samples_do_not_carry_has_its_reason() -> None:
    point = only(follow([dated(0)], "latency_p99", INT8)).points[0]
    assert point.figure is None
    assert point.reason is not None and point.reason.startswith("p99 not measurable: ")


def test_runs_of_a_kind_without_the_configuration_are_skipped_with_a_reason() -> None:
    without = hours_later(Journal(tuple(one for one in NINE if one.id != INT8)).run(), 1)
    found = follow([dated(0), with_header(without, host={"cpu": "Another"})], configuration=INT8)
    assert len(found.tracks) == 1
    reason = f"no run of googlenet-v4-tf on Another has a configuration {INT8}"
    assert found.skipped == (Skipped(run="run-1", reason=reason),)
    nothing = look(Journal((Measured(rounds=0, failed="killed"),)).run())
    (skipped,) = follow([nothing]).skipped
    assert skipped.reason.endswith("measured anything")
