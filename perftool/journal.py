"""What a run's journal keeps: children's answers, and what a sweep notes of itself.

Values only, as in `spec`. Times are integer nanoseconds, sizes are bytes.
"""

from typing import Literal

from msgspec import Struct

from perftool.machine import Conditions, Device, Finding, HostInfo
from perftool.record import Compiled, Evaluated, Failed, Offered, Prepared, Visited
from perftool.spec import ClosedLoad, Configuration, ModelSource, Profile


class LeftOut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration of the profile that is not measured, and why."""

    configuration: Configuration
    reason: str


#: A configuration, or an evaluation, that has failed this often is given up.
ATTEMPTS = 2
#: The stages whose failures count against a configuration.
MEASURING = ("compile", "visit", "offer")


class Planned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="planned"):
    """What a run will measure."""

    configurations: tuple[Configuration, ...]
    left_out: tuple[LeftOut, ...]
    devices: tuple[Device, ...]
    canary: str


class Started(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="started"):
    """The run was started, or resumed, by a process."""

    pid: int


class Surveyed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="surveyed"):
    """What could spoil measurements on this machine, as found before the measuring began."""

    findings: tuple[Finding, ...]
    conditions: Conditions


class Allowed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="allowed"):
    """More effort that the user allowed a run when resuming it, on top of its profile's."""

    extra_visits: int
    carry_percentile: bool


class Focused(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="focused"):
    """An extra round: which configurations it visits, under which load, and what for, one sentence each.

    Rounds that are to "decide" come out of the budget; those that "carry" a percentile do not.
    """

    round: int
    purpose: Literal["decide", "carry"]
    load: ClosedLoad
    configurations: tuple[str, ...]
    questions: tuple[str, ...]


class Finished(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="finished"):
    """Everything planned was done."""


Record = (
    Planned
    | Started
    | Surveyed
    | Allowed
    | Focused
    | Finished
    | Prepared
    | Evaluated
    | Compiled
    | Visited
    | Offered
    | Failed
)

#: History of the journal's format. 1: the first. 2: memory while compiling and under load apart, whether a
#: warm-up became steady, energy; records of open load, surveys, extra rounds and what the user allowed.
#: 3: images that were left out or converted; whether a model came quantized; whether its weights are the
#: published ones.
FORMAT = 3


class ModelIdentity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model a run measured. `digest` is the SHA-256 of what it is made from.

    `published` tells that its weights are, by checksum, those that the known model was published with.
    """

    name: str
    source: ModelSource
    digest: str
    reference: bool
    published: bool


class Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="header"):
    """The first line of a journal."""

    format: int
    created_ns: int
    profile: Profile
    model: ModelIdentity
    host: HostInfo


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a journal: a record, and when it was appended (Unix time)."""

    at_ns: int
    record: Record


class Run(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A journal, read."""

    header: Header
    entries: tuple[Entry, ...]
