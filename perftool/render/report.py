"""A run's report as files: the figures as JSON, the tables as text, the plots, the page."""

from perftool.analysis.result import Recommendation, Summary, document
from perftool.render.files import as_json, as_text
from perftool.render.page.document import page
from perftool.render.plots import draw
from perftool.render.tables import run_view


def report_files(summary: Summary, recommendation: Recommendation) -> dict[str, bytes]:
    """Return {file name: content} of a report."""
    return {
        "results.json": as_json(document(summary, recommendation)),
        "report.txt": as_text(*run_view(summary, recommendation)),
        "report.html": page(summary, recommendation),
        **{f"plots/{name}": content for name, content in draw(summary, recommendation).items()},
    }
