"""perftool's open load against queueing theory, on simulated servers and a simulated clock.

The code under test is `bench.load.arrivals` and `bench.offer.offer`; the server is `bench.engine.FakeEngine`.
Nothing waits, so large counts take seconds.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from msgspec import Struct
from scipy.stats import t as student

from benchmarks.options import Options
from benchmarks.progress import say
from benchmarks.queues import MD1, MM1
from benchmarks.tables import header, row
from perftool.bench.engine import FakeEngine
from perftool.bench.load import arrivals, sync
from perftool.bench.offer import offer
from perftool.spec import Open

TITLE = "Open load against theory"
QUESTION = (
    "Does an open load measure what queueing theory says? Poisson arrivals at one simulated server, first "
    "come first served, at three utilisations: the mean wait and percentiles of the sojourn time (from the "
    "intended arrival to completion), in units of the mean service time. M/M/1: exponential service times, "
    "exponential sojourn times. M/D/1: constant service times, the mean wait of Pollaczek and Khinchine, "
    "percentiles from Erlang's distribution of the wait (1909; Franx, Operations Research Letters 29, 2001). "
    "In brackets the 95 % interval of the simulation over independent runs. And: what does a closed-loop "
    "generator hide when the server stalls?"
)
SERVICE_NS = 1_000_000
UTILISATIONS = (0.5, 0.7, 0.9)
SHARES = (0.5, 0.9, 0.99)
RUNS = 20
ARRIVALS = 100_000
#: How much of the schedule comes before the window, to forget that the queue was empty.
WARMUP = 0.05

STALL_EVERY = 1000
STALL_FACTOR = 100


class Found(Struct, frozen=True, kw_only=True):
    """One run's figures, in units of the mean service time."""

    mean_wait: float
    sojourn: tuple[float, ...]


def run(options: Options) -> Iterator[str]:
    """Yield theory beside simulation, then the stalling server under three ways to measure it."""
    runs, count = (3, 2_000) if options.quick else (RUNS, ARRIVALS)
    yield from header("queue, utilisation", *_columns("mean wait"), *_columns("p50", "p90", "p99"), "inside")
    inside = total = 0
    for queue in (MD1, MM1):
        for utilisation in UTILISATIONS:
            theory = queue(utilisation)
            say(f"open_loop: {theory.name} at {utilisation}")
            expected = [theory.mean_wait(), *(theory.sojourn(share) for share in SHARES)]
            found = [simulate(theory, seed, count) for seed in seeds(theory, runs)]
            columns = list(zip(*((one.mean_wait, *one.sojourn) for one in found), strict=True))
            cells, held = zip(*map(compared, expected, columns), strict=True)
            inside, total = inside + sum(held), total + len(held)
            yield row(
                f"{theory.name}, {utilisation}", *itertools.chain(*cells), f"{sum(held)} of {len(held)}"
            )
    yield ""
    yield (
        f"{runs} runs of {count:,} arrivals each. {inside} of {total} figures of theory lie inside the "
        "simulation's 95 % interval (expected of an exact simulation: about 19 in 20; figures of one row "
        "hang together)."
    )
    yield ""
    yield from stalls(count)


def _columns(*figures: str) -> list[str]:
    return [f"{figure}, {what}" for figure in figures for what in ("theory", "measured")]


def compared(expected: float, values: Sequence[float]) -> tuple[tuple[str, str], bool]:
    """Return a figure of theory and of the simulation as cells, and whether the one is inside the other."""
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    # A quantile of constant service times can be exact to the nanosecond; theory's is so to 1e-6.
    half = max(float(student.ppf(0.975, len(values) - 1)) * error, 1e-6)
    held = mean - half <= expected <= mean + half
    return (f"{expected:.3f}", f"{mean:.3f} (±{half:.3f})"), held


def seeds(theory: MD1 | MM1, runs: int) -> list[int]:
    """Return a seed for each run that no other queue shares: shared arrivals would be shared luck."""
    draw = random.Random(f"{theory.name} {theory.utilisation}")
    return [draw.randrange(2**32) for _ in range(runs)]


