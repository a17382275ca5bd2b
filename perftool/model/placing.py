"""Copy a prepared model out of the cache. Runtime-free; files are copied, not read into memory."""

import shutil
from pathlib import Path

from perftool.errors import PerftoolError
from perftool.replacing import replaced


def place_model(source: Path, target: Path) -> None:
    """Copy an IR, .xml and .bin, to where the user wants it; what holds for the pair, `replacing` says.

    Raises PerftoolError where the disk refuses; what was there before is then still there.
    """
    try:
        with replaced(target.with_suffix(".bin"), target.with_suffix(".xml")) as (weights, graph):
            shutil.copyfile(source.with_suffix(".bin"), weights)
            shutil.copyfile(source.with_suffix(".xml"), graph)
    except OSError as error:
        raise PerftoolError(f"{target}: cannot be written: {error.strerror}") from None
