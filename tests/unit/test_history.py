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
from perftool.render.history import history_view
from perftool.render.history_plot import draw, pictures

INT8 = "cpu-int8-b1-s2"
FP32 = "cpu-fp32-b1-s1"


def dated(number: int, factor: float = 1.0, **profile: object) -> Look:
    """Look at a run made `number` hours after the first; INT8 with two streams is slower by a factor."""
    measured = tuple(changed(one, fps=one.fps * factor) if one.id == INT8 else one for one in NINE)
    return hours_later(Journal(measured, EVALUATIONS).run(**profile), number)


def only(found: History) -> Track:
    (track,) = found.tracks
    return track


def verdicts(track: Track) -> list[str | None]:
    """Return what each run is called against one before it."""
    return [None if one.before is None else one.before.verdict for one in track.points]


def test_runs_are_sorted_by_time_and_the_choice_of_the_newest_is_followed() -> None:
    track = only(follow([dated(2), dated(0), dated(1)], configuration=INT8))
    assert [point.run for point in track.points] == ["run-0", "run-1", "run-2"]
    assert only(follow([dated(2), dated(0)])).configuration == dated(2).choice
    assert (track.metric, track.unit) == ("throughput", "images/s")
    assert track.points[0].before is None and track.points[0].first is None
    assert verdicts(track)[1] in ("same", "undecided")


def test_a_step_is_marked_where_it_happened_and_what_changed_there() -> None:
    runs = [dated(0), dated(1), with_header(dated(2, 0.6), host={"openvino": "2026.5"}), dated(3, 0.6)]
    track = only(follow(runs, configuration=INT8))
    assert verdicts(track)[2] == "worse"
    assert "worse" not in [verdicts(track)[number] for number in (0, 1, 3)]
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
    held = track.points[2].before
    assert held is not None and held.ratio is not None
    assert (held.run, held.verdict) == ("run-0", "worse")


def test_another_profile_and_single_figures() -> None:
    runs = [dated(0), dated(1, objective="latency"), dated(2)]
    track = only(follow(runs, "peak_rss", FP32))
    assert [point.changed for point in track.points] == [(), ("another profile",), ("another profile",)]
    assert verdicts(track) == [None, "same", "same"]
    assert verdicts(only(follow(runs, "compile", FP32))) == [None, "not compared", "not compared"]


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
    last = only(found).points[-1].before
    assert (
        last is not None and last.ratio is not None and last.ratio.high is not None and last.ratio.high < 0.9
    )
    assert (last.verdict, last.p_value) == ("not compared", None)
    assert last.reason is not None and "made beside other work" in last.reason
    assert f"run-1: not compared: {last.reason}" in shown(found)


def test_a_drop_has_no_history_and_top1_is_paired_by_image() -> None:
    with pytest.raises(InputError, match="top1_drop: has no ratio; compare top1"):
        follow([dated(0)], "top1_drop", INT8)
    evaluations = (*EVALUATIONS[:3], evaluated("int8", "f32", 120))
    worse = hours_later(Journal(NINE, evaluations).run(), 2)
    found = follow([dated(0), dated(1), worse], "top1", INT8)
    first, *others = only(found).points
    same, last = (one.before for one in others)
    assert first.before is None and first.reason is None
    assert same is not None and last is not None
    assert (same.verdict, last.verdict) == ("same", "worse")
    assert last.p_value is not None and last.p_value < 1e-6
    assert last.ratio is not None and last.ratio.point == pytest.approx(120 / 158)
    assert "images lost and gained" in shown(found)


def test_top1_of_other_images_has_its_reason() -> None:
    other = tuple(msgspec.structs.replace(one, images="ef" * 32) for one in EVALUATIONS)
    last = (
        only(follow([dated(0), hours_later(Journal(NINE, other).run(), 1)], "top1", INT8)).points[-1].before
    )
    assert last is not None and (last.verdict, last.reason) == (
        "not compared",
        "other images: nothing can be paired",
    )


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
    legend = [line.get_text().replace("\n", " ") for line in figure.legends[0].get_texts()]
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


# ---------------------------------------------------------------- what creeps, and what moves all


def slower(number: int, factor: float = 1.0, rounds: int = 6, load: float | None = None) -> Look:
    """Look at a run made `number` hours after the first in which everything is slower by a factor."""
    measured = tuple(changed(one, fps=one.fps * factor, rounds=rounds, other_load=load) for one in NINE)
    return hours_later(Journal(measured, EVALUATIONS).run(), number)


def legend_of(track: Track) -> list[str]:
    figure = draw(track)
    assert figure is not None
    return [line.get_text().replace("\n", " ") for line in figure.legends[0].get_texts()]


def test_a_slowdown_of_everything_is_told_though_no_configuration_moved_by_itself() -> None:
    found = follow([slower(0), slower(1, 0.83)], configuration=INT8)
    track = only(found)
    held = track.points[1].before
    assert held is not None and held.common is not None and held.own is not None
    assert held.own.point == pytest.approx(1.0) and held.verdict == "undecided"
    assert held.common.ratio.point == pytest.approx(0.83)
    assert (held.common.device, held.common.verdict) == ("CPU", "worse")
    text = shown(found)
    assert "run-1 against run-0: everything on CPU is worse: throughput of its hint baselines 0.83x" in text
    assert "0.83 worse" in text and "A, B, B, A" in text
    assert "everything surely worse than before" in legend_of(track)


