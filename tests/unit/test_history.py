"""One configuration over many runs: sorted, told apart by model and machine, with what changed."""

import itertools
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from journals import EVALUATIONS, NINE, SECOND, Journal, Measured, changed
from looks import look, with_header

from perftool.analysis.history import History, Skipped, Track, follow
from perftool.analysis.matching import Look
from perftool.errors import InputError
from perftool.render.history import draw, history_view, pictures

INT8 = "cpu-int8-b1-s2"
FP32 = "cpu-fp32-b1-s1"


def dated(number: int, factor: float = 1.0, **profile: object) -> Look:
    """Look at a run made `number` hours after the first; INT8 with two streams is slower by a factor."""
    measured = tuple(changed(one, fps=one.fps * factor) if one.id == INT8 else one for one in NINE)
    run = Journal(measured, EVALUATIONS).run(**profile)
    created = run.header.created_ns + number * 3600 * SECOND
    header = msgspec.structs.replace(run.header, created_ns=created)
    return look(msgspec.structs.replace(run, header=header), f"run-{number}")


def only(tracks: tuple[Track, ...]) -> Track:
    (track,) = tracks
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
    tracks = follow(runs, configuration=INT8)
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
    assert follow([nothing]) == ()
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
    tracks = follow([dated(0), dated(1), with_header(dated(2), host={"cpu": "$\\frac{ & <b>"})])
    found = History(tracks=tracks, skipped=())
    drawn = pictures(found)
    assert list(drawn) == [f"history-{number}.{kind}" for number in (1, 2) for kind in ("png", "svg")]
    assert drawn == pictures(found)
    for name, content in drawn.items():
        if name.endswith("svg"):
            ElementTree.fromstring(content)
    assert list(pictures(History(tracks=tracks[:1], skipped=()))) == ["history.png", "history.svg"]


def test_many_runs_still_have_readable_ticks() -> None:
    runs = [dated(number) for number in range(30)]
    figure = draw(only(follow(runs, configuration=INT8)))
    assert figure is not None
    axes = figure.axes[0]
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    assert len(boxes) <= 12
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_what_was_skipped_is_shown(tmp_path: Path) -> None:
    import io

    from rich.console import Console

    found = History(
        tracks=follow([dated(0), dated(1)], configuration=INT8),
        skipped=(Skipped(run="x", reason="line 3: [red]no[/red]"),),
    )
    text = io.StringIO()
    Console(file=text, width=100, no_color=True, color_system=None).print(*history_view(found))
    shown = text.getvalue()
    assert "skipped: x: line 3: [red]no[/red]" in shown
    assert "run-0" in shown and "run-1" in shown and INT8 in shown
