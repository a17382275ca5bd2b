"""A configuration that is compiled in this process, and the visits that it serves.

Runs in a child process. Answers with raw samples, with what the machine did meanwhile and with the memory
that was held; what any of it amounts to is nobody's business here.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from perftool.bench import host
from perftool.bench.devices import batch_size
from perftool.bench.end_to_end import EndToEndFlight
from perftool.bench.engine import Flight
from perftool.bench.load import arrivals, generate
from perftool.bench.measure import measure, warm_up
from perftool.bench.offer import offer
from perftool.bench.openvino_engine import OpenVINOEngine, batches, compile_model
from perftool.images.sets import image_loaders, image_size, load_images, to_input
from perftool.job import Compile, Offer, Visit
from perftool.machine import Conditions
from perftool.memory import Peak
from perftool.model.complexity import describe, fused_biases
from perftool.model.sources import load
from perftool.record import Compiled, Offered, Visited
from perftool.spec import Closed, EndToEnd, Images, ModelFile, Sync

#: The share of an open load's window that comes before it, to bring the queue into its steady state.
OPEN_WARMUP = 0.25


class _Observed(NamedTuple):
    """What was seen around a burst."""

    conditions: Conditions
    load_rss_bytes: int | None


class Compilation:
    """A compiled configuration: its engine, its flights by load and requests."""

    def __init__(self, job: Compile) -> None:
        configuration = job.configuration
        self.job = job
        self._batch = configuration.batch
        model = load(ModelFile(path=job.model_path), self._batch)
        layers = describe(model, name=configuration.id, origin=job.model_path).layers
        biases = fused_biases(model, job.model_path)
        self._port = model.input(0)
        inputs = batches(input_arrays(job.inputs, model), self._batch)
        self._peak = Peak()  # Decoding the inputs is not the deployed model's.
        started = time.perf_counter_ns()
        self._compiled, requested = compile_model(
            ov.Core(), model, configuration.device, configuration.setting
        )
        self._compile_ns = time.perf_counter_ns() - started
        self._engine = OpenVINOEngine(self._compiled, requested, inputs, layers, biases)
        auto = configuration.requests == "auto"
        self._requests = self._engine.optimal_requests if auto else int(configuration.requests)
        self._flights: dict[tuple[str, int], Flight] = {}
        self._warm: set[tuple[str, int]] = set()

    def first(self) -> Compiled:
        """Run the first inference, and tell what compiling came to."""
        compile_rss_bytes = self._peak.since_last()
        flight = self._flight("preloaded", self._requests)
        started = time.perf_counter_ns()
        first_inference(flight, self.job.configuration.device)
        first_inference_ns = time.perf_counter_ns() - started
        engine = self._engine
        return Compiled(
            configuration=self.job.configuration.id,
            incarnation=self.job.incarnation,
            pid=os.getpid(),
            requested=engine.requested,
            resolved=engine.resolved,
            streams=whole_number(engine.resolved.get("NUM_STREAMS")),
            threads=whole_number(engine.resolved.get("INFERENCE_NUM_THREADS")),
            requests=self._requests,
            executed=engine.executed(),
            compile_ns=self._compile_ns,
            first_inference_ns=first_inference_ns,
            loaded_from_cache=engine.loaded_from_cache,
            compile_rss_bytes=compile_rss_bytes,
            peak_rss_bytes=self._peak.ever(),
        )

    def visit(self, job: Visit) -> Visited:
        """Measure one burst under a closed load."""
        requests = 1 if isinstance(job.load, Sync) else self._requests
        kind = "end_to_end" if isinstance(job.load, EndToEnd) else "preloaded"
        flight = self._flight(kind, requests)
        with self._watched() as observed:
            burst = measure(
                generate(job.load, flight, requests),
                requests=requests,
                window_ns=round(job.visit_seconds * 1e9),
                completions_per_request=job.completions_per_request,
                warm=(kind, requests) in self._warm,
                warmup_ceiling_ns=round(job.warmup_ceiling_seconds * 1e9),
            )
        self._warm.add((kind, requests))
        seen = observed()
        return Visited(
            configuration=self.job.configuration.id,
            incarnation=self.job.incarnation,
            round=job.round,
            position=job.position,
            load=job.load,
            batch=self._batch,
            requests=requests,
            warmup_ns=burst.warmup_ns,
            steady=burst.steady,
            latencies_ns=burst.latencies_ns,
            window_ns=burst.window_ns,
            load_rss_bytes=seen.load_rss_bytes,
            peak_rss_bytes=self._peak.ever(),
            conditions=seen.conditions,
        )

    def offer(self, job: Offer) -> Offered:
        """Measure one burst under an open load; a closed one before it warms the process up."""
        flight = self._flight("preloaded", self._requests)
        self._warm_up(flight, job)
        window_ns = max(job.visit_seconds, job.arrivals * self._batch / job.load.rate_fps) * 1e9
        with self._watched() as observed:
            burst = offer(
                flight,
                arrivals(job.load, self._batch),
                requests=self._requests,
                window_ns=round(window_ns),
                arrivals=job.arrivals,
                warmup_ns=round(window_ns * OPEN_WARMUP),
            )
        seen = observed()
        return Offered(
            configuration=self.job.configuration.id,
            incarnation=self.job.incarnation,
            round=job.round,
            position=job.position,
            load=job.load,
            batch=self._batch,
            requests=self._requests,
            warmup_ns=burst.warmup_ns,
            arrivals_ns=burst.arrivals_ns,
            latencies_ns=burst.latencies_ns,
            lags_ns=burst.lags_ns,
            unserved=burst.unserved,
            window_ns=burst.window_ns,
            load_rss_bytes=seen.load_rss_bytes,
            peak_rss_bytes=self._peak.ever(),
            conditions=seen.conditions,
        )

    def _warm_up(self, flight: Flight, job: Offer) -> None:
        completions = generate(Closed(), flight, self._requests)
        try:
            warm_up(completions, self._requests + 1, round(job.warmup_ceiling_seconds * 1e9))
        finally:
            completions.close()

    def _flight(self, kind: str, requests: int) -> Flight:
        """Return the flight of that kind with that many requests, made once."""
        if (kind, requests) not in self._flights:
            self._flights[kind, requests] = (
                self._engine.flight(requests)
                if kind == "preloaded"
                else EndToEndFlight(self._compiled, requests, self._fresh_inputs())
            )
        return self._flights[kind, requests]

    def _fresh_inputs(self) -> tuple[Callable[[], NDArray[Any]], ...]:
        """Return what makes each input anew from its files, a batch each."""
        size = image_size(self._port)
        loaders = image_loaders(self.job.inputs, size)
        count = len(loaders)

        def batch(first: int) -> Callable[[], NDArray[Any]]:
            chosen = [loaders[(first + i) % count] for i in range(self._batch)]
            return lambda: np.concatenate([to_input(one(), self._port) for one in chosen])

        return tuple(batch(first) for first in range(count))

    @contextmanager
    def _watched(self) -> Iterator[Callable[[], _Observed]]:
        """Observe the machine and this process while a burst runs, without the garbage collector's pauses."""
        gc.collect()
        self._peak.since_last()
        gc.disable()
        before = host.snapshot()
        found: list[_Observed] = []
        try:
            yield lambda: found[0]
            found.append(_Observed(host.conditions(before, host.snapshot()), self._peak.since_last()))
        finally:
            gc.enable()


def first_inference(flight: Flight, device: str) -> None:
    """Run the first inference; where the device collects a batch, as many as it waits for."""
    for _ in range(batch_size(device) or 1):
        flight.start()
    flight.drain()


def input_arrays(images: Images, model: ov.Model) -> list[NDArray[Any]]:
    """Load images as the model's input takes them, each of batch 1."""
    port = model.input(0)
    return [to_input(image, port) for image in load_images(images, image_size(port))]


def whole_number(text: str | None) -> int | None:
    """Read a property as a whole number; None where it is not stated, or not a number."""
    return int(text) if text is not None and text.isdigit() else None
