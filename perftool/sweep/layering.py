"""Time the layers of a configuration in a child of its own, and say which ones a sweep has still to time.

A sweep does so once it has chosen, for what it recommends and for the best in f32 beside it. What the times
amount to is `analysis.layers`'s.
"""

from pathlib import Path

from msgspec import structs

from perftool.analysis import metrics
from perftool.analysis.choose import choose
from perftool.analysis.leader import best_in_f32
from perftool.analysis.summary import summarize
from perftool.bench.devices import uncounted
from perftool.bench.isolate import Watch, ask_once, expect
from perftool.job import Beside, TimeLayers
from perftool.journal import ATTEMPTS, Finished, Run, Started
from perftool.record import Failed, LayersCompared, LayersTimed
from perftool.spec import Configuration, Images
from perftool.sweep.remaining import planned

#: A sweep times the layers of its choice and of the best in f32.
_TIMED_TOGETHER = 2


def time_layers(
    configuration: Configuration,
    model_path: Path,
    inputs: Images,
    seconds: float,
    log: Path,
    stall_seconds: float,
    watch: Watch,
) -> LayersTimed | Failed:
    """Time a configuration's layers for about `seconds` with counters and as long without, in a child.

    `stall_seconds` bounds its silence, beside what it is asked to time: it tells how far it is between
    bursts, and a burst may last a good part of that. The caller holds the device.
    """
    job = TimeLayers(configuration=configuration, model_path=str(model_path), inputs=inputs, seconds=seconds)
    answer = ask_once(job, log, stall_seconds + seconds, watch)
    return answer if isinstance(answer, Failed) else expect(answer, LayersTimed)


def time_layers_in_turns(
    first: Beside,
    second: Beside,
    inputs: Images,
    seconds: float,
    log: Path,
    stall_seconds: float,
    watch: Watch,
) -> LayersCompared | Failed:
    """Time the layers of two configurations in turns, in one child, as `time_layers` does of one."""
    job = TimeLayers(
        configuration=first.configuration,
        model_path=first.model_path,
        inputs=inputs,
        seconds=seconds,
        beside=second,
    )
    answer = ask_once(job, log, stall_seconds + seconds, watch)
    return answer if isinstance(answer, Failed) else expect(answer, LayersCompared)


def layers_due(run: Run) -> tuple[Configuration, ...]:
    """Return the configurations whose layers are to be timed, now that the run has chosen.

    None is timed twice. One that failed is tried again only by a resumed run, and is given up then; a virtual
    device has no counters. Where nothing was chosen there is nothing to look into.
    """
    profile, plan = run.header.profile, planned(run)
    if not profile.policy.layer_seconds or plan is None:
        return ()
    summary = summarize(run)
    chosen = choose(summary, profile.objective, profile.limits).id
    if chosen is None:
        return ()
    configurations = {one.id: one for one in plan.configurations}
    device = configurations[chosen].device
    beside = structs.replace(
        summary, configurations=tuple(one for one in summary.configurations if one.device == device)
    )
    f32 = best_in_f32(beside, metrics.objective_metric(profile.objective, profile.limits))
    wanted = dict.fromkeys([chosen, *([f32.id] if f32 else [])])
    settled = _settled(run)
    return tuple(
        configurations[id]
        for id in wanted
        if id not in settled and uncounted(configurations[id].device) is None
    )


def _settled(run: Run) -> set[str]:
    """Return what was timed, or is not tried any more."""
    done: set[str] = set()
    failed: set[str] = set()
    failures: list[str] = []
    for entry in run.entries:
        match entry.record:
            case Started():
                failed.clear()
            case LayersTimed() as timed:
                done.add(timed.configuration.id)
            case Failed(stage="layers") as lost:
                failed.add(lost.subject)
                failures.append(lost.subject)
    given_up = {subject for subject in failures if failures.count(subject) >= ATTEMPTS}
    return done | failed | given_up


def layers_to_come(run: Run) -> int:
    """Return how many configurations are likely still to have their layers timed: two at the most."""
    if not run.header.profile.policy.layer_seconds:
        return 0
    records = [entry.record for entry in run.entries]
    if any(isinstance(record, Finished) for record in records):
        return 0
    return max(0, _TIMED_TOGETHER - len(_settled(run)))
