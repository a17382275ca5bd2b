"""Tell a change between two runs from what runs of the same code differ by.

Pure functions over numbers: nothing here knows of journals, metrics or configurations, and nothing is
formatted. docs/comparing.md explains the rules.

Visits know how visits differ. They do not know how a configuration's next processes differ from these (a
memory layout is luck), nor how the machine of tomorrow differs from today's. The first is learnt from the
processes inside the runs, the second is cancelled by a control that suffers it too, and guessed where there
is none.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from scipy.special import stdtr, stdtrit

from perftool.analysis.stats import (
    CONFIDENCE,
    Estimate,
    halves_ratio,
    median_estimate,
    paired_ratio,
    ratio_of_independent,
)

#: By how much processes of one configuration are guessed to differ, and how many pairs of processes that
#: guess is worth beside those that were seen.
GUESSED_PROCESS = 0.02
PROCESS_WORTH = 8
#: By how much a machine is guessed to drift from one run to another, and what that guess is worth beside the
#: drift that was seen inside a run.
GUESSED_MACHINE = 0.03
MACHINE_WORTH = 8
#: By how much one configuration's figure is guessed to differ from run to run beyond the luck of processes,
#: each run's machine taken out, and how many degrees of freedom that guess has (six runs of the same code).
GUESSED_RUN = 0.02
RUN_WORTH = 15
#: The median size of a normal variable, in its standard deviations.
_MEDIAN_SIZE = 0.6744897501960817

Rounds = Mapping[int, float]


class Figures(NamedTuple):
    """One figure of one configuration in one run: its value in each round, and the process of each round."""

    values: Rounds
    processes: Mapping[int, int]

    @property
    def incarnations(self) -> int:
        """Count the processes that the figure was seen in."""
        return len({self.processes[round] for round in self.values if round in self.processes})


def control_series(figures: Sequence[Rounds]) -> dict[int, float]:
    """Return the geometric mean of several figures in every round that all of them have."""
    if not figures:
        return {}
    shared = set.intersection(*({key for key, value in one.items() if value > 0} for one in figures))
    return {
        key: math.exp(sum(math.log(one[key]) for one in figures) / len(figures)) for key in sorted(shared)
    }


def over(values: Rounds, control: Rounds) -> dict[int, float]:
    """Return a figure over the control in every round that both have."""
    return {key: value / control[key] for key, value in values.items() if key in control and value > 0}


def relative_change(before: Rounds, now: Rounds, control: tuple[Rounds, Rounds]) -> Estimate | None:
    """Return the change of a figure between two runs, over that of the `control` (before, now).

    Inside each run the figure is paired with the control round by round, which takes out what a round's
    machine did to both; the ratio of the two medians takes out what the runs' machines did. None where a run
    has no round with both.
    """
    was, is_now = paired_ratio(before, control[0]), paired_ratio(now, control[1])
    return ratio_of_independent(is_now, was) if was and is_now else None


def usual_series(
    before: Sequence[Rounds], now: Sequence[Rounds]
) -> tuple[dict[int, float], dict[int, float]]:
    """Return what most of some figures did in each round of two runs.

    Each is taken over its own middle of both runs, so that what is slow counts no less than what is fast. A
    figure that moved by itself does not move their median.
    """
    runs: tuple[dict[int, list[float]], dict[int, list[float]]] = ({}, {})
    for was, is_now in zip(before, now, strict=True):
        if not was or not is_now:
            continue
        middle = math.sqrt(median(was.values()) * median(is_now.values()))
        for run, values in zip(runs, (was, is_now), strict=True):
            for key, value in values.items():
                if middle > 0 and value > 0:
                    run.setdefault(key, []).append(value / middle)
    first, second = ({key: median(run[key]) for key in sorted(run)} for run in runs)
    return first, second


def usual_ratio(ratios: Sequence[Estimate]) -> Estimate | None:
    """Return the ratio of the median size, with its own interval; None of none."""
    ordered = sorted(ratios, key=lambda one: one.point)
    return ordered[len(ordered) // 2] if ordered else None


def median_share(count: int) -> float:
    """Return the variance of the median of so many normal values, as a share of the variance of one.

    From 1 for a single one to pi / (2 count) for many; in between it is off by less than a fifth of itself.
    """
    return math.pi / (2 * count + math.pi - 2)


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation of most of some values, from their median size about their median."""
    middle = median(values)
    return median(abs(value - middle) for value in values) / _MEDIAN_SIZE


def change_of_medians(before: Rounds, now: Rounds) -> Estimate | None:
    """Return the change of the median over rounds, as the ratio of two independent figures."""
    if not before or not now:
        return None
    return ratio_of_independent(median_estimate(list(now.values())), median_estimate(list(before.values())))


def geometric_mean(ratios: Sequence[Estimate]) -> Estimate | None:
    """Return the mean of independent ratios on the scale of logarithms; None of none.

    The reaches of their intervals are added up as squares.
    """
    if not ratios:
        return None
    count = len(ratios)
    if count == 1:
        return ratios[0]
    point = math.exp(sum(math.log(one.point) for one in ratios) / count)
    low = high = 0.0
    for one in ratios:
        if one.low is None or one.high is None or one.low <= 0:
            return Estimate(point=point, low=None, high=None)
        low = math.hypot(low, math.log(one.point / one.low))
        high = math.hypot(high, math.log(one.high / one.point))
    return Estimate(point=point, low=point * math.exp(-low / count), high=point * math.exp(high / count))


# ---------------------------------------------------------------- what visits do not know


