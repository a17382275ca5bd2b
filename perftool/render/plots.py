"""A Summary and a Recommendation as pictures: PNG and SVG, readable in black and white.

matplotlib's object API on Agg, no pyplot: nothing global is changed and no display is asked for. The same
input gives the same bytes.
"""

import itertools
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from perftool.analysis import metrics, pareto
from perftool.analysis.leader import best_in_f32, ratio_of
from perftool.analysis.limits import bound_on
from perftool.analysis.rate_bound import rate_under_bound
from perftool.analysis.result import ConfigurationResult, Recommendation, Summary
from perftool.analysis.stats import Estimate
from perftool.render.labels import place
from perftool.render.numbers import plain
from perftool.render.open_load import Curve, latency_against_rate
from perftool.render.plotting import (
    FRONT,
    LIMIT,
    draw_legend,
    draw_points,
    draw_ring,
    figure_of,
    interval_lines,
    logarithmic,
    saved,
    short_name,
    styled,
    value_of,
    write_title,
)
from perftool.render.roofline import roofline_pictures

#: Beyond this many points only the choice, the front and the baselines are labelled.
_LABELLED = 14


def draw(summary: Summary, recommendation: Recommendation) -> dict[str, bytes]:
    """Return the pictures by file name; one that has nothing to show is left out."""
    pictures: dict[str, bytes] = {}
    with styled():
        for name, figure in (
            ("throughput_latency", throughput_against_latency(summary, recommendation)),
            ("batch_streams", batch_and_streams(summary, recommendation)),
            ("accuracy_speedup", accuracy_against_speed(summary, recommendation)),
            ("latency_rate", latency_against_offered(summary, recommendation)),
            *roofline_pictures(summary, recommendation).items(),
        ):
            if figure is not None:
                pictures.update(saved(figure, name))
    return pictures


def latency_against_offered(summary: Summary, recommendation: Recommendation) -> Figure | None:
    """Draw each configuration's latency against the offered rate, where open load was measured."""
    limits = recommendation.limits
    percentile = limits.percentile if limits.slo_ms is not None else 95
    curves = [
        Curve(
            name=short_name(one),
            precision=one.precision,
            points=one.open,
            answer=None
            if limits.slo_ms is None
            else rate_under_bound(one.open, limits.percentile, limits.slo_ms),
        )
        for one in (*summary.configurations, *summary.baselines)
        if one.open
    ]
    return latency_against_rate(
        curves,
        title=f"{summary.run.model}: latency against offered rate",
        percentiles=(percentile,),
        bound_ms=limits.slo_ms,
    )


# ---------------------------------------------------------------- throughput against latency


def throughput_against_latency(summary: Summary, recommendation: Recommendation) -> Figure | None:
    """Draw each configuration's throughput and latency under its closed load, and the front of the two."""
    across, up = metrics.LATENCY[50], metrics.THROUGHPUT
    shown = [
        one
        for one in (*summary.configurations, *summary.baselines)
        if across.read(one) is not None and up.read(one) is not None
    ]
    if not shown:
        return None
    figure = figure_of(8.4, 5.0)
    axes = figure.add_subplot()
    positions = {one.id: (value_of(across, one), value_of(up, one)) for one in shown}
    logarithmic(axes, [x for x, _ in positions.values()])
    best = pareto.front([one for one in summary.configurations if one.id in positions], (up, across))
    front = [positions[id] for id in best]
    axes.step(
        [x for x, _ in front],
        [y for _, y in front],
        where="pre",
        color=FRONT,
        linestyle="--",
        lw=1.2,
        zorder=1,
    )
    draw_points(axes, [(one, across.read(one), up.read(one), one.dropped is not None) for one in shown])
    draw_ring(axes, positions.get(recommendation.id or ""))
    axes.set_xlabel("latency per request under load, p50 (ms)")
    axes.set_ylabel("throughput (images/s)")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.12, y=0.10)
    axes.grid(color="#e6e6e6", lw=0.7)
    write_title(figure, f"{summary.run.model}: throughput against latency")
    draw_legend(figure, shown, recommendation, front=bool(front))
    keep = {recommendation.id, *best, *(one.id for one in summary.baselines)}
    kept = [one for one in shown if one.dropped is None]
    named = [one for one in kept if len(kept) <= _LABELLED or one.id in keep]
    lines = [line for one in shown for line in interval_lines(across.read(one), up.read(one))]
    for (x, y), (next_x, next_y) in itertools.pairwise(front):
        lines += [((next_x, next_y), (x, next_y)), ((x, next_y), (x, y))]
    texts = [(*positions[one.id], short_name(one)) for one in named]
    place(axes, list(positions.values()), lines, texts, positions.get(recommendation.id or ""))
    return figure


