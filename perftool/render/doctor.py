"""What would spoil measurements, as a table. Judges nothing: the findings bring their status."""

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from perftool.machine import Finding
from perftool.render.numbers import plain

STYLES = {"ok": "green", "warning": "yellow", "unknown": "dim"}


def finding_table(findings: Sequence[Finding]) -> Table:
    """Show every finding on a line, and under a warning what to do."""
    table = Table(box=box.SIMPLE)
    table.add_column("what", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("found, and what to do", overflow="fold")
    for finding in findings:
        cell = Text(plain(finding.found))
        if finding.advice:
            cell.append("\n" + plain(finding.advice), style="italic")
        status = Text(finding.status, style=STYLES[finding.status])
        table.add_row(Text(plain(finding.name)), status, cell)
    return table


def verdict(findings: Sequence[Finding]) -> Text:
    """Count the findings in one line."""
    counts = Counter(finding.status for finding in findings)
    warnings = "1 warning" if counts["warning"] == 1 else f"{counts['warning']} warnings"
    return Text(f"{warnings}, {counts['unknown']} unknown, {counts['ok']} ok")
