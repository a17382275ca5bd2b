"""Gradients inside a graph, against the differences that small steps make."""

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as ops

from perftool.model.int8.backward import gradients, key

RNG = np.random.Generator(np.random.Philox(23))


def drawn(*shape: int) -> NDArray[np.float32]:
    return np.asarray(RNG.normal(0, 1, shape), dtype=np.float32)


def run(outputs: list[Any], inputs: list[Any], given: list[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
    model = ov.Model([ops.result(output) for output in outputs], inputs)
    compiled: Any = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [np.array(answer, dtype=float) for answer in compiled(given).values()]


def check(shape: tuple[int, ...], build: Callable[[Any], Any]) -> None:
    """Compare the gradient of sum(weights * build(x)) with central differences, in several directions."""
    value = ops.parameter(list(shape), np.float32)
    inside = ops.multiply(value, np.float32(1))
    scores = build(inside).output(0)
    weights = drawn(*scores.get_shape())
    direction = ops.parameter(list(weights.shape), np.float32)
    found = gradients(
        ov.Model([ops.result(scores)], [value]),
        scores,
        direction.output(0),
        frozenset({key(inside.output(0))}),
    )
    assert found is not None
    point = drawn(*shape)
    (gradient,) = run([found[key(inside.output(0))]], [value, direction], [point, weights])
    assert gradient.shape == shape
    for _ in range(4):
        step = drawn(*shape) * np.float32(2e-3)
        ahead, behind = (run([scores], [value], [point + sign * step])[0] for sign in (1, -1))
        change = ((ahead - behind) * weights).sum() / 2
        scale = np.linalg.norm(gradient) * np.linalg.norm(step)
        assert abs((gradient * step).sum() - change) < 0.02 * scale


def convolution(stride: int, pads: tuple[int, int], width: int, **how: Any) -> Callable[[Any], Any]:
    kernel = ops.constant(drawn(4, 4, width, width))
    return lambda x: ops.convolution(x, kernel, [stride] * 2, list(pads), list(pads), [1, 1], **how)


@pytest.mark.parametrize(
    ("stride", "pads", "width"), [(1, (1, 1), 3), (2, (0, 0), 3), (2, (1, 1), 3), (3, (0, 0), 1)]
)
def test_convolution(stride: int, pads: tuple[int, int], width: int) -> None:
    """12 and 11 pixels: some are left over by the strides."""
    check((1, 4, 12, 11), convolution(stride, pads, width))


@pytest.mark.parametrize("auto", ["same_upper", "same_lower", "valid"])
def test_convolution_with_automatic_padding(auto: str) -> None:
    check((1, 4, 12, 11), convolution(2, (0, 0), 3, auto_pad=auto))


def test_two_convolutions_of_as_many_outputs_as_inputs() -> None:
    """One constant read by a convolution and its transpose, of the same shape both ways."""
    first, second = convolution(1, (1, 1), 3), convolution(1, (1, 1), 3)
    check((1, 4, 8, 8), lambda x: second(ops.tanh(first(x))))


def test_group_convolution() -> None:
    kernel = ops.constant(drawn(2, 3, 2, 3, 3))
    check((1, 4, 9, 9), lambda x: ops.group_convolution(x, kernel, [2, 2], [1, 1], [1, 1], [1, 1]))


@pytest.mark.parametrize(("left", "right"), [(False, False), (False, True), (True, False), (True, True)])
def test_matmul(left: bool, right: bool) -> None:
    other = ops.constant(drawn(*((3, 5) if right else (5, 3))))
    check((5, 2) if left else (2, 5), lambda x: ops.matmul(x, other, left, right))


@pytest.mark.parametrize("right", [True, False])
def test_matmul_by_a_square_constant(right: bool) -> None:
    """One constant read as it is and transposed is what the CPU plugin gets wrong."""
    other = ops.constant(drawn(4, 4))
    check((4, 4), lambda x: ops.matmul(ops.tanh(ops.matmul(x, other, False, right)), other, False, right))


@pytest.mark.parametrize("left", [True, False])
def test_matmul_of_two_values(left: bool) -> None:
    check((2, 4, 4), lambda x: ops.matmul(x, ops.tanh(x), left, False))


@pytest.mark.parametrize("exclude", [True, False])
@pytest.mark.parametrize(("stride", "pad"), [(1, 1), (2, 1), (2, 0)])
def test_average_pool(exclude: bool, stride: int, pad: int) -> None:
    check((1, 3, 8, 9), lambda x: ops.avg_pool(x, [stride] * 2, [pad] * 2, [pad] * 2, [3, 3], exclude))


@pytest.mark.parametrize(("stride", "pad"), [(1, 1), (2, 1), (2, 0)])
def test_max_pool(stride: int, pad: int) -> None:
    """Behind a ReLU, where the padding never wins; gradients stop where all of a window is 0."""

    def pooled(x: Any) -> Any:
        positive = ops.add(ops.relu(x), ops.multiply(x, x))
        return ops.max_pool(positive, [stride] * 2, [1, 1], [pad] * 2, [pad] * 2, [3, 3]).output(0).get_node()

    check((1, 3, 8, 9), pooled)


def test_squeeze_and_excite() -> None:
    """A product of a value with what is pooled from it: broadcast one way, summed the other."""

    def excited(x: Any) -> Any:
        pooled = ops.reduce_mean(x, np.array([2, 3]), True)
        return ops.multiply(x, ops.sigmoid(pooled))

    check((1, 3, 4, 5), excited)


@pytest.mark.parametrize(
    "function",
    [
        ops.relu,
        ops.sigmoid,
        ops.tanh,
        ops.swish,
        lambda x: ops.swish(x, np.float32(1.7)),
        ops.hswish,
        ops.hsigmoid,
        lambda x: ops.clamp(x, -0.5, 0.8),
        lambda x: ops.prelu(x, np.array([0.1, 0.2, 0.3], np.float32)),
        lambda x: ops.softmax(x, 1),
        lambda x: ops.divide(x, ops.add(ops.multiply(x, x), np.float32(1))),
        lambda x: ops.subtract(np.float32(1), ops.transpose(x, np.array([0, 2, 1]))),
        lambda x: ops.concat([ops.tanh(x), ops.multiply(x, x)], 1),
        lambda x: ops.reshape(ops.unsqueeze(ops.tanh(x), np.array([0])), np.array([-1, 6]), False),
    ],
)
def test_functions_of_values(function: Callable[[Any], Any]) -> None:
    check((2, 3, 40), function)


def test_an_op_without_a_rule_is_told() -> None:
    value = ops.parameter([1, 4], np.float32)
    early = ops.tanh(value)
    scores = ops.erf(early)
    model = ov.Model([ops.result(scores)], [value])
    ones = ops.constant(np.ones((1, 4), np.float32)).output(0)
    assert gradients(model, scores.output(0), ones, frozenset({key(early.output(0))})) is None
    behind = gradients(model, scores.output(0), ones, frozenset({key(scores.output(0))}))
    assert behind is not None, "what stands before all sources needs no rule"
