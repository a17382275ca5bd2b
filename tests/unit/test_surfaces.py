"""The simulated surfaces are what the benchmark of searches says of them, and its searches search."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.searches import Trace, by_chance, by_grid, by_race
from benchmarks.simulated import NOISES, generator
from benchmarks.surfaces import LONG, SHORT, SPACES, Machine, Surface, draw_surface, streams_of

SMALL = SPACES[0].configurations()


@pytest.fixture(scope="module")
def surface() -> Surface:
    return draw_surface(SMALL, 1)


def still(surface: Surface) -> Surface:
    """Return a surface whose visits hardly spread."""
    return surface._replace(spread=1e-6)


def test_spaces_are_of_the_sizes_that_the_page_tells_and_hold_nothing_twice() -> None:
    spaces = [space.configurations() for space in SPACES]
    assert [len(one) for one in spaces] == [60, 300, 1200, 5184]
    for one in spaces:
        assert len({configuration.id for configuration in one}) == len(one)


def test_a_seed_draws_a_surface(surface: Surface) -> None:
    again, other = draw_surface(SMALL, 1), draw_surface(SMALL, 2)
    assert np.array_equal(surface.throughput, again.throughput)
    assert not np.allclose(surface.throughput, other.throughput)


@pytest.mark.parametrize("seed", range(5))
def test_a_surface_is_a_servers(seed: int) -> None:
    """INT8 is the fastest and FP32 the slowest; one stream of batch 1 is far from what 16 streams give."""
    surface = draw_surface(SMALL, seed)
    best = {
        precision: max(
            speed for speed, one in zip(surface.throughput, SMALL, strict=True) if one.precision == precision
        )
        for precision in ("FP32", "BF16", "INT8")
    }
    assert best["FP32"] < best["BF16"] < best["INT8"] < 6 * best["FP32"]
    alone, many = (
        next(
            speed
            for speed, one in zip(surface.throughput, SMALL, strict=True)
            if one.precision == "INT8" and one.batch == 1 and streams_of(one) == streams
        )
        for streams in (1, 16)
    )
    assert alone < 0.8 * many


def test_latency_is_littles_law(surface: Surface) -> None:
    for one, speed, latency in zip(SMALL, surface.throughput, surface.latency, strict=True):
        assert isinstance(one.requests, int)
        assert latency * speed == pytest.approx(one.requests * one.batch)


def test_regret_is_the_share_lost_against_the_best(surface: Surface) -> None:
    best, worst = np.argmax(surface.throughput), np.argmin(surface.throughput)
    found = surface.regret(np.array([best, worst]))
    assert found[0] == 0
    assert found[1] == pytest.approx(1 - surface.throughput[worst] / surface.throughput[best])


def test_a_visit_costs_its_compile_once_a_process_its_warm_up_and_its_window(surface: Surface) -> None:
    machine = Machine(surface, "spiky", generator("test"))
    slow = np.array([int(np.argmax(surface.latency))])
    latency = float(surface.latency[slow[0]])
    assert latency > 1
    for how, generation, compiles in ((SHORT, 0, 1), (LONG, 0, 1), (SHORT, 1, 2)):
        before = machine.seconds
        _, ends = machine.visit(slow, how, generation)
        assert machine.compiling == pytest.approx(compiles * surface.compile[slow[0]])
        assert ends[0] == pytest.approx(machine.seconds) and machine.seconds > before
    assert machine.measuring == pytest.approx(latency * (2 + 3 + 2 + 8 + 2 + 3))


def test_visits_are_slowed_as_the_noise_says(surface: Surface) -> None:
    for noise, share in (("spiky", 0.15), ("loaded", 0.30)):
        machine = Machine(still(surface), noise, generator("test", noise))
        one = np.zeros(20_000, dtype=np.int64)
        speeds, _ = machine.visit(one, LONG)
        slowed = np.mean(speeds < np.log(surface.throughput[0]) - 1e-4)
        assert slowed == pytest.approx(share, abs=0.02)


def test_noises_draw_what_they_drew_before_their_outliers_had_a_name() -> None:
    """The figures of the intervals' page stand on these draws."""
    for name, spread, share, mean in (("spiky", 0.02, 0.15, 0.3), ("loaded", 0.05, 0.30, 0.2)):
        rng = generator("stand", name)
        slower = rng.exponential(mean, (50,)) * (rng.random((50,)) < share)
        expected = (1 + spread * rng.standard_normal((50,))) / (1 + slower)
        assert np.array_equal(NOISES[name](generator("stand", name), (50,)), expected)


@pytest.mark.parametrize("search", [by_race, by_grid])
def test_where_visits_hardly_spread_a_search_ends_at_the_best(
    search: Callable[[Machine, np.random.Generator, int], Trace], surface: Surface
) -> None:
    trace = search(Machine(still(surface), "spiky", generator("n", 1)), generator("o", 1), 1)
    assert surface.regret(trace.chosen[-1:])[0] <= 0.01
    assert np.all(np.diff(trace.seconds) >= 0)
    assert trace.seconds[-1] == pytest.approx(trace.compiling + trace.measuring)
    assert trace.at(np.array([0.0]))[0] == -1


def test_a_random_search_visits_everything_once_and_the_best_again(surface: Surface) -> None:
    machine = Machine(surface, "loaded", generator("n", 3))
    trace = by_chance(machine, generator("o", 3), 3)
    assert len(trace.kept) == 12
    # 18 rounds, a process for each three of them.
    assert trace.compiling == pytest.approx(surface.compile.sum() + 5 * surface.compile[trace.kept].sum())


def test_a_race_takes_less_than_a_grid(surface: Surface) -> None:
    spent = {}
    for search in (by_race, by_grid):
        trace = search(Machine(surface, "loaded", generator("n", 2)), generator("o", 2), 2)
        spent[search] = trace.compiling + trace.measuring
    assert spent[by_race] < 0.7 * spent[by_grid]
