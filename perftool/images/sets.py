"""Turn image sets into what a model reads: decode, crop, resize, lay out.

Image files are decoded to BGR (`images.decoding`) and cut to the model's size by one of three geometries:

    central-crop  the Open Model Zoo's for googlenet-v4-tf (its accuracy-check.yml): the central 0.875 of
                  height and width, resized
    resize-crop   torchvision's for its classifiers (transforms.functional, resize and center_crop): the
                  shorter side scaled to 256/224 of the model's, the centre cropped
    resize        the whole image, resized

All resize with OpenCV's INTER_LINEAR, without antialiasing. Pillow, which torchvision resizes with,
antialiases: its pixels are others, and so are the figures. The built-in images are made at the model's size
and are only resized where it differs.

perftool feeds 0..255, unnormalized: the converted convention, where normalization is inside the model.
Nothing here chooses images (`images.dataset`) or draws them (`images.textures`).
"""

import hashlib
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import cv2
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from perftool.errors import InputError
from perftool.images import decoding
from perftool.images.decoding import Decoded
from perftool.images.textures import CLASS_NAMES, draw_image
from perftool.spec import Geometry, ImageFiles, Images, SyntheticImages

Image = NDArray[np.uint8]
"""One image: height x width x 3, BGR."""

Layout = Literal["NCHW", "NHWC"]

CROP: Final = 0.875
"""What the central crop keeps of height and of width."""

SCALED: Final = (256, 224)
"""What resize-crop scales to, by what it keeps of that."""

DEFAULT_GEOMETRY: Final[Geometry] = "central-crop"

_THREADS_AT_MOST: Final = 8
_AHEAD_PER_THREAD: Final = 4
_PROGRESS_EVERY: Final = 256

Given = TypeVar("Given")
Made = TypeVar("Made")


# ---------------------------------------------------------------- image sets


def load_images(images: Images, size: tuple[int, int]) -> Iterator[Image]:
    """Yield the images of a set that can be read, in order, each of `size` (height, width).

    Raises InputError, naming the first, where none of them can.
    """
    return (image.pixels for image in decode_images(images, size) if image.pixels is not None)


def decode_images(images: Images, size: tuple[int, int], start: int = 0) -> Iterator[Decoded]:
    """Yield what every image of a set came to, in order from the one at `start` on, decoded ahead by threads.

    Pixels are of `size` (height, width), cut by the set's geometry; None where an image cannot be read.
    Raises InputError, naming the first, when a whole set has been gone through and none of it could be read.
    """
    # The threads below are the parallelism; OpenCV's own pool would only fight with the inference.
    cv2.setNumThreads(1)
    if isinstance(images, SyntheticImages):
        return _in_order(
            lambda index: Decoded(pixels=resize(_draw(images.part, index), size)), images.indices[start:]
        )
    folder = Path(images.directory)
    decoded = _in_order(lambda name: _read_whole(folder / name, size, images.geometry), images.files[start:])
    return decoded if start else _refusing_none(decoded, images)


def _refusing_none(decoded: Iterator[Decoded], images: ImageFiles) -> Iterator[Decoded]:
    """Pass a set's images on; raise InputError at its end if there were some and none could be read."""
    first, readable = None, False
    for image in decoded:
        first = first or image
        readable = readable or image.pixels is not None
        yield image
    if first and not readable:
        path = Path(images.directory) / images.files[0]
        others = f", as {len(images.files) - 1} more" if len(images.files) > 1 else ""
        raise InputError(f"{path}: {first.reason}{others}: no image of the set can be read")


def image_loaders(images: Images, size: tuple[int, int]) -> list[Callable[[], Image]]:
    """Return, for each image of a set that can be read, what an application does to get it.

    That is to read, decode, crop and resize. Built-in images have no files: they are held encoded as PNG, and
    decoded each time. Raises InputError, naming the first, where no image can be read.
    """
    cv2.setNumThreads(1)
    if isinstance(images, ImageFiles):
        folder = Path(images.directory)
        readable = [image.pixels is not None for image in decode_images(images, size)]
        return [
            partial(_load, folder / name, size, images.geometry)
            for name, wanted in zip(images.files, readable, strict=True)
            if wanted
        ]
    encoded = [cv2.imencode(".png", _draw(images.part, index))[1] for index in images.indices]
    return [partial(_decode_held, image, size) for image in encoded]


def _read_whole(path: Path, size: tuple[int, int], geometry: Geometry) -> Decoded:
    try:
        encoded = path.read_bytes()
    except FileNotFoundError:
        return Decoded(pixels=None, found=("missing",), reason="no such image")
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        return Decoded(pixels=None, found=("missing",), reason=reason)
    decoded = decoding.decode(encoded)
    if decoded.pixels is None:
        return decoded
    return structs.replace(decoded, pixels=preprocess(decoded.pixels, size, geometry))


def _load(path: Path, size: tuple[int, int], geometry: Geometry) -> Image:
    decoded = _read_whole(path, size, geometry)
    if decoded.pixels is None:
        raise InputError(f"{path}: {decoded.reason}")
    return decoded.pixels


def _decode_held(encoded: NDArray[np.uint8], size: tuple[int, int]) -> Image:
    return resize(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8), size)


def image_count(images: Images) -> int:
    """Return how many images a set has."""
    return len(images.files) if isinstance(images, ImageFiles) else len(images.indices)


