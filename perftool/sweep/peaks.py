"""What a device can do at most: from the cache where it was measured before, or else from a child.

Kept by what the peaks depend on: the machine, the device, the runtime, the way they are measured. Shared by
sweeps and by other commands; whoever asks holds the device. Which devices of a run are still to be measured
is said here too.
"""

import hashlib
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from perftool.analysis.evidence import disturbed
from perftool.analysis.roofline import roofline
from perftool.bench import host
from perftool.bench.devices import VIRTUAL
from perftool.bench.isolate import Watch, ask_once, expect, quiet
from perftool.cache import peaks_folder
from perftool.job import MeasurePeaks
from perftool.journal import ATTEMPTS, Run, Started
from perftool.machine import DeviceFound, HostInfo
from perftool.record import Failed, PeaksMeasured
from perftool.replacing import replaced
from perftool.sweep.remaining import planned

#: The way in which `bench.peaks` measures: another number, and what is in the cache is not used any more.
METHOD = 3
#: How long peaks are believed, in seconds. The identity of a machine does not tell what has become of its
#: cooling, nor on which hardware a virtual one runs today.
KEPT_SECONDS = 7 * 86_400.0
#: How long those that something disturbed serve who asks for no better, in seconds.
DISTURBED_SECONDS = 3_600.0
#: How long the child may be silent beyond the seconds that it is given, in which it compiles and warms up.
_STALL_SECONDS = 180.0


class Fingerprint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that peaks depend on, as far as anybody tells. The version of the runtime is part of the host."""

    method: int
    host: HostInfo
    device: str
    full_name: str
    seconds: float

    @property
    def key(self) -> str:
        """Return the SHA-256 that the peaks are found under."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


def peaks_of(
    device: DeviceFound, seconds: float, log: Path, watch: Watch = quiet, *, disturbed_do: bool = False
) -> PeaksMeasured | Failed:
    """Return what a device can do at most, measured for about `seconds` unless it is in the cache.

    `log` takes the child's output. Peaks that something disturbed are kept for an hour, for callers to whom
    `disturbed_do`; others measure again, and what they find replaces them. Peaks that make no roofline are a
    failure. A child that crashes gets a second one: a runtime has been seen to crash in the first inferences
    of two streams, by chance (docs/roofline.md).
    """
    path = path_of(device, seconds)
    kept = _kept(path, device.name)
    if kept is not None and (disturbed_do or not disturbed(kept)):
        return kept
    stall_seconds = _STALL_SECONDS + seconds  # A child is silent for as long as a round of bursts lasts.
    job = MeasurePeaks(device=device.name, seconds=seconds)
    answer = ask_once(job, log, stall_seconds, watch)
    if isinstance(answer, Failed) and answer.kind == "crash":
        answer = ask_once(job, log, stall_seconds, watch)
    if isinstance(answer, Failed):
        return answer
    found = usable(expect(answer, PeaksMeasured))
    if isinstance(found, PeaksMeasured):
        keep(path, found)
    return found


def usable(measured: PeaksMeasured) -> PeaksMeasured | Failed:
    """Return peaks as they are, or as a failure where they make no roofline."""
    try:
        roofline(measured)
    except ValueError as error:
        return Failed(subject=measured.device, stage="peaks", kind="error", reason=str(error))
    return measured


def path_of(device: DeviceFound, seconds: float) -> Path:
    """Return where the peaks of a device of this machine are kept."""
    fingerprint = Fingerprint(
        method=METHOD, host=host.identity(), device=device.name, full_name=device.full_name, seconds=seconds
    )
    return peaks_folder() / f"{fingerprint.key}.json"


def keep(path: Path, measured: PeaksMeasured) -> None:
    """Write peaks into the cache; where that cannot be written, the next who asks measures again."""
    with suppress(OSError), replaced(path) as (fresh,):
        fresh.write_bytes(msgspec.json.encode(measured))


def _kept(path: Path, device: str) -> PeaksMeasured | None:
    """Read peaks from the cache; None where there are none, they are old or their file is damaged."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=PeaksMeasured)
        roofline(found)
    except (
        OSError,
        ValueError,
    ):  # msgspec's errors are ValueErrors, and so is one of what makes no roofline.
        return None
    most = DISTURBED_SECONDS if disturbed(found) else KEPT_SECONDS
    young = 0 <= time.time() - found.measured_ns / 1e9 <= most
    return found if young and found.device == device else None


def peaks_left(run: Run) -> tuple[DeviceFound, ...]:
    """Return the devices of a run whose peaks are still to be measured: each once, virtual ones never.

    One that failed is tried again when the run is resumed, as often as configurations are.
    """
    plan = planned(run)
    if plan is None or not run.header.profile.policy.peak_seconds:
        return ()
    used = {one.device for one in plan.configurations} - _dealt_with(run)
    return tuple(
        device
        for device in plan.devices
        if isinstance(device, DeviceFound)
        and device.name in used
        and device.name.partition(":")[0] not in VIRTUAL
    )


def _dealt_with(run: Run) -> set[str]:
    """Return the devices that were measured, or that failed since the last start, or too often."""
    measured: set[str] = set()
    failed: set[str] = set()
    failures: Counter[str] = Counter()
    for entry in run.entries:
        match entry.record:
            case Started():
                failed = {name for name in failed if failures[name] >= ATTEMPTS}
            case PeaksMeasured() as found:
                measured.add(found.device)
            case Failed(stage="peaks") as lost:
                failures[lost.subject] += 1
                failed.add(lost.subject)
    return measured | failed
