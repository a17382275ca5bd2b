"""Requests on their way: the loads under which a compiled model is measured.

A load is an endless generator of completions; closing it drains what is in flight, so that the drain
lies outside any window. It knows nothing of windows or warm-up: see `measure`.
"""

from collections.abc import Generator

from perftool.bench.engine import Completion, Flight
from perftool.spec import Load, Sync


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


def generate(load: Load, flight: Flight, requests: int) -> Generator[Completion, None, None]:
    """Put a load on a flight. A closed loop of one request is a single caller."""
    if isinstance(load, Sync) or requests == 1:
        return sync(flight)
    return closed(flight, requests)
