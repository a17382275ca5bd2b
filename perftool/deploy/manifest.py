"""What a bundle says of itself: its files, what it deploys, and the figures that it claims.

Values only, decoded strictly. A manifest tells that a bundle is whole and unchanged; it is not signed, so it
does not tell who made it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, structs

from perftool.analysis.result import AccuracyResult, LatencyIntervals
from perftool.analysis.stats import Estimate
from perftool.deploy.choice import Copy, Exported
from perftool.machine import HostInfo
from perftool.spec import Configuration, Count, Geometry

MANIFEST = "manifest.json"
#: The list of files of an export that is no bundle. Servers read the folders beside it, and not this.
LISTING = "export.json"

#: History of the manifest's format. 1: the first.
FORMAT = 1

_SHA256: Final = re.compile(r"[0-9a-f]{64}")

#: What a figure (images per second, milliseconds) can be at most; its inverse is the least.
_MOST: Final = 1e12


class File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the bundle."""

    sha256: str
    bytes: Annotated[int, Meta(ge=0)]

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be a SHA-256."""
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError("a SHA-256 is written in 64 digits, 0 to 9 and a to f")


class Listing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An export that is no bundle: all its files but this list, by which a later export may replace it."""

    format: Literal[1]
    files: dict[str, File]

    def __post_init__(self) -> None:
        """Raise ValueError for a file that lies elsewhere."""
        for path in self.files:
            check_path(path)


class Deployed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that the figures are figures of. `digest` is that of its source (`perftool show` names it).

    `weights` says whose weights it has; `licence` is None where perftool does not know it.
    """

    name: str
    digest: str
    weights: str
    licence: str | None
    file: str

    def __post_init__(self) -> None:
        """Raise ValueError for a model file that lies elsewhere."""
        check_path(self.file)


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
    visits: Annotated[int, Meta(ge=0)]

    def __post_init__(self) -> None:
        """Raise ValueError for figures that nothing can have."""
        _check_figure("a throughput", self.throughput_fps)
        for name in ("p50", "p90", "p95", "p99"):
            if (estimate := getattr(self.latency_ms, name, None)) is not None:
                _check_figure(f"a latency, {name},", estimate)


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
    files: dict[str, File]

    def __post_init__(self) -> None:
        """Raise ValueError for a file that lies elsewhere."""
        for path in self.files:
            check_path(path)


def listed(exported: Exported) -> Exported:
    """Return an export with the list of its files among them."""
    listing = Listing(format=1, files=described(exported.files))
    content = msgspec.json.format(msgspec.json.encode(listing), indent=2) + b"\n"
    return structs.replace(exported, files={**exported.files, LISTING: content})


def described(files: Mapping[str, bytes | Copy]) -> dict[str, File]:
    """Return the SHA-256 and size of each file."""
    return {name: _described(content) for name, content in sorted(files.items())}


def _described(content: bytes | Copy) -> File:
    if isinstance(content, Copy):
        return File(sha256=content.sha256, bytes=content.bytes)
    return File(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def check_path(path: str) -> None:
    """Raise ValueError for a path that leads out of a folder, or is not written in one way only."""
    if not path.isprintable():
        raise ValueError(f"the path {path!r} holds characters that cannot be shown")
    if "\\" in path:
        raise ValueError(f"the path {path!r} holds a backslash; folders are parted by /")
    if path.startswith("/"):
        raise ValueError(f"the path {path!r} leads out of the folder: it begins with /")
    parts = path.split("/")
    if ".." in parts:
        raise ValueError(f"the path {path!r} leads out of the folder, by ..")
    if "" in parts or "." in parts:
        raise ValueError(f"the path {path!r} has a part that is empty or a single dot")


def _check_figure(what: str, estimate: Estimate) -> None:
    """Raise ValueError for an estimate that no measurement gives."""
    ends = (estimate.low, estimate.point, estimate.high)
    for value in ends:
        if value is not None and not 1 / _MOST <= value <= _MOST:
            raise ValueError(f"claims {what} of {value:g}, which nothing can have")
    stated = [value for value in ends if value is not None]
    if stated != sorted(stated):
        span = f"{estimate.low} to {estimate.high}"
        raise ValueError(f"claims {what} of {estimate.point:g}, outside of its own interval ({span})")
