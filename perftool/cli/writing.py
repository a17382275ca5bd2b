"""The one place where a command writes its files: each whole or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from perftool.errors import PerftoolError
from perftool.replacing import replaced


def write_files(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Write {relative path: bytes} below a folder; raise PerftoolError where the disk refuses."""

    def all_of(content: bytes) -> Callable[[BinaryIO], object]:
        return lambda sink: sink.write(content)

    return write_streams(folder, {name: all_of(content) for name, content in files.items()})


def write_streams(folder: Path, files: Mapping[str, Callable[[BinaryIO], object]]) -> list[Path]:
    """Write {relative path: what writes it} below a folder, for what is too large to hold.

    Raises PerftoolError where the disk refuses. Whatever a writer raises leaves its file as it was.
    """
    written = []
    for name, write in files.items():
        path = folder / name
        try:
            with replaced(path) as (part,), part.open("wb") as sink:
                write(sink)
        except OSError as error:
            raise PerftoolError(f"{path}: cannot be written: {error.strerror or error}") from None
        written.append(path)
    return written
