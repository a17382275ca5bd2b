"""Hold one run against another: which figures changed, which of them for the worse, and how surely.

The rules are those of docs/comparing.md. Measures nothing and formats nothing but sentences.
"""

from collections.abc import Iterable, Sequence

from msgspec import structs

from perftool.analysis import drift, metrics
from perftool.analysis.compared import (
    CommonShift,
    Comparison,
    ConfigurationShift,
    Shift,
    Verdict,
)
from perftool.analysis.control import Control, Own, Pair, common_change, find_control, own_change, ratio_of
from perftool.analysis.findings import TOO_FEW, notes_on, regressions_of
from perftool.analysis.matching import (
    Look,
    Matched,
    differences,
    incomparable,
    match,
    processes_of,
    resolved_otherwise,
    side,
    unequally_loaded,
)
from perftool.analysis.metric import Metric
from perftool.analysis.metrics import why_missing
from perftool.analysis.stats import MIN_VISITS, Estimate
from perftool.analysis.top1 import accuracy_shifts
from perftool.analysis.verdicts import is_beyond, judge, judge_seen_once, settle
from perftool.errors import InputError
from perftool.spec import Profile


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
) -> Comparison:
    """Hold a run against the baseline run `before` in some metrics.

    `threshold` is the share by which a figure must be worse to be a regression; None: nothing is one.
    """
    refusals = incomparable(before.run.header, now.run.header)
    matched, only = match(before, now)
    pair = Pair(before, now, processes_of(before.run), processes_of(now.run))
    devices = dict.fromkeys(one.configuration.device for one in matched)
    controls = {device: find_control(pair, device, matched) for device in devices}
    speeds = [row for row in rows if row.name != metrics.TOP1.name]
    loaded = unequally_loaded(side(before), side(now))
    shifts = tuple(
        _configuration(
            pair, controls[one.configuration.device], one, speeds, judged=not refusals, loaded=loaded
        )
        for one in matched
    )
    accuracies = accuracy_shifts(before.run, now.run) if len(speeds) < len(rows) else ()
    if refusals:
        accuracies = tuple(structs.replace(one, verdict="not compared") for one in accuracies)
    else:
        shifts, accuracies = settle(shifts, accuracies, threshold)
    found = Comparison(
        baseline=side(before),
        run=side(now),
        incomparable=refusals,
        differences=(*differences(before.run.header, now.run.header), *profile_differences),
        metrics=tuple(row.name for row in rows),
        common=() if refusals else _common(pair, controls.values(), speeds, threshold),
        configurations=shifts,
        accuracy=accuracies,
        only=only,
        notes=(),
        regressions=(),
    )
    notes = notes_on(found, tuple(controls.values()))
    return structs.replace(found, notes=notes, regressions=regressions_of(found))


def _common(
    pair: Pair, controls: Iterable[Control], rows: Sequence[Metric], threshold: float | None
) -> tuple[CommonShift, ...]:
    """Judge what the control of each device changed by; a family of tests of its own."""
    found = [
        (row, control, change.ratio, change.p_value)
        for control in controls
        for row in rows
        if row.spread and (change := common_change(pair, control, row)) and change.p_value is not None
    ]
    p_values = drift.holm([p_value for *_, p_value in found if p_value is not None])
    told = []
    for (row, control, ratio, _), p_value in zip(found, p_values, strict=True):
        verdict = judge(row.better, ratio, ratio, p_value, threshold)
        told.append(
            CommonShift(
                device=control.device,
                metric=row.name,
                better=row.better,
                control=tuple(one.before.id for one in control.members),
                ratio=ratio,
                drift=control.machine,
                p_value=p_value,
                verdict=verdict,
                regression=verdict == "worse" and is_beyond(row.better, (ratio.point,), threshold),
            )
        )
    return tuple(told)


def _configuration(
    pair: Pair, control: Control, one: Matched, rows: Sequence[Metric], *, judged: bool, loaded: bool
) -> ConfigurationShift:
    """Work out what one configuration changed by; verdicts wait for the p-values of all."""
    failed = one.now.status == "failed"
    member = one in control.members
    return ConfigurationShift(
        id=one.before.id,
        now_id=one.now.id,
        device=one.before.device,
        precision=one.before.precision,
        batch=one.before.batch,
        baseline=one.configuration.baseline,
        control=member,
        failed=(one.now.reason or "no reason given") if failed else None,
        regression=False,
        shifts=()
        if failed
        else tuple(
            shift_of(pair, control, one, row, judged=judged, member=member, loaded=loaded) for row in rows
        ),
        notes=() if failed else resolved_otherwise(one.before, one.now),
    )


def shift_of(
    pair: Pair,
    control: Control,
    one: Matched,
    row: Metric,
    *,
    judged: bool,
    member: bool,
    loaded: bool,
) -> Shift:
    """Work out the change of one figure; its p-value is not adjusted yet.

    What a `member` of the control changed by in visits is the machine's, and judged with the common change.
    Of runs of which one was `loaded` by other work nothing but that is judged.
    """
    ratio = ratio_of(row, one)
    own = own_change(pair, control, row, one) if judged and row.spread and not member and not loaded else None
    verdict: Verdict = "not compared"
    if judged and ratio is not None and not row.spread and row.allowance is not None:
        verdict = judge_seen_once(row.better, ratio.point, row.allowance)
    tested = own.ratio if own else None
    return Shift(
        metric=row.name,
        unit=row.unit,
        better=row.better,
        before=row.read(one.before),
        now=row.read(one.now),
        ratio=ratio,
        own=ratio if verdict != "not compared" else tested,
        p_value=own.p_value if own else None,
        verdict=verdict,
        regression=False,
        reason=None
        if not judged or verdict != "not compared"
        else _why_not(pair, one, row, ratio, own, member=member, loaded=loaded),
    )


def _why_not(
    pair: Pair,
    one: Matched,
    row: Metric,
    ratio: Estimate | None,
    own: Own | None,
    *,
    member: bool,
    loaded: bool,
) -> str | None:
    """Say why a figure has no verdict; None where it will have one."""
    if own is not None and own.p_value is not None:
        return None
    if ratio is None:
        limits = pair.before.run.header.profile.limits
        lacks, where = (one.now, "in the run")
        if row.value(one.before) is None:
            lacks, where = (one.before, "in the baseline run")
        return f"{why_missing(row, lacks, limits)} {where}"
    if not row.spread:
        return "seen once in each run: nothing tells how far it varies"
    if member:
        return "the control: judged with what all changed by"
    if loaded:
        return (
            "one of the runs alone was made beside other work, which slows configurations by unequal shares"
        )
    visits = min(one.before.visits, one.now.visits)
    if visits < MIN_VISITS:
        return f"{TOO_FEW}{visits} of the {MIN_VISITS} that an interval takes"
    return "no interval: the visits do not carry one"
