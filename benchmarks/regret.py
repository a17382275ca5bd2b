"""The picture of regret over time: a panel for each noise and size, a line and a band for each search."""

import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from msgspec import Struct

from benchmarks.simulated import Array

#: When regret is looked at, in seconds: twenty times in each factor of ten.
TIMES: Array = np.geomspace(1.0, 10**6.5, 131)
#: Regret below this is drawn as this, in percent.
_FLOOR = 0.1
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
}
#: Told apart by dashes and markers as well as by colour (Okabe and Ito's).
_LOOKS: dict[str, dict[str, Any]] = {
    "race": {"color": "#000000", "linestyle": "-", "marker": "o"},
    "grid": {"color": "#0072B2", "linestyle": "--", "marker": "s"},
    "random": {"color": "#009E73", "linestyle": ":", "marker": "^"},
    "tpe": {"color": "#D55E00", "linestyle": "-.", "marker": "D"},
}


class Curves(Struct, frozen=True, kw_only=True):
    """A panel: for each method the regret of every run, (runs, TIMES)."""

    noise: str
    size: int
    regret: dict[str, Array]


def draw(panels: list[Curves]) -> bytes:
    """Return the picture as PNG: noises below each other, sizes side by side."""
    noises = list(dict.fromkeys(one.noise for one in panels))
    sizes = list(dict.fromkeys(one.size for one in panels))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(3.1 * len(sizes) + 0.6, 2.7 * len(noises) + 0.9), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(noises), len(sizes), sharex="col", sharey=True, squeeze=False)
        for one in panels:
            axes = grid[noises.index(one.noise)][sizes.index(one.size)]
            _draw_panel(axes, one)
            axes.set_title(f"{one.size:,} configurations, {one.noise}")
        figure.supxlabel("simulated time of compiling and measuring, seconds")
        figure.supylabel("regret of the choice, % of the best throughput")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()


def _draw_panel(axes: Axes, curves: Curves) -> None:
    """Draw the median of each method, and the band that 90 % of its runs lie in."""
    first, last = len(TIMES), 0
    for number, (method, regret) in enumerate(curves.regret.items()):
        low, middle, high = np.maximum(100 * np.quantile(regret, [0.05, 0.5, 0.95], axis=0), _FLOOR)
        look = _LOOKS[method]
        begun = np.flatnonzero(middle < 100)
        first = min(first, int(begun[0]))
        changing = np.flatnonzero(np.diff(high) != 0)
        last = max(last, int(changing[-1]) + 1 if len(changing) else 0)
        axes.fill_between(TIMES, low, high, color=look["color"], alpha=0.08, linewidth=0)
        axes.plot(TIMES, high, color=look["color"], linestyle=look["linestyle"], linewidth=0.7)
        axes.plot(
            TIMES, middle, **look, linewidth=1.6, markersize=4, markevery=(3 * number, 12), label=method
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(TIMES[first], TIMES[min(last + 4, len(TIMES) - 1)])
    axes.set_ylim(_FLOOR * 0.8, 100)
    axes.set_yticks([0.1, 1, 10, 100], ["≤ 0.1", "1", "10", "100"])
    axes.axhline(1, color="#888888", linewidth=0.6)
