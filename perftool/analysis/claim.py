"""Hold a claim against what was measured again: confirmed, better, worse, not decided, or not to be compared.

The rules are those of docs/deployment.md, "Verifying". Measures nothing and formats nothing but sentences.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct, structs

from perftool.analysis import stats
from perftool.analysis.evidence import NS_PER_MS, disturbed, speaking, throughput_fps
from perftool.analysis.result import LatencyIntervals
from perftool.analysis.stats import Estimate
from perftool.machine import HostInfo
from perftool.record import Compiled, Visited
from perftool.spec import Closed

#: A ratio within this of 1 is as good as 1. The ratio itself counts, not the ends of its interval: else the
#: same ratio would be confirmed by many visits and refused by few.
BAND = 0.05

#: A confirmed ratio whose interval reaches further than this to the worse side leaves something open.
WIDE = 0.10

#: The rounds without foreign load that a claim takes to be refused: as many as an interval does.
QUIET = 6

#: What a machine is, as far as figures go. Kernel, memory and Python do not count.
IDENTITY = (
    *("cpu", "isa", "cores_usable", "cores_physical", "cores_logical", "smt"),
    *("virtualisation", "governor", "turbo", "openvino"),
)

#: The figures that a claim stands or falls with; the others are shown.
DECISIVE = ("throughput", "latency_p50")

Verdict = Literal["confirmed", "better", "worse", "not decided", "not comparable"]


class Figures(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures that can be claimed and measured; latency is a request's, in ms, under the closed load."""

    throughput_fps: Estimate
    latency_ms: LatencyIntervals | None
    executed_precision: str | None


class Compared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One figure, claimed and measured. `ratio` is measured over claimed, whichever way is better."""

    name: str
    unit: str
    claimed: Estimate
    measured: Estimate
    ratio: Estimate
    verdict: Verdict


class Checked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A claim, checked. `differences` are why its figures cannot be compared; `reasons` why it is worse.

    `open` is what was not decided or not compared, and what a confirmed claim leaves open. `visits` speak,
    `disturbed` of them under foreign load.
    """

    verdict: Verdict
    differences: tuple[str, ...]
    reasons: tuple[str, ...]
    open: tuple[str, ...]
    compared: tuple[Compared, ...]
    executed_claimed: str | None
    executed_measured: str | None
    visits: int
    disturbed: int


def figures(compiled: Compiled, visits: Sequence[Visited]) -> Figures:
    """Return the figures of visits under the closed load, of which there is at least one."""
    heard = _heard(visits)
    samples = [[value / NS_PER_MS for value in visit.latencies_ns] for visit in heard]
    p50, p90, p95, p99 = (stats.percentile_estimate(samples, percentile) for percentile in (50, 90, 95, 99))
    most = max(compiled.executed, key=lambda one: (one.flops, one.kernels), default=None)
    return Figures(
        throughput_fps=stats.median_estimate([throughput_fps(visit) for visit in heard]),
        latency_ms=LatencyIntervals(p50=p50, p90=p90, p95=p95, p99=p99),
        executed_precision=most.precision if most else None,
    )


def check(
    claimed: Figures, measured: Figures, differences: Sequence[str], visits: Sequence[Visited]
) -> Checked:
    """Hold a claim against a measurement; with any difference that counts nothing is confirmed or refused.

    Foreign load only slows: where too few visits are free of it, what is slower than claimed is not decided.
    """
    heard = _heard(visits)
    loaded = sum(disturbed(visit) for visit in heard)
    compared = _compared(claimed, measured)
    decisive = tuple(one for one in compared if one.name in DECISIVE)
    slower = tuple(_worse(one) for one in decisive if one.verdict == "worse")
    doubtful = tuple(_worse(one) for one in decisive if _behind(one)) if loaded else ()
    reasons = (*(() if loaded else slower), *_other_precision(claimed, measured))
    better = any(one.verdict == "better" for one in compared if one.name == "throughput")
    verdict: Verdict = "better" if better else "confirmed"
    if reasons or doubtful:
        verdict = "worse" if reasons else "not decided"
    return Checked(
        verdict="not comparable" if differences else verdict,
        differences=tuple(differences),
        reasons=reasons,
        open=(
            *(doubtful or (said for one in decisive if (said := _open(one)))),
            *_not_compared(claimed, measured),
        ),
        compared=compared,
        executed_claimed=claimed.executed_precision,
        executed_measured=measured.executed_precision,
        visits=len(heard),
        disturbed=loaded,
    )


