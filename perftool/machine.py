"""What a machine is, what it did during a visit, and which devices answer on it.

Values only, as in `spec`. Times are integer nanoseconds, sizes are bytes.
"""

from typing import Literal

from msgspec import Struct, structs


class HostInfo(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine's identity, compared whenever runs meet. What cannot be read is "unknown".

    So is an `smt` that a virtual machine calls off, in an old journal too: a hypervisor need not show
    siblings.
    """

    cpu: str
    isa: tuple[str, ...]
    cores_usable: int
    cores_physical: int
    cores_logical: int
    smt: Literal["on", "off", "unknown"]
    memory_bytes: int
    virtualisation: str
    governor: str
    turbo: str
    kernel: str
    python: str
    openvino: str
    nncf: str
    perftool: str

    def __post_init__(self) -> None:
        if self.smt == "off" and is_virtual(self.virtualisation):
            structs.force_setattr(self, "smt", "unknown")


def is_virtual(virtualisation: str) -> bool:
    """Tell whether a machine is a virtual one, by what it says of itself."""
    return virtualisation.startswith("virtual")


#: A visit is disturbed when other processes, or the hypervisor, took more than this share of all CPU time.
FOREIGN_LOAD = 0.10


class Conditions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the machine did during a visit: shares of all its CPU time, 0 to 1; None where unknown.

    `other_load` is what processes other than the child used, `steal` what the hypervisor took away.
    `energy_j` is what the machine's processors drew in that time, by their own counters.
    """

    other_load: float | None
    steal: float | None
    frequency_mhz: float | None
    energy_j: float | None


class Finding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing about a machine that can spoil measurements. `advice` says what to do about a warning."""

    name: str
    status: Literal["ok", "warning", "unknown"]
    found: str
    advice: str = ""


class DeviceFound(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="found"):
    """A device that answers. `streams` is its range of stream counts, None where it has none.

    `properties` can be set; `choices` are those of them that say which cores do the work, where there is more
    than one way on this machine.
    """

    name: str
    full_name: str
    capabilities: tuple[str, ...]
    streams: tuple[int, int] | None
    properties: tuple[str, ...]
    choices: tuple[str, ...] = ()


class DeviceMissing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="missing"):
    """A device that cannot be used, why, and what to install."""

    name: str
    reason: str
    advice: str


Device = DeviceFound | DeviceMissing
