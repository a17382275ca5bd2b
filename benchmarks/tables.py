"""Lay out figures as Markdown."""

from collections.abc import Iterator, Sequence

from perftool.analysis.stats import Estimate


def header(*columns: str) -> Iterator[str]:
    """Yield the two lines that begin a table; all columns but the first are numbers."""
    yield row(*columns)
    yield row("---", *("---:" for _ in columns[1:]))


def row(*cells: str) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"


def spread(estimate: Estimate, digits: int, unit: str = "") -> str:
    """Return a figure with its interval, where it has one."""
    point = f"{estimate.point:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return f"{point} (no interval)"
    return f"{point} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def listed(names: Sequence[str]) -> str:
    """Return names in a row, or that there are none."""
    return ", ".join(names) if names else "none"
