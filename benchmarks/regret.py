"""The picture of regret over time: a column for each size, a row for each way to search, with its band."""

import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from msgspec import Struct

from benchmarks.simulated import Array

#: When regret is looked at, in seconds: twenty times in each factor of ten.
TIMES: Array = np.geomspace(1.0, 10**6.5, 131)
#: Regret below this is drawn as this, in percent.
_FLOOR = 0.1
_BAND = "#D4D4D4"
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
    """A size: for each method the regret of every run, (runs, TIMES)."""

    size: int
    regret: dict[str, Array]


def draw(columns: list[Curves]) -> bytes:
    """Return the picture as PNG: sizes side by side; in each row one method's band, and all medians."""
    methods = list(columns[0].regret)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(2.9 * len(columns) + 0.6, 1.9 * len(methods) + 0.9), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(methods), len(columns), sharex="col", sharey=True, squeeze=False)
        for row, method in zip(grid, methods, strict=True):
            for axes, column in zip(row, columns, strict=True):
                _draw_panel(axes, column, method)
            row[0].set_ylabel(f"band of {method}")
        for axes, column in zip(grid[0], columns, strict=True):
            axes.set_title(f"{column.size:,} configurations")
        figure.supxlabel("simulated time of compiling and measuring, s (logarithmic)")
        figure.supylabel("regret of the choice, % of the best throughput (logarithmic)")
        handles = [Line2D([], [], **_LOOKS[method], label=f"{method}, median") for method in methods]
        band = Patch(facecolor=_BAND, label="90 % of the runs of the row's search")
        figure.legend(handles=[*handles, band], loc="outside upper center", ncols=5, frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()


def _draw_panel(axes: Axes, curves: Curves, banded: str) -> None:
    """Draw the median of every method, and the band that 90 % of the runs of one lie in."""
    medians = {method: _shown(regret, 0.5) for method, regret in curves.regret.items()}
    low, high = (_shown(curves.regret[banded], share) for share in (0.05, 0.95))
    axes.fill_between(TIMES, low, high, color=_BAND, linewidth=0)
    for number, (method, median) in enumerate(medians.items()):
        width, marked = (2.0, 5.0) if method == banded else (0.9, 2.5)
        look = _LOOKS[method]
        axes.plot(TIMES, median, **look, linewidth=width, markersize=marked, markevery=(3 * number, 12))
    begun = min(int(np.flatnonzero(median < 100)[0]) for median in medians.values())
    ended = max(_last_change(_shown(regret, 0.95)) for regret in curves.regret.values())
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(TIMES[begun], TIMES[min(ended + 4, len(TIMES) - 1)])
    axes.set_ylim(_FLOOR * 0.8, 100)
    axes.set_yticks([0.1, 1, 10, 100], ["≤ 0.1", "1", "10", "100"])
    axes.axhline(1, color="#666666", linewidth=0.6)


def _shown(regret: Array, share: float) -> Array:
    """Return the regret that a share of the runs keeps at each time, in percent, as it is drawn."""
    return np.maximum(100 * np.quantile(regret, share, axis=0), _FLOOR)


def _last_change(values: Array) -> int:
    """Return where a series takes its last value."""
    changing = np.flatnonzero(np.diff(values))
    return int(changing[-1]) + 1 if len(changing) else 0
