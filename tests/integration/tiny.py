"""A tiny real classification model, so that tests of the real runtime take milliseconds."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops


def tiny_model(*, classes: int = 10, size: int = 32, dynamic_batch: bool = False) -> ov.Model:
    """Build three convolutions and a classifier: `data`, [1 or ?, 3, size, size] BGR 0..255, to softmax.

    Seeded. The logits are spread wide enough that rounding does not change the likeliest classes.
    """
    rng = np.random.Generator(np.random.Philox(11))
    data = ops.parameter([-1 if dynamic_batch else 1, 3, size, size], np.float32, name="data")
    data.output(0).get_tensor().set_names({"data"})
    node: Any = ops.multiply(ops.subtract(data, np.float32(127.5)), np.float32(1 / 127.5))
    for number, (inputs, outputs, stride) in enumerate(((3, 16, 2), (16, 32, 2), (32, 32, 1)), start=1):
        kernel = rng.normal(0, (2 / (9 * inputs)) ** 0.5, (outputs, inputs, 3, 3)).astype(np.float32)
        bias = rng.normal(0.1, 0.1, (1, outputs, 1, 1)).astype(np.float32)
        node = ops.convolution(
            node, ops.constant(kernel), [stride] * 2, [1, 1], [1, 1], [1, 1], name=f"conv{number}"
        )
        node = ops.relu(ops.add(node, ops.constant(bias)), name=f"relu{number}")
    pooled = ops.reduce_mean(node, np.array([2, 3], dtype=np.int64), False, name="pool")
    weights = rng.normal(0, 6, (32, classes)).astype(np.float32)
    logits = ops.matmul(pooled, ops.constant(weights), False, False, name="logits")
    scores = ops.softmax(logits, 1, name="scores")
    scores.output(0).get_tensor().set_names({"scores"})
    return ov.Model([ops.result(scores)], [data], "tiny")


def write_tiny_model(path: Path, *, classes: int = 10, size: int = 32, dynamic_batch: bool = False) -> Path:
    """Write the tiny model as an IR file (.xml, with its .bin beside it) and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model = tiny_model(classes=classes, size=size, dynamic_batch=dynamic_batch)
    ov.save_model(model, path, compress_to_fp16=False)
    return path
