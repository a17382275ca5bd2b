"""Inception-v4 in plain TensorFlow, written out from arXiv 1602.07261, to compare perftool's graphs with.

It shares nothing with perftool but the names of the variables: no table of layers, batch norm as its formula,
run eagerly.
"""

from collections.abc import Mapping
from math import prod, sqrt
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Tensor = Any
Padding = Literal["SAME", "VALID"]

EPSILON = 0.001
CLASSES = 1001


class Convolve(Protocol):
    """A convolution with batch norm and ReLU, by its name below InceptionV4/."""

    def __call__(
        self, x: Tensor, name: str, width: int, stride: int = 1, padding: Padding = "SAME"
    ) -> Tensor: ...


def probabilities(tf: Any, weights: Mapping[str, NDArray[Any]], images: Floats) -> Floats:
    """Return the (n, 1001) probabilities of (n, 299, 299, 3) RGB images, normalized to -1..1."""

    def convolve(x: Tensor, name: str, width: int, stride: int = 1, padding: Padding = "SAME") -> Tensor:
        kernel = np.asarray(weights[f"InceptionV4/{name}/weights"], np.float32)
        assert kernel.shape == (*_size(name), x.shape[3], width)
        mean, variance, beta = (
            np.asarray(weights[f"InceptionV4/{name}/BatchNorm/{statistic}"], np.float32)
            for statistic in ("moving_mean", "moving_variance", "beta")
        )
        product = tf.nn.conv2d(x, kernel, stride, padding)
        return tf.nn.relu((product - mean) / tf.sqrt(variance + EPSILON) + beta)

    scope = "InceptionV4/Logits/Logits"
    kernel, bias = (np.asarray(weights[f"{scope}/{part}"], np.float32) for part in ("weights", "biases"))
    return np.asarray(tf.nn.softmax(_features(tf, images, convolve) @ kernel + bias))


def random_weights(tf: Any, images: Floats, seed: int) -> dict[str, Floats]:
    """Draw all 598 variables: He-scaled kernels, random batch norm, logits that neither saturate nor vanish.

    Moving statistics are those that the images give, each off by a random amount: so every layer's output
    stays of the order of one, and depends on the image. Betas are about 1: about 0, ReLU would cut half of
    each layer off, and 149 of them magnify rounding to 4e-4 of a probability.
    """
    rng = np.random.default_rng(seed)
    weights: dict[str, Floats] = {}

    def convolve(x: Tensor, name: str, width: int, stride: int = 1, padding: Padding = "SAME") -> Tensor:
        shape = (*_size(name), int(x.shape[3]), width)
        kernel = rng.normal(0, sqrt(2 / prod(shape[:3])), shape).astype(np.float32)
        product = tf.nn.conv2d(x, kernel, stride, padding)
        mean, variance = (np.asarray(moment) for moment in tf.nn.moments(product, [0, 1, 2]))
        mean = (mean + rng.normal(0, 0.3, width) * np.sqrt(variance)).astype(np.float32)
        variance = (variance * rng.uniform(0.5, 2, width)).astype(np.float32)
        beta = rng.normal(1, 0.3, width).astype(np.float32)
        scope = f"InceptionV4/{name}"
        weights[f"{scope}/weights"] = kernel
        weights[f"{scope}/BatchNorm/beta"] = beta
        weights[f"{scope}/BatchNorm/moving_mean"] = mean
        weights[f"{scope}/BatchNorm/moving_variance"] = variance
        return tf.nn.relu((product - mean) / np.sqrt(variance + np.float32(EPSILON)) + beta)

    features = np.asarray(_features(tf, images, convolve), np.float64)
    kernel = rng.normal(0, 1, (features.shape[1], CLASSES))
    centred = features - features.mean(axis=0)
    kernel *= 3 / (centred @ kernel).std()
    bias = rng.normal(0, 1, CLASSES) - features.mean(axis=0) @ kernel
    weights["InceptionV4/Logits/Logits/weights"] = kernel.astype(np.float32)
    weights["InceptionV4/Logits/Logits/biases"] = bias.astype(np.float32)
    return weights


def _size(name: str) -> tuple[int, int]:
    """Read a kernel's height and width off the end of its name."""
    height, width = name.rpartition("_")[2].split("x")
    return int(height), int(width)


def _features(tf: Any, images: Floats, conv: Convolve) -> Tensor:
    """Give the 1536 pooled features, figure 9 from the bottom up."""
    x = _stem(tf, tf.constant(images), conv)
    for letter in "bcde":
        x = _block_a(tf, x, f"Mixed_5{letter}", conv)
    assert x.shape[1:] == (35, 35, 384)
    x = _reduction_a(tf, x, conv)
    for letter in "bcdefgh":
        x = _block_b(tf, x, f"Mixed_6{letter}", conv)
    assert x.shape[1:] == (17, 17, 1024)
    x = _reduction_b(tf, x, conv)
    for letter in "bcd":
        x = _block_c(tf, x, f"Mixed_7{letter}", conv)
    assert x.shape[1:] == (8, 8, 1536)
    return tf.reduce_mean(x, [1, 2])


def _halved(tf: Any, x: Tensor) -> Tensor:
    return tf.nn.max_pool2d(x, 3, 2, "VALID")


def _smoothed(tf: Any, x: Tensor) -> Tensor:
    return tf.nn.avg_pool2d(x, 3, 1, "SAME")


