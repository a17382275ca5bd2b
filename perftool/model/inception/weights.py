"""Read a set of weights, by TF-slim names, from an npz archive or a TensorFlow checkpoint.

Runs in a child process where the file is a checkpoint: TensorFlow reads those, and is imported there and
then. Whether the weights are a network's says `variables`, or `check_weights` of the network.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perftool.errors import InputError, one_line
from perftool.model.inception.checkpoint import checkpoint_name
from perftool.model.inception.tensorflow_runtime import import_tensorflow
from perftool.model.inception.variables import Shapes, check_shapes, is_training_only, some


def load_weights(path: Path | str, shapes: Shapes | None = None) -> dict[str, NDArray[Any]]:
    """Load arrays by name, as stored: all of an npz archive, of a checkpoint those that inference needs.

    A checkpoint is named as `checkpoint_name` says. `shapes` are the variables of a network: when a
    checkpoint lacks some of them, or holds others, that is raised before any is read.

    Raises InputError when the file is missing, unreadable, damaged, neither npz nor checkpoint, or holds
    Python objects (which are never unpickled), and when TensorFlow is not installed.
    """
    name = checkpoint_name(Path(path))
    return _load_archive(Path(path)) if name is None else _load_checkpoint(name, shapes)


def _load_archive(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: a single array, not an npz archive of named arrays")
            loaded = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise InputError(f"{path}: not a readable npz of plain arrays ({one_line(error)})") from error
    strangers = [name for name, array in loaded.items() if not isinstance(array, np.ndarray)]
    if strangers:
        raise InputError(f"{path}: holds what is not an array: {some(strangers)}")
    return loaded


def _load_checkpoint(name: Path, shapes: Shapes | None) -> dict[str, NDArray[Any]]:
    tensorflow = import_tensorflow(f"{name}: reading a checkpoint")
    try:
        reader = tensorflow.train.load_checkpoint(str(name))
        found = {variable: tuple(shape) for variable, shape in reader.get_variable_to_shape_map().items()}
        if shapes is not None:
            check_shapes(found, shapes, str(name))
        wanted = sorted(variable for variable in found if not is_training_only(variable))
        return {variable: np.asarray(reader.get_tensor(variable)) for variable in wanted}
    # The reader tells a shard that is too short by an IndexError, and what it cannot name by the others.
    except (tensorflow.errors.OpError, IndexError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: a checkpoint that cannot be read ({one_line(error)})") from error
