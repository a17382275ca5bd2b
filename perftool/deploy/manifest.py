"""What a bundle says of itself: its files, what it deploys, and the figures that it claims.

Values only, decoded strictly. A manifest tells that a bundle is whole and unchanged; it is not signed, so it
does not tell who made it.
"""

from typing import Annotated

from msgspec import Meta, Struct

from perftool.analysis.result import AccuracyResult, LatencyIntervals
from perftool.analysis.stats import Estimate
from perftool.machine import HostInfo
from perftool.spec import Configuration, Count, Geometry

MANIFEST = "manifest.json"

#: History of the manifest's format. 1: the first.
FORMAT = 1

_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
#: A path inside the bundle: no part of it is empty, `.` or `..`.
_Path = Annotated[str, Meta(pattern=r"^(?!\.{0,2}(/|$))[^/\\\x00]+(/(?!\.{0,2}(/|$))[^/\\\x00]+)*$")]


class File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the bundle."""

    sha256: _Sha256
    bytes: Annotated[int, Meta(ge=0)]


class Deployed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that the figures are figures of. `digest` is that of its source (`perftool show` names it).

    `weights` says whose weights it has; `licence` is None where perftool does not know it.
    """

    name: str
    digest: str
    weights: str
    licence: str | None
    file: _Path


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures with their 95 % intervals, as a run had them. Latency is a request's, under the closed load.

    `accuracy_of` says what the accuracy is the accuracy of. `visits` is what the intervals are over.
    """

    throughput_fps: Estimate
    latency_ms: LatencyIntervals | None
    executed_precision: str | None
    executed_share: float | None
    accuracy: AccuracyResult | None
    accuracy_of: str | None
    visits: int


class Origin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The run that a bundle comes from."""

    id: str
    created: str
    profile: str


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle, whole. `files` are all its files but the manifest; `host` holds the versions too.

    `properties` are what `compile_model` was given, `streams`, `threads` and `requests` what came of them.
    """

    format: Annotated[int, Meta(ge=1, le=FORMAT)]
    model: Deployed
    configuration: Configuration
    properties: dict[str, str]
    streams: int | None
    threads: int | None
    requests: Count
    geometry: Geometry
    claim: Claim
    run: Origin
    host: HostInfo
    notes: tuple[str, ...]
    files: dict[_Path, File]
