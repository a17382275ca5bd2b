"""Windows and warm-up, on a simulated engine: no runtime, no waiting."""

from collections.abc import Iterator
from itertools import chain, count, cycle, islice, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftool.bench.engine import FakeEngine
from perftool.bench.load import generate
from perftool.bench.measure import Burst, measure
from perftool.spec import Closed, Sync

MS = 1_000_000


def burst(
    service: Iterator[int], *, requests: int = 1, slots: int = 1, window_ms: int = 100, warm: bool = False
) -> Burst:
    flight = FakeEngine(service, slots=slots).flight(requests)
    return measure(
        generate(Closed(), flight, requests),
        requests=requests,
        window_ns=window_ms * MS,
        completions_per_request=8,
        warm=warm,
        warmup_ceiling_ns=1000 * MS,
    )


def test_the_window_opens_and_closes_on_a_completion_and_counts_those_between() -> None:
    found = burst(repeat(10 * MS))
    assert found.latencies_ns == (10 * MS,) * 10
    assert found.window_ns == 100 * MS


def test_throughput_is_exact_however_the_window_cuts_the_series() -> None:
    found = burst(repeat(7 * MS), window_ms=100)
    assert len(found.latencies_ns) / found.window_ns == pytest.approx(1 / (7 * MS), rel=1e-12)


def test_a_slow_model_gets_eight_completions_per_request_however_long_that_takes() -> None:
    found = burst(repeat(300 * MS), requests=2, slots=2, window_ms=100)
    assert len(found.latencies_ns) == 16


def test_two_slots_double_the_throughput_and_leave_the_latency() -> None:
    one, two = burst(repeat(10 * MS)), burst(repeat(10 * MS), requests=2, slots=2)
    assert len(two.latencies_ns) / two.window_ns == 2 * len(one.latencies_ns) / one.window_ns
    assert set(two.latencies_ns) == {10 * MS}


def test_more_requests_than_slots_wait_in_the_queue_and_their_latency_says_so() -> None:
    found = burst(repeat(10 * MS), requests=3, slots=1)
    assert set(found.latencies_ns) == {30 * MS}
    assert len(found.latencies_ns) / found.window_ns == pytest.approx(1 / (10 * MS))


def test_warm_up_lasts_until_the_series_is_steady_and_its_samples_are_kept() -> None:
    falling = chain((MS * value for value in (100, 80, 60, 40, 20)), repeat(10 * MS))
    found = burst(falling)
    assert set(found.latencies_ns) == {10 * MS}
    assert found.warmup_ns[:5] == tuple(MS * value for value in (100, 80, 60, 40, 20))


def test_warm_up_has_a_floor_of_two_windows_and_a_warm_child_needs_less() -> None:
    assert len(burst(repeat(MS)).warmup_ns) == 4
    assert len(burst(repeat(MS), warm=True).warmup_ns) == 2


def test_a_series_that_never_settles_meets_the_ceiling() -> None:
    found = burst((MS * (1 + 3 * (number % 7)) for number in count()), window_ms=10)
    assert sum(found.warmup_ns) <= 1100 * MS


def test_a_sync_load_keeps_one_request_in_flight_whatever_the_configuration_has() -> None:
    flight = FakeEngine(repeat(5 * MS), slots=4).flight(4)
    completions = list(islice(generate(Sync(), flight, 4), 3))
    assert [done.completed_ns for done in completions] == [5 * MS, 10 * MS, 15 * MS]


def test_closing_a_load_drains_what_is_in_flight() -> None:
    engine = FakeEngine(repeat(MS), slots=3)
    flight = engine.flight(3)
    load = generate(Closed(), flight, 3)
    next(load)
    load.close()
    assert flight._busy == []  # type: ignore[attr-defined]


@given(
    services=st.lists(st.integers(1, 50), min_size=1, max_size=20),
    requests=st.integers(1, 4),
    window_ms=st.integers(1, 200),
)
def test_a_window_is_never_shorter_than_asked_nor_emptier(
    services: list[int], requests: int, window_ms: int
) -> None:
    found = burst(
        (MS * value for value in cycle(services)), requests=requests, slots=requests, window_ms=window_ms
    )
    assert found.window_ns >= window_ms * MS
    assert len(found.latencies_ns) >= 8 * requests
    assert all(value > 0 for value in found.latencies_ns)
