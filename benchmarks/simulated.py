"""Simulated visits of known distribution, and medians with intervals for many series at once.

A noise is how fast a visit is, relative to an undisturbed one. The intervals are `analysis.stats`' own
(`median_estimate`), only written for arrays; `checked` compares the two.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from perftool.analysis.stats import median_estimate

Array = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]

#: How many draws give a median that is not known in closed form; its error is 0.1 % of the spread.
HUGE = 2_000_000
SEED = 20160223
_CHECKED = 20


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw visits that spread by 5 % evenly to both sides."""
    return 1 + 0.05 * rng.standard_normal(shape)


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw visits that spread by 20 %, with a long tail to one side."""
    return np.exp(0.2 * rng.standard_normal(shape))


def slowed(rng: np.random.Generator, shape: tuple[int, ...], share: float, mean: float) -> Array:
    """Draw by which factor visits are slower: a share of them by 1 + an exponential of this mean."""
    slower: Array = 1 + rng.exponential(mean, shape) * (rng.random(shape) < share)
    return slower


def spiky(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw visits that spread by 2 %; 15 % are slower by 1 + an exponential of mean 0.3."""
    slower = slowed(rng, shape, 0.15, 0.3)
    return (1 + 0.02 * rng.standard_normal(shape)) / slower


def loaded(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw a busy machine's visits: 5 % of spread, 30 % slower by 1 + an exponential of mean 0.2."""
    slower = slowed(rng, shape, 0.30, 0.2)
    return (1 + 0.05 * rng.standard_normal(shape)) / slower


NOISES: dict[str, Noise] = {"normal": normal, "lognormal": lognormal, "spiky": spiky, "loaded": loaded}


def drift(visits: int) -> Array:
    """Return how a machine slows down over a series of visits: by 10 % from the first to the last."""
    return np.linspace(1.0, 0.9, visits)


def generator(*names: object) -> np.random.Generator:
    """Return a generator of random numbers of its own for each purpose, the same in every run."""
    return np.random.Generator(np.random.Philox([SEED, *map(ord, "/".join(map(str, names)))]))


def true_median(draw: Callable[[np.random.Generator, tuple[int, ...]], Array], name: str) -> float:
    """Return a noise's median, from a huge sample."""
    return float(np.median(draw(generator("truth", name), (HUGE,))))


# ---------------------------------------------------------------- medians of many series at once


class Medians(NamedTuple):
    """Medians with their intervals, one for each series."""

    point: Array
    low: Array
    high: Array

    def covers(self, truth: float) -> NDArray[np.bool_]:
        """Tell for each interval whether the truth lies in it."""
        return (self.low <= truth) & (truth <= self.high)


@cache
def depth_and_weight(n: int, confidence: float) -> tuple[int, float] | None:
    """Return where the ends of a median's interval lie among n sorted values; None where there is none."""
    coverage = 1 - 2 * binom.cdf(np.arange(n // 2 + 1), n, 0.5)
    if coverage[0] < confidence:
        return None
    depth = int(np.flatnonzero(coverage >= confidence)[-1]) + 1
    excess = (coverage[depth - 1] - confidence) / (coverage[depth - 1] - coverage[depth])
    return depth, float((n - depth) * excess / (depth + (n - 2 * depth) * excess))


def medians(series: Array, confidence: float = 0.95) -> Medians:
    """Return the median of each row with its interval, which is all numbers where a row is too short."""
    ordered = np.sort(series, axis=1)
    n = ordered.shape[1]
    point = np.median(ordered, axis=1)
    found = depth_and_weight(n, confidence)
    if found is None:
        everywhere = np.full(len(series), np.inf)
        return Medians(point, -everywhere, everywhere)
    depth, weight = found
    low = ordered[:, depth - 1] + weight * (ordered[:, depth] - ordered[:, depth - 1])
    high = ordered[:, n - depth] - weight * (ordered[:, n - depth] - ordered[:, n - depth - 1])
    return checked(series, Medians(point, np.minimum(low, point), np.maximum(high, point)), confidence)


def checked(series: Array, found: Medians, confidence: float) -> Medians:
    """Return what was found, if it is what `analysis.stats` finds for the first rows; raise otherwise."""
    for number, values in enumerate(series[:_CHECKED]):
        own = median_estimate([float(value) for value in values], confidence)
        expected = (own.point, own.low, own.high)
        if not np.allclose(np.array([column[number] for column in found]), np.array(expected, dtype=float)):
            raise AssertionError(f"median_estimate gives {expected} for {values}")
    return found
