"""Write a whole export as a folder: all of it or nothing, and over what was there only when told to."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from perftool import replacing
from perftool.deploy.choice import Copy
from perftool.errors import InputError, PerftoolError, UsageError

#: The names of the files that exports are made of: nothing else is ever removed.
OURS = frozenset(
    (
        *("model.xml", "model.bin", "labels.txt", "compile.json", "run.py", "config.json", "config.pbtxt"),
        *("load_config.json", "command.txt", "manifest.json", "README.md"),
    )
)


#: How much of a file is in memory at once while it is copied, in bytes.
_PIECE = 1 << 20


def check_folder(folder: Path, *, force: bool) -> None:
    """Raise UsageError for a folder that must not be written to: there, and not empty.

    With `force` one that holds nothing but what exports write may be replaced.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"{folder}: is there, and no folder; choose another")
    held = [path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()]
    if not held:
        return
    if not force:
        raise UsageError(f"{folder}: holds files already; choose another folder, or replace it with --force")
    for path in sorted(held):
        if path.is_symlink() or path.name not in OURS:
            raise UsageError(
                f"{folder}: not replaced, since it holds {path.relative_to(folder)}, which no export wrote"
            )


@contextmanager
def workplace(target: Path) -> Iterator[Path]:
    """Give a folder beside the target to work in; raise PerftoolError where the disk refuses.

    A process that is killed leaves it behind, hidden, and the target as it was.
    """
    with ExitStack() as stack:
        try:
            work = stack.enter_context(replacing.workplace(target.parent))
        except OSError as error:
            raise PerftoolError(f"{target}: cannot be written: {error.strerror}") from None
        yield work


def write_folder(target: Path, files: Mapping[str, bytes | Copy], work: Path) -> None:
    """Write files below `work`, then put them where the target is, all at once.

    `work` is a workplace beside the target. Raises PerftoolError where the disk refuses, InputError for a
    file that changed while it was copied; the target is then as it was.
    """
    fresh = work / "fresh"
    try:
        for name, content in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Copy):
                _copy(content, path)
            else:
                path.write_bytes(content)
            _to_disk(path)
        _replace(target, fresh, work / "old")
    except OSError as error:
        raise PerftoolError(f"{target}: cannot be written: {error.strerror}; nothing was changed") from None


def sized(path: Path) -> Copy:
    """Return a file that is to be copied, with its SHA-256 and size, read piece by piece."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return Copy(source=str(path), sha256=digest, bytes=os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _copy(content: Copy, path: Path) -> None:
    """Copy a file piece by piece, and see that what was copied is what was promised."""
    digest = hashlib.sha256()
    with open(content.source, "rb") as source, path.open("wb") as copy:
        while piece := source.read(_PIECE):
            digest.update(piece)
            copy.write(piece)
    if digest.hexdigest() != content.sha256:
        raise InputError(f"{content.source}: changed while it was exported; export again")


def _replace(target: Path, fresh: Path, old: Path) -> None:
    """Rename the new folder into place; a folder that was there comes back if that fails."""
    if target.exists():
        os.rename(target, old)
    try:
        os.rename(fresh, target)
    except OSError:
        if old.exists():
            os.rename(old, target)
        raise
    _to_disk(target.parent)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
