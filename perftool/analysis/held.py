"""Hold one configuration's figure in a run against earlier runs, as a comparison of the two would.

The rules are those of docs/comparing.md; which runs are held against which is `history`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct, structs

from perftool.analysis import drift, metrics
from perftool.analysis.compare import common_shifts
from perftool.analysis.compared import AccuracyShift, CommonShift, Shift, Verdict
from perftool.analysis.control import Control, Pair, find_control
from perftool.analysis.findings import loads, said_of_common
from perftool.analysis.matching import (
    Look,
    Matched,
    differences,
    match,
    resolved_otherwise,
    side,
    unequally_loaded,
)
from perftool.analysis.metric import Metric
from perftool.analysis.own import Turn, common_over
from perftool.analysis.result import ConfigurationResult
from perftool.analysis.scatter import Own
from perftool.analysis.shifts import Setting, figure_shift
from perftool.analysis.stats import Estimate
from perftool.analysis.top1 import evaluation_in, pair_evaluations
from perftool.analysis.verdicts import judge_accuracy, judge_shift
from perftool.spec import Configuration


class Held(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the figure of a run changed by against the earlier one named `run`.

    `ratio` is to that run, `own` that change without what the hint baselines changed by, and `p_value` is
    adjusted for all that is tested in a track; top-1 is paired by image instead, and has no `own`. `reason`
    says why there is no verdict. `common` is what all configurations of the device changed by; where that is
    surely something, `note` says so, and what may have done it.
    """

    run: str
    ratio: Estimate | None
    own: Estimate | None
    p_value: float | None
    verdict: Verdict
    reason: str | None
    common: CommonShift | None
    note: str | None


class Seen(NamedTuple):
    """A run, and what became in it of the configuration, whatever it is called there."""

    look: Look
    configuration: Configuration
    result: ConfigurationResult | None
    processes: Mapping[str, Mapping[int, int]]

    @property
    def measured(self) -> ConfigurationResult | None:
        """Return what was measured; None where the configuration failed, was skipped or was not planned."""
        return self.result if self.result is not None and self.result.status == "ok" else None

    def figure(self, row: Metric) -> Estimate | None:
        """Return the figure that is followed; None where the run has none."""
        return row.read(self.measured) if self.measured is not None else None

    def judges(self, row: Metric) -> bool:
        """Tell whether other runs can be held against this one: an interval, or a figure without visits."""
        figure = self.figure(row)
        return figure is not None and (not row.spread or figure.low is not None)


class Step(NamedTuple):
    """A change between two runs that both have the figure, before p-values are adjusted."""

    before: Seen
    now: Seen
    shift: Shift | AccuracyShift
    common: tuple[Control, Own] | None

    @property
    def is_judged(self) -> bool:
        """Tell whether there is or will be a verdict."""
        return self.shift.p_value is not None or self.shift.verdict != "not compared"


def hold_against_any(earlier: Iterable[Seen], now: Seen, row: Metric) -> Step | None:
    """Hold a run against the first of some that it can be judged against; None where there is none."""
    if not now.judges(row) and (now.measured is None or now.measured.dropped is None):
        return None
    for before in earlier:
        if before.judges(row):
            step = hold(before, now, row)
            if step is not None and step.is_judged:
                return step
    return None


def hold(before: Seen, now: Seen, row: Metric) -> Step | None:
    """Work out a change between two runs that both have the figure; None where one has none."""
    if before.measured is None or now.measured is None:
        return None
    if row is metrics.TOP1:
        was, is_now = (
            evaluation_in(one.look.run, one.configuration, one.measured.executed_precision)
            for one in (before, now)
            if one.measured is not None
        )
        if was is None or is_now is None:
            return None
        return Step(before, now, pair_evaluations(now.configuration.id, was, is_now), None)
    matched, _ = match(before.look, now.look)
    pair = Pair(before.look, now.look, before.processes, now.processes)
    control = find_control(pair, before.configuration.device, matched)
    loaded = unequally_loaded(side(before.look), side(now.look))
    common = common_over(row, [pair], [control]) if row.spread and not loaded else None
    if any(before.configuration == member.configuration for member in control.members):
        # Nothing is its own control. What that changed by is told of unequally loaded runs too.
        own_control, loaded = structs.replace(control, members=()), False
    else:
        own_control = control
    setting = Setting(loaded=loaded, rivals={one.now.id: one for one in matched})
    turn = Turn(pair, own_control, Matched(before.configuration, before.measured, now.measured))
    shift = figure_shift([turn], row, setting, member=False)
    return Step(before, now, shift, (control, common) if common and common.p_value is not None else None)


def judge_steps(steps: Sequence[Step], row: Metric) -> tuple[Held, ...]:
    """Judge changes, p-values adjusted for all of them; what all configurations changed by is a family apart.

    Both families are as in a comparison.
    """
    p_values = iter(drift.holm([one.shift.p_value for one in steps if one.shift.p_value is not None]))
    commons = iter(common_shifts([(row, *one.common) for one in steps if one.common is not None], None))
    return tuple(
        _held(
            step,
            _judged(step.shift, next(p_values)) if step.shift.p_value is not None else step.shift,
            next(commons) if step.common is not None else None,
        )
        for step in steps
    )


def _judged(shift: Shift | AccuracyShift, p_value: float) -> Shift | AccuracyShift:
    if isinstance(shift, AccuracyShift):
        return judge_accuracy(shift, p_value, None)
    return judge_shift(shift, p_value, None)


def _held(step: Step, shift: Shift | AccuracyShift, common: CommonShift | None) -> Held:
    before, now = step.before, step.now
    moved = common is not None and common.verdict in ("worse", "better")
    causes = [*changes(before, now), *loads(side(before.look), side(now.look))] if moved else []
    return Held(
        run=before.look.summary.run.id,
        ratio=_ratio(shift),
        own=shift.own if isinstance(shift, Shift) else None,
        p_value=shift.p_value,
        verdict=shift.verdict,
        reason=shift.reason,
        common=common,
        note=said_of_common(common, causes) if moved and common is not None else None,
    )


def _ratio(shift: Shift | AccuracyShift) -> Estimate | None:
    if isinstance(shift, AccuracyShift):
        share = shift.now / shift.before if shift.now and shift.before else None
        return None if share is None else Estimate(point=share, low=None, high=None)
    return shift.ratio


def changes(before: Seen, now: Seen) -> tuple[str, ...]:
    """Say in what two runs differ: versions, the model, the profile, what the configuration resolved to."""
    told = list(differences(before.look.run.header, now.look.run.header))
    was, is_now = before.look.run.header.profile, now.look.run.header.profile
    if was.name != is_now.name:
        told.append(f"profile was {was.name}, is {is_now.name}")
    elif was != structs.replace(is_now, seed=was.seed):  # Seeds are meant to differ.
        told.append("another profile")
    if before.measured is not None and now.measured is not None:
        told += resolved_otherwise(before.measured, now.measured)
    return tuple(told)
