"""Latency against the offered rate as a picture, for one configuration or several.

Readable in black and white: curves differ by line and marker too. Nothing is computed here.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from perftool.analysis.open_load import said
from perftool.analysis.rate_bound import RateUnderBound
from perftool.analysis.result import RatePoint
from perftool.analysis.stats import Estimate
from perftool.render.numbers import plain, span
from perftool.render.plotting import LOOKS, figure_of, place_legend, saved, styled, write_title

PERCENTILES = (50, 90, 95, 99)
BOUND = "#CC79A7"
CAPACITY = "#555555"

_Dashes = str | tuple[int, tuple[float, ...]]
#: How curves of one precision are told apart, in order.
_LINES: tuple[_Dashes, ...] = ("-", "--", "-.", ":", (0, (8, 2, 1, 2, 1, 2)), (0, (1, 1)))


class Curve(NamedTuple):
    """A configuration under open load. `closed_fps` is what it serves in the closed loop."""

    name: str
    precision: str
    points: Sequence[RatePoint]
    closed_fps: float | None = None
    answer: RateUnderBound | None = None


class _Look(NamedTuple):
    """How one line is drawn."""

    colour: str
    marker: str
    line: _Dashes
    label: str


#: How the percentiles of a single configuration are drawn: Okabe and Ito's colours.
_BY_PERCENTILE = {
    50: _Look("#0072B2", "o", "-", "p50"),
    90: _Look("#009E73", "^", "--", "p90"),
    95: _Look("#E69F00", "s", "-.", "p95"),
    99: _Look("#D55E00", "D", ":", "p99"),
}


def latency_against_rate(
    curves: Sequence[Curve],
    *,
    title: str,
    percentiles: Sequence[int] = PERCENTILES,
    bound_ms: float | None = None,
) -> Figure | None:
    """Draw latency percentiles against the offered rate; None where no rate was offered.

    Of one curve all `percentiles` are drawn, of several the last one alone. Rates that were refused stand at
    the top edge. The bound is a level line, the rate that keeps it a star on it with its interval, and what a
    configuration serves in the closed loop an upright line (a short one, of several).
    """
    if not any(curve.points for curve in curves):
        return None
    figure = figure_of(8.4, 4.8)
    axes = figure.add_subplot()
    axes.set_yscale("log")
    several = len(curves) > 1
    shown = percentiles[-1:] if several else percentiles
    lines = [
        (curve, percentile, look)
        for curve, own in zip(curves, _looks(curves), strict=True)
        for percentile in shown
        for look in [own if several else _BY_PERCENTILE[percentile]]
        if several or any(point.percentile(percentile) for point in curve.points)
    ]
    for curve, percentile, look in lines:
        _draw_line(axes, curve.points, percentile, look)
    _frame(axes, curves, shown, bound_ms)
    for curve, look in zip(curves, _looks(curves), strict=True):
        _draw_refused(axes, curve.points, look.colour if several else "black")
        if curve.closed_fps is not None:
            ink = look.colour if several else CAPACITY
            top = 0.07 if several else 1.0
            axes.axvline(curve.closed_fps, ymax=top, color=ink, lw=1.3, linestyle=(0, (4, 2)), zorder=1)
        if curve.answer is not None and curve.answer.rate is not None:
            ink = look.colour if several else "black"
            _draw_answer(axes, curve.answer.rate, curve.answer.bound_ms, ink)
    if bound_ms is not None:
        axes.axhline(bound_ms, color=BOUND, lw=1.4, linestyle="-", zorder=1)
    axes.set_xlabel("offered rate (images/s)")
    what = f"latency per request, p{shown[-1]} (ms)" if several else "latency per request (ms)"
    axes.set_ylabel(what)
    write_title(figure, *title.split("\n"))
    _legend(figure, curves, [look for _, _, look in lines], shown, bound_ms)
    return figure


def _looks(curves: Sequence[Curve]) -> list[_Look]:
    """Return a look for each of several curves: colour and marker by precision, the line by turn."""
    seen: dict[str, int] = {}
    found = []
    for curve in curves:
        turn = seen.get(curve.precision, 0)
        seen[curve.precision] = turn + 1
        look = LOOKS[curve.precision]
        found.append(_Look(look.colour, look.marker, _LINES[turn % len(_LINES)], curve.name))
    return found


def _draw_line(axes: Axes, points: Sequence[RatePoint], percentile: int, look: _Look) -> None:
    """Draw one percentile; a marker is filled where its interval has both ends."""
    found = [(point.rate_fps, estimate) for point in points if (estimate := point.percentile(percentile))]
    axes.plot(
        [rate for rate, _ in found],
        [estimate.point for _, estimate in found],
        color=look.colour,
        linestyle=look.line,
        lw=1.5,
        zorder=2,
    )
    for rate, estimate in found:
        bare = estimate.low is None or estimate.high is None
        if estimate.low is not None:
            above = 0.0 if estimate.high is None else estimate.high - estimate.point
            reach = [[estimate.point - estimate.low], [above]]
            axes.errorbar(
                [rate],
                [estimate.point],
                yerr=reach,
                color=look.colour,
                lw=1.0,
                capsize=3,
                fmt="none",
                zorder=3,
            )
        axes.plot(
            [rate],
            [estimate.point],
            marker=look.marker,
            color=look.colour,
            markerfacecolor="white" if bare else look.colour,
            markersize=6.5,
            markeredgewidth=1.2,
            linestyle="none",
            zorder=4,
        )


def _frame(axes: Axes, curves: Sequence[Curve], percentiles: Sequence[int], bound_ms: float | None) -> None:
    """Set the axes' ranges: rates from 0, latencies with room above for what is at the top edge."""
    rates = [point.rate_fps for curve in curves for point in curve.points]
    rates += [curve.closed_fps for curve in curves if curve.closed_fps is not None]
    axes.set_xlim(0, 1.06 * max(rates))
    values = [] if bound_ms is None else [bound_ms]
    for curve in curves:
        for percentile in percentiles:
            for estimate in filter(None, (point.percentile(percentile) for point in curve.points)):
                values += [estimate.point, estimate.low or estimate.point, estimate.high or estimate.point]
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    axes.set_ylim(low / 1.3, high * max(1.5, (high / low) ** 0.15))
    close = high / low < 8
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7) if close else (1, 2, 5)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="#e6e6e6", lw=0.7)


