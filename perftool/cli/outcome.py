"""What a run amounts to, shown: shared by sweep, show, recommend and report."""

import sys
from pathlib import Path

from perftool.analysis.choose import choose
from perftool.analysis.result import Recommendation, Summary, document
from perftool.analysis.summary import summarize
from perftool.cli.options import run_folder
from perftool.cli.output import print_json, print_rich
from perftool.errors import NothingPassesError
from perftool.spec import Limits, Objective
from perftool.sweep.store import read


def look(
    folder: Path, objective: Objective | None = None, limits: Limits | None = None
) -> tuple[Summary, Recommendation]:
    """Read a run and choose among what it measured, by its own objective and limits where none are given."""
    folder = run_folder(folder)
    run = read(folder)
    summary = summarize(run, name=folder.resolve().name)
    profile = run.header.profile
    return summary, choose(summary, objective or profile.objective, limits or profile.limits)


def finish(folder: Path, *, json: bool) -> None:
    """Show a finished sweep, and write its report beside its journal."""
    summary, recommendation = look(folder)
    show_all(summary, recommendation, json=json)
    for path in write_report(folder, summary, recommendation):
        sys.stderr.write(f"wrote {path}\n")
    insist(recommendation)


def show_all(summary: Summary, recommendation: Recommendation, *, json: bool) -> None:
    """Print everything: the table, the recommendation, the host."""
    if json:
        print_json(document(summary, recommendation))
        return
    from perftool.render.tables import run_view

    print_rich(*run_view(summary, recommendation))


def insist(recommendation: Recommendation) -> None:
    """Raise NothingPassesError, with the nearest misses, where nothing was chosen."""
    if recommendation.id is None:
        nearest = "; ".join(f"{miss.id}: {miss.reason}" for miss in recommendation.nearest)
        raise NothingPassesError(recommendation.reason + (f"; nearest: {nearest}" if nearest else ""))


def write_report(folder: Path, summary: Summary, recommendation: Recommendation) -> list[Path]:
    """Write the report's files into a folder, and return their paths."""
    from perftool.cli.writing import write_files
    from perftool.render.report import report_files

    return write_files(folder, report_files(summary, recommendation))
