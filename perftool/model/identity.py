"""Say which model a source names and what it is made from, by content.

Runtime-free: the parent process asks here, before any child runs. Nothing is parsed, so a file that is no
model has an identity too; `model.sources` finds that out. Nothing is fetched either: what was is looked up.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Final, get_args

import msgspec

from perftool.errors import InputError, UsageError
from perftool.journal import JOURNAL, ModelIdentity
from perftool.model.inception.checkpoint import checkpoint_name
from perftool.published.catalogue import known, names
from perftool.published.fetched import fetched_name, fetched_weights, is_published
from perftool.spec import Feeding, ModelFile, ModelSource, Precision, ReferenceModel, WeightedModel

#: Models that perftool builds itself.
BUILT_IN: Final = ("googlenet-v4-tf",)

#: Endings of the model files that OpenVINO reads.
MODEL_SUFFIXES: Final = (
    *(".xml", ".onnx", ".tflite", ".pb", ".pbtxt", ".pdmodel", ".json", ".meta", ".saved_model"),
)

#: What `--weights` says for the reference weights, where fetched ones would be taken.
REFERENCE: Final = "reference"

#: Endings of what frameworks save in training, which nothing here reads.
_TRAINED: Final = (".pt", ".pth", ".safetensors", ".h5", ".keras", ".pkl")

#: What a TensorFlow checkpoint's names end in: V1's one file or V2's prefix, and V2's table of contents.
_CHECKPOINT: Final = ".ckpt"
_INDEX: Final = ".index"

#: History of the reference weights' recipe. Raise it when the code that makes them changes what it makes;
#: the package data that they are made from counts by itself. 1: the first.
REFERENCE_RECIPE: Final = 1

_DATA: Final = "data"

#: The part of a model file's content that is no file: how it is fed.
_FEEDING: Final = "feeding"


def parse_source(text: str, weights: str | None = None) -> ModelSource:
    """Read a model as a command line or a profile names it.

    A name without a path separator and without a model file's ending is a built-in model: with its published
    weights where they were fetched (`published.fetched`), or else its reference weights, which `weights`
    "reference" asks for; any other `weights` are an .npz or a TensorFlow checkpoint of the user's. Such a
    checkpoint instead of a name is the built-in model with it. The name of a known model that perftool does
    not build is its fetched file, fed as the catalogue says. Anything else is a path. Paths are made
    absolute, so that a run can be resumed from any folder. Raises InputError for an unknown name, and for one
    whose files are damaged or not fetched, UsageError for weights of a file.
    """
    checkpoint = text not in (*BUILT_IN, *names()) and _is_checkpoint(Path(text))
    if checkpoint or _is_path(text):
        if weights is not None:
            raise UsageError(
                f"--weights go with a built-in model ({', '.join(BUILT_IN)}), not with a file: {text}"
            )
        if checkpoint:
            return WeightedModel(name=BUILT_IN[0], weights=_weights_path(text))
        _check_no_other(Path(text))
        return ModelFile(path=_absolute(text))
    if text in names() and text not in BUILT_IN:
        return _fetched_file(text, weights)
    check_name(text)
    if weights not in (None, REFERENCE):
        return WeightedModel(name=text, weights=_weights_path(weights))
    try:
        fetched = fetched_weights(text) if weights is None else None
    except InputError as error:
        raise InputError(f"{error}, or name --weights {REFERENCE}") from None
    if fetched is None:
        return ReferenceModel(name=text)
    return WeightedModel(name=text, weights=_weights_path(str(fetched)))


def _fetched_file(name: str, weights: str | None) -> ModelFile:
    """Return the fetched model file of a known model, fed as the catalogue says."""
    model = known(name)
    if weights is not None:
        raise UsageError(f"--weights go with a built-in model ({', '.join(BUILT_IN)}), not with {name}")
    if Path(model.archive.weights).suffix.lower() not in MODEL_SUFFIXES:
        raise InputError(
            f"perftool does not build {name}, and {model.archive.weights} in its archive is no model file "
            f"({', '.join(MODEL_SUFFIXES)})"
        )
    fetched = fetched_weights(name)
    if fetched is None:
        raise InputError(f"{name} was not fetched yet: perftool model fetch {name}")
    return ModelFile(path=_absolute(str(fetched)), feeding=model.feeding)


def weights_said(source: ModelSource) -> str:
    """Say, in a few words, which weights a model has that perftool builds; "" for a model file."""
    match source:
        case ReferenceModel():
            return "reference weights"
        case WeightedModel():
            is_fetched = fetched_name(source.weights) == source.name
            return "the fetched weights" if is_fetched else f"weights of {Path(source.weights).name}"
        case ModelFile():
            return ""


def _is_path(text: str) -> bool:
    separators = {os.sep, os.altsep or os.sep}
    return any(mark in text for mark in separators) or Path(text).suffix.lower() in MODEL_SUFFIXES


def _is_checkpoint(path: Path) -> bool:
    """Tell whether a path names a TensorFlow checkpoint, by its ending or by what lies beside it.

    A model file is what its ending says, whatever lies beside it: a graph (.meta) lies beside its checkpoint.
    """
    if path.is_dir() or path.suffix.lower() in MODEL_SUFFIXES:
        return False
    return path.suffix.lower() in (_CHECKPOINT, _INDEX) or checkpoint_name(path) is not None


def _weights_path(text: str) -> str:
    """Return a weights file's absolute path, of a checkpoint of several files their prefix."""
    path = Path(_absolute(text))
    return str(checkpoint_name(path) or path).removesuffix(_INDEX)


