"""The models that perftool knows by name: where they are published, and how their files are recognised.

Reads catalogue.toml beside it, and before that the file that the environment variable PERFTOOL_CATALOGUE
names: its models come first, and one of a built-in model's name takes that one's place. Runtime-free; nothing
is fetched here (`published.fetch`), and what a name means as a model says `model.identity`.
"""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from perftool.errors import InputError
from perftool.spec import Count, Feeding, Geometry, Positive

#: The environment variable that names a catalogue of the user's.
VARIABLE: Final = "PERFTOOL_CATALOGUE"

#: The file of the built-in catalogue.
BUILT_IN_FILE: Final = Path(__file__).with_name("catalogue.toml")

#: A name is also a folder's, so it holds nothing that could lead out of one.
_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_Url = Annotated[str, Meta(pattern=r"^https?://[^/?#]+/[^?#]*[^/?#]$")]
_Sha384 = Annotated[str, Meta(pattern=r"^[0-9a-f]{96}$")]
_Percent = Annotated[float, Meta(ge=0, le=100)]


class Archive(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A .tar.gz on the net. `urls` are in the order in which they are tried, the publisher's own first.

    `weights` is the file in it that holds the weights, or the prefix of a checkpoint of several files.
    """

    urls: Annotated[tuple[_Url, ...], Meta(min_length=1)]
    bytes: Count
    sha384: _Sha384
    weights: str

    @property
    def file_name(self) -> str:
        """Return the name that the archive is published under."""
        return self.urls[0].rpartition("/")[2]


class Published(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The accuracy that a model was published with, in percent of the images of a data set."""

    top1: _Percent
    top5: _Percent
    images: Count
    dataset: str


class Original(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The convention that a model was trained in: its ports' names, and how it wants its images.

    `shape` is that of the input at batch 1; an image is fed as (x - mean) / scale, x from 0 to 255.
    """

    input: str
    shape: tuple[Count, ...]
    output: str
    layout: Literal["NCHW", "NHWC"]
    color: Literal["BGR", "RGB"]
    mean: float
    scale: Positive


class Known(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A known model. `page` is where it is described, `geometry` how images are cut for its figures."""

    name: _Name
    title: str
    licence: str
    page: str
    classes: Count
    geometry: Geometry
    archive: Archive
    published: Published
    original: Original

    @property
    def feeding(self) -> Feeding:
        """Return how a file in the original convention wants its images; its shape the file says itself.

        A mean of 0 and a scale of 1 are left out: a file may take pixels, which nothing is taken from.
        """
        own = self.original
        return Feeding(
            mean=(own.mean,) if own.mean else (),
            scale=(own.scale,) if own.scale != 1 else (),
            color=own.color,
            layout=own.layout,
        )


class Catalogue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A catalogue file, whole."""

    models: tuple[Known, ...]


def known(name: str) -> Known:
    """Return a known model; raise InputError with the known names for any other."""
    for model in _read():
        if model.name == name:
            return model
    raise InputError(f"unknown model {name!r}; known are {', '.join(names()) or 'none'}")


def names() -> tuple[str, ...]:
    """Return the names of all known models, the user's first."""
    return tuple(model.name for model in _read())


def recognise(input_name: str, shape: tuple[int, ...], output_name: str) -> Known | None:
    """Return the known model whose original convention a file's ports are; None if there is none.

    `shape` is the input's, -1 where dynamic. Names may carry TensorFlow's ":0". Any batch will do, the rest
    of the shape must be the model's: a file of another size is another model.
    """
    ports = (input_name.removesuffix(":0"), tuple(shape[1:]), output_name.removesuffix(":0"))
    for model in _read():
        own = model.original
        if len(shape) == len(own.shape) and ports == (own.input, own.shape[1:], own.output):
            return model
    return None


def conventions_digest() -> str:
    """Return the SHA-256 of the conventions that `recognise` knows, in the order in which it tries them."""
    return hashlib.sha256(msgspec.json.encode([model.original for model in _read()])).hexdigest()


def _read() -> tuple[Known, ...]:
    """Read the user's catalogue and the built-in one behind it."""
    own = _models(Path(named)) if (named := os.environ.get(VARIABLE)) else ()
    taken = {model.name for model in own}
    return (*own, *(model for model in _models(BUILT_IN_FILE) if model.name not in taken))


def _models(path: Path) -> tuple[Known, ...]:
    """Read a catalogue file; raise InputError with the file and the field for one that is none."""
    try:
        models = msgspec.toml.decode(path.read_bytes(), type=Catalogue).models
    except OSError as error:
        raise InputError(f"{path}: the catalogue cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a catalogue of models: {error}") from None
    doubled = sorted({model.name for model in models if sum(m.name == model.name for m in models) > 1})
    if doubled:
        raise InputError(f"{path}: more than one model is named {', '.join(doubled)}")
    return models
