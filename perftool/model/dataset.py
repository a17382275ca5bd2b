"""Choose image files and their labels: read a data set, split it, keep calibration and evaluation apart.

Looks at names only. Decoding and preprocessing happen in a child, elsewhere; no runtime is imported here.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from perftool.errors import InputError
from perftool.spec import Builtin, ImageFiles, Images, Profile, SyntheticImages

#: The label file that is taken from a data set's own folder when none is named.
LABELS = "val.txt"

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_NAMED = 3


def read_dataset(directory: str | Path, labels: str | Path | None = None) -> ImageFiles:
    """Read a data set: the files that a label file lists, or all images of the folder, unlabelled.

    A label file is Caffe-style, `file index` per line, the file relative to the folder. Without `labels`
    the folder's own val.txt is taken; without that, its images by suffix, sorted, and
    none of the folders below. Raises InputError with file and line.
    """
    folder = _folder(directory)
    own = folder / LABELS
    if labels is None and not own.is_file():
        return ImageFiles(directory=str(folder), files=_listed(folder), labels=())
    path = own if labels is None else Path(labels)
    named = _labelled(path)
    absent = [name for name in named if not (folder / name).is_file()]
    if absent:
        raise InputError(f"{path}: {_count(absent, 'listed image')} not in {folder}: {_first(absent)}")
    return ImageFiles(directory=str(folder), files=tuple(named), labels=tuple(named.values()))


def split(files: ImageFiles, calibration: int, evaluation: int, seed: int) -> tuple[ImageFiles, ImageFiles]:
    """Split a data set into images that calibrate and images that evaluate, which share none.

    `calibration` is met exactly, `evaluation` at the most. The choice depends on the seed and the files'
    names alone, and is the same on every machine. Raises InputError when nothing would be left to evaluate.
    """
    if len(files.files) < calibration + 1:
        raise InputError(
            f"{files.directory}: holds {_count(files.files, 'image')}, and {calibration} are to calibrate, "
            "which leaves none to evaluate: add images, calibrate with fewer, or name a calibration folder"
        )
    drawn = _drawn(files, seed)
    return _taken(files, drawn[:calibration]), _taken(files, drawn[calibration : calibration + evaluation])


def draw(files: ImageFiles, count: int, seed: int) -> ImageFiles:
    """Draw at most `count` images of a data set by a seed, the same on every machine."""
    return _taken(files, _drawn(files, seed)[:count])


def images_for(profile: Profile) -> tuple[Images, Images]:
    """Return a profile's calibration and evaluation images, which share none.

    Raises InputError when the data set cannot be read, is too small, or shares a file with the calibration
    folder.
    """
    source = profile.images
    if isinstance(source, Builtin):
        counts = profile.accuracy.synthetic
        return (
            SyntheticImages(part="calibration", count=counts.calibration),
            SyntheticImages(part="evaluation", count=counts.evaluation),
        )
    counts = profile.accuracy.dataset
    files = read_dataset(source.directory, source.labels)
    if source.calibration is None:
        return split(files, counts.calibration, counts.evaluation, profile.seed)
    folder = _folder(source.calibration)
    calibration = ImageFiles(directory=str(folder), files=_listed(folder), labels=())
    _refuse_shared(calibration, files)
    return (
        draw(calibration, counts.calibration, profile.seed),
        draw(files, counts.evaluation, profile.seed),
    )


def _folder(directory: str | Path) -> Path:
    """Return a folder by its full path, so that a child with another working directory finds it."""
    folder = Path(os.path.abspath(directory))
    if not folder.is_dir():
        raise InputError(f"{directory}: no such folder of images")
    return folder


def _listed(folder: Path) -> tuple[str, ...]:
    """Return the images of a folder by their suffix, sorted by name."""
    try:
        names = [entry.name for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None
    if not names:
        raise InputError(f"{folder}: holds no images ({', '.join(sorted(SUFFIXES))})")
    return tuple(sorted(names))


def _labelled(path: Path) -> dict[str, int]:
    """Return what a label file says: the class of each file, in its order."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a label file: not text in UTF-8") from None
    named: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, label = _label(line, f"{path}: line {number}")
        if name in named:
            raise InputError(f"{path}: line {number}: {name} is listed twice")
        named[name] = label
    if not named:
        raise InputError(f"{path}: lists no images")
    return named


def _label(line: str, where: str) -> tuple[str, int]:
    """Read `file index`. A file's name may hold blanks; the index is what follows the last one."""
    parts = line.strip().rsplit(maxsplit=1)
    try:
        name, label = os.path.normpath(parts[0]), int(parts[1])
    except (IndexError, ValueError):
        raise InputError(f'{where}: expected "file index", got "{line.strip()[:60]}"') from None
    if label < 0:
        raise InputError(f"{where}: expected a class index >= 0, got {label}")
    return name, label


def _drawn(files: ImageFiles, seed: int) -> list[int]:
    """Return the files' indices in random order, by a hash: no generator is the same everywhere for ever."""
    keys = [
        hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogateescape")).digest() for name in files.files
    ]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _taken(files: ImageFiles, indices: Sequence[int]) -> ImageFiles:
    return ImageFiles(
        directory=files.directory,
        files=tuple(files.files[index] for index in indices),
        labels=tuple(files.labels[index] for index in indices) if files.labels else (),
    )


def _refuse_shared(calibration: ImageFiles, evaluation: ImageFiles) -> None:
    """Refuse a calibration folder that holds, by whatever path or link, a file of the data set."""
    evaluated = {os.path.realpath(os.path.join(evaluation.directory, name)) for name in evaluation.files}
    shared = [
        name
        for name in calibration.files
        if os.path.realpath(os.path.join(calibration.directory, name)) in evaluated
    ]
    if shared:
        raise InputError(
            f"{calibration.directory}: {_count(shared, 'image')} of the data set must not calibrate it too: "
            f"{_first(shared)}"
        )


def _count(things: Sequence[str], noun: str) -> str:
    return f"{len(things)} {noun}" + ("" if len(things) == 1 else "s")


def _first(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
