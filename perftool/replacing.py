"""Replace files by new ones that are whole. Runtime-free.

New files are written in a folder of their own beside the old ones, and renamed into place at the end: a
writer that is stopped or killed before that has changed nothing. What a killed one leaves behind is that
folder, which the next writer there removes once it is a day old. Nothing is forced to the disk, so this is
about processes that die, not about power cuts.
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

_WRITING: Final = ".perftool-"
_ABANDONED_AFTER_S: Final = 86_400


@contextmanager
def replaced(*targets: Path) -> Iterator[tuple[Path, ...]]:
    """Give a path to write for each of some files of one folder; put all in place when they are written.

    Makes the folders above them. A single file is replaced in one step: whoever opens it finds the old one or
    the new one, whole. Of several, the last is the one that is opened first and leads to the others (an .xml
    to its .bin); no system replaces them in one step. The last is taken away first and comes back last, so
    that whoever begins in between finds no file, and not one with another's half. The limits of that: who
    opened the old last file before, and opens another after, has a mixture; and who is killed in between
    leaves the others without the last. Raises OSError where the disk refuses; the old files are then there.
    """
    folder = targets[0].parent
    with workplace(folder) as place:
        written = tuple(place / target.name for target in targets)
        yield written
        if len(targets) == 1:
            os.replace(written[0], targets[0])
        else:
            with _alone(folder):
                _exchange(written, targets, place)


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Give a hidden folder to write in, below one that is made where it is not there; remove it at the end.

    Raises OSError where the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    with TemporaryDirectory(dir=folder, prefix=_WRITING) as place:
        yield Path(place)


def is_workplace(path: Path) -> bool:
    """Tell whether a path is a hidden folder that a writer works in, or was killed in."""
    return path.name.startswith(_WRITING) and path.is_dir() and not path.is_symlink()


def _exchange(written: tuple[Path, ...], targets: tuple[Path, ...], place: Path) -> None:
    """Take the old files away, the last first, and put the new ones there; if that fails, the old ones."""
    for target in targets:
        # A folder could be taken away too, and would be gone with the rest.
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    old = {target: place / f"old {target.name}" for target in targets}
    try:
        for target in reversed(targets):
            with suppress(FileNotFoundError):
                os.rename(target, old[target])
        for new, target in zip(written, targets, strict=True):
            os.rename(new, target)
    except BaseException:
        for target in targets:
            with suppress(FileNotFoundError):
                os.replace(old[target], target)
        raise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep two writers from putting their files in place at once; where there are no locks, do without."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed writers left in a folder."""
    for left in folder.glob(f"{_WRITING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_AFTER_S:
                shutil.rmtree(left, ignore_errors=True)
