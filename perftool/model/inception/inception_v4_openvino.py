"""Build the graph of Inception-v4 with OpenVINO ops, from any set of TF-slim weights.

Batch norm is folded into kernels and biases, in float64. What the layers are says `inception_v4`. Nothing
here reads files, compiles or makes weights up.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from perftool.model.inception.inception_v4 import (
    EPSILON,
    IMAGE_SIZE,
    MEAN,
    OUTPUT,
    SCALE,
    SCOPE,
    Layer,
    check_weights,
    layers,
)
from perftool.model.inception.variables import Weights
from perftool.spec import Convention

Node = Any
"""A node or output of an OpenVINO graph; the runtime's Python package carries no usable types."""


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
