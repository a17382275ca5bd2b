"""Say what Inception-v4 (googlenet-v4-tf) is: its layers, its variables, its constants. Runtime-free.

The network is one table, `_NETWORK`, that reads like figures 3 to 9 of arXiv 1602.07261 (with the widths of
TF-slim's `inception_v4`); `layers()` unrolls it into a flat list, and everything else loops over that list:
`inception_v4_openvino` and `inception_v4_tensorflow` make it a graph of their runtime's ops. Nothing here
builds, trains, downloads or makes weights up.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Literal, NamedTuple

from perftool.model.inception.variables import Weights, check_variables

Padding = Literal["SAME", "VALID"]

SCOPE: Final = "InceptionV4"
INPUT: Final = "input"
"""The input of the original convention."""
OUTPUT: Final = f"{SCOPE}/Logits/Predictions"
IMAGE_SIZE: Final = 299
FEATURES: Final = 1536
"""Pooled features that the fully connected layer reads."""
CLASSES: Final = 1001
"""Classes of the output; class 0 is ImageNet's background."""
EPSILON: Final = 0.001
"""Epsilon of every batch norm."""
MEAN: Final = 127.5
SCALE: Final = 127.5


class _Conv(NamedTuple):
    """A convolution with batch norm and ReLU; its kernel, height x width, ends its name."""

    name: str
    channels: int
    stride: int = 1
    padding: Padding = "SAME"


class _Pool(NamedTuple):
    """A pooling layer: MaxPool with stride 2, VALID; AvgPool with stride 1, SAME."""

    name: str


class _Fork(NamedTuple):
    """Branches that read the same input and are concatenated along the channels.

    A named one is a block whose branches have scopes of their own: Branch_0, Branch_1, …
    """

    name: str
    branches: "tuple[_Branch, ...]"


_Branch = tuple[_Conv | _Pool | _Fork, ...]


def _fork(name: str, *branches: _Branch) -> _Fork:
    return _Fork(name, branches)


def _inception_a(name: str) -> _Fork:
    """Figure 4: 35x35x384 to 35x35x384."""
    return _fork(
        name,
        (_Conv("Conv2d_0a_1x1", 96),),
        (_Conv("Conv2d_0a_1x1", 64), _Conv("Conv2d_0b_3x3", 96)),
        (_Conv("Conv2d_0a_1x1", 64), _Conv("Conv2d_0b_3x3", 96), _Conv("Conv2d_0c_3x3", 96)),
        (_Pool("AvgPool_0a_3x3"), _Conv("Conv2d_0b_1x1", 96)),
    )


def _inception_b(name: str) -> _Fork:
    """Figure 5: 17x17x1024 to 17x17x1024."""
    deep = (_Conv("Conv2d_0a_1x1", 192), _Conv("Conv2d_0b_7x1", 192), _Conv("Conv2d_0c_1x7", 224))
    return _fork(
        name,
        (_Conv("Conv2d_0a_1x1", 384),),
        (_Conv("Conv2d_0a_1x1", 192), _Conv("Conv2d_0b_1x7", 224), _Conv("Conv2d_0c_7x1", 256)),
        (*deep, _Conv("Conv2d_0d_7x1", 224), _Conv("Conv2d_0e_1x7", 256)),
        (_Pool("AvgPool_0a_3x3"), _Conv("Conv2d_0b_1x1", 128)),
    )


def _inception_c(name: str) -> _Fork:
    """Figure 6: 8x8x1536 to 8x8x1536; two branches fork once more."""
    deep = (_Conv("Conv2d_0a_1x1", 384), _Conv("Conv2d_0b_3x1", 448), _Conv("Conv2d_0c_1x3", 512))
    return _fork(
        name,
        (_Conv("Conv2d_0a_1x1", 256),),
        (
            _Conv("Conv2d_0a_1x1", 384),
            _fork("", (_Conv("Conv2d_0b_1x3", 256),), (_Conv("Conv2d_0c_3x1", 256),)),
        ),
        (*deep, _fork("", (_Conv("Conv2d_0d_1x3", 256),), (_Conv("Conv2d_0e_3x1", 256),))),
        (_Pool("AvgPool_0a_3x3"), _Conv("Conv2d_0b_1x1", 256)),
    )


_STEM = (
    _Conv("Conv2d_1a_3x3", 32, 2, "VALID"),
    _Conv("Conv2d_2a_3x3", 32, 1, "VALID"),
    _Conv("Conv2d_2b_3x3", 64),
    _fork("Mixed_3a", (_Pool("MaxPool_0a_3x3"),), (_Conv("Conv2d_0a_3x3", 96, 2, "VALID"),)),
    _fork(
        "Mixed_4a",
        (_Conv("Conv2d_0a_1x1", 64), _Conv("Conv2d_1a_3x3", 96, 1, "VALID")),
        (
            *(_Conv("Conv2d_0a_1x1", 64), _Conv("Conv2d_0b_1x7", 64), _Conv("Conv2d_0c_7x1", 64)),
            _Conv("Conv2d_1a_3x3", 96, 1, "VALID"),
        ),
    ),
    _fork("Mixed_5a", (_Conv("Conv2d_1a_3x3", 192, 2, "VALID"),), (_Pool("MaxPool_1a_3x3"),)),
)

