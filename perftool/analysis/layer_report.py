"""What `perftool profile` found: one layer profile, or two side by side, and what they were worked out from.

Pure.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from perftool.analysis.headroom import rooflines_of
from perftool.analysis.layer_changes import ProfilesCompared, against
from perftool.analysis.layers import LayerProfile, layer_profiles
from perftool.analysis.roofline import Roofline
from perftool.journal import Header
from perftool.machine import HostInfo
from perftool.record import Failed, LayersTimed, PeaksMeasured


class LayerReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `perftool profile` found, as its JSON shows it. `other` and `changes` are None without --against.

    `reference` tells that the model has perftool's own weights. `rooflines` are the peaks that the layers are
    held against, `without_peaks` says of each device that has none why they could not be measured.
    """

    created: str
    model: str
    model_digest: str
    reference: bool
    host: HostInfo
    profile: LayerProfile
    other: LayerProfile | None
    changes: ProfilesCompared | None
    rooflines: tuple[Roofline, ...] = ()
    without_peaks: tuple[str, ...] = ()


class LayerSamples(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `perftool profile` measured, from which its report is worked out again: every burst of every node.

    `peaks` are those that it was held against, kept ones too; `lost` the devices whose peaks failed.
    """

    header: Header
    timed: tuple[LayersTimed, ...]
    peaks: tuple[PeaksMeasured, ...] = ()
    lost: tuple[Failed, ...] = ()

    def report(self) -> LayerReport:
        """Work the report out."""
        return layer_report(self.header, self.timed, rooflines_of(self.peaks), self.lost)


def layer_report(
    header: Header,
    timed: Sequence[LayersTimed],
    rooflines: Mapping[str, Roofline] | None = None,
    lost: Sequence[Failed] = (),
) -> LayerReport:
    """Put together what was timed: one configuration, or two of which the second is compared with.

    `rooflines` are the devices' peaks, by device; `lost` the devices that could not be asked for theirs.
    """
    profiles = layer_profiles(timed, rooflines, header.host)
    other = profiles[1] if len(profiles) > 1 else None
    return LayerReport(
        created=datetime.fromtimestamp(header.created_ns / 1e9, UTC).isoformat(timespec="seconds"),
        model=header.model.name,
        model_digest=header.model.digest,
        reference=header.model.reference,
        host=header.host,
        profile=profiles[0],
        other=other,
        changes=against(profiles[0], other) if other else None,
        rooflines=tuple((rooflines or {}).values()),
        without_peaks=tuple(f"{one.subject}: {one.reason}" for one in lost),
    )
