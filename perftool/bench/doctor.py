"""What on this machine would spoil a measurement, and what to do about it.

Changes nothing and imports no runtime. `read` reads; the `judge` functions take values and touch no file.
What could not be read is "unknown", never a guess.
"""

import math
import time
from collections import Counter
from pathlib import Path

from msgspec import Struct

from perftool.bench import cgroup, energy, host
from perftool.journal import Surveyed
from perftool.machine import FOREIGN_LOAD, Conditions, Finding, is_virtual

#: Steal hardly shows on an idle machine, so a little of it counts.
STEAL = 0.02
#: From this swappiness down the kernel swaps only when it would otherwise run out of memory.
CALM_SWAPPINESS = 10


class Readings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was read off a machine; None where it could not be. An infinite quota is none."""

    processors: tuple[int, ...]
    online: tuple[int, ...] | None
    siblings: tuple[tuple[int, ...] | None, ...]
    governors: tuple[str | None, ...]
    turbo: str
    virtualisation: str
    quota: float | None
    swap_bytes: int | None
    swap_used_bytes: int | None
    swappiness: int | None
    core_throttles: int | None
    package_throttles: int | None
    temperature_c: float | None
    huge_pages: str | None


def survey(seconds: float = 1.0, root: Path = Path("/")) -> Surveyed:
    """Look at the machine, and at what it does beside for that many seconds, in which this process sleeps."""
    before = host.snapshot(root)
    time.sleep(seconds)
    after = host.snapshot(root)
    found = host.conditions(before, after, root)
    wanted = after.busy_s + after.steal_s
    findings = (
        *judge(read(root)),
        judge_load(found.other_load, after.cores),
        judge_steal(found.steal, after.steal_s / wanted if wanted else None),
        judge_energy(after.energy, energy.missing(root), found),
    )
    return Surveyed(findings=findings, conditions=found)


def read(root: Path = Path("/")) -> Readings:
    """Read everything that is judged, but for what takes time to see."""
    processors = host.processors(root)
    swap_bytes, swap_used = host.swap(root)
    return Readings(
        processors=processors,
        online=host.online(root),
        siblings=tuple(host.siblings(one, root) for one in processors),
        governors=tuple(host.governor(one, root) for one in processors),
        turbo=host.turbo(root),
        virtualisation=host.virtualisation(root),
        quota=cgroup.cpu_quota(root),
        swap_bytes=swap_bytes,
        swap_used_bytes=swap_used,
        swappiness=host.number(root / "proc/sys/vm/swappiness"),
        core_throttles=_throttles(root, processors, "core_throttle_count"),
        package_throttles=_throttles(root, processors, "package_throttle_count"),
        temperature_c=host.temperature_c(root),
        huge_pages=_huge_pages(root),
    )


def judge(readings: Readings) -> tuple[Finding, ...]:
    """Judge what was read."""
    return (
        judge_governor(readings.governors),
        judge_turbo(readings.turbo),
        judge_smt(readings),
        judge_quota(readings.quota, readings.processors),
        judge_affinity(readings.processors, readings.online),
        judge_swap(readings.swap_bytes, readings.swap_used_bytes, readings.swappiness),
        judge_throttling(readings.core_throttles, readings.package_throttles, readings.temperature_c),
        judge_virtualisation(readings.virtualisation),
        judge_huge_pages(readings.huge_pages),
    )


def judge_governor(governors: tuple[str | None, ...]) -> Finding:
    """Judge the frequency governors of all usable CPUs: only "performance" holds the clock up."""
    counts = Counter(one for one in governors if one is not None)
    if not counts:
        return _unknown("governor", "no frequency scaling shown")
    cpus = _plural(len(governors), "CPU")
    found = ", ".join(f"{name} on {count} of {cpus}" for name, count in sorted(counts.items()))
    if set(counts) != {"performance"}:
        return _warning("governor", found, "while measuring: cpupower frequency-set -g performance")
    if None in governors:
        return _unknown("governor", f"{found}, the others' not shown")
    return _ok("governor", found)


def judge_turbo(turbo: str) -> Finding:
    """Judge the clock's boost: with it the speed of one core depends on heat and on what the others do."""
    if turbo == "on":
        advice = (
            "the clock depends on heat and on how many cores work; to compare configurations switch it off "
            "(1 into /sys/devices/system/cpu/intel_pstate/no_turbo, or 0 into ../cpufreq/boost)"
        )
        return _warning("turbo", "on", advice)
    return _ok("turbo", "off") if turbo == "off" else _unknown("turbo", "no switch for it shown")


