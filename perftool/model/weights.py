"""Read a set of weights from a file and check it against the variables that a network needs.

Weights are a mapping of variable names to arrays, as a TF-slim checkpoint holds them. Nothing here knows a
network: the shapes are handed in. TensorFlow checkpoints are not read here.
"""

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perftool.errors import InputError

Weights = Mapping[str, NDArray[Any]]

NAMED_AT_MOST = 3
"""How many offending variables an error names before it only counts them."""

_TRAINING_ONLY = re.compile(
    r"(^|/)(AuxLogits/|global_step$|beta[12]_power$"
    r"|(Adam|Adam_1|Adagrad|Momentum|RMSProp|RMSProp_1|ExponentialMovingAverage)$)"
)


def is_training_only(name: str) -> bool:
    """Tell whether a checkpoint's variable serves training alone: auxiliary head, step, optimizer slots."""
    return _TRAINING_ONLY.search(name) is not None


def load_weights(path: Path | str) -> dict[str, NDArray[Any]]:
    """Load every array of an npz file, by name, as stored.

    Raises InputError when the file is missing, unreadable, not an npz, damaged, or holds Python objects
    (which are never unpickled).
    """
    try:
        with Path(path).open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: a single array, not an npz archive of named arrays")
            loaded = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise InputError(f"{path}: not a readable npz of plain arrays ({_one_line(error)})") from error
    strangers = [name for name, array in loaded.items() if not isinstance(array, np.ndarray)]
    if strangers:
        raise InputError(f"{path}: holds what is not an array: {_some(strangers)}")
    return loaded


def check_variables(weights: Weights, shapes: Mapping[str, tuple[int, ...]], origin: str) -> None:
    """Refuse weights that are not exactly the variables of a network.

    `shapes` gives each needed variable's shape; `origin` says in the error where the weights came from.
    Variables that only training needs (`is_training_only`) are left aside. Raises InputError, on one line,
    for missing, surplus, misshapen and non-numeric variables, non-finite values and negative variances.
    """
    missing = [name for name in shapes if name not in weights]
    surplus = [name for name in weights if name not in shapes and not is_training_only(name)]
    present = {name: np.asarray(weights[name]) for name in shapes if name in weights}
    misshapen = [
        f"{name} is {_shape(array.shape)}, not {_shape(shapes[name])}"
        for name, array in present.items()
        if array.shape != shapes[name]
    ]
    unfit = [f"{name} is {array.dtype}" for name, array in present.items() if array.dtype.kind not in "fiu"]
    numeric = {name: array for name, array in present.items() if array.dtype.kind in "fiu"}
    not_finite = [name for name, array in numeric.items() if not np.isfinite(array).all()]
    negative = [
        name for name, array in numeric.items() if name.endswith("/moving_variance") and (array < 0).any()
    ]
    complaints = [
        f"{len(found)} {what}: {_some(found)}"
        for what, found in (
            ("missing", missing),
            ("surplus", surplus),
            ("misshapen", misshapen),
            ("not of a real number type", unfit),
            ("with NaN or infinite values", not_finite),
            ("with negative variances", negative),
        )
        if found
    ]
    if complaints:
        raise InputError(f"{origin}: {len(shapes)} variables wanted; " + "; ".join(complaints))


def _some(names: Sequence[str]) -> str:
    """Name the first few and count the rest."""
    rest = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
