"""Latency at each offered rate as table cells, and as the table of a sweep's configurations."""

from rich.table import Table
from rich.text import Text

from perftool.analysis.open_load import said
from perftool.analysis.result import RatePoint, Summary
from perftool.analysis.stats import Estimate, samples_needed
from perftool.render.numbers import ABSENT, plain, with_interval
from perftool.render.tabular import ODD_MARK, empty_table

RATE_TITLES = ("offered\nimages/s", "of closed\nloop", "served\nimages/s")
_SHOWN = (50, 95, 99)

OFFERED_LEGEND = Text(
    "open load: requests arrive by chance at the offered rate; latency from when each was to arrive\n"
    "N of M: not measurable, N of the M requests that it takes; bare: too few of them for an interval\n"
    "!: other processes or the hypervisor took more than 10 % of the CPUs in some of its windows",
    style="dim",
)


def offered(summary: Summary) -> Table:
    """Return a row for each configuration and offered rate: what was served, and latency percentiles."""
    table = empty_table()
    table.add_column("open load", overflow="fold")
    for title in RATE_TITLES:
        table.add_column(title, justify="right", no_wrap=True)
    for percentile in _SHOWN:
        table.add_column(f"p{percentile}\nms", justify="right", no_wrap=True)
    for one in (*summary.configurations, *summary.baselines):
        for point in one.open:
            cells = [latency_cell(point, percentile) for percentile in _SHOWN]
            row = [plain(one.id), *rate_cells(point, one.throughput_fps), *cells]
            table.add_row(*(Text(cell) for cell in row))
        table.add_section()
    return table


def rate_cells(point: RatePoint, closed: Estimate | None) -> list[str]:
    """Write the cells under `RATE_TITLES`."""
    return [
        said(point.rate_fps) + (f" {ODD_MARK}" if point.disturbed else ""),
        ABSENT if closed is None else f"{point.rate_fps / closed.point:.0%}",
        ABSENT if point.served_fps is None else said(point.served_fps),
    ]


def latency_cell(point: RatePoint, percentile: int) -> str:
    """Write a percentile at a rate, or why there is none."""
    if point.refusal is not None:
        return point.refusal
    found = point.percentile(percentile)
    if found is None:
        return f"{point.n} of {samples_needed(percentile)}"
    return with_interval(found, 1)
