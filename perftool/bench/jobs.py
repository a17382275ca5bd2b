"""Carry jobs out on the real runtime: the one place in a child that knows every stage.

Runs in a child process only. Each method answers one kind of job; what is wrong with the input or the
device is raised, and becomes a record in `worker`.
"""

import time
from collections.abc import Callable
from pathlib import Path

import openvino as ov

from perftool.bench.accuracy import classify
from perftool.bench.evaluations import kept, key
from perftool.bench.openvino_engine import (
    compile_model,
    executed_precisions,
    full_names,
    resolved_properties,
)
from perftool.bench.probe import available, probe
from perftool.bench.visiting import Compilation
from perftool.errors import PerftoolError
from perftool.images.sets import digest
from perftool.job import (
    Build,
    Compile,
    ControlAccuracy,
    Convert,
    Describe,
    Evaluate,
    Freeze,
    Inspect,
    Job,
    MeasurePeaks,
    Offer,
    Prepare,
    Probe,
    Rank,
    Revert,
    Rewrite,
    TimeLayers,
    Verify,
    Visit,
)
from perftool.model.complexity import describe, fused_biases
from perftool.model.identity import model_name
from perftool.model.sources import build, load, load_with_feeding
from perftool.model.variants import prepare
from perftool.model.writing import check_target, write_model
from perftool.record import Answer, Described, Evaluated, Probed, Written
from perftool.spec import ModelFile, ModelSource

Watch = Callable[[str, int, int], None]


class Bench:
    """What a child holds between jobs: at most one compiled configuration."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._compilation: Compilation | None = None

    @property
    def compiled(self) -> str:
        """Return the id of the compiled configuration, empty when there is none."""
        return self._compilation.job.configuration.id if self._compilation else ""

    def do(self, job: Job) -> Answer:
        """Carry one job out."""
        match job:
            case Probe():
                return Probed(devices=tuple(probe(device) for device in job.devices or available()))
            case Describe():
                return describe_source(job.model)
            case Build():
                return write_built(job)
            case Prepare():
                return prepare(job, self._watch)
            case Compile():
                self._compilation = Compilation(job)
                return self._compilation.first()
            case Visit():
                return self._ready().visit(job)
            case Offer():
                return self._ready().offer(job)
            case Evaluate():
                return self._evaluate(job)
            case Freeze():
                from perftool.model.inception.tensorflow_graph import freeze

                return freeze(job)
            case Convert():
                from perftool.model.convert import convert

                return convert(job)
            case Verify():
                from perftool.bench.verify import verify

                return verify(job, self._watch)
            case Rank():
                from perftool.model.int8.ranking import rank

                return rank(job, self._watch)
            case Revert():
                from perftool.model.int8.reverting import revert

                return revert(job)
            case Inspect():
                from perftool.model.rewriting import inspect

                return inspect(job)
            case Rewrite():
                from perftool.model.rewriting import rewrite

                return rewrite(job)
            case ControlAccuracy():
                from perftool.bench.control import control

                return control(job, self._watch)
            case TimeLayers():
                from perftool.bench.layers import time_layers

                return time_layers(job, self._watch)
            case MeasurePeaks():
                from perftool.bench.peaks import measure_peaks

                return measure_peaks(job, self._watch)

    def _ready(self) -> Compilation:
        if self._compilation is None:
            raise PerftoolError("a visit was asked for before anything was compiled")
        return self._compilation

    def _evaluate(self, job: Evaluate) -> Evaluated:
        core = ov.Core()
        model = load(ModelFile(path=job.model_path), 1)
        layers = describe(model, name=job.weight_format, origin=job.model_path).layers
        biases = fused_biases(model, job.model_path)
        compiled, _ = compile_model(core, model, job.device, job.setting)
        resolved = resolved_properties(compiled)
        images = digest(job.images, lambda done, total: self._watch("look at the images", done, total))
        with kept(Path(job.cache), key(job, images, full_names(core, job.device))) as done:
            started = time.perf_counter_ns()
            found = classify(
                compiled,
                job.images,
                lambda done, total: self._watch("evaluate", done, total),
                labelled=job.labelled,
                kept=done,
            )
            duration_ns = time.perf_counter_ns() - started
        return Evaluated(
            precision=job.precision,
            weight_format=job.weight_format,
            device=job.device,
            inference_precision=resolved.get("INFERENCE_PRECISION_HINT", "unknown"),
            images=images,
            label_offset=found.label_offset,
            label_note=found.label_note,
            labels=found.labels,
            top5=found.top5,
            left_out=found.left_out,
            faults=found.faults,
            reused=found.reused,
            duration_ns=duration_ns,
            executed=executed_precisions(compiled, layers, biases),
        )


def describe_source(source: ModelSource) -> Described:
    """Count a model at batch 1."""
    name = model_name(source)
    loaded = load_with_feeding(source, 1)
    return describe(loaded.model, name=Path(name).name, origin=name, fed=loaded.fed)


def write_built(job: Build) -> Written:
    """Write a built-in model as an IR file."""
    target = check_target(job.output)
    model = build(job.model, convention=job.convention, batch=job.batch)
    return Written(path=str(write_model(model, target)))
