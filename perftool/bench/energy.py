"""What the processors drew, by their own counters (RAPL, through the kernel's powercap).

Counts whole packages, with everything that runs on them, neighbours included. Their sub-domains are part of
them and `psys` is the whole platform, so neither is added. Estimates nothing: where one package cannot be
read there is no reading.
"""

import re
from pathlib import Path

from msgspec import Struct

POWERCAP = "sys/class/powercap"


class Package(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One package's counter: microjoules since some moment, up to `range_uj`, where it starts again."""

    zone: str
    name: str
    energy_uj: int
    range_uj: int


class Reading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The counters of all packages at one moment."""

    packages: tuple[Package, ...]


def read(root: Path = Path("/")) -> Reading | None:
    """Read the counters; None where there are none or one of them cannot be read."""
    try:
        packages = tuple(_package(zone) for zone in _zones(root))
    except (OSError, ValueError):
        return None
    return Reading(packages=packages) if packages else None


def missing(root: Path = Path("/")) -> str:
    """Say why there is no reading."""
    try:
        zones = _zones(root)
    except OSError:
        return "not readable by this user"
    return "not readable by this user" if zones else "no counters shown"


def joules_between(before: Reading | None, after: Reading | None) -> float | None:
    """Return the joules of all packages between two readings; None where they don't compare.

    A counter that lies lower has started again once. That it did so more often cannot be seen: at 300 W the
    usual range of 262 kJ lasts a quarter of an hour, far longer than a visit.
    """
    if before is None or after is None:
        return None
    if [one.zone for one in before.packages] != [one.zone for one in after.packages]:
        return None
    total = 0
    for earlier, later in zip(before.packages, after.packages, strict=True):
        drawn = later.energy_uj - earlier.energy_uj
        total += drawn if drawn >= 0 else drawn + later.range_uj
    return total / 1e6


def _zones(root: Path) -> list[Path]:
    """List the packages' folders: `intel-rapl:0`, on AMD too, but not its sub-domain `intel-rapl:0:0`."""
    zones = (root / POWERCAP).glob("intel-rapl:*")
    top = [zone for zone in zones if re.fullmatch(r"intel-rapl:\d+", zone.name)]
    return sorted(zone for zone in top if _name(zone).startswith("package"))


def _name(zone: Path) -> str:
    return (zone / "name").read_text(encoding="utf-8", errors="replace").strip()


def _package(zone: Path) -> Package:
    return Package(
        zone=zone.name,
        name=_name(zone),
        energy_uj=int((zone / "energy_uj").read_text(encoding="utf-8")),
        range_uj=int((zone / "max_energy_range_uj").read_text(encoding="utf-8")),
    )
