"""The machine's identity and conditions, read off the real one and off trees of files like the kernel's."""

import math
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from perftool.bench import cgroup, host
from perftool.machine import HostInfo
from perftool.memory import peak_rss_bytes

CPUS = "sys/devices/system/cpu"
GROUPS = "sys/fs/cgroup"


def plant(root: Path, **files: str) -> None:
    """Write files below a root, by their paths."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{content}\n")


def plant_cpus(root: Path, allowed: str, online: str) -> None:
    """Write a machine's CPUs."""
    plant(root, **{"proc/self/status": f"Name:\tx\nCpus_allowed_list:\t{allowed}", f"{CPUS}/online": online})


def test_identity_is_the_same_when_read_again() -> None:
    assert host.identity() == host.identity()


def test_identity_says_something_about_every_field() -> None:
    found = host.identity()
    assert all(getattr(found, name) != "" for name in found.__struct_fields__)
    assert 1 <= found.cores_usable <= found.cores_logical
    assert found.openvino != "unknown"
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_own_work_is_no_other_load() -> None:
    before = host.snapshot()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pass
    after = host.snapshot()
    assert after.own_s - before.own_s > 0.1
    found = host.conditions(before, after)
    assert found.other_load is not None
    assert 0 <= found.other_load <= 1


def test_conditions_of_no_time_are_unknown() -> None:
    now = host.snapshot()
    assert host.conditions(now, now).other_load is None


def test_peak_memory_belongs_to_this_program() -> None:
    assert peak_rss_bytes() >= psutil.Process().memory_info().rss * 0.9
    assert peak_rss_bytes() < host.memory_limit()


# ---------------------------------------------------------------- CPUs


def test_usable_cores_are_those_allowed_and_online(tmp_path: Path) -> None:
    plant_cpus(tmp_path, allowed="1-2,5-63", online="0-3,6")
    assert host.processors(tmp_path) == (1, 2, 6)
    assert host.usable_cores(tmp_path) == 3


def test_physical_cores_are_counted_once(tmp_path: Path) -> None:
    plant_cpus(tmp_path, allowed="0-3", online="0-3")
    for processor, group in enumerate(("0,2", "1,3", "0,2", "1,3")):
        plant(tmp_path, **{f"{CPUS}/cpu{processor}/topology/thread_siblings_list": group})
    assert host.usable_physical_cores(tmp_path) == 2


def test_governors_of_all_usable_cpus_are_named(tmp_path: Path) -> None:
    plant_cpus(tmp_path, allowed="0-1", online="0-2")
    for processor, governor in enumerate(("performance", "powersave", "schedutil")):
        plant(tmp_path, **{f"{CPUS}/cpu{processor}/cpufreq/scaling_governor": governor})
    assert host.identity(tmp_path).governor == "performance, powersave"


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("flags : fpu hypervisor avx2", "virtual machine (Some Cloud)"),
        ("flags : fpu avx2", "none"),
        ("Features : fp asimd", "unknown"),
        ("", "unknown"),
    ],
)
def test_only_a_processor_that_tells_is_believed(tmp_path: Path, info: str, expected: str) -> None:
    plant(tmp_path, **{"proc/cpuinfo": info, "sys/class/dmi/id/sys_vendor": "Some Cloud"})
    assert host.virtualisation(tmp_path) == expected


@pytest.mark.parametrize(
    ("flags", "active", "expected"),
    [
        ("fpu", "0", "off"),
        ("fpu", "1", "on"),
        ("fpu hypervisor", "1", "on"),
        ("fpu hypervisor", "0", "unknown"),
    ],
)
def test_a_hypervisor_is_not_believed_that_smt_is_off(
    tmp_path: Path, flags: str, active: str, expected: str
) -> None:
    plant(tmp_path, **{"proc/cpuinfo": f"flags : {flags}", f"{CPUS}/smt/active": active})
    found = host.identity(tmp_path)
    assert found.smt == expected
    old = msgspec.json.encode(found).replace(f'"smt":"{expected}"'.encode(), b'"smt":"off"')
    read = msgspec.json.decode(old, type=HostInfo)
    assert read.smt == ("unknown" if "hypervisor" in flags else "off"), "in a journal of before, too"


# ---------------------------------------------------------------- control groups


