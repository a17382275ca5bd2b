"""Say what a reader of a run's figures should know before trusting them: one sentence each."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from perftool.analysis.stats import MIN_VISITS
from perftool.record import (
    Compiled,
    DeviceMissing,
    Evaluated,
    Failed,
    HostInfo,
    Planned,
    Prepared,
    Run,
    Visited,
)
from perftool.spec import Configuration, Explicit

#: A visit is under foreign load (or steal) when that took more than this share of all CPU time.
FOREIGN_LOAD = 0.10
#: A canary that varies more than this makes small differences hard to see.
NOISY = 0.05
DRIFT = 0.05
#: Two halves of four visits each lie apart by chance once in 35 times; fewer prove nothing.
_DRIFT_VISITS = 8


def configuration_warnings(
    configuration: Configuration,
    compiled: Sequence[Compiled],
    closed: Sequence[Visited],
    failed: Sequence[Failed],
    speeds: Sequence[float],
) -> tuple[str, ...]:
    """Return what is odd about a measured configuration; `speeds` are its visits' throughputs."""
    found = [
        *_not_as_asked(configuration, compiled),
        *(f"{one.stage} failed once: {one.reason}" for one in failed),
    ]
    if compiled and all(one.loaded_from_cache for one in compiled):
        found.append("every compile came from a cache, so its time is not a cold one")
    if len(closed) < MIN_VISITS:
        found.append(f"{len(closed)} of the {MIN_VISITS} visits that an interval takes")
    found.extend(_disturbed(closed))
    if (drift := _halves_apart(speeds)) is not None:
        found.append(f"the second half of the visits ran {drift:+.0%} against the first")
    return tuple(found)


def _not_as_asked(configuration: Configuration, compiled: Sequence[Compiled]) -> list[str]:
    """Compare what was requested with what was resolved and executed."""
    setting = configuration.setting
    if not compiled or not isinstance(setting, Explicit):
        return []
    last = compiled[-1]
    found = []
    wanted = "int8" if configuration.precision == "INT8" else setting.inference_precision
    if last.executed:
        most = max(last.executed, key=lambda one: (one.flops, one.kernels)).precision
        if most != wanted:
            found.append(f"ran in {most}, not {wanted}")
    if isinstance(setting.streams, int) and last.streams not in (None, setting.streams):
        found.append(f"requested {setting.streams} streams, got {last.streams}")
    if last.threads not in (None, setting.threads):
        found.append(f"requested {setting.threads} threads, got {last.threads}")
    return found


def _disturbed(closed: Sequence[Visited]) -> list[str]:
    """Count the visits that something else on the machine took time from."""
    found = []
    for what, shares in (
        ("foreign load", [visit.conditions.other_load for visit in closed]),
        ("steal by the hypervisor", [visit.conditions.steal for visit in closed]),
    ):
        high = [share for share in shares if share is not None and share > FOREIGN_LOAD]
        if high:
            found.append(
                f"{len(high)} of {len(closed)} visits under {what}, up to {max(high):.0%} of the CPUs"
            )
    return found


def _halves_apart(speeds: Sequence[float]) -> float | None:
    """Return the change between two halves of the visits that do not overlap at all and differ by 5 %."""
    half = len(speeds) // 2
    if len(speeds) < _DRIFT_VISITS:
        return None
    first, second = speeds[:half], speeds[-half:]
    change = median(second) / median(first) - 1
    apart = min(first) > max(second) or min(second) > max(first)
    return change if apart and abs(change) > DRIFT else None


def run_warnings(run: Run, planned: Planned, noise: float | None, drift: float | None) -> tuple[str, ...]:
    """Return what is odd about a run as a whole."""
    found = []
    for device in planned.devices:
        if isinstance(device, DeviceMissing):
            found.append(f"{device.name} is not available: {device.reason}; {device.advice}")
    ids = {one.id for one in planned.configurations} | {one.configuration.id for one in planned.left_out}
    found.extend(_failed_besides(run, ids))
    if any(one.precision == "INT8" and "CPU" in one.device for one in planned.configurations):
        found.extend(_saturating(run.header.host))
    if noise is not None and noise > NOISY:
        found.append(
            f"the canary varied by {noise:.0%}: a noisy machine; more rounds would tighten the intervals"
        )
    if drift is not None and abs(drift) > DRIFT:
        found.append(f"the machine drifted by {drift:+.0%} from the first half of the rounds to the second")
    return tuple(found)


def _saturating(host: HostInfo) -> list[str]:
    """Warn of x86 CPUs that add pairs of 8-bit products in 16 bits, which can saturate."""
    if "avx" not in host.isa or any("vnni" in name or name == "amx_int8" for name in host.isa):
        return []
    return [
        "this CPU has no VNNI: its 8-bit kernels may saturate, and are slower; INT8's accuracy and speed "
        "here say nothing about a CPU that has it"
    ]


def _failed_besides(run: Run, ids: set[str]) -> list[str]:
    """Report the failures of what is not a configuration, unless it was made good later."""
    open_failures: dict[tuple[str, str], Failed] = {}
    attempts: Counter[tuple[str, str]] = Counter()
    for entry in run.entries:
        match entry.record:
            case Failed() as record if record.subject not in ids:
                open_failures[record.stage, record.subject] = record
                attempts[record.stage, record.subject] += 1
            case Prepared() as record:
                open_failures.pop(("prepare", record.weight_format), None)
            case Evaluated() as record:
                subject = f"{record.weight_format} on {record.device} in {record.inference_precision}"
                open_failures.pop(("evaluate", subject), None)
    return [
        f"{record.stage} of {record.subject} failed"
        + (f" {attempts[key]} times" if attempts[key] > 1 else "")
        + f": {record.reason}"
        for key, record in open_failures.items()
    ]