def process_scale(runs: Sequence[Sequence[Figures]]) -> float:
    """Return the standard deviation of a process's figure, on the scale of logarithms.

    Of each run the configurations' figures, best over the control. From each process of a configuration to
    its next the median changes by the luck of both, the noise of visits included; what all configurations of
    the run change by at once is taken out. The median size of those steps is that of a normal variable. Since
    both processes run the same code, no change of the code between the runs is in it.
    """
    sizes: list[float] = []
    for run in runs:
        steps: dict[int, list[float]] = {}
        for one in run:
            for turn, (first, second) in enumerate(pairwise(_by_process(one))):
                steps.setdefault(turn, []).append(second - first)
        for found in steps.values():
            if len(found) > 1:
                middle = median(found)
                lost = math.sqrt(len(found) / (len(found) - 1))  # by fitting the middle to them
                sizes += [lost * abs(step - middle) for step in found]
    seen = median(sizes) / (_MEDIAN_SIZE * math.sqrt(2)) if sizes else 0.0
    return _shrunk(len(sizes) * seen**2, len(sizes), GUESSED_PROCESS, PROCESS_WORTH)


def _by_process(one: Figures) -> list[float]:
    """Return the logarithm of the median of each process that was seen in two rounds or more, in order."""
    found: dict[int, list[float]] = {}
    for key, value in sorted(one.values.items()):
        if value > 0 and key in one.processes:
            found.setdefault(one.processes[key], []).append(value)
    return [math.log(median(values)) for values in found.values() if len(values) > 1]


def machine_scale(runs: Sequence[Sequence[Rounds]]) -> float:
    """Return the standard deviation of what a machine changes all figures by between two runs.

    It is a guess, since two runs cannot tell it. Only where all configurations of a run drift together inside
    it, from its first half to its second, is it larger.
    """
    typical = [_typical(run) for run in runs]
    halves = [math.log(halves_ratio(series)) for series in typical if len(series) > 3]
    return _shrunk(sum(step**2 for step in halves), len(halves), GUESSED_MACHINE, MACHINE_WORTH)


def _typical(run: Sequence[Rounds]) -> list[float]:
    """Return how fast each round of a run was: the median configuration, each over its own median."""
    seen: dict[int, list[float]] = {}
    for one in run:
        usual = median(one.values()) if one else 0.0
        for key, value in one.items():
            if usual > 0 and value > 0:
                seen.setdefault(key, []).append(value / usual)
    return [median(seen[key]) for key in sorted(seen)]


def _shrunk(squares: float, count: int, guess: float, worth: int) -> float:
    """Return the root of a mean square that a guess has a part in: quiet runs do not shrink it to nothing."""
    return math.sqrt((squares + worth * guess**2) / (count + worth))


def luck(process: float, before: int, now: int, run: float = GUESSED_RUN) -> float:
    """Return the standard deviation of one configuration's ratio between two runs of so many processes each.

    `process` and `run` are those of one process's figure, and of what a whole run does to it.
    """
    return math.sqrt(process**2 * (1 / max(before, 1) + 1 / max(now, 1)) + 2 * run**2)


def at_least(ratio: Estimate, deviation: float, degrees: float) -> Estimate:
    """Return a ratio whose interval reaches as far as its own and as this standard deviation demands."""
    if ratio.low is None or ratio.high is None:
        return ratio
    reach = math.exp(_quantile(degrees) * deviation)
    return Estimate(
        point=ratio.point,
        low=min(ratio.low, ratio.point / reach),
        high=max(ratio.high, ratio.point * reach),
    )


def added(ratio: Estimate, deviation: float, degrees: float) -> Estimate:
    """Return a ratio whose interval has, beside its own reach, that of an independent error."""
    if ratio.low is None or ratio.high is None or ratio.low <= 0:
        return Estimate(point=ratio.point, low=None, high=None)
    more = _quantile(degrees) * deviation
    return Estimate(
        point=ratio.point,
        low=ratio.point * math.exp(-math.hypot(math.log(ratio.point / ratio.low), more)),
        high=ratio.point * math.exp(math.hypot(math.log(ratio.high / ratio.point), more)),
    )


def degrees(before: Rounds, now: Rounds) -> float:
    """Return the degrees of freedom of a comparison of two runs of so many rounds.

    Twice those of two samples: the intervals of ratios cover more than 95 %, which makes up for the thinner
    tails. docs/comparing.md shows what that comes to, simulated.
    """
    return float(max(2 * (len(before) + len(now) - 2), 1))


# ---------------------------------------------------------------- significance


def p_value(ratio: Estimate, degrees: float) -> float | None:
    """Return how often a ratio as far from 1 comes of a true ratio of 1, two-sided; None without an interval.

    The reach of the 95 % interval towards 1 is taken for that of Student's t with these degrees of freedom,
    on the scale of logarithms: below 0.05 exactly where the interval leaves out 1.
    """
    if ratio.low is None or ratio.high is None or ratio.low <= 0:
        return None
    distance = abs(math.log(ratio.point))
    reach = math.log(ratio.point / ratio.low) if ratio.point > 1 else math.log(ratio.high / ratio.point)
    if reach <= 0:
        return 1.0 if distance == 0 else 0.0
    return min(1.0, 2 * float(stdtr(degrees, -distance / reach * _quantile(degrees))))


def _quantile(degrees: float) -> float:
    """Return the end of Student's 95 % interval, in standard deviations."""
    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for being so many, in their own order.

    Holm, Scandinavian Journal of Statistics 6 (1979): the chance that any true null hypothesis has one below
    a level is at most that level, however the tests hang together.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [1.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = least
    return adjusted
