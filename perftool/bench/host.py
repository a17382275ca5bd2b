"""The machine: its identity, and what it did while something was measured.

Reads /proc, /sys and package metadata; imports no runtime and judges nothing. What cannot be read is
"unknown". Every path lies below a root, "/" but for tests; CPU clocks and the size of memory are psutil's.
"""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import psutil
from msgspec import Struct

from perftool.bench import cgroup
from perftool.bench.energy import Reading, joules_between, read
from perftool.machine import Conditions, HostInfo

UNKNOWN = "unknown"

ROOT = Path("/")

#: Where the kernel shows its CPUs.
CPUS = "sys/devices/system/cpu"

#: The names under which thermal zones and sensor chips show a processor's temperature.
SENSORS = ("x86_pkg_temp", "cpu-thermal", "cpu_thermal", "coretemp", "k10temp", "zenpower")

#: The instruction sets that decide which kernels a CPU runs, by their names in /proc/cpuinfo.
ISA = (
    "sse4_2",
    "avx",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "amx_fp16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)


def identity(root: Path = ROOT) -> HostInfo:
    """Read this machine's identity."""
    info = _cpuinfo(root)
    return HostInfo(
        cpu=info.get("model name") or platform.processor() or UNKNOWN,
        isa=tuple(name for name in ISA if name in _flags(info)),
        cores_usable=usable_cores(root),
        cores_physical=usable_physical_cores(root),
        cores_logical=psutil.cpu_count(logical=True) or 1,
        smt=_smt(root),
        memory_bytes=memory_limit(root),
        virtualisation=virtualisation(root),
        governor=_governor(root),
        turbo=turbo(root),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        openvino=_version("openvino"),
        nncf=_version("nncf"),
        perftool=_version("perftool"),
    )


def usable_cores(root: Path = ROOT) -> int:
    """Count the whole cores that this process may use: affinity, bounded by the quotas of its cgroups."""
    cores = len(processors(root))
    quota = cgroup.cpu_quota(root)
    return cores if quota is None else int(min(cores, max(1.0, quota)))


def usable_physical_cores(root: Path = ROOT) -> int:
    """Count the physical cores behind the processors that this process may run on."""
    found = [siblings(processor, root) for processor in processors(root)]
    if found and None not in found:
        return len(set(found))
    return psutil.cpu_count(logical=False) or len(found)


def processors(root: Path = ROOT) -> tuple[int, ...]:
    """List the processors that this process may run on.

    The affinity may name processors that a machine could have and has not, so only those online count.
    """
    for line in (text(root / "proc/self/status") or "").splitlines():
        mask = _cpu_list(line.partition(":")[2]) if line.startswith("Cpus_allowed_list:") else None
        if mask is not None:
            present = online(root)
            return tuple(one for one in mask if present is None or one in present)
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(psutil.cpu_count(logical=True) or 1))


def online(root: Path = ROOT) -> tuple[int, ...] | None:
    """List the processors that work in this machine; None where it does not say."""
    return _cpu_list(text(root / CPUS / "online"))


def siblings(processor: int, root: Path = ROOT) -> tuple[int, ...] | None:
    """List the processors on the same core as one, itself included; None where it does not say."""
    return _cpu_list(text(root / CPUS / f"cpu{processor}/topology/thread_siblings_list"))


def governor(processor: int, root: Path = ROOT) -> str | None:
    """Read what governs a processor's clock; None where it does not say."""
    return text(root / CPUS / f"cpu{processor}/cpufreq/scaling_governor") or None


def memory_limit(root: Path = ROOT) -> int:
    """Return the bytes of memory that may be used: the machine's, bounded by the cgroups'."""
    total = int(psutil.virtual_memory().total)
    limit = cgroup.memory_limit(root)
    return total if limit is None else int(min(total, limit))


def oom_kills(root: Path = ROOT) -> int | None:
    """Return how many processes this machine has killed for want of memory since it started."""
    for line in (text(root / "proc/vmstat") or "").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return None


def memory_free(root: Path = ROOT) -> int:
    """Return the bytes of memory that can still be used, within the cgroups' limits."""
    free = int(psutil.virtual_memory().available)
    left = cgroup.memory_left(root)
    return free if left is None else int(min(free, left))


def swap(root: Path = ROOT) -> tuple[int | None, int | None]:
    """Return the bytes of swap, and how many of them are in use."""
    words = [line.split() for line in (text(root / "proc/meminfo") or "").splitlines()]
    kib = {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdecimal()}
    total, free = kib.get("SwapTotal:"), kib.get("SwapFree:")
    if total is None or free is None:
        return None, None
    return total * 1024, (total - free) * 1024


def temperature_c(root: Path = ROOT) -> float | None:
    """Return the highest temperature that the processors show, in degrees Celsius."""
    zones, chips = (root / "sys/class/thermal").glob("*"), (root / "sys/class/hwmon").glob("*")
    places = [(zone / "type", zone / "temp") for zone in zones]
    places += [(chip / "name", chip / "temp1_input") for chip in chips]
    found = [number(value) for label, value in places if text(label) in SENSORS]
    return max((one / 1000 for one in found if one is not None), default=None)


