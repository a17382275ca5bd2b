"""One configuration over many runs as a picture that is readable in black and white."""

import textwrap
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from perftool.analysis.held import Held
from perftool.analysis.history import History, Point, Track
from perftool.analysis.stats import Estimate
from perftool.render.numbers import plain
from perftool.render.plotting import LOOKS, place_legend, saved, styled, write_title
from perftool.render.plotting import figure_of as empty_figure

#: More ticks than this would cover each other.
_TICKS = 12
#: So many changes between runs are told beside a picture; the table tells them all.
_TOLD = 8
_WIDTH = 34
#: A name without a space may be as wide as this.
_WIDEST = 48
#: Marks along the foot of a picture, a row for each kind: for worse and better, its face, against what.
_ROWS = (
    ({"worse": "v", "better": "^"}, "black", "surely {} than before"),
    ({"worse": "v", "better": "^"}, "white", "everything surely {} than before"),
    ({"worse": "v", "better": "^"}, "#aaaaaa", "surely {} than the first"),
    ({"worse": "1", "better": "2"}, "black", "everything surely {} than the first"),
)
_FOOT = 0.03
_ROW = 0.045
_MISSING = "x"
_GREY = "#777777"
#: The room above and below the figures, as a share of the highest.
_LEAST_ROOM = 0.05


def pictures(found: History) -> dict[str, bytes]:
    """Return each track's picture as PNG and SVG by file name; a track without a figure has none."""
    drawn: dict[str, bytes] = {}
    with styled():
        for number, track in enumerate(found.tracks, start=1):
            figure = draw(track)
            if figure is not None:
                drawn |= saved(figure, "history" if len(found.tracks) == 1 else f"history-{number}")
    return drawn


def draw(track: Track) -> Figure | None:
    """Draw a figure over the runs, evenly spaced, with its intervals and what changed between them."""
    known = [(at, one, one.figure) for at, one in enumerate(track.points) if one.figure is not None]
    if not known:
        return None
    figure = empty_figure(9.4, 4.6)
    axes = figure.add_subplot()
    look = LOOKS.get(track.precision, LOOKS["default"])
    axes.plot(
        [at for at, _, _ in known], [one.point for *_, one in known], color=look.colour, lw=1.2, zorder=2
    )
    for at, point, estimate in known:
        _draw_point(axes, at, point, estimate, look.colour, look.marker)
    missing = [at for at, one in enumerate(track.points) if one.figure is None]
    _draw_mark(axes, missing, _MISSING)
    _draw_verdicts(axes, track.points)
    _draw_changes(axes, track.points)
    _frame(axes, track)
    title = f"{track.model}: {track.label} of {track.configuration}"
    write_title(figure, title, f"{track.cpu}, {track.cores_usable} cores usable; {track.better} is better")
    place_legend(figure, list(_handles(track, look.colour, look.marker)), handlelength=1.6)
    return figure


def _draw_point(axes: Axes, at: int, point: Point, estimate: Estimate, colour: str, marker: str) -> None:
    """Draw one run's figure; hollow where it has no interval."""
    bare = estimate.low is None or estimate.high is None
    if estimate.low is not None and estimate.high is not None:
        reach = [[estimate.point - estimate.low], [estimate.high - estimate.point]]
        axes.errorbar(
            [at], [estimate.point], yerr=reach, color=colour, lw=1.1, capsize=3, fmt="none", zorder=3
        )
    axes.plot(
        [at],
        [estimate.point],
        marker=marker,
        color=colour,
        markerfacecolor="white" if bare else colour,
        markersize=6.5,
        linestyle="none",
        zorder=4,
    )


def _verdicts(point: Point) -> tuple[str, str, str, str]:
    """Return what is marked of a run, in the order of the marks: against the first only what is not above."""
    before, first = point.before, point.first if point.first != point.before else None
    return (*_own_and_common(before), *_own_and_common(first))


def _own_and_common(held: Held | None) -> tuple[str, str]:
    if held is None:
        return "", ""
    return held.verdict, held.common.verdict if held.common is not None else ""


def _draw_verdicts(axes: Axes, points: Sequence[Point]) -> None:
    """Mark what is surely worse or better, each kind that is there in a row of its own."""
    height = _FOOT
    for row, (shapes, face, _) in enumerate(_ROWS):
        drawn = [
            (at, shapes[_verdicts(one)[row]])
            for at, one in enumerate(points)
            if _verdicts(one)[row] in shapes
        ]
        for at, shape in drawn:
            _draw_mark(axes, [at], shape, height, face)
        height += _ROW if drawn else 0.0