def test_a_hint_baseline_that_is_followed_shows_what_everything_did_too() -> None:
    held = only(follow([slower(0), slower(1, 0.83)], configuration="cpu-baseline-latency")).points[1].before
    assert held is not None and held.common is not None
    assert (held.verdict, held.common.verdict) == ("worse", "worse")


def test_a_short_run_hides_no_regression_from_the_next() -> None:
    found = follow([dated(0), slower(1, rounds=2), dated(2, 0.8)], configuration=INT8)
    short, last = (one.before for one in only(found).points[1:])
    assert short is not None and (short.run, short.verdict) == ("run-0", "not compared")
    assert short.reason is not None and short.reason.startswith("too few visits")
    assert last is not None and (last.run, last.verdict) == ("run-0", "worse")
    assert "run-2: against run-0, the last that it can be judged against" in shown(found)


def test_a_run_beside_other_work_hides_no_regression_from_the_next() -> None:
    found = follow([dated(0), slower(1, 0.7, load=0.5), dated(2, 0.8)], configuration=INT8)
    loaded, last = (one.before for one in only(found).points[1:])
    assert loaded is not None and loaded.verdict == "not compared" and loaded.common is None
    assert last is not None and (last.run, last.verdict) == ("run-0", "worse")


@pytest.mark.parametrize("everything", [False, True])
def test_what_creeps_in_steps_too_small_to_be_seen_is_found_against_the_first(everything: bool) -> None:
    runs = [(slower if everything else dated)(number, 0.98**number) for number in range(12)]
    found = follow(runs, configuration=INT8)
    track = only(found)
    steps = [one.before for one in track.points[1:]]
    assert not any(one is None or one.verdict in ("worse", "better") for one in steps)
    assert not any(one is None or one.common is None or one.common.verdict == "worse" for one in steps)
    (since,) = track.since
    assert (since.run, since.first, since.verdict, since.everything) == (
        "run-11",
        "run-0",
        "worse",
        everything,
    )
    assert since.change == pytest.approx(0.98**11 - 1)
    firsts = [one.first for one in track.points]
    called = [one and (one.common.verdict if everything and one.common else one.verdict) for one in firsts]
    assert since.since == f"run-{called.index('worse')}" and called[-1] == "worse"
    text = shown(found)
    assert (
        "throughput of run-11 is 20% below run-0, the first" in text and f"worse since {since.since}" in text
    )
    mark = "everything surely worse than the first" if everything else "surely worse than the first"
    assert mark in legend_of(track)


def test_the_first_is_one_that_can_be_judged_against_and_is_told_once() -> None:
    runs = [slower(0, rounds=2), slower(1, load=0.5), dated(2), dated(3, 0.8), dated(4, 0.8)]
    track = only(follow(runs, configuration=INT8))
    firsts = [None if one.first is None else one.first.run for one in track.points]
    assert firsts == [None, None, None, "run-2", "run-2"]
    assert track.points[3].first == track.points[3].before  # The same test, counted once.
    (since,) = track.since
    assert (since.first, since.since) == ("run-2", "run-3")


def test_what_came_back_is_not_told_as_a_loss_since() -> None:
    assert only(follow([dated(0), dated(1, 0.7), dated(2, 0.7), dated(3)], configuration=INT8)).since == ()


def test_p_values_are_adjusted_for_all_that_is_tested_in_a_track() -> None:
    first, last = dated(0), dated(9, 0.897)
    (_, alone) = only(follow([first, last], configuration=INT8)).points
    assert alone.before is not None and alone.before.p_value is not None
    assert 0.01 < alone.before.p_value <= 0.05 and alone.before.verdict == "worse"
    many = only(follow([first, *(dated(one) for one in range(1, 5)), last], configuration=INT8)).points[-1]
    assert many.before is not None and many.before.p_value is not None and many.before.own is not None
    assert many.before.own.point == pytest.approx(alone.before.own.point if alone.before.own else 0.0)
    assert many.before.verdict == "undecided"
    # Nine tests: five steps, and four further runs against the first; two of them are this one's.
    assert many.before.p_value == pytest.approx(9 * alone.before.p_value, rel=0.01)


def test_what_all_changed_by_is_adjusted_too() -> None:
    first, last = slower(0), slower(9, 0.895)
    (_, alone) = only(follow([first, last], configuration=INT8)).points
    many = only(follow([first, *(slower(one) for one in range(1, 5)), last], configuration=INT8)).points[-1]
    commons = [one.before.common if one.before is not None else None for one in (alone, many)]
    assert [one and one.verdict for one in commons] == ["worse", "undecided"]


def test_a_legend_breaks_at_spaces_and_leaves_names_and_versions_whole() -> None:
    version = "2026.5.0-22345-abcdef0123456789-releases"  # Wider than the legend.
    runs = [dated(0), with_header(dated(1), host={"openvino": version})]
    figure = draw(only(follow(runs, configuration=INT8)))
    assert figure is not None
    lines = [part for one in figure.legends[0].get_texts() for part in one.get_text().split("\n")]
    assert version in lines
    assert all(len(one) <= 48 for one in lines)
