"""Two layer profiles side by side as tables: what gained, what did not, what only one has.

Nothing is computed here. Names of layers come from model files: they are shown as Text, where no markup acts.
"""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from perftool.analysis.digits import times
from perftool.analysis.layer_changes import LayerChange, ProfilesCompared
from perftool.analysis.layers import LayerGroup
from perftool.analysis.stats import Estimate
from perftool.render.numbers import ABSENT, plain, span
from perftool.render.tabular import empty_table


def comparison(changes: ProfilesCompared, shown: int) -> list[RenderableType]:
    """Return what two profiles come to beside each other; `shown` layers in each table."""
    gained = [one for one in changes.layers if one.verdict == "gained"]
    others = sorted((one for one in changes.layers if one.verdict != "gained"), key=lambda one: -one.time_us)
    parts: list[RenderableType] = []
    if gained:
        parts.append(_changes(changes, f"faster in {changes.id}", gained[:shown], len(gained) - shown))
    if others:
        title = f"not surely faster in {changes.id}"
        parts.append(_changes(changes, title, others[:shown], len(others) - shown))
    parts.append(_in_sum(changes))
    if changes.by_block:
        parts.append(_blocks(changes))
    return parts


def _changes(changes: ProfilesCompared, title: str, rows: Sequence[LayerChange], more: int) -> Table:
    table = empty_table()
    table.add_column(title, overflow="fold")
    table.add_column("runs in", no_wrap=True)
    for heading in ("time\nus", f"{plain(changes.other)}\nus", "saved\nus", "times\nfaster"):
        table.add_column(Text(heading), justify="right", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for one in rows:
        both = (one.precision, one.other_precision)
        cells = [
            one.name,
            "/".join(dict.fromkeys(both)),
            f"{one.time_us:.0f}",
            f"{one.other_us:.0f}",
            f"{one.saved_us:.0f}",
            _ratio(one.ratio),
            one.verdict,
        ]
        table.add_row(*(Text(plain(cell)) for cell in cells))
    if more > 0:
        table.add_section()
        table.add_row(f"{more} others", *[""] * 6)
    return table


def _in_sum(changes: ProfilesCompared) -> Text:
    """Say what the comparison comes to, and what only one of the two has, or shows."""
    undecided = len(changes.layers) - changes.gained - changes.lost - changes.tied
    told = f"{changes.gained} gained, {changes.lost} lost, {changes.tied} tied, {undecided} undecided"
    if changes.disturbed:
        told = "none is said to have gained or lost: other work took a share of the machine meanwhile"
    lines = [
        f"{changes.id} is {_times(changes.ratio)} as fast as {changes.other} by latency, "
        f"{_times(changes.sum_ratio)} by its layers, within one process; of {len(changes.layers)} "
        f"layers of the model {told}"
    ]
    ids = (changes.id, changes.other)
    for (id, other), alone, too_short in (
        (ids, changes.only, changes.too_short),
        (ids[::-1], changes.other_only, changes.other_too_short),
    ):
        if alone:
            lines.append(f"in {id} alone: {_listed(alone)}")
        if too_short:
            lines.append(f"in {id}, and too short to show in {other}: {_listed(too_short)}")
    return Text("\n".join(map(plain, lines)))


def _listed(groups: Sequence[LayerGroup]) -> str:
    return ", ".join(f"{one.layers} {one.name} {one.time_us.point:.0f} us" for one in groups)


def _blocks(changes: ProfilesCompared) -> Table:
    table = empty_table()
    table.add_column("block of the network", overflow="fold")
    for heading in ("time\nus", "against\nus", "times\nfaster"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in changes.by_block:
        times = ["" if time is None else f"{time:.0f}" for time in (one.time_us, one.other_us)]
        table.add_row(*(Text(plain(cell)) for cell in (one.name, *times, _ratio(one.ratio))))
    return table


def _ratio(ratio: Estimate | None) -> str:
    return ABSENT if ratio is None else f"{ratio.point:.2f}{span(ratio.low, ratio.high, 2)}"


def _times(ratio: Estimate | None) -> str:
    return "an unknown number of times" if ratio is None else times(ratio)
