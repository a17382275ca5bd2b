"""A run's configurations under the roofline of their device, as a picture readable in black and white.

Nothing is computed here; in words it is `headroom`'s. docs/roofline.md explains what is shown.
"""

import itertools
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from perftool.analysis.blocks import called
from perftool.analysis.layers import LayerProfile, LayerRow
from perftool.analysis.result import ConfigurationResult, Recommendation, Summary
from perftool.analysis.roofline import Ceiling, Placed, Roofline
from perftool.analysis.stats import Estimate
from perftool.render.labels import Point, place
from perftool.render.numbers import plain
from perftool.render.plotting import (
    LOOKS,
    RUNS_AS,
    Look,
    draw_legend,
    draw_point,
    draw_ring,
    figure_of,
    interval_lines,
    place_legend,
    short_end,
    short_name,
    write_title,
)

_DASHES = {"f32": "-", "f16": ":", "bf16": "--", "int8": "-."}
_ROOF = "#555555"
#: Beyond this many points only the choice, the baselines and the fastest of each precision are labelled.
_LABELLED = 10
#: The area of a layer that takes all of the time, in square points, and the least that is drawn.
_LAYER_AREA, _LEAST_AREA = 900.0, 4.0
#: So many layers of a profile are named, the costliest, and so long their names are at the most.
_NAMED_LAYERS, _LONGEST_NAME = 5, 34
#: Ceilings whose ratio is less than this are named one below the other.
_CLOSE = 1.25


def roofline_pictures(summary: Summary, recommendation: Recommendation) -> dict[str, Figure]:
    """Return a picture for each device that has a roofline and a configuration under it, by file name."""
    drawn = (roofline_figure(summary, recommendation, found) for found in summary.rooflines)
    figures = [figure for figure in drawn if figure is not None]
    return {"roofline" if at == 0 else f"roofline_{at + 1}": figure for at, figure in enumerate(figures)}


def roofline_figure(summary: Summary, recommendation: Recommendation, found: Roofline) -> Figure | None:
    """Draw a device's ceilings, its bandwidth, and its configurations with their intervals; None without any.

    Where the layers of a configuration were timed, those that carry operations are drawn too, hollow, with
    an area that is their share of the time.
    """
    results = {one.id: one for one in (*summary.configurations, *summary.baselines)}
    placed = {one.id: one for one in summary.placed if results[one.id].device == found.device}
    if not placed:
        return None
    profile = _profile(summary.layers, found.device, recommendation.id)
    layers = [] if profile is None else [row for row in profile.layers if row.device_gflops and row.intensity]
    figure = figure_of(8.4, 5.0)
    axes = figure.add_subplot()
    at = {id: (one.intensity, one.gflops.point) for id, one in placed.items()}
    roof = _draw_roof(axes, found, [*at.values(), *map(_spot, layers)])
    for row in layers:
        _draw_layer(axes, row)
    shown = [results[id] for id in placed]
    for one in shown:
        draw_point(axes, one, _across(placed[one.id]), placed[one.id].gflops, faint=one.dropped is not None)
    draw_ring(axes, at.get(recommendation.id or ""))
    when = f"ceilings measured {found.measured}" + (", disturbed: maybe too low" if found.disturbed else "")
    small = f"; hollow: the layers of {profile.id}, area by share of its time" if layers and profile else ""
    write_title(figure, f"{summary.run.model}: under the roofline of {found.device}", when + small)
    draw_legend(figure, shown, recommendation)
    lines = [line for one in placed.values() for line in interval_lines(_across(one), one.gflops)]
    texts = [(*at[one.id], short_name(one)) for one in _named(placed, shown, recommendation.id)]
    place(axes, list(at.values()), [*lines, *roof], texts, at.get(recommendation.id or ""))
    return figure


def layers_figure(model: str, profile: LayerProfile, found: Roofline) -> Figure | None:
    """Draw the layers of one profile under the roofline of its device; None where none carries operations.

    Hollow marks, with an area that is their share of the time, at what all requests in flight reach in them
    together; the costliest are named.
    """
    layers = [row for row in profile.layers if row.device_gflops and row.intensity]
    if not layers:
        return None
    figure = figure_of(8.4, 5.0)
    axes = figure.add_subplot()
    spots = [_spot(row) for row in layers]
    roof = _draw_roof(axes, found, spots)
    for row in layers:
        _draw_layer(axes, row)
    when = f"ceilings measured {found.measured}" + (", disturbed: maybe too low" if found.disturbed else "")
    title = f"{model}: the layers of {profile.id} under the roofline of {found.device}"
    write_title(figure, title, f"{when}; area by share of the time")
    _draw_precisions(figure, layers)
    costliest = sorted(layers, key=lambda row: -row.time_us.point)[:_NAMED_LAYERS]
    texts = [(*_spot(row), short_end(called(row.name, row.originals), _LONGEST_NAME)) for row in costliest]
    place(axes, spots, roof, texts)
    return figure


def _draw_precisions(figure: Figure, layers: Sequence[LayerRow]) -> None:
    """Explain the marks: what layers ran in."""
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=_look(name).marker,
            markerfacecolor="none",
            markeredgecolor=_look(name).colour,
            label=plain(name),
        )
        for name in sorted({row.precision for row in layers})
    ]
    place_legend(figure, handles, title="runs in", title_fontsize=8)


