"""The real runtime: compile a model with stated properties, read what it resolved to, keep requests flying.

Runs in a child process. No statistic, no policy: which properties a configuration asks for is here, which
configurations exist is the plan's.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov

from perftool.bench import clock
from perftool.bench.devices import hardware, missing
from perftool.bench.engine import Completion, Flight
from perftool.bench.kernels import kernel_flops, read_kernels
from perftool.errors import DeviceMissingError
from perftool.record import Executed, LayerCost
from perftool.spec import Explicit, Setting

#: What is read back from a compiled model, on the model or under DEVICE_PROPERTIES.
RESOLVED = (
    "NUM_STREAMS",
    "INFERENCE_NUM_THREADS",
    "INFERENCE_PRECISION_HINT",
    "PERFORMANCE_HINT",
    "ENABLE_CPU_PINNING",
    "ENABLE_HYPER_THREADING",
    "SCHEDULING_CORE_TYPE",
    "EXECUTION_MODE_HINT",
)


def requested_properties(setting: Setting, writable: frozenset[str]) -> dict[str, str]:
    """Return the compile properties that a setting states, of those that the device lets one set."""
    if not isinstance(setting, Explicit):
        return {"PERFORMANCE_HINT": setting.mode}
    stated = {
        "INFERENCE_PRECISION_HINT": setting.inference_precision,
        "NUM_STREAMS": "AUTO" if setting.streams == "auto" else str(setting.streams),
        "INFERENCE_NUM_THREADS": str(setting.threads),
        "ENABLE_CPU_PINNING": "YES" if setting.pinning else "NO",
    }
    if setting.hyper_threading is not None:
        stated["ENABLE_HYPER_THREADING"] = "YES" if setting.hyper_threading else "NO"
    if setting.core_type is not None:
        stated["SCHEDULING_CORE_TYPE"] = setting.core_type
    return {name: value for name, value in stated.items() if name in writable}


def compile_model(
    core: ov.Core, model: ov.Model, device: str, setting: Setting
) -> tuple[Any, dict[str, str]]:
    """Compile for a device; return the compiled model and the properties that were asked for.

    Raises DeviceMissingError, saying what to install, where the device or its driver is not there.
    """
    try:
        writable = writable_properties(core, device)
        requested = requested_properties(setting, writable)
        return core.compile_model(model, device, requested), requested
    except RuntimeError as error:
        if found := missing(device, str(error)):
            raise DeviceMissingError(f"{device}: {found.reason}; {found.advice}") from error
        raise


def writable_properties(core: ov.Core, device: str) -> frozenset[str]:
    """Return the properties that every hardware device behind `device` lets one set."""
    sets = [
        {name for name, access in core.get_property(name_, "SUPPORTED_PROPERTIES").items() if access == "RW"}
        for name_ in hardware(device, tuple(core.available_devices))
    ]
    return frozenset(set.intersection(*sets)) if sets else frozenset()


def full_names(core: ov.Core, device: str) -> str:
    """Name the hardware devices behind a device, and their driver where they tell."""
    found = []
    for name in hardware(device, tuple(core.available_devices)):
        supported = set(core.get_property(name, "SUPPORTED_PROPERTIES"))
        wanted = ("FULL_DEVICE_NAME", "DEVICE_ARCHITECTURE", "NPU_DRIVER_VERSION")
        told = [str(core.get_property(name, one)) for one in wanted if one in supported]
        found.append(f"{name}: {', '.join(told)}")
    return "; ".join(found)


def resolved_properties(compiled: Any) -> dict[str, str]:
    """Read the properties that a compiled model settled on, also behind a virtual device."""
    found: dict[str, str] = {}
    inner: dict[str, Any] = {}
    supported = set(compiled.get_property("SUPPORTED_PROPERTIES"))
    if "DEVICE_PROPERTIES" in supported:
        for properties in compiled.get_property("DEVICE_PROPERTIES").values():
            inner.update(properties)
    for name in RESOLVED:
        if name in supported:
            found[name] = _text(compiled.get_property(name))
        elif name in inner:
            found[name] = _text(inner[name])
        else:
            found.update(_asked(compiled, name))
    found["EXECUTION_DEVICES"] = ",".join(compiled.get_property("EXECUTION_DEVICES"))
    return found


def _asked(compiled: Any, name: str) -> dict[str, str]:
    """Ask for a property that is not listed as supported: BATCH answers some of those, others raise."""
    try:
        return {name: _text(compiled.get_property(name))}
    except RuntimeError:
        return {}


def _text(value: Any) -> str:
    """Write a property's value as compile_model would read it."""
    if isinstance(value, bool):
        return "YES" if value else "NO"
    if isinstance(value, ov.Type):
        names = {ov.Type.f32: "f32", ov.Type.bf16: "bf16", ov.Type.f16: "f16", ov.Type.dynamic: "dynamic"}
        return names.get(value, str(value))
    if hasattr(value, "name") and hasattr(value, "value"):
        return str(value.name)
    return str(value)


