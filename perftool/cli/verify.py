"""`perftool model verify`: whether two models say the same of the same images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import feeding, options

if TYPE_CHECKING:
    from perftool.record import Verified
    from perftool.spec import Images, ModelSource

#: The bound on the largest difference of a probability, where none is given.
MAX_DIFFERENCE = 1e-4
#: Which images of a folder are compared; the same every time.
SEED = 20160223


def verify(
    first: Annotated[str, typer.Argument(help="The original: a model file, or a model's name.", metavar="A")],
    second: Annotated[str, typer.Argument(help="What was made of it.", metavar="B")],
    dataset: options.DatasetDir = None,
    images: Annotated[int, typer.Option(min=1, help="How many images at most.")] = 100,
    device: Annotated[str, typer.Option("--device", "-d", help="The device that both run on.")] = "CPU",
    max_difference: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Bound on the largest difference of a class probability.",
            show_default="1e-4 where no bound is given",
        ),
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(min=0.0, max=100.0, help="Bound on the images with the same top-1, in percent."),
    ] = None,
    mean: feeding.Mean = None,
    scale: feeding.Scale = None,
    color: feeding.Color = None,
    layout: feeding.Layout = None,
    input_shape: feeding.InputShape = None,
    weights: options.Weights = None,
    json: options.Json = False,
) -> None:
    """Compare two models in f32 on the same images.

    The options about feeding are those of A; --weights are those of a model that is given by name.
    """
    from perftool.cli.jobs import run_job
    from perftool.cli.output import print_json, print_rich
    from perftool.errors import DisagreementError
    from perftool.job import Verify
    from perftool.record import Verified
    from perftool.render.verified import as_json, verified_table

    stated = feeding.read_feeding(mean, scale, color, layout, input_shape)
    one, other = _sources(first, second, weights)
    job = Verify(
        first=feeding.fed(one, stated),
        second=other,
        images=_images(dataset, images),
        device=device,
    )
    found = run_job(job, Verified)
    _note_left_out(job.images, found)
    if max_difference is None and min_agreement is None:
        max_difference = MAX_DIFFERENCE
    exceeded = exceeding(found, max_difference, min_agreement)
    if json:
        print_json(as_json(found, exceeded))
    else:
        print_rich(verified_table(found, first, second))
    if exceeded:
        raise DisagreementError(f"{first} and {second} differ: {'; '.join(exceeded)}")


def exceeding(found: "Verified", max_difference: float | None, min_agreement: float | None) -> list[str]:
    """Say which bounds a comparison exceeds."""
    said = []
    if max_difference is not None and found.max_difference > max_difference:
        said.append(
            f"the largest difference of a probability is {found.max_difference:.3g}, above the bound of "
            f"{max_difference:.3g}"
        )
    if min_agreement is not None and 100 * found.same_top1 < min_agreement * found.images:
        said.append(
            f"{found.same_top1} of {found.images} images have the same top-1, less than {min_agreement:g} %"
        )
    return said


def _sources(first: str, second: str, weights: Path | None) -> "tuple[ModelSource, ModelSource]":
    """Read both models; the weights go with those that perftool builds."""
    from perftool.errors import UsageError
    from perftool.model.identity import BUILT_IN, parse_source

    if weights is not None and first not in BUILT_IN and second not in BUILT_IN:
        raise UsageError("--weights go with a built-in model's name, and neither A nor B is one")
    one, other = (
        parse_source(text, str(weights) if weights and text in BUILT_IN else None) for text in (first, second)
    )
    return one, other


def _note_left_out(images: "Images", found: "Verified") -> None:
    import sys

    from perftool.spec import ImageFiles

    if isinstance(images, ImageFiles) and found.images < len(images.files):
        left_out = len(images.files) - found.images
        sys.stderr.write(f"perftool: {left_out} of {len(images.files)} images cannot be read; left out\n")


def _images(dataset: Path | None, count: int) -> "Images":
    from perftool.images.dataset import draw, read_dataset
    from perftool.spec import SyntheticImages

    if dataset is None:
        return SyntheticImages(part="evaluation", count=count)
    return draw(read_dataset(dataset.absolute()), count, SEED)
