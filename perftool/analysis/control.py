"""Find what moves with a device's machine between two runs: the control of each device.

That are the hint baselines, of which the canary is one: the model's FP32 file with nothing but a hint set, in
every round of every run. What they change by, the machine did, or what all configurations share. They stand
for the others only as long as they are what they were: a baseline that resolved to something else, or that
moved otherwise than most configurations did, is no control. Nothing is judged here.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from msgspec import Struct

from perftool.analysis import drift, scatter
from perftool.analysis.compared import Kind
from perftool.analysis.drift import Figures, Rounds
from perftool.analysis.matching import Look, Matched, anonymous, resolved_otherwise
from perftool.analysis.metric import Metric
from perftool.analysis.metrics import THROUGHPUT
from perftool.analysis.scatter import Left
from perftool.analysis.stats import Estimate
from perftool.spec import Configuration

#: A baseline that differs as surely as this from what it stands for is no control.
_APART = 0.05
#: So many configurations tell what most of them did.
MOST = 3


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
    """What moves with a device's machine: baselines (`members`), or without any `most` configurations.

    `apart` are baselines that are no control, with the reason; they are judged like any configuration.
    `process` and `machine` are standard deviations, on the scale of logarithms (see `drift`). `known` and
    `ratios` remember its series and its change in each metric.
    """

    device: str
    members: tuple[Matched, ...]
    most: tuple[Matched, ...]
    apart: tuple[tuple[Matched, str], ...]
    process: float
    machine: float
    known: dict[tuple[Kind, str], tuple[dict[int, float], dict[int, float]]] = {}
    ratios: dict[tuple[Kind, str], Estimate | None] = {}

    @property
    def kind(self) -> Kind:
        """Return what the control is made of."""
        return "baselines" if self.members else "most" if self.most else "none"

    @property
    def share(self) -> float:
        """Return the variance of the control's own luck, as a share of one configuration's."""
        if self.members:
            return 1 / len(self.members)
        return drift.median_share(len(self.most)) if self.most else 0.0

    def series(self, pair: Pair, metric: Metric) -> tuple[dict[int, float], dict[int, float]]:
        """Return the control's figure by round, in the baseline run and in the run.

        Of most configurations it is in units of their own. Worked out once, however many are held against it.
        """
        key = (self.kind, metric.name)
        if key not in self.known:
            self.known[key] = self._series(pair, metric)
        return self.known[key]

    def _series(self, pair: Pair, metric: Metric) -> tuple[dict[int, float], dict[int, float]]:
        found = [pair.figures(metric, one) for one in self.members or self.most]
        runs = [before.values for before, _ in found], [now.values for _, now in found]
        if self.members:
            return drift.control_series(runs[0]), drift.control_series(runs[1])
        return drift.usual_series(*runs)


def find_control(pair: Pair, device: str, matched: Sequence[Matched]) -> Control:
    """Find what moves with a device's machine, and how far figures move by luck alone."""
    return find_controls([pair], device, [matched])[0]


def find_controls(
    pairs: Sequence[Pair], device: str, matched: Sequence[Sequence[Matched]]
) -> tuple[Control, ...]:
    """Find the control of a device for several pairs of runs: of the same configurations in each."""
    measured = _measured(pairs, device, matched)
    as_before = {
        kind: ones
        for kind, ones in measured.items()
        if not any(resolved_otherwise(one.before, one.now) for one in ones)
    }
    baselines = [kind for kind in measured if kind.baseline]
    others = tuple(kind for kind in as_before if not kind.baseline)
    apart = {
        kind: "; ".join(dict.fromkeys(note for one in measured[kind] for note in _notes(one)))
        for kind in baselines
        if kind not in as_before
    }
    trusted = tuple(kind for kind in baselines if kind in as_before)
    scales = tuple(
        _process_scale(
            pair, [measured[kind][turn] for kind in trusted], [ones[turn] for ones in measured.values()]
        )
        for turn, pair in enumerate(pairs)
    )
    apart |= {
        kind: "moved otherwise than most configurations did"
        for kind in _moved_apart(pairs, measured, trusted, others, scales)
    }
    members = tuple(kind for kind in trusted if kind not in apart)
    most = others if not members and len(others) >= MOST else ()
    return tuple(
        Control(
            device=device,
            members=tuple(measured[kind][turn] for kind in members),
            most=tuple(measured[kind][turn] for kind in most),
            apart=tuple((measured[kind][turn], reason) for kind, reason in apart.items()),
            process=scales[turn],
            machine=_machine_scale(pair, [ones[turn] for ones in measured.values()]),
        )
        for turn, pair in enumerate(pairs)
    )


