"""Make the built-in reference weights of Inception-v4 and hand out the built-in labelled images.

They stand in where no trained weights are at hand. Kernels are He-scaled seeded noise; every output channel
is scaled and shifted so that its pre-activation has unit variance and mean 3, which keeps 149 layers nearly
linear and so well conditioned, in every precision; the head is a ridge regression on the pooled features of
synthetic textures. The measured statistics and the head are package data, made by
tools/make_reference_weights.py. An accuracy with them is one of reference weights on synthetic images and
says nothing about a trained Inception-v4. Everything here is the same to the last bit on every machine.
"""

from collections.abc import Iterator
from importlib import resources
from math import prod, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from perftool.images.textures import CLASS_NAMES, FIRST_LABEL, Part, draw_image, label_of
from perftool.model.inception.inception_v4 import CLASSES, EPSILON, FEATURES, layers

__all__ = [
    "BETA",
    "CLASS_NAMES",
    "DATA_FILE",
    "FIRST_LABEL",
    "Part",
    "assemble",
    "reference_beta",
    "reference_images",
    "reference_kernel",
    "reference_weights",
]

BETA: Final = 3.0
"""Beta of batch norm: the mean of a pre-activation, in its own standard deviations."""
SMALL_BIAS: Final = 0.25
"""Folded biases keep at least this far from zero."""
ABSENT_LOGIT: Final = -20.0
"""Logit of the 977 classes that no texture has."""
DATA_FILE: Final = "reference_weights.npz"

_SEED: Final = 2016_09_09
_DEVIATION: Final = sqrt((256.0**2 - 1.0) / 3.0) * (257.0 * 513.0 / 6.0)
"""Standard deviation of (2a - 255)(b + 1)(c + 1) for bytes a, b and c."""


def reference_weights() -> dict[str, NDArray[np.float32]]:
    """Make the weights, by TF-slim names, ready for `inception_v4_openvino.build`; under a second, 170 MB."""
    with resources.files("perftool.model").joinpath("data", DATA_FILE).open("rb") as file:
        data = np.load(file, allow_pickle=False)
        mean, variance = data["moving_mean"], data["moving_variance"]
        kernel, bias = data["head_weights"], data["head_biases"]
    return assemble(mean, variance, kernel, bias)


def assemble(
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
    head_kernel: NDArray[np.float16],
    head_bias: NDArray[np.float32],
) -> dict[str, NDArray[np.float32]]:
    """Put kernels, statistics and head together.

    `mean` and `variance` hold all convolutions' channels one after the other, in the order of `layers()`;
    `head_kernel` (1536, textures) and `head_bias` (textures,) are those of the classes that occur.
    """
    weights: dict[str, NDArray[np.float32]] = {}
    start = 0
    for number, layer in enumerate(layers()):
        if layer.kind != "conv":
            continue
        span = slice(start, start + layer.channels)
        start += layer.channels
        shape = (*layer.kernel, layer.in_channels, layer.channels)
        weights[f"{layer.name}/weights"] = reference_kernel(number, shape)
        weights[f"{layer.name}/BatchNorm/beta"] = reference_beta(mean[span], variance[span])
        weights[f"{layer.name}/BatchNorm/moving_mean"] = mean[span]
        weights[f"{layer.name}/BatchNorm/moving_variance"] = variance[span]
    kernel = np.zeros((FEATURES, CLASSES), np.float32)
    bias = np.full(CLASSES, ABSENT_LOGIT, np.float32)
    textures = slice(FIRST_LABEL, FIRST_LABEL + len(head_bias))
    kernel[:, textures] = head_kernel
    bias[textures] = head_bias
    weights["InceptionV4/Logits/Logits/weights"] = kernel
    weights["InceptionV4/Logits/Logits/biases"] = bias
    return weights


def reference_kernel(number: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw the HWIO kernel of layer `number`, with variance 2 / fan-in (He et al., arXiv 1502.01852).

    A value is the product of three random bytes, one of them signed: many small, few large, as in trained
    kernels, so that 8-bit arithmetic without VNNI (pairs of products in 16 bits) hardly saturates. A kernel
    over several pixels sums to zero over the input channels at each of them, so that zero padding looks like
    the inputs' common mean: borders behave like the rest, which NNCF's fast bias correction takes for
    granted. (The first layer's inputs have mean zero anyway.) The bits are raw ones of a Philox generator, a
    stream that NumPy keeps.
    """
    size = prod(shape)
    generator = np.random.Philox(key=np.array([_SEED, number], dtype=np.uint64))
    raw = np.asarray(generator.random_raw((3 * size + 7) // 8), dtype="<u8").view(np.uint8)
    first, second, third = (raw[i * size : (i + 1) * size].astype(np.int32) for i in range(3))
    product = ((2 * first - 255) * (second + 1) * (third + 1)).reshape(shape)  # below 2**24, so exact
    kernel = product.astype(np.float32)
    if shape[0] * shape[1] > 1 and shape[2] > 3:
        kernel -= (product.sum(axis=2, keepdims=True, dtype=np.int64) / shape[2]).astype(np.float32)
    return kernel * np.float32(sqrt(2.0 / prod(shape[:-1])) / _DEVIATION)


def reference_beta(mean: NDArray[np.float32], variance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Choose beta: 3, and a little more where the folded bias would come out close to zero.

    A precaution: NNCF's bias correction leaves a whole layer alone when one bias would change by twice its
    own size, as a bias close to zero easily does. How much it gains was not measured by itself.
    """
    bias = np.float32(BETA) - mean / np.sqrt(variance + np.float32(EPSILON))
    return np.where(np.abs(bias) < SMALL_BIAS, np.float32(BETA + 2 * SMALL_BIAS), np.float32(BETA))


def reference_images(part: Part, start: int, count: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Yield images `start` … `start + count - 1` of a part, (299, 299, 3) RGB, each with its label.

    Labels are classes of the 1001-class output (`FIRST_LABEL` plus the position in `CLASS_NAMES`). The parts
    never overlap: each image has random bits of its own. An image takes some milliseconds.
    """
    for index in range(start, start + count):
        yield draw_image(part, index), label_of(index)