def _heard(visits: Sequence[Visited]) -> tuple[Visited, ...]:
    """Return the visits that speak: those free of foreign load, where they are enough to decide by."""
    heard = speaking(visits, Closed)
    quiet = tuple(visit for visit in heard if not disturbed(visit))
    return quiet if len(quiet) >= QUIET else heard


def _behind(one: Compared) -> bool:
    """Tell whether a figure is worse than its claim by more than the band, whatever its interval."""
    return abs(one.ratio.point - 1) > BAND and (one.ratio.point > 1) == (one.name != "throughput")


def _not_compared(claimed: Figures, measured: Figures) -> tuple[str, ...]:
    """Say that the median latency decided nothing, where it is not known on one of the sides."""
    if getattr(claimed.latency_ms, "p50", None) is None:
        return ("latency was not compared: none is claimed",)
    if getattr(measured.latency_ms, "p50", None) is None:
        return ("latency was not compared: too little was measured of it here",)
    return ()


def _other_precision(claimed: Figures, measured: Figures) -> tuple[str, ...]:
    ran, claims = measured.executed_precision, claimed.executed_precision
    if ran == claims:
        return ()
    return (f"it ran in {ran or 'an unknown precision'}, not in {claims or 'one that was claimed'}",)


def host_differences(claimed: HostInfo, here: HostInfo) -> tuple[str, ...]:
    """Say in what two machines differ, as far as figures go."""
    return tuple(
        f"{name} was {_shown(getattr(claimed, name))}, is {_shown(getattr(here, name))}"
        for name in IDENTITY
        if getattr(claimed, name) != getattr(here, name)
    )


def property_differences(claimed: Mapping[str, str], asked: Mapping[str, str]) -> tuple[str, ...]:
    """Say which compile properties are not those of the claim."""
    return tuple(
        f"{name} was {claimed.get(name, 'not set')}, is {asked.get(name, 'not set')}"
        for name in dict.fromkeys((*claimed, *asked))
        if claimed.get(name) != asked.get(name)
    )


def _compared(claimed: Figures, measured: Figures) -> tuple[Compared, ...]:
    found = [
        _compare("throughput", "images/s", "higher", claimed.throughput_fps, measured.throughput_fps),
    ]
    for name in ("p50", "p90", "p95", "p99"):
        before, now = (getattr(one.latency_ms, name, None) for one in (claimed, measured))
        if before is not None and now is not None:
            found.append(_compare(f"latency_{name}", "ms", "lower", before, now))
    return tuple(found)


def _compare(
    name: str, unit: str, better: Literal["higher", "lower"], claimed: Estimate, measured: Estimate
) -> Compared:
    """Compare a figure; a claim without an interval is taken at its word."""
    ratio = stats.ratio_of_independent(_bounded(measured), _bounded(claimed))
    low, high = (ratio.point if end is None else end for end in (ratio.low, ratio.high))
    verdict: Verdict = "better" if (low > 1) == (better == "higher") else "worse"
    if low <= 1 <= high or abs(ratio.point - 1) <= BAND:
        verdict = "confirmed"
    return Compared(name=name, unit=unit, claimed=claimed, measured=measured, ratio=ratio, verdict=verdict)


def _bounded(estimate: Estimate) -> Estimate:
    """Return an estimate with both ends, its point where one is open."""
    low, high = (estimate.point if end is None else end for end in (estimate.low, estimate.high))
    return structs.replace(estimate, low=low, high=high)


def _worse(one: Compared) -> str:
    span = ""
    if one.ratio.low is not None and one.ratio.high is not None:
        span = f" ({one.ratio.low:.2f}x to {one.ratio.high:.2f}x)"
    label = one.name.replace("_", " ")
    return (
        f"{label} {one.claimed.point:.4g} {one.unit} claimed, {one.measured.point:.4g} measured: "
        f"{one.ratio.point:.2f}x{span}"
    )


def _open(one: Compared) -> str | None:
    """Say how much worse a confirmed figure may be, where that is much."""
    if one.verdict != "confirmed" or one.ratio.low is None or one.ratio.high is None:
        return None
    end = one.ratio.low if one.name == "throughput" else one.ratio.high
    if abs(end - 1) <= WIDE or (end > 1) == (one.name == "throughput"):
        return None
    label = one.name.replace("_", " ")
    return f"{label} may be {end:.2f}x of what is claimed: more visits, or a quieter machine, would tell"


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
