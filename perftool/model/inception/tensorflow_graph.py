"""Freeze a TensorFlow checkpoint of a built-in model: its graph in one file, variables become constants.

Runs in a child process that imports TensorFlow. The graph is perftool's own, in the original convention; what
other graphs a checkpoint may belong to is not looked into.
"""

from pathlib import Path
from typing import Any

from perftool.errors import InputError, one_line
from perftool.job import Freeze
from perftool.model.identity import check_name
from perftool.model.inception.checkpoint import require_checkpoint
from perftool.model.inception.inception_v4 import OUTPUT, check_weights, variable_shapes
from perftool.model.inception.inception_v4_tensorflow import build_graph
from perftool.model.inception.tensorflow_runtime import import_tensorflow
from perftool.model.inception.weights import load_weights
from perftool.record import Written
from perftool.replacing import replaced


def freeze(job: Freeze) -> Written:
    """Write a frozen graph (.pb), whole or not at all.

    Raises InputError for an unknown model, for what is no checkpoint, or a damaged one, or lacks variables of
    the model, without TensorFlow, and where the disk refuses.
    """
    check_name(job.name)
    target = _check_target(job.output)
    checkpoint = require_checkpoint(Path(job.checkpoint))
    tensorflow = import_tensorflow(f"{checkpoint}: freezing a checkpoint")
    _check_variables(checkpoint)
    graph = build_graph(tensorflow)
    return Written(path=str(_write(_frozen(tensorflow, graph, checkpoint), target)))


def _check_target(output: str) -> Path:
    """Return the path of the file to be; raise InputError for a name that cannot be one."""
    target = Path(output)
    if target.suffix != ".pb":
        raise InputError(f"{target}: a frozen graph's name must end in .pb")
    if target.is_dir():
        raise InputError(f"{target}: cannot be written: it is a folder")
    return target


def _check_variables(checkpoint: Path) -> None:
    """Raise InputError unless the checkpoint has the model's variables, fit to be restored and to be used."""
    weights = load_weights(checkpoint, variable_shapes())
    check_weights(weights, str(checkpoint))
    others = [f"{name} is {array.dtype}" for name, array in weights.items() if array.dtype != "float32"]
    if others:
        raise InputError(f"{checkpoint}: {len(others)} variables are not float32, as {others[0]}")


def _frozen(tensorflow: Any, graph: Any, checkpoint: Path) -> bytes:
    """Restore a graph's variables, and serialize what its output needs with them as constants."""
    v1 = tensorflow.compat.v1
    with v1.Session(graph=graph) as session:
        with graph.as_default():
            saver = v1.train.Saver()
        try:
            saver.restore(session, str(checkpoint))
        except (tensorflow.errors.OpError, ValueError) as error:
            raise InputError(f"{checkpoint}: cannot be restored ({one_line(error)})") from error
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), [OUTPUT])
    content: bytes = frozen.SerializeToString(deterministic=True)
    return content


def _write(content: bytes, target: Path) -> Path:
    """Write a file whole and return its path; makes the folders above it."""
    try:
        with replaced(target) as (written,):
            written.write_bytes(content)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target
