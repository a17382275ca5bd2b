"""Choose image files and their labels: read a data set, split it, keep calibration and evaluation apart.

Looks at names only; what label files hold is read by `images.labels`. Decoding and preprocessing happen in a
child, elsewhere; no runtime is imported here.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from perftool.errors import InputError
from perftool.images.labels import WITH_BACKGROUND, read_labels
from perftool.spec import Builtin, Geometry, ImageFiles, Images, Profile, SyntheticImages

#: The label files that are taken from a data set's own folder when none is named.
LABELS = ("val.txt", "labels.csv")

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_NAMED = 3


def read_dataset(
    directory: str | Path, labels: str | Path | None = None, geometry: Geometry = "central-crop"
) -> ImageFiles:
    """Read a data set: what a label file lists, a folder per class, or all images of the folder, unlabelled.

    A label file is Caffe-style or CSV, its files relative to the folder. Without `labels` the folder's own
    val.txt or labels.csv is taken; without these, its sub-folders with images are its classes; without such,
    it holds unlabelled images. Listed files that are not there are counted. Raises InputError, with file and
    line, for faults in a label file, for a folder that could be read in two ways, and where nothing is there.
    """
    folder = _folder(directory)
    if labels is None:
        own = [name for name in LABELS if (folder / name).is_file()]
        if len(own) > 1:
            raise InputError(
                f"{folder}: holds {' and '.join(own)}: name the one to read by --labels, or take one away"
            )
        if not own:
            return replace(_unlisted(folder), geometry=geometry)
        labels = folder / own[0]
    return replace(_listed(folder, Path(labels)), geometry=geometry)


def split(files: ImageFiles, calibration: int, evaluation: int, seed: int) -> tuple[ImageFiles, ImageFiles]:
    """Split a data set into images that calibrate and images that evaluate, which share none.

    `calibration` is met exactly, `evaluation` at the most. The choice depends on the seed and the files'
    names alone, and is the same on every machine. Missing files are counted on the evaluation's side alone.
    Raises InputError when nothing would be left to evaluate.
    """
    if len(files.files) < calibration + 1:
        raise InputError(
            f"{files.directory}: holds {_count(files.files, 'image')}, and {calibration} are to calibrate, "
            "which leaves none to evaluate: add images, calibrate with fewer, or name a calibration folder"
        )
    drawn = _drawn(files, seed)
    return (
        replace(_taken(files, drawn[:calibration]), missing=0),
        _taken(files, drawn[calibration : calibration + evaluation]),
    )


def draw(files: ImageFiles, count: int, seed: int) -> ImageFiles:
    """Draw at most `count` images of a data set by a seed, the same on every machine; `missing` stays."""
    return _taken(files, _drawn(files, seed)[:count])


def names(images: Images) -> tuple[str, ...]:
    """Name every image of a set."""
    if isinstance(images, ImageFiles):
        return images.files
    return tuple(f"{images.part} image {index}" for index in images.indices)


def picked(images: Images, positions: Sequence[int]) -> Images:
    """Return the images of a set at some positions, one at least."""
    if isinstance(images, ImageFiles):
        return _taken(images, positions)
    chosen = tuple(images.indices[position] for position in positions)
    return replace(images, count=len(chosen), chosen=chosen)


def images_for(profile: Profile) -> tuple[Images, Images]:
    """Return a profile's calibration and evaluation images, which share none.

    A calibration folder may be a data set of any form; its labels calibrate nothing. Where no precision is
    quantized nothing calibrates, and all images may evaluate. Raises InputError when a data set cannot be
    read, is too small, or shares a file with the calibration folder.
    """
    source = profile.images
    if isinstance(source, Builtin):
        counts = profile.accuracy.synthetic
        return (
            SyntheticImages(part="calibration", count=counts.calibration),
            SyntheticImages(part="evaluation", count=counts.evaluation),
        )
    counts = profile.accuracy.dataset
    files = read_dataset(source.directory, source.labels, source.geometry)
    if not any("INT8" in grid.precisions for grid in profile.grids):
        return replace(files, files=(), labels=(), missing=0), draw(files, counts.evaluation, profile.seed)
    if source.calibration is None:
        return split(files, counts.calibration, counts.evaluation, profile.seed)
    calibration = replace(
        read_dataset(source.calibration, geometry=source.geometry), labels=(), classes=None, missing=0
    )
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


def _listed(folder: Path, path: Path) -> ImageFiles:
    """Read what a label file lists and the folder has, and count what it lists and the folder has not."""
    named = read_labels(path)
    there = {name: label for name, label in named.items() if os.path.isfile(os.path.join(folder, name))}
    if not there:
        absent = _count(named, "listed image")
        raise InputError(f"{path}: {absent} not in {folder}: {_first(tuple(named))}")
    return ImageFiles(
        directory=str(folder),
        files=tuple(there),
        labels=tuple(there.values()),
        classes=_counting_background(named.values()),
        missing=len(named) - len(there),
    )


def _unlisted(folder: Path) -> ImageFiles:
    """Read a folder without a label file: a folder per class, or unlabelled images."""
    names, folders = _content(folder)
    classes = {name: _content(folder / name)[0] for name in folders}
    if names and any(classes.values()):
        first = next(name for name in folders if classes[name])
        raise InputError(
            f"{folder}: holds images ({names[0]}) beside folders of images ({first}): list what is meant in "
            "a label file and name it by --labels, or keep them apart"
        )
    if any(classes.values()):
        return _by_class(folder, classes)
    if not names:
        raise InputError(f"{folder}: holds no images ({', '.join(sorted(SUFFIXES))})")
    return ImageFiles(directory=str(folder), files=names, labels=())


def _by_class(folder: Path, classes: dict[str, tuple[str, ...]]) -> ImageFiles:
    """Label the images of each class's folder, in sorted order, by its name or its place.

    Folders that are all named by whole numbers are named by their class index, and say nothing of how many
    classes there are. Any others are the classes, in the order of their names, those without images too.
    """
    indexed = all(name.isascii() and name.isdigit() for name in classes)
    index = {name: int(name) if indexed else at for at, name in enumerate(sorted(classes))}
    if len(set(index.values())) < len(index):
        same = next(name for name in sorted(index) if list(index.values()).count(index[name]) > 1)
        raise InputError(f"{folder}: more than one folder is of class {index[same]}: keep one of them")
    pairs = [(os.path.join(name, image), index[name]) for name in sorted(classes) for image in classes[name]]
    return ImageFiles(
        directory=str(folder),
        files=tuple(name for name, _ in pairs),
        labels=tuple(label for _, label in pairs),
        classes=_counting_background(index.values()) if indexed else len(classes),
    )


def class_names(directory: str | Path) -> tuple[str, ...]:
    """Return the classes of a data set that has a folder named after each, in their order; else none.

    A folder that is not there any more names nothing, nor do folders that are named by class indices.
    """
    folder = Path(directory)
    if not folder.is_dir() or any((folder / name).is_file() for name in LABELS):
        return ()
    names, folders = _content(folder)
    indexed = all(name.isascii() and name.isdigit() for name in folders)
    return () if names or indexed else folders


def _counting_background(labels: Iterable[int]) -> int | None:
    """Return 1001 where labels that give class indices reach 1000, and None where they do not.

    Such labels do not say how many classes there are: a few of ImageNet's may be all. But the largest tells
    which of ImageNet's two numberings they follow, and a part that is drawn later may lack it.
    """
    return WITH_BACKGROUND if max(labels) == WITH_BACKGROUND - 1 else None


def _content(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a folder's images, by their suffix, and its sub-folders but hidden ones; both sorted."""
    names, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if not entry.name.startswith("."):
                        folders.append(entry.name)
                elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                    names.append(entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None
    return tuple(sorted(names)), tuple(sorted(folders))


def _drawn(files: ImageFiles, seed: int) -> list[int]:
    """Return the files' indices in random order, by a hash: no generator is the same everywhere for ever."""
    keys = [
        hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogateescape")).digest() for name in files.files
    ]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _taken(files: ImageFiles, indices: Sequence[int]) -> ImageFiles:
    return replace(
        files,
        files=tuple(files.files[index] for index in indices),
        labels=tuple(files.labels[index] for index in indices) if files.labels else (),
    )


def _refuse_shared(calibration: ImageFiles, evaluation: ImageFiles) -> None:
    """Refuse a calibration folder that holds, by whatever path or link, a file of the data set."""
    evaluated = set(_identities(evaluation))
    shared = [
        name
        for name, identity in zip(calibration.files, _identities(calibration), strict=True)
        if identity in evaluated
    ]
    if shared:
        raise InputError(
            f"{calibration.directory}: {_count(shared, 'image')} of the data set must not calibrate it too: "
            f"{_first(shared)}"
        )


def _identities(files: ImageFiles) -> list[tuple[int, int] | str]:
    """Return what a file is known by whatever its path: device and inode; its path where it is not there."""
    found: list[tuple[int, int] | str] = []
    for name in files.files:
        path = os.path.join(files.directory, name)
        try:
            status = os.stat(path)
        except OSError:
            found.append(path)
        else:
            found.append((status.st_dev, status.st_ino))
    return found


def _count(things: Collection[str], noun: str) -> str:
    return f"{len(things)} {noun}" + ("" if len(things) == 1 else "s")


def _first(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
