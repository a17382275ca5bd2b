"""Time the layers of one configuration, or of the same one in two precisions, for `perftool profile`.

No journal: what is found answers one command's one question.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from perftool.analysis.layer_report import LayerSamples
from perftool.bench.devices import uncounted
from perftool.bench.isolate import refuse
from perftool.errors import InputError, PerftoolError, UsageError
from perftool.images.dataset import images_for
from perftool.job import Beside
from perftool.journal import Header, Planned, Run
from perftool.machine import Device, DeviceFound
from perftool.record import Failed, LayersCompared, LayersTimed, PeaksMeasured, Prepared, Progress
from perftool.spec import Configuration, Images, ModelFile, Profile
from perftool.sweep.layering import time_layers, time_layers_in_turns
from perftool.sweep.locks import hold
from perftool.sweep.peaks import peaks_of
from perftool.sweep.plan import plan
from perftool.sweep.preparing import (
    INPUTS,
    Status,
    Watcher,
    first,
    model_path,
    new_header,
    plan_prepared,
    prepare,
    probe,
)
from perftool.sweep.remaining import planned


def profile_layers(profile: Profile, requests: int | None, seconds: float, watcher: Watcher) -> LayerSamples:
    """Time the layers of a profile's one configuration, in each of its precisions.

    `requests` are in flight where given, `seconds` is how long each is timed with counters, and as long
    without. Raises UsageError for what the device cannot run or count, what `sweep.run.sweep` raises for bad
    input, missing and busy devices, and PerftoolError for a job that failed.
    """
    for device in profile.grids[0].devices:
        if reason := uncounted(device):
            raise UsageError(f"--device: {reason}")
    header = new_header(profile)
    calibration, images = images_for(profile)
    devices = probe(profile.grids[0].devices, watcher)
    _wanted(profile, plan(profile, header.host, devices), requests)  # Refuses before anything is made.
    made, _ = plan_prepared(header, devices, calibration, watcher)
    wanted = _wanted(profile, made, requests)
    return _sampled(header, wanted, devices, calibration, images, seconds, watcher)


def profile_planned(run: Run, id: str, seconds: float, watcher: Watcher) -> LayerSamples:
    """Time the layers of one configuration of a run's plan, as `profile_layers` does, with the run's model.

    Raises UsageError where the run has none of that id, or its device has no counters, and InputError where
    the model is not what it was.
    """
    made = planned(run)
    known = {one.id: one for one in made.configurations} if made else {}
    if id not in known:
        raise UsageError(f"--config: the run has no {id!r}; it has {', '.join(known) or 'none'}")
    if reason := uncounted(known[id].device):
        raise UsageError(f"--config {id}: {reason}")
    profile = run.header.profile
    header = new_header(profile)
    if header.model.digest != run.header.model.digest:
        raise InputError(f"{header.model.name}: is not the model any more that the run measured")
    calibration, images = images_for(profile)
    devices = probe((known[id].device,), watcher)
    return _sampled(header, [known[id]], devices, calibration, images, seconds, watcher)


def _sampled(
    header: Header,
    wanted: Sequence[Configuration],
    devices: tuple[Device, ...],
    calibration: Images,
    images: Images,
    seconds: float,
    watcher: Watcher,
) -> LayerSamples:
    """Prepare the files of one configuration or two, time their layers and then the devices' peaks."""
    profile = header.profile
    with hold(tuple(dict.fromkeys(one.device for one in wanted))):
        prepared = [_prepared(profile, one, calibration, watcher) for one in wanted]
        subjects = [
            Beside(configuration=one, model_path=str(model_path(file)))
            for one, file in zip(wanted, prepared, strict=True)
        ]
        timed = _timed(profile, subjects, first(images, INPUTS), seconds, watcher)
        peaks = _peaks(profile, devices, watcher)  # Takes a while: what cannot be timed was refused before.
        return LayerSamples(
            header=header,
            timed=timed,
            peaks=tuple(one for one in peaks if isinstance(one, PeaksMeasured)),
            lost=tuple(one for one in peaks if isinstance(one, Failed)),
        )


def _peaks(profile: Profile, devices: tuple[Device, ...], watcher: Watcher) -> list[PeaksMeasured | Failed]:
    """Return what the devices can do at most; without it a profile only lacks the percent of the limit."""
    found = []
    for device in devices:
        if isinstance(device, DeviceFound) and profile.policy.peak_seconds:
            watcher.status(Status(stage="peaks", subject=device.name))
            with tempfile.TemporaryDirectory() as folder:
                log = Path(folder) / "peaks.log"
                found.append(peaks_of(device, profile.policy.peak_seconds, log, disturbed_do=True))
    return found


def _wanted(profile: Profile, made: Planned, requests: int | None) -> list[Configuration]:
    """Return the one configuration of each precision; raise UsageError where it was left out of the plan."""
    wanted = []
    for precision in profile.grids[0].precisions:
        found = [one for one in made.configurations if one.precision == precision and not one.baseline]
        if not found:
            reasons = [one.reason for one in made.left_out if one.configuration.precision == precision]
            raise UsageError(f"{precision}: {reasons[0]}")
        wanted.append(_in_flight(found[0], requests))
    return wanted


def _in_flight(configuration: Configuration, requests: int | None) -> Configuration:
    if requests is None or requests == configuration.requests:
        return configuration
    return msgspec.structs.replace(configuration, id=f"{configuration.id}-r{requests}", requests=requests)


def _prepared(
    profile: Profile, configuration: Configuration, calibration: Images, watcher: Watcher
) -> Prepared:
    found = prepare(profile, configuration.weight_format, calibration, watcher)
    if isinstance(found, Failed):
        raise refuse(found)
    return found


def _timed(
    profile: Profile, subjects: Sequence[Beside], inputs: Images, seconds: float, watcher: Watcher
) -> tuple[LayersTimed, ...]:
    """Time one configuration, or two in turns."""
    subject = " and ".join(one.configuration.id for one in subjects)
    watcher.status(Status(stage="layers", subject=subject))

    def watch(progress: Progress | None) -> None:
        if progress:
            watcher.status(Status(stage="layers", subject=subject, part=(progress.done, progress.total)))

    stall_seconds = profile.policy.compile_timeout_seconds + profile.policy.visit_timeout_seconds
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "layers.log"
        answer: LayersTimed | LayersCompared | Failed
        match subjects:
            case [one]:
                path = Path(one.model_path)
                answer = time_layers(one.configuration, path, inputs, seconds, log, stall_seconds, watch)
            case [one, other]:
                answer = time_layers_in_turns(one, other, inputs, seconds, log, stall_seconds, watch)
            case _:
                raise ValueError("layers are timed of one configuration, or of two in turns")
    match answer:
        case Failed():
            raise refusal(answer, profile, subjects[0].configuration.batch)
        case LayersTimed():
            return (answer,)
        case LayersCompared():
            return (answer.first, answer.second)


def refusal(found: Failed, profile: Profile, batch: int) -> PerftoolError:
    """Return what a failure ends the command with; bad input is named as the user does, not the cache."""
    if found.kind != "bad_input" or not isinstance(profile.model, ModelFile):
        return refuse(found)
    advice = "; --batch 1 leaves it as it is" if batch > 1 else ""
    return InputError(f"{profile.model.path}: {found.reason}{advice}")
