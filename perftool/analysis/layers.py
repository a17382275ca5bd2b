"""Where a configuration's time goes: by layer, by type, by block of the network; what follows from it.

From one LayersTimed record; nothing here measures. The method is explained in docs/profiling.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Literal, NamedTuple

from msgspec import Struct

from perftool.analysis.blocks import cut, parts_of
from perftool.analysis.evidence import disturbed, most_executed
from perftool.analysis.layer_advice import Advice as Advice
from perftool.analysis.layer_advice import Request, Spent, advise
from perftool.analysis.layer_limits import computing_ns, least_ns
from perftool.analysis.layer_times import burst_sums, hidden_ms, latency_ms, too_short, widened
from perftool.analysis.roofline import Roofline, scaled
from perftool.analysis.stats import Estimate, median_estimate, ratio_of_independent
from perftool.journal import Record
from perftool.machine import HostInfo
from perftool.record import Executed, LayersTimed, LayerTime

_NS_PER_MS = 1e6
_NS_PER_US = 1e3


class LayerRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of the compiled graph. Its time is of one inference of a batch, its share of all nodes' time.

    The upper end of its interval is higher by what a counter may leave out of it.
    `gflops` is its rate in 10^9 operations per second, and `device_gflops` what all requests in flight reach
    in it together, as they share the device; None where it has none. `of_peak` is percent of the measured
    peak of its precision, `of_limit` percent of what the roofline allows it, both by the rate of all requests
    and None without peaks. `doubt` is why the latter is none of a real limit: "exceeded" where it surely lies
    above 100, "disturbed" where the peaks were. `intensity` is operations per byte. `block` is the part of
    the network that it belongs to; `transition` tells that it only changes precision or layout.
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
    of_peak: Estimate | None
    of_limit: Estimate | None
    intensity: float | None
    transition: bool = False
    doubt: Literal["exceeded", "disturbed"] | None = None


class LayerGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes taken together: of one type, one block, one precision. `time_us` is their share of the sum.

    Its interval is that of their sums in single bursts, widened as a layer's is.
    """

    name: str
    layers: int
    time_us: Estimate
    share: float
    gflops: float | None


class LayerProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration's time, layer by layer in the order of execution; latencies in ms, of one batch.

    `plain_ms` is the latency without counters, `counted_ms` with them, `sum_ms` the layers' times added up,
    its upper end higher by `hidden_ms`.
    `counters_ms` is what counting cost, the former two's difference; `outside_ms` what no node accounts for,
    the latter two's; of that the counters hide `hidden_ms` at the most, since they show whole microseconds:
    in every node that may run, those included that showed nothing and so are no layers here.
    `transitions` are the nodes that only change precision or layout, `by_transition` from what to what.
    `inferences` counts those with counters. `disturbed` tells that other programs, or the hypervisor, took
    more than 10 % of the machine meanwhile. `too_short` are the layers of the model whose nodes were too
    short for their counters to show anything, and which no layer here stands for.
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
    too_short: tuple[str, ...] = ()


class _Whole(NamedTuple):
    """All nodes' times in microseconds: their medians added up, their sum; what each one's counter hides."""

    medians_us: float
    sum_us: float
    tick_us: float


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
    are estimated in the same way, and so is `sum_ms`, from the sums of single bursts. Shares are of the
    layers' medians, and groups the same shares of the sum: so all of them add up.
    """
    rows = [one for one in timed.layers if one.times_ns]
    tick_us = timed.tick_ns / _NS_PER_US
    times = [
        widened(median_estimate([value / _NS_PER_US for value in one.times_ns]), tick_us) for one in rows
    ]
    spent = [
        Spent(
            one,
            scaled(time, _NS_PER_US),
            least_ns(one, timed.requests, roofline),
            computing_ns(one, timed.requests, roofline),
        )
        for one, time in zip(rows, times, strict=True)
    ]
    places = parts_of([one.originals for one in rows], cut(_nodes(timed)) if parts is None else parts)
    executed = _executed(rows)
    hidden = hidden_ms(timed)
    plain = latency_ms(timed.plain_ns, timed.bursts)
    counted = latency_ms(timed.counted_ns, timed.bursts)
    total = widened(scaled(burst_sums(rows), _NS_PER_US / _NS_PER_MS), hidden)
    whole = _Whole(sum(time.point for time in times), total.point * _NS_PER_MS / _NS_PER_US, tick_us)
    layers = tuple(
        _row(one, time, part, whole.medians_us, timed.requests, roofline)
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
        advice=advise(Request(timed, executed, plain, total, cores, _sure(timed, roofline)), spent),
        by_transition=_grouped(rewriting, lambda index: _transition(rewriting[index].layer), whole),
        counters_ms=counted.point - plain.point,
        outside_ms=counted.point - total.point,
        hidden_ms=hidden,
        disturbed=disturbed(timed),
        too_short=too_short(timed),
    )


def _sure(timed: LayersTimed, roofline: Roofline | None) -> bool:
    """Tell whether peaks are known, and that nothing disturbed them or the layers' times."""
    return roofline is not None and not roofline.disturbed and not disturbed(timed)


