"""Build the graph of Inception-v4 (googlenet-v4-tf) with OpenVINO ops, from any set of TF-slim weights.

The network is one table, `_NETWORK`, that reads like figures 3 to 9 of arXiv 1602.07261 (with the widths of
TF-slim's `inception_v4`); `layers()` unrolls it into a flat list, and everything else loops over that list.
Nothing here trains, downloads, compiles or makes weights up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from perftool.model.weights import Weights, check_variables, load_weights

__all__ = [
    "CLASSES",
    "FEATURES",
    "IMAGE_SIZE",
    "OUTPUT",
    "Convention",
    "Layer",
    "add_layer",
    "build",
    "check_weights",
    "fold_batch_norm",
    "layers",
    "load_weights",
    "variable_shapes",
]

Convention = Literal["original", "converted"]
Padding = Literal["SAME", "VALID"]
Node = Any
"""A node or output of an OpenVINO graph; the runtime's Python package carries no usable types."""

SCOPE: Final = "InceptionV4"
OUTPUT: Final = f"{SCOPE}/Logits/Predictions"
IMAGE_SIZE: Final = 299
FEATURES: Final = 1536
"""Pooled features that the fully connected layer reads."""
CLASSES: Final = 1001
"""Classes of the output; class 0 is ImageNet's background."""
EPSILON: Final = 0.001
"""Epsilon of every batch norm."""
MEAN: Final = 127.5
SCALE: Final = 127.5


class _Conv(NamedTuple):
    """A convolution with batch norm and ReLU; its kernel, height x width, ends its name."""

    name: str
    channels: int
    stride: int = 1
    padding: Padding = "SAME"


class _Pool(NamedTuple):
    """A pooling layer: MaxPool with stride 2, VALID; AvgPool with stride 1, SAME."""

    name: str


class _Fork(NamedTuple):
    """Branches that read the same input and are concatenated along the channels.

    A named one is a block whose branches have scopes of their own: Branch_0, Branch_1, …
    """

    name: str
    branches: "tuple[_Branch, ...]"


_Branch = tuple[_Conv | _Pool | _Fork, ...]


def _fork(name: str, *branches: _Branch) -> _Fork:
    return _Fork(name, branches)


def _inception_a(name: str) -> _Fork:
    """Figure 4: 35x35x384 to 35x35x384."""
    return _fork(
        name,
        (_Conv("Conv2d_0a_1x1", 96),),
        (_Conv("Conv2d_0a_1x1", 64), _Conv("Conv2d_0b_3x3", 96)),
        (_Conv("Conv2d_0a_1x1", 64), _Conv("Conv2d_0b_3x3", 96), _Conv("Conv2d_0c_3x3", 96)),
        (_Pool("AvgPool_0a_3x3"), _Conv("Conv2d_0b_1x1", 96)),
    )


def _inception_b(name: str) -> _Fork:
    """Figure 5: 17x17x1024 to 17x17x1024."""
    deep = (_Conv("Conv2d_0a_1x1", 192), _Conv("Conv2d_0b_7x1", 192), _Conv("Conv2d_0c_1x7", 224))
    return _fork(
        name,
        (_Conv("Conv2d_0a_1x1", 384),),
        (_Conv("Conv2d_0a_1x1", 192), _Conv("Conv2d_0b_1x7", 224), _Conv("Conv2d_0c_7x1", 256)),
        (*deep, _Conv("Conv2d_0d_7x1", 224), _Conv("Conv2d_0e_1x7", 256)),
        (_Pool("AvgPool_0a_3x3"), _Conv("Conv2d_0b_1x1", 128)),
    )


