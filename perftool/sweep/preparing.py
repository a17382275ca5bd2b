"""The steps before measuring, which every command takes that measures: devices, model files, accuracies.

Each asks a child and returns its answer; nothing here writes a journal, nor decides what is to be done.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from perftool.bench import host
from perftool.bench.isolate import Watch, ask_once, expect, refuse
from perftool.cache import cache_folder, evaluations_folder
from perftool.job import Evaluate, Prepare, Probe, Quantization
from perftool.journal import FORMAT, Entry, Header, Planned, Run
from perftool.machine import Device, DeviceMissing
from perftool.model.identity import identity
from perftool.record import Answer, Evaluated, Failed, Prepared, Probed, Progress
from perftool.spec import ImageFiles, Images, Profile, ReferenceModel, SyntheticImages, WeightFormat
from perftool.sweep.plan import plan
from perftool.sweep.remaining import Evaluation

#: How many distinct images a configuration's requests are pointed at in turn.
INPUTS = 8


class Status(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sweep is doing, for a display. `part` is how far the one job is, where it tells."""

    stage: Literal["probe", "peaks", "prepare", "rank", "evaluate", "measure", "confirm", "layers"]
    subject: str
    part: tuple[int, int] | None = None


class Watcher(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who looks on: `status` about once a second and at every change, `appended` for every new entry."""

    status: Callable[[Status], None]
    appended: Callable[[Entry], None]
    opened: Callable[[Path, Run], None]


def new_header(profile: Profile) -> Header:
    """Identify what a run is about to measure, and where; raise InputError where the model is not there."""
    return Header(
        format=FORMAT,
        created_ns=time.time_ns(),
        profile=profile,
        model=identity(profile.model),
        host=host.identity(),
    )


def probe(names: tuple[str, ...], watcher: Watcher) -> tuple[Device, ...]:
    """Ask every device what it supports, each in a child of its own: a driver may crash or hang."""
    found: list[Device] = []
    for name in names:
        watcher.status(Status(stage="probe", subject=name))
        found.append(_probe_one(name))
    return tuple(found)


def probe_all(kinds: tuple[str, ...]) -> tuple[Device, ...]:
    """Probe the hardware devices that answer, and of each kind that has none, what it is missing."""
    answer = _ask_probe(())
    found = answer.devices if isinstance(answer, Probed) else ()
    here = {device.name.partition(".")[0] for device in found}
    return (*found, *(_probe_one(kind) for kind in kinds if kind not in here))


def _probe_one(name: str) -> Device:
    """Probe one device; a driver that crashes makes it a missing one."""
    answer = _ask_probe((name,))
    if isinstance(answer, Failed):
        return DeviceMissing(
            name=name, reason=f"its driver failed: {answer.reason}", advice="update or reinstall the driver"
        )
    return expect(answer, Probed).devices[0]


def _ask_probe(names: tuple[str, ...]) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        return ask_once(Probe(devices=names), Path(folder) / "probe.log", 60.0)


def plan_prepared(
    header: Header, devices: tuple[Device, ...], calibration: Images, watcher: Watcher
) -> tuple[Planned, Prepared]:
    """Make the FP32 file, the first that every run needs, and the plan that depends on what it is.

    Raises what went wrong in preparing, and DeviceMissingError where no device is there.
    """
    plan(header.profile, header.host, devices)  # Refuses before anything is made.
    prepared = prepare(header.profile, "fp32", calibration, watcher)
    if isinstance(prepared, Failed):
        raise refuse(prepared)
    quantized = bool(prepared.comes_quantized)
    return plan(header.profile, header.host, devices, comes_quantized=quantized), prepared


def prepare(
    profile: Profile, weight_format: WeightFormat, calibration: Images, watcher: Watcher
) -> Prepared | Failed:
    """Make one model file of a profile, or find it in the cache. Its path is relative to the cache."""
    subject = weight_format.upper()
    watcher.status(Status(stage="prepare", subject=subject))

    def watch(progress: Progress | None) -> None:
        if progress:
            part = (progress.done, progress.total)
            watcher.status(Status(stage="prepare", subject=f"{subject}: {progress.stage}", part=part))

    job = Prepare(
        model=profile.model,
        weight_format=weight_format,
        quantization=Quantization(calibration=calibration),
        cache=str(cache_folder()),
    )
    with tempfile.TemporaryDirectory() as folder:
        answer = ask_once(job, Path(folder) / "prepare.log", profile.policy.prepare_timeout_seconds, watch)
    if isinstance(answer, Failed):
        return answer
    prepared = expect(answer, Prepared)
    relative = Path(prepared.path).relative_to(cache_folder()).as_posix()
    return msgspec.structs.replace(prepared, path=relative)


def model_path(prepared: Prepared) -> Path:
    """Return where a prepared model lies; a journal holds paths relative to the cache."""
    return cache_folder() / prepared.path


def evaluate(
    profile: Profile, evaluation: Evaluation, prepared: Prepared, images: Images, log: Path, watch: Watch
) -> Evaluated | Failed:
    """Classify a profile's evaluation images, `images`, with a prepared model."""
    job = Evaluate(
        model_path=str(model_path(prepared)),
        weight_format=evaluation.weight_format,
        device=evaluation.device,
        precision=evaluation.precision,
        setting=evaluation.setting,
        images=images,
        labelled=isinstance(images, ImageFiles) or isinstance(profile.model, ReferenceModel),
        cache=str(evaluations_folder()),
    )
    answer = ask_once(job, log, profile.policy.compile_timeout_seconds, watch)
    if isinstance(answer, Failed):
        return msgspec.structs.replace(answer, subject=evaluation.subject)
    return expect(answer, Evaluated)


def first(images: Images, count: int) -> Images:
    """Return the first images of a set."""
    if isinstance(images, SyntheticImages):
        chosen = images.chosen[:count]
        return msgspec.structs.replace(images, count=min(count, len(images.indices)), chosen=chosen)
    return msgspec.structs.replace(images, files=images.files[:count], labels=images.labels[:count])
