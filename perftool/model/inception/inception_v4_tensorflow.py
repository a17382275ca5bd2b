"""Build the inference graph of Inception-v4 with TensorFlow ops, as a graph of TensorFlow 1.

Variables and ops bear the names that TF-slim's `inception_v4` gives them, so a checkpoint of either restores
into it, and what is known about that graph's op names holds for this one. What the layers are says
`inception_v4`. Nothing here restores, runs or writes; TensorFlow is handed in.
"""

from typing import Any

from perftool.model.inception.inception_v4 import (
    CLASSES,
    EPSILON,
    FEATURES,
    IMAGE_SIZE,
    INPUT,
    OUTPUT,
    SCOPE,
    Layer,
    layers,
)

Tensor = Any
"""A tensor of a TensorFlow graph."""


def build_graph(tensorflow: Any) -> Any:
    """Return a `tf.Graph` with the variables of `inception_v4.variable_shapes`, all float32.

    Input `input`, (?, 299, 299, 3) RGB, normalized to -1..1 by (x - 127.5) / 127.5; output
    `InceptionV4/Logits/Predictions`, (?, 1001) probabilities. The batch stays open, so the graph takes any
    in TensorFlow, and OpenVINO can give it one by a reshape: no op here states it.
    """
    graph = tensorflow.Graph()
    with graph.as_default():
        size = (IMAGE_SIZE, IMAGE_SIZE)
        image = tensorflow.compat.v1.placeholder(tensorflow.float32, (None, *size, 3), name=INPUT)
        tensors: dict[str, Tensor] = {"": image}
        for layer in layers():
            inputs = [tensors[name] for name in layer.inputs]
            tensors[layer.name] = _add_layer(tensorflow, layer, inputs)
        _add_head(tensorflow, tensors[layers()[-1].name])
    return graph


def _variable(tensorflow: Any, name: str, *shape: int) -> Tensor:
    """Make a variable without a value: restoring gives it one. It reads as a plain constant once frozen."""
    zeros = tensorflow.compat.v1.zeros_initializer()
    return tensorflow.compat.v1.get_variable(name, shape, initializer=zeros, use_resource=False)


def _add_layer(tensorflow: Any, layer: Layer, inputs: list[Tensor]) -> Tensor:
    """Append one layer. TF-slim enters its scope twice, so ops have it twice, and variables once."""
    nn, scope = tensorflow.nn, f"{SCOPE}/{layer.name}"
    if layer.kind == "concat":
        return tensorflow.concat(inputs, 3, name=scope)
    source, kernel, padding = inputs[0], list(layer.kernel), layer.padding
    if layer.kind == "max_pool":
        return nn.max_pool2d(source, kernel, layer.stride, padding, name=f"{scope}/MaxPool")
    if layer.kind == "avg_pool":
        return nn.avg_pool2d(source, kernel, layer.stride, padding, name=f"{scope}/AvgPool")
    weights = _variable(tensorflow, f"{layer.name}/weights", *kernel, layer.in_channels, layer.channels)
    product = nn.conv2d(source, weights, layer.stride, padding, name=f"{scope}/Conv2D")
    return nn.relu(_normalize(tensorflow, layer, product), name=f"{scope}/Relu")


def _normalize(tensorflow: Any, layer: Layer, value: Tensor) -> Tensor:
    """Append a batch norm by the moving statistics; it has no gamma, so a constant one stands in."""
    beta, mean, variance = (
        _variable(tensorflow, f"{layer.name}/BatchNorm/{statistic}", layer.channels)
        for statistic in ("beta", "moving_mean", "moving_variance")
    )
    scope = f"{SCOPE}/{layer.name}/BatchNorm"
    gamma = tensorflow.ones(layer.channels, name=f"{scope}/Const")
    return tensorflow.raw_ops.FusedBatchNormV3(
        x=value,
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=EPSILON,
        is_training=False,
        name=f"{scope}/FusedBatchNormV3",
    ).y


def _add_head(tensorflow: Any, block: Tensor) -> None:
    """Append the 8x8 average pool, the fully connected layer and the softmax; dropout is the identity."""
    nn, scope = tensorflow.nn, f"{SCOPE}/Logits"
    pool = nn.avg_pool2d(block, [8, 8], 1, "VALID", name=f"{scope}/AvgPool_1a/AvgPool")
    flat = tensorflow.squeeze(pool, [1, 2], name=f"{scope}/PreLogitsFlatten")
    weights = _variable(tensorflow, f"{scope}/Logits/weights", FEATURES, CLASSES)
    biases = _variable(tensorflow, f"{scope}/Logits/biases", CLASSES)
    product = tensorflow.matmul(flat, weights, name=f"{scope}/Logits/MatMul")
    logits = nn.bias_add(product, biases, name=f"{scope}/Logits/BiasAdd")
    nn.softmax(logits, name=OUTPUT)