def executed_precisions(
    compiled: Any, layers: tuple[LayerCost, ...], biases: Mapping[str, str]
) -> tuple[Executed, ...]:
    """Read off the kernels' names which precision carries how many FLOPs, the largest share first.

    A kernel's FLOPs are those of the original layers that were fused into it; kernels without any, which
    only rewrite or move data, are left out. `biases` are the layers that fused biases belong to
    (`model.complexity.fused_biases`). The precision that the runtime model reports for a kernel's
    output is no witness: see docs/measurement.md.
    """
    kernels = read_kernels(compiled.get_runtime_model())
    found: dict[str, list[tuple[int, int]]] = {}
    for kernel, flops in zip(kernels, kernel_flops(kernels, layers, biases), strict=True):
        if flops:
            found.setdefault(kernel.precision, []).append((flops, kernel.bytes))
    executed = (
        Executed(
            precision=precision,
            flops=sum(flops for flops, _ in each),
            kernels=len(each),
            bytes=sum(moved for _, moved in each),
        )
        for precision, each in found.items()
    )
    return tuple(sorted(executed, key=lambda one: -one.flops))


class OpenVINOFlight:
    """Real requests, pointed at preallocated tensors in turn; no Python callback, no copy per inference.

    Completions are taken from AsyncInferQueue, which hands requests out as they finish and times each in
    C++ from start to end; a lone request is timed around its call.
    """

    def __init__(self, compiled: Any, requests: int, inputs: list[ov.Tensor]) -> None:
        self._queue = ov.AsyncInferQueue(compiled, requests)
        self._requests = list(self._queue)
        self._inputs = inputs
        self._turn = 0
        self._started: set[int] = set()

    @property
    def requests(self) -> tuple[Any, ...]:
        """Return the runtime's requests, whose counters can be read while nothing is in flight."""
        return tuple(self._requests)

    def _next_input(self) -> ov.Tensor:
        self._turn = (self._turn + 1) % len(self._inputs)
        return self._inputs[self._turn]

    def infer(self) -> Completion:
        request = self._requests[0]
        request.set_input_tensor(self._next_input())
        started = time.perf_counter_ns()
        request.infer()
        done = time.perf_counter_ns()
        return Completion(done - started, done)

    def start(self) -> int:
        idle: int = self._queue.get_idle_request_id()
        self._requests[idle].set_input_tensor(self._next_input())
        self._started.add(idle)
        self._queue.start_async()
        return idle

    def wait(self) -> Completion:
        idle: int = self._queue.get_idle_request_id()
        self._started.discard(idle)
        return self._completion(idle)

    def _completion(self, slot: int) -> Completion:
        done = time.perf_counter_ns()
        return Completion(round(self._requests[slot].latency * 1e6), done, slot)

    def drain(self) -> list[Completion]:
        self._queue.wait_all()
        found = [self._completion(slot) for slot in sorted(self._started)]
        self._started.clear()
        return found

    now = staticmethod(clock.now)
    sleep_until = staticmethod(clock.sleep_until)


class OpenVINOEngine:
    """A compiled model of the OpenVINO runtime."""

    def __init__(
        self,
        compiled: Any,
        requested: dict[str, str],
        inputs: list[ov.Tensor],
        layers: tuple[LayerCost, ...],
        biases: Mapping[str, str],
    ) -> None:
        self._compiled = compiled
        self._inputs = inputs
        self.requested = requested
        self.resolved = resolved_properties(compiled)
        self.optimal_requests = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.loaded_from_cache = _asked(compiled, "LOADED_FROM_CACHE").get("LOADED_FROM_CACHE") == "YES"
        self._layers = layers
        self._biases = biases

    def executed(self) -> tuple[Executed, ...]:
        return executed_precisions(self._compiled, self._layers, self._biases)

    def flight(self, requests: int) -> Flight:
        return OpenVINOFlight(self._compiled, requests, self._inputs)


def batches(images: list[np.ndarray[Any, Any]], batch: int) -> list[ov.Tensor]:
    """Stack images, each (1, ...), into distinct batches: as few as show every image, and two at least."""
    count = len(images)
    starts = range(0, count, batch) if batch < count else range(min(2, count))
    return [
        ov.Tensor(np.ascontiguousarray(np.concatenate([images[(first + i) % count] for i in range(batch)])))
        for first in starts
    ]
