"""Write a whole export as a folder: all of it or nothing, and over what was there only when told to.

What is replaced is an export and nothing else: a folder that holds what its own list says, all unchanged.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from perftool import replacing
from perftool.cli.listing import differences, read_plain
from perftool.deploy.choice import Copy
from perftool.deploy.manifest import LISTING, MANIFEST, File, Listing, Manifest
from perftool.errors import InputError, PerftoolError, UsageError
from perftool.render.numbers import plain

#: How much of a file is in memory at once while it is copied, in bytes.
_PIECE: Final = 1 << 20


def check_folder(folder: Path, *, force: bool) -> None:
    """Raise UsageError for a folder that must not be written to: there, and not empty.

    With `force` one that holds an export and nothing else may be replaced, but for the working directory,
    which whoever works in it would lose.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"{folder}: is there, and no folder; choose another")
    if not _held(folder):
        return
    if not force:
        raise UsageError(f"{folder}: holds files already; choose another folder, or replace it with --force")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise UsageError(f"{folder}: not replaced, since it is the working directory; export from elsewhere")
    _check_export(folder, folder)


@contextmanager
def workplace(target: Path) -> Iterator[Path]:
    """Give a folder to work in: beside the target, above what is not there yet, or in a target that is empty.

    Nothing but that folder is made, and it is gone in the end. A process that is killed leaves it behind,
    hidden, and the target as it was. Raises PerftoolError where the disk refuses.
    """
    above = target if target.is_dir() and not _held(target) else _there(target.parent)
    if not above.is_dir():
        raise UsageError(f"{target}: cannot be made, since {above} is no folder")
    with ExitStack() as stack:
        try:
            work = stack.enter_context(replacing.workplace(above))
        except OSError as error:
            raise PerftoolError(f"{target}: cannot be written: {error.strerror}") from None
        yield work


def write_folder(target: Path, files: Mapping[str, bytes | Copy], work: Path, *, force: bool = False) -> None:
    """Write files below `work`, then put them where the target is, all at once.

    `work` is the target's workplace. Raises PerftoolError where the disk refuses, InputError for a file that
    changed while it was copied, UsageError for a target that was filled meanwhile; it is then as it was.
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
        check_folder(target, force=force)
        if work.parent == target:
            _fill(target, fresh)
        elif target.exists():
            _replace(target, fresh, work / "old")
        else:
            _put(target, fresh)
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


# ---------------------------------------------------------------- what is there


def _held(folder: Path) -> list[Path]:
    """List what a folder holds, apart from what killed exports left there."""
    try:
        return [path for path in folder.iterdir() if not replacing.is_workplace(path)]
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}; choose another folder") from None


def _check_export(folder: Path, known_as: Path) -> None:
    """Raise UsageError unless a folder holds an export and nothing else, each file as it was written."""
    refused = f"{known_as}: not replaced, since"
    name, files = _listed(folder, refused)
    for found in differences(folder, name, files):
        # What was taken away is not lost by replacing the rest.
        if found.kind != "missing" and not _in_workplace(found.path, folder):
            which = plain(str(found.path.relative_to(folder)))
            raise UsageError(f"{refused} {which} {found.said}; save or remove it first")
    ours = {parent.as_posix() for path in files for parent in Path(path).parents}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_dir() and inside.as_posix() not in ours and not _in_workplace(path, folder):
            raise UsageError(f"{refused} no export made {plain(str(inside))}; save or remove it first")


def _listed(folder: Path, refused: str) -> tuple[str, dict[str, File]]:
    """Return the name of an export's list of files, and what it lists; raise UsageError where none is."""
    kinds: tuple[tuple[str, type[Listing | Manifest]], ...] = ((LISTING, Listing), (MANIFEST, Manifest))
    for name, kind in kinds:
        try:
            content = read_plain(folder / name)
            if content is not None:
                return name, msgspec.json.decode(content, type=kind).files
        except (InputError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UsageError(
                f"{refused} its {name} is none that this perftool's exports write; "
                "choose another folder, or remove this one"
            ) from None
    raise UsageError(
        f"{refused} it holds neither {LISTING} nor {MANIFEST}, which exports have; "
        "choose another folder, or remove this one"
    )


def _in_workplace(path: Path, folder: Path) -> bool:
    return replacing.is_workplace(folder / path.relative_to(folder).parts[0])


def _there(folder: Path) -> Path:
    """Return the nearest folder at or above a path that is there."""
    return next(path for path in (folder, *folder.parents) if os.path.lexists(path))


# ---------------------------------------------------------------- putting it there


def _copy(content: Copy, path: Path) -> None:
    """Copy a file piece by piece, and see that what was copied is what was promised."""
    digest = hashlib.sha256()
    with open(content.source, "rb") as source, path.open("wb") as copy:
        while piece := source.read(_PIECE):
            digest.update(piece)
            copy.write(piece)
    if digest.hexdigest() != content.sha256:
        raise InputError(f"{content.source}: changed while it was exported; export again")


def _put(target: Path, fresh: Path) -> None:
    """Rename the new folder into place, below folders that are made for it; if that fails, none were."""
    made: list[Path] = []
    try:
        for above in reversed([path for path in target.parents if not path.exists()]):
            above.mkdir()
            made.append(above)
        os.rename(fresh, target)
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()
        raise
    _to_disk(target.parent)


def _fill(target: Path, fresh: Path) -> None:
    """Rename what is new into an empty folder, its list last; if that fails, the folder is empty again."""
    if _held(target):
        raise UsageError(f"{target}: was filled while this was exported; choose another folder")
    done: list[str] = []
    try:
        for name in sorted(os.listdir(fresh), key=lambda name: (name in (LISTING, MANIFEST), name)):
            os.rename(fresh / name, target / name)
            done.append(name)
    except BaseException:
        for name in done:
            os.rename(target / name, fresh / name)
        raise
    _to_disk(target)


def _replace(target: Path, fresh: Path, old: Path) -> None:
    """Exchange a folder for the new one; it comes back if that fails, or where it was changed meanwhile."""
    os.rename(target, old)
    try:
        _check_export(old, target)
        os.rename(fresh, target)
    except BaseException:
        os.rename(old, target)
        raise
    _to_disk(target.parent)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
