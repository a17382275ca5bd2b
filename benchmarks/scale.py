"""How long a report of ten thousand configurations takes, and how much memory, on made-up journals.

The figures are drawn from a simulated surface (`benchmarks.surfaces`), the journals are real ones, written
to disk; the report is the real command, in a process of its own. Nothing is measured on a device.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from benchmarks.large_runs import write_journal
from benchmarks.options import RAW, Options
from benchmarks.progress import say
from benchmarks.surfaces import CORES, CORES_OF_A_NODE, Space
from benchmarks.tables import header, row
from perftool.analysis.result import Recommendation, Summary
from perftool.analysis.stability import recommend
from perftool.analysis.summary import summarize
from perftool.journal import JOURNAL
from perftool.render.files import as_json, as_text
from perftool.render.page.document import page
from perftool.render.plots import draw
from perftool.render.tables import run_view
from perftool.sweep.store import read

TITLE = "A report of ten thousand configurations"
QUESTION = (
    "Does a report of a very large run come soon, and in how much memory? `perftool report` on made-up "
    "journals of a simulated server: a race, which visits most configurations once or twice, and a grid, "
    "which visits each in six rounds. Seconds and peak memory (RSS) of the command, and in this process the "
    "seconds of its stages. Aim, for the race: under 10 s and 1 GB."
)
SPACE = Space(
    batches=(1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192),
    requests=(1, 2, 4, 8),
    pinning=(True, False),
    hyper_threading=(False, True),
    threads=(CORES, CORES_OF_A_NODE),
)
SMALL = Space(batches=(1, 4), requests=(1, 2))
_Result = TypeVar("_Result")


def run(options: Options) -> Iterator[str]:
    """Yield what reports of a race and of a grid take."""
    space = SMALL if options.quick else SPACE
    yield from header(
        "journal",
        "MB",
        "visits",
        "report, s",
        "peak, MB",
        "read, s",
        "summarize, s",
        "recommend, s",
        "JSON, s",
        "text, s",
        "page, s",
        "plots, s",
        "page, MB",
    )
    for name in ("race", "grid"):
        say(f"scale: the journal of a {name}")
        folder = RAW / "scale" / name
        visits = write_journal(folder, space, raced=name == "race")
        say(f"scale: the report of a {name}")
        seconds, peak_mb = reported(folder)
        stages, page_mb = staged(folder)
        size = (folder / JOURNAL).stat().st_size / 1e6
        times = [f"{stages[stage]:.1f}" for stage in stages]
        yield row(
            f"{name}, {len(space.configurations()):,}",
            f"{size:.0f}",
            f"{visits:,}",
            f"{seconds:.1f}",
            f"{peak_mb:.0f}",
            *times,
            f"{page_mb:.1f}",
        )


# ---------------------------------------------------------------- what the command takes


def reported(folder: Path) -> tuple[float, float]:
    """Run the command; return its seconds and the most memory that it held, in MB."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "perftool", "report", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    if status:
        raise RuntimeError(f"perftool report ended with {status}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6


def staged(folder: Path) -> tuple[dict[str, float], float]:
    """Return the seconds of each stage of a report, and the size of the page in MB."""
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], _Result]) -> _Result:
        started = time.perf_counter()
        found = work()
        seconds[stage] = time.perf_counter() - started
        return found

    made = timed("read", lambda: read(folder))
    profile = made.header.profile
    summary: Summary = timed("summarize", lambda: summarize(made, name=folder.name))

    found: Recommendation = timed("recommend", lambda: recommend(summary, profile.objective, profile.limits))
    timed("json", lambda: as_json(summary.configurations))
    timed("text", lambda: as_text(*run_view(summary, found)))
    written = timed("page", lambda: page(summary, found))
    timed("plots", lambda: draw(summary, found))
    return seconds, len(written) / 1e6