def model_name(source: ModelSource) -> str:
    """Name a model in a sentence: its path, or the name that it is known by."""
    return source.path if isinstance(source, ModelFile) else source.name


def check_name(name: str) -> None:
    """Raise InputError, with the known names, unless perftool builds a model of this name."""
    if name in BUILT_IN:
        return
    path = Path(name)
    _check_no_other(path)
    if path.is_file():
        raise InputError(f"{name}: is no model file ({', '.join(MODEL_SUFFIXES)}) and no checkpoint")
    hint = ""
    if name and path.is_dir():
        hint = f"; for a folder of that name write .{os.sep}{name}"
    elif name.isdecimal() or name.upper() in get_args(Precision):
        hint = "; several values of an option are one word, with commas: --batch 1,2"
    raise InputError(f"unknown model {name!r}; perftool builds {', '.join(BUILT_IN)}{hint}")


def _check_no_other(path: Path) -> None:
    """Raise InputError for what is often taken for a model file: a run, what training saves."""
    if path.suffix.lower() in _TRAINED:
        raise InputError(f"{path}: is a training framework's file, not a model's graph; export it to ONNX")
    if (path / JOURNAL).is_file():
        raise InputError(f"{path}: is a run, not a model; perftool show {path} shows it")


def identity(source: ModelSource) -> ModelIdentity:
    """Return a model's name and the SHA-256 of what it is made from.

    That is the package data and recipe for reference weights; for given ones the file, or a checkpoint's
    .index and all its shards; for a model file that with its companions (an IR's .bin, a Paddle model's
    parameters, ONNX external data beside it) or the whole folder of a SavedModel, and how it is fed where
    that was said. File names do not count, contents do. Given weights are published if each of their files
    is, by SHA-256, what a fetch recorded; so is a fetched model file. Raises InputError for what is missing.
    """
    name, parts = _name_and_parts(source)
    hashed = [(label, _sha256(chunks)) for label, chunks in parts]
    return ModelIdentity(
        name=name,
        source=source,
        digest=_digest(hashed),
        reference=isinstance(source, ReferenceModel),
        published=not isinstance(source, ReferenceModel)
        and is_published(name, [found for label, found in hashed if label != _FEEDING]),
    )


Part = tuple[str, Iterable[bytes]]


def _name_and_parts(source: ModelSource) -> tuple[str, Iterable[Part]]:
    if isinstance(source, ModelFile):
        path = Path(source.path)
        name = fetched_name(path) or path.stem or path.name
        return name, chain(_file_parts(path), _feeding_parts(source.feeding))
    check_name(source.name)
    if isinstance(source, WeightedModel):
        return source.name, _weights_parts(source.name, Path(source.weights))
    return source.name, _reference_parts(source.name)


