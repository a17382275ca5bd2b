"""Read a runtime's counters: what each node of a compiled model took, and what they showed in between.

In a child process; docs/profiling.md says what the counters of a device mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple

from perftool.bench.kernels import Kernel, precision_of
from perftool.errors import PerftoolError
from perftool.record import LayerTime

#: Counters of the CPU are whole microseconds, cut off when an inference is counted and again when the mean
#: of all inferences is read.
CPU_TICK_NS: Final = 2_000
OTHER_TICK_NS: Final = 1_000


_MICROSECOND: Final = timedelta(microseconds=1)


class Reading(NamedTuple):
    """What the counters showed: microseconds of each node, and after how many inferences in all."""

    inferences: int
    times_us: Mapping[str, float]


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


def counts_means(device: str) -> bool:
    """Tell whether a device's counters are means since compiling: the CPU's are, a GPU's of one inference.

    Read off the sources of OpenVINO's plugins: intel_cpu/src/graph.cpp (GetPerfData) and perf_count.h.
    """
    return device.partition(".")[0] == "CPU"


def distinct(requests: Iterable[Any]) -> list[dict[str, int]]:
    """Return the counters, in microseconds, that the requests show, once for each stream."""
    found: list[dict[str, int]] = []
    for request in requests:
        times: dict[str, int] = {}
        for one in request.profiling_info:
            times[one.node_name] = times.get(one.node_name, 0) + one.real_time // _MICROSECOND
        if times not in found:
            found.append(times)
    return found


def layers_of(
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


def tick_ns(device: str) -> int:
    """Return by how much a counter may show too little of one inference of one node."""
    return CPU_TICK_NS if counts_means(device) else OTHER_TICK_NS
