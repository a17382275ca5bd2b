"""A small forked network in float and in INT8: quantizers that several layers share, pools, a sum."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from perftool.job import Prepare, Quantization
from perftool.model.variants import prepare
from perftool.spec import ModelFile, SyntheticImages


def forked_model(*, rough: bool = False) -> ov.Model:
    """Build seven convolutions and a classifier of 10: a fork, a sum, and a fork that nothing joins again.

    `rough` puts an op among them that has no reverse (`backward`).
    """
    rng = np.random.Generator(np.random.Philox(17))

    def convolution(node: Any, inputs: int, outputs: int, width: int, name: str) -> Any:
        kernel = rng.normal(0, (2 / (width**2 * inputs)) ** 0.5, (outputs, inputs, width, width))
        bias = rng.normal(0.1, 0.1, (1, outputs, 1, 1)).astype(np.float32)
        pads, weights = [width // 2] * 2, ops.constant(kernel.astype(np.float32))
        node = ops.convolution(node, weights, [1, 1], pads, pads, [1, 1], name=name)
        return ops.relu(ops.add(node, ops.constant(bias), name=f"{name}/bias"), name=f"{name}/relu")

    data = ops.parameter([1, 3, 24, 24], np.float32, name="data")
    image = ops.multiply(ops.subtract(data, np.float32(127.5)), np.float32(1 / 127.5), name="image")
    stem = convolution(image, 3, 16, 3, "stem")
    pool = ops.max_pool(stem, [2, 2], [1, 1], [0, 0], [0, 0], [3, 3], name="pool").output(0)
    left = convolution(pool, 16, 16, 1, "left")
    right = convolution(convolution(pool, 16, 8, 1, "narrow"), 8, 16, 3, "right")
    if rough:
        right = ops.softplus(right, name="rough")
    fork = ops.concat([left, right], 1, name="fork")
    first = convolution(fork, 32, 16, 1, "first")
    average = ops.avg_pool(fork, [1, 1], [1, 1], [1, 1], [3, 3], True, name="average")
    second = convolution(average, 32, 16, 1, "second")
    both = ops.add(first, second, name="both")
    mean = ops.reduce_mean(both, np.array([2, 3]), False, name="mean")
    weights = ops.constant(rng.normal(0, 4, (10, 16)).astype(np.float32))
    logits = ops.matmul(mean, weights, False, True, name="logits")
    scores = ops.softmax(logits, 1, name="scores")
    return ov.Model([ops.result(scores)], [data], "forked")


def write_pair(folder: Path, model: ov.Model) -> tuple[Path, Path]:
    """Write a model and its INT8 form, calibrated on a few built-in images; return both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    full = folder / "full.xml"
    ov.save_model(model, full, compress_to_fp16=False)
    job = Prepare(
        model=ModelFile(path=str(full)),
        weight_format="int8",
        quantization=Quantization(calibration=SyntheticImages(part="calibration", count=8)),
        cache=str(folder / "cache"),
    )
    return full, Path(prepare(job, lambda stage, done, total: None).path)
