"""Read label files, and settle which of a model's classes a label means.

A label is a number that somebody else gave: from 0 as ImageNet's label files count, or with a background
class before them as models of 1001 classes count. What is meant is settled by what the labels and the model
say, and put into a sentence; where the two contradict each other that is an error. Runtime-free.
"""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from perftool.errors import InputError
from perftool.spec import ImageFiles, Images

#: ImageNet's 1000 classes with a background class before them.
WITH_BACKGROUND: Final = 1001

FILE_COLUMNS: Final = ("file", "filename", "image", "path")
CLASS_COLUMNS: Final = ("class", "label", "index")

_SHOWN: Final = 60
#: No data set numbers its classes with more digits, and Python converts only so many.
_DIGITS: Final = 9


# ---------------------------------------------------------------- label files


def read_labels(path: Path) -> dict[str, int]:
    """Return what a label file says: the class of each file, in its order, the files' paths normalized.

    A name that ends in .csv is read as CSV, with a header that names the columns, or two columns without one;
    any other as Caffe's `file index` per line. Raises InputError with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a label file: not text in UTF-8") from None
    rows = _csv_rows(text, path) if path.suffix.lower() == ".csv" else _caffe_rows(text, path)
    named: dict[str, int] = {}
    for number, name, label in rows:
        index = _index(label, path, number)
        name = os.path.normpath(name)
        if name in named:
            raise InputError(f"{path}: line {number}: {name} is listed twice")
        named[name] = index
    if not named:
        raise InputError(f"{path}: lists no images")
    return named


def _caffe_rows(text: str, path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and label. A name may hold blanks; the label is what follows the last one."""
    for number, line in enumerate(text.splitlines(), start=1):
        parts = line.strip().rsplit(maxsplit=1)
        if not parts:
            continue
        if len(parts) < 2 or not _whole(parts[1]):
            shown = line.strip()[:_SHOWN]
            raise InputError(f'{path}: line {number}: expected "file index", got "{shown}"')
        yield number, parts[0], parts[1]


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and label of CSV's rows but empty ones."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: tuple[int, int] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns, is_header = _columns(row, path, reader.line_num)
                if is_header:
                    continue
            if max(columns) >= len(row) or not row[columns[0]].strip():
                said = ",".join(row)[:_SHOWN]
                raise InputError(f'{path}: line {reader.line_num}: expected a file and a class, got "{said}"')
            yield reader.line_num, row[columns[0]].strip(), row[columns[1]].strip()
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: not CSV: {error}") from None


def _columns(row: Sequence[str], path: Path, line: int) -> tuple[tuple[int, int], bool]:
    """Return which columns hold file and class, by the first row, and whether that is a header."""
    cells = [cell.strip().lower() for cell in row]
    files = [at for at, cell in enumerate(cells) if cell in FILE_COLUMNS]
    classes = [at for at, cell in enumerate(cells) if cell in CLASS_COLUMNS]
    if len(files) == 1 and len(classes) == 1:
        return (files[0], classes[0]), True
    if not files and not classes and len(row) == 2 and _whole(cells[1]):
        return (0, 1), False
    for found, meaning in ((files, "the file"), (classes, "the class")):
        if len(found) > 1:
            named = ", ".join(cells[at] for at in found)
            raise InputError(f"{path}: line {line}: more than one column names {meaning}: {named}")
    raise InputError(
        f"{path}: line {line}: expected a header with a column for the file ({', '.join(FILE_COLUMNS)}) and "
        f"one for the class ({', '.join(CLASS_COLUMNS)}), or two columns, file and class index; "
        f'got "{",".join(row)[:_SHOWN]}"'
    )


def _whole(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit()


def _index(label: str, path: Path, line: int) -> int:
    if not _whole(label) or label.startswith("-"):
        raise InputError(f"{path}: line {line}: expected a class index >= 0, got {label[:_SHOWN]}")
    if len(label) > _DIGITS:
        raise InputError(
            f"{path}: line {line}: a class index has at most {_DIGITS} digits, got {label[:_SHOWN]}"
        )
    return int(label)


# ---------------------------------------------------------------- labels for a model


class Resolved(NamedTuple):
    """What is added to labels to get a model's classes, and why in a sentence; "" where nothing is to say."""

    offset: int
    explanation: str


class Numbered(NamedTuple):
    """The labels of a set as a model's classes, `offset` added already; empty where it is unlabelled."""

    labels: tuple[int, ...]
    offset: int
    explanation: str = ""


def numbered(images: Images, class_count: int) -> Numbered:
    """Return the labels of a set in the numbering of a model with so many classes; InputError as `resolve`.

    The built-in images are numbered with the background class as they are.
    """
    if isinstance(images, ImageFiles):
        labels, classes = images.labels, images.classes
    else:
        # Textures are drawn with numpy, which a parent that reads a data set does without.
        from perftool.images.textures import label_of

        labels, classes = tuple(label_of(index) for index in images.indices), WITH_BACKGROUND
    found = resolve(labels, classes, class_count)
    return Numbered(tuple(label + found.offset for label in labels), found.offset, found.explanation)


def resolve(labels: Sequence[int], classes_of_labels: int | None, class_count: int) -> Resolved:
    """Settle what to add to labels so that they are classes of a model with `class_count` of them.

    `classes_of_labels` is how many classes the labels number, None where they do not say. 1 is added where a
    model has 1001 classes and the labels do not reach 1000: its class 0 is the background, which label files
    do not count. Raises InputError where the labels number another count of classes than the model has, and
    for a label outside the classes.
    """
    if not labels:
        return Resolved(0, "")
    reaching = max(labels) == WITH_BACKGROUND - 1 or classes_of_labels == WITH_BACKGROUND
    offset = int(class_count == WITH_BACKGROUND and not reaching)
    if classes_of_labels is not None and classes_of_labels + offset != class_count:
        raise InputError(_mismatch(classes_of_labels, class_count))
    allowed = class_count - 1 - offset
    if max(labels) > allowed or min(labels) < 0:
        outside = max(labels) if max(labels) > allowed else min(labels)
        why = "; its class 0 is the background, and 1 is added to every label" if offset else ""
        raise InputError(
            f"label {outside} is outside 0..{allowed}: {allowed} is the largest that labels for a model of "
            f"{class_count} classes may hold{why}"
        )
    if offset:
        return Resolved(1, f"class 0 of {class_count} is the background: 1 was added to every label")
    if class_count == WITH_BACKGROUND:
        return Resolved(0, f"labels number {class_count} classes, background included: taken as they are")
    return Resolved(0, "")


def _mismatch(classes: int, class_count: int) -> str:
    """Say how many classes the labels should number."""
    wanted = f"{class_count}"
    if class_count == WITH_BACKGROUND:
        wanted = f"{class_count}, or {class_count - 1} without the background"
    return (
        f"the labels number {classes} classes, 0..{classes - 1}, and the model has {wanted}: with a folder "
        "per class, all of the model's classes need theirs, empty ones too, or each folder is named by its "
        "class index"
    )
