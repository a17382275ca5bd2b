"""Read a bundle strictly: its manifest, and that every file is there, unchanged, and no other."""

import hashlib
from pathlib import Path

import msgspec

from perftool.deploy.manifest import FORMAT, MANIFEST, File, Manifest
from perftool.errors import InputError


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
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path.parent}: no bundle ({MANIFEST} is not there)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        _check_format(path, content)
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a bundle's manifest: {error}") from None
    for estimate in (manifest.claim.throughput_fps, getattr(manifest.claim.latency_ms, "p50", None)):
        if estimate is not None and not estimate.point > 0:
            raise InputError(f"{path}: claims a figure of {estimate.point:g}, which nothing can be")
    return manifest


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