def _sha256(chunks: Iterable[bytes]) -> str:
    part = hashlib.sha256()
    for chunk in chunks:
        part.update(chunk)
    return part.hexdigest()


def _digest(hashed: Iterable[tuple[str, str]]) -> str:
    """Hash the parts' hashes one after the other; labels keep them from running into each other."""
    whole = hashlib.sha256()
    for label, found in hashed:
        whole.update(f"{label}:{found}\n".encode())
    return whole.hexdigest()


def _feeding_parts(feeding: Feeding) -> Iterator[Part]:
    """Count how a file is fed, where that is said: a file with it built in is another model."""
    if feeding != Feeding():
        yield _FEEDING, (msgspec.json.encode(feeding),)


def _weights_parts(name: str, path: Path) -> list[Part]:
    return [
        (name if number == 0 else f"{name} {number}", _chunks(file))
        for number, file in enumerate(weights_files(path))
    ]


def weights_files(path: Path) -> tuple[Path, ...]:
    """Return the files that weights are read from: one, or a V2 checkpoint's .index and its shards in order.

    A V2 checkpoint is named by its prefix or its .index; where a file has the prefix's own name too,
    TensorFlow reads the V2 one, and so that counts. Raises InputError for a shard that is missing.
    """
    if path.is_dir():
        raise InputError(
            f"{path}: a folder, not weights; name the checkpoint in it, e.g. {path}{os.sep}x.ckpt"
        )
    prefix = path.with_name(path.name.removesuffix(_INDEX))
    index = prefix.with_name(prefix.name + _INDEX)
    if path.suffix.lower() == ".npz" or not index.is_file():
        return (path,)
    shards = _shards(prefix)
    if not shards:
        raise InputError(f"{prefix}: a checkpoint's .index without all of its .data- files beside it")
    return (index, *shards)


def _shards(prefix: Path) -> list[Path]:
    """Return the data files of a V2 checkpoint that are there as a whole set, x of n for every x."""
    pattern = re.compile(re.escape(prefix.name) + r"\.data-\d{5}-of-(\d{5})")
    found = [
        (match.group(), int(match[1]))
        for file in prefix.parent.iterdir()
        if (match := pattern.fullmatch(file.name))
    ]
    counts = Counter(total for _, total in found)
    return [prefix.with_name(name) for name, total in sorted(found) if counts[total] == total]


def _reference_parts(name: str) -> Iterator[Part]:
    yield f"{name} recipe {REFERENCE_RECIPE}", ()
    folder = resources.files("perftool.model").joinpath(_DATA)
    if folder.is_dir():
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if file.is_file() and not file.name.endswith(".py"):
                yield file.name, (file.read_bytes(),)


def _file_parts(path: Path) -> Iterator[Part]:
    if path.is_dir():
        members = sorted(member for member in path.rglob("*") if member.is_file())
        if not members:
            raise InputError(f"{path}: an empty folder, not a model")
        for member in members:
            yield member.relative_to(path).as_posix(), _chunks(member)
        return
    yield path.suffix.lower(), _chunks(path)
    for companion in companions(path):
        if companion.is_file():
            yield companion.name.removeprefix(path.stem), _chunks(companion)


def companions(path: Path) -> tuple[Path, ...]:
    """Return the paths where a model file's other halves would lie, there or not.

    ONNX names its external data freely; only the customary names are looked for.
    """
    stem = path.with_suffix("")
    match path.suffix.lower():
        case ".xml":
            endings: tuple[str, ...] = (".bin",)
        case ".pdmodel" | ".json":
            endings = (".pdiparams",)
        case ".meta":
            endings = (".index", ".data-00000-of-00001")
        case ".onnx":
            endings = (".onnx.data", ".onnx_data", ".data", ".weights")
        case _:
            endings = ()
    return tuple(stem.with_name(stem.name + ending) for ending in endings)


def _chunks(path: Path) -> Iterator[bytes]:
    """Read a file piece by piece; raise InputError where it cannot be."""
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                yield chunk
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _absolute(text: str) -> str:
    return os.path.abspath(os.path.expanduser(text))
