"""Keep what an evaluation has found, image by image, so that one that is stopped goes on where it was.

    cache/<key>.jsonl    a line for each image, in the set's order

The key covers everything that the classes depend on, so what is kept never goes stale, only unused. Runs in a
child process, which may be killed at any time: a torn last line is dropped.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from filelock import FileLock, Timeout
from msgspec import Struct

from perftool.bench import host
from perftool.errors import InputError, PerftoolError
from perftool.job import Evaluate

#: History of what is kept. Raise it when the same ingredients shall give other lines. 1: the first.
RECIPE: Final = 1


class Seen(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one image came to: its likeliest classes, none where it could not be read, and what was odd."""

    top: tuple[int, ...]
    found: tuple[str, ...]


def key(job: Evaluate, images: str, hardware: str) -> str:
    """Return the SHA-256 of all that an evaluation's classes depend on.

    `images` is the digest of the set, `hardware` names what the device is, driver included.
    """
    here = host.identity()
    whole = hashlib.sha256()
    for path in (Path(job.model_path), Path(job.model_path).with_suffix(".bin")):
        try:
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    versions = [version(name) for name in ("openvino", "opencv-python-headless", "pillow")]
    said = (RECIPE, job.device, hardware, job.setting, images, versions, here.cpu, here.isa)
    whole.update(msgspec.json.encode(said))
    return whole.hexdigest()


class Kept:
    """The images of one evaluation that are done, in order: read at the start, added to as more are."""

    def __init__(self, seen: list[Seen], file: BinaryIO | None) -> None:
        self.seen = seen
        self._file = file
        self._encoder = msgspec.json.Encoder()

    def add(self, more: list[Seen]) -> None:
        """Add images, in order."""
        self.seen.extend(more)
        if self._file is not None:
            self._file.write(b"".join(self._encoder.encode(one) + b"\n" for one in more))
            self._file.flush()


@contextmanager
def kept(cache: Path, name: str) -> Iterator[Kept]:
    """Open what is kept under a key; while another process evaluates the same, nothing is kept.

    Raises PerftoolError where the cache cannot be written.
    """
    path = cache / f"{name}.jsonl"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=0), path.open("a+b") as file:
            file.seek(0)
            seen, whole = _read(file.read())
            file.truncate(whole)
            yield Kept(seen, file)
    except Timeout:
        yield Kept([], None)
    except OSError as error:
        raise PerftoolError(f"{path}: cannot be written: {error.strerror or error}") from error


def _read(content: bytes) -> tuple[list[Seen], int]:
    """Return the whole lines, up to the first that is not one, and how many bytes they take."""
    seen: list[Seen] = []
    whole = 0
    decoder = msgspec.json.Decoder(Seen)
    for line in content.splitlines(keepends=True):
        try:
            one = decoder.decode(line)
        except msgspec.DecodeError:
            break
        if not line.endswith(b"\n"):
            break
        seen.append(one)
        whole += len(line)
    return seen, whole