def simulate(theory: MD1 | MM1, seed: int, count: int) -> Found:
    """Offer one run's arrivals to a server, and return what was measured."""
    draw = random.Random(f"{theory.name} {seed}")
    service = (
        itertools.repeat(SERVICE_NS)
        if isinstance(theory, MD1)
        else (round(SERVICE_NS * draw.expovariate(1.0)) for _ in itertools.count())
    )
    used: list[int] = []
    latencies = offered(noted(service, used), theory.utilisation, seed, count)
    # Requests are served in order of arrival, so the last services drawn are the window's.
    waits = latencies - np.array(used[-len(latencies) :]) / SERVICE_NS
    quantiles = np.quantile(latencies, SHARES)
    return Found(mean_wait=float(waits.mean()), sojourn=tuple(float(value) for value in quantiles))


def noted(service: Iterator[int], into: list[int]) -> Iterator[int]:
    """Pass service times on, and note each."""
    for time_ns in service:
        into.append(time_ns)
        yield time_ns


def offered(service: Iterator[int], utilisation: float, seed: int, count: int) -> np.ndarray:
    """Offer Poisson arrivals at a utilisation, and return the latencies in units of the service time."""
    window_ns = round(count * SERVICE_NS / utilisation)
    burst = offer(
        FakeEngine(service).flight(1),
        arrivals(Open(rate_fps=utilisation / SERVICE_NS * 1e9, seed=seed), 1),
        requests=1,
        window_ns=window_ns,
        arrivals=1,
        warmup_ns=round(WARMUP * window_ns),
    )
    if burst.unserved:
        raise AssertionError(f"{burst.unserved} arrivals were given up at a utilisation of {utilisation}")
    return np.array(burst.latencies_ns) / SERVICE_NS


# ---------------------------------------------------------------- what a closed loop hides


def stalls(count: int) -> Iterator[str]:
    """Yield a stalling server's latencies: open, by a caller who waits for answers, and flat out."""
    mean = 1 + (STALL_FACTOR - 1) / STALL_EVERY
    ways: list[tuple[str, Callable[[float], np.ndarray]]] = [
        ("open load, from the intended arrival", lambda rate: offered(stalling(), rate, 1, count)),
        ("the same arrivals by a caller who waits for each answer", lambda rate: waiting(rate, 1, count)),
        ("closed loop, flat out", lambda rate: flat_out(count)),
    ]
    yield (
        f"A server that takes 1, and in one of {STALL_EVERY:,} services {STALL_FACTOR} (on average "
        f"{mean:.3f}): latencies in units of the undisturbed service."
    )
    yield ""
    yield from header("measured by", "utilisation", "throughput", "p50", "p90", "p99", "p99.9")
    for utilisation in UTILISATIONS:
        rate = utilisation / mean
        for name, way in ways:
            say(f"open_loop: {name} at {utilisation}")
            shown = (f"{utilisation}", f"{rate:.3f}")
            if name.startswith("closed"):
                if utilisation != UTILISATIONS[-1]:
                    continue
                shown = ("1.0", f"{1 / mean:.3f}")
            quantiles = np.quantile(way(rate), [0.5, 0.9, 0.99, 0.999])
            yield row(name, *shown, *(f"{value:.1f}" for value in quantiles))


def stalling() -> Iterator[int]:
    """Yield service times of 1, and at random one of so many much longer."""
    draw = random.Random(7)
    while True:
        yield SERVICE_NS * (STALL_FACTOR if draw.random() < 1 / STALL_EVERY else 1)


def waiting(rate: float, seed: int, count: int) -> np.ndarray:
    """Send the same arrivals from a caller who waits for each answer and times from when he sent."""
    flight = FakeEngine(stalling()).flight(1)
    schedule = arrivals(Open(rate_fps=rate / SERVICE_NS * 1e9, seed=seed), 1)
    latencies = []
    for due_ns in itertools.islice(schedule, count):
        flight.sleep_until(due_ns)
        latencies.append(flight.infer().latency_ns)
    return np.array(latencies) / SERVICE_NS


def flat_out(count: int) -> np.ndarray:
    """Send the next request as soon as the last one is done."""
    completions = sync(FakeEngine(stalling()).flight(1))
    return np.array([one.latency_ns for one in itertools.islice(completions, count)]) / SERVICE_NS
