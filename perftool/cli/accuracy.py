"""`perftool accuracy`: what each precision costs in accuracy, without a sweep."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from perftool.cli import options
from perftool.cli.model import Model

if TYPE_CHECKING:
    from perftool.journal import Header
    from perftool.record import Evaluated
    from perftool.render.accuracy import AccuracyView
    from perftool.sweep.preparing import Watcher


def accuracy(
    model: Model = "googlenet-v4-tf",
    precision: Annotated[
        list[str] | None,
        typer.Option(help="FP32, FP16, BF16, INT8 (several: a,b). Default: all that the device has."),
    ] = None,
    device: Annotated[str, typer.Option("--device", "-d", help="The device to evaluate on.")] = "CPU",
    weights: options.Weights = None,
    dataset: options.DatasetDir = None,
    labels: options.Labels = None,
    calibration: options.CalibrationDir = None,
    calibration_images: options.CalibrationImages = None,
    evaluation_images: options.EvaluationImages = None,
    preprocess: options.Preprocess = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="List the images that each precision puts in another class.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Compare the accuracy of the precisions. Stopped, it goes on where it was when it is asked again."""
    from perftool.cli.images import image_source
    from perftool.cli.output import print_json, print_rich
    from perftool.cli.watching import watching
    from perftool.errors import InterruptedRunError
    from perftool.model.identity import parse_source
    from perftool.model.presets import preprocessed
    from perftool.render.accuracy import accuracy_notes, accuracy_table, changes_table
    from perftool.sweep.preparing import new_header
    from perftool.sweep.profile import load_profile, override

    source = parse_source(model, str(weights) if weights else None)
    source, images = preprocessed(source, image_source(dataset, labels, calibration), preprocess)
    profile = override(
        load_profile("quick"),
        model=source,
        images=images,
        devices=[device],
        precisions=options.words(precision),
        calibration_images=calibration_images,
        evaluation_images=evaluation_images,
    )
    header = new_header(profile)
    try:
        with watching() as watcher:
            found = evaluations(header, watcher)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "stopped; what was classified is kept, and the same command goes on from there"
        ) from None
    view = accuracy_view(header, found)
    if json:
        print_json(view)
        return
    print_rich(accuracy_table(view), *accuracy_notes(view))
    if changes:
        compared = [row for row in view.results if row.precision != "FP32"]
        print_rich(*(changes_table(row.precision, row.changes) for row in compared))


class Evaluations(NamedTuple):
    """Evaluations, the names of all their images, and the precisions that are worth a row.

    `one_file`: the model comes quantized, so they are all of one file.
    """

    results: "list[Evaluated]"
    names: tuple[str, ...]
    precisions: frozenset[str]
    one_file: bool


def accuracy_view(header: "Header", found: Evaluations) -> "AccuracyView":
    """Put together what is shown of evaluations."""
    from perftool.analysis.accuracy import changes, compare, reference_of
    from perftool.analysis.evidence import most_executed
    from perftool.analysis.run_info import accuracy_of
    from perftool.published.catalogue import known
    from perftool.record import ImageFaults
    from perftool.render.accuracy import AccuracyRow, AccuracyView, Published

    reference = reference_of(found.results)
    assert reference is not None, "FP32 in f32 is always evaluated"
    published = None
    if header.model.published:
        told = known(header.model.name).published
        published = Published(top1=told.top1, top5=told.top5, images=told.images, on=told.dataset)
    rows = []
    for one in found.results:
        if one.precision in found.precisions:
            fresh = len(one.top5) + len(one.left_out) - one.reused
            row = AccuracyRow(
                precision=one.precision,
                device=one.device,
                inference_precision=one.inference_precision,
                executed_precision=most_executed(one.executed)[0],
                accuracy=compare(one, reference, one_file=found.one_file),
                images_per_second=fresh * 1e9 / one.duration_ns if fresh else None,
                reused=one.reused,
                changes=changes(one, reference, found.names),
            )
            rows.append(row)
    return AccuracyView(
        accuracy_of=accuracy_of(header),
        published=published,
        results=tuple(rows),
        faults=reference.faults or ImageFaults(),
        left_out=reference.left_out,
        label_note=reference.label_note,
    )


def evaluations(header: "Header", watcher: "Watcher") -> Evaluations:
    """Evaluate FP32, the reference, and every precision of the profile that its device has.

    Of a model that comes quantized FP32 is the same file as INT8, and gets no row of its own.
    """
    import tempfile
    from pathlib import Path

    from perftool.bench.isolate import refuse
    from perftool.images.dataset import images_for, names
    from perftool.journal import Entry, Run
    from perftool.record import Failed, Progress
    from perftool.sweep.preparing import Status, evaluate, plan_prepared, prepare, probe
    from perftool.sweep.remaining import remaining

    calibration, images = images_for(header.profile)
    devices = probe(header.profile.grids[0].devices, watcher)
    made, fp32 = plan_prepared(header, devices, calibration, watcher)
    planned = Run(header=header, entries=(Entry(at_ns=header.created_ns, record=made),))
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
    planned_precisions = frozenset(one.precision for one in made.configurations if not one.baseline)
    return Evaluations(results, names(images), planned_precisions, bool(fp32.comes_quantized))
