"""The roofline: what a device can do at most, and how near to it a configuration or a layer comes.

After Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures" (Communications of the ACM 52, 2009). From a PeaksMeasured record; nothing here measures.
docs/roofline.md explains what the limit is, and what it is not.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from perftool.analysis.evidence import disturbed
from perftool.analysis.stats import Estimate, median_estimate, ratio_of_independent
from perftool.record import Executed, Peak, PeaksMeasured

MEMORY = "memory bandwidth"
#: What makes up less of the limit than this is not named.
_NAMED = 0.10
#: What is surely above so many percent of a limit, and not surely below the limit, is said to be at it.
_NEAR = 90.0
#: What is above so many percent of a limit shows, where the peaks were disturbed, that these are too low.
_BELIEVABLE = 110.0
_GIGA = 1e9


class Ceiling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most operations per second that was seen in one precision, in 10^9, and the kernel that did it."""

    precision: str
    kernel: str
    gflops: Estimate


class Roofline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device's ceilings, the highest first, and its memory bandwidth in 10^9 bytes per second.

    `measured` is when; `disturbed` tells that something else took a share of the machine meanwhile, so that
    all of it may be too low.
    """

    device: str
    ceilings: tuple[Ceiling, ...]
    bandwidth_gb_s: Estimate
    measured: str
    disturbed: bool = False


class Placed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a configuration lies: operations per byte, the rate reached and the limit, in 10^9 operations/s.

    `of_limit` is the rate in percent of the limit, whether or not that is believable; `bound` what the limit
    is made of. `words` say the headroom in a sentence.
    """

    id: str
    precision: str
    intensity: float
    gflops: Estimate
    limit_gflops: float
    of_limit: Estimate
    bound: str
    words: str


# ---------------------------------------------------------------- the device


def roofline(peaks: PeaksMeasured) -> Roofline:
    """Return the roofline of a device: in each precision that a kernel really ran in, the fastest kernel.

    A kernel that ran in another precision than it was asked for counts for the one that it ran in; one that
    ran in several, or in one that its name does not tell, counts for none.
    Raises ValueError where there is no ceiling, or no bandwidth.
    """
    ceilings: dict[str, Ceiling] = {}
    bandwidths: list[Estimate] = []
    for peak in peaks.peaks:
        rate = rate_of(peak)
        if peak.kernel == "memory":
            bandwidths.append(rate)
        elif peak.executed not in ("", "unknown") and "+" not in peak.executed:
            known = ceilings.get(peak.executed)
            if known is None or rate.point > known.gflops.point:
                ceilings[peak.executed] = Ceiling(precision=peak.executed, kernel=peak.kernel, gflops=rate)
    if not ceilings or not bandwidths:
        raise ValueError(f"the peaks of {peaks.device} make no roofline: a kind of kernel is missing")
    measured = datetime.fromtimestamp(peaks.measured_ns / _GIGA, tz=UTC)
    return Roofline(
        device=peaks.device,
        ceilings=tuple(sorted(ceilings.values(), key=lambda one: -one.gflops.point)),
        bandwidth_gb_s=max(bandwidths, key=lambda one: one.point),
        measured=measured.isoformat(timespec="seconds"),
        disturbed=disturbed(peaks),
    )


def rate_of(peak: Peak) -> Estimate:
    """Return a kernel's rate in 10^9 a second: the median over bursts of the work over the time it took."""
    return median_estimate([peak.work * len(burst) / sum(burst) for burst in peak.times_ns if sum(burst) > 0])


def ceiling_of(found: Roofline, precision: str) -> Ceiling | None:
    """Return the ceiling of a precision; None where no kernel ran in it."""
    return next((one for one in found.ceilings if one.precision == precision), None)


def believable(percent: float, found: Roofline) -> bool:
    """Tell whether a percent of a limit can be: not where the limit was disturbed and is surely exceeded."""
    return not (found.disturbed and percent > _BELIEVABLE)


# ---------------------------------------------------------------- a configuration


class _Rates(NamedTuple):
    """A roofline's rates a second, all at their points, or all at the same end of their intervals."""

    ceilings: dict[str, float]
    bandwidth: float


class _Part(NamedTuple):
    """What a graph's kernels of one precision take at least, and what of the device makes them take it."""

    seconds: float
    bound: str


def place(
    found: Roofline,
    *,
    id: str,
    precision: str,
    executed: Sequence[Executed],
    batch: int,
    throughput_fps: Estimate,
) -> Placed | None:
    """Return where a configuration lies; None where it carries no operations, or nobody counted its bytes.

    `executed` is of one inference of a batch. The limit is the rate at which it would run if its kernels of
    each precision took no longer than their operations take at the ceiling, or their bytes at the memory's
    bandwidth, whichever is longer. The interval is that of the throughput and of the ceilings together.
    """
    flops = sum(one.flops for one in executed)
    moved = [one.bytes for one in executed if one.bytes]
    rates = _rates(found, "point")
    if flops <= 0 or len(moved) < len(executed) or throughput_fps.point <= 0 or rates is None:
        return None
    parts = _parts(rates, executed)
    seconds = sum(part.seconds for part in parts)
    limit_fps = Estimate(
        point=batch / seconds,
        low=_limit_fps(_rates(found, "low"), executed, batch),
        high=_limit_fps(_rates(found, "high"), executed, batch),
    )
    of_limit = scaled(ratio_of_independent(throughput_fps, limit_fps), 100.0)
    bound = _bound(parts)
    words = _unreliable(id, of_limit)
    if believable(of_limit.point, found):
        words = said(id, of_limit, bound, disturbed=found.disturbed)
    return Placed(
        id=id,
        precision=precision,
        intensity=flops / sum(moved),
        gflops=scaled(throughput_fps, flops / batch / _GIGA),
        limit_gflops=flops / seconds / _GIGA,
        of_limit=of_limit,
        bound=bound,
        words=words,
    )


