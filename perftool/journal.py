"""What a run's journal keeps: children's answers, and what a sweep notes of itself.

Values only, as in `spec`. Times are integer nanoseconds, sizes are bytes.
"""

from typing import Literal

from msgspec import Struct

from perftool.machine import Conditions, Device, Finding, HostInfo
from perftool.record import (
    Compiled,
    Evaluated,
    Failed,
    LayersTimed,
    Offered,
    PeaksMeasured,
    Prepared,
    Visited,
)
from perftool.spec import ClosedLoad, Configuration, ModelSource, Profile


class LeftOut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration of the profile that is not measured, and why."""

    configuration: Configuration
    reason: str


#: A configuration, or an evaluation, that has failed this often is given up.
ATTEMPTS = 2

#: The file in a run's folder that the journal is.
JOURNAL = "journal.jsonl"
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

    Rounds that are to "decide" come out of the budget; those that "carry" a percentile do not, nor do those
    that "confirm" what is going to be recommended, in fresh processes, nor those that "complete" the
    profile's, under all of its loads, where a stop cut some or a race took something up again.
    """

    round: int
    purpose: Literal["decide", "carry", "confirm", "complete"]
    load: ClosedLoad
    configurations: tuple[str, ...]
    questions: tuple[str, ...]


class Drop(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration that a race visits no more: what beats it, and the reason in a sentence."""

    configuration: str
    by: str
    reason: str


class Raced(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="raced"):
    """What a race decided after a round.

    `front` are those that are beaten on the objective, and kept because nothing beats them in every respect:
    the Pareto front. They are visited shortly from here on.
    """

    round: int
    drops: tuple[Drop, ...]
    front: tuple[str, ...]


class Readmitted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="readmitted"):
    """Configurations that a race dropped and takes up again, since what beat them is no choice any more."""

    configurations: tuple[str, ...]


class Twin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="twin"):
    """A configuration that compiled to the same properties as one before: it is measured there."""

    configuration: str
    of: str


class Proposed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="proposed"):
    """A configuration that a search by proposals visits, and where the proposal came from."""

    configuration: str
    source: Literal["hint", "random", "model"]


class Finished(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="finished"):
    """Everything planned was done."""


Record = (
    Planned
    | Started
    | Surveyed
    | Allowed
    | Focused
    | Raced
    | Readmitted
    | Twin
    | Proposed
    | Finished
    | Prepared
    | Evaluated
    | Compiled
    | Visited
    | Offered
    | LayersTimed
    | PeaksMeasured
    | Failed
)

#: History of the journal's format. 1: the first. 2: memory while compiling and under load apart, whether a
#: warm-up became steady, energy; records of open load, surveys, extra rounds and what the user allowed.
#: 3: images that were left out or converted; whether a model came quantized; whether its weights are the
#: published ones. 4: how a space is searched: races, twins, proposals; rounds that confirm.
#: 5: times of layers, peaks of the device, the bytes that kernels move. 6: what the kernels of an evaluation
#: ran in, rounds that complete the profile's.
FORMAT = 6


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


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One line of a journal: a record, and when it was appended (Unix time)."""

    at_ns: int
    record: Record


class Run(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A journal, read."""

    header: Header
    entries: tuple[Entry, ...]
