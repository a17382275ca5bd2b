"""A run's report as files: the figures as JSON, the tables as text, the plots."""

import io

import msgspec
from rich.console import Console

from perftool.analysis.result import Recommendation, Summary, document
from perftool.render.plots import draw
from perftool.render.tables import run_view

COLUMNS = 100


def report_files(summary: Summary, recommendation: Recommendation) -> dict[str, bytes]:
    """Return {file name: content} of a report."""
    text = io.StringIO()
    console = Console(file=text, width=COLUMNS, no_color=True, color_system=None)
    console.print(*run_view(summary, recommendation), sep="\n")
    figures = msgspec.json.format(msgspec.json.encode(document(summary, recommendation)), indent=2)
    return {
        "results.json": figures + b"\n",
        "report.txt": text.getvalue().encode(),
        **{f"plots/{name}": content for name, content in draw(summary, recommendation).items()},
    }
