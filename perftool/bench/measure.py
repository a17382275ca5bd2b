"""One burst of measuring: warm up until steady, then a window that opens and closes on a completion.

Works on any generator of completions and reads no clock of its own, so that a simulated engine is
measured by the same code. Computes no statistic that is kept: the burst is raw samples.
"""

from collections.abc import Generator
from statistics import median

from msgspec import Struct

from perftool.bench.engine import Completion

#: Two consecutive warm-up windows agree when their medians differ by no more than this share.
STEADY_WITHIN = 0.10


class Burst(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The raw samples of one visit, in nanoseconds. `latencies_ns` completed after the window opened.

    `steady` tells whether the warm-up ended because the series was steady, and not at its ceiling.
    """

    warmup_ns: tuple[int, ...]
    steady: bool
    latencies_ns: tuple[int, ...]
    window_ns: int


def warm_up(
    completions: Generator[Completion, None, None], chunk: int, ceiling_ns: int
) -> tuple[list[Completion], bool]:
    """Consume completions until the last two windows of `chunk` agree, or the ceiling is reached.

    Tells beside them whether they did agree.
    """
    seen = [next(completions)]
    while not (steady := _steady(seen, chunk)):
        if seen[-1].completed_ns - seen[0].completed_ns >= ceiling_ns:
            break
        seen.append(next(completions))
    return seen, steady


def _steady(seen: list[Completion], chunk: int) -> bool:
    if len(seen) < 2 * chunk:
        return False
    before = median(c.latency_ns for c in seen[-2 * chunk : -chunk])
    after = median(c.latency_ns for c in seen[-chunk:])
    return abs(after - before) <= STEADY_WITHIN * before


def measure(
    completions: Generator[Completion, None, None],
    *,
    requests: int,
    window_ns: int,
    completions_per_request: int,
    warm: bool,
    warmup_ceiling_ns: int,
) -> Burst:
    """Measure one burst, and close the load.

    The window opens on the last completion of the warm-up. It closes on the first completion after which it
    is at least `window_ns` long and holds at least `completions_per_request` completions for each of the
    `requests` in flight, the same whole number for each: requests that finish in step would otherwise be
    cut in the middle of a step, always on the losing side (one of 16 is 6 %). A process that was measured
    before (`warm`) needs a shorter warm-up.
    """
    try:
        chunk = requests if warm else requests + 1
        warmup, steady = warm_up(completions, chunk, warmup_ceiling_ns)
        opened = closed = warmup[-1].completed_ns
        latencies: list[int] = []
        least = completions_per_request * requests
        while closed - opened < window_ns or len(latencies) < least or len(latencies) % requests:
            latency_ns, closed, _ = next(completions)
            latencies.append(latency_ns)
    finally:
        completions.close()
    return Burst(
        warmup_ns=tuple(c.latency_ns for c in warmup),
        steady=steady,
        latencies_ns=tuple(latencies),
        window_ns=closed - opened,
    )