@pytest.mark.parametrize(
    ("quotas", "quota", "cores"),
    [
        ({"cpu.max": "max 100000"}, math.inf, 4),
        ({"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5, 1),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "250000 100000"}, 2.5, 2),
        ({"a/cpu.max": "20000 100000"}, 0.2, 1),
        ({"a/cpu.max": "800000 100000"}, 8.0, 4),
        ({"a/b/c/cpu.max": "100000 100000", "other/cpu.max": "100000 100000"}, math.inf, 4),
        ({"a/cpu.max": "garbled"}, None, 4),
        ({"a/cpu.max": "100000 0"}, None, 4),
        ({"a/cpu.max": "garbled", "a/b/cpu.max": "100000 100000"}, None, 4),
    ],
)
def test_the_smallest_quota_of_the_group_and_its_ancestors_counts(
    tmp_path: Path, quotas: dict[str, str], quota: float | None, cores: int
) -> None:
    plant_cpus(tmp_path, allowed="0-3", online="0-3")
    (tmp_path / GROUPS / "a/b").mkdir(parents=True)
    plant(tmp_path, **{"proc/self/cgroup": "0::/a/b"})
    plant(tmp_path, **{f"{GROUPS}/{path}": content for path, content in quotas.items()})
    assert cgroup.cpu_quota(tmp_path) == quota
    assert host.usable_cores(tmp_path) == cores


@pytest.mark.parametrize("path", ["/", "/hosts/path/of/the/container", "/../sideways"])
def test_in_a_container_the_mount_point_is_the_own_group(tmp_path: Path, path: str) -> None:
    plant(tmp_path, **{"proc/self/cgroup": f"0::{path}", f"{GROUPS}/cpu.max": "300000 200000"})
    plant(tmp_path, **{"sys/fs/sideways/cpu.max": "1 2", f"{GROUPS}/sideways/cpu.max": "1 2"})
    assert cgroup.cpu_quota(tmp_path) == 1.5


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(("quota", "expected"), [("150000", 1.5), ("-1", 3.0), ("many", None)])
def test_version_1_has_quotas_too(tmp_path: Path, folder: str, quota: str, expected: float | None) -> None:
    plant(
        tmp_path,
        **{
            "proc/self/cgroup": "5:cpuset:/\n4:cpu,cpuacct:/a/b\n0::/",
            f"{GROUPS}/{folder}/cpu.cfs_quota_us": "-1",
            f"{GROUPS}/{folder}/cpu.cfs_period_us": "100000",
            f"{GROUPS}/{folder}/a/cpu.cfs_quota_us": quota,
            f"{GROUPS}/{folder}/a/cpu.cfs_period_us": "100000",
            f"{GROUPS}/{folder}/a/b/cpu.cfs_quota_us": "300000",
            f"{GROUPS}/{folder}/a/b/cpu.cfs_period_us": "100000",
        },
    )
    assert cgroup.cpu_quota(tmp_path) == expected


def test_without_groups_the_quota_is_unknown(tmp_path: Path) -> None:
    assert cgroup.cpu_quota(tmp_path) is None
    plant(tmp_path, **{"proc/self/cgroup": "0::/a"})
    assert cgroup.cpu_quota(tmp_path) is None


def test_a_quota_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    plant(tmp_path, **{"proc/self/cgroup": "0::/a", f"{GROUPS}/cpu.max": "100000 100000"})
    (tmp_path / GROUPS / "a/cpu.max").mkdir(parents=True)
    assert cgroup.cpu_quota(tmp_path) is None


def test_memory_is_bounded_by_the_tightest_ancestor(tmp_path: Path) -> None:
    plant(
        tmp_path,
        **{
            "proc/self/cgroup": "0::/a/b",
            f"{GROUPS}/a/memory.max": "5000000",
            f"{GROUPS}/a/memory.current": "4900000",
            f"{GROUPS}/a/memory.stat": "anon 4500000\ninactive_file 300000",
            f"{GROUPS}/a/b/memory.max": "3000000",
            f"{GROUPS}/a/b/memory.current": "1000000",
        },
    )
    assert host.memory_limit(tmp_path) == 3_000_000
    assert host.memory_free(tmp_path) == 400_000


def test_memory_in_version_1(tmp_path: Path) -> None:
    plant(
        tmp_path,
        **{
            "proc/self/cgroup": "4:memory:/a",
            f"{GROUPS}/memory/memory.limit_in_bytes": "9223372036854771712",
            f"{GROUPS}/memory/memory.usage_in_bytes": "8000000",
            f"{GROUPS}/memory/a/memory.limit_in_bytes": "5000000",
            f"{GROUPS}/memory/a/memory.usage_in_bytes": "4000000",
            f"{GROUPS}/memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 500000",
        },
    )
    assert host.memory_limit(tmp_path) == 5_000_000
    assert host.memory_free(tmp_path) == 1_500_000


def test_memory_without_limits_is_the_machines(tmp_path: Path) -> None:
    plant(tmp_path, **{"proc/self/cgroup": "0::/", f"{GROUPS}/memory.max": "max"})
    assert host.memory_limit(tmp_path) == psutil.virtual_memory().total
    assert host.memory_limit(tmp_path / "nowhere") == psutil.virtual_memory().total


# ---------------------------------------------------------------- conditions


def test_conditions_tell_energy_and_clock(tmp_path: Path) -> None:
    zone = "sys/class/powercap/intel-rapl:0"
    plant(tmp_path, **{f"{zone}/name": "package-0", f"{zone}/max_energy_range_uj": "262143328850"})
    plant(tmp_path, **{f"{zone}/energy_uj": "1000000", f"{CPUS}/cpu0/cpufreq/scaling_cur_freq": "2400000"})
    before = host.snapshot(tmp_path)
    plant(tmp_path, **{f"{zone}/energy_uj": "3500000"})
    time.sleep(0.01)
    found = host.conditions(before, host.snapshot(tmp_path), tmp_path)
    assert found.energy_j == pytest.approx(2.5)
    assert found.frequency_mhz == pytest.approx(2400)


def test_clocks_belong_to_their_processors_where_others_are_offline(tmp_path: Path) -> None:
    last = 4 + (psutil.cpu_count() or 1) - 1
    plant_cpus(tmp_path, allowed=f"{last}", online=f"4-{last}")
    assert host.snapshot(tmp_path).cores == 1


def test_conditions_without_counters_have_no_energy(tmp_path: Path) -> None:
    before = host.snapshot(tmp_path)
    time.sleep(0.01)
    found = host.conditions(before, host.snapshot(tmp_path), tmp_path)
    assert found.energy_j is None
    assert found.frequency_mhz is None
    assert found.other_load is not None
