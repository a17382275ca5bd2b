"""Hold a folder against the list of its files that was written with it: missing, changed, foreign ones."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from perftool.deploy.manifest import File
from perftool.errors import InputError

#: More than a list of all the files that an export can have.
_MOST_BYTES: Final = 16_000_000


class Difference(NamedTuple):
    """A path that is not as it was listed, and in words how."""

    path: Path
    kind: Literal["no plain file", "missing", "foreign", "changed"]
    said: str


def differences(folder: Path, name: str, files: Mapping[str, File]) -> Iterator[Difference]:
    """Find what is not as the file `name` of a folder lists it, cheap things first; folders do not count.

    Raises InputError for a file that cannot be read.
    """
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for path in found.values():
        if path.is_symlink() or not path.is_file():
            yield Difference(path, "no plain file", "is no plain file")
    found.pop(name, None)
    for missing in sorted(files.keys() - found.keys()):
        yield Difference(folder / missing, "missing", "is missing")
    for inside, path in sorted(found.items()):
        if inside not in files:
            yield Difference(path, "foreign", f"is not in {name}")
        elif (said := _changed(path, files[inside])) is not None:
            yield Difference(path, "changed", said)


def read_plain(path: Path) -> bytes | None:
    """Read a list, a plain file of some kilobytes; None where there is none.

    No link is followed and no pipe waited for: those raise InputError, as what cannot be read does.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise InputError(f"{path}: is no plain file") from None
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise InputError(f"{path}: is no plain file")
    with open(handle, "rb") as stream:
        if status.st_size > _MOST_BYTES:
            raise InputError(f"{path}: holds {status.st_size / 1e6:.0f} MB, too much for a list of files")
        return stream.read()


def _files(folder: Path) -> list[Path]:
    """List whatever lies below a folder but folders; a link is listed, wherever it leads."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _changed(path: Path, stated: File) -> str | None:
    try:
        size = path.stat().st_size
        if size != stated.bytes:
            return f"was changed: {size} bytes, not {stated.bytes}"
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return None if digest == stated.sha256 else "was changed: its SHA-256 is another"
