"""How long `perftool --help` takes over a bare interpreter, in alternation."""

import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.options import Options
from benchmarks.tables import header, row, spread
from perftool.analysis.stats import MIN_VISITS, median_estimate

TITLE = "Start-up"
QUESTION = (
    "How long does `perftool --help` take over a bare interpreter (`python -c pass`)? Median of the "
    "differences within pairs, with its 95 % interval."
)
PAIRS = 30


def seconds(*arguments: str) -> float:
    """Time one process, from start to end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def run(options: Options) -> Iterator[str]:
    """Yield the difference between the command and the interpreter alone."""
    pairs = MIN_VISITS if options.quick else PAIRS
    differences = [1000 * (seconds("-m", "perftool", "--help") - seconds("-c", "pass")) for _ in range(pairs)]
    yield from header("", "over a bare interpreter, ms", "pairs")
    yield row("`perftool --help`", spread(median_estimate(differences), 0), str(pairs))
