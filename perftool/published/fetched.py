"""What was fetched: the record beside a known model's files, and whether they are still what it says.

Runtime-free; looks at files and changes none. `published.fetch` brings them here.
"""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from perftool.cache import fetched_folder
from perftool.errors import InputError
from perftool.published.catalogue import Known, known, names

#: In the folder of a fetched model: the record, and the folder of the files that were in its archive.
RECORD: Final = "fetched.json"
FILES: Final = "files"


class FetchedFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of an archive; `path` is relative, with slashes."""

    path: str
    bytes: int
    sha256: str


class Fetched(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was fetched: the archive's checksum, the URL or file that it came from, and what was in it."""

    name: str
    sha384: str
    source: str
    files: tuple[FetchedFile, ...]


def recorded(model: Known, folder: Path) -> Fetched | None:
    """Read the record of a fetch in a model's folder; None unless it is of the catalogue's archive."""
    try:
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=Fetched)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return record if (record.name, record.sha384) == (model.name, model.archive.sha384) else None


def damage(record: Fetched, folder: Path, *, content: bool) -> str | None:
    """Say what is wrong with the first file that is not as recorded; None if all are.

    Sizes are compared, and with `content` the SHA-256 of every file, which reads them whole.
    """
    for file in record.files:
        path = folder / FILES / file.path
        if not path.is_file():
            return f"{file.path} is missing"
        if (size := path.stat().st_size) != file.bytes:
            return f"{file.path} has {size:,} bytes, not {file.bytes:,}"
        if content and (found := sha256_of(path)) != file.sha256:
            return f"{file.path} has the SHA-256 {found}, not {file.sha256}"
    return None


def fetched_weights(name: str) -> Path | None:
    """Return where the fetched weights of a known model lie; None where none were fetched.

    Cheap: sizes are looked at, not contents. The path of a checkpoint of several files is their prefix.
    Raises InputError where what was fetched is damaged, or not the catalogue's archive: the name has meant
    it, and shall not mean something else without a word.
    """
    if name not in names():
        return None
    model, folder = known(name), fetched_folder() / name
    if not (folder / RECORD).exists():
        return None
    record = recorded(model, folder)
    other = "its record is damaged, or not of the catalogue's archive"
    wrong = damage(record, folder, content=False) if record else other
    if wrong is not None:
        raise InputError(f"{folder}: {wrong}; fetch it again (perftool model fetch {name})")
    return folder / FILES / model.archive.weights


def fetched_name(path: str | Path) -> str | None:
    """Return the name of the known model of whose fetched files a path is one; None for any other."""
    place, folder = (Path(os.path.abspath(one)) for one in (path, fetched_folder()))
    if not place.is_relative_to(folder) or place == folder:
        return None
    name = place.relative_to(folder).parts[0]
    return name if name in names() else None


def is_published(name: str, digests: Collection[str]) -> bool:
    """Tell whether weights are a known model's published ones, by the SHA-256 of each of their files.

    A fetch whose archive had the catalogue's checksum has recorded those; without one nothing is published.
    What lies beside the weights, as the other half of a model file, must be of the archive too.
    """
    if name not in names():
        return False
    model = known(name)
    record = recorded(model, fetched_folder() / name)
    if record is None:
        return False
    weights = {file.sha256 for file in weights_of(model, record)}
    return weights <= set(digests) <= {file.sha256 for file in record.files}


def weights_of(model: Known, record: Fetched) -> tuple[FetchedFile, ...]:
    """Return the recorded files that the weights are made of: one, or all those of a checkpoint's prefix."""
    wanted = model.archive.weights
    return tuple(
        file
        for file in record.files
        if file.path == wanted or file.path.startswith((f"{wanted}.index", f"{wanted}.data-"))
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
