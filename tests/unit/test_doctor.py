"""What would spoil measurements: judged on trees of files like the kernel's, one change at a time."""

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from perftool.bench import doctor, energy
from perftool.cli.main import app
from perftool.machine import Conditions, Finding
from perftool.render.doctor import finding_table, verdict

CPUS = "sys/devices/system/cpu"
CPU_COUNT = 4
NAMES = [
    "governor",
    "turbo",
    "SMT",
    "CPU quota",
    "affinity",
    "swap",
    "thermal throttling",
    "virtualisation",
    "huge pages",
    "other load",
    "steal",
    "energy counters",
]

#: A machine with nothing to complain about.
CALM = {
    "proc/self/status": "Name:\tx\nCpus_allowed_list:\t0-3",
    "proc/self/cgroup": "0::/a/b",
    "proc/cpuinfo": "model name : Some CPU\nflags : fpu avx2",
    "proc/meminfo": "MemTotal: 1000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB",
    "proc/sys/vm/swappiness": "60",
    "sys/fs/cgroup/a/cpu.max": "max 100000",
    "sys/fs/cgroup/a/b/cpu.max": "max 100000",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "sys/class/hwmon/hwmon0/name": "nvme",
    "sys/class/hwmon/hwmon0/temp1_input": "93000",
    "sys/class/hwmon/hwmon1/name": "coretemp",
    "sys/class/hwmon/hwmon1/temp1_input": "41000",
    f"{CPUS}/online": "0-3",
    f"{CPUS}/intel_pstate/no_turbo": "1",
    **{f"{CPUS}/cpu{one}/cpufreq/scaling_governor": "performance" for one in range(CPU_COUNT)},
    **{f"{CPUS}/cpu{one}/topology/thread_siblings_list": f"{one}" for one in range(CPU_COUNT)},
    **{f"{CPUS}/cpu{one}/thermal_throttle/core_throttle_count": "0" for one in range(CPU_COUNT)},
    **{f"{CPUS}/cpu{one}/thermal_throttle/package_throttle_count": "0" for one in range(CPU_COUNT)},
}


