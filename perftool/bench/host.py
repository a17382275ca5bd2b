"""The machine: its identity, and what it did while something was measured.

Reads /proc, /sys and package metadata; imports no runtime. What cannot be read is "unknown".
"""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import psutil
from msgspec import Struct

from perftool.record import Conditions, HostInfo

UNKNOWN = "unknown"

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


def identity() -> HostInfo:
    """Read this machine's identity."""
    cpuinfo = _cpuinfo()
    flags = set((cpuinfo.get("flags") or cpuinfo.get("Features") or "").split())
    logical = psutil.cpu_count(logical=True) or 1
    physical = usable_physical_cores()
    return HostInfo(
        cpu=cpuinfo.get("model name") or platform.processor() or UNKNOWN,
        isa=tuple(name for name in ISA if name in flags),
        cores_usable=usable_cores(),
        cores_physical=physical,
        cores_logical=logical,
        smt=_smt(),
        memory_bytes=memory_limit(),
        virtualisation=_virtualisation(flags),
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or UNKNOWN,
        turbo=_turbo(),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        openvino=_version("openvino"),
        nncf=_version("nncf"),
        perftool=_version("perftool"),
    )


def usable_cores() -> int:
    """Count the cores that this process may use: affinity, bounded by the cgroup's quota."""
    cores = len(_processors())
    quota = (_read("/sys/fs/cgroup/cpu.max") or "max").split()
    if len(quota) == 2 and quota[0] != "max":
        cores = min(cores, max(1, int(quota[0]) // int(quota[1])))
    return cores


def usable_physical_cores() -> int:
    """Count the physical cores behind the processors that this process may run on."""
    siblings = {
        _read(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        for processor in _processors()
    }
    if siblings and None not in siblings:
        return len(siblings)
    return psutil.cpu_count(logical=False) or len(_processors())


def _processors() -> list[int]:
    """List the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(psutil.cpu_count(logical=True) or 1))


def memory_limit() -> int:
    """Return the bytes of memory that may be used: the machine's, bounded by the cgroup's."""
    total = int(psutil.virtual_memory().total)
    limit = _read("/sys/fs/cgroup/memory.max") or "max"
    return total if limit == "max" else min(total, int(limit))


def oom_kills() -> int | None:
    """Return how many processes this machine has killed for want of memory since it started."""
    for line in (_read("/proc/vmstat") or "").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return None


def memory_free() -> int:
    """Return the bytes of memory that can still be used, within the cgroup's limit."""
    free = int(psutil.virtual_memory().available)
    limit, used = _read("/sys/fs/cgroup/memory.max"), _read("/sys/fs/cgroup/memory.current")
    return min(free, int(limit) - int(used)) if limit and limit.isdigit() and used else free


class Snapshot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CPU seconds of the machine and of this process, at one moment."""

    taken_s: float
    busy_s: float
    steal_s: float
    own_s: float
    cores: int


def snapshot() -> Snapshot:
    """Read the CPU clocks now, of the processors that this process may run on."""
    processors = _processors()
    times = psutil.cpu_times(percpu=True)
    here = [times[number] for number in processors if number < len(times)] or times
    own = psutil.Process().cpu_times()
    return Snapshot(
        taken_s=time.monotonic(),
        busy_s=sum(_busy(one) for one in here),
        steal_s=sum(getattr(one, "steal", 0.0) for one in here),
        own_s=own.user + own.system,
        cores=len(here),
    )


def _busy(times: Any) -> float:
    """Return the seconds that a processor worked; guests count in its user time already."""
    beside = ("idle", "iowait", "steal", "guest", "guest_nice")
    return float(sum(times) - sum(getattr(times, name, 0.0) for name in beside))


def conditions(before: Snapshot, after: Snapshot) -> Conditions:
    """Return what the machine did between two snapshots, as shares of all its CPU time."""
    available = (after.taken_s - before.taken_s) * after.cores
    if available <= 0:
        return Conditions(other_load=None, steal=None, frequency_mhz=None)
    other = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    steal = (after.steal_s - before.steal_s) / available if hasattr(psutil.cpu_times(), "steal") else None
    return Conditions(
        other_load=min(1.0, max(0.0, other / available)),
        steal=steal,
        frequency_mhz=_frequency_mhz(),
    )


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _cpuinfo() -> dict[str, str]:
    """Return the first processor's block of /proc/cpuinfo; empty where there is none."""
    block = (_read("/proc/cpuinfo") or "").split("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _smt() -> Literal["on", "off", "unknown"]:
    match _read("/sys/devices/system/cpu/smt/active"):
        case "1":
            return "on"
        case "0":
            return "off"
    return "unknown"


def _turbo() -> str:
    if (no_turbo := _read("/sys/devices/system/cpu/intel_pstate/no_turbo")) is not None:
        return "off" if no_turbo == "1" else "on"
    if (boost := _read("/sys/devices/system/cpu/cpufreq/boost")) is not None:
        return "on" if boost == "1" else "off"
    return UNKNOWN


def _virtualisation(flags: set[str]) -> str:
    vendor = _read("/sys/class/dmi/id/sys_vendor")
    if "hypervisor" in flags:
        return f"virtual machine ({vendor})" if vendor else "virtual machine"
    return "none" if flags else UNKNOWN


def _frequency_mhz() -> float | None:
    khz = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")
    return int(khz) / 1000 if khz and khz.isdigit() else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return UNKNOWN
