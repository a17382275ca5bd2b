"""Carry jobs out on the real runtime: the one place in a child that knows every stage.

Runs in a child process only. Each method answers one kind of job; what is wrong with the input or the
device is raised, and becomes a record in `worker`.
"""

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openvino as ov
from numpy.typing import NDArray

from perftool.bench import host
from perftool.bench.accuracy import classify
from perftool.bench.devices import batch_size
from perftool.bench.engine import Flight
from perftool.bench.load import generate
from perftool.bench.measure import measure
from perftool.bench.openvino_engine import OpenVINOEngine, batches, compile_model, resolved_properties
from perftool.bench.probe import available, probe
from perftool.errors import InputError, PerftoolError
from perftool.memory import forget_peak, peak_rss_bytes
from perftool.model.complexity import describe
from perftool.model.images import digest, image_size, load_images, to_input
from perftool.model.sources import build, load
from perftool.model.variants import prepare
from perftool.record import Answer, Compiled, Described, Evaluated, Probed, Visited, Written
from perftool.spec import (
    Build,
    Compile,
    Describe,
    Evaluate,
    Images,
    Job,
    ModelFile,
    ModelSource,
    Prepare,
    Probe,
    Sync,
    Visit,
)

Watch = Callable[[str, int, int], None]


class Bench:
    """What a child holds between jobs: at most one compiled configuration."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._engine: OpenVINOEngine | None = None
        self._job: Compile | None = None
        self._flights: dict[int, Flight] = {}
        self._requests = 1
        self._visited: set[int] = set()

    @property
    def compiled(self) -> str:
        """Return the id of the compiled configuration, empty when there is none."""
        return self._job.configuration.id if self._job else ""

    def do(self, job: Job) -> Answer:
        """Carry one job out."""
        match job:
            case Probe():
                return Probed(devices=tuple(probe(device) for device in job.devices or available()))
            case Describe():
                return describe_source(job.model)
            case Build():
                return write_model(job)
            case Prepare():
                return prepare(job, self._watch)
            case Compile():
                return self._compile(job)
            case Visit():
                return self._visit(job)
            case Evaluate():
                return self._evaluate(job)

    def _compile(self, job: Compile) -> Compiled:
        configuration = job.configuration
        model = load(ModelFile(path=job.model_path), configuration.batch)
        layers = describe(model, name=configuration.id, origin=job.model_path).layers
        inputs = batches(input_arrays(job.inputs, model), configuration.batch)
        forget_peak()  # Decoding the inputs is not the deployed model's.
        started = time.perf_counter_ns()
        compiled, requested = compile_model(ov.Core(), model, configuration.device, configuration.setting)
        compile_ns = time.perf_counter_ns() - started
        engine = OpenVINOEngine(compiled, requested, inputs, layers)
        self._engine, self._job = engine, job
        self._flights, self._visited = {}, set()
        auto = configuration.requests == "auto"
        self._requests = engine.optimal_requests if auto else int(configuration.requests)
        flight = self._flight(self._requests)
        started = time.perf_counter_ns()
        first_inference(flight, configuration.device)
        first_inference_ns = time.perf_counter_ns() - started
        return Compiled(
            configuration=configuration.id,
            incarnation=job.incarnation,
            pid=os.getpid(),
            requested=requested,
            resolved=engine.resolved,
            streams=whole_number(engine.resolved.get("NUM_STREAMS")),
            threads=whole_number(engine.resolved.get("INFERENCE_NUM_THREADS")),
            requests=self._requests,
            executed=engine.executed(),
            compile_ns=compile_ns,
            first_inference_ns=first_inference_ns,
            loaded_from_cache=engine.loaded_from_cache,
            peak_rss_bytes=peak_rss_bytes(),
        )

    def _flight(self, requests: int) -> Flight:
        """Return the flight of that many requests, made once."""
        if self._engine is None:
            raise PerftoolError("a visit was asked for before anything was compiled")
        if requests not in self._flights:
            self._flights[requests] = self._engine.flight(requests)
        return self._flights[requests]

    def _visit(self, job: Visit) -> Visited:
        requests = 1 if isinstance(job.load, Sync) else self._requests
        flight = self._flight(requests)
        assert self._job is not None
        gc.collect()
        gc.disable()
        before = host.snapshot()
        try:
            burst = measure(
                generate(job.load, flight, requests),
                requests=requests,
                window_ns=round(job.visit_seconds * 1e9),
                completions_per_request=job.completions_per_request,
                warm=requests in self._visited,
                warmup_ceiling_ns=round(job.warmup_ceiling_seconds * 1e9),
            )
        finally:
            gc.enable()
        self._visited.add(requests)
        return Visited(
            configuration=self._job.configuration.id,
            incarnation=self._job.incarnation,
            round=job.round,
            position=job.position,
            load=job.load,
            batch=self._job.configuration.batch,
            requests=requests,
            warmup_ns=burst.warmup_ns,
            latencies_ns=burst.latencies_ns,
            window_ns=burst.window_ns,
            peak_rss_bytes=peak_rss_bytes(),
            conditions=host.conditions(before, host.snapshot()),
        )

    def _evaluate(self, job: Evaluate) -> Evaluated:
        started = time.perf_counter_ns()
        model = load(ModelFile(path=job.model_path), 1)
        compiled, _ = compile_model(ov.Core(), model, job.device, job.setting)
        resolved = resolved_properties(compiled)
        found = classify(
            compiled,
            job.images,
            lambda done, total: self._watch("evaluate", done, total),
            labelled=job.labelled,
        )
        return Evaluated(
            precision=job.precision,
            weight_format=job.weight_format,
            device=job.device,
            inference_precision=resolved.get("INFERENCE_PRECISION_HINT", "unknown"),
            images=digest(job.images),
            label_offset=found.label_offset,
            labels=found.labels,
            top5=found.top5,
            duration_ns=time.perf_counter_ns() - started,
        )


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


def describe_source(source: ModelSource) -> Described:
    """Count a model at batch 1."""
    name = source.path if isinstance(source, ModelFile) else source.name
    return describe(load(source, 1), name=Path(name).name, origin=name)


def write_model(job: Build) -> Written:
    """Write a built-in model as an IR file, .xml and .bin, whole or not at all."""
    target = Path(job.output)
    if target.suffix != ".xml":
        raise InputError(f"{target}: a model file's name must end in .xml")
    model = build(job.model, convention=job.convention, batch=job.batch)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=".perftool-") as folder:
            written = Path(folder) / target.name
            ov.save_model(model, written, compress_to_fp16=False)
            written.with_suffix(".bin").replace(target.with_suffix(".bin"))
            written.replace(target)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{target}: cannot be written: {error}") from error
    return Written(path=str(target))
