"""What a race dropped, as a table: the best first, each with what was seen of it and why it was dropped."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult, Summary
from perftool.render.numbers import figure, plain
from perftool.render.tabular import empty_table

#: More rows than this say no more to a reader; all of them are in the JSON.
ROWS = 12


def dropped(summary: Summary, ranked: list[ConfigurationResult], metric: Metric) -> RenderableType:
    """Return what a race dropped, of the measured configurations `ranked`, the best first."""
    out = [one for one in ranked if one.dropped is not None]
    table = _rows(out[:ROWS], metric)
    if len(out) <= ROWS:
        return table
    return Group(table, Text(f"and {len(out) - ROWS} more that were dropped; results.json has all", "dim"))


def _rows(results: list[ConfigurationResult], metric: Metric) -> Table:
    table = empty_table()
    table.add_column("dropped by the race", overflow="fold")
    table.add_column(f"{metric.heading}\n{metric.unit}", justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for result in results:
        reason = result.dropped.reason.removeprefix("dropped ") if result.dropped else ""
        cells = (plain(result.id), figure(metric, result), plain(reason))
        table.add_row(*(Text(cell) for cell in cells))
    return table
