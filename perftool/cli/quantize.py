"""`perftool quantize`: INT8 by post-training quantization, as a file."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from perftool.cli import options
from perftool.cli.model import Model

#: Which images of a folder calibrate; the same every time.
SEED = 20160223


def quantize(
    model: Model = "googlenet-v4-tf",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The IR file to write (.xml, with .bin).")
    ] = Path("model-int8.xml"),
    weights: options.Weights = None,
    dataset: options.DatasetDir = None,
    images: Annotated[
        int, typer.Option("--calibration-images", min=1, help="How many images calibrate.")
    ] = 300,
    preset: Annotated[
        Literal["MIXED", "PERFORMANCE"],
        typer.Option(help="MIXED: asymmetric activations; PERFORMANCE: symmetric."),
    ] = "MIXED",
    fast_bias_correction: Annotated[
        bool, typer.Option("--fast-bias-correction/--bias-correction", help="How the bias shift is mended.")
    ] = True,
    json: options.Json = False,
) -> None:
    """Quantize a model to INT8, calibrated on images."""
    from perftool.cli.jobs import run_job
    from perftool.cli.output import print_json
    from perftool.errors import InputError
    from perftool.job import Prepare, Quantization
    from perftool.model.cache import cache_folder
    from perftool.model.dataset import draw, read_dataset
    from perftool.model.identity import parse_source
    from perftool.model.placing import place_model
    from perftool.record import Prepared
    from perftool.spec import SyntheticImages

    if output.suffix != ".xml":
        raise InputError(f"{output}: a model file's name must end in .xml")
    calibration = (
        SyntheticImages(part="calibration", count=images)
        if dataset is None
        else draw(read_dataset(dataset.absolute()), images, SEED)
    )
    job = Prepare(
        model=parse_source(model, str(weights) if weights else None),
        weight_format="int8",
        quantization=Quantization(
            calibration=calibration, preset=preset, fast_bias_correction=fast_bias_correction
        ),
        cache=str(cache_folder()),
    )
    prepared = run_job(job, Prepared, "quantizing")
    place_model(Path(prepared.path), output)
    if json:
        print_json({"output": str(output), "prepared": prepared})
        return
    how = "from the cache" if prepared.cached else f"in {prepared.duration_ns / 1e9:.1f} s"
    sys.stdout.write(
        f"{output}: {prepared.file_bytes / 1e6:.1f} MB, calibrated on {prepared.calibration_images} images, "
        f"{how}, peak memory {prepared.peak_rss_bytes / 1e6:.0f} MB\n"
    )
