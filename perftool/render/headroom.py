"""How near a run's configurations come to what their devices can do at most, in words.

Nothing is computed here; the picture is `roofline`'s.
"""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from perftool.analysis.result import Recommendation, Summary
from perftool.analysis.roofline import Placed, Roofline
from perftool.analysis.stats import Estimate
from perftool.render.numbers import plain, with_interval


def headroom(summary: Summary, recommendation: Recommendation) -> Group:
    """Return each device's limits, and how near to them the choice and the fastest of each precision come."""
    parts: list[RenderableType] = []
    for found in summary.rooflines:
        parts.append(Text(plain(limits_of(found))))
        for one in told(summary, recommendation, found.device):
            parts.append(Padding(Text(plain(one.words)), (0, 0, 0, 2)))
    return Group(*parts)


def told(summary: Summary, recommendation: Recommendation, device: str) -> list[Placed]:
    """Return the choice, if it is of the device, then the fastest of each other precision."""
    here = {one.id for one in summary.configurations if one.device == device}
    found: dict[str, Placed] = {}
    for one in sorted(summary.placed, key=lambda one: (one.id != recommendation.id, -one.gflops.point)):
        if one.id in here:
            found.setdefault(one.precision, one)
    return list(found.values())


def limits_of(found: Roofline) -> str:
    """Say in a line what a device can do at most."""
    ceilings = ", ".join(f"{one.precision} {_rate(one.gflops)}" for one in found.ceilings)
    disturbed = ", disturbed, so maybe too low" if found.disturbed else ""
    return (
        f"limits of {found.device} (measured {found.measured}{disturbed}): {ceilings} GFLOP/s; "
        f"memory {_rate(found.bandwidth_gb_s)} GB/s"
    )


def _rate(estimate: Estimate) -> str:
    """Write a rate in about three digits, and half its interval."""
    return with_interval(estimate, 0 if estimate.point >= 100 else 1)
