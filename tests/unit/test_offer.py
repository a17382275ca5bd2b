"""The open-loop generator, on a simulated flight: no runtime, no waiting."""

from collections.abc import Iterator
from itertools import chain, islice, repeat
from statistics import fmean

import pytest

from perftool.bench.engine import FakeEngine
from perftool.bench.load import arrivals, closed
from perftool.bench.measure import measure
from perftool.bench.offer import OpenBurst, offer
from perftool.spec import Arrivals, Open

MS = 1_000_000


def burst(
    service_ns: Iterator[int],
    *,
    rate: float,
    count: int = 100,
    kind: Arrivals = "constant",
    slots: int = 1,
    late_ns: int = 0,
    seed: int = 3,
    warmup: float = 0.25,
) -> OpenBurst:
    """Offer `count` requests at a rate, as a visit does."""
    window_ns = round(count / rate * 1e9)
    return offer(
        FakeEngine(service_ns, slots=slots, late_ns=late_ns).flight(slots),
        arrivals(Open(rate_fps=rate, arrivals=kind, seed=seed), 1),
        requests=slots,
        window_ns=window_ns,
        arrivals=count,
        warmup_ns=round(window_ns * warmup),
    )


def test_below_capacity_even_arrivals_never_wait() -> None:
    found = burst(repeat(50 * MS), rate=10)
    assert found.latencies_ns == (50 * MS,) * 100
    assert found.lags_ns == (0,) * 100
    assert found.unserved == 0


def test_arrivals_count_from_the_opening_of_the_window_and_the_warm_up_lies_before() -> None:
    found = burst(repeat(50 * MS), rate=10, count=8)
    assert found.arrivals_ns == tuple(at * 100 * MS for at in range(8))
    assert found.warmup_ns == (50 * MS,)
    assert found.window_ns == 800 * MS


def test_a_stall_is_charged_to_every_arrival_that_it_delayed() -> None:
    service = chain(repeat(10 * MS, 30), [1000 * MS], repeat(10 * MS))
    latencies = burst(service, rate=20, warmup=0).latencies_ns
    waited = [latency // MS for latency in latencies if latency > 10 * MS]
    # Each next one arrives 50 ms later and is served 10 ms later: 40 ms less to wait.
    assert waited == [*range(1000, 10, -40)]


def test_the_closed_loop_hides_the_same_stall() -> None:
    service = chain(repeat(10 * MS, 30), [1000 * MS], repeat(10 * MS))
    found = measure(
        closed(FakeEngine(service).flight(1), 1),
        requests=1,
        window_ns=5000 * MS,
        completions_per_request=8,
        warm=True,
        warmup_ceiling_ns=MS,
    )
    assert sum(latency > 10 * MS for latency in found.latencies_ns) == 1


def test_two_slots_serve_what_one_cannot() -> None:
    assert set(burst(repeat(150 * MS), rate=10, slots=2).latencies_ns) == {150 * MS}
    assert max(burst(repeat(150 * MS), rate=10, slots=1).latencies_ns) > 5000 * MS


def test_with_two_slots_a_slow_request_holds_up_only_when_both_are_taken() -> None:
    service = chain([150 * MS, 390 * MS], repeat(40 * MS))
    found = burst(service, rate=10, slots=2, warmup=0, count=10)
    assert found.latencies_ns == (150 * MS, 390 * MS, *(40 * MS,) * 8)


def test_far_beyond_capacity_the_rest_is_given_up() -> None:
    found = burst(repeat(1000 * MS), rate=10)
    assert found.unserved > 0
    assert found.unserved + len(found.latencies_ns) == 100
    assert len(found.arrivals_ns) == len(found.latencies_ns) == len(found.lags_ns)


def test_what_the_generator_oversleeps_is_its_own_lag_and_part_of_the_latency() -> None:
    found = burst(repeat(50 * MS), rate=10, late_ns=7 * MS)
    assert set(found.lags_ns) == {7 * MS}
    assert set(found.latencies_ns) == {57 * MS}


def test_waiting_for_a_free_request_is_no_lag() -> None:
    found = burst(repeat(120 * MS), rate=10, count=20)
    assert max(found.latencies_ns) > 400 * MS
    assert set(found.lags_ns) == {0}


def test_the_window_holds_the_arrivals_asked_for_however_they_are_drawn() -> None:
    for seed in range(20):
        assert len(burst(repeat(MS), rate=10, kind="poisson", seed=seed, count=40).latencies_ns) >= 40


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_the_mean_wait_is_that_of_a_queue_with_poisson_arrivals_and_fixed_service(load: float) -> None:
    # Pollaczek and Khinchine: for M/D/1 the wait is load / (2 (1 - load)) service times.
    found = burst(repeat(10 * MS), rate=100 * load, kind="poisson", count=60_000, seed=7)
    wait = fmean(found.latencies_ns) / (10 * MS) - 1
    assert wait == pytest.approx(load / (2 * (1 - load)), rel=0.08)


# ---------------------------------------------------------------- arrivals


def taken(load: Open, number: int, batch: int = 1) -> list[int]:
    return list(islice(arrivals(load, batch), number))


def test_constant_arrivals_are_evenly_spaced() -> None:
    assert taken(Open(rate_fps=10, arrivals="constant"), 4) == [n * 100 * MS for n in range(1, 5)]


def test_a_batch_arrives_whole() -> None:
    assert taken(Open(rate_fps=10, arrivals="constant"), 2, batch=4) == [400 * MS, 800 * MS]


def test_poisson_gaps_have_the_rate_for_their_mean_and_spread() -> None:
    at = taken(Open(rate_fps=10, seed=5), 20_000)
    gaps = [after - before for before, after in zip([0, *at], at, strict=False)]
    mean = fmean(gaps)
    assert mean == pytest.approx(100 * MS, rel=0.03)
    assert fmean((gap - mean) ** 2 for gap in gaps) ** 0.5 == pytest.approx(mean, rel=0.05)


def test_the_same_seed_draws_the_same_schedule_and_another_one_another() -> None:
    assert taken(Open(rate_fps=10, seed=5), 50) == taken(Open(rate_fps=10, seed=5), 50)
    assert taken(Open(rate_fps=10, seed=5), 50) != taken(Open(rate_fps=10, seed=6), 50)


def test_the_rate_changes_nothing_but_the_scale() -> None:
    slow, fast = taken(Open(rate_fps=5, seed=5), 200), taken(Open(rate_fps=10, seed=5), 200)
    assert slow == pytest.approx([2 * at for at in fast], abs=2)


def test_arrivals_never_end() -> None:
    assert next(islice(arrivals(Open(rate_fps=1.0), 1), 10_000, None)) > 0
