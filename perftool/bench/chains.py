"""Build the graphs that peaks are measured with: chains of products and of convolutions, a pass of memory.

Nothing here is compiled or run, and none of it belongs to a model of the user's.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

#: How many layers a chain has in each precision: they take about as long, whatever the precision.
LAYERS: Final = {"f32": 4, "bf16": 8, "f16": 8, "int8": 16}
#: Matrix products: rows for each piece of work, and the side of the square matrix of weights: a multiple of
#: every width that kernels pack weights in (16, 24, 32, 48 or 64 columns), so that nothing is padded.
ROWS: Final = 256
SIDE: Final = 768
#: Convolutions 3x3: channels in and out, and the side of the image.
CHANNELS: Final = 256
PIXELS: Final = 20
#: What inputs range over from nought, and what activations are clipped to in int8.
HIGHEST: Final = 4.0


def matmul_chain(precision: str, pieces: int) -> ov.Model:
    """Chain products of a matrix of `pieces` times 256 rows with square matrices of weights."""
    data = ops.parameter([pieces * ROWS, SIDE], np.float32, name="data")

    def layer(node: Any, weights: Any) -> Any:
        return ops.matmul(node, weights, False, True)

    return _chain(data, _weights((SIDE, SIDE), SIDE), layer, precision)


def convolution_chain(precision: str, pieces: int) -> ov.Model:
    """Chain convolutions 3x3 of `pieces` images, which keep their 256 channels and their size."""
    data = ops.parameter([pieces, CHANNELS, PIXELS, PIXELS], np.float32, name="data")

    def layer(node: Any, weights: Any) -> Any:
        return ops.convolution(node, weights, [1, 1], [1, 1], [1, 1], [1, 1])

    return _chain(data, _weights((CHANNELS, CHANNELS, 3, 3), CHANNELS * 9), layer, precision)


def memory_pass(elements: int) -> ov.Model:
    """Add a number to each element of an array in f32: each is read once and written once."""
    data = ops.parameter([max(1, elements // SIDE), SIDE], np.float32, name="data")
    return ov.Model([ops.result(ops.add(data, np.float32(1.0)))], [data], "memory")


def _chain(
    data: Any, weights: NDArray[np.float32], layer: Callable[[Any, Any], Any], precision: str
) -> ov.Model:
    """Chain layers, each with a ReLU; for int8 with both operands quantized as a calibrated model's are.

    The longer the chain, the less its two ends count, where numbers are only rewritten.
    """
    int8 = precision == "int8"
    node = _quantized(data, 0.0, HIGHEST, 256) if int8 else data
    most = float(np.abs(weights).max())
    for number in range(LAYERS[precision]):
        constant = ops.constant(weights)
        node = ops.relu(layer(node, _quantized(constant, -most, most, 255) if int8 else constant))
        if int8 and number + 1 < LAYERS[precision]:
            node = _quantized(node, 0.0, HIGHEST, 256)
    return ov.Model([ops.result(node)], [data], "chain")


def _quantized(node: Any, low: float, high: float, levels: int) -> Any:
    ends = (np.float32(low), np.float32(high))
    return ops.fake_quantize(node, *ends, *ends, levels)


def _weights(shape: tuple[int, ...], inputs: int) -> NDArray[np.float32]:
    """Draw weights that keep the size of what a ReLU passes on (He et al., ICCV 2015)."""
    rng = np.random.Generator(np.random.Philox(7))
    return rng.normal(0, (2 / inputs) ** 0.5, shape).astype(np.float32)
