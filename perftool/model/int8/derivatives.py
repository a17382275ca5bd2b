"""Say how a gradient goes back through an op: one rule for each kind, written with the runtime's ops.

Rules give the gradient of an op's inputs from that of its first output; at a kink (ReLU at 0) any of the
slopes. `backward` puts them together. Shapes must be known. Runs in a child process.
"""

from collections.abc import Callable
from math import prod
from typing import Any, Final

import numpy as np
from openvino import opset13 as ops

from perftool.model.int8.quantized import Node

Gradients = list[Node | None] | None
Rule = Callable[[Node, Node], Gradients]
"""Given an op and its output's gradient, return those of its inputs; None where it cannot."""


def _input(node: Node, port: int = 0) -> Node:
    return node.input(port).get_source_output()


def _like(gradient: Node, value: Node) -> Node:
    """Bring a gradient to the shape of a value, adding up where the value was broadcast."""
    shape, target = list(gradient.get_shape()), list(value.get_shape())
    if shape == target:
        return gradient
    padded = [1] * (len(shape) - len(target)) + target
    axes = [axis for axis, (size, wanted) in enumerate(zip(shape, padded, strict=True)) if size != wanted]
    if axes:
        gradient = ops.reduce_sum(gradient, np.array(axes, np.int64), True).output(0)
    return _reshaped(gradient, target)


def _reshaped(value: Node, shape: list[int]) -> Node:
    return ops.reshape(value, np.array(shape, np.int64), False).output(0)


# ---------------------------------------------------------------- layers


def _unwind(node: Node, kernel: list[int], begin: list[int]) -> dict[str, list[int]]:
    """Return the pads and output padding with which the transposed op gives its input's size."""
    attributes = node.get_attributes()
    sizes, outputs = list(_input(node).get_shape())[2:], list(node.output(0).get_shape())[2:]
    strides = list(attributes["strides"])
    dilations = list(attributes.get("dilations", [1] * len(strides)))
    reach = [
        (out - 1) * stride + (width - 1) * dilation + 1 - start - size
        for out, stride, width, dilation, start, size in zip(
            outputs, strides, kernel, dilations, begin, sizes, strict=True
        )
    ]
    return {
        "strides": strides,
        "dilations": dilations,
        "pads_begin": begin,
        "pads_end": [max(0, size) for size in reach],
        "output_padding": [max(0, -size) for size in reach],
    }


