"""Time each layer of a configuration: the runtime's counters in one compiled model, a clock in another.

Runs in a child process. Both models are compiled from the same properties and run in turns, so that what
disturbs the machine hits both alike; counters cost time, and the difference shows how much. What the times
amount to is `analysis.layers`'s; the method is explained in docs/profiling.md.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from statistics import fmean, median
from typing import Any, Final, NamedTuple

import openvino as ov

from perftool.bench import host
from perftool.bench.devices import uncounted
from perftool.bench.kernels import Kernel, kernel_flops, precision_of, read_kernels
from perftool.bench.load import generate
from perftool.bench.measure import warm_up
from perftool.bench.openvino_engine import OpenVINOFlight, batches, compile_model, resolved_properties
from perftool.bench.visiting import first_inference, input_arrays, whole_number
from perftool.errors import InputError, PerftoolError
from perftool.job import TimeLayers
from perftool.model.complexity import describe, fused_biases
from perftool.model.sources import load
from perftool.record import LayersTimed, LayerTime
from perftool.spec import Closed, Configuration, ModelFile

Watch = Callable[[str, int, int], None]

#: So many bursts of each kind are made where requests are short enough; an interval takes 6.
BURSTS: Final = 8
#: So many are made at the least.
LEAST_BURSTS: Final = 3
#: A burst holds at least so many completions for each request in flight.
COMPLETIONS: Final = 2
#: How long the machine may take to warm up, in seconds.
WARMUP_SECONDS: Final = 2.0
#: So often the requests are started together again, until every stream's counters were seen.
VOLLEYS: Final = 8
#: Counters of the CPU are whole microseconds, cut off when an inference is counted and again when the mean
#: of all inferences is read.
CPU_TICK_NS: Final = 2_000
OTHER_TICK_NS: Final = 1_000

_MICROSECOND: Final = timedelta(microseconds=1)


class Reading(NamedTuple):
    """What the counters showed: microseconds of each node, and after how many inferences in all."""

    inferences: int
    times_us: Mapping[str, float]


def time_layers(job: TimeLayers, watch: Watch) -> LayersTimed:
    """Time a configuration's layers.

    No more requests are in flight than the device runs at once: one that waits for a stream would add its
    wait to the latency, and to no layer. Raises InputError for a device without counters of its own, and
    DeviceMissingError where it is not there.
    """
    configuration = job.configuration
    if reason := uncounted(configuration.device):
        raise InputError(reason)
    core = ov.Core()
    model = load(ModelFile(path=job.model_path), configuration.batch)
    costs = describe(model, name=configuration.id, origin=job.model_path).layers
    biases = fused_biases(model, job.model_path)
    inputs = batches(input_arrays(job.inputs, model), configuration.batch)
    watch("compile with and without counters", 0, 2)
    plain, requested = compile_model(core, model, configuration.device, configuration.setting)
    counted = core.compile_model(model, configuration.device, {**requested, "PERF_COUNT": "YES"})
    resolved = resolved_properties(counted)
    streams = whole_number(resolved.get("NUM_STREAMS"))
    requests = _requests(configuration, counted, streams)
    sides = (_Side(plain, requests, inputs), _Side(counted, requests, inputs))
    with _undisturbed():
        before = host.snapshot()
        found = _alternate(*sides, job.seconds, streams or 1, configuration.device, watch)
        after = host.snapshot()
    kernels = read_kernels(counted.get_runtime_model())
    return LayersTimed(
        configuration=configuration,
        weight_format=configuration.weight_format,
        resolved=resolved,
        streams=streams,
        threads=whole_number(resolved.get("INFERENCE_NUM_THREADS")),
        requests=requests,
        plain_ns=tuple(latency for burst in found.plain for latency in burst),
        counted_ns=tuple(latency for burst in found.counted for latency in burst),
        layers=_layers(kernels, kernel_flops(kernels, costs, biases), found.times_ns, found.kinds),
        conditions=host.conditions(before, after),
        bursts=len(found.counted),
        tick_ns=CPU_TICK_NS if _counts_means(configuration.device) else OTHER_TICK_NS,
    )


def _requests(configuration: Configuration, compiled: Any, streams: int | None) -> int:
    """Return how many requests are kept in flight: the configuration's, as far as they run at once."""
    if configuration.requests == "auto":
        wanted = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    else:
        wanted = configuration.requests
    return min(wanted, streams or wanted)


class _Side:
    """One of the two compiled models, with its requests and how many inferences they have made in all."""

    def __init__(self, compiled: Any, requests: int, inputs: Sequence[ov.Tensor]) -> None:
        self.flight = OpenVINOFlight(compiled, requests, list(inputs))
        self.requests = requests
        self.inferences = 0

    def warm_up(self, device: str) -> float:
        """Run until the latency is steady; return the seconds from one completion to the next."""
        first_inference(self.flight, device)
        completions = generate(Closed(), self.flight, self.requests)
        try:
            seen, _ = warm_up(completions, self.requests + 1, round(WARMUP_SECONDS * 1e9))
        finally:
            completions.close()
        self.inferences += 1 + len(seen) + self._drained
        last = [one.latency_ns for one in seen[-self.requests - 1 :]]
        return max(median(last) / self.requests / 1e9, 1e-6)

    def burst(self, completions: int) -> tuple[int, ...]:
        """Keep the requests in flight until so many have completed, and drain; return their latencies."""
        running = generate(Closed(), self.flight, self.requests)
        try:
            latencies = tuple(next(running).latency_ns for _ in range(completions))
        finally:
            running.close()
        self.inferences += completions + self._drained
        return latencies

    @property
    def _drained(self) -> int:
        """Return how many requests a closed loop leaves in flight when it is closed."""
        return self.requests if self.requests > 1 else 0

    def read(self, streams: int) -> Reading:
        """Read the counters of every stream, and average over the streams.

        Each stream has counters of its own, and a request shows those of the stream that served it last.
        Where two requests were served by one stream, all are started together again.
        """
        known = _distinct(self.flight)
        for _ in range(VOLLEYS):
            if len(known) >= min(streams, self.requests):
                break
            for _ in range(self.requests):
                self.flight.start()
            self.flight.drain()
            self.inferences += self.requests
            known = _distinct(self.flight)
        names = dict.fromkeys(name for one in known for name in one)
        return Reading(self.inferences, {name: fmean(one.get(name, 0) for one in known) for name in names})

    def kinds(self) -> dict[str, tuple[str, str]]:
        """Return the type and the kernel that the counters name for each node."""
        found = self.flight.requests[0].profiling_info
        return {one.node_name: (one.node_type, one.exec_type) for one in found}


