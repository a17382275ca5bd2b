"""Name the usual ways of preprocessing images for a classifier. Runtime-free.

A preset says how an image file is cut to the model's size, and what the model wants of its values. The second
is built into the model (`model.feeding`), the first happens on every image (`images.sets`).
"""

from typing import Final

from msgspec import Struct

from perftool.errors import UsageError
from perftool.published.catalogue import known
from perftool.published.fetched import fetched_name
from perftool.spec import Dataset, Feeding, Geometry, ModelFile, ModelSource


class Preset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way of preprocessing."""

    geometry: Geometry
    feeding: Feeding = Feeding()


#: "imagenet" is what torchvision's reference scripts train and evaluate with: mean and standard deviation of
#: ImageNet's training images, times 255, over RGB.
PRESETS: Final = {
    "central-crop": Preset(geometry="central-crop"),
    "imagenet": Preset(
        geometry="resize-crop",
        feeding=Feeding(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375), color="RGB"),
    ),
    "resize-crop": Preset(geometry="resize-crop"),
    "resize": Preset(geometry="resize"),
}


def preprocessed(
    source: ModelSource, images: Dataset | None, name: str | None
) -> tuple[ModelSource, Dataset | None]:
    """Return a model and a data set that preprocess as a preset says; without one, as the catalogue does.

    Raises UsageError for a preset that normalizes on a built-in model, which does that itself, and for a
    geometry without image files to cut.
    """
    if name is None:
        entry = fetched_name(source.path) if isinstance(source, ModelFile) else source.name
        if images is None or entry is None:
            return source, images
        return source, _cut(images, known(entry).geometry)
    preset = PRESETS[name]
    if preset.feeding != Feeding():
        if not isinstance(source, ModelFile):
            raise UsageError(f"--preprocess {name} normalizes, and {source.name} does that inside")
        source = ModelFile(path=source.path, feeding=preset.feeding)
    elif images is None:
        raise UsageError(f"--preprocess {name} cuts image files: it goes with --dataset")
    return source, _cut(images, preset.geometry) if images else None


def _cut(images: Dataset, geometry: Geometry) -> Dataset:
    return Dataset(
        directory=images.directory,
        labels=images.labels,
        calibration=images.calibration,
        geometry=geometry,
    )
