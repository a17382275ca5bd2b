"""Where a race spent its time, beside what measuring everything found: a picture."""

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from perftool.analysis.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = Path(__file__).parent.parent / "docs" / "benchmarks"
NAME = "racing.png"
#: Shades and markers that a black-and-white print tells apart.
STYLES = {"INT8": ("o", "#0b3c5d"), "BF16": ("s", "#d98324"), "FP32": ("^", "#8c8c8c")}


class Spent(Struct, frozen=True, kw_only=True):
    """A configuration: its throughput when all were measured, the seconds spent on it, how often it won."""

    id: str
    precision: str
    throughput_fps: Estimate
    exhaustive_s: float
    race_s: float
    chosen: int


def draw(spent: list[Spent], races: int) -> str:
    """Draw configurations by rank, fastest first; return the file's path relative to the page."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(
        2, 1, figsize=(10, 7), sharex=True, height_ratios=(3, 2), layout="constrained"
    )
    _throughputs(above, spent, races)
    _times(below, spent, races)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.4, alpha=0.6)
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / NAME, dpi=120)
    pyplot.close(figure)
    return f"{FOLDER.name}/{NAME}"


def _throughputs(axes: "Axes", spent: list[Spent], races: int) -> None:
    """Draw what the exhaustive run measured, and what the races chose."""
    for precision, (marker, colour) in STYLES.items():
        ranks = [rank for rank, one in enumerate(spent, start=1) if one.precision == precision]
        found = [spent[rank - 1].throughput_fps for rank in ranks]
        points = [one.point for one in found]
        reach = [
            [one.point - (one.low if one.low is not None else one.point) for one in found],
            [(one.high if one.high is not None else one.point) - one.point for one in found],
        ]
        axes.errorbar(
            ranks, points, yerr=reach, fmt=marker, color=colour, label=precision, markersize=5, linewidth=1
        )
    _mark_chosen(axes, spent, races)
    axes.set_ylabel("throughput, images/s\n(95 % intervals)")
    axes.set_ylim(bottom=0)
    axes.legend(title="precision", frameon=False)
    axes.set_title("Everything measured for long, and what a race looked at")


def _mark_chosen(axes: "Axes", spent: list[Spent], races: int) -> None:
    """Ring what the races chose, and say how many did so above the slower precisions, where nothing is."""
    chosen = [(rank, one) for rank, one in enumerate(spent, start=1) if one.chosen]
    beside = 1 + sum(one.precision == chosen[0][1].precision for one in spent) if chosen else 0
    for line, (rank, one) in enumerate(chosen):
        point = (rank, one.throughput_fps.point)
        axes.plot(*point, "o", markersize=12, markerfacecolor="none", markeredgecolor="black")
        axes.annotate(
            f"{one.id}: chosen by {one.chosen} of {races} races",
            point,
            xytext=(beside, spent[0].throughput_fps.point * (0.92 - 0.12 * line)),
            fontsize=9,
            va="center",
            arrowprops={"arrowstyle": "-", "linewidth": 0.7, "shrinkB": 7, "relpos": (0, 0.5)},
        )


def _times(axes: "Axes", spent: list[Spent], races: int) -> None:
    """Draw the seconds that either spent on each configuration."""
    ranks = range(1, len(spent) + 1)
    axes.bar(ranks, [one.exhaustive_s for one in spent], color="#d9d9d9", label="exhaustive", width=0.9)
    axes.bar(
        ranks, [one.race_s for one in spent], color="#1a1a1a", label=f"race (median of {races})", width=0.9
    )
    axes.set_ylabel("measuring time, s")
    axes.set_xlabel("configurations, by rank of throughput when all are measured")
    axes.legend(frameon=False, ncols=2)