def _executed(rows: Sequence[LayerTime]) -> str | None:
    """Return the precision that carries most of the operations; None where there are none."""
    by_name: dict[str, list[int]] = {}
    for one in rows:
        by_name.setdefault(one.precision, []).append(one.flops)
    most, share = most_executed(
        [Executed(precision=name, flops=sum(of), kernels=len(of)) for name, of in by_name.items()]
    )
    return most if share else None


def _row(
    spent: Spent, time: Estimate, block: str, whole_us: float, requests: int, roofline: Roofline | None
) -> LayerRow:
    layer, time_ns = spent.layer, spent.time_ns
    of_limit = _percent(spent.least, spent.time)
    gflops = layer.flops / time_ns if layer.flops and time_ns > 0 else None
    together = None if gflops is None else requests * gflops
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
        of_peak=_percent(spent.computing, spent.time),
        of_limit=of_limit,
        intensity=layer.flops / layer.bytes if layer.flops and layer.bytes else None,
        transition=layer.rewrites,
        doubt=_doubt(of_limit, roofline),
    )


def _percent(least: Estimate | None, time: Estimate) -> Estimate | None:
    """Return the least time in percent of the time; None where one is not known."""
    if least is None or least.point <= 0 or time.point <= 0:
        return None
    return scaled(ratio_of_independent(least, time), 100.0)


def _doubt(of_limit: Estimate | None, roofline: Roofline | None) -> Literal["exceeded", "disturbed"] | None:
    if of_limit is None or roofline is None:
        return None
    if of_limit.low is not None and of_limit.low > 100:
        return "exceeded"
    return "disturbed" if roofline.disturbed else None


def _transition(layer: LayerTime) -> str:
    if layer.reads == layer.writes:
        return f"layout of {layer.writes or 'unknown'}"
    return f"{layer.reads or 'unknown'} to {layer.writes or 'unknown'}"


def _grouped(spent: Sequence[Spent], key: Callable[[int], str], whole: _Whole) -> tuple[LayerGroup, ...]:
    """Take nodes together, the costliest group first."""
    groups: dict[str, list[Spent]] = {}
    for index, one in enumerate(spent):
        groups.setdefault(key(index), []).append(one)
    made = [_group(name, members, whole) for name, members in groups.items()]
    return tuple(sorted(made, key=lambda group: -group.time_us.point))


def _group(name: str, members: Sequence[Spent], whole: _Whole) -> LayerGroup:
    medians_us = sum(one.time_ns for one in members) / _NS_PER_US
    share = medians_us / whole.medians_us if whole.medians_us > 0 else 0.0
    point = share * whole.sum_us
    sums = widened(burst_sums([one.layer for one in members]), len(members) * whole.tick_us)
    flops = sum(one.layer.flops for one in members)
    return LayerGroup(
        name=name,
        layers=len(members),
        time_us=Estimate(
            point=point,
            low=None if sums.low is None else min(sums.low, point),
            high=None if sums.high is None else max(sums.high, point),
        ),
        share=share,
        gflops=flops / point / _NS_PER_US if flops and point > 0 else None,
    )
