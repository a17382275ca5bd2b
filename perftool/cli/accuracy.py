"""`perftool accuracy`: what each precision costs in accuracy, without a sweep."""

from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options
from perftool.cli.model import Model

if TYPE_CHECKING:
    from perftool.record import Evaluated, Header
    from perftool.sweep.run import Watcher


def accuracy(
    model: Model = "googlenet-v4-tf",
    precision: Annotated[
        list[str] | None,
        typer.Option(help="FP32, FP16, BF16, INT8 (list). Default: all that the device has."),
    ] = None,
    device: Annotated[str, typer.Option("--device", "-d", help="The device to evaluate on.")] = "CPU",
    weights: options.Weights = None,
    dataset: options.DatasetDir = None,
    labels: options.Labels = None,
    calibration: options.CalibrationDir = None,
    calibration_images: options.CalibrationImages = None,
    evaluation_images: options.EvaluationImages = None,
    json: options.Json = False,
) -> None:
    """Compare the accuracy of the precisions."""
    from perftool.analysis.accuracy import compare
    from perftool.analysis.summary import accuracy_of
    from perftool.cli.images import image_source
    from perftool.cli.output import print_json, print_rich
    from perftool.cli.watching import watching
    from perftool.model.identity import parse_source
    from perftool.render.accuracy import AccuracyRow, accuracy_table
    from perftool.sweep.profile import load_profile, override
    from perftool.sweep.run import new_header

    profile = override(
        load_profile("quick"),
        model=parse_source(model, str(weights) if weights else None),
        images=image_source(dataset, labels, calibration),
        devices=[device],
        precisions=options.words(precision),
        calibration_images=calibration_images,
        evaluation_images=evaluation_images,
    )
    header = new_header(profile)
    with watching() as watcher:
        evaluated = evaluations(header, watcher)
    reference = next(one for one in evaluated if one.precision == "FP32")
    wanted = profile.grids[0].precisions
    rows = [
        AccuracyRow(
            precision=one.precision,
            device=one.device,
            inference_precision=one.inference_precision,
            accuracy=compare(one, reference),
        )
        for one in evaluated
        if one.precision in wanted
    ]
    if json:
        print_json({"accuracy_of": accuracy_of(header), "results": rows})
    else:
        print_rich(accuracy_table(rows, accuracy_of(header)))


def evaluations(header: "Header", watcher: "Watcher") -> "list[Evaluated]":
    """Evaluate FP32, the reference, and every precision of the profile that its device has."""
    import tempfile
    from pathlib import Path

    from perftool.bench.isolate import refuse
    from perftool.model.dataset import images_for
    from perftool.record import Entry, Failed, Progress, Run
    from perftool.sweep.plan import plan
    from perftool.sweep.remaining import remaining
    from perftool.sweep.run import Status, evaluate, prepare, probe

    made = plan(header.profile, header.host, probe(header.profile.grids[0].devices, watcher))
    planned = Run(header=header, entries=(Entry(at_ns=header.created_ns, record=made),))
    calibration, images = images_for(header.profile)
    results = []
    for evaluation in remaining(planned).evaluations:
        prepared = prepare(header.profile, evaluation.weight_format, calibration, watcher)
        if isinstance(prepared, Failed):
            raise refuse(prepared)

        def watch(progress: Progress | None, subject: str = evaluation.subject) -> None:
            part = (progress.done, progress.total) if progress else None
            watcher.status(Status(stage="evaluate", subject=subject, part=part))

        with tempfile.TemporaryDirectory() as folder:
            evaluated = evaluate(
                header.profile, evaluation, prepared, images, Path(folder) / "evaluate.log", watch
            )
        if isinstance(evaluated, Failed):
            raise refuse(evaluated)
        results.append(evaluated)
    return results
