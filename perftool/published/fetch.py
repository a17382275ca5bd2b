"""Bring a known model's published weights to this machine: download or take, check, extract, record.

One fetch of a model at a time; what is there is whole, by its record (`published.fetched`), or is brought
again.
Runtime-free: nothing is converted or read as weights here.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from filelock import FileLock, Timeout
from msgspec import Struct

from perftool.errors import InputError, InterruptedRunError, PerftoolError
from perftool.published.catalogue import Known
from perftool.published.download import Downloaded, Patience, Watch, check, discard, download
from perftool.published.extract import extract
from perftool.published.fetched import FILES, RECORD, Fetched, damage, recorded, weights_of
from perftool.record import Progress

PART: Final = "archive.part"

_LOCK: Final = ".lock"
_EXTRACTING: Final = ".extracting-"


class Brought(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a fetch came to. `weights` is their path; `new` is false when they were there, and whole.

    `repaired` says what was wrong with what was there before, `failures` with the sources that were tried
    first.
    """

    record: Fetched
    weights: str
    new: bool
    repaired: str | None = None
    failures: tuple[str, ...] = ()


def fetch(
    model: Known,
    folder: Path,
    watch: Watch,
    *,
    patience: Patience | None = None,
    offered: Path | None = None,
) -> Brought:
    """Have a model's published files in its folder, checked; return where they are.

    `offered` is an archive that the user has already; it is checked like a download, and stays where it is.
    Raises InputError for an offered file, or an archive, that is not what it should be; PerftoolError where
    no source has it, or the disk refuses; InterruptedRunError when the user stops it: what has come stays.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, watch):
            return _fetch(model, folder, watch, patience or Patience(), offered)
    except KeyboardInterrupt:
        raise InterruptedRunError(_stopped(model, folder / PART)) from None
    except OSError as error:
        path = error.filename or folder
        raise PerftoolError(
            f"{path}: cannot be written: {error.strerror or error}; what has come is kept, and fetching "
            "again goes on from there"
        ) from None


def _fetch(model: Known, folder: Path, watch: Watch, patience: Patience, offered: Path | None) -> Brought:
    if offered is not None:
        _check_offered(offered, model)
    record = recorded(model, folder)
    wrong = damage(record, folder, content=True) if record else None
    weights = str(folder / FILES / model.archive.weights)
    if record and wrong is None:
        return Brought(record=record, weights=weights, new=False)
    part = folder / PART
    if offered is None:
        come = download(model, part, watch, patience)
        archive = part
    else:
        come = Downloaded(url=str(offered), failures=())
        archive = offered
    watch(Progress(stage="extracting", done=0, total=0))
    try:
        record = _unpack(model, archive, folder, come.url)
    except InputError:
        # The archive is the catalogue's: its content will not be another by fetching it again.
        discard(part)
        raise
    discard(part)
    return Brought(record=record, weights=weights, new=True, repaired=wrong, failures=come.failures)


def _check_offered(offered: Path, model: Known) -> None:
    try:
        wrong = check(offered, model.archive)
    except FileNotFoundError:
        raise InputError(f"{offered}: no such file") from None
    except OSError as error:
        raise InputError(f"{offered}: cannot be read ({error.strerror or error})") from None
    if wrong is not None:
        raise InputError(f"{offered}: is not {model.name}'s {model.archive.file_name}: {wrong}")


def _unpack(model: Known, archive: Path, folder: Path, source: str) -> Fetched:
    """Put an archive's files in place of what is there, whole or not at all, and write their record."""
    with tempfile.TemporaryDirectory(prefix=_EXTRACTING, dir=folder) as work:
        made = Path(work) / FILES
        files = extract(archive, made)
        record = Fetched(name=model.name, sha384=model.archive.sha384, source=source, files=files)
        if not weights_of(model, record):
            held = ", ".join(file.path for file in files[:5]) or "no files"
            raise InputError(f"{archive}: holds no {model.archive.weights}, but {held}")
        note = Path(work) / RECORD
        note.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))
        # Without its record a folder counts as not fetched, should this be the end.
        (folder / RECORD).unlink(missing_ok=True)
        if (folder / FILES).exists():
            os.rename(folder / FILES, Path(work) / "replaced")
        os.rename(made, folder / FILES)
        os.replace(note, folder / RECORD)
    return record


@contextmanager
def _alone(folder: Path, watch: Watch) -> Iterator[None]:
    """Hold the folder, after whoever holds it now; clear away what a killed fetch was extracting."""
    lock = FileLock(folder / _LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        watch(Progress(stage="waiting for another fetch", done=0, total=0))
        lock.acquire()
    try:
        for left in folder.glob(f"{_EXTRACTING}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.release()


def _stopped(model: Known, part: Path) -> str:
    if not part.exists():
        return f"stopped; nothing of {model.name} was fetched"
    return (
        f"stopped; {part.stat().st_size:,} of {model.archive.bytes:,} bytes are kept: "
        f"perftool model fetch {model.name} goes on from there"
    )