def judge_smt(readings: Readings) -> Finding:
    """Judge whether usable CPUs share cores, with each other or with CPUs that only others may use."""
    usable, groups = readings.processors, readings.siblings
    if None in groups:
        return _unknown("SMT", "which CPUs share a core is not shown")
    cores = len(set(groups))
    found = f"{_plural(len(usable), 'CPU')} on {_plural(cores, 'core')}"
    if cores < len(usable):
        advice = (
            "a CPU slows down while its sibling works; measure on one CPU of each core "
            "(lscpu -e shows them, taskset -c picks them), or switch it off: "
            "off into /sys/devices/system/cpu/smt/control"
        )
        return _warning("SMT", found, advice)
    if any(set(group or ()) - set(usable) for group in groups):
        advice = "whatever runs on the siblings slows these CPUs down; keep them idle, or switch SMT off"
        return _warning("SMT", f"{found}, with siblings that others may use", advice)
    if is_virtual(readings.virtualisation):
        return _unknown("SMT", f"{found}, says the hypervisor, which need not show siblings")
    return _ok("SMT", found)


def judge_quota(quota: float | None, usable: tuple[int, ...]) -> Finding:
    """Judge the cgroups' CPU quota: a process that used it up stands still until the next period."""
    if quota is None:
        return _unknown("CPU quota", "the control groups are not readable")
    if quota == math.inf:
        return _ok("CPU quota", "none")
    found = f"{_plural(quota, 'core')} for {_plural(len(usable), 'CPU')}"
    if quota >= len(usable):
        return _ok("CPU quota", found)
    advice = (
        "whoever used it up stands still until the next period, which shows in high percentiles; lift it "
        "(docker --cpus, Kubernetes limits.cpu) or bind to whole CPUs instead (docker --cpuset-cpus)"
    )
    return _warning("CPU quota", found, advice)


def judge_affinity(usable: tuple[int, ...], online: tuple[int, ...] | None) -> Finding:
    """Judge whether this process may run on all CPUs."""
    if online is None:
        return _unknown("affinity", f"{_plural(len(usable), 'CPU')} of an unknown number")
    found = f"{len(usable)} of {_plural(len(online), 'CPU')}"
    if len(usable) < len(online):
        advice = (
            "figures hold for these CPUs alone; if that is not meant, lift it (taskset, cpuset, numactl), "
            "else keep it for every run that will be compared"
        )
        return _warning("affinity", found, advice)
    return _ok("affinity", found)


def judge_swap(total: int | None, used: int | None, swappiness: int | None) -> Finding:
    """Judge whether memory may be, or has been, moved to disk."""
    if total is None or used is None:
        return _unknown("swap", "not readable")
    if total == 0:
        return _ok("swap", "none")
    if used > 0:
        advice = "free memory, then empty it: swapoff -a, and swapon -a after measuring"
        return _warning("swap", f"{used / 1e9:.2f} of {total / 1e9:.2f} GB in use", advice)
    found = f"{total / 1e9:.2f} GB, not in use"
    if swappiness is None:
        return _unknown("swap", f"{found}, swappiness not readable")
    if swappiness > CALM_SWAPPINESS:
        advice = f"while measuring: sysctl vm.swappiness={CALM_SWAPPINESS}, or swapoff -a"
        return _warning("swap", f"{found}, swappiness {swappiness}", advice)
    return _ok("swap", f"{found}, swappiness {swappiness}")


def judge_load(other_load: float | None, cores: int) -> Finding:
    """Judge what others did meanwhile, as a share of all CPU time."""
    if other_load is None:
        return _unknown("other load", "not measured")
    found = f"{other_load:.0%} of {_plural(cores, 'CPU')}"
    if other_load > FOREIGN_LOAD:
        return _warning("other load", found, "see in top what works, and end it or wait until it is done")
    return _ok("other load", found)


