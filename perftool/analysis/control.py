"""Take out of a change between two runs what the runs' machines changed: the control of each device.

The control are the hint baselines, of which the canary is one: the model's FP32 file with nothing but a hint
set, in every round of every run. What they change by, the machine did, or what all configurations share.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from msgspec import Struct

from perftool.analysis import drift
from perftool.analysis.drift import Figures, Rounds
from perftool.analysis.matching import Look, Matched
from perftool.analysis.metric import Metric
from perftool.analysis.metrics import THROUGHPUT
from perftool.analysis.stats import Estimate, ratio_of_independent

#: Two baselines that differ from each other as surely as this do not make one control.
_APART = 0.05


class Pair(NamedTuple):
    """Two runs, and in which process each configuration was in each round of them."""

    before: Look
    now: Look
    processes_before: Mapping[str, Mapping[int, int]]
    processes_now: Mapping[str, Mapping[int, int]]

    def figures(self, metric: Metric, one: Matched) -> tuple[Figures, Figures]:
        """Return a configuration's figures by round in both runs; none of a metric without rounds."""
        was: Rounds = {}
        is_now: Rounds = {}
        if metric.series is not None:
            was = metric.series(self.before.summary.series[one.before.id])
            is_now = metric.series(self.now.summary.series[one.now.id])
        return (
            Figures(was, self.processes_before.get(one.before.id, {})),
            Figures(is_now, self.processes_now.get(one.now.id, {})),
        )


class Control(Struct, frozen=True, kw_only=True):
    """What moves with a device's machine. `members` may be none.

    `apart` are baselines that moved otherwise than the members, and so are judged like any configuration.
    `process` and `machine` are standard deviations, on the scale of logarithms (see `drift`).
    """

    device: str
    members: tuple[Matched, ...]
    apart: tuple[Matched, ...]
    process: float
    machine: float

    def series(self, pair: Pair, metric: Metric) -> tuple[dict[int, float], dict[int, float]]:
        """Return the control's figure by round, in the baseline run and in the run."""
        found = [pair.figures(metric, one) for one in self.members]
        return (
            drift.control_series([before.values for before, _ in found]),
            drift.control_series([now.values for _, now in found]),
        )


def find_control(pair: Pair, device: str, matched: Sequence[Matched]) -> Control:
    """Find what moves with a device's machine, and how far figures move by luck alone."""
    measured = [
        one
        for one in matched
        if one.configuration.device == device and all(found.values for found in pair.figures(THROUGHPUT, one))
    ]
    members = tuple(one for one in measured if one.configuration.baseline)
    process = _process_scale(pair, members, measured)
    apart: tuple[Matched, ...] = ()
    if len(members) == 2 and _are_apart(pair, members[0], members[1], process):
        usual = median(_change(one) for one in measured)
        first, second = sorted(members, key=lambda one: abs(_change(one) - usual))
        members, apart = (first,), (second,)
    runs = zip(*(pair.figures(THROUGHPUT, one) for one in measured), strict=True)
    machine = drift.machine_scale([[found.values for found in run] for run in runs])
    return Control(device=device, members=members, apart=apart, process=process, machine=machine)


def _process_scale(pair: Pair, members: Sequence[Matched], measured: Sequence[Matched]) -> float:
    """Pool how far processes of one configuration differ over all configurations of both runs."""
    control = Control(device="", members=tuple(members), apart=(), process=0.0, machine=0.0)
    controls = control.series(pair, THROUGHPUT)
    others = [one for one in measured if one not in members] or measured
    runs: tuple[list[Figures], list[Figures]] = ([], [])
    for one in others:
        for run, found, control_values in zip(runs, pair.figures(THROUGHPUT, one), controls, strict=True):
            paired = len(others) < len(measured)
            values = drift.over(found.values, control_values) if paired else found.values
            run.append(Figures(values, found.processes))
    return drift.process_scale(runs)