def _stem(tf: Any, x: Tensor, conv: Convolve) -> Tensor:
    """Figure 3."""
    x = conv(x, "Conv2d_1a_3x3", 32, 2, "VALID")
    x = conv(x, "Conv2d_2a_3x3", 32, 1, "VALID")
    x = conv(x, "Conv2d_2b_3x3", 64)
    x = tf.concat([_halved(tf, x), conv(x, "Mixed_3a/Branch_1/Conv2d_0a_3x3", 96, 2, "VALID")], 3)
    short = conv(x, "Mixed_4a/Branch_0/Conv2d_0a_1x1", 64)
    short = conv(short, "Mixed_4a/Branch_0/Conv2d_1a_3x3", 96, 1, "VALID")
    long = conv(x, "Mixed_4a/Branch_1/Conv2d_0a_1x1", 64)
    long = conv(long, "Mixed_4a/Branch_1/Conv2d_0b_1x7", 64)
    long = conv(long, "Mixed_4a/Branch_1/Conv2d_0c_7x1", 64)
    long = conv(long, "Mixed_4a/Branch_1/Conv2d_1a_3x3", 96, 1, "VALID")
    x = tf.concat([short, long], 3)
    return tf.concat([conv(x, "Mixed_5a/Branch_0/Conv2d_1a_3x3", 192, 2, "VALID"), _halved(tf, x)], 3)


def _block_a(tf: Any, x: Tensor, at: str, conv: Convolve) -> Tensor:
    """Figure 4."""
    first = conv(x, f"{at}/Branch_0/Conv2d_0a_1x1", 96)
    second = conv(x, f"{at}/Branch_1/Conv2d_0a_1x1", 64)
    second = conv(second, f"{at}/Branch_1/Conv2d_0b_3x3", 96)
    third = conv(x, f"{at}/Branch_2/Conv2d_0a_1x1", 64)
    third = conv(third, f"{at}/Branch_2/Conv2d_0b_3x3", 96)
    third = conv(third, f"{at}/Branch_2/Conv2d_0c_3x3", 96)
    fourth = conv(_smoothed(tf, x), f"{at}/Branch_3/Conv2d_0b_1x1", 96)
    return tf.concat([first, second, third, fourth], 3)


def _reduction_a(tf: Any, x: Tensor, conv: Convolve) -> Tensor:
    """Figure 7, with k, l, m and n of table 1."""
    first = conv(x, "Mixed_6a/Branch_0/Conv2d_1a_3x3", 384, 2, "VALID")
    second = conv(x, "Mixed_6a/Branch_1/Conv2d_0a_1x1", 192)
    second = conv(second, "Mixed_6a/Branch_1/Conv2d_0b_3x3", 224)
    second = conv(second, "Mixed_6a/Branch_1/Conv2d_1a_3x3", 256, 2, "VALID")
    return tf.concat([first, second, _halved(tf, x)], 3)


def _block_b(tf: Any, x: Tensor, at: str, conv: Convolve) -> Tensor:
    """Figure 5."""
    first = conv(x, f"{at}/Branch_0/Conv2d_0a_1x1", 384)
    second = conv(x, f"{at}/Branch_1/Conv2d_0a_1x1", 192)
    second = conv(second, f"{at}/Branch_1/Conv2d_0b_1x7", 224)
    second = conv(second, f"{at}/Branch_1/Conv2d_0c_7x1", 256)
    third = conv(x, f"{at}/Branch_2/Conv2d_0a_1x1", 192)
    third = conv(third, f"{at}/Branch_2/Conv2d_0b_7x1", 192)
    third = conv(third, f"{at}/Branch_2/Conv2d_0c_1x7", 224)
    third = conv(third, f"{at}/Branch_2/Conv2d_0d_7x1", 224)
    third = conv(third, f"{at}/Branch_2/Conv2d_0e_1x7", 256)
    fourth = conv(_smoothed(tf, x), f"{at}/Branch_3/Conv2d_0b_1x1", 128)
    return tf.concat([first, second, third, fourth], 3)


def _reduction_b(tf: Any, x: Tensor, conv: Convolve) -> Tensor:
    """Figure 8."""
    first = conv(x, "Mixed_7a/Branch_0/Conv2d_0a_1x1", 192)
    first = conv(first, "Mixed_7a/Branch_0/Conv2d_1a_3x3", 192, 2, "VALID")
    second = conv(x, "Mixed_7a/Branch_1/Conv2d_0a_1x1", 256)
    second = conv(second, "Mixed_7a/Branch_1/Conv2d_0b_1x7", 256)
    second = conv(second, "Mixed_7a/Branch_1/Conv2d_0c_7x1", 320)
    second = conv(second, "Mixed_7a/Branch_1/Conv2d_1a_3x3", 320, 2, "VALID")
    return tf.concat([first, second, _halved(tf, x)], 3)


def _block_c(tf: Any, x: Tensor, at: str, conv: Convolve) -> Tensor:
    """Figure 6."""
    first = conv(x, f"{at}/Branch_0/Conv2d_0a_1x1", 256)
    second = conv(x, f"{at}/Branch_1/Conv2d_0a_1x1", 384)
    wide = conv(second, f"{at}/Branch_1/Conv2d_0b_1x3", 256)
    high = conv(second, f"{at}/Branch_1/Conv2d_0c_3x1", 256)
    third = conv(x, f"{at}/Branch_2/Conv2d_0a_1x1", 384)
    third = conv(third, f"{at}/Branch_2/Conv2d_0b_3x1", 448)
    third = conv(third, f"{at}/Branch_2/Conv2d_0c_1x3", 512)
    wider = conv(third, f"{at}/Branch_2/Conv2d_0d_1x3", 256)
    higher = conv(third, f"{at}/Branch_2/Conv2d_0e_3x1", 256)
    fourth = conv(_smoothed(tf, x), f"{at}/Branch_3/Conv2d_0b_1x1", 256)
    return tf.concat([first, wide, high, wider, higher, fourth], 3)
