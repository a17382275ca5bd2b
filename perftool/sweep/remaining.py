"""Say what is left to do of a run, given what its journal holds. Pure.

The order of a round is drawn here too, so that a resumed run goes on in the order it would have had.
Nothing here estimates time, and nothing runs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from perftool.analysis.searched import drops_of, twins_of, unproposed
from perftool.errors import PerftoolError
from perftool.journal import (
    ATTEMPTS,
    MEASURING,
    Entry,
    Planned,
    Record,
    Run,
    Started,
)
from perftool.record import Compiled, Evaluated, Failed, Prepared
from perftool.spec import (
    WEIGHT_FORMAT,
    Explicit,
    Precision,
    Setting,
    WeightFormat,
)
from perftool.sweep.open_rounds import open_rounds_left
from perftool.sweep.plan import resolve_threads, wants_open_load
from perftool.sweep.rounds import VisitLeft, rounds_left

_FORMATS: tuple[WeightFormat, ...] = ("fp32", "fp16", "int8")
_PRECISION_HINT = "INFERENCE_PRECISION_HINT"


class Evaluation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An accuracy still to be evaluated: a model file on a device in one precision.

    `subject` names it in a Failed record of stage "evaluate".
    """

    subject: str
    weight_format: WeightFormat
    device: str
    precision: Precision | Literal["default"]
    setting: Setting


class GivenUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration that is not visited any more, and why."""

    configuration: str
    reason: str


class Remaining(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left to do. `rounds` holds the rounds with visits left, in order, each in its random order.

    What a race dropped, and what compiled to the same as another, has none. Repeats of disturbed visits come
    at the end of their round, rounds of open load after the others.
    """

    prepare: tuple[WeightFormat, ...]
    evaluations: tuple[Evaluation, ...]
    rounds: tuple[tuple[VisitLeft, ...], ...]
    given_up: tuple[GivenUp, ...]

    @property
    def nothing(self) -> bool:
        """Tell whether the run is complete."""
        return not (self.evaluations or self.rounds)


def remaining(run: Run) -> Remaining:
    """Return what a run has still to do; ask again after a failure, and after the last visit.

    A baseline's evaluation is offered only once it has been compiled, since what it executes in is not known
    before, and only when no evaluation of that precision is recorded or offered already.
    """
    records = [entry.record for entry in run.entries]
    plan = planned(run)
    if plan is None:
        raise PerftoolError("this run's journal holds no plan yet")
    not_prepared = unprepared(records)
    given_up = tuple(_given_up(plan, records, not_prepared))
    lost = {one.configuration for one in given_up} | twins_of(records).keys()
    dropped = lost | drops_of(records).keys()
    evaluations = tuple(_evaluations(run, plan, records, not_prepared))
    waiting = unproposed(run, plan)
    searched = tuple(one for one in plan.configurations if one.id not in waiting)
    rounds = _kept(rounds_left(run, searched, records), lost, dropped)
    if not rounds and wants_open_load(run.header.profile):
        rounds = _kept(open_rounds_left(run, searched, records, dropped), lost, dropped)
    prepared = {r.weight_format for r in records if isinstance(r, Prepared)}
    needed = {evaluation.weight_format for evaluation in evaluations}
    needed |= {visit.configuration.weight_format for left in rounds for visit in left}
    return Remaining(
        prepare=tuple(one for one in _FORMATS if one in needed - prepared),
        evaluations=evaluations,
        rounds=tuple(rounds),
        given_up=given_up,
    )


def _kept(
    rounds: Iterable[tuple[VisitLeft, ...]], lost: set[str], dropped: set[str]
) -> list[tuple[VisitLeft, ...]]:
    """Leave out what is not visited any more; the others keep their places.

    A round that confirms a choice visits what it names though a race dropped it: the best in f32 is
    no rival any more, and the claim is over it all the same.
    """
    kept = (
        tuple(visit for visit in left if visit.configuration.id not in (lost if visit.confirms else dropped))
        for left in rounds
    )
    return [left for left in kept if left]


def planned(run: Run) -> Planned | None:
    """Return the run's plan, None when the run ended before it was made."""
    return next((e.record for e in reversed(run.entries) if isinstance(e.record, Planned)), None)


def left_behind(records: Iterable[Record]) -> set[str]:
    """Return what is measured no more: a race dropped it, or another configuration stands for it."""
    known = list(records)
    return {*drops_of(known), *twins_of(known)}


