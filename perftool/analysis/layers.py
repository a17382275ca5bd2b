"""Where a configuration's time goes: by layer, by type, by block of the network; what follows from it.

From one LayersTimed record; nothing here measures. The method is explained in docs/profiling.md.
"""

from msgspec import Struct

from perftool.analysis.stats import Estimate


class LayerRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of the compiled graph. Its time is of one inference of a batch, its share of all nodes' time.

    `gflops` is its rate in 10^9 operations per second, None where it has none; `of_peak` percent of the
    measured peak of its precision, `of_limit` percent of what the roofline allows it, None without peaks.
    `intensity` is operations per byte. `block` is the part of the network that it belongs to.
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
    of_peak: float | None
    of_limit: float | None
    intensity: float | None


class LayerGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nodes taken together: of one type, one block, one precision."""

    name: str
    layers: int
    time_us: float
    share: float
    gflops: float | None


class Advice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What could be tried, why, and the most that it could gain: times the present throughput."""

    text: str
    reason: str
    gain: float | None


class LayerProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration's time, layer by layer in the order of execution; latencies in ms, of one batch.

    `plain_ms` is the latency without counters, `counted_ms` with them, `sum_ms` the layers' times added up:
    what is between `sum_ms` and `plain_ms` is the counters' cost and what no node accounts for.
    `transitions` are the nodes that only change precision or layout.
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