def _notes(one: Matched) -> tuple[str, ...]:
    return resolved_otherwise(one.before, one.now)


_Measured = Mapping[Configuration, Sequence[Matched]]


def _measured(
    pairs: Sequence[Pair], device: str, matched: Sequence[Sequence[Matched]]
) -> dict[Configuration, list[Matched]]:
    """Return what every pair of runs has figures of on a device, by what it is."""
    found: dict[Configuration, list[Matched]] = {}
    for pair, ones in zip(pairs, matched, strict=True):
        for one in ones:
            if one.configuration.device == device and all(
                figures.values for figures in pair.figures(THROUGHPUT, one)
            ):
                found.setdefault(anonymous(one.configuration), []).append(one)
    return {kind: ones for kind, ones in found.items() if len(ones) == len(pairs)}


def _machine_scale(pair: Pair, measured: Sequence[Matched]) -> float:
    runs = zip(*(pair.figures(THROUGHPUT, one) for one in measured), strict=True)
    return drift.machine_scale([[found.values for found in run] for run in runs])


def _process_scale(pair: Pair, members: Sequence[Matched], measured: Sequence[Matched]) -> float:
    """Pool how far processes of one configuration differ over all configurations of both runs."""
    found = [pair.figures(THROUGHPUT, one) for one in members]
    controls = tuple(drift.control_series([run[side].values for run in found]) for side in (0, 1))
    others = [one for one in measured if one not in members] or measured
    runs: tuple[list[Figures], list[Figures]] = ([], [])
    for one in others:
        for run, figures, control_values in zip(runs, pair.figures(THROUGHPUT, one), controls, strict=True):
            paired = len(others) < len(measured)
            values = drift.over(figures.values, control_values) if paired else figures.values
            run.append(Figures(values, figures.processes))
    return drift.process_scale(runs)


# ---------------------------------------------------------------- baselines that are no control


def _moved_apart(
    pairs: Sequence[Pair],
    measured: _Measured,
    trusted: Sequence[Configuration],
    others: Sequence[Configuration],
    scales: Sequence[float],
) -> list[Configuration]:
    """Return the baselines that surely moved otherwise than what they stand for.

    With too few configurations to tell what most did, two baselines are held against each other, and the one
    that moved as the median of all stays.
    """
    if len(others) >= MOST:
        return [kind for kind in trusted if _is_apart(pairs, measured, kind, others, scales)]
    if len(trusted) != 2 or not _is_apart(pairs, measured, trusted[0], trusted[1:], scales):
        return []
    if not others:
        return list(trusted)
    changes = {kind: _change(ones) for kind, ones in measured.items()}
    usual = median(changes.values())
    return [max(trusted, key=lambda kind: abs(changes[kind] - usual))]


def _is_apart(
    pairs: Sequence[Pair],
    measured: _Measured,
    kind: Configuration,
    against: Sequence[Configuration],
    scales: Sequence[float],
) -> bool:
    """Tell whether a baseline's throughput surely changed otherwise than most of some configurations'.

    Where those changed by far from the same, their median says the less.
    """
    lefts = []
    for turn, (pair, scale) in enumerate(zip(pairs, scales, strict=True)):
        was, is_now = pair.figures(THROUGHPUT, measured[kind][turn])
        found = [pair.figures(THROUGHPUT, measured[other][turn]) for other in against]
        usual = drift.usual_series([one.values for one, _ in found], [one.values for _, one in found])
        change = drift.relative_change(was.values, is_now.values, usual)
        if change is None:
            return False
        luck = drift.luck(scale, was.incarnations, is_now.incarnations)
        share = math.sqrt(drift.median_share(len(against)))
        unlike = drift.spread([_change([measured[other][turn]]) for other in against])
        degrees = drift.degrees(was.values, is_now.values)
        lefts.append(Left(change, luck, max(luck, unlike) * share, degrees))
    found_p = scatter.together(lefts).p_value
    return found_p is not None and found_p <= _APART


def _change(ones: Sequence[Matched]) -> float:
    """Return the logarithm of the change of a configuration's throughput, its mean over pairs of runs."""
    logs = []
    for one in ones:
        before, now = THROUGHPUT.value(one.before), THROUGHPUT.value(one.now)
        logs.append(math.log(now / before) if before and now else 0.0)
    return sum(logs) / len(logs)
