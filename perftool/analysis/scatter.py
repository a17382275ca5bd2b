"""Put together what several pairs of runs say of a change, and how far runs of the same code scatter.

Pure functions over numbers, as in `drift`: one pair of runs has to guess how far a figure differs from run to
run, several pairs show it. docs/comparing.md explains the rules.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from perftool.analysis import drift
from perftool.analysis.stats import Estimate


class Left(NamedTuple):
    """What is left of a figure's change between two runs, as visits know it, and what they do not know.

    `luck` is the standard deviation of the figure's own luck, `shared` of what it has in common with all
    others of these runs: the control's luck, or the machine's drift where there is no control. `degrees` are
    those of the visits.
    """

    ratio: Estimate
    luck: float
    shared: float
    degrees: float


class Own(NamedTuple):
    """What is left of a change, with all in its interval that it is not known by; p-value not adjusted."""

    ratio: Estimate
    p_value: float | None


class Scatter(NamedTuple):
    """How far runs of the same code scatter: in units of what is guessed, as a variance; and of how many."""

    size: float
    seen: int


UNSEEN = Scatter(1.0, 0)


def scatter(changes: Sequence[Sequence[Left]]) -> Scatter:
    """Return how far the same figures scatter over several pairs of runs: for each figure, its changes.

    What all figures of a pair have in common is taken out, and each figure's own mean: no change of the code
    is in what is left. The guess counts beside it.
    """
    rows = [each for each in changes if len(each) > 1 and all(left.luck > 0 for left in each)]
    rows = [each for each in rows if len(each) == len(rows[0])]
    if len(rows) < 2:
        return UNSEEN
    logs = [[math.log(left.ratio.point) for left in each] for each in rows]
    turns = range(len(logs[0]))
    means = [sum(each) / len(each) for each in logs]
    all_of_it = sum(means) / len(means)
    common = [sum(each[turn] for each in logs) / len(logs) - all_of_it for turn in turns]
    squares = sum(
        ((each[turn] - mean - common[turn]) / row[turn].luck) ** 2
        for each, mean, row in zip(logs, means, rows, strict=True)
        for turn in turns
    )
    seen = (len(rows) - 1) * (len(turns) - 1)
    return Scatter((drift.RUN_WORTH + squares) / (drift.RUN_WORTH + seen), seen)


def together(lefts: Sequence[Left], scattered: Scatter = UNSEEN) -> Own:
    """Return the mean of what is left over one or more pairs of runs (see `Left`), and its p-value.

    Its interval is the wider of the two, and its p-value the larger: what the visits say, and what the luck
    of runs demands.
    """
    found = drift.geometric_mean([left.ratio for left in lefts])
    assert found is not None, "of no runs there is nothing left"
    variance = sum(left.luck**2 + left.shared**2 for left in lefts) * scattered.size
    deviation, free = math.sqrt(variance) / len(lefts), float(drift.RUN_WORTH + scattered.seen)
    by_visits = drift.p_value(found, sum(left.degrees for left in lefts))
    if by_visits is None:
        return Own(found, None)
    bare = Estimate(point=found.point, low=found.point, high=found.point)
    by_luck = drift.p_value(drift.at_least(bare, deviation, free), free)
    return Own(drift.at_least(found, deviation, free), max(by_visits, by_luck or 0.0))


def drifted(lefts: Sequence[Left]) -> Own:
    """Return the mean of what a control changed by, the machine's drift (`shared`) added to its interval.

    How far pairs of runs that were made in turns drift is seen, and the guess counts beside it.
    """
    found = drift.geometric_mean([left.ratio for left in lefts])
    assert found is not None, "of no runs there is no change"
    variances = [left.luck**2 + left.shared**2 for left in lefts]
    mean = math.log(found.point)
    squares = sum(
        (math.log(left.ratio.point) - mean) ** 2 / variance
        for left, variance in zip(lefts, variances, strict=True)
    )
    size = (drift.MACHINE_WORTH + squares) / (drift.MACHINE_WORTH + len(lefts) - 1)
    free = sum(left.degrees for left in lefts)
    found = drift.added(found, math.sqrt(sum(variances) * size) / len(lefts), free)
    return Own(found, drift.p_value(found, free))
