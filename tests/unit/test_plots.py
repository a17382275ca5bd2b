"""Pictures: complete, deterministic, their labels apart, and none drawn of nothing."""

import itertools
import xml.etree.ElementTree as ElementTree

import matplotlib
import msgspec
import numpy as np
import pytest
from journals import EVALUATIONS, Journal, Measured, forty, nine, three
from matplotlib.text import Annotation

from perftool.analysis import metrics
from perftool.analysis.choose import choose
from perftool.analysis.result import Dropped
from perftool.analysis.summary import summarize
from perftool.journal import Run
from perftool.render.plots import accuracy_against_speed, batch_and_streams, draw, throughput_against_latency
from perftool.render.plotting import LOOKS, STYLE, interval_lines
from perftool.spec import Limits

NAMES = ["throughput_latency", "batch_streams", "accuracy_speedup"]


def pictures(run: Run) -> dict[str, bytes]:
    summary = summarize(run)
    return draw(summary, choose(summary, "throughput", Limits()))


def test_each_picture_comes_as_png_and_svg_and_the_same_twice() -> None:
    found = pictures(three())
    assert list(found) == [f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")]
    assert found == pictures(three())
    for name, content in found.items():
        if name.endswith("png"):
            assert content.startswith(b"\x89PNG")
        else:
            assert ElementTree.fromstring(content).tag.endswith("svg")
            assert b"<dc:date>" not in content


@pytest.mark.parametrize("run", [three(), nine(), forty()], ids=["three", "nine", "forty"])
def test_labels_cover_neither_each_other_nor_stick_out(run: Run) -> None:
    summary = summarize(run)
    with matplotlib.rc_context(STYLE):
        figure = throughput_against_latency(summary, choose(summary, "throughput", Limits()))
        assert figure is not None
        axes = figure.axes[0]
        labels = [child for child in axes.get_children() if isinstance(child, Annotation)]
        boxes = [label.get_window_extent() for label in labels]
        frame = figure.bbox
    assert len(labels) >= 2
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and box.y1 <= frame.y1 for box in boxes)


def test_the_front_that_is_drawn_is_that_of_the_two_axes() -> None:
    summary = summarize(nine())
    found = choose(summary, "throughput", Limits())
    assert len(found.pareto) > 2, "the front of all four respects"
    with matplotlib.rc_context(STYLE):
        figure = throughput_against_latency(summary, found)
    assert figure is not None
    (line,) = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "--"]
    assert len(line.get_xdata()) == 2
    assert "front of these two" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_heat_map_has_a_panel_for_each_precision_and_shows_gaps() -> None:
    summary = summarize(nine())
    with matplotlib.rc_context(STYLE):
        figure = batch_and_streams(summary, choose(summary, "throughput", Limits()))
    assert figure is not None
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["FP32", "FP16", "BF16", "INT8"]
    written = [sorted(text.get_text() for text in axes.texts) for axes in panels]
    assert [len(cells) for cells in written] == [2, 1, 3, 3]
    assert sum(patch.get_hatch() is not None for axes in panels for patch in axes.patches) == 16 - 9


def test_a_crowd_is_drawn_together_and_only_its_best_are_labelled() -> None:
    summary = summarize(forty())
    crowd = [
        msgspec.structs.replace(one, id=f"{one.id}-{copy}")
        for copy in range(15)
        for one in summary.configurations
    ]
    summary = msgspec.structs.replace(
        summary,
        configurations=tuple(crowd),
        series={**summary.series, **{one.id: summary.series[one.id.rpartition("-")[0]] for one in crowd}},
    )
    with matplotlib.rc_context(STYLE):
        figure = throughput_against_latency(summary, choose(summary, "throughput", Limits()))
    assert figure is not None
    axes = figure.axes[0]
    assert len(axes.lines) < 10 and len(axes.collections) <= 5
    assert sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() != "None") >= len(crowd)
    drawn = np.concatenate(
        [lines.get_transform().transform(np.concatenate(lines.get_segments())) for lines in axes.collections]
    )
    intervals = [
        line
        for one in (*crowd, *summary.baselines)
        for line in interval_lines(metrics.LATENCY[50].read(one), metrics.THROUGHPUT.read(one))
    ]
    meant = axes.transData.transform(np.array(intervals).reshape(-1, 2))
    assert len(intervals) > 2 * 600
    assert np.allclose(sorted(drawn.tolist()), sorted(meant.tolist()))
    left, low, right, high = axes.bbox.extents
    assert (drawn >= (left, low)).all() and (drawn <= (right, high)).all(), "the axes make room for them"


