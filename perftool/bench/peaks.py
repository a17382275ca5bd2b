"""Measure what a device can do at most: operations per second in each precision, bytes per second.

Through the runtime that is being judged, and with kernels that nothing keeps from being fast (`chains`), in
bursts that take turns. Which precision a kernel really ran in is read off its name. What the peaks amount to
is `analysis.roofline`'s; docs/roofline.md explains the choices. Runs in a child process.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import pairwise, product
from math import prod
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import openvino as ov

from perftool.bench import host
from perftool.bench.chains import HIGHEST, convolution_chain, matmul_chain, memory_pass
from perftool.bench.engine import Completion, Flight
from perftool.bench.load import generate
from perftool.bench.openvino_engine import OpenVINOFlight, compile_model, executed_precisions
from perftool.bench.probe import probe
from perftool.errors import DeviceMissingError, PerftoolError
from perftool.job import MeasurePeaks
from perftool.machine import DeviceFound, DeviceMissing
from perftool.model.complexity import describe
from perftool.record import LayerCost, Peak, PeaksMeasured
from perftool.spec import Closed, Explicit, InferencePrecision

Watch = Callable[[str, int, int], None]

#: Each kernel is repeated in so many bursts: the fewest that carry an interval.
BURSTS: Final = 6
#: What a device must list to be asked for a precision, and the hint that it is asked by.
ASKED: Final[dict[str, tuple[str, InferencePrecision]]] = {
    "f32": ("FP32", "f32"),
    "bf16": ("BF16", "bf16"),
    "f16": ("FP16", "f16"),
    "int8": ("INT8", "f32"),
}
#: Pieces of work for a device that is not counted in cores.
PIECES: Final = 16
#: What the memory kernel reads and writes, in times of the caches, and the least where memory is short; the
#: least that is taken for caches; and the share of the free memory that it may take.
TIMES_THE_CACHE: Final = 4
LEAST_TIMES_THE_CACHE: Final = 2
LEAST_CACHE_BYTES: Final = 32 * 2**20
SHARE_OF_MEMORY: Final = 0.25
#: A precision that carries less of a kernel's work than this is not named.
_NAMED: Final = 0.02
_FLOAT_BYTES: Final = 4

_Kind = Literal["matmul", "convolution", "memory"]


class Arrangement(NamedTuple):
    """How the work is shared out: one request on all cores, or one on each."""

    streams: int
    threads: int


class Kernel(NamedTuple):
    """A compiled kernel: `work` is of one repetition, in which each request runs once."""

    kind: _Kind
    precision: str
    executed: str
    streams: int
    work: int
    flight: Flight
    requests: int


def measure_peaks(job: MeasurePeaks, watch: Watch) -> PeaksMeasured:
    """Repeat every kernel of a device in bursts, in turns, so that what disturbs hits all alike.

    Raises DeviceMissingError where the device is not there, and PerftoolError where memory is short.
    """
    found = probe(job.device)
    if isinstance(found, DeviceMissing):
        raise DeviceMissingError(f"{found.name}: {found.reason}; {found.advice}")
    kernels = list(_compiled(found, watch))
    times: list[list[tuple[int, ...]]] = [[] for _ in kernels]
    lasts_ns = round(job.seconds / (BURSTS * len(kernels)) * 1e9)
    before = host.snapshot()
    for burst in range(BURSTS):
        watch("bursts", burst, BURSTS)
        for turn in range(len(kernels)):
            at = (turn + burst) % len(kernels)
            times[at].append(repeat(kernels[at].flight, kernels[at].requests, lasts_ns))
    conditions = host.conditions(before, host.snapshot())
    peaks = tuple(
        Peak(
            kernel=kernel.kind,
            precision=kernel.precision,
            executed=kernel.executed,
            streams=kernel.streams,
            work=kernel.work,
            times_ns=tuple(bursts),
        )
        for kernel, bursts in zip(kernels, times, strict=True)
    )
    return PeaksMeasured(device=job.device, peaks=peaks, measured_ns=time.time_ns(), conditions=conditions)


def repeat(flight: Flight, requests: int, lasts_ns: int) -> tuple[int, ...]:
    """Return how long each repetition of a burst took: as many completions as there are requests in flight.

    The first repetition starts the requests and counts nowhere. After it there is at least one, and more
    until the burst has lasted so long.
    """
    began = flight.now()
    completions = generate(Closed(), flight, requests)
    try:
        ends = [_repetition(completions, requests)]
        while len(ends) < 2 or ends[-1] - began < lasts_ns:
            ends.append(_repetition(completions, requests))
    finally:
        completions.close()
    return tuple(after - before for before, after in pairwise(ends))


def _repetition(completions: Generator[Completion, None, None], requests: int) -> int:
    """Take one completion for each request, and return when the last of them was noticed."""
    return [next(completions).completed_ns for _ in range(requests)][-1]


# ---------------------------------------------------------------- the kernels


def _compiled(found: DeviceFound, watch: Watch) -> Iterator[Kernel]:
    """Compile every kernel in every arrangement, and run each: what is slow only at first is over then."""
    core = ov.Core()
    chains: tuple[_Kind, ...] = ("matmul", "convolution")
    asked: list[tuple[_Kind, str]] = [
        (kind, precision)
        for precision, (capability, _) in ASKED.items()
        if capability in found.capabilities or precision == "f32"
        for kind in chains
    ]
    asked.append(("memory", ""))
    wanted = list(product(asked, _arrangements(found)))
    for number, ((kind, precision), arrangement) in enumerate(wanted):
        watch("compile", number, len(wanted))
        made = kernel(core, found.name, kind, precision, arrangement)
        repeat(made.flight, made.requests, 0)
        yield made


def _arrangements(found: DeviceFound) -> tuple[Arrangement, ...]:
    """Return one stream on all cores, and one on each; on other devices, as many streams as they take."""
    cores = max(1, min(host.usable_cores(), host.usable_physical_cores()))
    most = found.streams[1] if found.streams else 1
    if _is_cpu(found.name):
        most = min(most, cores)
    return tuple(Arrangement(streams, cores) for streams in dict.fromkeys((1, most)))


def _is_cpu(device: str) -> bool:
    return device.partition(".")[0] == "CPU"


def kernel(core: ov.Core, device: str, kind: _Kind, precision: str, shared: Arrangement) -> Kernel:
    """Compile one kernel, the work of which is cut into a part for each stream."""
    pieces = max(1, (shared.threads if _is_cpu(device) else PIECES) // shared.streams)
    match kind:
        case "matmul":
            model = matmul_chain(precision, pieces)
        case "convolution":
            model = convolution_chain(precision, pieces)
        case "memory":
            array = array_bytes(last_level_cache_bytes(), host.memory_free())
            model = memory_pass(array // shared.streams // _FLOAT_BYTES)
    setting = Explicit(
        inference_precision=ASKED[precision][1] if precision else "f32",
        streams=shared.streams,
        threads=shared.threads,
    )
    compiled, _ = compile_model(core, model, device, setting)
    requests = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    shape = tuple(model.input(0).shape)
    layers = describe(model, name=kind, origin=kind).layers
    memory = kind == "memory"
    return Kernel(
        kind=kind,
        precision=precision,
        executed="" if memory else executed(compiled, layers),
        streams=shared.streams,
        work=requests * (moved_bytes(shape) if memory else operations(layers)),
        flight=OpenVINOFlight(compiled, requests, [_input(shape, number) for number in range(requests)]),
        requests=requests,
    )


def operations(layers: Iterable[LayerCost]) -> int:
    """Count the operations of a chain: two for each multiply-add, and none for a ReLU."""
    return 2 * sum(layer.macs for layer in layers)


def moved_bytes(shape: Sequence[int]) -> int:
    """Count the bytes of a pass over an array of f32: each element is read once and written once."""
    return 2 * _FLOAT_BYTES * prod(shape)


def executed(compiled: Any, layers: tuple[LayerCost, ...]) -> str:
    """Name the precision that a compiled kernel ran in; where there were several, all, joined by a plus."""
    found = executed_precisions(compiled, layers, {})  # The chains have no biases.
    total = sum(one.flops for one in found)
    return "+".join(one.precision for one in found if one.flops >= _NAMED * total)


def _input(shape: tuple[int, ...], seed: int) -> ov.Tensor:
    """Fill an input with noise; a long one repeats it."""
    size = prod(shape)
    noise = np.random.Generator(np.random.Philox(seed)).uniform(0, HIGHEST, min(size, 2**20))
    return ov.Tensor(np.resize(noise.astype(np.float32), size).reshape(shape))


# ---------------------------------------------------------------- the caches


def array_bytes(caches: int, free: int) -> int:
    """Return how long an array must be so that it and its copy are several times the caches.

    Where memory is short it is less. Raises PerftoolError where that would measure the caches.
    """
    caches = max(LEAST_CACHE_BYTES, caches)
    both = min(TIMES_THE_CACHE * caches, SHARE_OF_MEMORY * free)
    if both < LEAST_TIMES_THE_CACHE * caches:
        needed = LEAST_TIMES_THE_CACHE * caches / SHARE_OF_MEMORY
        raise PerftoolError(
            f"not enough memory to measure the bandwidth: {free / 1e6:.0f} MB are free, and what is not to "
            f"stay in caches takes {needed / 1e6:.0f} MB"
        )
    return int(both / 2)


def last_level_cache_bytes(root: Path = host.ROOT) -> int:
    """Add up the last caches before the memory, of the processors that may be used; 0 where nobody says."""
    found: dict[str, int] = {}
    for processor in host.processors(root):
        caches = (root / host.CPUS / f"cpu{processor}/cache").glob("index*")
        levels = {host.number(cache / "level") or 0: cache for cache in caches}
        if levels:
            last = levels[max(levels)]
            shared = host.text(last / "shared_cpu_list") or str(processor)
            found[shared] = _bytes(host.text(last / "size") or "")
    return sum(found.values())


def _bytes(text: str) -> int:
    """Read a size as the kernel writes it, such as 32768K; 0 where it is none."""
    unit = {"K": 2**10, "M": 2**20}.get(text[-1:], 0)
    return int(text[:-1]) * unit if unit and text[:-1].isdecimal() else 0
