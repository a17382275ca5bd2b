"""Time each layer of a configuration: the runtime's counters in one compiled model, a clock in another.

Runs in a child process. Both models are compiled from the same properties and run in turns, so that what
disturbs the machine hits both alike; counters cost time, and the difference shows how much. So do two
configurations that are to be compared. What the times amount to is `analysis.layers`'s; the method is
explained in docs/profiling.md.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean, median
from typing import Any, Final, NamedTuple

import openvino as ov

from perftool.bench import host
from perftool.bench.counters import Reading, counts_means, distinct, layers_of, mean_times_ns, tick_ns
from perftool.bench.devices import uncounted
from perftool.bench.kernels import kernel_flops, read_kernels
from perftool.bench.load import generate
from perftool.bench.measure import warm_up
from perftool.bench.openvino_engine import OpenVINOFlight, batches, compile_model, resolved_properties
from perftool.bench.visiting import first_inference, input_arrays, whole_number
from perftool.errors import InputError
from perftool.job import Beside, TimeLayers
from perftool.machine import Conditions
from perftool.model.complexity import describe, fused_biases
from perftool.model.sources import load
from perftool.record import LayerCost, LayersCompared, LayersTimed
from perftool.spec import Closed, Configuration, Images, ModelFile

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


def time_layers(job: TimeLayers, watch: Watch) -> LayersTimed | LayersCompared:
    """Time the layers of a configuration, or of two in turns.

    No more requests are in flight than the device runs at once: one that waits for a stream would add its
    wait to the latency, and to no layer. Raises InputError for a device without counters of its own, and
    DeviceMissingError where it is not there.
    """
    asked = [Beside(configuration=job.configuration, model_path=job.model_path)]
    if job.beside is not None:
        asked.append(job.beside)
    for one in asked:
        if reason := uncounted(one.configuration.device):
            raise InputError(reason)
    core = ov.Core()
    subjects = []
    for number, one in enumerate(asked):
        watch("compile with and without counters", number, len(asked) + 1)
        subjects.append(_compiled(core, one, job.inputs))
    with _undisturbed():
        before = host.snapshot()
        found = _alternate(subjects, job.seconds, watch)
        conditions = host.conditions(before, host.snapshot())
    timed = [_record(one, made, conditions) for one, made in zip(subjects, found, strict=True)]
    return timed[0] if len(timed) == 1 else LayersCompared(first=timed[0], second=timed[1])


class _Subject(NamedTuple):
    """A configuration compiled without and with counters; `costs` and `biases` are of its model."""

    configuration: Configuration
    resolved: dict[str, str]
    costs: Sequence[LayerCost]
    biases: Mapping[str, str]
    runtime_model: Any
    plain: "Side"
    counted: "Side"

    @property
    def streams(self) -> int | None:
        return whole_number(self.resolved.get("NUM_STREAMS"))


def _compiled(core: ov.Core, one: Beside, images: Images) -> _Subject:
    """Compile a configuration twice from the same properties, with counters and without."""
    configuration = one.configuration
    model = load(ModelFile(path=one.model_path), configuration.batch)
    inputs = batches(input_arrays(images, model), configuration.batch)
    plain, requested = compile_model(core, model, configuration.device, configuration.setting)
    counted = core.compile_model(model, configuration.device, {**requested, "PERF_COUNT": "YES"})
    resolved = resolved_properties(counted)
    requests = _requests(configuration, counted, whole_number(resolved.get("NUM_STREAMS")))
    return _Subject(
        configuration=configuration,
        resolved=resolved,
        costs=describe(model, name=configuration.id, origin=one.model_path).layers,
        biases=fused_biases(model, one.model_path),
        runtime_model=counted.get_runtime_model(),
        plain=Side(OpenVINOFlight(plain, requests, inputs), requests),
        counted=Side(OpenVINOFlight(counted, requests, inputs), requests),
    )


def _record(one: _Subject, found: "_Found", conditions: Conditions) -> LayersTimed:
    kernels = read_kernels(one.runtime_model)
    return LayersTimed(
        configuration=one.configuration,
        weight_format=one.configuration.weight_format,
        resolved=one.resolved,
        streams=one.streams,
        threads=whole_number(one.resolved.get("INFERENCE_NUM_THREADS")),
        requests=one.counted.requests,
        plain_ns=tuple(latency for burst in found.plain for latency in burst),
        counted_ns=tuple(latency for burst in found.counted for latency in burst),
        layers=layers_of(kernels, kernel_flops(kernels, one.costs, one.biases), found.times_ns, found.kinds),
        conditions=conditions,
        bursts=len(found.counted),
        tick_ns=tick_ns(one.configuration.device),
    )


def _requests(configuration: Configuration, compiled: Any, streams: int | None) -> int:
    """Return how many requests are kept in flight: the configuration's, as far as they run at once."""
    if configuration.requests == "auto":
        wanted = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    else:
        wanted = configuration.requests
    return min(wanted, streams or wanted)


