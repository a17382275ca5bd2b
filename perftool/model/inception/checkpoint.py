"""Find the files of a TensorFlow checkpoint. Runtime-free: nothing is read but a file's first and last bytes.

Version 1 is one file. Version 2 is a prefix that no file has itself: PREFIX.index says what lies where in
PREFIX.data-00000-of-00001 and so on. What the variables are reads `weights`, in a child.
"""

import re
from pathlib import Path
from typing import Final

from perftool.errors import InputError

#: How a table file ends, which a checkpoint of version 1 and an index of version 2 both are (LevelDB's
#: table format, https://github.com/google/leveldb/blob/main/doc/table_format.md).
TABLE_MAGIC: Final = bytes.fromhex("57fb808b247547db")

_ARCHIVE_MAGIC: Final = b"PK"
_PART: Final = re.compile(r"\.(index|data-\d{5}-of-\d{5})\Z")


def checkpoint_name(path: Path) -> Path | None:
    """Return the name that TensorFlow knows a checkpoint by, None where there is none.

    `path` may be a file of version 1, a prefix of version 2, or any of the files of that prefix. A damaged
    file still counts as a checkpoint when its name says so (".ckpt") and it is no npz archive.
    """
    prefix = path.with_name(_PART.sub("", path.name)) if path.name else path
    if _is_prefix(prefix):
        return prefix
    if not path.is_file():
        return None
    try:
        first, last = _ends(path)
    except OSError:  # Whoever reads it says why.
        return None
    named = ".ckpt" in path.name and first != _ARCHIVE_MAGIC
    return path if last == TABLE_MAGIC or named else None


def require_checkpoint(path: Path) -> Path:
    """Return the name that TensorFlow knows a checkpoint by; raise InputError where there is none."""
    name = checkpoint_name(path)
    if name is not None:
        return name
    if not path.exists():
        raise InputError(f"{path}: no such file, nor checkpoint of that prefix")
    raise InputError(
        f"{path}: not a TensorFlow checkpoint (one file, or a prefix with .index and .data-00000-of-00001)"
    )


def _is_prefix(prefix: Path) -> bool:
    """Tell whether files of version 2 lie beside a prefix: the index, or a shard that has lost it."""
    try:
        beside = [entry.name for entry in prefix.parent.iterdir() if entry.name.startswith(prefix.name)]
    except OSError:
        return False
    return any(_PART.fullmatch(name.removeprefix(prefix.name)) for name in beside)


def _ends(path: Path) -> tuple[bytes, bytes]:
    """Read a file's first two and last eight bytes."""
    with path.open("rb") as file:
        first = file.read(len(_ARCHIVE_MAGIC))
        file.seek(max(0, path.stat().st_size - len(TABLE_MAGIC)))
        return first, file.read()
