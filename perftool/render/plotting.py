"""What all pictures share: style and saving, colours, markers, intervals, the legend."""

import io
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult, Recommendation
from perftool.analysis.stats import Estimate
from perftool.render.labels import Point
from perftool.render.numbers import plain

DPI = 150
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "svg.hashsalt": "perftool",
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}


class Look(NamedTuple):
    """How a precision is drawn: Okabe and Ito's colours, told apart by shape as well."""

    colour: str
    marker: str
    size: float


LOOKS: dict[str, Look] = {
    "FP32": Look("#0072B2", "o", 9.5),
    "FP16": Look("#56B4E9", "^", 6.5),
    "BF16": Look("#009E73", "D", 7),
    "INT8": Look("#D55E00", "s", 7.5),
    "default": Look("#000000", "X", 8),
}
#: Executed precisions, of configurations and of layers, are drawn like the configurations that are called so.
RUNS_AS = {"f32": "FP32", "f16": "FP16", "bf16": "BF16", "int8": "INT8", "i8": "INT8", "u8": "INT8"}
_CHOICE = "#000000"
FRONT = "#555555"
LIMIT = "#CC79A7"


@contextmanager
def styled() -> Iterator[None]:
    """Draw in perftool's style while the block runs."""
    with warnings.catch_warnings(), matplotlib.rc_context(STYLE):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def saved(figure: Figure, name: str) -> dict[str, bytes]:
    """Return a figure as PNG and SVG by file name; the same figure gives the same bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # The layout stands; saving would draw once more to work it out again.
    kinds: dict[str, dict[str, None]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
    }
    files = {}
    for kind, metadata in kinds.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
        files[f"{name}.{kind}"] = buffer.getvalue()
    return files


def figure_of(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def value_of(metric: Metric, result: ConfigurationResult) -> float:
    """Read a metric that is known to be there."""
    value = metric.value(result)
    assert value is not None
    return value


def logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """Use a logarithmic axis with plain numbers where the values span more than a factor of six."""
    if min(values) > 0 and max(values) / min(values) > 6:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(NullFormatter())


#: A configuration, its two figures, and whether it is drawn faintly.
Drawn = tuple[ConfigurationResult, Estimate | None, Estimate | None, bool]
#: More points than this are drawn together, as pixels in an SVG too: apart they would take minutes.
_CROWD = 400


def draw_points(axes: Axes, points: Sequence[Drawn]) -> None:
    """Draw configurations with their intervals; a crowd in one go for each look."""
    if len(points) <= _CROWD:
        for result, x, y, faint in points:
            draw_point(axes, result, x, y, faint=faint)
        return
    looks: dict[tuple[str, bool], list[Drawn]] = {}
    for point in points:
        looks.setdefault((point[0].precision, point[3]), []).append(point)
    for (precision, faint), members in looks.items():
        _draw_intervals(axes, members, LOOKS[precision].colour)
        at = [(x.point, y.point) for _, x, y, _ in members if x is not None and y is not None]
        _mark(axes, precision, at, faint=faint, rasterized=True)


def _draw_intervals(axes: Axes, points: Sequence[Drawn], colour: str) -> None:
    """Draw the intervals of a crowd. They are brought onto the scale of the axes once: left to matplotlib
    each of thousands of lines would be again, whenever anything is laid out or drawn.
    """
    ends = np.array([line for _, x, y, _ in points for line in interval_lines(x, y)]).reshape(-1, 2)
    axes.update_datalim(ends)
    lines = LineCollection(
        list(axes.transScale.transform(ends).reshape(-1, 2, 2)),
        transform=axes.transLimits + axes.transAxes,
        colors=colour,
        lw=1.0,
        alpha=0.4,
        zorder=2,
        rasterized=True,
    )
    lines.set_in_layout(False)  # They lie inside the axes.
    axes.add_collection(lines, autolim=False)


def draw_point(
    axes: Axes, result: ConfigurationResult, x: Estimate | None, y: Estimate | None, *, faint: bool = False
) -> None:
    """Draw a configuration with its intervals."""
    assert x is not None and y is not None
    look = LOOKS[result.precision]
    for start, end in interval_lines(x, y):
        across, up = zip(start, end, strict=True)
        axes.plot(across, up, color=look.colour, lw=1.0, alpha=0.6, zorder=2)
    _mark(axes, result.precision, [(x.point, y.point)], faint=faint)


def _mark(
    axes: Axes, precision: str, points: Sequence[Point], *, faint: bool, rasterized: bool = False
) -> None:
    look = LOOKS[precision]
    axes.plot(
        [x for x, _ in points],
        [y for _, y in points],
        marker=look.marker,
        color=look.colour,
        markersize=5 if faint else look.size,
        markeredgecolor="white" if not faint else look.colour,
        markerfacecolor="none" if faint else look.colour,
        markeredgewidth=0.8,
        linestyle="none",
        alpha=0.7 if faint else 1.0,
        zorder=3,
        rasterized=rasterized,
    )


def draw_ring(axes: Axes, at: tuple[float, float] | None) -> None:
    """Ring the choice."""
    if at is not None:
        axes.plot(
            [at[0]],
            [at[1]],
            marker="o",
            markersize=15,
            markerfacecolor="none",
            markeredgecolor=_CHOICE,
            markeredgewidth=1.6,
            linestyle="none",
            zorder=4,
        )


def short_name(result: ConfigurationResult) -> str:
    """Name a point in few characters."""
    if result.requested.hint:
        return f"{result.requested.hint} hint"
    streams = "auto" if result.requested.streams is None else result.requested.streams
    more = result.requests not in (None, result.streams)
    return f"{result.precision} b{result.batch} s{streams}" + (f" r{result.requests}" if more else "")


def draw_legend(
    figure: Figure,
    shown: Sequence[ConfigurationResult],
    recommendation: Recommendation,
    *,
    front: bool = False,
    limit: float | None = None,
) -> None:
    """Explain the markers outside the axes, where no data can be covered."""
    present = {one.precision for one in shown}
    handles = [
        Line2D(
            [], [], marker=look.marker, color=look.colour, linestyle="none", markersize=look.size, label=name
        )
        for name, look in LOOKS.items()
        if name in present
    ]
    if any(one.dropped for one in shown):
        handles.append(_circle("dropped by the race", "#777777", 5, 0.8))
    for handle in handles:
        if handle.get_label() == "default":
            handle.set_label("FP32, hint only\n(baseline)")
    if front:
        handles.append(Line2D([], [], color=FRONT, linestyle="--", lw=1.2, label="front of these two"))
    if limit is not None:
        label = f"limit: {limit:g} pp"
        handles.append(Line2D([], [], color=LIMIT, linestyle=":", lw=1.2, label=label))
    if recommendation.id is not None:
        handles.append(_circle("choice", _CHOICE, 12, 1.6))
    handles.append(Line2D([], [], color="#777777", lw=1.0, label="95 % interval"))
    letters = "b: batch   s: streams"
    if any(" r" in short_name(one) for one in shown):
        letters += "   r: requests"
    place_legend(figure, handles, title=letters, title_fontsize=8)


def _circle(label: str, colour: str, size: float, width: float) -> Line2D:
    """Return a hollow circle for a legend."""
    return Line2D(
        [],
        [],
        marker="o",
        color=colour,
        markerfacecolor="none",
        linestyle="none",
        markersize=size,
        markeredgewidth=width,
        label=label,
    )


def place_legend(figure: Figure, handles: Sequence[Artist], **style: Any) -> None:
    """Put a legend outside the axes, where no data can be covered."""
    figure.legend(
        handles=handles,
        loc="outside right upper",
        frameon=False,
        fontsize=8,
        labelspacing=0.9,
        **style,
    )


def short_end(name: str, longest: int) -> str:
    """Return a name to draw; of a long one its end is kept, which tells it apart."""
    return plain(name if len(name) <= longest else f"…{name[1 - longest :]}")


def interval_lines(x: Estimate | None, y: Estimate | None) -> list[tuple[Point, Point]]:
    """Return the strokes that `draw_point` draws for the intervals."""
    assert x is not None and y is not None
    lines: list[tuple[Point, Point]] = []
    if x.low is not None and x.high is not None:
        lines.append(((x.low, y.point), (x.high, y.point)))
    if y.low is not None and y.high is not None:
        lines.append(((x.point, y.low), (x.point, y.high)))
    return lines


def write_title(figure: Figure, *lines: str) -> None:
    """Write a title of a large and of smaller lines, folded to the figure's width."""
    width = int(figure.get_figwidth() * 11)
    folded = [part for line in lines for part in textwrap.wrap(plain(line), width) or [""]]
    figure.suptitle("\n".join(folded), fontsize=10, x=0.01, ha="left", parse_math=False)
