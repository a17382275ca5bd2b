"""The one place where a command writes its files: each whole or not at all."""

from pathlib import Path

from perftool.errors import PerftoolError
from perftool.replacing import replaced


def write_files(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Write {relative path: bytes} below a folder; raise PerftoolError where the disk refuses."""
    written = []
    for name, content in files.items():
        path = folder / name
        try:
            with replaced(path) as (part,):
                part.write_bytes(content)
        except OSError as error:
            raise PerftoolError(f"{path}: cannot be written: {error.strerror}") from None
        written.append(path)
    return written
