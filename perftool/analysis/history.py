"""Follow one configuration's figure over many runs: what it was, and from which run to which it changed.

Runs of one model on one kind of machine make a track. A run is held against the one before it that has the
figure, by the rules of docs/comparing.md.
"""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct, structs

from perftool.analysis import drift, metrics
from perftool.analysis.compare import comparable, metrics_of, shift_of
from perftool.analysis.compared import AccuracyShift, Shift, Verdict
from perftool.analysis.control import Pair, find_control
from perftool.analysis.evidence import plan_of
from perftool.analysis.matching import (
    HARDWARE,
    Look,
    Matched,
    anonymous,
    became,
    by_kind,
    differences,
    match,
    processes_of,
    resolved_otherwise,
    side,
    unequally_loaded,
)
from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult
from perftool.analysis.stats import Estimate
from perftool.analysis.top1 import evaluation_in, pair_evaluations
from perftool.analysis.verdicts import judge_accuracy, judge_shift
from perftool.errors import InputError
from perftool.spec import Configuration


class Point(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The figure in one run; None where that run has none.

    `ratio` is to the run before it that has one, `own` that change without what the hint baselines changed
    by, and `p_value` is adjusted for the number of runs; top-1 is paired by image instead, and has none.
    `reason` says why the run has no figure (what became of the configuration in it), or why there is no
    verdict on one. `changed` says what else differs from the run before.
    """

    run: str
    created: str
    openvino: str
    figure: Estimate | None
    ratio: Estimate | None
    own: Estimate | None
    p_value: float | None
    verdict: Verdict
    reason: str | None
    changed: tuple[str, ...]
    noise_cv: float | None
    visits: int
    disturbed: int


class Track(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One configuration of one model on one kind of machine, over its runs, the oldest first."""

    model: str
    cpu: str
    cores_usable: int
    configuration: str
    precision: str
    metric: str
    label: str
    unit: str
    better: str
    points: tuple[Point, ...]


class Skipped(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that is in no track, and why: it cannot be read, or no run of its kind has the configuration."""

    run: str
    reason: str


class History(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON of `perftool history`."""

    tracks: tuple[Track, ...]
    skipped: tuple[Skipped, ...]


def follow(looks: Sequence[Look], metric: str | None = None, configuration: str | None = None) -> History:
    """Follow a configuration over runs, a track for each model and kind of machine.

    Without a `metric` it is the objective of each track's newest run, without a `configuration` (an id of any
    of its runs) that one's choice, or else its fastest. Raises InputError for names that nothing has, and for
    a metric that cannot be compared.
    """
    kinds: dict[tuple[object, ...], list[Look]] = {}
    for look in sorted(looks, key=lambda one: one.run.header.created_ns):
        header = look.run.header
        kind = (header.model.name, *(getattr(header.host, name) for name in HARDWARE))
        kinds.setdefault(kind, []).append(look)
    tracks: list[Track] = []
    skipped: list[Skipped] = []
    for runs in kinds.values():
        track = _track(runs, metric, configuration)
        if track is not None:
            tracks.append(track)
        else:
            skipped += [_skipped(look, configuration) for look in runs]
    if configuration is not None and not tracks:
        raise InputError(_unknown(configuration, looks))
    return History(tracks=tuple(tracks), skipped=tuple(skipped))


def _skipped(look: Look, configuration: str | None) -> Skipped:
    """Say why nothing is followed over the runs of a look's kind."""
    lacks = "measured anything" if configuration is None else f"has a configuration {configuration}"
    header = look.run.header
    return Skipped(
        run=look.summary.run.id, reason=f"no run of {header.model.name} on {header.host.cpu} {lacks}"
    )


def _track(runs: Sequence[Look], metric: str | None, configuration: str | None) -> Track | None:
    """Follow one configuration; None where no run has it."""
    newest = runs[-1].run.header
    row = comparable(metric) if metric else metrics_of(newest.profile, ())[0]
    wanted = _chosen(runs) if configuration is None else _called(runs, configuration)
    if wanted is None:
        return None
    points = _points(runs, row, wanted)
    return Track(
        model=newest.model.name,
        cpu=newest.host.cpu,
        cores_usable=newest.host.cores_usable,
        configuration=wanted.id,
        precision=wanted.precision,
        metric=row.name,
        label=row.label,
        unit=row.unit,
        better=row.better,
        points=points,
    )


def _chosen(runs: Sequence[Look]) -> Configuration | None:
    """Return the choice of the newest run, or what was fastest in the newest that measured anything."""
    for look in reversed(runs):
        planned = {one.id: one for one in plan_of(look.run).configurations}
        if look.choice in planned:
            return planned[look.choice]
        speeds = {
            one.id: value
            for one in (*look.summary.configurations, *look.summary.baselines)
            if (value := metrics.THROUGHPUT.value(one)) is not None and one.id in planned
        }
        if speeds:
            return planned[max(speeds, key=lambda id: speeds[id])]
    return None


def _called(runs: Sequence[Look], id: str) -> Configuration | None:
    """Return the configuration of this name in the newest run that has one."""
    for look in reversed(runs):
        for one in plan_of(look.run).configurations:
            if one.id == id:
                return one
    return None


def _unknown(configuration: str, looks: Sequence[Look]) -> str:
    names = sorted({one.id for look in looks for one in plan_of(look.run).configurations})
    close = difflib.get_close_matches(configuration, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names) or 'none'}"
    return f"{configuration}: no run has such a configuration; {hint}"


# ---------------------------------------------------------------- from run to run


class _Seen(NamedTuple):
    """A run, and what became in it of the configuration, whatever it is called there."""

    look: Look
    configuration: Configuration
    result: ConfigurationResult | None

    @property
    def measured(self) -> ConfigurationResult | None:
        """Return what was measured; None where the configuration failed, was skipped or was not planned."""
        return self.result if self.result is not None and self.result.status == "ok" else None


def _points(runs: Sequence[Look], row: Metric, wanted: Configuration) -> tuple[Point, ...]:
    """Return the figure of every run, held against the one before it that has one."""
    kind = anonymous(wanted)
    seen = [_Seen(look, *by_kind(look).get(kind, (wanted, None))) for look in runs]
    steps: list[Shift | AccuracyShift | None] = []
    last: _Seen | None = None
    for one in seen:
        has = one.measured is not None and row.read(one.measured) is not None
        steps.append(_step(last, one, row) if last is not None and has else None)
        last = one if has else last
    p_values = iter(drift.holm([one.p_value for one in steps if one is not None and one.p_value is not None]))
    return tuple(
        _point(
            one,
            row,
            step if step is None or step.p_value is None else _judged(step, next(p_values)),
            _changed(seen[number - 1], one) if number else (),
        )
        for number, (one, step) in enumerate(zip(seen, steps, strict=True))
    )


def _step(before: _Seen, now: _Seen, row: Metric) -> Shift | AccuracyShift | None:
    """Work out a change between two runs that both have the figure, as a comparison of the two would."""
    if before.measured is None or now.measured is None:
        return None
    if row is metrics.TOP1:
        was, is_now = (
            evaluation_in(one.look.run, one.configuration, one.measured.executed_precision)
            for one in (before, now)
            if one.measured is not None
        )
        return pair_evaluations(now.configuration.id, was, is_now) if was and is_now else None
    matched, _ = match(before.look, now.look)
    pair = Pair(before.look, now.look, processes_of(before.look.run), processes_of(now.look.run))
    control = find_control(pair, before.configuration.device, matched)
    loaded = unequally_loaded(side(before.look), side(now.look))
    if any(before.configuration == member.configuration for member in control.members):
        # Nothing is its own control. What that changed by is told of unequally loaded runs too.
        control, loaded = structs.replace(control, members=()), False
    one = Matched(before.configuration, before.measured, now.measured)
    return shift_of(pair, control, one, row, judged=True, member=False, loaded=loaded)


def _judged(step: Shift | AccuracyShift, p_value: float) -> Shift | AccuracyShift:
    if isinstance(step, AccuracyShift):
        return judge_accuracy(step, p_value, None)
    return judge_shift(step, p_value, None)


def _changed(before: _Seen, now: _Seen) -> tuple[str, ...]:
    """Say what differs from the run before: versions, the model, what the configuration resolved to."""
    told = list(differences(before.look.run.header, now.look.run.header))
    was, is_now = before.look.run.header.profile, now.look.run.header.profile
    if was.name != is_now.name:
        told.append(f"profile was {was.name}, is {is_now.name}")
    elif was != structs.replace(is_now, seed=was.seed):  # Seeds are meant to differ.
        told.append("another profile")
    if before.measured is not None and now.measured is not None:
        told += resolved_otherwise(before.measured, now.measured)
    return tuple(told)


def _point(seen: _Seen, row: Metric, step: Shift | AccuracyShift | None, changed: tuple[str, ...]) -> Point:
    run, result = seen.look.summary.run, seen.measured
    figure = row.read(result) if result is not None else None
    return Point(
        run=run.id,
        created=run.created,
        openvino=seen.look.summary.host.openvino,
        figure=figure,
        ratio=_ratio(step),
        own=step.own if isinstance(step, Shift) else None,
        p_value=step.p_value if step is not None else None,
        verdict=step.verdict if step is not None else "not compared",
        reason=_why_none(seen, row) if figure is None else step.reason if step is not None else None,
        changed=changed,
        noise_cv=run.noise_cv,
        visits=result.visits if result is not None else 0,
        disturbed=result.disturbed if result is not None else 0,
    )


def _ratio(step: Shift | AccuracyShift | None) -> Estimate | None:
    if isinstance(step, AccuracyShift):
        share = step.now / step.before if step.now and step.before else None
        return None if share is None else Estimate(point=share, low=None, high=None)
    return step.ratio if step is not None else None


def _why_none(seen: _Seen, row: Metric) -> str:
    """Say why a run has no figure."""
    if seen.measured is None:
        return became(seen.result)
    return metrics.why_missing(row, seen.measured, seen.look.run.header.profile.limits)