def _begin(node: Node, kernel: list[int]) -> list[int]:
    """Return the padding before the first pixel, working out what auto_pad means."""
    attributes = node.get_attributes()
    auto = attributes["auto_pad"]
    if auto == "valid":
        return [0] * len(kernel)
    if auto not in ("same_upper", "same_lower"):
        return list(attributes["pads_begin"])
    sizes, outputs = list(_input(node).get_shape())[2:], list(node.output(0).get_shape())[2:]
    strides, dilations = attributes["strides"], attributes.get("dilations", [1] * len(kernel))
    totals = [
        max(0, (out - 1) * stride + (width - 1) * dilation + 1 - size)
        for out, stride, width, dilation, size in zip(outputs, strides, kernel, dilations, sizes, strict=True)
    ]
    return [total // 2 if auto == "same_upper" else total - total // 2 for total in totals]


def _convolution(node: Node, gradient: Node) -> Gradients:
    weights = _input(node, 1)
    grouped = node.get_type_name() == "GroupConvolution"
    kernel = list(weights.get_shape())[3 if grouped else 2 :]
    how = _unwind(node, kernel, _begin(node, kernel))
    transposed = ops.group_convolution_backprop_data if grouped else ops.convolution_backprop_data
    return [transposed(gradient, _copied(weights), **how).output(0), None]


def _copied(weights: Node) -> Node:
    """Give the reverse of an op weights of its own, where they are constant.

    Where two ops read one constant, one of them transposed, and its shape is the same both ways, the CPU
    plugin packs it once, and one of them computes with the other's form (seen in OpenVINO 2026.4.1).
    """
    node = weights.get_node()
    if node.get_type_name() == "Convert":
        node = node.input(0).get_source_output().get_node()
    if node.get_type_name() != "Constant":
        return weights
    return ops.constant(np.array(node.data, dtype=np.float32))


def _matmul(node: Node, gradient: Node) -> Gradients:
    left, right = _input(node, 0), _input(node, 1)
    attributes = node.get_attributes()
    flip_left, flip_right = attributes["transpose_a"], attributes["transpose_b"]
    if min(len(left.get_shape()), len(right.get_shape())) < 2:
        return None
    first, second = _copied(left), _copied(right)
    by_left = (
        ops.matmul(second, gradient, flip_right, True)
        if flip_left
        else ops.matmul(gradient, second, False, not flip_right)
    )
    by_right = (
        ops.matmul(gradient, first, True, flip_left)
        if flip_right
        else ops.matmul(first, gradient, not flip_left, False)
    )
    return [_like(by_left.output(0), left), _like(by_right.output(0), right)]


# ---------------------------------------------------------------- pooling


def _average_pool(node: Node, gradient: Node) -> Gradients:
    """Spread each window's gradient evenly over its pixels: a transposed convolution by ones."""
    attributes = node.get_attributes()
    kernel, value = list(attributes["kernel"]), _input(node)
    begin, shape, outputs = _begin(node, kernel), list(value.get_shape()), list(node.output(0).get_shape())
    counts = np.ones(outputs[2:], np.float32) * np.float32(prod(kernel))
    if attributes["exclude-pad"]:
        counts = _inside(shape[2:], outputs[2:], kernel, list(attributes["strides"]), begin)
    share = ops.divide(gradient, ops.constant(counts)).output(0)
    planes = _reshaped(share, [prod(outputs[:2]), 1, *outputs[2:]])
    ones = ops.constant(np.ones((1, 1, *kernel), np.float32))
    spread = ops.convolution_backprop_data(planes, ones, **_unwind(node, kernel, begin))
    return [_reshaped(spread.output(0), shape)]


def _inside(
    sizes: list[int], outputs: list[int], kernel: list[int], strides: list[int], begin: list[int]
) -> Any:
    """Count the pixels of each window that are no padding."""
    counts = np.ones((), np.float32)
    for size, out, width, stride, start in zip(sizes, outputs, kernel, strides, begin, strict=True):
        first = np.arange(out) * stride - start
        along = np.minimum(first + width, size) - np.maximum(first, 0)
        counts = np.multiply.outer(counts, along.astype(np.float32))
    return counts


def _max_pool(node: Node, gradient: Node) -> Gradients:
    """Hand each window's gradient to the pixels that are its maximum, in equal parts.

    The pixels of a window come side by side by a convolution with one kernel for each of them, and go back by
    its transpose; the runtime's own indices of maxima are ten times as slow.
    """
    value, kernel = _input(node), list(node.get_attributes()["kernel"])
    shape, outputs, pixels = list(value.get_shape()), list(node.output(0).get_shape()), prod(kernel)
    how = _unwind(node, kernel, _begin(node, kernel))
    padding = how.pop("output_padding")
    each = np.eye(pixels, dtype=np.float32).reshape(pixels, 1, *kernel)
    planes = _reshaped(value, [prod(shape[:2]), 1, *shape[2:]])
    windows = ops.convolution(planes, ops.constant(each), **how)
    maxima, handed = (
        _reshaped(plane, [prod(outputs[:2]), 1, *outputs[2:]]) for plane in (node.output(0), gradient)
    )
    chosen = ops.convert(ops.equal(windows, maxima), "f32")
    count = ops.maximum(ops.reduce_sum(chosen, np.array([1], np.int64), True), np.float32(1))
    parts = ops.multiply(chosen, ops.divide(handed, count))
    spread = ops.convolution_backprop_data(parts, ops.constant(each), output_padding=padding, **how)
    return [_reshaped(spread.output(0), shape)]


def _reduce_mean(node: Node, gradient: Node) -> Gradients:
    value = _input(node)
    shape, kept = list(value.get_shape()), list(value.get_shape())
    axes = _input(node, 1).get_node()
    if axes.get_type_name() != "Constant":
        return None
    for axis in np.atleast_1d(axes.data).tolist():
        kept[axis] = 1
    size = prod(shape) // prod(kept)
    even = ops.multiply(_reshaped(gradient, kept), np.float32(1 / size))
    return [ops.broadcast(even, np.array(shape, np.int64)).output(0), None]


# ---------------------------------------------------------------- sums, products, functions of one value


def _add(node: Node, gradient: Node) -> Gradients:
    return [_like(gradient, _input(node, port)) for port in (0, 1)]


def _subtract(node: Node, gradient: Node) -> Gradients:
    return [_like(gradient, _input(node, 0)), _like(ops.negative(gradient).output(0), _input(node, 1))]


def _multiply(node: Node, gradient: Node) -> Gradients:
    left, right = _input(node, 0), _input(node, 1)
    return [
        _like(ops.multiply(gradient, right).output(0), left),
        _like(ops.multiply(gradient, left).output(0), right),
    ]


def _divide(node: Node, gradient: Node) -> Gradients:
    left, right, ratio = _input(node, 0), _input(node, 1), node.output(0)
    by_left = ops.divide(gradient, right)
    return [
        _like(by_left.output(0), left),
        _like(ops.negative(ops.multiply(by_left, ratio)).output(0), right),
    ]


def _softmax(node: Node, gradient: Node) -> Gradients:
    """For y = softmax(x): y * (g - sum(g * y))."""
    axis, scores = np.array([node.get_attributes()["axis"]], np.int64), node.output(0)
    mean = ops.reduce_sum(ops.multiply(gradient, scores), axis, True)
    return [ops.multiply(scores, ops.subtract(gradient, mean)).output(0)]


def _slopes(slope: Callable[[Node], Node]) -> Rule:
    """Make the rule of a function of one value, given its derivative."""
    return lambda node, gradient: [ops.multiply(gradient, slope(node)).output(0), None]


def _sigmoid_slope(node: Node) -> Node:
    return ops.multiply(node.output(0), ops.subtract(np.float32(1), node.output(0)))


def _tanh_slope(node: Node) -> Node:
    return ops.subtract(np.float32(1), ops.multiply(node.output(0), node.output(0)))


def _swish_slope(node: Node) -> Node:
    """For y = x s(b x): s + b y (1 - s); b is 1 where it is not given."""
    beta = _input(node, 1) if len(node.inputs()) > 1 else ops.constant(np.float32(1))
    gate = ops.sigmoid(ops.multiply(_input(node), beta))
    return ops.add(
        gate,
        ops.multiply(ops.multiply(beta, node.output(0)), ops.subtract(np.float32(1), gate)),
    )


def _clamp_slope(node: Node) -> Node:
    attributes, value = node.get_attributes(), _input(node)
    low, high = np.float32(attributes["min"]), np.float32(attributes["max"])
    inside = ops.logical_and(ops.greater(value, low), ops.less(value, high))
    return ops.convert(inside, "f32")


def _hsigmoid_slope(node: Node) -> Node:
    value = _input(node)
    inside = ops.logical_and(ops.greater(value, np.float32(-3)), ops.less(value, np.float32(3)))
    return ops.multiply(ops.convert(inside, "f32"), np.float32(1 / 6))


def _hswish_slope(node: Node) -> Node:
    """For y = x min(max(x + 3, 0), 6) / 6: 0 up to -3, 1 from 3, and (2 x + 3) / 6 between."""
    value = _input(node)
    between = ops.divide(ops.add(ops.multiply(value, np.float32(2)), np.float32(3)), np.float32(6))
    upper = ops.select(ops.greater(value, np.float32(3)), np.float32(1), between)
    return ops.select(ops.less(value, np.float32(-3)), np.float32(0), upper)


def _prelu_slope(node: Node) -> Node:
    slope = _input(node, 1)
    shape = list(slope.get_shape())
    rank = len(_input(node).get_shape())
    if len(shape) == 1 and rank > 2:
        slope = _reshaped(slope, [1, shape[0], *[1] * (rank - 2)])
    return ops.select(ops.greater(_input(node), np.float32(0)), np.float32(1), slope)


# ---------------------------------------------------------------- moving data


def _concat(node: Node, gradient: Node) -> Gradients:
    axis = node.get_attributes()["axis"]
    sizes = [port.get_source_output().get_shape()[axis] for port in node.inputs()]
    split = ops.variadic_split(gradient, np.int64(axis), np.array(sizes, np.int64))
    return [split.output(place) for place in range(len(sizes))]


def _as_before(node: Node, gradient: Node) -> Gradients:
    return [_reshaped(gradient, list(_input(node).get_shape())), None]


def _transpose(node: Node, gradient: Node) -> Gradients:
    order = _input(node, 1).get_node()
    if order.get_type_name() != "Constant":
        return None
    return [ops.transpose(gradient, np.argsort(order.data).astype(np.int64)).output(0), None]


RULES: Final[dict[str, Rule]] = {
    "Add": _add,
    "AvgPool": _average_pool,
    "Clamp": _slopes(_clamp_slope),
    "Concat": _concat,
    "Convolution": _convolution,
    "Divide": _divide,
    "GroupConvolution": _convolution,
    "HSigmoid": _slopes(_hsigmoid_slope),
    "HSwish": _slopes(_hswish_slope),
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Multiply": _multiply,
    "PRelu": _slopes(_prelu_slope),
    "ReduceMean": _reduce_mean,
    "Relu": _slopes(lambda node: ops.sign(node.output(0))),
    "Reshape": _as_before,
    "Sigmoid": _slopes(_sigmoid_slope),
    "Softmax": _softmax,
    "Squeeze": _as_before,
    "Subtract": _subtract,
    "Swish": _slopes(_swish_slope),
    "Tanh": _slopes(_tanh_slope),
    "Transpose": _transpose,
    "Unsqueeze": _as_before,
}