def digest(images: Images, progress: Callable[[int, int], None] = lambda done, total: None) -> str:
    """Return the SHA-256 of a set: the files' names, classes and contents, and any geometry but the default.

    Of a built-in set it covers part, count and the pixels of one image of each class, which stand for the
    code that draws the rest. A file that cannot be read counts as that, as it does wherever images are read.
    `progress` is called now and then: a large set takes minutes on a slow disk.
    """
    whole = hashlib.sha256()
    if isinstance(images, SyntheticImages):
        whole.update(f"synthetic {images.part} {images.count}\n".encode())
        if images.chosen:
            whole.update(f"{images.chosen}\n".encode())
        for index in range(min(images.count, len(CLASS_NAMES))):
            whole.update(draw_image(images.part, index).tobytes())
        return whole.hexdigest()
    if images.geometry != DEFAULT_GEOMETRY:
        whole.update(f"{images.geometry}\n".encode())
    folder = Path(images.directory)
    contents = _in_order(lambda name: _content(folder / name), images.files)
    for done, (name, label, content) in enumerate(
        itertools.zip_longest(images.files, images.labels, contents)
    ):
        whole.update(f"{name}\0{label}\0{content}\n".encode())
        if done % _PROGRESS_EVERY == 0:
            progress(done, len(images.files))
    return whole.hexdigest()


def _content(path: Path) -> str:
    """Return the SHA-256 of a file, or that it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return "unreadable"


def _draw(part: Literal["calibration", "evaluation"], index: int) -> Image:
    return np.ascontiguousarray(draw_image(part, index)[:, :, ::-1])


def _in_order(work: Callable[[Given], Made], items: Iterable[Given]) -> Iterator[Made]:
    """Map by threads, in order, never more than a few items ahead of who reads."""
    threads = min(_THREADS_AT_MOST, len(os.sched_getaffinity(0)))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="images")
    pending: deque[Future[Made]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > threads * _AHEAD_PER_THREAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# ---------------------------------------------------------------- one image


def preprocess(image: Image, size: tuple[int, int], geometry: Geometry = DEFAULT_GEOMETRY) -> Image:
    """Cut an image to `size` (height, width) by a geometry; see the module's head for what each does."""
    match geometry:
        case "central-crop":
            height, width = image.shape[:2]
            kept = max(1, int(height * CROP)), max(1, int(width * CROP))
            top, left = (height - kept[0]) // 2, (width - kept[1]) // 2
            return resize(image[top : top + kept[0], left : left + kept[1]], size)
        case "resize-crop":
            return _crop_centre(resize(image, _covering(image.shape[:2], size)), size)
        case "resize":
            return resize(image, size)


def _covering(given: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width that an image is scaled to so that it covers 256/224 of `size`, no more.

    One side is round(256/224 of the model's), the other keeps the aspect ratio, rounded down as torchvision
    rounds it. For a square input the shorter side is met; for another one the side of which the image has
    less by the input's measure, so that the crop never reaches over the edge.
    """
    height, width = given
    wanted = tuple(round(side * SCALED[0] / SCALED[1]) for side in size)
    if height * wanted[1] <= width * wanted[0]:
        return wanted[0], wanted[0] * width // height
    return wanted[1] * height // width, wanted[1]


def _crop_centre(image: Image, size: tuple[int, int]) -> Image:
    """Crop the centre; half a pixel goes to the even offset, as in torchvision's center_crop."""
    top, left = (round((have - kept) / 2) for have, kept in zip(image.shape, size, strict=False))
    return np.ascontiguousarray(image[top : top + size[0], left : left + size[1]])


def resize(image: Image, size: tuple[int, int]) -> Image:
    """Resize to (height, width) with INTER_LINEAR, without antialiasing; leave what fits."""
    if image.shape[:2] == size:
        return np.ascontiguousarray(image)
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


# ---------------------------------------------------------------- a model's input


def layout(shape: tuple[int, ...]) -> Layout | None:
    """Read off a shape where its three channels are; None if it is not a batch of colour images.

    A dimension below 0 is dynamic. Where both ends are 3, channels come first.
    """
    if len(shape) != 4:
        return None
    if shape[1] == 3:
        return "NCHW"
    return "NHWC" if shape[3] == 3 else None


def static_shape(port: Any) -> tuple[int, ...]:
    """Return the shape of a model's or compiled model's port, -1 for a dynamic dimension, () if rank is."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return ()
    return tuple(-1 if dimension.is_dynamic else int(dimension.get_length()) for dimension in shape)


def image_size(port: Any) -> tuple[int, int]:
    """Return the height and width that an image input wants; raise InputError if it is no image input."""
    shape = static_shape(port)
    found = layout(shape)
    if found is None:
        raise InputError(f"an image input has 4 dimensions, 3 of them channels; this one is {_shown(shape)}")
    height, width = shape[2:] if found == "NCHW" else shape[1:3]
    if height < 1 or width < 1:
        raise InputError(f"the image size of the model's input is not fixed: {_shown(shape)}")
    return height, width


def to_input(image: Image, port: Any) -> NDArray[Any]:
    """Lay one BGR uint8 image out as a batch of one for an input port: its layout, its element type, 0..255.

    Channels stay BGR, except for NHWC inputs of uint8: those come from quantized TFLite image models, whose
    metadata and label files are made for RGB. (The file's ending is no help here: in the cache every model is
    an IR.) Float models that want RGB or normalized values need that in the model.
    """
    element = np.dtype(port.get_element_type().to_dtype())
    if layout(static_shape(port)) == "NHWC":
        ordered = image[:, :, ::-1] if element == np.uint8 else image
    else:
        ordered = image.transpose(2, 0, 1)
    return np.ascontiguousarray(ordered[np.newaxis], dtype=element)


def _shown(shape: tuple[int, ...]) -> str:
    return "[" + ",".join("?" if size < 0 else str(size) for size in shape) + "]" if shape else "of any rank"
