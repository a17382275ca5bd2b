"""Expand a profile into the configurations that a run will measure. Pure: asks no device, reads no file.

What is left to do of a plan, given a journal, is `sweep.remaining`'s.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from perftool.bench.devices import batch_size
from perftool.errors import DeviceMissingError
from perftool.journal import LeftOut, Planned
from perftool.machine import Device, DeviceFound, DeviceMissing, HostInfo
from perftool.spec import (
    Closed,
    ClosedLoad,
    Configuration,
    EndToEnd,
    Explicit,
    Grid,
    Hint,
    InferencePrecision,
    Precision,
    Profile,
    Sync,
)

HINTS: tuple[Literal["LATENCY", "THROUGHPUT"], ...] = ("LATENCY", "THROUGHPUT")


def plan(
    profile: Profile, host: HostInfo, devices: tuple[Device, ...], *, comes_quantized: bool = False
) -> Planned:
    """Expand the profile's grids in order, then two hint baselines per device; equal configurations once.

    What a device cannot do is left out with the reason, and so are FP32 and FP16 of a model that comes
    quantized where INT8 is asked for too: they would be the same file in the same precision. Raises
    DeviceMissingError when no device of the profile is there.
    """
    asked = {precision for grid in profile.grids for precision in grid.precisions}
    known = {device.name: device for device in devices}
    names = tuple(dict.fromkeys(name for grid in profile.grids for name in grid.devices))
    answers = {name: known.get(name, _unprobed(name)) for name in names}
    found = [name for name in names if isinstance(answers[name], DeviceFound)]
    if not found:
        raise DeviceMissingError(_all_missing(answers))
    slugs = _slugs(names)
    configurations: list[Configuration] = []
    left_out: list[LeftOut] = []
    seen: set[Configuration] = set()
    for configuration, device in _expanded(profile, host, answers, slugs):
        anonymous = msgspec.structs.replace(configuration, id="")
        if anonymous in seen:
            continue
        seen.add(anonymous)
        reason = _unable(configuration, device, host)
        if comes_quantized and "INT8" in asked and configuration.precision in ("FP32", "FP16"):
            reason = reason or "the model comes quantized: this is the file that INT8 measures"
        if reason is None:
            configurations.append(configuration)
        else:
            left_out.append(LeftOut(configuration=configuration, reason=reason))
    for name in names:
        for baseline in _baselines(name, slugs[name]):
            device = answers[name]
            if isinstance(device, DeviceFound):
                configurations.append(baseline)
            else:
                left_out.append(LeftOut(configuration=baseline, reason=_missing(device)))
    return Planned(
        configurations=tuple(configurations),
        left_out=tuple(left_out),
        devices=devices,
        canary=_baselines(found[0], slugs[found[0]])[0].id,
    )


def loads(configuration: Configuration, profile: Profile) -> tuple[ClosedLoad, ...]:
    """Return the loads that a configuration is visited under in each round.

    Closed always. Sync when the profile asks for it, or has latency for its objective, unless the closed
    load has one request in flight and so is the same. A BATCH device has no sync load: a lone request there
    waits for others until AUTO_BATCH_TIMEOUT, which is a second, and that is what would be measured.
    End-to-end when the profile asks for it.
    """
    found: list[ClosedLoad] = [Closed()]
    sync = "sync" in profile.loads or profile.objective == "latency"
    if sync and configuration.requests != 1 and not is_batching(configuration.device):
        found.append(Sync())
    if "end_to_end" in profile.loads:
        found.append(EndToEnd())
    return tuple(found)


def wants_open_load(profile: Profile) -> bool:
    """Tell whether a profile's configurations are offered requests at given rates, after the rounds."""
    return "open" in profile.loads or profile.objective == "rate"


def is_batching(device: str) -> bool:
    """Tell whether a device gathers single requests into batches (`BATCH:...`)."""
    return device.partition(":")[0] == "BATCH"


def resolve_threads(host: HostInfo, streams: int | Literal["auto"] = 1) -> int:
    """Return the threads that "auto" stands for: one per physical core that this process may use.

    More only where there are more streams than that, and cores (hardware threads) to carry them: OpenVINO
    lowers streams to the number of threads without a word.
    """
    least = 1 if streams == "auto" else min(streams, host.cores_usable)
    return max(least, min(host.cores_physical, host.cores_usable), 1)


def inference_precision(precision: Precision, capabilities: tuple[str, ...]) -> InferencePrecision:
    """Return what a precision executes in, as INFERENCE_PRECISION_HINT takes it.

    What stays in float in an INT8 file runs in f32. An FP16 file runs on every device, in f16 only where
    the device lists it.
    """
    if precision == "BF16":
        return "bf16"
    return "f16" if precision == "FP16" and "FP16" in capabilities else "f32"


def _expanded(
    profile: Profile, host: HostInfo, answers: dict[str, Device], slugs: dict[str, str]
) -> Iterator[tuple[Configuration, Device]]:
    """Yield every combination of the grids' lists, those that cannot run included."""
    for grid in profile.grids:
        for name in dict.fromkeys(grid.devices):
            device = answers[name]
            capabilities = device.capabilities if isinstance(device, DeviceFound) else ()
            for precision in grid.precisions:
                resolved = inference_precision(precision, capabilities)
                for knobs in _knobs(grid, precision, resolved, device):
                    for configuration in _combined(grid, name, slugs[name], precision, knobs, host):
                        yield configuration, device