# ---------------------------------------------------------------- batch and streams


def batch_and_streams(summary: Summary, recommendation: Recommendation) -> Figure | None:
    """Draw throughput by batch and streams, a panel for each device and precision; gaps are hatched."""
    shown = [one for one in summary.configurations if metrics.THROUGHPUT.read(one) is not None]
    if not shown:
        return None
    panels: dict[tuple[str, str], list[ConfigurationResult]] = {}
    for one in shown:
        panels.setdefault((one.device, one.precision), []).append(one)
    batches = sorted({one.batch for one in shown})
    streams = sorted({_streams(one) for one in shown})
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    width = max(1.4, 0.62 * len(streams) + 0.3)
    height = max(1.0, 0.5 * len(batches) + 0.2)
    figure = figure_of(max(5.6, columns * width + 1.9), rows * (height + 0.55) + 1.0)
    grid = figure.subplots(rows, columns, squeeze=False)
    most = max(value_of(metrics.THROUGHPUT, one) for one in shown)
    several = len({one.device for one in shown}) > 1
    image = None
    for index, ((device, precision), results) in enumerate(panels.items()):
        axes = grid[index // columns][index % columns]
        image = _heat(axes, results, batches, streams, most, recommendation.id)
        title = f"{precision} on {device}" if several else precision
        axes.set_title(plain(title), parse_math=False, fontsize=10)
    for index in range(len(panels), rows * columns):
        grid[index // columns][index % columns].set_visible(False)
    if image is not None:
        bar = figure.colorbar(image, ax=grid, fraction=0.05, pad=0.02)
        bar.set_label("throughput (images/s)")
    figure.supxlabel("streams", fontsize=9)
    figure.supylabel("batch", fontsize=9)
    framed = "; framed: the choice" if recommendation.id else ""
    write_title(
        figure, f"{summary.run.model}: throughput by batch and streams", f"hatched: not measured{framed}"
    )
    return figure


def _streams(result: ConfigurationResult) -> int:
    return result.streams or result.requested.streams or 0


def _heat(
    axes: Axes,
    results: Sequence[ConfigurationResult],
    batches: Sequence[int],
    streams: Sequence[int],
    most: float,
    chosen: str | None,
) -> matplotlib.image.AxesImage:
    """Draw one panel; of several configurations in a cell the choice is shown, or else the fastest."""
    cells: dict[tuple[int, int], ConfigurationResult] = {}
    for one in sorted(results, key=lambda one: (one.id == chosen, value_of(metrics.THROUGHPUT, one))):
        cells[batches.index(one.batch), streams.index(_streams(one))] = one
    values = [
        [
            value_of(metrics.THROUGHPUT, cells[row, column]) if (row, column) in cells else float("nan")
            for column in range(len(streams))
        ]
        for row in range(len(batches))
    ]
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=most, origin="lower", aspect="auto")
    for row in range(len(batches)):
        for column in range(len(streams)):
            found = cells.get((row, column))
            corner = (column - 0.5, row - 0.5)
            if found is None:
                axes.add_patch(
                    Rectangle(corner, 1, 1, facecolor="white", edgecolor="#999999", hatch="////", lw=0)
                )
                continue
            value = value_of(metrics.THROUGHPUT, found)
            ink = "black" if value > 0.6 * most else "white"
            text = f"{value:.1f}" if value < 100 else f"{value:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
            if found.id == chosen:
                inset = (corner[0] + 0.04, corner[1] + 0.04)
                axes.add_patch(Rectangle(inset, 0.92, 0.92, fill=False, edgecolor="white", lw=4))
                axes.add_patch(Rectangle(inset, 0.92, 0.92, fill=False, edgecolor="black", lw=2))
    axes.set_xticks(range(len(streams)), [str(value) if value else "?" for value in streams])
    axes.set_yticks(range(len(batches)), [str(value) for value in batches])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


# ---------------------------------------------------------------- accuracy against speed


def accuracy_against_speed(summary: Summary, recommendation: Recommendation) -> Figure | None:
    """Draw what accuracy each configuration gives up for what speed-up over the best in f32.

    Without labels the share of images that FP32 classifies otherwise stands for the drop. The intervals and
    the name of a precision are drawn at its fastest configuration: batch and streams do not change accuracy.
    """
    base = best_in_f32(summary, metrics.THROUGHPUT)
    if base is None:
        return None
    labelled = any(metrics.DROP.read(one) for one in summary.configurations)
    points: dict[str, tuple[ConfigurationResult, Estimate, Estimate]] = {}
    for one in summary.configurations:
        loss = metrics.DROP.read(one) if labelled else _disagreement(one)
        speed, _ = ratio_of(summary, metrics.THROUGHPUT, one.id, base.id)
        if loss is not None and speed is not None:
            points[one.id] = (one, speed, loss)
    if not points:
        return None
    figure = figure_of(8.4, 4.4)
    axes = figure.add_subplot()
    axes.axhline(0, color="#777777", lw=0.8, zorder=0)
    limit = bound_on(recommendation.limits, metrics.DROP)
    if labelled and limit is not None:
        axes.axhline(limit, color=LIMIT, lw=1.2, linestyle=":", zorder=0)
    fastest: dict[str, str] = {}
    for id, (one, speed, _) in points.items():
        key = f"{one.device} {one.precision}"
        if key not in fastest or speed.point > points[fastest[key]][1].point:
            fastest[key] = id
    named_ones = set(fastest.values())
    drawn = []
    for id, (one, speed, loss) in points.items():
        ends = (speed, loss) if id in named_ones else (_bare(speed), _bare(loss))
        drawn.append((one, *ends, one.dropped is not None))
    draw_points(axes, drawn)
    positions = {id: (speed.point, loss.point) for id, (_, speed, loss) in points.items()}
    draw_ring(axes, positions.get(recommendation.id or ""))
    axes.margins(x=0.12, y=0.12)
    axes.set_xlabel(plain(f"throughput over the best in f32 ({base.id}), times"), parse_math=False)
    axes.set_ylabel("drop of top-1 accuracy (pp)" if labelled else "top-1 differs from FP32 (% of images)")
    axes.grid(color="#e6e6e6", lw=0.7)
    write_title(
        figure,
        f"{summary.run.model}: accuracy against speed-up",
        summary.run.accuracy_of or "unlabelled images",
    )
    draw_legend(
        figure, [one for one, _, _ in points.values()], recommendation, limit=limit if labelled else None
    )
    named = [(*positions[id], short_name(points[id][0])) for id in fastest.values()]
    lines = [line for id in fastest.values() for line in interval_lines(*points[id][1:])]
    place(axes, list(positions.values()), lines, named, positions.get(recommendation.id or ""))
    return figure


def _bare(estimate: Estimate) -> Estimate:
    return Estimate(point=estimate.point, low=None, high=None)


def _disagreement(result: ConfigurationResult) -> Estimate | None:
    agreement = metrics.AGREEMENT.value(result)
    return None if agreement is None else Estimate(point=100 - agreement, low=None, high=None)
