"""Read a bundle strictly: its manifest, and that every file is there, unchanged, and no other."""

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

import msgspec

from perftool.deploy.manifest import FORMAT, MANIFEST, File, Manifest
from perftool.errors import InputError

#: More than a manifest of all the files that a bundle can have.
_MANIFEST_BYTES: Final = 16_000_000


def read_bundle(folder: Path) -> Manifest:
    """Return a bundle's manifest once all of its files were found to be what it says.

    Raises InputError that names the file that is missing, changed, or not the bundle's.
    """
    manifest = _manifest(folder / MANIFEST)
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    found.pop(MANIFEST, None)
    for name in manifest.files:
        if name not in found:
            raise InputError(f"{folder / name}: is missing from the bundle")
    for name, path in sorted(found.items()):
        if name not in manifest.files:
            raise InputError(f"{path}: is not in the bundle's manifest; take it away to verify the rest")
        _check(path, manifest.files[name])
    return manifest


def model_of(manifest: Manifest, folder: Path) -> Path:
    """Return the model file that a bundle deploys; raise InputError where the manifest does not hold it."""
    name = manifest.model.file
    for part in (name, str(Path(name).with_suffix(".bin"))):
        if part not in manifest.files:
            raise InputError(f"{folder / MANIFEST}: its files lack the model's {part}")
    return folder / name


def _manifest(path: Path) -> Manifest:
    content = _content(path)
    try:
        _check_format(path, content)
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a bundle's manifest: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: not a bundle's manifest: nested too deeply") from None


def _content(path: Path) -> bytes:
    """Read a manifest, a plain file of some kilobytes; no link is followed, no pipe waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path.parent}: no bundle ({MANIFEST} is not there)") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise InputError(f"{path}: is no plain file, so not a bundle's") from None
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise InputError(f"{path}: is no plain file, so not a bundle's")
    with open(handle, "rb") as stream:
        if status.st_size > _MANIFEST_BYTES:
            raise InputError(f"{path}: not a bundle's manifest: {status.st_size / 1e6:.0f} MB")
        return stream.read()


def _check_format(path: Path, content: bytes) -> None:
    """Refuse a manifest of a newer format in a sentence of its own."""
    stated = msgspec.json.decode(content)
    number = stated.get("format") if isinstance(stated, dict) else None
    if isinstance(number, int) and number > FORMAT:
        raise InputError(
            f"{path}: written by a newer perftool (manifest format {number}, this one reads up to {FORMAT}): "
            "update perftool to read it"
        )


def _files(folder: Path) -> list[Path]:
    """List whatever lies below a folder but folders; a link is no file of a bundle."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise InputError(f"{path}: is no plain file, so not a bundle's")
    return found


def _check(path: Path, stated: File) -> None:
    try:
        size = path.stat().st_size
        if size != stated.bytes:
            raise InputError(f"{path}: was changed: {size} bytes, not {stated.bytes}; take the bundle again")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if digest != stated.sha256:
        raise InputError(f"{path}: was changed: its SHA-256 is not the manifest's; take the bundle again")