class Snapshot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CPU seconds of the machine and of this process, and the energy counters, at one moment."""

    taken_s: float
    busy_s: float
    steal_s: float
    own_s: float
    cores: int
    energy: Reading | None = None


def snapshot(root: Path = ROOT) -> Snapshot:
    """Read the CPU clocks now, of the processors that this process may run on, and the energy counters."""
    times = psutil.cpu_times(percpu=True)
    # The clocks come without their processors' numbers, which have gaps where some are offline.
    numbers = online(root) or ()
    clocks = dict(zip(numbers if len(numbers) == len(times) else range(len(times)), times, strict=True))
    here = [clocks[one] for one in processors(root) if one in clocks] or times
    own = psutil.Process().cpu_times()
    return Snapshot(
        taken_s=time.monotonic(),
        busy_s=sum(_busy(one) for one in here),
        steal_s=sum(getattr(one, "steal", 0.0) for one in here),
        own_s=own.user + own.system,
        cores=len(here),
        energy=read(root),
    )


def _busy(times: Any) -> float:
    """Return the seconds that a processor worked; guests count in its user time already."""
    beside = ("idle", "iowait", "steal", "guest", "guest_nice")
    return float(sum(times) - sum(getattr(times, name, 0.0) for name in beside))


def conditions(before: Snapshot, after: Snapshot, root: Path = ROOT) -> Conditions:
    """Return what the machine did between two snapshots: shares of all its CPU time, clock, joules."""
    available = (after.taken_s - before.taken_s) * after.cores
    if available <= 0:
        return Conditions(other_load=None, steal=None, frequency_mhz=None, energy_j=None)
    other = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    steal = (after.steal_s - before.steal_s) / available if hasattr(psutil.cpu_times(), "steal") else None
    return Conditions(
        other_load=min(1.0, max(0.0, other / available)),
        steal=steal,
        frequency_mhz=_frequency_mhz(root),
        energy_j=joules_between(before.energy, after.energy),
    )


def text(path: Path) -> str | None:
    """Read a file of the kernel's, stripped; None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def number(path: Path) -> int | None:
    """Read a count from a file of the kernel's; None where there is none."""
    found = text(path)
    return int(found) if found and found.isdecimal() else None


def turbo(root: Path = ROOT) -> str:
    """Say whether the clock may rise above its base: "on", "off" or "unknown"."""
    if (no_turbo := text(root / CPUS / "intel_pstate/no_turbo")) is not None:
        return "off" if no_turbo == "1" else "on"
    if (boost := text(root / CPUS / "cpufreq/boost")) is not None:
        return "on" if boost == "1" else "off"
    return UNKNOWN


def virtualisation(root: Path = ROOT) -> str:
    """Say whether this is a virtual machine, and whose: only x86 processors tell."""
    info = _cpuinfo(root)
    vendor = text(root / "sys/class/dmi/id/sys_vendor")
    if "hypervisor" in _flags(info):
        return f"virtual machine ({vendor})" if vendor else "virtual machine"
    return "none" if "flags" in info else UNKNOWN


def _cpu_list(ranges: str | None) -> tuple[int, ...] | None:
    """Read the kernel's way to list processors: "0-3,8"; None where it is none."""
    numbers: list[int] = []
    for part in (ranges or "").split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            return None
        numbers.extend(range(int(first), int(last or first) + 1))
    return tuple(numbers)


def _cpuinfo(root: Path) -> dict[str, str]:
    """Return the first processor's block of /proc/cpuinfo; empty where there is none."""
    block = (text(root / "proc/cpuinfo") or "").split("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _flags(info: dict[str, str]) -> set[str]:
    return set((info.get("flags") or info.get("Features") or "").split())


def core_choices(root: Path = ROOT) -> frozenset[str]:
    """Return the properties of OpenVINO by which this machine gives a choice of cores.

    Threads can be pinned anywhere. Hyper-threading is a choice where cores have several hardware threads,
    the kind of core where there are several kinds, or nobody can tell.
    """
    found = {"ENABLE_CPU_PINNING"}
    if len(processors(root)) > usable_physical_cores(root):
        found.add("ENABLE_HYPER_THREADING")
    if hybrid(root) is not False:
        found.add("SCHEDULING_CORE_TYPE")
    return frozenset(found)


def hybrid(root: Path = ROOT) -> bool | None:
    """Tell whether this machine has performance and efficiency cores; None where the system does not say.

    Linux lists the two kinds of an Intel CPU apart, as sources of events.
    """
    devices = root / "sys" / "devices"
    if not devices.is_dir():
        return None
    return (devices / "cpu_core").is_dir() and (devices / "cpu_atom").is_dir()


def _smt(root: Path) -> Literal["on", "off", "unknown"]:
    match text(root / CPUS / "smt/active"):
        case "1":
            return "on"
        case "0":
            return "off"
    return "unknown"


def _governor(root: Path) -> str:
    """Name the governors of all usable processors."""
    return ", ".join(sorted({governor(one, root) or UNKNOWN for one in processors(root)}))


def _frequency_mhz(root: Path) -> float | None:
    khz = number(root / CPUS / "cpu0/cpufreq/scaling_cur_freq")
    return None if khz is None else khz / 1000


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return UNKNOWN
