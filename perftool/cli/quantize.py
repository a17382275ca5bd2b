"""`perftool quantize`: INT8 by post-training quantization, as a file, within a bound on the loss."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from perftool.cli import options
from perftool.cli.model import Model

if TYPE_CHECKING:
    from perftool.spec import Dataset, Images, ModelSource


#: How many images judge a bound where the command line does not say.
EVALUATION_IMAGES = 1000


class Method(StrEnum):
    """Who chooses the layers to keep in floating point."""

    ranked = "ranked"
    nncf = "nncf"


def quantize(
    model: Model = "googlenet-v4-tf",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The IR file to write (.xml, with .bin).")
    ] = Path("model-int8.xml"),
    weights: options.Weights = None,
    dataset: options.DatasetDir = None,
    labels: options.Labels = None,
    calibration: options.CalibrationDir = None,
    preprocess: options.Preprocess = None,
    images: Annotated[
        int, typer.Option("--calibration-images", min=1, help="How many images calibrate.")
    ] = 300,
    evaluation_images: Annotated[
        int | None, typer.Option(min=1, help="How many images at most judge --max-drop. Default: 1000.")
    ] = None,
    preset: Annotated[
        Literal["MIXED", "PERFORMANCE"],
        typer.Option(help="MIXED: asymmetric activations; PERFORMANCE: symmetric."),
    ] = "MIXED",
    fast_bias_correction: Annotated[
        bool, typer.Option("--fast-bias-correction/--bias-correction", help="How the bias shift is mended.")
    ] = True,
    ignore_layer: Annotated[
        list[str] | None,
        typer.Option(help="A layer to leave in float: its name, or a regular expression (repeatable)."),
    ] = None,
    device: Annotated[str, typer.Option("--device", "-d", help="The device it is for.")] = "CPU",
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Bound on the loss of top-1 in percentage points; few layers are kept in float for it.",
        ),
    ] = None,
    method: Annotated[
        Method | None,
        typer.Option(help="How --max-drop chooses layers: by their errors, or as NNCF does."),
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Show every layer.")] = False,
    json: options.Json = False,
) -> None:
    """Quantize a model to INT8, calibrated on images, and report every layer."""
    from perftool.cli.images import image_source
    from perftool.cli.output import print_json, print_rich
    from perftool.cli.watching import watching
    from perftool.errors import InputError, UsageError
    from perftool.job import Quantization
    from perftool.model.identity import parse_source
    from perftool.model.presets import preprocessed
    from perftool.render.quantization import quantization_view
    from perftool.spec import ImageFiles, ReferenceModel
    from perftool.sweep.asking import Order
    from perftool.sweep.quantizing import quantize as carry_out

    if max_drop is None and (method or evaluation_images):
        raise UsageError("--method and --evaluation-images go with --max-drop")
    if output.suffix != ".xml":
        raise InputError(f"{output}: a model file's name must end in .xml")
    source = parse_source(model, str(weights) if weights else None)
    source, chosen = preprocessed(source, image_source(dataset, labels, calibration), preprocess)
    calibrating, judging = _images(
        source, chosen, images, 0 if max_drop is None else evaluation_images or EVALUATION_IMAGES
    )
    order = Order(
        model=source,
        quantization=Quantization(
            calibration=calibrating,
            preset=preset,
            fast_bias_correction=fast_bias_correction,
            ignored=tuple(ignore_layer or ()),
            target=_target(device),
        ),
        output=output,
        device=device,
        max_drop_pp=max_drop,
        method=(method or Method.ranked).value,
        images=judging,
        labelled=isinstance(judging, ImageFiles) or isinstance(source, ReferenceModel),
    )
    with watching() as watcher:
        report = carry_out(order, watcher)
    if json:
        print_json(report)
    else:
        print_rich(*quantization_view(report, layers=layers))


def _images(
    source: "ModelSource", chosen: "Dataset | None", calibrating: int, judging: int
) -> "tuple[Images, Images]":
    """Return the images that calibrate and that judge; where none judge, the whole set may calibrate."""
    from perftool.images.dataset import draw, images_for, read_dataset
    from perftool.spec import Builtin, ImageFiles
    from perftool.sweep.profile import load_profile, override

    profile = override(
        load_profile("quick"),
        model=source,
        images=chosen or Builtin(),
        calibration_images=calibrating,
        evaluation_images=max(1, judging),
    )
    if chosen is None or judging or chosen.calibration:
        return images_for(profile)
    files = read_dataset(chosen.directory, chosen.labels, chosen.geometry)
    files = draw(files, calibrating, profile.seed)
    return files, ImageFiles(directory=files.directory, files=(), labels=())


def _target(device: str) -> Literal["ANY", "GPU", "NPU"]:
    """Return the device that NNCF makes its choices for: its CPU's are those for any."""
    kind = device.partition(".")[0].upper()
    return kind if kind in ("GPU", "NPU") else "ANY"  # type: ignore[return-value]