class Side:
    """One of the two compiled models, with its requests and how many inferences they have made in all."""

    def __init__(self, flight: OpenVINOFlight, requests: int) -> None:
        self.flight = flight
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
        known = distinct(self.flight.requests)
        for _ in range(VOLLEYS):
            if len(known) >= min(streams, self.requests):
                break
            for _ in range(self.requests):
                self.flight.start()
            self.flight.drain()
            self.inferences += self.requests
            known = distinct(self.flight.requests)
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


class Pace(NamedTuple):
    """How fast a subject is: seconds from one completion to the next, and how many a burst has at least."""

    seconds: float
    least: int


def _alternate(subjects: Sequence[_Subject], seconds: float, watch: Watch) -> list[_Found]:
    """Let all subjects make their bursts in turns, with counters and without, each first every other time.

    So what disturbs the machine, or what becomes of it meanwhile, hits all alike. All make as many bursts.
    """
    watch("warm up", len(subjects), len(subjects) + 1)
    paces = [_warmed_up(one) for one in subjects]
    most = min(int(seconds / (pace.least * pace.seconds)) for pace in paces)
    bursts = max(LEAST_BURSTS, min(BURSTS, most))
    sizes = [
        completions_of(pace, one.counted.requests, seconds / bursts)
        for pace, one in zip(paces, subjects, strict=True)
    ]
    readings = [[one.counted.read(one.streams or 1)] for one in subjects]
    made: list[tuple[list[tuple[int, ...]], list[tuple[int, ...]]]] = [([], []) for _ in subjects]
    for number in range(bursts):
        order = range(len(subjects))
        for done, at in enumerate(order if number // 2 % 2 == 0 else reversed(order)):
            watch("time layers", number * len(subjects) + done, bursts * len(subjects))
            sides = (subjects[at].plain, subjects[at].counted)
            for turn in (number % 2, 1 - number % 2):
                made[at][turn].append(sides[turn].burst(sizes[at]))
            readings[at].append(sides[1].read(subjects[at].streams or 1))
    return [
        _Found(
            *bursts_of,
            mean_times_ns(read, means=counts_means(one.configuration.device)),
            one.counted.kinds(),
        )
        for one, bursts_of, read in zip(subjects, made, readings, strict=True)
    ]


def _warmed_up(one: _Subject) -> Pace:
    """Warm up both sides: the one with counters shortly, as the machine is warm by then.

    What it does before the first burst weighs in every later reading.
    """
    device, counted = one.configuration.device, one.counted
    seconds = one.plain.warm_up(device)
    first_inference(counted.flight, device)
    counted.inferences += 1
    least = COMPLETIONS * counted.requests
    counted.burst(least)
    return Pace(seconds, least)


def completions_of(pace: Pace, requests: int, seconds: float) -> int:
    """Return how many completions a burst of so many seconds has: as many for each request."""
    wanted = max(pace.least, round(seconds / pace.seconds))
    return wanted + -wanted % requests


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the garbage collector's pauses out of what is timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
