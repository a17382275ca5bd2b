"""Looking at a comparison while it grows: what stopping at the first clear verdict does to it.

Two configurations are measured in rounds. From six rounds on the standing (`analysis.leader`) is looked at
after every round, and measuring ends when it is clear, or with forty rounds. Many looks are wrong more often
than one, if the first clear one counts; the rule asks more of every look after the first.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulated import Array, Medians, Noise, generator, medians
from perftool.analysis.leader import BAND, standing
from perftool.analysis.stats import MIN_VISITS, Estimate

MOST_ROUNDS = 40
KINDS = ("worse", "undecided", "tied", "better")


class Stopped(NamedTuple):
    """How many comparisons ended, one row for each: after how many rounds, with what."""

    rounds: NDArray[np.int64]
    kinds: NDArray[np.int64]
    covered: NDArray[np.bool_]

    def share(self, *kinds: str) -> float:
        """Return how many of the comparisons ended with one of these verdicts."""
        return float(np.isin(self.kinds, [KINDS.index(kind) for kind in kinds]).mean())

    def wrong(self, truth: float) -> float:
        """Return how many named a direction that is not the true one."""
        if truth == 1:
            return self.share("worse", "better")
        return self.share("worse" if truth > 1 else "better")


def paired_ratios(noise: Noise, truth: float, trials: int) -> Array:
    """Draw the ratios of two configurations, round by round, whose true ratio is `truth`.

    Both have the same noise, each its own draw, so the ratio's median is the truth itself; what a round does
    to both cancels.
    """
    rng = generator("stopping", noise.__name__, truth)
    shape = (trials, MOST_ROUNDS)
    return truth * noise(rng, shape) / noise(rng, shape)


def stop(ratios: Array, truth: float, later: float) -> Stopped:
    """End every comparison at its first clear look; looks after the first take intervals of `later`.

    The interval that is judged at the end is the one that was looked at last.
    """
    trials = len(ratios)
    rounds = np.full(trials, MOST_ROUNDS)
    kinds = np.zeros(trials, dtype=np.int64)
    covered = np.zeros(trials, dtype=bool)
    going = np.ones(trials, dtype=bool)
    for n in range(MIN_VISITS, MOST_ROUNDS + 1):
        looked = medians(ratios[:, :n], 0.95 if n == MIN_VISITS else later)
        seen = verdicts(looked)
        ending = going & (seen != KINDS.index("undecided"))
        if n == MOST_ROUNDS:
            ending = going
        rounds[ending] = n
        kinds[ending] = seen[ending]
        covered[ending] = looked.covers(truth)[ending]
        going &= ~ending
    return Stopped(rounds, kinds, covered)


def verdicts(found: Medians) -> NDArray[np.int64]:
    """Return the standing of each ratio as its place in KINDS, the same as `leader.standing` gives."""
    inside = (found.low >= 1 - BAND) & (found.high <= 1 + BAND)
    around = (found.low <= 1) & (found.high >= 1)
    below = found.high < 1
    worse, undecided, tied, better = range(len(KINDS))
    kinds = np.select([inside, around, below], [tied, undecided, worse], better).astype(np.int64)
    for number in range(min(20, len(kinds))):
        point, low, high = (float(column[number]) for column in found)
        own = standing(Estimate(point=point, low=low, high=high), MIN_VISITS).kind
        if KINDS[kinds[number]] != own:
            raise AssertionError(f"leader.standing says {own} to {point} ({low} to {high})")
    return kinds