def _inception_c(name: str) -> _Fork:
    """Figure 6: 8x8x1536 to 8x8x1536; two branches fork once more."""
    deep = (_Conv("Conv2d_0a_1x1", 384), _Conv("Conv2d_0b_3x1", 448), _Conv("Conv2d_0c_1x3", 512))
    return _fork(
        name,
        (_Conv("Conv2d_0a_1x1", 256),),
        (
            _Conv("Conv2d_0a_1x1", 384),
            _fork("", (_Conv("Conv2d_0b_1x3", 256),), (_Conv("Conv2d_0c_3x1", 256),)),
        ),
        (*deep, _fork("", (_Conv("Conv2d_0d_1x3", 256),), (_Conv("Conv2d_0e_3x1", 256),))),
        (_Pool("AvgPool_0a_3x3"), _Conv("Conv2d_0b_1x1", 256)),
    )


_STEM = (
    _Conv("Conv2d_1a_3x3", 32, 2, "VALID"),
    _Conv("Conv2d_2a_3x3", 32, 1, "VALID"),
    _Conv("Conv2d_2b_3x3", 64),
    _fork("Mixed_3a", (_Pool("MaxPool_0a_3x3"),), (_Conv("Conv2d_0a_3x3", 96, 2, "VALID"),)),
    _fork(
        "Mixed_4a",
        (_Conv("Conv2d_0a_1x1", 64), _Conv("Conv2d_1a_3x3", 96, 1, "VALID")),
        (
            *(_Conv("Conv2d_0a_1x1", 64), _Conv("Conv2d_0b_1x7", 64), _Conv("Conv2d_0c_7x1", 64)),
            _Conv("Conv2d_1a_3x3", 96, 1, "VALID"),
        ),
    ),
    _fork("Mixed_5a", (_Conv("Conv2d_1a_3x3", 192, 2, "VALID"),), (_Pool("MaxPool_1a_3x3"),)),
)

_REDUCTION_A = _fork(
    "Mixed_6a",
    (_Conv("Conv2d_1a_3x3", 384, 2, "VALID"),),
    (_Conv("Conv2d_0a_1x1", 192), _Conv("Conv2d_0b_3x3", 224), _Conv("Conv2d_1a_3x3", 256, 2, "VALID")),
    (_Pool("MaxPool_1a_3x3"),),
)

_REDUCTION_B = _fork(
    "Mixed_7a",
    (_Conv("Conv2d_0a_1x1", 192), _Conv("Conv2d_1a_3x3", 192, 2, "VALID")),
    (
        *(_Conv("Conv2d_0a_1x1", 256), _Conv("Conv2d_0b_1x7", 256), _Conv("Conv2d_0c_7x1", 320)),
        _Conv("Conv2d_1a_3x3", 320, 2, "VALID"),
    ),
    (_Pool("MaxPool_1a_3x3"),),
)

