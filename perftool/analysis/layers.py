"""Where a configuration's time goes: by layer, by type, by block of the network; what follows from it.

From one LayersTimed record; nothing here measures. The method is explained in docs/profiling.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, median

from msgspec import Struct

from perftool.analysis.blocks import cut, parts_of
from perftool.analysis.evidence import disturbed, most_executed
from perftool.analysis.layer_advice import Advice as Advice
from perftool.analysis.layer_advice import Spent, advise
from perftool.analysis.roofline import Roofline, ceiling_of
from perftool.analysis.stats import Estimate, median_estimate
from perftool.journal import Record
from perftool.machine import HostInfo
from perftool.record import Executed, LayersTimed, LayerTime

_NS_PER_MS = 1e6
_NS_PER_US = 1e3


class LayerRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of the compiled graph. Its time is of one inference of a batch, its share of all nodes' time.

    `gflops` is its rate in 10^9 operations per second, and `device_gflops` what all requests in flight reach
    in it together, as they share the device; None where it has none. `of_peak` is percent of the measured
    peak of its precision, `of_limit` percent of what the roofline allows it, both by the rate of all requests
    and None without peaks. `intensity` is operations per byte. `block` is the part of the network that it
    belongs to; `transition` tells that it only changes precision or layout.
    """

    name: str
    type: str
    kernel: str
    precision: str
    block: str
    originals: tuple[str, ...]
    output_shape: tuple[int, ...]
    time_us: Estimate
    share: float
    gflops: float | None
    device_gflops: float | None
    of_peak: float | None
    of_limit: float | None
    intensity: float | None
    transition: bool = False


class LayerGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes taken together: of one type, one block, one precision."""

    name: str
    layers: int
    time_us: float
    share: float
    gflops: float | None


class LayerProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration's time, layer by layer in the order of execution; latencies in ms, of one batch.

    `plain_ms` is the latency without counters, `counted_ms` with them, `sum_ms` the layers' times added up.
    `counters_ms` is what counting cost, the former two's difference; `outside_ms` what no node accounts for,
    the latter two's; of that the counters hide `hidden_ms` at the most, since they show whole microseconds:
    in every node that may run, those included that showed nothing and so are no layers here.
    `transitions` are the nodes that only change precision or layout, `by_transition` from what to what.
    `inferences` counts those with counters. `disturbed` tells that other programs, or the hypervisor, took
    more than 10 % of the machine meanwhile.
    """

    id: str
    device: str
    precision: str
    executed_precision: str | None
    batch: int
    streams: int | None
    threads: int | None
    requests: int
    inferences: int
    plain_ms: Estimate
    counted_ms: Estimate
    sum_ms: Estimate
    layers: tuple[LayerRow, ...]
    by_type: tuple[LayerGroup, ...]
    by_block: tuple[LayerGroup, ...]
    by_precision: tuple[LayerGroup, ...]
    transitions: LayerGroup
    advice: tuple[Advice, ...]
    by_transition: tuple[LayerGroup, ...] = ()
    counters_ms: float = 0.0
    outside_ms: float = 0.0
    hidden_ms: float = 0.0
    disturbed: bool = False


def layer_profiles(
    records: Iterable[Record], rooflines: Mapping[str, Roofline] | None = None, host: HostInfo | None = None
) -> tuple[LayerProfile, ...]:
    """Return the profile of each configuration that a run timed the layers of; the last of each counts.

    `rooflines` are the devices' peaks, by device, `host` is the machine that they were timed on. All are cut
    into the same blocks, so that they compare.
    """
    timed = {one.configuration.id: one for one in records if isinstance(one, LayersTimed)}
    known = rooflines or {}
    parts = cut(node for one in timed.values() for node in _nodes(one))
    cores = min(host.cores_physical, host.cores_usable) if host else None
    return tuple(
        layer_profile(one, known.get(one.configuration.device), parts, cores) for one in timed.values()
    )


