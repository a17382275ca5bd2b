"""Check the variables of a set of weights against those that a network needs. Runtime-free.

Weights are a mapping of variable names to arrays, as a TF-slim checkpoint holds them. Nothing here knows a
network, or reads a file: shapes and arrays are handed in.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perftool.errors import InputError

Weights = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]

NAMED_AT_MOST = 20
"""How many offending variables of a kind an error names before it only counts them."""

_TRAINING_ONLY = re.compile(
    r"(^|/)(AuxLogits/|global_step$|beta[12]_power$"
    r"|(Adam|Adam_1|Adagrad|Momentum|RMSProp|RMSProp_1|ExponentialMovingAverage)$)"
)


def is_training_only(name: str) -> bool:
    """Tell whether a checkpoint's variable serves training alone: auxiliary head, step, optimizer slots."""
    return _TRAINING_ONLY.search(name) is not None


def check_shapes(found: Shapes, shapes: Shapes, origin: str) -> None:
    """Refuse a set of variables, by names and shapes alone, that is not a network's.

    `shapes` gives each needed variable's shape; `origin` says in the error where the variables came from.
    Variables that only training needs (`is_training_only`) are left aside. Raises InputError, on one line,
    for missing, surplus and misshapen variables.
    """
    _refuse(_ill_shaped(found, shapes), len(shapes), origin)


def check_variables(weights: Weights, shapes: Shapes, origin: str) -> None:
    """Refuse weights that are not exactly the variables of a network, or cannot be computed with.

    As `check_shapes`; non-numeric variables, non-finite values and negative variances are refused too.
    """
    present = {name: np.asarray(weights[name]) for name in shapes if name in weights}
    found = {name: np.shape(array) for name, array in weights.items()}
    numeric = {name: array for name, array in present.items() if array.dtype.kind in "fiu"}
    complaints = {
        **_ill_shaped(found, shapes),
        "not of a real number type": [
            f"{name} is {array.dtype}" for name, array in present.items() if name not in numeric
        ],
        "with NaN or infinite values": [
            name for name, array in numeric.items() if not np.isfinite(array).all()
        ],
        "with negative variances": [
            name for name, array in numeric.items() if name.endswith("/moving_variance") and (array < 0).any()
        ],
    }
    _refuse(complaints, len(shapes), origin)


def some(names: Sequence[str]) -> str:
    """Name the first few and count the rest."""
    rest = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _ill_shaped(found: Shapes, shapes: Shapes) -> dict[str, list[str]]:
    """List what names and shapes tell, by the kind of complaint."""
    return {
        "missing": [name for name in shapes if name not in found],
        "surplus": [name for name in found if name not in shapes and not is_training_only(name)],
        "misshapen": [
            f"{name} is {_shape(found[name])}, not {_shape(shape)}"
            for name, shape in shapes.items()
            if name in found and found[name] != shape
        ],
    }


def _refuse(complaints: Mapping[str, Sequence[str]], wanted: int, origin: str) -> None:
    """Raise the complaints, if there are any."""
    told = [f"{len(names)} {what}: {some(names)}" for what, names in complaints.items() if names]
    if told:
        raise InputError(f"{origin}: {wanted} variables wanted; " + "; ".join(told))


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
