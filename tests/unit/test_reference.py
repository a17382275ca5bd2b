"""The built-in weights and images: the same bits everywhere, parts that never overlap, a sane head."""

import hashlib
from importlib import resources

import numpy as np
import pytest
from numpy.typing import NDArray

from perftool.images.textures import CLASS_NAMES, Part, draw_image, label_of
from perftool.model.inception import inception_v4, inception_v4_openvino
from perftool.model.inception.reference import (
    BETA,
    DATA_FILE,
    FIRST_LABEL,
    SMALL_BIAS,
    reference_images,
    reference_kernel,
    reference_weights,
)

PARTS: tuple[Part, ...] = ("training", "calibration", "evaluation")


def _digest(array: NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def weights() -> dict[str, NDArray[np.float32]]:
    return reference_weights()


def test_weights_are_a_complete_set(weights: dict[str, NDArray[np.float32]]) -> None:
    inception_v4.check_weights(weights, "reference weights")
    assert all(array.dtype == np.float32 for array in weights.values())


def test_weights_are_the_same_to_the_last_bit(weights: dict[str, NDArray[np.float32]]) -> None:
    whole = hashlib.sha256()
    for name in sorted(weights):
        whole.update(name.encode())
        whole.update(np.ascontiguousarray(weights[name]).tobytes())
    assert whole.hexdigest()[:16] == "0fe3ce4b0f79fbd2"


def test_kernels_are_he_scaled(weights: dict[str, NDArray[np.float32]]) -> None:
    for name in ("InceptionV4/Conv2d_2b_3x3", "InceptionV4/Mixed_7d/Branch_2/Conv2d_0c_1x3"):
        kernel = weights[f"{name}/weights"].astype(np.float64)
        fan_in = np.prod(kernel.shape[:-1])
        assert kernel.var() * fan_in == pytest.approx(2.0, rel=0.02)
        assert abs(kernel.mean()) < 4 * kernel.std() / np.sqrt(kernel.size)


def test_folded_biases_keep_away_from_zero(weights: dict[str, NDArray[np.float32]]) -> None:
    """Or NNCF's bias correction would give whole layers up."""
    for layer in inception_v4.layers():
        if layer.kind == "conv":
            _, bias = inception_v4_openvino.fold_batch_norm(weights, layer.name)
            assert np.abs(bias).min() > 0.99 * SMALL_BIAS
            assert np.isin(weights[f"{layer.name}/BatchNorm/beta"], (BETA, BETA + 2 * SMALL_BIAS)).all()


def test_kernels_of_different_layers_differ() -> None:
    assert not np.array_equal(reference_kernel(0, (1, 1, 64, 64)), reference_kernel(1, (1, 1, 64, 64)))


def test_classes_that_do_not_occur_are_never_chosen(weights: dict[str, NDArray[np.float32]]) -> None:
    kernel = weights["InceptionV4/Logits/Logits/weights"]
    bias = weights["InceptionV4/Logits/Logits/biases"]
    occurring = np.zeros(1001, bool)
    occurring[FIRST_LABEL : FIRST_LABEL + len(CLASS_NAMES)] = True
    assert (np.abs(kernel[:, occurring]).max(axis=0) > 0).all()
    assert not kernel[:, ~occurring].any()
    assert (bias[~occurring] == -20).all()


def test_package_data_are_small() -> None:
    assert len(resources.files("perftool.model").joinpath("data", DATA_FILE).read_bytes()) < 1_000_000


@pytest.mark.parametrize(
    ("part", "index", "digest"),
    [
        ("training", 0, "2bbaf7e6ac211cd8"),
        ("training", 7, "3fb70bf0e001dd15"),
        ("calibration", 11, "188684d25862399d"),
        ("evaluation", 0, "db17285666bbd5d9"),
        ("evaluation", 20, "a378e6c7c4735a51"),
        ("evaluation", 23, "e502ed2ac459e379"),
        ("evaluation", 999, "2e19fa52e5de6a78"),
    ],
)
def test_images_are_the_same_to_the_last_bit(part: Part, index: int, digest: str) -> None:
    assert _digest(draw_image(part, index)) == digest


def test_every_class_is_drawn_the_same_everywhere() -> None:
    images = np.stack([draw_image("evaluation", index) for index in range(len(CLASS_NAMES))])
    assert _digest(images) == "43dcc31532d5d196"


def test_images_come_with_their_labels() -> None:
    drawn = list(reference_images("evaluation", 22, 4))
    assert [label for _, label in drawn] == [label_of(index) for index in range(22, 26)] == [23, 24, 1, 2]
    for (image, _), index in zip(drawn, range(22, 26), strict=True):
        assert image.shape == (299, 299, 3)
        assert image.dtype == np.uint8
        assert np.array_equal(image, draw_image("evaluation", index))


def test_there_are_enough_classes() -> None:
    assert len(CLASS_NAMES) == len(set(CLASS_NAMES)) >= 20


def test_parts_never_overlap() -> None:
    digests = {_digest(draw_image(part, index)) for part in PARTS for index in range(48)}
    assert len(digests) == 3 * 48


def test_images_are_well_exposed() -> None:
    """Little is clipped, and every image has a texture to see."""
    for index in range(len(CLASS_NAMES)):
        image = draw_image("training", index)
        assert ((image == 0) | (image == 255)).mean() < 0.25
        assert image.std() > 8