def _draw_refused(axes: Axes, points: Sequence[RatePoint], colour: str) -> None:
    for point in points:
        if point.refusal is not None:
            axes.plot(
                [point.rate_fps],
                [0.965],
                transform=axes.get_xaxis_transform(),
                marker=_REFUSED[point.refusal][0],
                color=colour,
                markersize=8,
                markeredgewidth=1.8,
                markerfacecolor="none",
                linestyle="none",
                zorder=5,
            )


#: How a refused rate is marked, and what that means.
_REFUSED = {
    "overloaded": ("x", "overloaded:\nmore than it can serve"),
    "late": ("v", "generator late:\nno answer"),
}


def _draw_answer(axes: Axes, answer: Estimate, bound_ms: float, colour: str) -> None:
    if answer.low is not None and answer.high is not None:
        axes.plot(
            [answer.low, answer.high],
            [bound_ms, bound_ms],
            color=colour,
            lw=4,
            alpha=0.45,
            solid_capstyle="butt",
            zorder=5,
        )
    axes.plot(
        [answer.point],
        [bound_ms],
        marker="*",
        markersize=15,
        color=colour,
        markeredgecolor="white",
        linestyle="none",
        zorder=6,
    )


def _legend(
    figure: Figure,
    curves: Sequence[Curve],
    looks: Sequence[_Look],
    percentiles: Sequence[int],
    bound_ms: float | None,
) -> None:
    """Explain every mark that is there, outside the axes, where no data can be covered."""

    def handle(label: str, **style: object) -> Line2D:
        return Line2D([], [], label=label, **style)  # type: ignore[arg-type]

    alone = curves[0] if len(curves) == 1 else None
    points = [point for curve in curves for point in curve.points]
    estimates = [found for point in points for p in percentiles if (found := point.percentile(p))]
    handles = [
        handle(plain(look.label), color=look.colour, linestyle=look.line, marker=look.marker, markersize=6.5)
        for look in looks
    ]
    if any(found.low is not None for found in estimates):
        handles.append(handle("95 % interval", color=CAPACITY, marker="|", markersize=11, linestyle="none"))
    if any(found.low is None or found.high is None for found in estimates):
        hollow = {"marker": "o", "markerfacecolor": "white", "markersize": 6.5, "linestyle": "none"}
        handles.append(handle("hollow: upper end unknown", color=CAPACITY, **hollow))
    for refusal, (marker, meaning) in _REFUSED.items():
        if any(point.refusal == refusal for point in points):
            style = {"marker": marker, "markerfacecolor": "none", "markersize": 8, "markeredgewidth": 1.8}
            handles.append(handle(meaning, color="black", linestyle="none", **style))
    if any(curve.closed_fps is not None for curve in curves):
        serves = f":\n{said(alone.closed_fps)} images/s" if alone and alone.closed_fps is not None else ""
        ink = CAPACITY if alone else "black"
        handles.append(handle(f"closed loop{serves}", color=ink, lw=1.3, linestyle=(0, (4, 2))))
    if bound_ms is not None:
        handles.append(handle(f"bound: {bound_ms:g} ms", color=BOUND, lw=1.4))
    answers = [curve.answer for curve in curves if curve.answer is not None]
    for answer in [one for one in answers if one.rate is not None][:1]:
        rate = answer.rate
        assert rate is not None
        digits = max(0, 2 - math.floor(math.log10(rate.point))) if rate.point > 0 else 0
        figures = f":\n{rate.point:.{digits}f}{span(rate.low, rate.high, digits)} images/s" if alone else ""
        style = {"marker": "*", "markersize": 13, "markeredgecolor": "white", "linestyle": "none"}
        handles.append(handle(f"p{answer.percentile} keeps the bound{figures}", color="black", **style))
    place_legend(figure, handles, handlelength=3.2)


def picture(
    curves: Sequence[Curve], *, title: str, percentiles: Sequence[int] = PERCENTILES, bound_ms: float | None
) -> dict[str, bytes]:
    """Return `latency_against_rate` as PNG and SVG by file name; nothing where there is nothing to draw."""
    with styled():
        figure = latency_against_rate(curves, title=title, percentiles=percentiles, bound_ms=bound_ms)
        return {} if figure is None else saved(figure, "latency_rate")