def plant(root: Path, files: dict[str, str]) -> None:
    """Write files below a root, by their paths."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{content}\n")


def hide(path: Path) -> None:
    """Make a file unreadable, for root too: a folder in its place."""
    path.unlink()
    path.mkdir()


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    plant(tmp_path, CALM)
    return tmp_path


def found(machine: Path, name: str) -> Finding:
    return {finding.name: finding for finding in doctor.judge(doctor.read(machine))}[name]


def test_a_calm_machine_has_nothing_to_warn_of(machine: Path) -> None:
    assert {finding.name: finding.status for finding in doctor.judge(doctor.read(machine))} == dict.fromkeys(
        NAMES[:9], "ok"
    )


def test_an_empty_tree_is_unknown_throughout(tmp_path: Path) -> None:
    plant(tmp_path, {"proc/self/status": "Cpus_allowed_list:\t0-1"})
    findings = doctor.judge(doctor.read(tmp_path))
    assert {finding.name: finding.status for finding in findings} == dict.fromkeys(NAMES[:9], "unknown")


def test_exactly_the_warnings_say_what_to_do(machine: Path) -> None:
    plant(machine, {f"{CPUS}/intel_pstate/no_turbo": "0", "proc/cpuinfo": "flags : hypervisor"})
    hide(machine / "proc/meminfo")
    findings = doctor.judge(doctor.read(machine))
    assert {finding.status for finding in findings} == {"ok", "warning", "unknown"}
    assert all((finding.advice != "") == (finding.status == "warning") for finding in findings)
    assert all(finding.found for finding in findings)


# ---------------------------------------------------------------- the clock


def test_one_powersave_cpu_that_is_not_the_first_is_seen(machine: Path) -> None:
    plant(machine, {f"{CPUS}/cpu3/cpufreq/scaling_governor": "powersave"})
    finding = found(machine, "governor")
    assert finding.status == "warning"
    assert finding.found == "performance on 3 of 4 CPUs, powersave on 1 of 4 CPUs"
    assert "performance" in finding.advice


def test_a_governor_of_a_cpu_that_may_not_be_used_is_none_of_ours(machine: Path) -> None:
    plant(machine, {f"{CPUS}/cpu3/cpufreq/scaling_governor": "powersave"})
    plant(machine, {"proc/self/status": "Cpus_allowed_list:\t0-2"})
    assert found(machine, "governor").status == "ok"


def test_a_hidden_governor_is_not_taken_for_performance(machine: Path) -> None:
    hide(machine / CPUS / "cpu2/cpufreq/scaling_governor")
    assert found(machine, "governor").status == "unknown"


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("intel_pstate/no_turbo", "0", "warning"),
        ("intel_pstate/no_turbo", "1", "ok"),
        ("cpufreq/boost", "1", "warning"),
        ("cpufreq/boost", "0", "ok"),
    ],
)
def test_turbo(machine: Path, path: str, content: str, status: str) -> None:
    (machine / CPUS / "intel_pstate/no_turbo").unlink()
    plant(machine, {f"{CPUS}/{path}": content})
    assert found(machine, "turbo").status == status


def test_throttling_is_told_as_the_highest_counts(machine: Path) -> None:
    folder = f"{CPUS}/cpu2/thermal_throttle"
    plant(machine, {f"{folder}/core_throttle_count": "7", f"{folder}/package_throttle_count": "3"})
    finding = found(machine, "thermal throttling")
    assert finding.status == "warning"
    assert finding.found == "core 7x, package 3x since the machine started; 41 °C now"


def test_a_throttled_package_alone_is_a_warning(machine: Path) -> None:
    plant(machine, {f"{CPUS}/cpu0/thermal_throttle/package_throttle_count": "1"})
    assert found(machine, "thermal throttling").status == "warning"


def test_a_temperature_without_counts_proves_nothing() -> None:
    finding = doctor.judge_throttling(None, None, 55.4)
    assert finding.status == "unknown"
    assert "55 °C" in finding.found


# ---------------------------------------------------------------- cores


def siblings(machine: Path, *groups: str) -> None:
    plant(machine, {f"{CPUS}/cpu{n}/topology/thread_siblings_list": group for n, group in enumerate(groups)})


def test_usable_siblings_are_a_warning(machine: Path) -> None:
    siblings(machine, "0,2", "1,3", "0,2", "1,3")
    finding = found(machine, "SMT")
    assert finding.status == "warning"
    assert finding.found == "4 CPUs on 2 cores"


def test_one_cpu_of_each_core_has_siblings_that_others_may_use(machine: Path) -> None:
    siblings(machine, "0,2", "1,3", "0,2", "1,3")
    plant(machine, {"proc/self/status": "Cpus_allowed_list:\t0-1"})
    finding = found(machine, "SMT")
    assert finding.status == "warning"
    assert finding.found == "2 CPUs on 2 cores, with siblings that others may use"


def test_a_hypervisor_is_not_believed_that_no_cpus_share_a_core(machine: Path) -> None:
    plant(machine, {"proc/cpuinfo": "flags : fpu hypervisor"})
    assert found(machine, "SMT").status == "unknown"
    siblings(machine, "0-1", "0-1", "2-3", "2-3")
    assert found(machine, "SMT").status == "warning"


def test_hidden_siblings_are_unknown(machine: Path) -> None:
    hide(machine / CPUS / "cpu1/topology/thread_siblings_list")
    assert found(machine, "SMT").status == "unknown"


def test_a_parents_fractional_quota_is_told_exactly(machine: Path) -> None:
    plant(machine, {"sys/fs/cgroup/a/cpu.max": "150000 100000"})
    finding = found(machine, "CPU quota")
    assert finding.status == "warning"
    assert finding.found == "1.5 cores for 4 CPUs"


@pytest.mark.parametrize(
    ("quota", "status"), [(4.0, "ok"), (3.9, "warning"), (math.inf, "ok"), (None, "unknown")]
)
def test_quota_against_four_cpus(quota: float | None, status: str) -> None:
    assert doctor.judge_quota(quota, (0, 1, 2, 3)).status == status


def test_a_narrow_affinity_is_a_warning(machine: Path) -> None:
    plant(machine, {"proc/self/status": "Cpus_allowed_list:\t1-2"})
    finding = found(machine, "affinity")
    assert finding.status == "warning"
    assert finding.found == "2 of 4 CPUs"


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize(
    ("total_kib", "free_kib", "swappiness", "status", "text"),
    [
        (0, 0, "60", "ok", "none"),
        (2_000_000, 1_500_000, "0", "warning", "0.51 of 2.05 GB in use"),
        (2_000_000, 2_000_000, "60", "warning", "2.05 GB, not in use, swappiness 60"),
        (2_000_000, 2_000_000, "10", "ok", "2.05 GB, not in use, swappiness 10"),
        (2_000_000, 2_000_000, "", "unknown", "2.05 GB, not in use, swappiness not readable"),
    ],
)
def test_swap(machine: Path, total_kib: int, free_kib: int, swappiness: str, status: str, text: str) -> None:
    plant(machine, {"proc/meminfo": f"SwapTotal: {total_kib} kB\nSwapFree: {free_kib} kB"})
    plant(machine, {"proc/sys/vm/swappiness": swappiness})
    finding = found(machine, "swap")
    assert (finding.status, finding.found) == (status, text)


@pytest.mark.parametrize(
    ("modes", "status"),
    [
        ("[always] madvise never", "warning"),
        ("always [madvise] never", "ok"),
        ("always madvise [never]", "ok"),
        ("", "unknown"),
    ],
)
def test_huge_pages(machine: Path, modes: str, status: str) -> None:
    plant(machine, {"sys/kernel/mm/transparent_hugepage/enabled": modes})
    assert found(machine, "huge pages").status == status


# ---------------------------------------------------------------- neighbours


def test_a_virtual_machine_is_named(machine: Path) -> None:
    plant(machine, {"proc/cpuinfo": "flags : fpu hypervisor", "sys/class/dmi/id/sys_vendor": "Some Cloud"})
    finding = found(machine, "virtualisation")
    assert finding.status == "warning"
    assert finding.found == "virtual machine (Some Cloud)"


@pytest.mark.parametrize(("load", "status"), [(0.1, "ok"), (0.11, "warning"), (None, "unknown")])
def test_other_load(load: float | None, status: str) -> None:
    assert doctor.judge_load(load, 4).status == status


@pytest.mark.parametrize(
    ("now", "since_start", "status"),
    [
        (0.0, 0.0, "ok"),
        (0.02, None, "ok"),
        (0.03, 0.0, "warning"),
        (0.0, 0.03, "warning"),
        (None, None, "unknown"),
        (None, 0.5, "unknown"),
    ],
)
def test_steal(now: float | None, since_start: float | None, status: str) -> None:
    assert doctor.judge_steal(now, since_start).status == status


# ---------------------------------------------------------------- energy


def conditions(energy_j: float | None) -> Conditions:
    return Conditions(other_load=0.0, steal=0.0, frequency_mhz=None, energy_j=energy_j)


def test_energy_counters() -> None:
    package = energy.Package(zone="intel-rapl:0", name="package-0", energy_uj=1, range_uj=9)
    reading = energy.Reading(packages=(package,))
    ready = doctor.judge_energy(reading, "", conditions(3.0))
    assert (ready.status, ready.found) == ("ok", "package-0")
    still = doctor.judge_energy(reading, "", conditions(0.0))
    assert (still.status, still.found) == ("unknown", "package-0, standing still")
    hidden = doctor.judge_energy(None, "not readable by this user", conditions(None))
    assert (hidden.status, hidden.found) == ("unknown", "not readable by this user")


# ---------------------------------------------------------------- the whole


def test_a_survey_has_a_finding_for_everything(machine: Path) -> None:
    surveyed = doctor.survey(0.05, machine)
    assert [finding.name for finding in surveyed.findings] == NAMES
    assert surveyed.conditions.other_load is not None
    assert surveyed.conditions.energy_j is None
    energy_finding = surveyed.findings[-1]
    assert (energy_finding.status, energy_finding.found) == ("unknown", "no counters shown")


def test_the_command_answers_in_json() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert set(answer) == {"findings", "conditions", "host"}
    assert [finding["name"] for finding in answer["findings"]] == NAMES
    assert answer["host"]["cores_usable"] >= 1
    assert "energy_j" in answer["conditions"]


def test_the_table_shows_words_and_advice_within_100_columns(machine: Path) -> None:
    plant(machine, {f"{CPUS}/intel_pstate/no_turbo": "0"})
    hide(machine / "sys/kernel/mm/transparent_hugepage/enabled")
    findings = doctor.judge(doctor.read(machine))
    out = io.StringIO()
    console = Console(file=out, width=100, color_system=None)
    console.print(finding_table(findings), verdict(findings))
    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 100
    assert any(line.split()[:3] == ["turbo", "warning", "on"] for line in lines)
    assert any(line.split()[:3] == ["governor", "ok", "performance"] for line in lines)
    assert any(line.split()[:3] == ["huge", "pages", "unknown"] for line in lines)
    assert "no_turbo" in out.getvalue()
    assert lines[-1] == "1 warning, 1 unknown, 7 ok"


def test_a_foreign_name_cannot_break_the_table(machine: Path) -> None:
    out = io.StringIO()
    findings = (doctor.judge_virtualisation("virtual machine (\x1b[2J[red]x)"),)
    Console(file=out, width=100, color_system=None).print(finding_table(findings))
    assert "\x1b" not in out.getvalue()
    assert "[red]x" in out.getvalue()
