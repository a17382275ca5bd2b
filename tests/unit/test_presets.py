"""Presets of preprocessing: what they say of a model, and of image files."""

import pytest

from perftool.errors import UsageError
from perftool.model.presets import PRESETS, preprocessed
from perftool.spec import Dataset, Feeding, ModelFile, ReferenceModel

BUILT_IN = ReferenceModel(name="googlenet-v4-tf")
FILE = ModelFile(path="/models/resnet.onnx")
IMAGES = Dataset(directory="/images", labels="/val.txt", calibration="/train")


def test_a_known_model_is_preprocessed_as_the_catalogue_says() -> None:
    assert preprocessed(BUILT_IN, IMAGES, None) == (BUILT_IN, IMAGES)
    assert IMAGES.geometry == "central-crop"
    assert preprocessed(BUILT_IN, None, None) == (BUILT_IN, None)
    assert preprocessed(FILE, IMAGES, None) == (FILE, IMAGES), "nothing is known of a file"


def test_imagenet_cuts_the_images_and_normalizes_in_the_model() -> None:
    source, images = preprocessed(FILE, IMAGES, "imagenet")
    assert source == ModelFile(path=FILE.path, feeding=PRESETS["imagenet"].feeding)
    assert source.feeding.color == "RGB"
    assert images == Dataset(
        directory="/images", labels="/val.txt", calibration="/train", geometry="resize-crop"
    )
    alone, none = preprocessed(FILE, None, "imagenet")
    assert alone == source and none is None, "the built-in images are normalized all the same"


@pytest.mark.parametrize("name", ["central-crop", "resize-crop", "resize"])
def test_a_geometry_is_the_images_alone(name: str) -> None:
    source, images = preprocessed(FILE, IMAGES, name)
    assert source == FILE and source.feeding == Feeding()
    assert images is not None and images.geometry == name


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="normalizes"):
        preprocessed(BUILT_IN, IMAGES, "imagenet")
    with pytest.raises(UsageError, match="goes with --dataset"):
        preprocessed(FILE, None, "resize")
