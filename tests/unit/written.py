"""Runs on disk, as a sweep leaves them, and what they amount to."""

from pathlib import Path

import msgspec

from perftool.analysis.result import Recommendation, Summary
from perftool.analysis.stability import recommend
from perftool.analysis.summary import summarize
from perftool.journal import JOURNAL, Run


def write_run(folder: Path, run: Run) -> Path:
    """Write a run's journal into a folder, and return that."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [msgspec.json.encode(row) for row in (run.header, *run.entries)]
    (folder / JOURNAL).write_bytes(b"".join(line + b"\n" for line in lines))
    return folder


def chosen(run: Run) -> tuple[Summary, Recommendation]:
    """Sum a run up, and choose by its own objective and limits."""
    summary = summarize(run)
    return summary, recommend(summary, run.header.profile.objective, run.header.profile.limits)
