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
#: A layer is small whose operations could be done in less than this at the peaks, in nanoseconds: waking and
#: joining threads takes tens of microseconds, and is a share of such a layer's time, not of a longer one's.
SMALL_NS: Final = 200_000.0

_NS_PER_MS: Final = 1e6

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

    All are of one inference; `least` is None without peaks. `computing` is what its operations alone take at
    the least, None where it has none: caches outdo the memory, and nothing outdoes that.
    """

    layer: LayerTime
    time: Estimate
    least: Estimate | None
    computing: Estimate | None

    @property
    def time_ns(self) -> float:
        return self.time.point


class Request(NamedTuple):
    """What the advice is about: one request, its latency without counters and its layers added up.

    `sum_ms` reaches up to what the counters may hide. `cores` are what the device's peaks were measured on,
    None where nobody knows; `sure` tells that nothing else took a share of the machine, neither while the
    layers were timed nor while the peaks were measured.
    """

    timed: LayersTimed
    executed: str | None
    plain_ms: Estimate
    sum_ms: Estimate
    cores: int | None
    sure: bool

    def takes_ns(self, spent: Sequence[Spent]) -> float:
        """Return what a request takes: no less than its layers, which counters make slower."""
        return max(self.plain_ms.point * _NS_PER_MS, sum(one.time_ns for one in spent))


def advise(request: Request, spent: Sequence[Spent]) -> tuple[Advice, ...]:
    """Return what a profile suggests, the largest bound first; what has no bound comes before."""
    whole_ns = request.takes_ns(spent)
    found = [
        *_fallen_back(request),
        *_left_in_float(request.timed.configuration.precision, spent, whole_ns),
        *_rewriting(spent, whole_ns),
        *_starved(request.timed),
        *_under_used(request, spent, whole_ns),
        *_outside(request),
    ]
    kept = [one for one in found if one.gain is None or one.gain >= LEAST_GAIN]
    return tuple(sorted(kept, key=lambda one: (one.gain is not None, -(one.gain or 0.0))))


def _fallen_back(request: Request) -> Iterable[Advice]:
    """Say that a configuration runs in another floating-point precision than it was asked to run in."""
    precision, executed = request.timed.configuration.precision, request.executed
    wanted = _EXECUTES.get(precision)
    if wanted is None or executed == wanted or executed not in _FLOATS:
        return  # Float that runs in int8 comes quantized: no speed is lost.
    if precision == "INT8":
        text = "see whether the model was quantized at all, and whether the device has INT8 kernels"
    elif request.timed.weight_format == "fp16":
        text = (
            f"choose {precision} for its smaller file, or less memory, and not for speed: it gains none here"
        )
    else:
        text = f"do not choose {precision} for speed: it gains none here"
    yield Advice(
        text=text,
        reason=f"{precision} was asked for, and most operations run in {executed}",
        gain=None,
    )


def _left_in_float(precision: str, spent: Sequence[Spent], whole_ns: float) -> Iterable[Advice]:
    """Bound what quantizing the layers would gain that an INT8 model runs in float.

    Each is granted the rate of the fastest quantized layer of the same profile, if that is faster.
    """
    multiplying = [
        one for one in spent if one.layer.flops and one.layer.type.lower().replace(" ", "") in _MULTIPLYING
    ]
    quantized = [one for one in multiplying if one.layer.precision == "int8" and one.time_ns > 0]
    left = [one for one in multiplying if one.layer.precision in _FLOATS]
    if precision != "INT8" or not quantized or not left:
        return
    rate = max(one.layer.flops / one.time_ns for one in quantized)
    now = sum(one.time_ns for one in left)
    then = sum(min(one.time_ns, one.layer.flops / rate) for one in left)
    share = sum(one.layer.flops for one in left) / sum(one.layer.flops for one in multiplying)
    costliest = sorted(left, key=lambda one: -one.time_ns)
    names = ", ".join(called(one.layer.name, one.layer.originals) for one in costliest[:_NAMED])
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    yield Advice(
        text=f"quantize {names}{more}, if the accuracy allows",
        reason=f"{len(left)} of {len(multiplying)} layers that multiply still run in float: {share:.1%} of "
        f"their operations, {now / whole_ns:.1%} of a request's time",
        gain=whole_ns / (whole_ns - now + then),
    )


def _rewriting(spent: Sequence[Spent], whole_ns: float) -> Iterable[Advice]:
    """Bound what it would gain if no number were rewritten between layers."""
    rewriting = [one for one in spent if one.layer.rewrites]
    now = sum(one.time_ns for one in rewriting)
    if not 0 < now < whole_ns:
        return
    precisions = sum(1 for one in rewriting if one.layer.reads != one.layer.writes)
    layouts = len(rewriting) - precisions
    if not precisions:
        text = "feed the input in the layout that the first layer reads; the runtime chooses the others"
    else:
        what = "precision and layout" if layouts else "precision"
        text = (
            f"bring neighbouring layers into one precision, and feed the input in the {what} that the first "
            "layer reads"
        )
    kinds = [f"{count} between {what}" for count, what in ((precisions, "precisions"), (layouts, "layouts"))]
    told = ", ".join(kind for kind in kinds if not kind.startswith("0 "))
    yield Advice(
        text=text,
        reason=f"rewriting numbers, in {_counted(len(rewriting), 'node')} ({told}), takes "
        f"{now / whole_ns:.1%} of a request's time",
        gain=whole_ns / (whole_ns - now),
    )


def _starved(timed: LayersTimed) -> Iterable[Advice]:
    """Bound what it would gain if every stream had a request."""
    streams = timed.streams or 1
    if timed.requests < streams:
        yield Advice(
            text="keep more requests in flight: a stream without one leaves its cores idle",
            reason=f"{_counted(timed.requests, 'request')} in flight for {streams} streams",
            gain=streams / timed.requests,
        )


def _under_used(request: Request, spent: Sequence[Spent], whole_ns: float) -> Iterable[Advice]:
    """Bound what it would gain if the cores reached, in layers that compute, the arithmetic peaks.

    Said only where that is sure, of peaks and times that nothing disturbed, and where the memory's bandwidth
    does not explain the times. Cores that have no thread wait for nobody: where there are some, the first to
    try is to give them one. That cores wait for each other is said of small layers alone, and where these
    are what falls short.
    """
    timed = request.timed
    streams, threads = timed.streams or 1, timed.threads or 1
    idle = timed.threads is not None and request.cores is not None and threads < request.cores
    crowded = threads <= 1 or streams >= threads or timed.requests < streams
    if not request.sure or (crowded and not idle):
        return
    known = [one for one in spent if one.computing is not None]
    small = [one for one in known if one.computing is not None and one.computing.point < SMALL_NS]
    if not idle and 2 * _short_of(small) < _short_of(known):
        return
    meant = known if idle else small
    now = sum(one.time_ns for one in meant)
    least = sum(min(one.time_ns, one.computing.point) for one in meant if one.computing is not None)
    if not _surely_under_used(meant) or not 0 < least < now:
        return
    yield Advice(
        text=f"try more threads: the device's peaks were measured on {request.cores} cores"
        if idle
        else "try more streams, or a larger batch: cores wait for each other in small layers",
        reason=f"{_counted(threads, 'thread')} for {_counted(timed.requests, 'request')} of batch "
        f"{timed.configuration.batch}, and {_counted(len(meant), 'layer')} that "
        f"{'compute' if idle else f'could each take less than {SMALL_NS / _NS_PER_MS:g} ms'}, "
        f"{now / whole_ns:.0%} of a request's time, reach {least / now:.0%} of the device's arithmetic peaks",
        gain=whole_ns / (whole_ns - now + least),
    )


def _short_of(spent: Sequence[Spent]) -> float:
    """Return by how much layers take longer than the peaks allow, in nanoseconds."""
    return sum(max(0.0, one.time_ns - one.least.point) for one in spent if one.least is not None)


def _surely_under_used(spent: Sequence[Spent]) -> bool:
    """Tell whether layers reach less than 70 % of what the peaks allow, at the ends of all intervals."""
    now = allowed = 0.0
    for one in spent:
        if one.time.low is None or one.least is None or one.least.high is None:
            return False
        now += one.time.low
        allowed += min(one.time.low, one.least.high)
    return allowed < WELL_USED * now


def _outside(request: Request) -> Iterable[Advice]:
    """Bound what it would gain if a request took no longer than its layers, by the ends of both intervals."""
    plain, layers = request.plain_ms, request.sum_ms
    if plain.low is None or plain.high is None or layers.low is None or layers.high is None:
        return
    if not 0 < layers.low <= layers.high < plain.low:
        return
    yield Advice(
        text="try a larger batch: it spreads what every request costs beside its layers over more images",
        reason=f"{1 - layers.high / plain.low:.1%} of a request's time at the least is spent outside its "
        "layers, perftool's own part in starting it included",
        gain=plain.high / layers.low,
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
