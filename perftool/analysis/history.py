"""Follow one configuration's figure over many runs: what it was, and from which run to which it changed.

Runs of one model on one kind of machine make a track. A run is held against the one before it that has the
figure, by the rules of docs/comparing.md.
"""

import difflib
from collections.abc import Sequence

from msgspec import Struct, structs

from perftool.analysis import drift, metrics
from perftool.analysis.compare import metrics_of
from perftool.analysis.compared import Verdict
from perftool.analysis.control import Pair, find_control, own_change, ratio_of
from perftool.analysis.evidence import plan_of
from perftool.analysis.matching import (
    HARDWARE,
    Look,
    anonymous,
    differences,
    match,
    processes_of,
    resolved_otherwise,
)
from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult
from perftool.analysis.stats import Estimate
from perftool.analysis.verdicts import judge, judge_seen_once
from perftool.errors import InputError
from perftool.spec import Configuration


class Point(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The figure in one run; None where that run has none.

    `ratio` is to the run before it that has one, `own` that change without what the hint baselines changed
    by, and `p_value` is adjusted for the number of runs. `changed` says what else differs from the run
    before.
    """

    run: str
    created: str
    openvino: str
    figure: Estimate | None
    ratio: Estimate | None
    own: Estimate | None
    p_value: float | None
    verdict: Verdict
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
    """A folder whose run cannot be read, or that says nothing of the configuration, and why."""

    run: str
    reason: str


class History(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON of `perftool history`."""

    tracks: tuple[Track, ...]
    skipped: tuple[Skipped, ...]


def follow(
    looks: Sequence[Look], metric: str | None = None, configuration: str | None = None
) -> tuple[Track, ...]:
    """Follow a configuration over runs, a track for each model and kind of machine.

    Without a `metric` it is the objective of each track's newest run, without a `configuration` (an id of any
    of its runs) that one's choice, or else its fastest. Raises InputError for names that nothing has.
    """
    tracks: dict[tuple[object, ...], list[Look]] = {}
    for look in sorted(looks, key=lambda one: one.run.header.created_ns):
        header = look.run.header
        kind = (header.model.name, *(getattr(header.host, name) for name in HARDWARE))
        tracks.setdefault(kind, []).append(look)
    found = [track for runs in tracks.values() if (track := _track(runs, metric, configuration)) is not None]
    if configuration is not None and not found:
        raise InputError(_unknown(configuration, looks))
    return tuple(found)


def _track(runs: Sequence[Look], metric: str | None, configuration: str | None) -> Track | None:
    """Follow one configuration; None where no run has it."""
    newest = runs[-1].run.header
    row = metrics.named(metric) if metric else metrics_of(newest.profile, ())[0]
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


class _Step(Struct, frozen=True, kw_only=True):
    """What changed from one run to the next: not judged yet."""

    ratio: Estimate | None
    own: Estimate | None
    p_value: float | None


def _points(runs: Sequence[Look], row: Metric, wanted: Configuration) -> tuple[Point, ...]:
    """Return the figure of every run, held against the one before it that has one."""
    steps: list[_Step] = []
    changed: list[tuple[str, ...]] = []
    last: Look | None = None
    for number, look in enumerate(runs):
        result = _result_of(look, wanted)
        has = result is not None and row.read(result) is not None
        steps.append(_step(last, look, row, wanted) if last is not None and has else _NO_STEP)
        before = runs[number - 1] if number else None
        changed.append(_changed(before, look, wanted))
        last = look if has else last
    tested = drift.holm([one.p_value for one in steps if one.p_value is not None])
    p_values = iter(tested)
    return tuple(
        _point(look, row, wanted, step, None if step.p_value is None else next(p_values), told)
        for look, step, told in zip(runs, steps, changed, strict=True)
    )


_NO_STEP = _Step(ratio=None, own=None, p_value=None)


def _step(before: Look, now: Look, row: Metric, wanted: Configuration) -> _Step:
    """Work out a change between two runs that both have the figure."""
    matched, _ = match(before, now)
    one = next((one for one in matched if anonymous(one.configuration) == anonymous(wanted)), None)
    ratio = ratio_of(row, one) if one is not None else None
    if one is None or ratio is None or not row.spread:
        return _Step(ratio=ratio, own=None, p_value=None)
    pair = Pair(before, now, processes_of(before.run), processes_of(now.run))
    control = find_control(pair, one.configuration.device, matched)
    if any(one.configuration == member.configuration for member in control.members):
        control = structs.replace(control, members=())  # Nothing is its own control.
    own = own_change(pair, control, row, one)
    return _Step(ratio=ratio, own=own.ratio if own else None, p_value=own.p_value if own else None)


def _changed(before: Look | None, now: Look, wanted: Configuration) -> tuple[str, ...]:
    """Say what differs from the run before: versions, the model, what the configuration resolved to."""
    if before is None:
        return ()
    told = list(differences(before.run.header, now.run.header))
    was, is_now = before.run.header.profile, now.run.header.profile
    if was.name != is_now.name:
        told.append(f"profile was {was.name}, is {is_now.name}")
    elif was != structs.replace(is_now, seed=was.seed):  # Seeds are meant to differ.
        told.append("another profile")
    mine, its = _result_of(before, wanted), _result_of(now, wanted)
    if mine is not None and its is not None:
        told += resolved_otherwise(mine, its)
    return tuple(told)


def _point(
    look: Look,
    row: Metric,
    wanted: Configuration,
    step: _Step,
    p_value: float | None,
    changed: tuple[str, ...],
) -> Point:
    run, result = look.summary.run, _result_of(look, wanted)
    verdict: Verdict = "not compared"
    if step.ratio is not None and step.own is not None and p_value is not None:
        verdict = judge(row.better, step.ratio, step.own, p_value, None)
    elif step.ratio is not None and row.allowance is not None:
        verdict = judge_seen_once(row.better, step.ratio.point, row.allowance)
    return Point(
        run=run.id,
        created=run.created,
        openvino=look.summary.host.openvino,
        figure=row.read(result) if result is not None else None,
        ratio=step.ratio,
        own=step.own,
        p_value=p_value,
        verdict=verdict,
        changed=changed,
        noise_cv=run.noise_cv,
        visits=result.visits if result is not None else 0,
        disturbed=result.disturbed if result is not None else 0,
    )


def _result_of(look: Look, wanted: Configuration) -> ConfigurationResult | None:
    """Return what a run measured of a configuration, whatever it is called there."""
    kind = anonymous(wanted)
    ids = {one.id for one in plan_of(look.run).configurations if anonymous(one) == kind}
    results = (*look.summary.configurations, *look.summary.baselines)
    return next((one for one in results if one.id in ids and one.status == "ok"), None)
