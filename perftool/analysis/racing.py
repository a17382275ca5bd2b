"""Decide which configurations a race can do without: those surely beaten in every respect that counts.

Pure functions over arrays: nothing here knows of journals, metrics or configurations. docs/measurement.md,
"Racing", explains the rules.

An early look at a race has one or two visits of each configuration, far too few for the intervals of a
report. So it takes the noise from all visits together: the logarithm of the ratio of two configurations,
visited in one round, is their true ratio and an error with Student's t distribution of three degrees of
freedom, whose heavy tails are the visits that something slowed. With a flat prior that gives the chance that
a configuration is, against all appearances, as good.
"""

from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A configuration is beaten once the chance that it is as good is below this, at one look.
DOUBT = 0.005
#: On what is not the objective, better by less than this share is no better.
SLACK = 0.05
#: The errors' degrees of freedom: heavy tails, and still a variance.
DEGREES = 3.0
#: The scale of the errors before any visit was repeated, and how many pairs of visits that guess is worth.
GUESSED_SCALE = 0.10
_GUESS_WORTH = 8
_LEAST_SCALE = 0.005
#: Points that a posterior is integrated over, to this many scales beyond the outermost ratios.
_POINTS = 257
_BEYOND = 12.0


class Field(Struct, frozen=True, kw_only=True):
    """What a race looks at; the first axis of every array is the configurations.

    `timed` holds a metric each, the objective first, as (configurations, rounds): logarithms, larger is
    better, nan where a configuration was not visited. `fixed`, (configurations, metrics), is what does not
    change from visit to visit, larger is better, nan where unknown: a configuration is better in it than
    another when its `fixed` is above the other's `fixed_at_most`. `keeps` and `misses`, (configurations,
    limits), tell which limits are surely kept and surely missed.
    """

    timed: tuple[Array, ...]
    fixed: Array
    fixed_at_most: Array
    keeps: Mask
    misses: Mask


class Outcome(NamedTuple):
    """Which configuration beats each in every respect, and on the objective at least; -1 where none does."""

    dropped_by: NDArray[np.int64]
    beaten_by: NDArray[np.int64]


def race(field: Field) -> Outcome:
    """Hold every configuration against those that nothing beats by its point estimates.

    Where a metric beside the objective is unknown of a configuration, it is no better in it.
    """
    count = len(field.timed[0])
    dropped_by = np.full(count, -1, dtype=np.int64)
    beaten_by = np.full(count, -1, dtype=np.int64)
    scales = [noise_scale(metric) for metric in field.timed]
    for leader in leaders(field):
        if dropped_by[leader] >= 0:
            continue  # Nothing is dropped for the sake of what is dropped itself.
        rivals = np.flatnonzero(dropped_by < 0)
        rivals = rivals[rivals != leader]
        rivals = rivals[np.all(field.keeps[leader] | field.misses[rivals], axis=1)]
        objective = field.timed[0]
        beaten = chance_above(objective[rivals] - objective[leader], 0.0, scales[0]) < DOUBT
        rivals = rivals[beaten]
        beaten_by[rivals] = np.where(beaten_by[rivals] < 0, leader, beaten_by[rivals])
        fixed = field.fixed[rivals]
        no_better = np.all((fixed <= field.fixed_at_most[leader]) | np.isnan(fixed), axis=1)
        for metric, scale in zip(field.timed[1:], scales[1:], strict=True):
            chance = chance_above(metric[rivals] - metric[leader], np.log1p(SLACK), scale)
            no_better &= (chance < DOUBT) | np.all(np.isnan(metric[rivals]), axis=1)
        dropped_by[rivals[no_better]] = leader
    return Outcome(dropped_by, beaten_by)


def leaders(field: Field) -> list[int]:
    """Return the configurations that may beat others: the Pareto front of point estimates, best first.

    A configuration beside the front beats nothing that one on the front does not beat too.
    """
    points = np.stack([_medians(metric) for metric in field.timed], axis=1)
    points = np.concatenate([points, field.fixed], axis=1)
    known = np.flatnonzero(~np.isnan(points[:, 0]))
    points = np.nan_to_num(points, nan=-np.inf)
    order = known[np.argsort(-points[known, 0], kind="stable")]
    # What may miss a limit that another keeps beats less than it, so a kept limit counts like a metric.
    points = np.concatenate([points, field.keeps], axis=1)
    front: list[int] = []
    for one in order:
        if not np.any(np.all(points[front] >= points[one], axis=1)):
            front.append(int(one))
    return front


def noise_scale(logs: Array, *, paired: bool = True) -> float:
    """Return the scale of the errors of ratios: by how much visits to the same configuration differ.

    The change from each round to the next is taken less what all changed by, for ratios are paired inside
    rounds; figures that are held against a limit are not `paired`, and what all changed by is error. The
    median of its size is that of the distribution's, which says the scale. With few such pairs a guess counts
    beside them.
    """
    sizes: list[Array] = []
    for before, after in zip(logs.T[:-1], logs.T[1:], strict=True):
        change = after - before
        change = change[~np.isnan(change)]
        if len(change) > 1:
            sizes.append(np.abs(change - np.median(change)) if paired else np.abs(change))
    found = np.concatenate(sizes) if sizes else np.empty(0)
    if not len(found):
        return GUESSED_SCALE
    scale = max(_LEAST_SCALE, float(np.median(found)) / float(stdtrit(DEGREES, 0.75)))
    worth = len(found) + _GUESS_WORTH
    return float(np.sqrt((len(found) * scale**2 + _GUESS_WORTH * GUESSED_SCALE**2) / worth))


def chance_above(logs: Array, threshold: float, scale: float) -> Array:
    """Return the chance that each row's true value lies above a threshold, given its noisy observations.

    Rows are configurations, columns rounds, nan where there is none. A row without any has a chance of 1.
    """
    count = np.sum(~np.isnan(logs), axis=1)
    chances = np.ones(len(logs))
    once = count == 1
    only = np.nansum(logs[once], axis=1)
    chances[once] = stdtr(DEGREES, (only - threshold) / scale)
    for row in np.flatnonzero(count > 1):
        chances[row] = _posterior_above(logs[row][~np.isnan(logs[row])], threshold, scale)
    return chances


def _posterior_above(seen: Array, threshold: float, scale: float) -> float:
    """Integrate one posterior: the product of the errors' densities as a function of the true value."""
    low = min(float(seen.min()), threshold) - _BEYOND * scale
    high = max(float(seen.max()), threshold) + _BEYOND * scale
    values = np.linspace(low, high, _POINTS)
    errors = (seen[None, :] - values[:, None]) / scale
    density = np.log1p(errors**2 / DEGREES).sum(axis=1) * (-(DEGREES + 1) / 2)
    weights = np.exp(density - density.max())
    below = np.concatenate([[0.0], np.cumsum((weights[1:] + weights[:-1]) / 2)])
    return float(1.0 - np.interp(threshold, values, below) / below[-1])


def _medians(logs: Array) -> Array:
    """Return each row's median; nan for a row without any."""
    medians = np.full(len(logs), np.nan)
    seen = ~np.all(np.isnan(logs), axis=1)
    medians[seen] = np.nanmedian(logs[seen], axis=1)
    return medians