def judge_steal(now: float | None, since_start: float | None) -> Finding:
    """Judge what the hypervisor took: of all CPU time now, and since the start of what was asked for.

    Nothing is taken from a machine that asks for nothing, as this one does now: hence the second.
    """
    if now is None:
        return _unknown("steal", "not measured")
    found = f"{now:.1%} now"
    found += "" if since_start is None else f", {since_start:.1%} of the work since the machine started"
    if max(now, since_start or 0.0) > STEAL:
        advice = "neighbours on the same hardware take it; measure at other times, or on a dedicated host"
        return _warning("steal", found, advice)
    return _ok("steal", found)


def judge_throttling(core: int | None, package: int | None, celsius: float | None) -> Finding:
    """Judge how often the CPUs were slowed down against heat since the machine started."""
    warmth = "" if celsius is None else f"; {celsius:.0f} °C now"
    if core is None and package is None:
        return _unknown("thermal throttling", f"no counts shown{warmth}")
    counts = {"core": core, "package": package}
    shown = (f"{name} {count}x" for name, count in counts.items() if count is not None)
    found = f"{', '.join(shown)} since the machine started{warmth}"
    if (core or 0) + (package or 0) > 0:
        advice = "look after the cooling, and see whether the counts grow during a run"
        return _warning("thermal throttling", found, advice)
    return _ok("thermal throttling", found)


def judge_virtualisation(virtualisation: str) -> Finding:
    """Judge whether the hardware may be shared with unseen neighbours."""
    if virtualisation == host.UNKNOWN:
        return _unknown("virtualisation", "the processor does not tell")
    if virtualisation == "none":
        return _ok("virtualisation", "none")
    advice = (
        "neighbours share caches, memory and clock, unseen from here; trust comparisons inside a run "
        "more than absolute figures, repeat at another time, or take a dedicated host"
    )
    return _warning("virtualisation", virtualisation, advice)


def judge_huge_pages(mode: str | None) -> Finding:
    """Judge transparent huge pages: what matters is that peak memory and speed be those of deployment."""
    if mode == "always":
        advice = (
            "peak memory is rounded up, and who gets them depends on how fragmented memory is; set them as "
            "where the model will be deployed (/sys/kernel/mm/transparent_hugepage/enabled)"
        )
        return _warning("huge pages", "always: every large buffer may get them", advice)
    if mode == "madvise":
        return _ok("huge pages", "madvise: only who asks gets them")
    return (
        _ok("huge pages", "never") if mode == "never" else _unknown("huge pages", "the mode is not readable")
    )


def judge_energy(reading: energy.Reading | None, missing: str, found: Conditions) -> Finding:
    """Judge whether the energy of a visit can be told."""
    if reading is None:
        return _unknown("energy counters", missing)
    names = ", ".join(package.name for package in reading.packages)
    if not found.energy_j:
        return _unknown("energy counters", f"{names}, standing still")
    return _ok("energy counters", names)


def _ok(name: str, found: str) -> Finding:
    return Finding(name=name, status="ok", found=found)


def _unknown(name: str, found: str) -> Finding:
    return Finding(name=name, status="unknown", found=found)


def _warning(name: str, found: str, advice: str) -> Finding:
    return Finding(name=name, status="warning", found=found, advice=advice)


def _plural(count: float, noun: str) -> str:
    return f"{count:g} {noun}" if count == 1 else f"{count:g} {noun}s"


def _throttles(root: Path, processors: tuple[int, ...], name: str) -> int | None:
    """Return the highest count of any usable CPU: those of one core, or package, all show the same."""
    counts = [host.number(root / host.CPUS / f"cpu{one}/thermal_throttle" / name) for one in processors]
    return max((count for count in counts if count is not None), default=None)


def _huge_pages(root: Path) -> str | None:
    """Return the mode in brackets: `always [madvise] never`."""
    words = (host.text(root / "sys/kernel/mm/transparent_hugepage/enabled") or "").split()
    chosen = [word[1:-1] for word in words if word.startswith("[")]
    return chosen[0] if chosen else None