def _rates(found: Roofline, end: Literal["point", "low", "high"]) -> _Rates | None:
    """Return all rates at their points or at one end of their intervals; None where any has none."""
    estimates = {one.precision: one.gflops for one in found.ceilings}
    rates: dict[str, float] = {}
    for name, estimate in (*estimates.items(), (MEMORY, found.bandwidth_gb_s)):
        value: float | None = getattr(estimate, end)
        if value is None:
            return None
        rates[name] = value * _GIGA
    return _Rates(bandwidth=rates.pop(MEMORY), ceilings=rates)


def _parts(rates: _Rates, executed: Iterable[Executed]) -> list[_Part]:
    """Return what the kernels of each precision take at least.

    What ran in a precision that has no ceiling is taken at the highest there is: the limit can only be too
    high for it, never too low.
    """
    parts = []
    for one in executed:
        ceiling = rates.ceilings.get(one.precision, max(rates.ceilings.values()))
        arithmetic, memory = one.flops / ceiling, (one.bytes or 0) / rates.bandwidth
        bound = f"{one.precision} arithmetic" if arithmetic >= memory else MEMORY
        parts.append(_Part(seconds=max(arithmetic, memory), bound=bound))
    return parts


def _limit_fps(rates: _Rates | None, executed: Sequence[Executed], batch: int) -> float | None:
    return None if rates is None else batch / sum(part.seconds for part in _parts(rates, executed))


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """Return an estimate in another unit."""
    return Estimate(
        point=estimate.point * factor,
        low=None if estimate.low is None else estimate.low * factor,
        high=None if estimate.high is None else estimate.high * factor,
    )


def _bound(parts: Sequence[_Part]) -> str:
    """Name what the limit is made of, the most of it first."""
    total = sum(part.seconds for part in parts)
    by_name: dict[str, float] = {}
    for part in parts:
        by_name[part.bound] = by_name.get(part.bound, 0.0) + part.seconds
    ordered = sorted(by_name, key=lambda name: -by_name[name])
    return " and ".join(name for name in ordered if by_name[name] >= _NAMED * total)


# ---------------------------------------------------------------- told


def said(id: str, of_limit: Estimate, bound: str, *, disturbed: bool = False) -> str:
    """Say in a sentence how much faster a configuration could be, and what sets that limit.

    Of arithmetic alone a limit is a bound. The memory's is none for what stays in caches, and nothing is
    called out of reach by it; nor by a limit that was measured beside other work.
    """
    percent = f"{of_limit.point:.0f} %{_span(of_limit)}"
    low, high = of_limit.low, of_limit.high
    if disturbed:
        return (
            f"{id}: {percent} of its limit, which is {bound}: that was measured beside other work, may be "
            "too low, and bounds nothing"
        )
    if low is None or high is None:
        return f"{id}: {percent} of its limit, which is {bound}: too few visits to tell whether it is there"
    if low > 100:
        return _above(id, percent, bound)
    if low < _NEAR and high >= 100:
        return (
            f"{id}: {percent} of its limit, which is {bound}: too uncertain to tell whether it is there, or "
            f"up to {100 / low:.2f} times as fast is to be had{_cached(bound)}"
        )
    if high >= 100:
        best = " of the best kernel measured; what is left is less work, or a narrower precision"
        return f"{id} is at its limit, which is {bound}: {percent}{_cached(bound) or best}"
    faster = f"{100 / of_limit.point:.2f} times ({100 / high:.2f} to {100 / low:.2f}) as fast"
    if MEMORY in bound:
        return f"{id} reaches {percent} of its limit, which is {bound}: {faster} is to be had{_cached(bound)}"
    return (
        f"{id} reaches {percent} of its limit, which is {bound}: no more than {faster} is to be had of this "
        "graph in these precisions here"
    )


def _unreliable(id: str, of_limit: Estimate) -> str:
    return (
        f"{id}: unreliable, {of_limit.point:.0f} % of peaks that other load made too low; measure them again "
        "on a quiet machine"
    )


def _above(id: str, percent: str, bound: str) -> str:
    """Say that a configuration is surely faster than its limit, and why that can be."""
    if MEMORY in bound:
        return (
            f"{id}: {percent} of its limit, which is {bound}: what its kernels hand on stays in caches, and "
            "those are faster than the memory that set the limit"
        )
    return f"{id}: {percent} of the best kernel measured, which its own kernels outdo; the limit is {bound}"


def _cached(bound: str) -> str:
    """Say what a limit does not bound; nothing where it is arithmetic alone."""
    told = " by the memory's bandwidth alone; data that stays in caches can be faster"
    return told if MEMORY in bound else ""


def _span(of_limit: Estimate) -> str:
    if of_limit.low is None or of_limit.high is None:
        return ""
    return f" ({of_limit.low:.0f} to {of_limit.high:.0f})"
