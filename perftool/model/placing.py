"""Copy a prepared model out of the cache. Runtime-free; files are copied, not read into memory."""

import os
import shutil
from pathlib import Path

from perftool.errors import PerftoolError


def place_model(source: Path, target: Path) -> None:
    """Copy an IR, .xml and .bin, to where the user wants it, each file whole or not at all.

    Raises PerftoolError where the disk refuses.
    """
    for suffix in (".bin", ".xml"):
        path = target.with_suffix(suffix)
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(source.with_suffix(suffix), part)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise PerftoolError(f"{path}: cannot be written: {error.strerror}") from None