class _Found(NamedTuple):
    """Each burst's latencies without and with counters, each node's times, and what the counters call it."""

    plain: list[tuple[int, ...]]
    counted: list[tuple[int, ...]]
    times_ns: dict[str, tuple[int, ...]]
    kinds: dict[str, tuple[str, str]]


def _alternate(
    plain: _Side, counted: _Side, seconds: float, streams: int, device: str, watch: Watch
) -> _Found:
    """Let both sides make their bursts in turns, each first every other time.

    The side with counters warms up shortly, as the machine is warm by then: what it did before the first
    burst weighs in every later reading.
    """
    watch("warm up", 1, 2)
    pace = plain.warm_up(device)
    first_inference(counted.flight, device)
    counted.inferences += 1
    least = COMPLETIONS * counted.requests
    counted.burst(least)
    bursts = max(LEAST_BURSTS, min(BURSTS, int(seconds / (least * pace))))
    completions = max(least, round(seconds / bursts / pace))
    completions += -completions % counted.requests  # As many for each request that runs beside others.
    readings = [counted.read(streams)]
    made: tuple[list[tuple[int, ...]], list[tuple[int, ...]]] = ([], [])
    for number in range(bursts):
        watch("time layers", number, bursts)
        for turn in (number % 2, 1 - number % 2):
            made[turn].append((plain, counted)[turn].burst(completions))
        readings.append(counted.read(streams))
    times = mean_times_ns(readings, means=_counts_means(device))
    return _Found(*made, times, counted.kinds())


def mean_times_ns(readings: Sequence[Reading], *, means: bool) -> dict[str, tuple[int, ...]]:
    """Return each node's mean time of one inference between each two readings, in nanoseconds.

    Where counters show `means`, of all inferences since compiling, what was added between two readings is
    told by the number of inferences before each. That number may count all streams or one: only its ratios
    matter. Nodes whose counters never show anything have no times.
    """
    times: dict[str, tuple[int, ...]] = {}
    for name, last in readings[-1].times_us.items():
        if not last > 0:
            continue
        values = []
        for before, after in pairwise(readings):
            value = after.times_us.get(name, 0.0)
            if means:
                earlier = before.inferences * before.times_us.get(name, 0.0)
                made = after.inferences - before.inferences
                value = (after.inferences * value - earlier) / made
            values.append(max(0, round(value * 1e3)))
        times[name] = tuple(values)
    return times


def _counts_means(device: str) -> bool:
    """Tell whether a device's counters are means since compiling: the CPU's are, a GPU's of one inference.

    Read off the sources of OpenVINO's plugins: intel_cpu/src/graph.cpp (GetPerfData) and perf_count.h.
    """
    return device.partition(".")[0] == "CPU"


def _distinct(flight: OpenVINOFlight) -> list[dict[str, int]]:
    """Return the counters, in microseconds, that the requests show, once for each stream."""
    found: list[dict[str, int]] = []
    for request in flight.requests:
        times: dict[str, int] = {}
        for one in request.profiling_info:
            times[one.node_name] = times.get(one.node_name, 0) + one.real_time // _MICROSECOND
        if times not in found:
            found.append(times)
    return found


def _layers(
    kernels: Sequence[Kernel],
    flops: Sequence[int],
    times_ns: Mapping[str, tuple[int, ...]],
    kinds: Mapping[str, tuple[str, str]],
) -> tuple[LayerTime, ...]:
    """Join the graph's nodes with their times; a node that only the counters know comes last."""
    rows = [
        LayerTime(
            name=kernel.name,
            type=kernel.type,
            kernel=kernel.primitive,
            precision=kernel.precision,
            originals=kernel.originals,
            output_shape=kernel.output_shape,
            flops=work,
            bytes=kernel.bytes,
            times_ns=times_ns.get(kernel.name, ()),
            reads=kernel.reads,
            writes=kernel.writes,
        )
        for kernel, work in zip(kernels, flops, strict=True)
    ]
    known = {kernel.name for kernel in kernels}
    for name, times in times_ns.items():
        if name not in known:
            type_, kernel_name = kinds.get(name, ("", ""))
            rows.append(_stray(name, type_, kernel_name, times))
    if not any(row.times_ns for row in rows):
        raise PerftoolError("the device's counters show nothing: its layers cannot be timed")
    return tuple(rows)


def _stray(name: str, type_: str, kernel: str, times_ns: tuple[int, ...]) -> LayerTime:
    return LayerTime(
        name=name,
        type=type_,
        kernel=kernel,
        precision=precision_of(kernel),
        originals=(),
        output_shape=(),
        flops=0,
        bytes=0,
        times_ns=times_ns,
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the garbage collector's pauses out of what is timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
