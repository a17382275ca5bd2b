"""Energy counters, read off trees of files like the kernel's."""

from pathlib import Path

import pytest

from perftool.bench import energy

RANGE_UJ = 262_143_328_850


def plant(root: Path, zone: str, name: str, energy_uj: int | str, range_uj: int = RANGE_UJ) -> None:
    """Write one zone of powercap."""
    folder = root / "sys/class/powercap" / zone
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")


def test_packages_count_once_and_nothing_else_does(tmp_path: Path) -> None:
    plant(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    plant(tmp_path, "intel-rapl:0:0", "core", 3_000_000)
    plant(tmp_path, "intel-rapl:0:1", "dram", 1_000_000)
    plant(tmp_path, "intel-rapl:0:2", "package-0-part", 1_000_000)
    plant(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    plant(tmp_path, "intel-rapl:2", "psys", 90_000_000)
    plant(tmp_path, "intel-rapl-mmio:0", "package-0", 5_000_000)
    before = energy.read(tmp_path)
    assert before is not None
    assert [one.name for one in before.packages] == ["package-0", "package-1"]
    plant(tmp_path, "intel-rapl:0", "package-0", 6_500_000)
    plant(tmp_path, "intel-rapl:0:0", "core", 4_000_000)
    plant(tmp_path, "intel-rapl:1", "package-1", 7_250_000)
    plant(tmp_path, "intel-rapl:2", "psys", 99_000_000)
    assert energy.joules_between(before, energy.read(tmp_path)) == pytest.approx(1.75)


def test_a_counter_that_starts_again_goes_on(tmp_path: Path) -> None:
    plant(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 2_000_000)
    before = energy.read(tmp_path)
    plant(tmp_path, "intel-rapl:0", "package-0", 3_000_000)
    assert energy.joules_between(before, energy.read(tmp_path)) == pytest.approx(5.0)


def test_no_counters_are_no_reading(tmp_path: Path) -> None:
    assert energy.read(tmp_path) is None
    assert energy.missing(tmp_path) == "no counters shown"


def test_only_other_zones_are_no_reading(tmp_path: Path) -> None:
    plant(tmp_path, "intel-rapl:0", "psys", 1)
    assert energy.read(tmp_path) is None
    assert energy.missing(tmp_path) == "no counters shown"


@pytest.mark.parametrize("hidden", ["name", "energy_uj", "max_energy_range_uj"])
def test_one_package_that_cannot_be_read_leaves_no_reading(tmp_path: Path, hidden: str) -> None:
    plant(tmp_path, "intel-rapl:0", "package-0", 1)
    plant(tmp_path, "intel-rapl:1", "package-1", 1)
    # A folder where a file should be fails to be read, for root too.
    path = tmp_path / "sys/class/powercap/intel-rapl:1" / hidden
    path.unlink()
    path.mkdir()
    assert energy.read(tmp_path) is None
    assert energy.missing(tmp_path) == "not readable by this user"


def test_a_counter_that_is_no_number_is_no_reading(tmp_path: Path) -> None:
    plant(tmp_path, "intel-rapl:0", "package-0", "<unsupported>")
    assert energy.read(tmp_path) is None


def test_readings_of_different_packages_do_not_compare(tmp_path: Path) -> None:
    plant(tmp_path, "intel-rapl:0", "package-0", 1)
    before = energy.read(tmp_path)
    plant(tmp_path, "intel-rapl:1", "package-1", 1)
    after = energy.read(tmp_path)
    assert energy.joules_between(before, after) is None
    assert energy.joules_between(None, after) is None
    assert energy.joules_between(before, None) is None
