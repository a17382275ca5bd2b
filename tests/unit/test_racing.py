"""What a race may drop, and what it must not."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftool.analysis.racing import (
    DOUBT,
    GUESSED_SCALE,
    Array,
    Field,
    Outcome,
    _posterior_above,
    chance_above,
    leaders,
    noise_scale,
    race,
)

QUIET = np.array([0.001, -0.001, 0.0005, -0.0005, 0.001, -0.0015])


def field(
    speeds: list[list[float]],
    *,
    others: tuple[list[list[float]], ...] = (),
    fixed: list[list[float]] | None = None,
    at_most: list[list[float]] | None = None,
    keeps: list[list[bool]] | None = None,
    misses: list[list[bool]] | None = None,
) -> Field:
    """Make a field of throughputs by configuration and round."""
    count = len(speeds)
    fixed_ = np.array(fixed if fixed is not None else [[]] * count, dtype=float)
    return Field(
        timed=tuple(np.log(np.array(each, dtype=float)) for each in (speeds, *others)),
        fixed=fixed_,
        fixed_at_most=np.array(at_most, dtype=float) if at_most is not None else fixed_,
        keeps=np.array(keeps if keeps is not None else [[]] * count, dtype=bool),
        misses=np.array(misses if misses is not None else [[]] * count, dtype=bool),
    )


def quiet(*speeds: float) -> list[list[float]]:
    """Return six quiet rounds of each speed, each configuration with its own small noise."""
    return [[speed * math.exp(noise) for noise in np.roll(QUIET, at)] for at, speed in enumerate(speeds)]


def dropped(outcome: Outcome) -> list[int]:
    return [at for at, by in enumerate(outcome.dropped_by) if by >= 0]


def test_one_round_drops_what_is_far_behind_and_nothing_else() -> None:
    assert dropped(race(field([[66.0], [60.0], [40.0], [18.0]]))) == [3]


def test_six_quiet_rounds_tell_a_few_percent_apart() -> None:
    few = quiet(*(100 - 0.01 * at for at in range(30)), 93.0)
    outcome = race(field(few))
    assert dropped(outcome) == [30]
    assert outcome.dropped_by[30] == 0


def test_a_single_slow_visit_drops_nothing() -> None:
    speeds = quiet(*[100.0] * 20)
    speeds[7][2] = 55.0
    assert dropped(race(field(speeds))) == []


def test_what_was_never_visited_is_not_beaten() -> None:
    assert dropped(race(field([[100.0], [math.nan], [10.0]]))) == [2]


def test_a_shorter_latency_keeps_a_place_on_the_front() -> None:
    speeds, latencies = quiet(100.0, 50.0, 50.0), quiet(1 / 20.0, 1 / 15.0, 1 / 40.0)
    outcome = race(field(speeds, others=(latencies,)))
    assert dropped(outcome) == [2]
    assert list(outcome.beaten_by) == [-1, 0, 0]


def test_a_latency_that_is_shorter_by_chance_keeps_nothing() -> None:
    many = 20
    speeds, latencies = quiet(100.0, *[50.0] * many), quiet(1 / 20.0, *[1 / 19.9] * many)
    assert len(dropped(race(field(speeds, others=(latencies,))))) == many


def test_memory_and_accuracy_keep_a_place_on_the_front() -> None:
    speeds = quiet(100.0, 50.0, 50.0)
    outcome = race(field(speeds, fixed=[[1.0], [2.0], [1.0]]))
    assert dropped(outcome) == [2]
    outcome = race(field(speeds, fixed=[[1.0], [2.0], [1.5]], at_most=[[1.7], [2.0], [2.0]]))
    assert dropped(outcome) == [2]


def test_what_is_unknown_is_no_better() -> None:
    assert dropped(race(field(quiet(100.0, 50.0), fixed=[[1.0, 1.0], [math.nan, 1.0]]))) == [1]


def test_what_may_miss_a_limit_drops_nothing_that_may_keep_it() -> None:
    speeds = quiet(100.0, 50.0, 20.0)
    keeps, misses = [[False], [True], [True]], [[True], [False], [False]]
    outcome = race(field(speeds, keeps=keeps, misses=misses))
    assert dropped(outcome) == [2]
    assert outcome.dropped_by[2] == 1
    unsure = [[False], [False], [False]]
    assert dropped(race(field(speeds, keeps=keeps, misses=unsure))) == [2]


def test_what_surely_misses_a_limit_is_dropped_by_anything_faster() -> None:
    outcome = race(field(quiet(100.0, 50.0), keeps=[[False], [False]], misses=[[True], [True]]))
    assert dropped(outcome) == [1]


def test_only_the_front_beats_others() -> None:
    speeds, latencies = quiet(100.0, 90.0, 80.0), quiet(1 / 20.0, 1 / 10.0, 1 / 30.0)
    assert leaders(field(speeds, others=(latencies,))) == [0, 1]


def test_noise_is_read_off_repeated_visits_without_what_all_share() -> None:
    drift = [1.0, 0.8, 1.3]
    speeds = [[speed * factor for factor in drift] for speed in np.linspace(10, 20, 400)]
    assert noise_scale(np.log(np.array(speeds))) < 0.02
    assert noise_scale(np.log(np.array([[1.0], [2.0]]))) == GUESSED_SCALE
    assert noise_scale(np.log(np.array(speeds)), paired=False) > 0.2
    rng = np.random.default_rng(7)
    logs = 0.03 * rng.standard_t(3, (300, 2))
    # The difference of two such errors is wider than one of them.
    assert 0.03 < noise_scale(logs) < 0.06


@given(st.floats(-1, 1), st.floats(-0.5, 0.5), st.floats(0.01, 0.3))
def test_one_observation_is_integrated_to_its_closed_form(
    seen: float, threshold: float, scale: float
) -> None:
    closed = chance_above(np.array([[seen]]), threshold, scale)[0]
    assert _posterior_above(np.array([seen]), threshold, scale) == pytest.approx(closed, abs=0.01)


def _spiky(rng: np.random.Generator, shape: tuple[int, ...], often: float, wobble: float) -> Array:
    slower = rng.exponential(0.3, shape) * (rng.random(shape) < often)
    noisy: Any = np.log((1 + wobble * rng.standard_normal(shape)) / (1 + slower))
    return noisy


@pytest.mark.parametrize(("often", "wobble"), [(0.05, 0.01), (0.15, 0.02), (0.15, 0.05)])
def test_the_best_survives_noise_and_the_rest_does_not(often: float, wobble: float) -> None:
    rng = np.random.default_rng(20160223)
    true = np.log(np.concatenate([[1.0, 0.97], np.linspace(0.25, 0.9, 60)]))
    lost = left = 0
    races = 200
    for _ in range(races):
        logs = true[:, None] + _spiky(rng, (len(true), 5), often, wobble)
        alive = np.ones(len(true), dtype=bool)
        for rounds in range(1, 6):
            seen = np.where(alive[:, None], logs[:, :rounds], np.nan)
            empty = np.zeros((len(true), 0))
            none = empty.astype(bool)
            outcome = race(Field(timed=(seen,), fixed=empty, fixed_at_most=empty, keeps=none, misses=none))
            alive &= outcome.dropped_by < 0
        lost += not alive[0]
        left += int(alive.sum())
    assert lost / races < 5 * DOUBT
    assert left / races < 12
