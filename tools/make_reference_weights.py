"""Make perftool/model/data/reference_weights.npz again: statistics and head of the reference weights.

Run from the project's folder: .venv/bin/python tools/make_reference_weights.py. Takes some minutes. The
kernels and the images are the same everywhere; the statistics and the head come out of float sums, whose
last bits may differ from machine to machine. That is why their result is shipped.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import openvino as ov
import typer
from numpy.typing import NDArray
from openvino import opset13 as ops

from perftool.images.textures import Part
from perftool.model.inception import inception_v4, inception_v4_openvino
from perftool.model.inception.inception_v4 import EPSILON, FEATURES, Layer
from perftool.model.inception.reference import (
    CLASS_NAMES,
    DATA_FILE,
    FIRST_LABEL,
    assemble,
    reference_beta,
    reference_images,
    reference_kernel,
)

DATA = Path(__file__).parent.parent / "perftool" / "model" / "data" / DATA_FILE
TARGET_CONFIDENCE = 0.80
"""Mean top probability of held-out images; the logits are scaled to it, neither saturated nor flat."""
HELD_OUT = 240
RIDGES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
TOLERANCE = 0.01
Floats = NDArray[np.float32]


def main(
    training: Annotated[int, typer.Option(help="Training images for the head.")] = 1920,
    statistics: Annotated[int, typer.Option(help="Training images for the statistics.")] = 24,
    evaluation: Annotated[int, typer.Option(help="Evaluation images for the accuracies told.")] = 1000,
    threads: int = 2,
) -> None:
    """Measure the statistics, fit the head, write both, tell the accuracies."""
    mean, variance = measure_statistics(statistics, threads)
    say(f"statistics of {len(mean)} channels on {statistics} images")
    empty = np.zeros((FEATURES, len(CLASS_NAMES)), np.float16)
    weights = assemble(mean, variance, empty, np.zeros(len(CLASS_NAMES), np.float32))
    extractor = feature_extractor(weights, threads)
    features, classes = extract(extractor, "training", training)
    kernel, bias = fit_head(features, classes)
    np.savez(DATA, moving_mean=mean, moving_variance=variance, head_weights=kernel, head_biases=bias)
    say(f"{DATA.name}: {DATA.stat().st_size} bytes")
    features, classes = extract(extractor, "evaluation", evaluation)
    for count in sorted({min(200, evaluation), evaluation}):
        tell(
            f"FP32, first {count} evaluation images", scores(features, kernel, bias)[:count], classes[:count]
        )


def measure_statistics(count: int, threads: int) -> tuple[Floats, Floats]:
    """Measure each channel's mean and variance before batch norm, every earlier layer being normalised."""
    images = np.stack([image for image, _ in reference_images("training", 0, count)])
    alive: dict[str, Floats] = {
        "": ((images.astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2).copy()
    }
    last_use = {name: layer.name for layer in inception_v4.layers() for name in layer.inputs}
    means, variances = [], []
    for number, layer in enumerate(inception_v4.layers()):
        inputs = [alive[name] for name in layer.inputs]
        if layer.kind == "concat":
            alive[layer.name] = np.concatenate(inputs, axis=1)
        else:
            output = run_layer(number, layer, inputs[0], threads)
            if layer.kind == "conv":
                mean = output.mean((0, 2, 3), dtype=np.float64).astype(np.float32)
                variance = output.var((0, 2, 3), dtype=np.float64).astype(np.float32)
                means.append(mean)
                variances.append(variance)
                scale = 1 / np.sqrt(variance + np.float32(EPSILON))
                shift = reference_beta(mean, variance) - mean * scale
                output = np.maximum(output * scale[:, None, None] + shift[:, None, None], 0)
            alive[layer.name] = output
        for name in layer.inputs:
            if last_use[name] == layer.name:
                alive.pop(name, None)
    return np.concatenate(means), np.concatenate(variances)


def run_layer(number: int, layer: Layer, value: Floats, threads: int) -> Floats:
    """Run one layer; of a convolution give what comes before batch norm and ReLU."""
    parameter = ops.parameter(list(value.shape), np.float32)
    weights: dict[str, NDArray[Any]] = {}
    if layer.kind == "conv":
        shape = (*layer.kernel, layer.in_channels, layer.channels)
        weights[f"{layer.name}/weights"] = reference_kernel(number, shape)
        weights[f"{layer.name}/BatchNorm/beta"] = np.zeros(layer.channels)
        weights[f"{layer.name}/BatchNorm/moving_mean"] = np.zeros(layer.channels)
        weights[f"{layer.name}/BatchNorm/moving_variance"] = np.full(layer.channels, 1 - EPSILON)
    node = inception_v4_openvino.add_layer(layer, [parameter], weights, False)
    output = node.input(0).get_source_output() if layer.kind == "conv" else node
    compiled = compile_f32(ov.Model([ops.result(output)], [parameter], "layer"), threads, 1)
    return np.array(compiled(value)[0])


def compile_f32(model: ov.Model, threads: int, streams: int) -> Any:
    """Compile for the CPU, in f32."""
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
    return ov.Core().compile_model(model, "CPU", config)


def feature_extractor(weights: dict[str, Floats], threads: int) -> Any:
    """Compile the network up to the 1536 pooled features."""
    model = inception_v4_openvino.build(weights)
    flat = next(op for op in model.get_ops() if op.get_friendly_name().endswith("/PreLogitsFlatten"))
    return compile_f32(ov.Model([ops.result(flat)], model.get_parameters(), "features"), threads, threads)


def extract(extractor: Any, part: Part, count: int) -> tuple[Floats, NDArray[np.intp]]:
    """Compute the features of a part's first images, and their classes (position in CLASS_NAMES)."""
    features = np.empty((count, FEATURES), np.float32)
    classes = np.empty(count, np.intp)
    queue = ov.AsyncInferQueue(extractor)

    def keep(request: Any, index: int) -> None:
        features[index] = request.get_output_tensor().data[0]

    queue.set_callback(keep)
    for index, (image, label) in enumerate(reference_images(part, 0, count)):
        classes[index] = label - FIRST_LABEL
        queue.start_async({0: image[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)}, index)
    queue.wait_all()
    return features, classes


def fit_head(features: Floats, classes: NDArray[np.intp]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Fit by ridge regression; the last training images choose ridge and scale, then all are fitted."""
    early, late = slice(None, -HELD_OUT), slice(-HELD_OUT, None)
    outcomes = {}
    for ridge in RIDGES:
        found = features[late] @ (head := fit_ridge(features[early], classes[early], ridge))[0] + head[1]
        outcomes[ridge] = found
        tell(f"ridge {ridge}, held-out training images", found, classes[late])
    top1 = {ridge: float((found.argmax(1) == classes[late]).mean()) for ridge, found in outcomes.items()}
    # The largest ridge that is as good as the best: a small kernel magnifies rounding least.
    best = max(ridge for ridge in RIDGES if top1[ridge] >= max(top1.values()) - TOLERANCE)
    scale = 1.0
    while confidence(outcomes[best] * scale) < TARGET_CONFIDENCE:
        scale *= 1.02
    kernel, bias = fit_ridge(features, classes, best)
    rounded = (kernel * scale).astype(np.float16)
    # The bias makes up for what rounding the kernel does to the mean image.
    centre = features.mean(0, dtype=np.float64)
    bias = bias * scale + centre @ (kernel * scale - rounded)
    say(f"ridge {best}, logits scaled by {scale:.2f}")
    return rounded, bias.astype(np.float32)


def fit_ridge(features: Floats, classes: NDArray[np.intp], ridge: float) -> tuple[Any, Any]:
    """Regress one-hot classes on features; `ridge` is relative to the features' mean variance."""
    centre = features.mean(0, dtype=np.float64)
    centred = features - centre
    variance = (centred**2).mean()
    wanted = np.eye(len(CLASS_NAMES))[classes]
    penalty = ridge * variance * len(features) * np.eye(FEATURES)
    kernel = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (wanted - wanted.mean(0)))
    return kernel, wanted.mean(0) - centre @ kernel


def scores(features: Floats, kernel: NDArray[np.float16], bias: Floats) -> Floats:
    """Apply the head as shipped."""
    return features @ kernel.astype(np.float32) + bias


def confidence(logits: NDArray[Any]) -> float:
    """Give the mean top probability."""
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return float((1 / exponentials.sum(1)).mean())


def tell(what: str, logits: NDArray[Any], classes: NDArray[np.intp]) -> None:
    """Print top-1 and top-5 in percent."""
    order = np.argsort(-logits, axis=1)[:, :5]
    top1 = (order[:, 0] == classes).mean() * 100
    top5 = (order == classes[:, None]).any(axis=1).mean() * 100
    say(f"{what}: top-1 {top1:.1f} %, top-5 {top5:.1f} %, mean top probability {confidence(logits):.2f}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(main)