def _draw_mark(
    axes: Axes, runs: Sequence[int], shape: str, height: float = _FOOT, face: str = "black"
) -> None:
    """Mark runs along the foot of the picture."""
    axes.plot(
        runs,
        [height] * len(runs),
        transform=axes.get_xaxis_transform(),
        marker=shape,
        color="black",
        markerfacecolor=face,
        markersize=8,
        linestyle="none",
        zorder=5,
    )


def _draw_changes(axes: Axes, points: Sequence[Point]) -> None:
    """Draw a numbered line before each run that something else differs in."""
    for number, (at, _) in enumerate(_changes(points), start=1):
        axes.axvline(at - 0.5, color=_GREY, lw=1.0, linestyle=(0, (4, 2)), zorder=1)
        axes.text(
            at - 0.5,
            1.0,
            str(number),
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=8,
            color="#333333",
        )


def _changes(points: Sequence[Point]) -> list[tuple[int, Point]]:
    return [(at, point) for at, point in enumerate(points) if point.changed]


def _frame(axes: Axes, track: Track) -> None:
    """Name the runs by when they were made, as many as there is room for; show figures close up."""
    step = -(-len(track.points) // _TICKS)
    shown = range(0, len(track.points), step)
    labels = [track.points[at].created[5:16].replace("T", "\n") for at in shown]
    axes.set_xticks(list(shown), labels, fontsize=8)
    axes.set_xlim(-0.6, len(track.points) - 0.4)
    low, high = _reach(track)
    axes.set_ylim(low, high)
    axes.set_xlabel("run (UTC)")
    axes.set_ylabel(plain(f"{track.label} ({track.unit})"), parse_math=False)
    axes.grid(color="#e6e6e6", lw=0.7)


def _reach(track: Track) -> tuple[float, float]:
    """Return the range of figures that is drawn: close up, but so that a few percent look small."""
    estimates = [one.figure for one in track.points if one.figure is not None]
    ends = [end for one in estimates for end in (one.low, one.point, one.high) if end is not None]
    low, high = min(ends), max(ends)
    room = max(0.15 * (high - low), _LEAST_ROOM * abs(high)) or 1.0
    return (max(0.0, low - room) if low >= 0 else low - room), high + room


def _handles(track: Track, colour: str, marker: str) -> Iterator[Line2D]:
    """Explain every mark that is there."""
    name = _short(track.configuration)
    yield Line2D([], [], color=colour, marker=marker, markersize=6.5, lw=1.2, label=name)
    estimates = [one.figure for one in track.points if one.figure is not None]
    if any(one.low is not None for one in estimates):
        yield Line2D([], [], color=colour, marker="|", markersize=11, linestyle="none", label="95 % interval")
    if any(one.low is None or one.high is None for one in estimates):
        yield Line2D(
            [],
            [],
            color=colour,
            marker=marker,
            markerfacecolor="white",
            markersize=6.5,
            linestyle="none",
            label="hollow: no interval",
        )
    yield from _moves(track.points)
    yield from _missing(track.points)
    changes = _changes(track.points)
    for number, (_, point) in enumerate(changes[:_TOLD], start=1):
        text = _short(f"{number}: {point.changed[0]}" + (", …" if len(point.changed) > 1 else ""))
        yield Line2D([], [], color=_GREY, lw=1.0, linestyle=(0, (4, 2)), label=text)
    if len(changes) > _TOLD:
        yield Line2D([], [], linestyle="none", label=f"and {len(changes) - _TOLD} more changes")


def _moves(points: Sequence[Point]) -> Iterator[Line2D]:
    """Explain each mark of a verdict that is there."""
    for row, (shapes, face, meaning) in enumerate(_ROWS):
        for verdict, shape in shapes.items():
            if any(_verdicts(one)[row] == verdict for one in points):
                yield Line2D(
                    [],
                    [],
                    color="black",
                    marker=shape,
                    markerfacecolor=face,
                    markersize=8,
                    linestyle="none",
                    label=meaning.format(verdict),
                )


def _missing(points: Sequence[Point]) -> Iterator[Line2D]:
    """Explain the mark of runs without a figure by their reason, where all have one."""
    reasons = {one.reason for one in points if one.figure is None}
    if reasons:
        why = f": {reasons.pop()}" if len(reasons) == 1 else ": failed, skipped, not planned or not measured"
        yield Line2D(
            [],
            [],
            color="black",
            marker=_MISSING,
            markersize=8,
            linestyle="none",
            label=_short(f"no figure{why}"),
        )


def _short(text: str) -> str:
    """Fold a sentence to a legend's width, two lines of it at the most; nothing in it is a formula.

    It breaks at spaces: a version or a name stays whole, though it be wider than the legend, up to a bound.
    """
    lines = textwrap.wrap(plain(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
    if len(lines) > 2:
        lines = [lines[0], f"{lines[1]} …"]
    lines = [line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…" for line in lines]
    return "\n".join(lines).replace("$", r"\$")
