"""Bursts of a layer profile: every inference is counted, drained ones too, and requests get as many each."""

from itertools import repeat
from typing import Any

import pytest

from perftool.bench.engine import Completion, FakeFlight
from perftool.bench.layers import Pace, Side, completions_of


class Counting:
    """A simulated flight of requests that counts the inferences it has made."""

    def __init__(self, requests: int) -> None:
        self._flight = FakeFlight(repeat(1_000_000), requests)
        self.requests: tuple[Any, ...] = ()
        self.made = 0

    def infer(self) -> Completion:
        self.made += 1
        return self._flight.infer()

    def start(self) -> int:
        self.made += 1
        return self._flight.start()

    def wait(self) -> Completion:
        return self._flight.wait()

    def drain(self) -> list[Completion]:
        return self._flight.drain()

    def now(self) -> int:
        return self._flight.now()

    def sleep_until(self, time_ns: int) -> None:
        self._flight.sleep_until(time_ns)


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_a_side_knows_how_many_inferences_it_has_made(requests: int) -> None:
    """The counters' means tell a burst's time only with the number of all inferences before and after it."""
    flight = Counting(requests)
    side = Side(flight, requests)  # type: ignore[arg-type]
    side.warm_up("CPU")
    assert side.inferences == flight.made > 0
    for completions in (requests, 4 * requests):
        assert len(side.burst(completions)) == completions
        assert side.inferences == flight.made


@pytest.mark.parametrize("requests", [1, 2, 3, 5])
def test_a_burst_has_as_many_completions_for_each_request(requests: int) -> None:
    for seconds in (0.0, 0.1, 0.37, 1.0):
        wanted = completions_of(Pace(seconds=0.01, least=2 * requests), requests, seconds)
        assert wanted % requests == 0 and wanted >= max(2 * requests, round(seconds / 0.01))
        assert wanted < max(2 * requests, round(seconds / 0.01)) + requests
