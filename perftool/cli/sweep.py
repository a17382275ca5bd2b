"""`perftool sweep`: the main job."""

from pathlib import Path
from typing import Annotated

import typer

from perftool.cli import options

Model = Annotated[
    str | None, typer.Argument(help="A built-in model's name, or a model file. Default: the profile's.")
]


def sweep(
    model: Model = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            "-p",
            help="quick, wide, full, latency, throughput, serving, a file. Default: quick.",
        ),
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option("--device", "-d", help="CPU, GPU, NPU, AUTO, ... (repeatable).")
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="FP32, FP16, BF16, INT8 (several: a,b).")
    ] = None,
    batch: Annotated[list[str] | None, typer.Option(help="Batch sizes (several: a,b).")] = None,
    streams: Annotated[list[str] | None, typer.Option(help="Stream counts, or auto (several: a,b).")] = None,
    threads: Annotated[list[str] | None, typer.Option(help="Thread counts, or auto (several: a,b).")] = None,
    load: Annotated[
        list[str] | None, typer.Option(help="closed, sync, end_to_end, open (several: a,b).")
    ] = None,
    search: Annotated[
        options.SearchName | None,
        typer.Option(help="race drops what is beaten; grid measures all; tpe visits what it proposes."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="How many configurations tpe visits at the most.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Visits to each configuration.")] = None,
    extra_visits: Annotated[
        int | None,
        typer.Option(min=0, help="Visits beyond them, for what they leave open. Goes with --resume."),
    ] = None,
    carry_percentile: Annotated[
        bool,
        typer.Option(
            "--carry-percentile",
            help="Go on until the samples carry the percentile, however long. Goes with --resume.",
        ),
    ] = False,
    visit_seconds: Annotated[float | None, typer.Option(help="Length of a measuring window.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of order and splits.")] = None,
    weights: options.Weights = None,
    dataset: options.DatasetDir = None,
    labels: options.Labels = None,
    calibration: options.CalibrationDir = None,
    preprocess: options.Preprocess = None,
    calibration_images: options.CalibrationImages = None,
    evaluation_images: options.EvaluationImages = None,
    objective: options.ObjectiveOption = None,
    max_latency_ms: options.MaxLatency = None,
    slo_ms: options.SloMs = None,
    percentile: options.PercentileOption = None,
    max_accuracy_drop: options.MaxDrop = None,
    max_memory_mb: options.MaxMemory = None,
    limit: options.LimitOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder. Default: reports/TIME-MODEL.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Do what is left of the run in this folder.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure every configuration and recommend one."""
    from perftool.cli.images import image_source
    from perftool.cli.outcome import finish
    from perftool.cli.watching import watching
    from perftool.errors import UsageError
    from perftool.journal import Allowed
    from perftool.model.identity import model_name, parse_source
    from perftool.model.presets import preprocessed
    from perftool.spec import Dataset
    from perftool.sweep.profile import load_profile, override
    from perftool.sweep.run import resume_sweep
    from perftool.sweep.run import sweep as run_sweep

    given = {
        "devices": device,
        "precisions": options.words(precision),
        "batches": options.numbers(batch),
        "streams": options.numbers(streams),
        "threads": options.numbers(threads),
        "loads": options.words(load),
        "search": search.value if search else None,
        "trials": trials,
        "rounds": rounds,
        "visit_seconds": visit_seconds,
        "seed": seed,
        "calibration_images": calibration_images,
        "evaluation_images": evaluation_images,
        "objective": options.objective_of(objective, slo_ms),
        **options.limits_of(max_latency_ms, slo_ms, percentile, max_accuracy_drop, max_memory_mb, limit),
    }
    images = image_source(dataset, labels, calibration)
    if model == "":
        raise UsageError("the model's name is empty")
    if resume is not None:
        named = out or model or profile or weights or images or preprocess
        if named or any(value is not None for value in given.values()):
            raise UsageError(
                "--resume takes the run's own model and profile; only --extra-visits and --carry-percentile "
                "go with it"
            )
        folder = options.run_folder(resume)
        allowed = Allowed(extra_visits=extra_visits or 0, carry_percentile=carry_percentile)
        more = extra_visits or carry_percentile
        with watching() as watcher:
            resume_sweep(folder, watcher, allowed if more else None)
        finish(folder, json=json)
        return
    chosen = load_profile(profile or "quick")
    source = chosen.model
    if model or weights:
        source = parse_source(model or model_name(chosen.model), str(weights) if weights else None)
    own = chosen.images if isinstance(chosen.images, Dataset) else None
    source, images = preprocessed(source, images or own, preprocess)
    effort = {"extra_visits": extra_visits, "carry_percentile": carry_percentile or None}
    resolved = override(chosen, model=source, images=images, **given, **effort)  # type: ignore[arg-type]
    if trials is not None and resolved.search != "tpe":
        raise UsageError(f"--trials goes with --search tpe, not {resolved.search}")
    folder = out or options.default_folder(model_name(resolved.model))
    with watching() as watcher:
        run_sweep(resolved, folder, watcher)
    finish(folder, json=json)