def _knobs(
    grid: Grid, precision: Precision, resolved: InferencePrecision, device: Device
) -> Iterator[tuple[Explicit, str]]:
    """Yield the settings that a grid asks for beside streams and threads, each with its part of the id.

    What is no choice on a device is not swept: of pinning the first value stands for all, and which cores do
    the work is left to OpenVINO.
    """
    choices = device.choices if isinstance(device, DeviceFound) else ()
    pinning = grid.pinning if "ENABLE_CPU_PINNING" in choices else grid.pinning[:1]
    threading = "ENABLE_HYPER_THREADING" in choices
    cores = "SCHEDULING_CORE_TYPE" in choices
    rests = grid.rest_precisions if precision == "INT8" else (resolved,)
    for rest, pinned, hyper, kind in itertools.product(
        rests,
        pinning,
        grid.hyper_threading if threading else ("auto",),
        grid.core_types if cores else ("auto",),
    ):
        parts = [
            "" if rest == resolved else f"-{rest}",
            "" if pinned else "-nopin",
            "" if hyper == "auto" else "-ht" if hyper else "-noht",
            "" if kind == "auto" else f"-{kind.partition('_')[0].lower()}",
        ]
        setting = Explicit(
            inference_precision=rest,
            streams=1,
            threads=1,
            pinning=pinned,
            hyper_threading=None if hyper == "auto" else hyper,
            core_type=None if kind == "auto" else kind,
        )
        yield setting, "".join(parts)


def _combined(
    grid: Grid, name: str, slug: str, precision: Precision, knobs: tuple[Explicit, str], host: HostInfo
) -> Iterator[Configuration]:
    """Yield one precision on one device with every batch, streams, threads and requests of its grid.

    Threads stand in the id only when the grid gives a number: then they were the user's choice; requests
    only when there is more than one per stream.
    """
    for batch, streams, threads, share in itertools.product(
        grid.batches, grid.streams, grid.threads, grid.requests
    ):
        suffix = "" if threads == "auto" else f"-t{threads}"
        suffix += "" if share == 1 else f"-r{share}x"
        yield Configuration(
            id=f"{slug}-{precision.lower()}-b{batch}-s{streams}{suffix}{knobs[1]}",
            device=name,
            precision=precision,
            batch=batch,
            setting=msgspec.structs.replace(
                knobs[0],
                streams=streams,
                threads=resolve_threads(host, streams) if threads == "auto" else threads,
            ),
            requests=_requests(name, streams, share),
        )


def _requests(device: str, streams: int | Literal["auto"], share: int) -> int | Literal["auto"]:
    """Return the requests in flight: `share` per stream, on a BATCH device as many whole device batches.

    Fewer than the device's batch would wait for AUTO_BATCH_TIMEOUT at every batch. "auto" is safe there:
    the plugin's optimal number is never below its batch (OpenVINO, auto_batch/src/compiled_model.cpp). It
    has no multiples: how many streams there will be is not known before compiling.
    """
    size = batch_size(device) if is_batching(device) else 1
    return "auto" if streams == "auto" or size is None else size * streams * share


def _unable(configuration: Configuration, device: Device, host: HostInfo) -> str | None:
    """Return why a device cannot run an explicit configuration as asked, None when it can."""
    if isinstance(device, DeviceMissing):
        return _missing(device)
    setting = configuration.setting
    assert isinstance(setting, Explicit)
    if setting.inference_precision == "bf16" and "BF16" not in device.capabilities:
        listed = ", ".join(device.capabilities) or "none"
        return f"{device.name} lists no BF16 among its capabilities ({listed})"
    if device.streams and setting.streams != "auto" and setting.streams > device.streams[1]:
        low, high = device.streams
        return f"{device.name} takes {low} to {high} streams, not {setting.streams}"
    if "CPU" in device.name and setting.streams != "auto" and setting.streams > setting.threads:
        return f"{setting.streams} streams need as many threads, and there are {setting.threads}"
    if is_batching(device.name) and configuration.batch > 1:
        return (
            f"{device.name} gathers single images, and leaves a model of batch {configuration.batch} as it is"
        )
    if "CPU" in device.name and setting.threads > host.cores_usable:
        return f"{setting.threads} threads are more than the {host.cores_usable} cores that can be used"
    return None


def _baselines(device: str, slug: str) -> tuple[Configuration, ...]:
    """Return what a user would ship without tuning: the FP32 model under each hint, nothing else set."""
    return tuple(
        Configuration(
            id=f"{slug}-baseline-{mode.lower()}",
            device=device,
            precision="default",
            batch=1,
            setting=Hint(mode=mode),
            requests="auto",
            baseline=True,
        )
        for mode in HINTS
    )


def _slugs(names: tuple[str, ...]) -> dict[str, str]:
    """Return a file-name safe, unique short name for each device: `BATCH:CPU(4)` is `batch-cpu-4`."""
    slugs: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "device"
        slug, number = stem, 1
        while slug in slugs.values():
            number += 1
            slug = f"{stem}_{number}"
        slugs[name] = slug
    return slugs


def _missing(device: DeviceMissing) -> str:
    return f"{device.name} is missing: {device.reason}" + (f"; {device.advice}" if device.advice else "")


def _unprobed(name: str) -> DeviceMissing:
    return DeviceMissing(name=name, reason="it was not probed", advice="")


def _all_missing(answers: dict[str, Device]) -> str:
    return "; ".join(_missing(device) for device in answers.values() if isinstance(device, DeviceMissing))
