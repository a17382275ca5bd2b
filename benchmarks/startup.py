"""How long `perftool --help` takes over a bare interpreter, in alternation."""

import subprocess
import sys
import time
from collections.abc import Iterator

from perftool.analysis.stats import median_estimate

PAIRS = 30


def seconds(*arguments: str) -> float:
    """Time one process, from start to end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def run() -> Iterator[str]:
    """Yield the difference between the command and the interpreter alone."""
    differences = [1000 * (seconds("-m", "perftool", "--help") - seconds("-c", "pass")) for _ in range(PAIRS)]
    found = median_estimate(differences)
    yield (
        f"startup: perftool --help takes {found.point:.0f} ms ({found.low:.0f} to {found.high:.0f}) "
        f"over a bare interpreter, median of {PAIRS} pairs"
    )
