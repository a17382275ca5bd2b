"""What a feeding may say, and how it reads. Runtime-free; `model.feeding` builds one into a model.

Knows nothing of a model: what contradicts the model's own ports is found where it is built in.
"""

import math
from typing import NamedTuple

from perftool.spec import Feeding

#: The option that states a field, for errors: it is the same in every command.
OPTIONS = {
    "mean": "--mean",
    "scale": "--scale",
    "color": "--color",
    "layout": "--layout",
    "shape": "--input-shape",
}


class Fault(NamedTuple):
    """A field of a feeding that makes no sense, and why."""

    field: str
    problem: str

    def __str__(self) -> str:
        return f"{OPTIONS[self.field]}: {self.problem}"


def fault(feeding: Feeding) -> Fault | None:
    """Find what makes no sense in a feeding, whatever the model: the first fault, or None."""
    for field, values in (("mean", feeding.mean), ("scale", feeding.scale)):
        if len(values) not in (0, 1, 3):
            return Fault(field, f"{_count(values)}; it takes one, or three in the order of --color")
        if not all(math.isfinite(value) for value in values):
            return Fault(field, f"{numbers(values)} is not finite")
    if 0 in feeding.scale:
        return Fault("scale", "0; values are divided by it")
    return _shape_fault(feeding)


def _shape_fault(feeding: Feeding) -> Fault | None:
    shape = feeding.shape
    if not shape:
        return None
    if len(shape) != 4:
        return Fault("shape", f"{numbers(shape)} has {len(shape)} sizes; a batch of images has 4")
    if 3 not in (shape[1], shape[3]):
        return Fault("shape", f"{numbers(shape)} has its 3 channels neither second (NCHW) nor last (NHWC)")
    if feeding.layout and shape[feeding.layout.index("C")] != 3:
        return Fault("layout", f"{feeding.layout} contradicts the shape {numbers(shape)}")
    return None


def values_said(color: str, feeding: Feeding) -> str:
    """Write which values a model wants: `RGB, (x - 127.5) / 127.5`, or `BGR 0..255`."""
    if not feeding.mean and not feeding.scale:
        return f"{color} 0..255"
    said = f"(x - {_vector(feeding.mean)})" if feeding.mean else "x"
    return f"{color}, {said}" + (f" / {_vector(feeding.scale)}" if feeding.scale else "")


def numbers(values: tuple[float, ...]) -> str:
    """Write numbers as an option takes them: `1,3,224,224`, `127.5`."""
    return ",".join(f"{value:.12g}" for value in values)


def _vector(values: tuple[float, ...]) -> str:
    return numbers(values) if len(values) == 1 else f"[{numbers(values)}]"


def _count(values: tuple[float, ...]) -> str:
    return f"{len(values)} values ({numbers(values)})"
