"""The one place where a command writes its files: each whole or not at all."""

import os
from pathlib import Path

from perftool.errors import PerftoolError


def write_files(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Write {relative path: bytes} below a folder; raise PerftoolError where the disk refuses."""
    written = []
    for name, content in files.items():
        path = folder / name
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                part.write_bytes(content)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise PerftoolError(f"{path}: cannot be written: {error.strerror}") from None
        written.append(path)
    return written
