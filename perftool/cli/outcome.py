"""What a run amounts to, shown: shared by sweep, show, recommend and report."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from perftool.analysis.result import Recommendation, Summary, document
from perftool.analysis.stability import recommend
from perftool.analysis.summary import summarize
from perftool.analysis.warn import UNFINISHED
from perftool.cli.options import run_folder
from perftool.cli.output import print_json, print_rich
from perftool.errors import NothingPassesError
from perftool.spec import Profile
from perftool.sweep.store import read


def look(folder: Path, wished: Callable[[Profile], Profile] | None = None) -> tuple[Summary, Recommendation]:
    """Read a run and choose among what it measured, by its own objective and limits, or as `wished`."""
    folder = run_folder(folder)
    run = read(folder)
    summary = summarize(run, name=folder.resolve().name)
    profile = wished(run.header.profile) if wished else run.header.profile
    return summary, recommend(summary, profile.objective, profile.limits)


def finish(folder: Path, *, json: bool) -> None:
    """Show a finished sweep, and write its report beside its journal."""
    summary, recommendation = look(folder)
    show_all(summary, recommendation, json=json)
    for path in write_report(folder, summary, recommendation):
        sys.stderr.write(f"wrote {path}\n")
    if recommendation.id is not None:
        sys.stderr.write(
            f"files that deploy it: perftool export {shlex.quote(str(folder))} --format bundle --to DIR\n"
        )
    insist(summary, recommendation)


def show_all(summary: Summary, recommendation: Recommendation, *, json: bool) -> None:
    """Print everything: the table, the recommendation, the host."""
    if json:
        print_json(document(summary, recommendation))
        return
    from perftool.render.tables import run_view

    print_rich(*run_view(summary, recommendation))


def insist(summary: Summary, recommendation: Recommendation) -> None:
    """Raise NothingPassesError, with the nearest misses, where nothing was chosen.

    What nothing passes in so far something may pass when it is finished: that is said first.
    """
    if recommendation.id is None:
        nearest = "; ".join(f"{miss.id}: {miss.reason}" for miss in recommendation.nearest)
        first = f"{UNFINISHED}; so far: " if UNFINISHED in summary.run.warnings else ""
        raise NothingPassesError(first + recommendation.reason + (f"; nearest: {nearest}" if nearest else ""))


def write_report(folder: Path, summary: Summary, recommendation: Recommendation) -> list[Path]:
    """Write the report's files into a folder, and return their paths."""
    from perftool.cli.writing import write_files
    from perftool.render.report import report_files

    return write_files(folder, report_files(summary, recommendation))