def _nodes(timed: LayersTimed) -> Iterable[tuple[tuple[str, ...], float]]:
    """Yield what each node stands for, and its median time."""
    return ((one.originals, median(one.times_ns)) for one in timed.layers if one.times_ns)


def layer_profile(
    timed: LayersTimed,
    roofline: Roofline | None = None,
    parts: Mapping[str, str] | None = None,
    cores: int | None = None,
) -> LayerProfile:
    """Work out a profile. Nodes without a time are left out.

    `parts` are the blocks as `blocks.cut` returns them; by default those of this profile alone.
    `cores` are those that the peaks were measured on, where that is known.

    A layer's time is the median over the bursts, each burst's being the mean of its inferences; latencies
    are estimated in the same way. `sum_ms` adds the layers' medians up, and so do all groups; its
    interval is that of the sums of single bursts, widened to hold it.
    """
    rows = [one for one in timed.layers if one.times_ns]
    times = [median_estimate([value / _NS_PER_US for value in one.times_ns]) for one in rows]
    spent = [
        Spent(
            one,
            time.point * _NS_PER_US,
            _least_ns(one, timed.requests, roofline),
            _computing_ns(one, timed.requests, roofline),
        )
        for one, time in zip(rows, times, strict=True)
    ]
    places = parts_of([one.originals for one in rows], cut(_nodes(timed)) if parts is None else parts)
    executed = _executed(rows)
    hidden = _hidden_ms(timed)
    plain = _latency_ms(timed.plain_ns, timed.bursts)
    counted = _latency_ms(timed.counted_ns, timed.bursts)
    total = _sum_ms(rows, times)
    whole = sum(time.point for time in times)
    layers = tuple(
        _row(one, time, part, whole, timed.requests, roofline)
        for one, time, part in zip(spent, times, places, strict=True)
    )
    rewriting = [one for one in spent if one.layer.rewrites]
    configuration = timed.configuration
    return LayerProfile(
        id=configuration.id,
        device=configuration.device,
        precision=configuration.precision,
        executed_precision=executed,
        batch=configuration.batch,
        streams=timed.streams,
        threads=timed.threads,
        requests=timed.requests,
        inferences=len(timed.counted_ns),
        plain_ms=plain,
        counted_ms=counted,
        sum_ms=total,
        layers=layers,
        by_type=_grouped(spent, lambda index: spent[index].layer.type or "unknown", whole),
        by_block=_grouped(spent, lambda index: places[index], whole),
        by_precision=_grouped(spent, lambda index: spent[index].layer.precision, whole),
        transitions=_group("transitions", rewriting, whole),
        advice=advise(timed, spent, executed, plain, total, hidden, cores),
        by_transition=_grouped(rewriting, lambda index: _transition(rewriting[index].layer), whole),
        counters_ms=counted.point - plain.point,
        outside_ms=counted.point - total.point,
        hidden_ms=hidden,
        disturbed=disturbed(timed),
    )


def _executed(rows: Sequence[LayerTime]) -> str | None:
    """Return the precision that carries most of the operations; None where there are none."""
    by_name: dict[str, list[int]] = {}
    for one in rows:
        by_name.setdefault(one.precision, []).append(one.flops)
    most, share = most_executed(
        [Executed(precision=name, flops=sum(of), kernels=len(of)) for name, of in by_name.items()]
    )
    return most if share else None


