"""Requests on their way: the loads under which a compiled model is measured.

A closed load is an endless generator of completions; closing it drains what is in flight, so that the drain
lies outside any window. It knows nothing of windows or warm-up: see `measure`. When the requests of an open
load are to arrive is decided here too; `offer` sends them.
"""

import random
from collections.abc import Generator, Iterator

from perftool.bench.engine import Completion, Flight
from perftool.spec import ClosedLoad, Open, Sync


def sync(flight: Flight) -> Generator[Completion, None, None]:
    """Keep one request in flight: latency as a single caller sees it."""
    while True:
        yield flight.infer()


def closed(flight: Flight, requests: int) -> Generator[Completion, None, None]:
    """Keep `requests` requests in flight: as soon as one is done, the next starts."""
    try:
        for _ in range(requests):
            flight.start()
        while True:
            completion = flight.wait()
            flight.start()
            yield completion
    finally:
        flight.drain()


def generate(load: ClosedLoad, flight: Flight, requests: int) -> Generator[Completion, None, None]:
    """Put a load on a flight. A closed loop of one request is a single caller."""
    if isinstance(load, Sync) or requests == 1:
        return sync(flight)
    return closed(flight, requests)


def arrivals(load: Open, batch: int) -> Iterator[int]:
    """Yield, without end, when the requests of an open load are to arrive, in nanoseconds from the start.

    A request is one whole batch. Constant arrivals are evenly spaced; the gaps of Poisson arrivals are
    exponential, drawn by the load's seed, and do not depend on the rate but for their scale.
    """
    gap_ns = batch / load.rate_fps * 1e9
    draw = random.Random(load.seed)
    at = 0.0
    while True:
        at += gap_ns * (draw.expovariate(1.0) if load.arrivals == "poisson" else 1.0)
        yield round(at)
