"""Make an Inception-v4 that plain INT8 hurts, for what controls accuracy to be tried on.

Weights only, by TF-slim's names. Nothing is quantized, run or timed here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perftool.errors import InputError
from perftool.model.inception import inception_v4

Weights = dict[str, NDArray[Any]]

#: Layers all over the network whose readers INT8 shall hurt. With `SPREAD` and `SEED`, the reference weights
#: and 32 built-in images to calibrate, INT8 is right on 76.5 % of 200 built-in images, against 85 % as they
#: come and 89 % in float.
WIDENED = (
    "InceptionV4/Mixed_5b/Branch_2/Conv2d_0b_3x3",
    "InceptionV4/Mixed_5e/Branch_2/Conv2d_0a_1x1",
    "InceptionV4/Mixed_6c/Branch_2/Conv2d_0c_1x7",
    "InceptionV4/Mixed_6f/Branch_2/Conv2d_0b_7x1",
    "InceptionV4/Mixed_6h/Branch_2/Conv2d_0c_1x7",
    "InceptionV4/Mixed_7c/Branch_2/Conv2d_0b_3x1",
)
SPREAD = 8.0
SEED = 7


def widenable() -> tuple[str, ...]:
    """List the convolutions that one other convolution alone reads, in the network's order."""
    return tuple(name for name, readers in _readers().items() if _is_lone_convolution(readers))


def widen(weights: Weights, layers: Sequence[str], spread: float, seed: int) -> Weights:
    """Let the output channels of some layers differ in range; the float network stays the same function.

    Channel c of such a layer is multiplied by s_c, and the kernel of the one convolution that reads it is
    divided by s_c along that input: ReLU(s x) = s ReLU(x) for s > 0. The s are drawn log-uniform from
    1 / `spread` to `spread`. A scale per tensor, as 8-bit activations have, then leaves the small channels a
    few steps of their range, so that the *reader* of each widened layer is what quantization hurts. (The
    reverse of equalization across layers: Nagel et al., arXiv 1906.04721.)

    Raises InputError for a layer that is not one of `widenable`.
    """
    readers = _readers()
    generator = np.random.Generator(np.random.Philox(seed))
    widened = dict(weights)
    for name in layers:
        if not _is_lone_convolution(readers.get(name, ())):
            raise InputError(f"{name}: not a convolution that one other convolution alone reads")
        reader = f"{readers[name][0].name}/weights"
        channels = widened[f"{name}/weights"].shape[-1]
        scale = np.exp(generator.uniform(-np.log(spread), np.log(spread), channels))
        for part in ("weights", "BatchNorm/moving_mean", "BatchNorm/beta"):
            widened[f"{name}/{part}"] = _scaled(widened[f"{name}/{part}"], scale)
        widened[reader] = _scaled(widened[reader], 1 / scale[:, np.newaxis])
    return widened


def _readers() -> dict[str, list[inception_v4.Layer]]:
    """Map each convolution to the layers that read it."""
    everything = inception_v4.layers()
    found: dict[str, list[inception_v4.Layer]] = {
        layer.name: [] for layer in everything if layer.kind == "conv"
    }
    for layer in everything:
        for source in layer.inputs:
            if source in found:
                found[source].append(layer)
    return found


def _is_lone_convolution(readers: Sequence[inception_v4.Layer]) -> bool:
    return len(readers) == 1 and readers[0].kind == "conv"


def _scaled(array: NDArray[Any], scale: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(array.astype(np.float64) * scale, dtype=np.float32)