def next_incarnation(entries: Iterable[Entry], configuration: str) -> int:
    """Return the number of the next process for a configuration: 0, or one more than was ever compiled.

    Not the generation: after a crash or a resume a generation has a second process.
    """
    compiled = (e.record for e in entries if isinstance(e.record, Compiled))
    return max((c.incarnation + 1 for c in compiled if c.configuration == configuration), default=0)


def unprepared(records: list[Record]) -> dict[str, str]:
    """Return the weight formats whose last preparation failed, with the reason; a resumed run tries again."""
    failed: dict[str, str] = {}
    for record in records:
        if isinstance(record, Started):
            failed.clear()
        elif isinstance(record, Prepared):
            failed.pop(record.weight_format, None)
        elif isinstance(record, Failed) and record.stage == "prepare":
            failed[record.subject] = record.reason
    return failed


def _given_up(plan: Planned, records: list[Record], not_prepared: dict[str, str]) -> Iterator[GivenUp]:
    """Yield the configurations that are not tried any more."""
    failures = [r for r in records if isinstance(r, Failed) and r.stage in MEASURING]
    reasons = {failure.subject: failure.reason for failure in failures}
    counts = Counter(failure.subject for failure in failures)
    for configuration in plan.configurations:
        if configuration.weight_format in not_prepared:
            why = not_prepared[configuration.weight_format]
            reason = f"{configuration.weight_format} not prepared: {why}"
            yield GivenUp(configuration=configuration.id, reason=reason)
        elif counts[configuration.id] >= ATTEMPTS:
            reason = f"failed {counts[configuration.id]} times, last: {reasons[configuration.id]}"
            yield GivenUp(configuration=configuration.id, reason=reason)


def _evaluations(
    run: Run, plan: Planned, records: list[Record], not_prepared: dict[str, str]
) -> Iterator[Evaluation]:
    """Yield the evaluations neither recorded nor given up: per device the reference, the asked, baselines."""
    done = [record for record in records if isinstance(record, Evaluated)]
    failures = Counter(r.subject for r in records if isinstance(r, Failed) and r.stage == "evaluate")
    offered: set[str] = set()
    wanted: dict[tuple[Precision | Literal["default"], str, str | None], Setting] = {}
    for label, device, executes, setting in _wanted(run, plan, records):
        wanted.setdefault((label, device, executes), setting)
    for (label, device, executes), setting in wanted.items():
        weight_format: WeightFormat = "fp32" if label == "default" else WEIGHT_FORMAT[label]
        subject = f"{weight_format} on {device} in {executes or 'the default precision'}"
        if subject in offered or failures[subject] >= ATTEMPTS or weight_format in not_prepared:
            continue
        others = {precision for *what, precision in wanted if what == [label, device]} - {executes}
        if any(_answers(record, label, weight_format, device, executes, others) for record in done):
            continue
        offered.add(subject)
        yield Evaluation(
            subject=subject, weight_format=weight_format, device=device, precision=label, setting=setting
        )


def _wanted(
    run: Run, plan: Planned, records: list[Record]
) -> Iterator[tuple[Precision | Literal["default"], str, str | None, Setting]]:
    """Yield label, device, the precision it executes in (None: unknown) and the setting, per accuracy wanted.

    Streams are OpenVINO's choice, on all cores: batch and streams do not change an accuracy.
    """
    threads = resolve_threads(run.header.host)
    resolved = {r.configuration: r.resolved.get(_PRECISION_HINT) for r in records if isinstance(r, Compiled)}
    for device in dict.fromkeys(c.device for c in plan.configurations):
        reference = Explicit(inference_precision="f32", streams="auto", threads=threads)
        yield "FP32", device, "f32", reference
        for configuration in plan.configurations:
            if configuration.device != device:
                continue
            setting = configuration.setting
            if isinstance(setting, Explicit):
                executes = setting.inference_precision
                explicit = Explicit(inference_precision=executes, streams="auto", threads=threads)
                yield configuration.precision, device, executes, explicit
            elif configuration.id in resolved:
                yield configuration.precision, device, resolved[configuration.id], setting


def _answers(
    record: Evaluated,
    label: Precision | Literal["default"],
    weight_format: WeightFormat,
    device: str,
    executes: str | None,
    others: set[str | None],
) -> bool:
    """Tell whether a recorded evaluation is the one wanted.

    It is when file, device and executed precision agree; or when it was made under the very label, and the
    device resolved the precision to another than was asked: asking again would give the same. `others` are
    the precisions that the same label is wanted in too (an INT8 file's rest): those are not this one.
    """
    if record.device != device or record.weight_format != weight_format:
        return False
    if record.inference_precision == executes:
        return True
    return record.precision == label and record.inference_precision not in others
