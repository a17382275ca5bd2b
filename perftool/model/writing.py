"""Write a model as an IR file, .xml and .bin, each whole; what holds for the pair, `replacing` says.

Runs in a child process. Weights are written as they are, none is made smaller; which files a cache holds is
`entries`' business.
"""

from pathlib import Path

import openvino as ov

from perftool.errors import InputError, one_line
from perftool.replacing import replaced


def check_target(output: str | Path) -> Path:
    """Return the path of an IR file to be; raise InputError for a name that cannot be one."""
    target = Path(output)
    if target.suffix != ".xml":
        raise InputError(f"{target}: a model file's name must end in .xml")
    for path in (target, target.with_suffix(".bin")):
        if path.is_dir():
            raise InputError(f"{path}: cannot be written: it is a folder")
    return target


def write_model(model: ov.Model, output: str | Path) -> Path:
    """Write a model and return the path of its .xml; the weights lie beside it, in a .bin.

    Makes the folders above it. Raises InputError, with the path, where the disk refuses; what was there
    before is then still there.
    """
    target = check_target(output)
    try:
        with replaced(target.with_suffix(".bin"), target) as (_, graph):
            ov.save_model(model, graph, compress_to_fp16=False)
    except (OSError, RuntimeError) as error:
        # The runtime reports a full disk as a RuntimeError of several lines.
        raise InputError(f"{target}: cannot be written: {one_line(error)}") from error
    return target
