"""What a layer profile suggests: what could be tried, why, and the most that it could gain.

Pure. Every gain is a bound after Amdahl ("Validity of the single processor approach to achieving large scale
computing capabilities", AFIPS 1967): the layers that are spoken of take no more than what the bound grants
them, and all others as long as now. What could gain less than 2 % is not said.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from perftool.analysis.blocks import called
from perftool.analysis.stats import Estimate
from perftool.record import LayersTimed, LayerTime

#: What could gain less than this is not worth a sentence.
LEAST_GAIN: Final = 1.02
#: Cores are called under-used where the layers reach less than this share of their limit.
WELL_USED: Final = 0.7

_EXECUTES: Final[dict[str, str]] = {"FP32": "f32", "FP16": "f16", "BF16": "bf16", "INT8": "int8"}
_FLOATS: Final = frozenset({"f32", "f16", "bf16"})
_MULTIPLYING: Final = frozenset(
    {"convolution", "groupconvolution", "deconvolution", "fullyconnected", "matmul", "gemm"}
)
_NAMED: Final = 3


class Advice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What could be tried, why, and the most that it could gain: times the present throughput.

    `gain` is None where it is not about speed.
    """

    text: str
    reason: str
    gain: float | None


class Spent(NamedTuple):
    """A layer, the time that it takes, and the least that the device's peaks allow it, in nanoseconds.

    Both are of one inference; `least_ns` is None without peaks. `computing_ns` is what its operations alone
    take at the least, None where it has none: caches outdo the memory, and nothing outdoes that.
    """

    layer: LayerTime
    time_ns: float
    least_ns: float | None
    computing_ns: float | None


def advise(
    timed: LayersTimed,
    spent: Sequence[Spent],
    executed: str | None,
    plain_ms: Estimate,
    sum_ms: Estimate,
    hidden_ms: float,
    cores: int | None = None,
) -> tuple[Advice, ...]:
    """Return what a profile suggests, the largest bound first; what has no bound comes before.

    `hidden_ms` is what the counters may have left out of the layers' sum, `cores` what the device's peaks
    were measured on, None where nobody knows.
    """
    found = [
        *_fallen_back(timed.configuration.precision, executed),
        *_left_in_float(timed.configuration.precision, spent),
        *_rewriting(spent),
        *_under_used(timed, spent, cores),
        *_outside(plain_ms, sum_ms, hidden_ms),
    ]
    kept = [one for one in found if one.gain is None or one.gain >= LEAST_GAIN]
    return tuple(sorted(kept, key=lambda one: (one.gain is not None, -(one.gain or 0.0))))


def _fallen_back(precision: str, executed: str | None) -> Iterable[Advice]:
    """Say that a configuration runs in another floating-point precision than it was asked to run in."""
    wanted = _EXECUTES.get(precision)
    if wanted is None or executed == wanted or executed not in _FLOATS:
        return  # Float that runs in int8 comes quantized: no speed is lost.
    if precision == "INT8":
        text = "see whether the model was quantized at all, and whether the device has INT8 kernels"
    else:
        text = f"ship what runs here: {precision} gains no speed over the precision that it falls back to"
    yield Advice(
        text=text,
        reason=f"{precision} was asked for, and most operations run in {executed}",
        gain=None,
    )


def _left_in_float(precision: str, spent: Sequence[Spent]) -> Iterable[Advice]:
    """Bound what quantizing the layers would gain that an INT8 model runs in float.

    They are granted the rate of the fastest quantized layer of the same profile.
    """
    multiplying = [
        one for one in spent if one.layer.flops and one.layer.type.lower().replace(" ", "") in _MULTIPLYING
    ]
    quantized = [one for one in multiplying if one.layer.precision == "int8" and one.time_ns > 0]
    left = [one for one in multiplying if one.layer.precision in _FLOATS]
    if precision != "INT8" or not quantized or not left:
        return
    rate = max(one.layer.flops / one.time_ns for one in quantized)
    total = sum(one.time_ns for one in spent)
    now = sum(one.time_ns for one in left)
    work = sum(one.layer.flops for one in left)
    share = work / sum(one.layer.flops for one in multiplying)
    costliest = sorted(left, key=lambda one: -one.time_ns)
    names = ", ".join(called(one.layer.name, one.layer.originals) for one in costliest[:_NAMED])
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    yield Advice(
        text=f"quantize {names}{more}, if the accuracy allows",
        reason=f"{len(left)} of {len(multiplying)} layers that multiply still run in float: {share:.1%} of "
        f"the operations, {now / total:.1%} of the layers' time",
        gain=total / (total - now + min(now, work / rate)),
    )


def _rewriting(spent: Sequence[Spent]) -> Iterable[Advice]:
    """Bound what it would gain if no number were rewritten between layers."""
    rewriting = [one for one in spent if one.layer.rewrites]
    total = sum(one.time_ns for one in spent)
    now = sum(one.time_ns for one in rewriting)
    if not 0 < now < total:
        return
    precisions = [one for one in rewriting if one.layer.reads != one.layer.writes]
    yield Advice(
        text="bring neighbouring layers into one precision, and feed the input in the precision and layout "
        "that the first layer reads",
        reason=f"rewriting numbers, in {_counted(len(rewriting), 'node')} ({len(precisions)} between "
        f"precisions, the others between layouts), takes {now / total:.1%} of the layers' time",
        gain=total / (total - now),
    )


def _under_used(timed: LayersTimed, spent: Sequence[Spent], cores: int | None) -> Iterable[Advice]:
    """Bound what it would gain if the cores reached, in every layer that computes, the arithmetic peaks.

    Said only where the memory's bandwidth does not explain the times either. Cores that have no thread wait
    for nobody: where there are some, the first to try is to give them one.
    """
    known = [one for one in spent if one.computing_ns is not None]
    streams, threads = timed.streams or 1, timed.threads or 1
    now = sum(one.time_ns for one in known)
    allowed = sum(min(one.time_ns, one.least_ns or 0.0) for one in known)
    least = sum(min(one.time_ns, one.computing_ns or 0.0) for one in known)
    idle = timed.threads is not None and cores is not None and threads < cores
    crowded = threads <= 1 or streams >= threads
    if (crowded and not idle) or not 0 < allowed < WELL_USED * now:
        return
    total = sum(one.time_ns for one in spent)
    yield Advice(
        text=f"try more threads: the device's peaks were measured on {cores} cores"
        if idle
        else "try more streams, or a larger batch: small layers leave cores waiting for each other",
        reason=f"{_counted(threads, 'thread')} for {_counted(timed.requests, 'request')} of batch "
        f"{timed.configuration.batch}, and the layers that compute reach {least / now:.0%} of the device's "
        "arithmetic peaks",
        gain=total / (total - now + least),
    )


def _outside(plain_ms: Estimate, sum_ms: Estimate, hidden_ms: float) -> Iterable[Advice]:
    """Bound what it would gain if a request took no longer than its layers."""
    if plain_ms.low is None or sum_ms.high is None or plain_ms.low <= sum_ms.high:
        return
    layers_ms = sum_ms.point + hidden_ms
    if layers_ms >= plain_ms.point or layers_ms <= 0:
        return
    yield Advice(
        text="try a larger batch: it spreads what every request costs beside its layers over more images",
        reason=f"{1 - layers_ms / plain_ms.point:.1%} of a request's time at the least is spent outside its "
        "layers",
        gain=plain_ms.point / layers_ms,
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