_REDUCTION_A = _fork(
    "Mixed_6a",
    (_Conv("Conv2d_1a_3x3", 384, 2, "VALID"),),
    (_Conv("Conv2d_0a_1x1", 192), _Conv("Conv2d_0b_3x3", 224), _Conv("Conv2d_1a_3x3", 256, 2, "VALID")),
    (_Pool("MaxPool_1a_3x3"),),
)

_REDUCTION_B = _fork(
    "Mixed_7a",
    (_Conv("Conv2d_0a_1x1", 192), _Conv("Conv2d_1a_3x3", 192, 2, "VALID")),
    (
        *(_Conv("Conv2d_0a_1x1", 256), _Conv("Conv2d_0b_1x7", 256), _Conv("Conv2d_0c_7x1", 320)),
        _Conv("Conv2d_1a_3x3", 320, 2, "VALID"),
    ),
    (_Pool("MaxPool_1a_3x3"),),
)

_NETWORK: Final[_Branch] = (
    *_STEM,
    *(_inception_a(f"Mixed_5{letter}") for letter in "bcde"),
    _REDUCTION_A,
    *(_inception_b(f"Mixed_6{letter}") for letter in "bcdefgh"),
    _REDUCTION_B,
    *(_inception_c(f"Mixed_7{letter}") for letter in "bcd"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer of the unrolled network, from the image to the last concatenation.

    `inputs` are names of earlier layers; the image's is "". A conv carries batch norm and ReLU with it.
    """

    name: str
    kind: Literal["conv", "max_pool", "avg_pool", "concat"]
    inputs: tuple[str, ...]
    in_channels: int
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: Padding = "VALID"


@cache
def layers() -> tuple[Layer, ...]:
    """List the layers in an order in which each comes after its inputs (149 convolutions among them)."""
    unrolled: list[Layer] = []
    _unroll(_NETWORK, SCOPE, ("", 3), unrolled)
    return tuple(unrolled)


def _unroll(branch: _Branch, scope: str, source: tuple[str, int], into: list[Layer]) -> tuple[str, int]:
    """Append a branch's layers; `source` and the answer are the name and channels of what is read last."""
    for part in branch:
        layer = (
            _unroll_fork(part, scope, source, into)
            if isinstance(part, _Fork)
            else _unroll_single(part, scope, source)
        )
        into.append(layer)
        source = (layer.name, layer.channels)
    return source


def _unroll_single(part: _Conv | _Pool, scope: str, source: tuple[str, int]) -> Layer:
    """Make the layer of a convolution or a pool."""
    name, channels = source
    height, width = part.name.rsplit("_", 1)[1].split("x")
    is_max = part.name.startswith("MaxPool")
    layer = Layer(
        name=f"{scope}/{part.name}",
        kind="max_pool" if is_max else "avg_pool",
        inputs=(name,),
        in_channels=channels,
        channels=channels,
        kernel=(int(height), int(width)),
        stride=2 if is_max else 1,
        padding="VALID" if is_max else "SAME",
    )
    if isinstance(part, _Pool):
        return layer
    return replace(layer, kind="conv", channels=part.channels, stride=part.stride, padding=part.padding)


def _unroll_fork(fork: _Fork, scope: str, source: tuple[str, int], into: list[Layer]) -> Layer:
    """Append the layers of every branch; make their concatenation."""
    scope = f"{scope}/{fork.name}" if fork.name else scope
    ends = [
        _unroll(branch, f"{scope}/Branch_{number}" if fork.name else scope, source, into)
        for number, branch in enumerate(fork.branches)
    ]
    total = sum(channels for _, channels in ends)
    names = tuple(name for name, _ in ends)
    return Layer(name=f"{scope}/concat", kind="concat", inputs=names, in_channels=total, channels=total)


def variable_shapes() -> dict[str, tuple[int, ...]]:
    """List the 598 TF-slim variables that inference needs, with their shapes; kernels are HWIO."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers():
        if layer.kind == "conv":
            shapes[f"{layer.name}/weights"] = (*layer.kernel, layer.in_channels, layer.channels)
            for statistic in ("beta", "moving_mean", "moving_variance"):
                shapes[f"{layer.name}/BatchNorm/{statistic}"] = (layer.channels,)
    shapes[f"{SCOPE}/Logits/Logits/weights"] = (FEATURES, CLASSES)
    shapes[f"{SCOPE}/Logits/Logits/biases"] = (CLASSES,)
    return shapes


def check_weights(weights: Weights, origin: str) -> None:
    """Raise InputError, naming `origin`, unless the weights are exactly this network's variables.

    What a checkpoint holds for training alone (AuxLogits, global_step, optimizer slots) is left aside.
    """
    check_variables(weights, variable_shapes(), origin)
