"""Turn image sets into what a model reads: decode, crop, resize, lay out.

The preprocessing is the Open Model Zoo's for googlenet-v4-tf (its accuracy-check.yml): decode with OpenCV to
BGR, crop the central 0.875 of height and width, resize to the model's size with INTER_LINEAR. Image files go
through all of it; the built-in images are made at the model's size and are only resized where it differs.

perftool feeds 0..255, unnormalized: the converted convention, where normalization is inside the model.
Nothing here chooses images (`model.dataset`) or draws them (`model.textures`).
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
from numpy.typing import NDArray

from perftool.errors import InputError
from perftool.model.textures import CLASS_NAMES, draw_image, label_of
from perftool.spec import ImageFiles, Images, SyntheticImages

Image = NDArray[np.uint8]
"""One image: height x width x 3, BGR."""

Layout = Literal["NCHW", "NHWC"]

CROP: Final = 0.875
"""What the central crop keeps of height and of width."""

_THREADS_AT_MOST: Final = 8
_AHEAD_PER_THREAD: Final = 4

Given = TypeVar("Given")
Made = TypeVar("Made")


# ---------------------------------------------------------------- image sets


def load_images(images: Images, size: tuple[int, int]) -> Iterator[Image]:
    """Yield the images of a set in order, each of `size` (height, width), decoded a little ahead by threads.

    Raises InputError, naming the file, for one that is missing or is no image.
    """
    # The threads below are the parallelism; OpenCV's own pool would only fight with the inference.
    cv2.setNumThreads(1)
    if isinstance(images, ImageFiles):
        folder = Path(images.directory)
        return _in_order(lambda name: _read_whole(folder / name, size), images.files)
    return _in_order(lambda index: resize(_draw(images.part, index), size), range(images.count))


def image_loaders(images: Images, size: tuple[int, int]) -> list[Callable[[], Image]]:
    """Return, for each image of a set, what an application does to get it: read, decode, crop, resize.

    Built-in images have no files: they are held encoded as PNG, and decoded each time.
    """
    cv2.setNumThreads(1)
    if isinstance(images, ImageFiles):
        folder = Path(images.directory)
        return [partial(_read_whole, folder / name, size) for name in images.files]
    encoded = [cv2.imencode(".png", _draw(images.part, index))[1] for index in range(images.count)]
    return [partial(_decode_held, image, size) for image in encoded]


def _read_whole(path: Path, size: tuple[int, int]) -> Image:
    return preprocess(decode(path), size)


def _decode_held(encoded: NDArray[np.uint8], size: tuple[int, int]) -> Image:
    return resize(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8), size)


def image_count(images: Images) -> int:
    """Return how many images a set has."""
    return len(images.files) if isinstance(images, ImageFiles) else images.count


def labels(images: Images) -> tuple[int, ...]:
    """Return a set's classes: as the label file gives them, the built-in ones in the 1001-class numbering."""
    if isinstance(images, ImageFiles):
        return images.labels
    return tuple(label_of(index) for index in range(images.count))


def digest(images: Images) -> str:
    """Return the SHA-256 of a set: the files' names, classes and contents.

    Of a built-in set it covers part, count and the pixels of one image of each class, which stand for the
    code that draws the rest.
    """
    whole = hashlib.sha256()
    if isinstance(images, SyntheticImages):
        whole.update(f"synthetic {images.part} {images.count}\n".encode())
        for index in range(min(images.count, len(CLASS_NAMES))):
            whole.update(draw_image(images.part, index).tobytes())
        return whole.hexdigest()
    folder = Path(images.directory)
    contents = _in_order(lambda name: hashlib.sha256(read_bytes(folder / name)).hexdigest(), images.files)
    for name, label, content in itertools.zip_longest(images.files, images.labels, contents):
        whole.update(f"{name}\0{label}\0{content}\n".encode())
    return whole.hexdigest()


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


def read_bytes(path: Path) -> bytes:
    """Read a whole file; raise InputError, naming it, where that fails."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such image") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def decode(path: Path) -> Image:
    """Decode an image file to BGR; raise InputError, naming it, for one that is missing, empty or damaged.

    Orientation tags are obeyed, grey is spread over three channels, 16 bits become 8: OpenCV's IMREAD_COLOR.
    """
    encoded = read_bytes(path)
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_COLOR) if encoded else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InputError(f"{path}: {'an empty file' if not encoded else 'not an image, or a damaged one'}")
    return np.asarray(pixels, dtype=np.uint8)


def preprocess(image: Image, size: tuple[int, int]) -> Image:
    """Crop the central 0.875 of height and width, then resize to `size` (height, width)."""
    height, width = image.shape[:2]
    kept_height, kept_width = max(1, int(height * CROP)), max(1, int(width * CROP))
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return resize(image[top : top + kept_height, left : left + kept_width], size)


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
