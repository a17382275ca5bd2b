"""Hold runs against others: which figures changed, which of them for the worse, and how surely.

The rules are those of docs/comparing.md. Measures nothing and formats nothing but sentences.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import structs

from perftool.analysis import coverage, drift, metrics
from perftool.analysis.compared import (
    AccuracyShift,
    CommonShift,
    Comparison,
    ConfigurationShift,
    Lost,
    OnlyIn,
    Side,
)
from perftool.analysis.control import Control, Pair, find_controls
from perftool.analysis.findings import notes_on, regressions_of
from perftool.analysis.matching import (
    Look,
    Matched,
    anonymous,
    differences,
    incomparable,
    match,
    processes_of,
    side,
    side_of,
    unequally_loaded,
)
from perftool.analysis.metric import Metric
from perftool.analysis.own import Turn, common_over, scatter_of
from perftool.analysis.scatter import Own
from perftool.analysis.shifts import Setting, configuration_shift
from perftool.analysis.shifts import shift_of as shift_of
from perftool.analysis.top1 import accuracy_shifts
from perftool.analysis.verdicts import is_beyond, judge, settle
from perftool.errors import InputError
from perftool.spec import Configuration, Profile


def metrics_of(profile: Profile, names: Sequence[str]) -> tuple[Metric, ...]:
    """Return the metrics that are compared: those named, or the objective's and a few that always count.

    Raises InputError for a name that no metric has, and for a metric that no ratio makes sense of.
    """
    if names:
        return tuple(comparable(name) for name in dict.fromkeys(names))
    found = [
        metrics.objective_metric(profile.objective, profile.limits),
        *(metrics.THROUGHPUT, metrics.LATENCY[50], metrics.LATENCY[95], metrics.MEMORY, metrics.TOP1),
    ]
    return tuple({one.name: one for one in found}.values())


def optional_of(profile: Profile, names: Sequence[str]) -> tuple[str, ...]:
    """Return which metrics are compared though neither the user nor a limit of the profile named them."""
    limits = profile.limits
    limited = {one.metric for one in limits.bounds}
    if limits.latency_ms is not None and limits.percentile == 95:
        limited.add(metrics.LATENCY[95].name)
    return tuple({metrics.LATENCY[95].name} - limited) if not names else ()


def comparable(name: str) -> Metric:
    """Return a metric by its name; raise InputError where none has it, or no ratio makes sense of it."""
    found = metrics.named(name)
    if not found.positive:
        raise InputError(f"{found.name}: has no ratio; compare top1, which is paired by image")
    return found


def compare(
    before: Look,
    now: Look,
    rows: Sequence[Metric],
    *,
    threshold: float | None = None,
    profile_differences: Sequence[str] = (),
    optional: Collection[str] = (),
) -> Comparison:
    """Hold a run against the baseline run `before`, as `compare_sides` does with several."""
    return compare_sides(
        (before,),
        (now,),
        rows,
        threshold=threshold,
        profile_differences=profile_differences,
        optional=optional,
    )


def compare_sides(
    before: Sequence[Look],
    now: Sequence[Look],
    rows: Sequence[Metric],
    *,
    threshold: float | None = None,
    profile_differences: Sequence[str] = (),
    optional: Collection[str] = (),
) -> Comparison:
    """Hold runs against as many baseline runs, made in turns, in some metrics.

    `threshold` is the share by which a figure must be worse to be a regression; None: nothing is one. What is
    `optional` nobody named: it is left out where nothing of it can be judged, and missed by nobody.
    """
    refusals = _refusals(before, now)
    held = _hold(before, now, judged=not refusals)
    speeds = [row for row in rows if row.name != metrics.TOP1.name]
    shifts = tuple(configuration_shift(each, speeds, held.setting) for each in held.turns.values())
    accuracies: tuple[AccuracyShift, ...] = ()
    if len(speeds) < len(rows):
        accuracies = accuracy_shifts([one.run for one in before], [one.run for one in now])
    if refusals:
        accuracies = tuple(structs.replace(one, verdict="not compared") for one in accuracies)
    else:
        shifts, accuracies = settle(shifts, accuracies, threshold)
    bare = {name for name in optional if held.is_judged and not any(_judges(each, name) for each in shifts)}
    sides = side_of(before), side_of(now)
    asked = [row for row in speeds if row.name not in optional]
    lost = () if refusals else _lost(sides, held, shifts, accuracies, asked, threshold)
    found = Comparison(
        baseline=sides[0],
        run=sides[1],
        incomparable=refusals,
        differences=(*_differences(before, now), *profile_differences),
        metrics=tuple(row.name for row in rows if row.name not in bare),
        common=_common(held.pairs, held.controls, speeds, threshold) if held.is_judged else (),
        configurations=tuple(_without(each, bare) for each in shifts),
        accuracy=accuracies,
        only=held.only,
        lost=lost,
        notes=(),
        regressions=(),
    )
    notes = (*notes_on(found, [each[0] for each in held.controls.values()]), *_left_out(bare))
    return structs.replace(found, notes=notes, regressions=regressions_of(found, threshold))


class _Held(NamedTuple):
    """Runs held against each other, before anything is judged."""

    pairs: Sequence[Pair]
    only: tuple[OnlyIn, ...]
    controls: Mapping[str, Sequence[Control]]
    turns: Mapping[Configuration, Sequence[Turn]]
    setting: Setting

    @property
    def is_judged(self) -> bool:
        """Tell whether figures of visits are judged at all."""
        return self.setting.judged and not self.setting.loaded


def _hold(before: Sequence[Look], now: Sequence[Look], *, judged: bool) -> _Held:
    """Match the configurations of every pair of runs, and find what is the control of each device."""
    pairs = [
        Pair(was, is_now, processes_of(was.run), processes_of(is_now.run))
        for was, is_now in zip(before, now, strict=True)
    ]
    matched, only = _matched(pairs)
    devices = dict.fromkeys(one.configuration.device for ones in matched for one in ones)
    controls = {device: find_controls(pairs, device, matched) for device in devices}
    turns = _turns(pairs, matched, controls)
    setting = Setting(
        judged=judged,
        loaded=any(unequally_loaded(side(pair.before), side(pair.now)) for pair in pairs),
        scattered=scatter_of(turns.values()),
        rivals={one.now.id: one for ones in matched for one in ones},
    )
    return _Held(pairs, only, controls, turns, setting)


def _without(each: ConfigurationShift, metrics: Collection[str]) -> ConfigurationShift:
    return structs.replace(each, shifts=tuple(one for one in each.shifts if one.metric not in metrics))


def _judges(each: ConfigurationShift, metric: str) -> bool:
    return any(one.metric == metric and one.verdict != "not compared" for one in each.shifts)


def _left_out(bare: Iterable[str]) -> list[str]:
    """Say of what nobody named that none of it can be judged."""
    return [
        f"{name} is left out: no configuration's samples bound it in both runs; more rounds do, and --metric "
        f"{name} shows it all the same"
        for name in bare
    ]


def _refusals(before: Sequence[Look], now: Sequence[Look]) -> tuple[str, ...]:
    """Say why figures of these runs cannot be held against each other; those of one side cannot either."""
    first = before[0].run.header
    told = [text for look in (*now, *before[1:]) for text in incomparable(first, look.run.header)]
    return tuple(dict.fromkeys(told))


def _differences(before: Sequence[Look], now: Sequence[Look]) -> tuple[str, ...]:
    """Say in what the sides differ that may be compared, and in what runs of one side do."""
    told = list(differences(before[0].run.header, now[0].run.header))
    for looks in (before, now):
        for look in looks[1:]:
            told += [
                f"on one side, {looks[0].summary.run.id} and {look.summary.run.id}: {text}"
                for text in differences(looks[0].run.header, look.run.header)
            ]
    return tuple(dict.fromkeys(told))


def _matched(pairs: Sequence[Pair]) -> tuple[list[tuple[Matched, ...]], tuple[OnlyIn, ...]]:
    """Pair what the baseline runs measured with what the runs did; list what one side alone measured."""
    matched: list[tuple[Matched, ...]] = []
    only: dict[tuple[str, str], OnlyIn] = {}
    for pair in pairs:
        both, alone = match(pair.before, pair.now)
        matched.append(both)
        for one in alone:
            only.setdefault((one.run, one.id), one)
    return matched, tuple(only.values())


def _turns(
    pairs: Sequence[Pair],
    matched: Sequence[Sequence[Matched]],
    controls: Mapping[str, Sequence[Control]],
) -> dict[Configuration, list[Turn]]:
    """Return what each configuration was in every pair of runs that has it."""
    turns: dict[Configuration, list[Turn]] = {}
    for number, (pair, ones) in enumerate(zip(pairs, matched, strict=True)):
        for one in ones:
            control = controls[one.configuration.device][number]
            turns.setdefault(anonymous(one.configuration), []).append(Turn(pair, control, one))
    return turns


def _lost(
    sides: tuple[Side, Side],
    held: _Held,
    shifts: Sequence[ConfigurationShift],
    accuracies: Sequence[AccuracyShift],
    rows: Sequence[Metric],
    threshold: float | None,
) -> tuple[Lost, ...]:
    """Return all that the baseline side could judge and the other cannot."""
    told = [coverage.lost_to_load(*sides)] if held.setting.loaded else []
    told += coverage.lost_configurations(held.only)
    for each, ones in zip(shifts, held.turns.values(), strict=True):
        if each.failed is None:
            told += coverage.lost_figures(each, ones, rows, threshold)
    measured = {(str(kind.weight_format), kind.device) for kind in held.turns}
    return (*told, *coverage.lost_accuracies(accuracies, measured))


def _common(
    pairs: Sequence[Pair],
    controls: Mapping[str, Sequence[Control]],
    rows: Sequence[Metric],
    threshold: float | None,
) -> tuple[CommonShift, ...]:
    """Judge what the control of each device changed by; a family of tests of its own."""
    found = [
        (row, ones[0], change)
        for ones in controls.values()
        for row in rows
        if row.spread and (change := common_over(row, pairs, ones)) and change.p_value is not None
    ]
    return common_shifts(found, threshold)


def common_shifts(
    found: Sequence[tuple[Metric, Control, Own]], threshold: float | None
) -> tuple[CommonShift, ...]:
    """Judge what controls changed by, all of it one family of tests, in its own order."""
    p_values = drift.holm([1.0 if change.p_value is None else change.p_value for *_, change in found])
    told = []
    for (row, control, (ratio, _)), p_value in zip(found, p_values, strict=True):
        verdict = judge(row.better, ratio, ratio, p_value, threshold)
        told.append(
            CommonShift(
                device=control.device,
                metric=row.name,
                better=row.better,
                kind=control.kind,
                control=tuple(one.before.id for one in control.members or control.most),
                ratio=ratio,
                drift=control.machine,
                p_value=p_value,
                verdict=verdict,
                regression=verdict == "worse" and is_beyond(row.better, (ratio.point,), threshold),
            )
        )
    return tuple(told)
