"""A layer profile as pictures: its costliest layers, its blocks, and its layers under the roofline.

Readable in black and white: precisions differ by hatching too. The same input gives the same bytes.
"""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from perftool.analysis.blocks import called
from perftool.analysis.layer_report import LayerReport
from perftool.analysis.layers import LayerProfile, LayerRow
from perftool.render.plotting import (
    DPI,
    LOOKS,
    figure_of,
    place_legend,
    saved,
    short_end,
    styled,
    write_title,
)
from perftool.render.roofline import layers_figure

#: So many layers have a bar.
BARS = 20
#: So many blocks have one.
BLOCKS = 30
_LONGEST_NAME = 46
_US_PER_MS = 1e3


class _Fill(NamedTuple):
    colour: str
    hatch: str


#: How an executed precision is filled: the colours of the precisions that are asked for.
FILLS = {
    "f32": _Fill(LOOKS["FP32"].colour, ""),
    "f16": _Fill(LOOKS["FP16"].colour, "..."),
    "bf16": _Fill(LOOKS["BF16"].colour, "////"),
    "int8": _Fill(LOOKS["INT8"].colour, "xxxx"),
}
_OTHER = _Fill("#BBBBBB", "\\\\\\\\")


def draw_layers(report: LayerReport) -> dict[str, bytes]:
    """Return the pictures by file name."""
    pictures: dict[str, bytes] = {}
    with styled():
        for profile, suffix in ((report.profile, ""), (report.other, "_against")):
            if profile is not None:
                pictures.update(saved(costliest(report.model, profile), f"layers{suffix}"))
                for found in report.rooflines:
                    under = layers_figure(report.model, profile, found)
                    if under is not None and found.device == profile.device:
                        pictures.update(saved(under, f"roofline{suffix}"))
        pictures.update(saved(by_block(report.model, report.profile, report.other), "blocks"))
    return pictures


def costliest(model: str, profile: LayerProfile) -> Figure:
    """Draw a bar for each of the layers that take most, the costliest above."""
    rows = sorted(profile.layers, key=lambda row: -row.time_us.point)[:BARS]
    figure = figure_of(8.4, 1.6 + 0.24 * max(len(rows), 4))
    axes = figure.add_subplot()
    for at, row in enumerate(rows):
        _bar(axes, at, 0.0, row, 0.72)
        if row.time_us.low is not None and row.time_us.high is not None:
            ends = [row.time_us.low / _US_PER_MS, row.time_us.high / _US_PER_MS]
            axes.plot(ends, [at, at], color="black", lw=1.0, zorder=3)
    _name_rows(axes, [called(row.name, row.originals) for row in rows])
    axes.set_xlabel("time of one request (ms)")
    shown = sum(row.share for row in rows)
    write_title(
        figure,
        f"{model}: the {len(rows)} costliest of {len(profile.layers)} layers",
        f"{profile.id}: {shown:.0%} of the layers' time; lines are 95 % intervals",
    )
    return _laid_out(figure, rows)


def by_block(model: str, profile: LayerProfile, other: LayerProfile | None) -> Figure:
    """Draw a bar for each of the costliest blocks, in the order of execution, made of its layers.

    Two bars each where two profiles are compared.
    """
    profiles = [profile] if other is None else [profile, other]
    spent: dict[str, float] = {}
    for row in (row for one in profiles for row in one.layers):
        spent[row.block] = spent.get(row.block, 0.0) + row.time_us.point
    kept = sorted(spent, key=lambda name: -spent[name])[:BLOCKS]
    names = [name for name in spent if name in kept]
    height = 0.8 / len(profiles)
    figure = figure_of(8.4, 1.6 + (0.26 if other is None else 0.38) * max(len(names), 4))
    axes = figure.add_subplot()
    for index, one in enumerate(profiles):
        offset = (index - (len(profiles) - 1) / 2) * height
        for at, name in enumerate(names):
            start = 0.0
            for row in (row for row in one.layers if row.block == name):
                _bar(axes, at + offset, start, row, height * 0.9)
                start += row.time_us.point / _US_PER_MS
    _name_rows(axes, names)
    axes.set_xlabel("time of one request (ms)")
    subject = profile.id if other is None else f"upper bars {profile.id}, lower bars {other.id}"
    some = f", the {len(names)} costliest of {len(spent)}" if len(names) < len(spent) else ""
    title = f"{model}: time by block of the network{some}"
    write_title(figure, title, f"{subject}; each piece is a layer")
    return _laid_out(figure, [row for one in profiles for row in one.layers if row.block in kept])


def _bar(axes: Axes, at: float, start_ms: float, row: LayerRow, height: float) -> None:
    fill = FILLS.get(row.precision, _OTHER)
    axes.barh(
        at,
        row.time_us.point / _US_PER_MS,
        height,
        left=start_ms,
        color=fill.colour,
        hatch=fill.hatch,
        edgecolor="white",
        linewidth=0.4,
    )


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the bars; a long name keeps its end, which tells it apart."""
    shown = [short_end(name, _LONGEST_NAME) for name in names]
    axes.set_yticks(range(len(names)), shown, fontsize=7, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", color="#e6e6e6", lw=0.7)
    axes.tick_params(axis="y", length=0)


def _laid_out(figure: Figure, rows: Sequence[LayerRow]) -> Figure:
    """Explain the fills. Long names are cut unless laid out at the resolution that they are saved in."""
    present = {row.precision for row in rows}
    handles = [
        Patch(facecolor=fill.colour, hatch=fill.hatch, edgecolor="white", label=name)
        for name, fill in FILLS.items()
        if name in present
    ]
    if present - FILLS.keys():
        handles.append(Patch(facecolor=_OTHER.colour, hatch=_OTHER.hatch, edgecolor="white", label="other"))
    place_legend(figure, handles, title="runs in", title_fontsize=8)
    figure.set_dpi(DPI)
    return figure