def test_nothing_measured_is_no_picture() -> None:
    assert pictures(Journal((Measured(rounds=0, failed="killed"),)).run()) == {}


def test_without_accuracy_or_f32_that_picture_is_left_out() -> None:
    assert not any("accuracy" in name for name in pictures(Journal((Measured(),)).run()))
    only = Journal((Measured(precision="INT8"),), EVALUATIONS).run()
    assert not any("accuracy" in name for name in pictures(only))


def test_unlabelled_images_and_names_that_look_like_formulas_can_be_drawn() -> None:
    unlabelled = tuple(msgspec.structs.replace(one, labels=()) for one in EVALUATIONS)
    journal = Journal((Measured(), Measured(precision="INT8")), unlabelled, name="$\\frac{ \x1b 模型 & <b>")
    found = pictures(journal.run())
    assert len(found) == 6
    for name, content in found.items():
        if name.endswith("svg"):
            ElementTree.fromstring(content)


def test_what_has_too_few_samples_for_a_median_is_left_out_beside_baselines_that_have_enough() -> None:
    few = Measured(precision="INT8", fps=40.0, rounds=1, completions=8)
    enough = Measured(hint="LATENCY", fps=20.0, rounds=1, completions=40)
    summary = summarize(Journal((few, enough)).run())
    found = choose(summary, "throughput", Limits(accuracy_drop_pp=None))
    assert found.id == few.id
    figure = throughput_against_latency(summary, found)
    assert figure is not None


def test_what_a_race_dropped_is_drawn_hollow_and_explained() -> None:
    kept, out = Measured(precision="INT8", fps=40.0), Measured(precision="FP32", fps=10.0)
    summary = summarize(Journal((kept, out)).run())
    configurations = tuple(
        one if one.id == kept.id else msgspec.structs.replace(one, dropped=Dropped(by=kept.id, reason="slow"))
        for one in summary.configurations
    )
    summary = msgspec.structs.replace(summary, configurations=configurations)
    figure = throughput_against_latency(summary, choose(summary, "throughput", Limits(accuracy_drop_pp=None)))
    assert figure is not None
    faces = [line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert "none" in faces
    assert "dropped by the race" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_of_accuracy_against_speed_hollow_is_dropped_too_and_what_is_known_of_it_is_drawn() -> None:
    """Of each precision's fastest the intervals are drawn, whether or not a race dropped it."""
    summary = summarize(nine())
    dropped = {one.id for one in summary.configurations if one.precision == "BF16"}
    configurations = tuple(
        msgspec.structs.replace(one, dropped=Dropped(by="cpu-int8-b1-s2", reason="slow"))
        if one.id in dropped
        else one
        for one in summary.configurations
    )
    summary = msgspec.structs.replace(summary, configurations=configurations)
    with matplotlib.rc_context(STYLE):
        figure = accuracy_against_speed(summary, choose(summary, "throughput", Limits()))
    assert figure is not None
    lines = figure.axes[0].lines
    markers = [line for line in lines if line.get_marker() not in ("None", "none", None, "")]
    hollow = [line for line in markers if line.get_markerfacecolor() == "none" and line.get_markersize() == 5]
    assert len(hollow) == len(dropped) == 3
    upright = [
        line
        for line in lines
        if line.get_color() == LOOKS["BF16"].colour
        and len(set(line.get_xdata())) == 1 < len(line.get_xdata())
    ]
    assert len(upright) == 1, "the interval of its drop, at its fastest"
