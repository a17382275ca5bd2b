"""`perftool model fetch`: bring a known model's published weights to this machine."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options

if TYPE_CHECKING:
    from perftool.published.download import Watch
    from perftool.published.fetch import Brought
    from perftool.record import Progress

#: How often the line of progress is written anew, in seconds.
_EVERY = 0.2


def fetch(
    name: Annotated[str, typer.Argument(help="A known model's name, e.g. googlenet-v4-tf.")],
    from_file: Annotated[
        Path | None,
        typer.Option("--from", help="Take this archive, downloaded by hand, instead of downloading."),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="How long a server may be silent, in seconds.")
    ] = 30.0,
    json: options.Json = False,
) -> None:
    """Fetch a known model's published weights, checked by size and checksum.

    They are kept in the cache, and the model's name then means them. What was fetched is not fetched again; a
    download that broke off goes on. PERFTOOL_CATALOGUE names a file of further known models.
    """
    from perftool.cache import fetched_folder
    from perftool.cli.output import print_json
    from perftool.published import fetch as fetching
    from perftool.published.catalogue import known
    from perftool.published.download import Patience

    model = known(name)
    with _progress_line() as watch:
        brought = fetching.fetch(
            model,
            fetched_folder() / model.name,
            watch,
            patience=Patience(timeout_s=timeout),
            offered=from_file.absolute() if from_file else None,
        )
    if json:
        print_json(brought)
    else:
        sys.stdout.write(f"{_said(brought)}\n")


def _said(brought: "Brought") -> str:
    record = brought.record
    size = sum(file.bytes for file in record.files) / 1e6
    if not brought.new:
        return f"{brought.weights}: is there already, and whole ({size:.1f} MB), from {record.source}"
    after = f", after {'; '.join(brought.failures)}" if brought.failures else ""
    before = f"; what was there was damaged: {brought.repaired}" if brought.repaired else ""
    return f"{brought.weights}: {size:.1f} MB, size and SHA-384 checked, from {record.source}{after}{before}"


@contextmanager
def _progress_line() -> Iterator["Watch"]:
    """Give what shows a line of progress on a terminal, and nothing elsewhere; clear it away at the end."""
    begun: dict[str, tuple[float, int]] = {}
    shown = 0.0
    terminal = sys.stderr.isatty()

    def watch(progress: "Progress") -> None:
        nonlocal shown
        now = time.monotonic()
        since, first = begun.setdefault(progress.stage, (now, progress.done))
        if not terminal or (now - shown < _EVERY and progress.done < progress.total):
            return
        shown = now
        sys.stderr.write(f"\r\x1b[2K{progress_text(progress, progress.done - first, now - since)}")
        sys.stderr.flush()

    try:
        yield watch
    finally:
        if terminal:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def progress_text(progress: "Progress", come: int, seconds: float) -> str:
    """Say how far a download is: bytes, speed, time left, after `come` bytes in `seconds` of this run."""
    if not progress.total:
        return progress.stage
    text = f"{progress.stage}: {progress.done / 1e6:.1f} of {progress.total / 1e6:.1f} MB"
    if come <= 0 or seconds < 1:
        return text
    speed = come / seconds
    left = (progress.total - progress.done) / speed
    wait = f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min"
    return f"{text}, {speed / 1e6:.1f} MB/s, {wait} left"