_NETWORK: Final[_Branch] = (
    *_STEM,
    *(_inception_a(f"Mixed_5{letter}") for letter in "bcde"),
    _REDUCTION_A,
    *(_inception_b(f"Mixed_6{letter}") for letter in "bcdefgh"),
    _REDUCTION_B,
    *(_inception_c(f"Mixed_7{letter}") for letter in "bcd"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer of the unrolled network, from the image to the last concatenation.

    `inputs` are names of earlier layers; the image's is "". A conv carries batch norm and ReLU with it.
    """

    name: str
    kind: Literal["conv", "max_pool", "avg_pool", "concat"]
    inputs: tuple[str, ...]
    in_channels: int
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: Padding = "VALID"


@cache
def layers() -> tuple[Layer, ...]:
    """List the layers in an order in which each comes after its inputs (149 convolutions among them)."""
    unrolled: list[Layer] = []
    _unroll(_NETWORK, SCOPE, ("", 3), unrolled)
    return tuple(unrolled)


def _unroll(branch: _Branch, scope: str, source: tuple[str, int], into: list[Layer]) -> tuple[str, int]:
    """Append a branch's layers; `source` and the answer are the name and channels of what is read last."""
    for part in branch:
        layer = (
            _unroll_fork(part, scope, source, into)
            if isinstance(part, _Fork)
            else _unroll_single(part, scope, source)
        )
        into.append(layer)
        source = (layer.name, layer.channels)
    return source


def _unroll_single(part: _Conv | _Pool, scope: str, source: tuple[str, int]) -> Layer:
    """Make the layer of a convolution or a pool."""
    name, channels = source
    height, width = part.name.rsplit("_", 1)[1].split("x")
    is_max = part.name.startswith("MaxPool")
    layer = Layer(
        name=f"{scope}/{part.name}",
        kind="max_pool" if is_max else "avg_pool",
        inputs=(name,),
        in_channels=channels,
        channels=channels,
        kernel=(int(height), int(width)),
        stride=2 if is_max else 1,
        padding="VALID" if is_max else "SAME",
    )
    if isinstance(part, _Pool):
        return layer
    return replace(layer, kind="conv", channels=part.channels, stride=part.stride, padding=part.padding)


def _unroll_fork(fork: _Fork, scope: str, source: tuple[str, int], into: list[Layer]) -> Layer:
    """Append the layers of every branch; make their concatenation."""
    scope = f"{scope}/{fork.name}" if fork.name else scope
    ends = [
        _unroll(branch, f"{scope}/Branch_{number}" if fork.name else scope, source, into)
        for number, branch in enumerate(fork.branches)
    ]
    total = sum(channels for _, channels in ends)
    names = tuple(name for name, _ in ends)
    return Layer(name=f"{scope}/concat", kind="concat", inputs=names, in_channels=total, channels=total)


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """List the 598 TF-slim variables that inference needs, with their shapes; kernels are HWIO."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers():
        if layer.kind == "conv":
            shapes[f"{layer.name}/weights"] = (*layer.kernel, layer.in_channels, layer.channels)
            for statistic in ("beta", "moving_mean", "moving_variance"):
                shapes[f"{layer.name}/BatchNorm/{statistic}"] = (layer.channels,)
    shapes[f"{SCOPE}/Logits/Logits/weights"] = (FEATURES, CLASSES)
    shapes[f"{SCOPE}/Logits/Logits/biases"] = (CLASSES,)
    return shapes


def check_weights(weights: Weights, origin: str) -> None:
    """Raise InputError, naming `origin`, unless the weights are exactly this network's variables.

    What a checkpoint holds for training alone (AuxLogits, global_step, optimizer slots) is left aside.
    """
    check_variables(weights, variable_shapes(), origin)


def fold_batch_norm(weights: Weights, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fold the batch norm of the convolution `name` into an OIHW kernel and a bias, in float64.

    With no gamma, y = (conv(x) - mean) / sqrt(variance + epsilon) + beta.
    """
    beta, mean, variance = (
        np.asarray(weights[f"{name}/BatchNorm/{statistic}"], dtype=np.float64)
        for statistic in ("beta", "moving_mean", "moving_variance")
    )
    scale = 1.0 / np.sqrt(variance + EPSILON)
    kernel = np.asarray(weights[f"{name}/weights"], dtype=np.float64) * scale
    folded = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), dtype=np.float32)
    return folded, (beta - mean * scale).astype(np.float32)


def build(
    weights: Mapping[str, NDArray[Any]],
    *,
    convention: Convention = "converted",
    batch: int = 1,
    origin: str = "weights",
) -> ov.Model:
    """Build the inference graph, batch norm folded, every parameter float32.

    `original`: input `input`, (batch, 299, 299, 3) RGB, normalized to -1..1 by (x - 127.5) / 127.5.
    `converted`: input `data`, (batch, 3, 299, 299) BGR, 0..255, normalized inside; the channel reversal is
    folded into the first kernel, as model conversion does. Both are float32, and both answer with
    `InceptionV4/Logits/Predictions`, (batch, 1001) probabilities. Raises InputError as `check_weights`.
    """
    check_weights(weights, origin)
    parameter, image = _image_input(convention, batch)
    nodes: dict[str, Node] = {"": image}
    for layer in layers():
        inputs = [nodes[name] for name in layer.inputs]
        reverse = convention == "converted" and layer.inputs == ("",)
        nodes[layer.name] = add_layer(layer, inputs, weights, reverse)
    predictions = _add_head(nodes[layers()[-1].name], weights)
    predictions.output(0).get_tensor().set_names({OUTPUT})
    return ov.Model([ops.result(predictions)], [parameter], SCOPE)


