"""Keep made model files in folders that are whole or not there.

A maker works in a locked folder beside the entry and renames it into place at the end; killed, it leaves a
folder that the next one removes. What is in an entry, and under which key, is `variants`' business.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from perftool.errors import PerftoolError
from perftool.journal import ModelIdentity
from perftool.spec import WeightFormat

MODEL: Final = "model.xml"
WEIGHTS: Final = "model.bin"
META: Final = "meta.json"

_MAKING: Final = ".making-"
_ABANDONED_AFTER_S: Final = 60
_ABANDONED_UNLOCKABLE_AFTER_S: Final = 86_400


class Calibrated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an INT8 file depends on besides its model. `images` is the digest of the calibration set.

    `decoder` names the versions of what decodes them.
    """

    nncf: str
    images: str
    count: int
    decoder: str
    preset: str
    fast_bias_correction: bool
    ignored: tuple[str, ...]
    target: str


class Ingredients(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that a model file depends on; its digest is the entry's key. `model` is a digest.

    `conventions` is that of the conventions that the source might be recognised by; empty, and left out of
    the key, where how it is fed is known without them.
    """

    recipe: int
    model: str
    weight_format: WeightFormat
    openvino: str
    calibrated: Calibrated | None
    conventions: str = ""

    @property
    def key(self) -> str:
        """Return the SHA-256 that the entry is found under."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of an entry."""

    bytes: int
    sha256: str


class Meta(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an entry is. `note` says why a file is not what its format promises, and is mostly empty."""

    ingredients: Ingredients
    model: ModelIdentity
    calibration_images: int
    note: str
    parts: dict[str, Part]


def read_meta(model_path: str | Path) -> Meta | None:
    """Read what an entry says about its model file; None if the file is not from a cache."""
    try:
        return msgspec.json.decode(Path(model_path).with_name(META).read_bytes(), type=Meta)
    except (OSError, msgspec.MsgspecError):
        return None


def verified(entry: Path) -> Meta | None:
    """Return what an entry is if its files are what was written, by size and SHA-256; None if not."""
    meta = read_meta(entry / MODEL)
    if meta is None or not {MODEL, WEIGHTS} <= meta.parts.keys():
        return None
    with suppress(OSError):
        sizes_fit = all((entry / name).stat().st_size == part.bytes for name, part in meta.parts.items())
        if sizes_fit and all(_sha256(entry / name) == part.sha256 for name, part in meta.parts.items()):
            return meta
    return None


def part(path: Path) -> Part:
    """Return a file's size and SHA-256."""
    return Part(bytes=path.stat().st_size, sha256=_sha256(path))


@contextmanager
def workplace(entry: Path) -> Iterator[Path]:
    """Give a locked folder beside the entry to make it in; remove what is left of it at the end.

    The lock ends with the process, however that ends, and tells `sweep_abandoned` who is still at work.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{_MAKING}{entry.name[:16]}-", dir=entry.parent))
    handle = os.open(folder, os.O_RDONLY)
    try:
        # On a file system without locks only age tells.
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, entry: Path, meta: Meta) -> None:
    """Write `meta`, bring everything to the disk and rename the folder to its entry.

    A whole entry that another maker was faster with stays; a damaged one is replaced.
    """
    (folder / META).write_bytes(msgspec.json.format(msgspec.json.encode(meta), indent=2))
    for name in (*meta.parts, META):
        _fsync(folder / name)
    folder.chmod(0o755)
    _fsync(folder)
    for _ in range(3):
        try:
            os.rename(folder, entry)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if verified(entry) is not None:
                return
            _discard(entry)
        else:
            _fsync(entry.parent)
            return
    raise PerftoolError(f"{entry}: another process keeps writing this cache entry, damaged")


def sweep_abandoned(cache: Path) -> None:
    """Remove what killed makers left in the cache: folders that nobody holds the lock of."""
    for folder in cache.glob(f"{_MAKING}*"):
        with suppress(FileNotFoundError):
            age = time.time() - folder.stat().st_mtime
            # A folder that was just made may not be locked yet.
            if age > _ABANDONED_AFTER_S and not _is_held(folder, age):
                shutil.rmtree(folder, ignore_errors=True)


def _is_held(folder: Path, age: float) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return age < _ABANDONED_UNLOCKABLE_AFTER_S
    finally:
        os.close(handle)
    return False


def _discard(entry: Path) -> None:
    """Move a damaged entry out of the way at once, then remove it."""
    grave = Path(tempfile.mkdtemp(prefix=_MAKING, dir=entry.parent))
    with suppress(FileNotFoundError):
        os.rename(entry, grave / "damaged")
    shutil.rmtree(grave, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
