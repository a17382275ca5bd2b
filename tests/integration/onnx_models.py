"""ONNX models for tests of conversion: a small classifier, and Inception v4 as other tools export it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perftool.model.inception.inception_v4 import layers

OPSET = 17


class _Graph:
    """An ONNX graph in the making; a test that makes one is skipped where the onnx package is not."""

    def __init__(self) -> None:
        reason = "the onnx package, which writes these models, is not installed"
        self._onnx = pytest.importorskip("onnx", reason=reason)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def write(self, path: Path, entry: tuple[str, Sequence[Any]], exit_: tuple[str, Sequence[Any]]) -> Path:
        ports = [
            self._onnx.helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, shape)
            for name, shape in (entry, exit_)
        ]
        graph = self._onnx.helper.make_graph(self.nodes, path.stem, [ports[0]], [ports[1]], self.constants)
        opsets = [self._onnx.helper.make_opsetid("", OPSET)]
        self._onnx.save(self._onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


def write_small(
    path: Path,
    *,
    shape: Sequence[int | str] = (1, 3, 32, 32),
    classes: int = 10,
    softmax: bool = True,
    seed: int = 3,
) -> Path:
    """Write a convolution, a pool and a classifier; a shape that ends in 3 makes it one of NHWC.

    The classes depend on every channel, and the logits are spread so that the likeliest ones differ by image.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    graph = _Graph()
    node = "image"
    if shape[-1] == 3:
        node = graph.add("Transpose", [node], "nchw", perm=[0, 3, 1, 2])
    kernel = graph.constant("kernel", rng.normal(0, 0.3, (16, 3, 3, 5)).astype(np.float32))
    bias = graph.constant("bias", rng.normal(0, 0.1, 16).astype(np.float32))
    node = graph.add("Conv", [node, kernel, bias], "conv", strides=[2, 2])
    node = graph.add("GlobalAveragePool", [graph.add("Relu", [node], "relu")], "pool")
    node = graph.add("Flatten", [node], "flat")
    head = graph.constant("head", rng.normal(0, 2, (16, classes)).astype(np.float32))
    node = graph.add("MatMul", [node, head], "logits")
    if softmax:
        node = graph.add("Softmax", [node], "scores", axis=1)
    return graph.write(path, ("image", shape), (node, (shape[0], classes)))


def write_inception_v4(path: Path, weights: Mapping[str, NDArray[Any]]) -> Path:
    """Write Inception v4 from TF-slim variables: `image` [1,3,299,299] RGB, -1..1, batch norm not folded."""
    graph = _Graph()
    named = {"": "image"}
    for layer in layers():
        inputs = [named[name] for name in layer.inputs]
        pads = [size // 2 if layer.padding == "SAME" else 0 for size in layer.kernel] * 2
        window = {"kernel_shape": list(layer.kernel), "strides": [layer.stride] * 2, "pads": pads}
        if layer.kind == "concat":
            node = graph.add("Concat", inputs, layer.name, axis=1)
        elif layer.kind == "max_pool":
            node = graph.add("MaxPool", inputs, layer.name, **window)
        elif layer.kind == "avg_pool":
            node = graph.add("AveragePool", inputs, layer.name, count_include_pad=0, **window)
        else:
            node = _convolution(graph, layer.name, inputs[0], weights, window)
        named[layer.name] = node
    node = graph.add("Flatten", [graph.add("GlobalAveragePool", [node], "pool")], "features")
    scope = "InceptionV4/Logits/Logits"
    head = [
        graph.constant(f"{scope}/{part}", weights[f"{scope}/{part}"].astype(np.float32))
        for part in ("weights", "biases")
    ]
    node = graph.add("Softmax", [graph.add("Gemm", [node, *head], "logits")], "predictions", axis=1)
    return graph.write(path, ("image", (1, 3, 299, 299)), (node, (1, 1001)))


def _convolution(
    graph: _Graph, name: str, source: str, weights: Mapping[str, NDArray[Any]], window: dict[str, Any]
) -> str:
    kernel = weights[f"{name}/weights"].astype(np.float32).transpose(3, 2, 0, 1)
    node = graph.add("Conv", [source, graph.constant(f"{name}/kernel", kernel)], name, **window)
    statistics = [
        weights[f"{name}/BatchNorm/{part}"].astype(np.float32)
        for part in ("beta", "moving_mean", "moving_variance")
    ]
    parts = [np.ones_like(statistics[0]), *statistics]
    inputs = [graph.constant(f"{name}/norm{number}", part) for number, part in enumerate(parts)]
    node = graph.add("BatchNormalization", [node, *inputs], f"{name}/norm", epsilon=0.001)
    return graph.add("Relu", [node], f"{name}/relu")
