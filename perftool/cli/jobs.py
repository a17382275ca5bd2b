"""One job of a command, in a child of its own, with a line of progress on a terminal."""

import sys
import tempfile
from pathlib import Path
from typing import TypeVar

from perftool.bench.isolate import Watch, ask_once, expect
from perftool.job import Job
from perftool.record import Answer, Progress

#: How long a job may go without an answer or progress, in seconds.
STALL_SECONDS = 1800.0

Wanted = TypeVar("Wanted", bound=Answer)


def run_job(job: Job, kind: type[Wanted], title: str = "") -> Wanted:
    """Run a job in a child and return its answer; raise what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            answer = ask_once(job, Path(folder) / "job.log", STALL_SECONDS, _progress_line(title))
        finally:
            _clear()
    return expect(answer, kind)


def _progress_line(title: str) -> Watch:
    def watch(progress: Progress | None) -> None:
        if progress and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[2K{title or progress.stage}: {progress.done} of {progress.total}")
            sys.stderr.flush()

    return watch


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
        sys.stderr.flush()