def _latency_ms(latencies_ns: Sequence[int], bursts: int) -> Estimate:
    """Return the median over bursts of the mean latency."""
    size = max(1, len(latencies_ns) // max(1, bursts))
    chunks = [latencies_ns[at : at + size] for at in range(0, len(latencies_ns) - size + 1, size)]
    return median_estimate([fmean(chunk) / _NS_PER_MS for chunk in chunks])


def _hidden_ms(timed: LayersTimed) -> float:
    """Return how much of a request's time the counters may leave out by cutting off.

    A node without a time ran too shortly to show, or is one that moves nothing: that only hands data over.
    """
    return sum(1 for one in timed.layers if one.times_ns or one.bytes) * timed.tick_ns / _NS_PER_MS


def _sum_ms(rows: Sequence[LayerTime], times: Sequence[Estimate]) -> Estimate:
    point = sum(time.point for time in times) * _NS_PER_US / _NS_PER_MS
    count = min((len(one.times_ns) for one in rows), default=0)
    if not count:
        return Estimate(point=point, low=None, high=None)
    sums = median_estimate([sum(one.times_ns[at] for one in rows) / _NS_PER_MS for at in range(count)])
    if sums.low is None or sums.high is None:
        return Estimate(point=point, low=None, high=None)
    return Estimate(point=point, low=min(sums.low, point), high=max(sums.high, point))


def _row(
    spent: Spent, time: Estimate, block: str, whole_us: float, requests: int, roofline: Roofline | None
) -> LayerRow:
    layer, time_ns, least_ns, _ = spent
    gflops = layer.flops / time_ns if layer.flops and time_ns > 0 else None
    together = None if gflops is None else requests * gflops
    ceiling = _ceiling(layer.precision, roofline)
    return LayerRow(
        name=layer.name,
        type=layer.type,
        kernel=layer.kernel,
        precision=layer.precision,
        block=block,
        originals=layer.originals,
        output_shape=layer.output_shape,
        time_us=time,
        share=time.point / whole_us if whole_us > 0 else 0.0,
        gflops=gflops,
        device_gflops=together,
        of_peak=None if together is None or ceiling is None else 100 * together / ceiling,
        of_limit=None if least_ns is None or time_ns <= 0 else 100 * least_ns / time_ns,
        intensity=layer.flops / layer.bytes if layer.flops and layer.bytes else None,
        transition=layer.rewrites,
    )


def _ceiling(precision: str, roofline: Roofline | None) -> float | None:
    """Return the most operations per nanosecond that were seen in a precision."""
    found = ceiling_of(roofline, precision) if roofline else None
    return found.gflops.point if found else None


def _least_ns(layer: LayerTime, requests: int, roofline: Roofline | None) -> float | None:
    """Return the least time that the peaks allow a layer, while `requests` of its kind share the device.

    The larger of what its operations and what its bytes take at the peaks; None where one is not known.
    """
    if roofline is None or not (layer.flops or layer.bytes):
        return None
    computing = _computing_ns(layer, requests, roofline)
    if layer.flops and computing is None:
        return None
    return max(computing or 0.0, requests * layer.bytes / roofline.bandwidth_gb_s.point)


def _computing_ns(layer: LayerTime, requests: int, roofline: Roofline | None) -> float | None:
    """Return the part of that which its operations take; None without operations, or without their peak."""
    ceiling = _ceiling(layer.precision, roofline)
    return requests * layer.flops / ceiling if layer.flops and ceiling else None


def _transition(layer: LayerTime) -> str:
    if layer.reads == layer.writes:
        return f"layout of {layer.writes or 'unknown'}"
    return f"{layer.reads or 'unknown'} to {layer.writes or 'unknown'}"


def _grouped(spent: Sequence[Spent], key: Callable[[int], str], whole_us: float) -> tuple[LayerGroup, ...]:
    """Take nodes together, the costliest group first."""
    groups: dict[str, list[Spent]] = {}
    for index, one in enumerate(spent):
        groups.setdefault(key(index), []).append(one)
    made = [_group(name, members, whole_us) for name, members in groups.items()]
    return tuple(sorted(made, key=lambda group: -group.time_us))


def _group(name: str, members: Sequence[Spent], whole_us: float) -> LayerGroup:
    time_ns = sum(one.time_ns for one in members)
    flops = sum(one.layer.flops for one in members)
    return LayerGroup(
        name=name,
        layers=len(members),
        time_us=time_ns / _NS_PER_US,
        share=time_ns / _NS_PER_US / whole_us if whole_us > 0 else 0.0,
        gflops=flops / time_ns if flops and time_ns > 0 else None,
    )