def _image_input(convention: Convention, batch: int) -> tuple[Node, Node]:
    """Make the model's parameter and the normalized NCHW image behind it."""
    size = (IMAGE_SIZE, IMAGE_SIZE)
    if convention == "original":
        parameter = ops.parameter([batch, *size, 3], np.float32, name="input")
        parameter.set_layout(ov.Layout("NHWC"))
        parameter.output(0).get_tensor().set_names({"input"})
        order = np.array([0, 3, 1, 2], dtype=np.int64)
        return parameter, ops.transpose(parameter, order, name="input/transpose")
    parameter = ops.parameter([batch, 3, *size], np.float32, name="data")
    parameter.set_layout(ov.Layout("NCHW"))
    parameter.output(0).get_tensor().set_names({"data"})
    centred = ops.subtract(parameter, np.float32(MEAN), name="data/mean")
    return parameter, ops.multiply(centred, np.float32(1.0 / SCALE), name="data/scale")


def add_layer(layer: Layer, inputs: list[Node], weights: Weights, reverse: bool) -> Node:
    """Append one layer to the graph; `reverse` turns a kernel over RGB into one over BGR."""
    if layer.kind == "concat":
        return ops.concat(inputs, 1, name=layer.name)
    strides = [layer.stride, layer.stride]
    # Every SAME layer of this network has stride 1 and an odd kernel, so TF's padding is symmetric.
    pads = [size // 2 if layer.padding == "SAME" else 0 for size in layer.kernel]
    if layer.kind == "max_pool":
        pool = ops.max_pool(inputs[0], strides, [1, 1], pads, pads, list(layer.kernel), name=layer.name)
        return pool.output(0)
    if layer.kind == "avg_pool":
        return ops.avg_pool(inputs[0], strides, pads, pads, list(layer.kernel), True, name=layer.name)
    kernel, bias = fold_batch_norm(weights, layer.name)
    if reverse:
        kernel = np.ascontiguousarray(kernel[:, ::-1])
    convolution = ops.convolution(inputs[0], _constant(kernel), strides, pads, pads, [1, 1], name=layer.name)
    biased = ops.add(convolution, _constant(bias.reshape(1, -1, 1, 1)), name=f"{layer.name}/BiasAdd")
    return ops.relu(biased, name=f"{layer.name}/Relu")


def _add_head(block: Node, weights: Weights) -> Node:
    """Append the 8x8 average pool, the fully connected layer and the softmax; dropout is the identity."""
    scope = f"{SCOPE}/Logits"
    pool = ops.avg_pool(block, [1, 1], [0, 0], [0, 0], [8, 8], True, name=f"{scope}/AvgPool_1a")
    # A zero copies the batch from the input, so the model can still be reshaped to another batch.
    flat = ops.reshape(pool, np.array([0, -1], dtype=np.int64), True, name=f"{scope}/PreLogitsFlatten")
    kernel = np.ascontiguousarray(np.asarray(weights[f"{scope}/Logits/weights"], dtype=np.float32).T)
    bias = np.asarray(weights[f"{scope}/Logits/biases"], dtype=np.float32).reshape(1, -1)
    product = ops.matmul(flat, _constant(kernel), False, True, name=f"{scope}/Logits")
    logits = ops.add(product, _constant(bias), name=f"{scope}/Logits/BiasAdd")
    return ops.softmax(logits, 1, name=OUTPUT)


def _constant(array: NDArray[np.float32]) -> Node:
    return ops.constant(array)
