"""Say which model a source names and what it is made from, by content.

Runtime-free: the parent process asks here, before any child runs. Nothing is parsed, so a file that is no
model has an identity too; `model.sources` finds that out.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from perftool.errors import InputError, UsageError
from perftool.record import ModelIdentity
from perftool.spec import ModelFile, ModelSource, ReferenceModel, WeightedModel

#: Models that perftool builds itself.
BUILT_IN: Final = ("googlenet-v4-tf",)

#: Endings of the model files that OpenVINO reads.
MODEL_SUFFIXES: Final = (
    *(".xml", ".onnx", ".tflite", ".pb", ".pbtxt", ".pdmodel", ".json", ".meta", ".saved_model"),
)

#: History of the reference weights' recipe. Raise it when the code that makes them changes what it makes;
#: the package data that they are made from counts by itself. 1: the first.
REFERENCE_RECIPE: Final = 1

_DATA: Final = "data"


def parse_source(text: str, weights: str | None = None) -> ModelSource:
    """Read a model as a command line or a profile names it.

    A name without a path separator and without a model file's ending is a built-in model, which `weights`
    (an .npz) turns from the reference weights to the user's. Anything else is a path, made absolute so that
    a run can be resumed from any folder. Raises InputError for an unknown name, UsageError for weights of a
    model file.
    """
    separators = {os.sep, os.altsep or os.sep}
    is_path = any(mark in text for mark in separators) or Path(text).suffix.lower() in MODEL_SUFFIXES
    if is_path:
        if weights is not None:
            raise UsageError(
                f"--weights go with a built-in model ({', '.join(BUILT_IN)}), not with a file: {text}"
            )
        return ModelFile(path=_absolute(text))
    check_name(text)
    if weights is None:
        return ReferenceModel(name=text)
    return WeightedModel(name=text, weights=_absolute(weights))


def check_name(name: str) -> None:
    """Raise InputError, with the known names, unless perftool builds a model of this name."""
    if name not in BUILT_IN:
        hint = f"; for a folder of that name write .{os.sep}{name}" if name and Path(name).is_dir() else ""
        raise InputError(f"unknown model {name!r}; perftool builds {', '.join(BUILT_IN)}{hint}")


def identity(source: ModelSource) -> ModelIdentity:
    """Return a model's name and the SHA-256 of what it is made from.

    That is the package data and recipe for reference weights, the .npz for given ones, the file with its
    companions (an IR's .bin, a Paddle model's parameters, ONNX external data beside it) or the whole folder
    of a SavedModel. File names do not count, contents do. Raises InputError for what is missing.
    """
    if isinstance(source, ModelFile):
        path = Path(source.path)
        return ModelIdentity(
            name=path.stem or path.name,
            source=source,
            digest=_digest(_file_parts(path)),
            reference=False,
            published=False,
        )
    check_name(source.name)
    if isinstance(source, WeightedModel):
        parts = [(source.name, _chunks(Path(source.weights)))]
        return ModelIdentity(
            name=source.name, source=source, digest=_digest(parts), reference=False, published=False
        )
    return ModelIdentity(
        name=source.name,
        source=source,
        digest=_digest(_reference_parts(source.name)),
        reference=True,
        published=False,
    )


Part = tuple[str, Iterable[bytes]]


def _digest(parts: Iterable[Part]) -> str:
    """Hash parts one after the other; labels and lengths keep them from running into each other."""
    whole = hashlib.sha256()
    for label, chunks in parts:
        part = hashlib.sha256()
        for chunk in chunks:
            part.update(chunk)
        whole.update(f"{label}:{part.hexdigest()}\n".encode())
    return whole.hexdigest()


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
