"""The only loop: probe, plan, prepare, evaluate, measure; every answer goes into the journal at once.

A child that is lost is a record, and the loop goes on. What is left to do, and in which order, is
`remaining`'s; statistics are nobody's here.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from perftool.bench import host
from perftool.bench.doctor import survey
from perftool.bench.isolate import refuse
from perftool.errors import InterruptedRunError, PerftoolError, ResumeRefusedError
from perftool.images.dataset import images_for
from perftool.job import Compile
from perftool.journal import Allowed, Finished, Record, Run, Started
from perftool.machine import DeviceFound
from perftool.model.entries import verified
from perftool.model.identity import identity
from perftool.record import (
    Answer,
    Compiled,
    Evaluated,
    Failed,
    LayersTimed,
    Offered,
    Prepared,
    Progress,
    Visited,
)
from perftool.spec import (
    Configuration,
    Images,
    Profile,
    WeightFormat,
)
from perftool.sweep.children import WarmChildren
from perftool.sweep.focus import next_focus
from perftool.sweep.layering import layers_due, time_layers
from perftool.sweep.locks import hold
from perftool.sweep.open_rounds import window_seconds
from perftool.sweep.peaks import peaks_left, peaks_of
from perftool.sweep.preparing import (
    INPUTS,
    Status,
    Watcher,
    evaluate,
    first,
    model_path,
    new_header,
    plan_prepared,
    prepare,
    probe,
)
from perftool.sweep.remaining import Evaluation, Remaining, next_incarnation, planned, remaining
from perftool.sweep.rounds import VisitLeft, visit_job
from perftool.sweep.searching import (
    check_measurable,
    check_searchable,
    decide,
    next_proposal,
    proposals_due,
    race_due,
    race_seconds,
    readmitted,
    twin,
)
from perftool.sweep.store import Journal, check_free, check_same, create, read, read_profile, resume


def sweep(profile: Profile, folder: Path, watcher: Watcher) -> Run:
    """Do a whole sweep into a new folder.

    Raises InputError for a model, data set or weights that cannot be used, before the folder is made, and
    UsageError for a search that takes what is not installed, and for an objective that this machine has no
    counters for;
    DeviceMissingError when none of the profile's devices is there; ResumeRefusedError when the folder holds
    a run or the devices are being measured on; InterruptedRunError on Ctrl-C, leaving a run that resumes.
    """
    check_searchable(profile)
    check_free(folder)
    check_measurable(profile)
    header = new_header(profile)
    images = images_for(profile)
    devices = probe(tuple(dict.fromkeys(name for grid in profile.grids for name in grid.devices)), watcher)
    with hold(tuple(device.name for device in devices if isinstance(device, DeviceFound))):
        made, first = plan_prepared(header, devices, images[0], watcher)
        with Sweep(folder, create(folder, header), Run(header=header, entries=()), images, watcher) as run:
            run.append(made)
            run.append(first)
            return run.complete()


def resume_sweep(folder: Path, watcher: Watcher, allowed: Allowed | None = None) -> Run:
    """Do what is left of a run; `allowed` is effort beyond what it was given before.

    Raises ResumeRefusedError when the profile in its folder, the model's content or the host are not those
    that it was started with, saying what differs.
    """
    before = read(folder)
    header = before.header
    if (made := planned(before)) is not None and not made.canary:
        raise ResumeRefusedError(f"{folder} holds a run of perftool load, which cannot be resumed")
    check_same(header, read_profile(folder), identity(header.profile.model), host.identity())
    images = images_for(header.profile)
    if proposals_due(before):
        check_searchable(header.profile)
    journal, run = resume(folder)
    with Sweep(folder, journal, run, images, watcher) as again:
        made = planned(run)
        if made is None:
            names = tuple(dict.fromkeys(name for grid in header.profile.grids for name in grid.devices))
            made, first = plan_prepared(header, probe(names, watcher), images[0], watcher)
            again.append(made)
            again.append(first)
        with hold(tuple(dict.fromkeys(c.device for c in made.configurations))):
            if allowed is not None:
                again.append(allowed)
            return again.complete()


class Sweep:
    """A run in progress. A context manager: it leaves no child behind, and its journal closed."""

    def __init__(
        self, folder: Path, journal: Journal, run: Run, images: tuple[Images, Images], watcher: Watcher
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._header = run.header
        self._entries = list(run.entries)
        self._watcher = watcher
        self._profile = run.header.profile
        self._calibration, self._images = images
        self._status = Status(stage="prepare", subject="")
        budget = int(host.memory_free() * self._profile.policy.memory_share)
        self._children = WarmChildren(folder / "logs", budget, self._look)
        watcher.opened(folder, run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._children.close()
        self._journal.close()

    @property
    def run(self) -> Run:
        """Return the run as far as it is."""
        return Run(header=self._header, entries=tuple(self._entries))

    def append(self, record: Record) -> None:
        """Write a record into the journal."""
        entry = self._journal.append(record)
        self._entries.append(entry)
        self._watcher.appended(entry)

    def complete(self) -> Run:
        """Do everything that is left, and return the run."""
        try:
            self.append(Started(pid=os.getpid()))
            self.append(survey())
            self._restore()
            while True:
                left = remaining(self.run)
                if (proposed := next_proposal(self.run, left.rounds)) is not None:
                    self.append(proposed)
                    continue
                if (after := race_due(self.run, left.rounds)) is not None:
                    self.append(decide(self.run, after))
                    continue
                if left.nothing:
                    if (again := readmitted(self.run)) is not None:
                        self.append(again)
                        continue
                    focus = next_focus(self.run)
                    if focus is None:
                        break
                    self.append(focus)
                    continue
                self._prepare_all(left)
                for evaluation in remaining(self.run).evaluations:
                    self._evaluate(evaluation)
                self._measure_peaks()
                self._measure(remaining(self.run))
            for configuration in layers_due(self.run):
                self._time_layers(configuration)
            self.append(Finished())
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"stopped; what was measured is kept: perftool sweep --resume {self._folder}"
            ) from None
        return self.run

    def _measure_peaks(self) -> None:
        """Measure what the run's devices can do at most; one that cannot be measured costs nothing else."""
        for device in peaks_left(self.run):
            self._set_status(Status(stage="peaks", subject=device.name))
            log, seconds = self._log(f"peaks-{device.name}"), self._profile.policy.peak_seconds
            self.append(peaks_of(device, seconds, log, self._look))

    # -------------------------------------------------------- model files and their accuracy

    def _restore(self) -> None:
        """Make again what the run had made before and the cache has lost or damaged since."""
        for weight_format in self._prepared():
            if verified(self._model_path(weight_format).parent) is None:
                self.append(prepare(self._profile, weight_format, self._calibration, self._watcher))

    def _prepare_all(self, left: Remaining) -> None:
        missing = [one for one in self._prepared() if not self._model_path(one).exists()]
        for weight_format in (*left.prepare, *missing):
            self.append(prepare(self._profile, weight_format, self._calibration, self._watcher))

    def _prepared(self) -> dict[WeightFormat, Prepared]:
        records = (entry.record for entry in self._entries)
        return {record.weight_format: record for record in records if isinstance(record, Prepared)}

    def _model_path(self, weight_format: WeightFormat) -> Path:
        return model_path(self._prepared()[weight_format])

    def _evaluate(self, evaluation: Evaluation) -> None:
        self._set_status(Status(stage="evaluate", subject=evaluation.subject))
        prepared = self._prepared()[evaluation.weight_format]
        log = self._log(f"evaluate-{evaluation.weight_format}")
        evaluated = evaluate(self._profile, evaluation, prepared, self._images, log, self._look)
        self.append(evaluated)
        if isinstance(evaluated, Failed) and evaluated.kind == "bad_input":
            raise refuse(evaluated)  # A wrong label or a damaged image: nothing measured would be decided.

    def _log(self, name: str) -> Path:
        logs = self._folder / "logs"
        logs.mkdir(exist_ok=True)
        return logs / f"{name}.log"

    # -------------------------------------------------------- visits

    def _measure(self, left: Remaining) -> None:
        """Make the visits of one round: what is left after it, repeats say, is another question then."""
        for visit in left.rounds[0] if left.rounds else ():
            if not self._visit(visit):
                return

    def _visit(self, visit: VisitLeft) -> bool:
        """Make one visit, compiling first where no warm child is; tell whether it was made."""
        configuration, policy = visit.configuration, self._profile.policy
        stage: Literal["measure", "confirm"] = "confirm" if visit.confirms else "measure"
        self._set_status(Status(stage=stage, subject=configuration.id))
        child = self._children.warm(configuration.id, visit.generation)
        if child is None:
            child = self._children.spawn(configuration.id, visit.generation)
            job = Compile(
                configuration=configuration,
                model_path=str(self._model_path(configuration.weight_format)),
                inputs=first(self._images, INPUTS),
                incarnation=next_incarnation(self._entries, configuration.id),
            )
            compiled = child.ask(job, policy.compile_timeout_seconds)
            self.append(recordable(compiled))
            if not isinstance(compiled, Compiled):
                self._children.drop(configuration.id)
                return False
            if same := twin(self.run, configuration, compiled):
                self.append(same)
                self._children.drop(configuration.id)
                return False  # Nor are its other loads visited: what is left is asked again.
            self._children.make_room()
        # A server that falls behind gives up when it is a whole schedule late.
        seconds = policy.visit_timeout_seconds + 3 * window_seconds(visit)
        answer = child.ask(visit_job(visit, policy, race_seconds(self.run, visit)), seconds)
        self.append(recordable(answer))
        if isinstance(answer, Failed):
            self._children.drop(configuration.id)
            return False
        return True

    # -------------------------------------------------------- where the time goes

    def _time_layers(self, configuration: Configuration) -> None:
        """Time the layers of a configuration; a failure is a record, and costs nothing else."""
        self._children.close()  # Nothing is visited any more, and what is compiled holds memory.
        self._set_status(Status(stage="layers", subject=configuration.id))
        if not self._model_path(configuration.weight_format).exists():
            self._prepare_all(remaining(self.run))
        policy = self._profile.policy
        timed = time_layers(
            configuration,
            self._model_path(configuration.weight_format),
            first(self._images, INPUTS),
            policy.layer_seconds,
            self._log(f"layers-{configuration.id}"),
            policy.compile_timeout_seconds + policy.visit_timeout_seconds,
            self._look,
        )
        self.append(recordable(timed))

    # -------------------------------------------------------- display

    def _set_status(self, status: Status) -> None:
        self._status = status
        self._watcher.status(status)

    def _look(self, progress: Progress | None) -> None:
        part = (progress.done, progress.total) if progress else self._status.part
        self._set_status(msgspec.structs.replace(self._status, part=part))


def recordable(answer: Answer) -> Record:
    """Return an answer that belongs into a journal."""
    if isinstance(answer, Prepared | Compiled | Visited | Offered | Evaluated | LayersTimed | Failed):
        return answer
    raise PerftoolError(f"a child answered with {type(answer).__name__.lower()}, which no sweep asks for")
