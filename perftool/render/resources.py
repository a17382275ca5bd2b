"""What a configuration costs besides time: start-up, memory, energy; and what an application gets of it."""

from rich.table import Table
from rich.text import Text

from perftool.analysis import metrics
from perftool.analysis.metric import Metric
from perftool.analysis.result import Summary
from perftool.render.numbers import figure, plain
from perftool.render.tabular import ROWS, empty_table

_ALWAYS = (metrics.COMPILE, metrics.FIRST_INFERENCE, metrics.COMPILE_MEMORY, metrics.LOAD_MEMORY)
_WHERE_MEASURED = (metrics.ENERGY, metrics.END_TO_END, metrics.END_TO_END_RATIO)


def resources(summary: Summary, other: Metric) -> Table:
    """Return a row for each measured configuration: start-up, memory by phase, and what else was measured.

    `other` is what the first table has no room for; it is shown here where both could have been there.
    """
    table = empty_table()
    table.add_column("start-up, memory", overflow="fold")
    columns = [*columns_of(summary), *([other] if summary.placed else ())]
    for metric in columns:
        table.add_column(f"{metric.heading}\n{metric.unit}", justify="right", no_wrap=True)
    for group in (summary.configurations, summary.baselines):
        measured = [one for one in group if one.status == "ok" and one.dropped is None]
        for result in measured[:ROWS]:
            cells = [plain(result.id), *(figure(metric, result) for metric in columns)]
            table.add_row(*(Text(cell) for cell in cells))
        if len(measured) > ROWS:
            table.add_row(f"and {len(measured) - ROWS} more", *[""] * len(columns))
        table.add_section()
    return table


def columns_of(summary: Summary) -> list[Metric]:
    """Pick the columns: energy and end to end only where some configuration has them."""
    everything = (*summary.configurations, *summary.baselines)
    found = [metric for metric in _WHERE_MEASURED if any(metric.read(one) for one in everything)]
    return [*_ALWAYS, *found]


def resources_legend(summary: Summary) -> Text:
    """Explain the columns of the table above."""
    found = columns_of(summary)
    lines = [
        "compile: cold; first: the first inference after it; memory: peak RSS while compiling, under load"
    ]
    if metrics.END_TO_END in found:
        lines.append(
            "end to end: reading, decoding and preprocessing inside the clock; of it: over inference alone"
        )
    if metrics.ENERGY not in found:
        lines.append("energy per image: unknown, this machine shows no counters")
    return Text("\n".join(lines), style="dim")