def _across(one: Placed) -> Estimate:
    return Estimate(point=one.intensity, low=None, high=None)


def _spot(row: LayerRow) -> Point:
    """Return where a layer lies, at what all requests reach together; only of those that have both."""
    assert row.intensity is not None and row.device_gflops is not None
    return row.intensity, row.device_gflops


def _profile(profiles: Sequence[LayerProfile], device: str, chosen: str | None) -> LayerProfile | None:
    """Return the layers of the choice, or else of the first configuration of the device that was timed."""
    here = [one for one in profiles if one.device == device]
    return min(here, key=lambda one: one.id != chosen, default=None)


def _named(
    placed: Mapping[str, Placed], shown: Sequence[ConfigurationResult], chosen: str | None
) -> list[ConfigurationResult]:
    """Return what is labelled: of a few points all, of many those that a reader looks for."""
    fastest: dict[str, str] = {}
    for each in sorted(placed.values(), key=lambda each: -each.gflops.point):
        fastest.setdefault(each.precision, each.id)
    keep = {chosen, *fastest.values(), *(one.id for one in shown if one.requested.hint)}
    kept = [one for one in shown if one.dropped is None]
    return [one for one in kept if len(kept) <= _LABELLED or one.id in keep]


# ---------------------------------------------------------------- the roof


def _draw_roof(axes: Axes, found: Roofline, spots: Sequence[Point]) -> list[tuple[Point, Point]]:
    """Set up both axes so that all spots are in view, and draw the roof; return its level strokes."""
    bandwidth = found.bandwidth_gb_s.point
    ridges = [one.gflops.point / bandwidth for one in found.ceilings]
    left = min(*(x for x, _ in spots), *ridges) / 3
    right = max(*(x for x, _ in spots), *ridges) * 2
    low = min(*(y for _, y in spots), left * bandwidth) / 1.3
    high = max(*(y for _, y in spots), *(one.gflops.point for one in found.ceilings)) * 1.7
    _scale(axes, (left, right), (low, high))
    axes.plot([left, max(ridges)], [left * bandwidth, max(ridges) * bandwidth], color=_ROOF, lw=1.6, zorder=1)
    middle = (left * min(ridges)) ** 0.5
    axes.annotate(
        f"memory {_short(bandwidth)} GB/s",
        (middle, middle * bandwidth),
        xytext=(8, -10),
        textcoords="offset points",
        fontsize=8,
        color=_ROOF,
    )
    for one, ridge in zip(found.ceilings, ridges, strict=True):
        _draw_ceiling(axes, one, ridge, right)
    closes = [
        above.gflops.point / one.gflops.point < _CLOSE for above, one in itertools.pairwise(found.ceilings)
    ]
    for one, close in zip(found.ceilings, [False, *closes], strict=True):
        _name_ceiling(axes, one, below=close)
    levels = [one.gflops.point for one in found.ceilings]
    return [((ridge, level), (right, level)) for ridge, level in zip(ridges, levels, strict=True)]


def _scale(axes: Axes, across: Point, up: Point) -> None:
    """Make both axes logarithmic, with plain numbers."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("operations per byte that kernels read and write")
    axes.set_ylabel("10⁹ operations per second")
    axes.grid(color="#e6e6e6", lw=0.7)


def _draw_ceiling(axes: Axes, one: Ceiling, ridge: float, right: float) -> None:
    """Draw a ceiling from its ridge on, with its interval as a band."""
    look, level = _look(one.precision), one.gflops
    axes.plot(
        [ridge, right],
        [level.point, level.point],
        color=look.colour,
        linestyle=_DASHES.get(one.precision, "-"),
        lw=1.6,
        zorder=1,
    )
    if level.low is not None and level.high is not None:
        axes.fill_between(
            [ridge, right], level.low, level.high, color=look.colour, alpha=0.15, lw=0, zorder=0
        )


def _short(value: float) -> str:
    """Write a figure to three digits, without an exponent."""
    return f"{float(f'{value:.3g}'):g}"


def _name_ceiling(axes: Axes, one: Ceiling, *, below: bool) -> None:
    """Write a ceiling beside its end, outside the axes."""
    axes.annotate(
        plain(f"{one.precision} {_short(one.gflops.point)}"),
        (1.0, one.gflops.point),
        xycoords=("axes fraction", "data"),
        xytext=(4, -9 if below else 0),
        textcoords="offset points",
        fontsize=8,
        va="center",
        color=_look(one.precision).colour,
        parse_math=False,
        annotation_clip=False,
    )


def _look(precision: str) -> Look:
    return LOOKS[RUNS_AS.get(precision, "default")]


def _draw_layer(axes: Axes, row: LayerRow) -> None:
    look = _look(row.precision)
    x, y = _spot(row)
    axes.scatter(
        [x],
        [y],
        s=max(_LEAST_AREA, _LAYER_AREA * row.share),
        marker=look.marker,
        facecolors="none",
        edgecolors=look.colour,
        linewidths=0.8,
        alpha=0.6,
        zorder=1.5,
    )
