"""Read a bundle strictly: its manifest, and that every file is there, unchanged, and no other."""

import os
from pathlib import Path

import msgspec

from perftool.cli.listing import differences, read_plain
from perftool.deploy.manifest import FORMAT, LISTING, MANIFEST, Listing, Manifest
from perftool.errors import InputError, one_line
from perftool.render.numbers import plain

#: What is to be done about a file that is not as the manifest says.
_ADVICE = {
    "no plain file": ", so not a bundle's",
    "missing": " from the bundle",
    "foreign": "; take it away to verify the rest",
    "changed": "; take the bundle again",
}


def read_bundle(folder: Path) -> Manifest:
    """Return a bundle's manifest once all of its files were found to be what it says.

    Raises InputError that names the file that is missing, changed, or not the bundle's.
    """
    manifest = _manifest(folder / MANIFEST)
    for found in differences(folder, MANIFEST, manifest.files):
        raise InputError(f"{plain(str(found.path))}: {found.said}{_ADVICE[found.kind]}")
    return manifest


def read_export(folder: Path) -> int | None:
    """Return how many files an export holds that is no bundle, each as it was written; None where none is.

    Raises InputError that names the file that is missing, changed, or not the export's.
    """
    if os.path.lexists(folder / MANIFEST) or (content := read_plain(folder / LISTING)) is None:
        return None
    try:
        listing = msgspec.json.decode(content, type=Listing)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{folder / LISTING}: not an export's list of files: {one_line(error)}") from None
    for found in differences(folder, LISTING, listing.files):
        raise InputError(f"{plain(str(found.path))}: {found.said}; export again")
    return len(listing.files)


def model_of(manifest: Manifest, folder: Path) -> Path:
    """Return the model file that a bundle deploys; raise InputError where the manifest does not hold it."""
    name = manifest.model.file
    for part in (name, str(Path(name).with_suffix(".bin"))):
        if part not in manifest.files:
            raise InputError(f"{folder / MANIFEST}: its files lack the model's {part}")
    return folder / name


def _manifest(path: Path) -> Manifest:
    content = read_plain(path)
    if content is None:
        raise InputError(f"{path.parent}: no bundle ({MANIFEST} is not there)")
    try:
        _check_format(path, content)
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a bundle's manifest: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: not a bundle's manifest: nested too deeply") from None


def _check_format(path: Path, content: bytes) -> None:
    """Refuse a manifest of a newer format in a sentence of its own."""
    stated = msgspec.json.decode(content)
    number = stated.get("format") if isinstance(stated, dict) else None
    if isinstance(number, int) and number > FORMAT:
        raise InputError(
            f"{path}: written by a newer perftool (manifest format {number}, this one reads up to {FORMAT}): "
            "update perftool to read it"
        )
