"""What does it cost to pick the best of many by the figures that are then claimed? On equals, simulated."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.simulated import Array, Noise, generator, medians
from perftool.analysis.leader import standing
from perftool.analysis.stats import MIN_VISITS, Estimate

#: So many candidates of one true speed, each visited in so many rounds.
CANDIDATES = 24
ROUNDS = MIN_VISITS


class Told(NamedTuple):
    """The ratio of the picked to a baseline that is its equal: its geometric mean, how often it covers."""

    ratio: float
    covers: float


def picked(noise: Noise, trials: int) -> tuple[Told, Told, float]:
    """Return what a claim says from the rounds that were picked by, what from fresh ones, and a share.

    The share is of those that fresh rounds turn down for a runner-up that is their equal.
    """
    rng = generator("choosing", noise.__name__)
    ratios = np.empty((trials, ROUNDS))
    for trial in range(trials):
        speeds = noise(rng, (CANDIDATES, ROUNDS))
        best = int(np.argmax(np.median(speeds, axis=1)))
        ratios[trial] = speeds[best] / noise(rng, (ROUNDS,))
    again, baseline, rival = (noise(rng, (trials, ROUNDS)) for _ in range(3))
    return _told(ratios), _told(again / baseline), _refused(again / rival)


def _told(ratios: Array) -> Told:
    found = medians(ratios)
    return Told(float(np.exp(np.log(found.point).mean())), float(found.covers(1.0).mean()))


def _refused(ratios: Array) -> float:
    """Return how often the picked is called worse, by the rule of the choice."""
    found = medians(ratios)
    kinds = [
        standing(Estimate(point=point, low=low, high=high), ROUNDS).kind
        for point, low, high in zip(*(column.tolist() for column in found), strict=True)
    ]
    return kinds.count("worse") / len(kinds)


def rows(noises: dict[str, Noise], trials: int) -> Iterator[tuple[str, Told, Told, float]]:
    """Yield a row for each noise."""
    for name, noise in noises.items():
        yield name, *picked(noise, trials)
