"""Do the intervals of percentiles hold? On simulated latencies that hang together in visits."""

from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct

from benchmarks.simulated import HUGE, Array, generator
from perftool.analysis.stats import percentile_estimate

PERCENTILES = (50, 90, 95)
VISITS = (6, 10, 30)
SAMPLES = 40
#: Latencies within a visit: lognormal, spread by 5 %, each correlated with the one before.
WITHIN = 0.05
CORRELATION = 0.5

Slowness = Callable[[np.random.Generator, tuple[int, ...]], Array]


class Scenario(Struct, frozen=True, kw_only=True):
    """How visits differ from each other: the factor on all latencies of one visit."""

    name: str
    slowness: Slowness


def differing(spread: float) -> Slowness:
    """Return visits that are slower or faster by so much, lognormally."""
    return lambda rng, shape: np.exp(spread * rng.standard_normal(shape))


def some_slow(share: float) -> Slowness:
    """Return visits of which some are slower by a factor of 1 + an exponential (mean 0.3)."""
    return lambda rng, shape: 1 + rng.exponential(0.3, shape) * (rng.random(shape) < share)


SCENARIOS = (
    Scenario(name="visits alike", slowness=differing(0.0)),
    Scenario(name="visits differ by 1 %", slowness=differing(0.01)),
    Scenario(name="visits differ by 3 %", slowness=differing(0.03)),
    Scenario(name="visits differ by 10 %", slowness=differing(0.10)),
    Scenario(name="15 % of visits slower", slowness=some_slow(0.15)),
)


def coverages(trials: int) -> Iterator[tuple[str, int, list[tuple[float, float]]]]:
    """Yield for each scenario and number of visits how often each percentile's interval covers the truth.

    Beside it stands how often its upper end is left open.
    """
    for scenario in SCENARIOS:
        truths = [float(np.percentile(one_each(scenario, HUGE), percentile)) for percentile in PERCENTILES]
        for visits in VISITS:
            latencies = drawn(scenario, trials, visits)
            shares = [covered(latencies, *pair) for pair in zip(PERCENTILES, truths, strict=True)]
            yield scenario.name, visits, shares


def covered(latencies: Array, percentile: float, truth: float) -> tuple[float, float]:
    """Return how many of the trials' intervals cover the true percentile, and how many have no upper end."""
    hits = open_ = 0
    for trial in latencies:
        found = percentile_estimate(list(trial), percentile)
        if found is None or found.low is None:
            raise AssertionError(f"{trial.shape} samples should carry p{percentile:g}")
        open_ += found.high is None
        hits += found.low <= truth and (found.high is None or truth <= found.high)
    return hits / len(latencies), open_ / len(latencies)


def drawn(scenario: Scenario, trials: int, visits: int) -> Array:
    """Draw latencies, [trials, visits, samples]: AR(1) in logarithms, times the visit's factor."""
    rng = generator("percentiles", scenario.name, visits)
    noise = rng.standard_normal((trials, visits, SAMPLES))
    for number in range(1, SAMPLES):
        noise[..., number] *= np.sqrt(1 - CORRELATION**2)
        noise[..., number] += CORRELATION * noise[..., number - 1]
    slowness: Array = scenario.slowness(rng, (trials, visits, 1))
    return slowness * np.exp(WITHIN * noise)


def one_each(scenario: Scenario, visits: int) -> Array:
    """Draw one latency from each of many visits: what a single latency is distributed like."""
    rng = generator("percentiles", scenario.name, "truth")
    return scenario.slowness(rng, (visits,)) * np.exp(WITHIN * rng.standard_normal(visits))
