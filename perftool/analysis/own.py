"""Take out of a figure's change between runs what the control changed by, over one pair of runs or several.

What the control itself changed by is worked out here too. Nothing is judged.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import median, stdev
from typing import NamedTuple

from perftool.analysis import drift, scatter
from perftool.analysis.control import Control, Pair
from perftool.analysis.matching import Matched
from perftool.analysis.metric import Metric
from perftool.analysis.metrics import THROUGHPUT
from perftool.analysis.scatter import Left, Own
from perftool.analysis.stats import Estimate, ratio_of_independent


class Turn(NamedTuple):
    """One configuration in one pair of runs, with the control of its device there."""

    pair: Pair
    control: Control
    one: Matched


def ratio_of(metric: Metric, one: Matched) -> Estimate | None:
    """Return a figure in the run over the same in the baseline run; None where either has none above zero."""
    before, now = metric.value(one.before), metric.value(one.now)
    if before is None or now is None or before <= 0 or now <= 0:
        return None
    return metric.ratio(one.now, one.before)


def ratio_over(metric: Metric, turns: Sequence[Turn]) -> Estimate | None:
    """Return the mean ratio over several pairs of runs; None where one of them has none."""
    ratios = [ratio_of(metric, turn.one) for turn in turns]
    found = [ratio for ratio in ratios if ratio is not None]
    return drift.geometric_mean(found) if found and len(found) == len(turns) else None


def own_over(
    metric: Metric, turns: Sequence[Turn], scattered: scatter.Scatter = scatter.UNSEEN
) -> Own | None:
    """Return what is left of a change over several pairs of runs; None where one of them has none."""
    lefts = [left_of(metric, turn) for turn in turns]
    found = [left for left in lefts if left is not None]
    return scatter.together(found, scattered) if found and len(found) == len(turns) else None


def left_of(metric: Metric, turn: Turn) -> Left | None:
    """Return what is left of a configuration's change once the control's is taken out.

    Where the control has no such figure the change is taken whole, with machines' drift in its interval.
    """
    pair, control, one = turn
    ratio = ratio_of(metric, one)
    if ratio is None:
        return None
    before, now = pair.figures(THROUGHPUT, one)
    degrees = drift.degrees(before.values, now.values)
    luck = drift.luck(control.process, before.incarnations, now.incarnations)
    left = _without_control(turn, metric, ratio)
    if left is None:
        return Left(drift.added(ratio, control.machine, degrees), luck, control.machine, degrees)
    return Left(left, luck, luck * math.sqrt(control.share), degrees)


def against_rival(metric: Metric, turn: Turn, rival: Matched) -> Own | None:
    """Return what a configuration that a race dropped early changed by against the one that beat it.

    Its few visits carry no interval. How far visits differ is taken from the baseline run's ratios of the
    two, and Student's t has the degrees of freedom of both. None where the rounds show nothing.
    """
    pair, control, one = turn
    own, others = pair.figures(metric, one), pair.figures(metric, rival)
    was, is_now = (drift.over(mine.values, its.values) for mine, its in zip(own, others, strict=True))
    if len(was) < 2 or not is_now:
        return None
    logs = [math.log(value) for value in was.values()]
    visits = stdev(logs) * math.sqrt(math.pi / 2 * (1 / len(was) + 1 / len(is_now)))
    luck = drift.luck(control.process, own[0].incarnations, own[1].incarnations)
    point = median(is_now.values()) / median(was.values())
    free = float(len(was) + len(is_now) - 2)
    bare = Estimate(point=point, low=point, high=point)
    found = drift.at_least(bare, math.hypot(visits, luck * math.sqrt(2)), free)
    return Own(found, drift.p_value(found, free))


def scatter_of(turns: Iterable[Sequence[Turn]]) -> scatter.Scatter:
    """Return how far the throughput of the same code scatters over several pairs of runs."""
    lefts = [[left_of(THROUGHPUT, turn) for turn in each] for each in turns]
    return scatter.scatter([[left for left in each if left is not None] for each in lefts])


def common_over(metric: Metric, pairs: Sequence[Pair], controls: Sequence[Control]) -> Own | None:
    """Return the change of the control, with machines' drift in its interval; None where it has none."""
    lefts = [_common(metric, pair, control) for pair, control in zip(pairs, controls, strict=True)]
    found = [left for left in lefts if left is not None]
    if not found or len(found) < len(lefts):
        return None
    return scatter.drifted(found)


def _common(metric: Metric, pair: Pair, control: Control) -> Left | None:
    change = _control_ratio(metric, pair, control)
    if change is None:
        return None
    runs = [pair.figures(THROUGHPUT, one) for one in control.members or control.most]
    before, now = (min(found.incarnations for found in side) for side in zip(*runs, strict=True))
    luck = drift.luck(control.process, before, now) * math.sqrt(control.share)
    return Left(change, luck, control.machine, drift.degrees(*control.series(pair, THROUGHPUT)))


def _without_control(turn: Turn, metric: Metric, ratio: Estimate) -> Estimate | None:
    """Take the control's change out of a configuration's; None where the control has no such figure."""
    pair, control, one = turn
    if metric.series is None:
        change = _control_ratio(metric, pair, control)
        if change is None or change.low is None or change.high is None:
            return None
        return ratio_of_independent(ratio, change)
    before, now = pair.figures(metric, one)
    return drift.relative_change(before.values, now.values, control.series(pair, metric))


def _control_ratio(metric: Metric, pair: Pair, control: Control) -> Estimate | None:
    """Return what the control changed by, as visits know it, worked out once."""
    key = (control.kind, metric.name)
    if key not in control.ratios:
        control.ratios[key] = _changed_by(metric, pair, control)
    return control.ratios[key]


def _changed_by(metric: Metric, pair: Pair, control: Control) -> Estimate | None:
    """Return the change of the medians over rounds; of a metric without rounds the usual ratio."""
    if metric.series is not None:
        return drift.change_of_medians(*control.series(pair, metric))
    ratios = [ratio_of(metric, one) for one in control.members or control.most]
    found = [ratio for ratio in ratios if ratio is not None]
    if control.members:
        return drift.geometric_mean(found) if len(found) == len(ratios) else None
    return drift.usual_ratio(found)