def _are_apart(pair: Pair, first: Matched, second: Matched, process: float) -> bool:
    (was, is_now), against = (pair.figures(THROUGHPUT, one) for one in (first, second))
    change = drift.relative_change(was.values, is_now.values, (against[0].values, against[1].values))
    if change is None:
        return False
    degrees = _degrees(was.values, is_now.values)
    deviation = drift.luck(process, was.incarnations, is_now.incarnations, 1)
    found = drift.p_value(drift.at_least(change, deviation, degrees), degrees)
    return found is not None and found <= _APART


def _change(one: Matched) -> float:
    """Return the logarithm of the change of a configuration's throughput."""
    before, now = THROUGHPUT.value(one.before), THROUGHPUT.value(one.now)
    return math.log(now / before) if before and now else 0.0


# ---------------------------------------------------------------- changes, and what is left of them


class Own(NamedTuple):
    """What is left of a change once the control's is taken out of it, and its p-value, not adjusted."""

    ratio: Estimate
    p_value: float | None


def ratio_of(metric: Metric, one: Matched) -> Estimate | None:
    """Return a figure in the run over the same in the baseline run; None where either has none above zero."""
    before, now = metric.value(one.before), metric.value(one.now)
    if before is None or now is None or before <= 0 or now <= 0:
        return None
    return metric.ratio(one.now, one.before)


def common_change(pair: Pair, control: Control, metric: Metric) -> Own | None:
    """Return the change of the control, with machines' drift in its interval; None where it has none."""
    change = _control_ratio(pair, control, metric)
    if change is None:
        return None
    degrees = _degrees(*control.series(pair, THROUGHPUT))
    runs = [pair.figures(THROUGHPUT, one) for one in control.members]
    before, now = (min(found.incarnations for found in side) for side in zip(*runs, strict=True))
    deviation = drift.luck(control.process, before, now, 0) / math.sqrt(len(runs))
    found = drift.added(change, math.hypot(control.machine, deviation), degrees)
    return Own(found, drift.p_value(found, degrees))


def own_change(pair: Pair, control: Control, metric: Metric, one: Matched) -> Own | None:
    """Return what is left of a configuration's change once the control's is taken out.

    Where the control has no such figure the change is taken whole, with machines' drift in its interval.
    """
    ratio = ratio_of(metric, one)
    if ratio is None:
        return None
    before, now = pair.figures(THROUGHPUT, one)
    degrees = _degrees(before.values, now.values)
    left = _without_control(pair, control, metric, one, ratio)
    members = len(control.members) if left else 0
    deviation = drift.luck(control.process, before.incarnations, now.incarnations, members)
    found = left or drift.added(ratio, control.machine, degrees)
    found = drift.at_least(found, deviation if left else math.hypot(control.machine, deviation), degrees)
    return Own(found, drift.p_value(found, degrees))


def _without_control(
    pair: Pair, control: Control, metric: Metric, one: Matched, ratio: Estimate
) -> Estimate | None:
    """Take the control's change out of a configuration's; None where the control has no such figure."""
    if metric.series is None:
        change = _control_ratio(pair, control, metric)
        if change is None or change.low is None or change.high is None:
            return None
        return ratio_of_independent(ratio, change)
    before, now = pair.figures(metric, one)
    return drift.relative_change(before.values, now.values, control.series(pair, metric))


def _control_ratio(pair: Pair, control: Control, metric: Metric) -> Estimate | None:
    if metric.series is not None:
        return drift.change_of_medians(*control.series(pair, metric))
    ratios = [ratio_of(metric, one) for one in control.members]
    found = [ratio for ratio in ratios if ratio is not None]
    return drift.geometric_mean(found) if len(found) == len(ratios) else None


def _degrees(before: Rounds, now: Rounds) -> float:
    """Return the degrees of freedom of a comparison of two runs of so many rounds.

    Twice those of two samples: the intervals of ratios cover more than 95 %, which makes up for the thinner
    tails. docs/comparing.md shows what that comes to, simulated.
    """
    return float(max(2 * (len(before) + len(now) - 2), 1))
