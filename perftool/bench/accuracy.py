"""Classify images with a compiled model and keep the five likeliest classes of each.

Runs in a child process. Accuracies, deltas and agreements are `analysis`'s, later and from the classes kept
here. Nothing is timed for comparison: batch and streams change the duration, not the classes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from perftool.errors import InputError, PerftoolError
from perftool.model import images as image_sets
from perftool.model.images import image_size, to_input
from perftool.model.sources import classes
from perftool.spec import ImageFiles, Images

TOP: Final = 5

#: ImageNet's classes with a background class before them. Label files number without it, 0 to 999.
WITH_BACKGROUND: Final = 1001

Progress = Callable[[int, int], None]
"""Called with how many images are done, and how many there are."""


class Classified(NamedTuple):
    """Classes that a model gave to every image of a set, in the set's order.

    `top5` holds class indices, the likeliest first (fewer than five if the model has fewer classes).
    `labels` are already shifted by `label_offset`; empty where the images are unlabelled.
    """

    top5: tuple[tuple[int, ...], ...]
    labels: tuple[int, ...]
    label_offset: int
    classes: int


def classify(compiled: ov.CompiledModel, images: Images, progress: Progress, *, labelled: bool) -> Classified:
    """Run every image through a compiled model, at whatever batch it was compiled for.

    `labelled` says whether the images' labels mean this model's classes: those of the built-in images do so
    for the reference model alone. Raises InputError for images that cannot be read, for an output that is no
    class scores and for labels outside the classes; PerftoolError when the model answers with NaN.
    """
    class_count = classes(compiled.outputs[0])
    if class_count is None:
        raise InputError("the model's output is no batch of class scores")
    found = image_sets.labels(images) if labelled else ()
    offset = label_offset(images, class_count) if found else 0
    labels = _shifted(found, offset, class_count)
    total = image_sets.image_count(images)
    top5: list[tuple[int, ...]] = []
    for scores in _scores(compiled, image_sets.load_images(images, image_size(compiled.inputs[0]))):
        top5.extend(top_classes(scores, first_image=len(top5)))
        progress(len(top5), total)
    return Classified(tuple(top5), labels, offset, class_count)


def label_offset(images: Images, class_count: int) -> int:
    """Return what to add to labels: 1 for a label file read against a model with a background class.

    The built-in images are numbered with the background class as it is.
    """
    return int(isinstance(images, ImageFiles) and class_count == WITH_BACKGROUND)


def top_classes(scores: NDArray[Any], *, first_image: int = 0) -> list[tuple[int, ...]]:
    """Return the likeliest classes of each row of scores, at most five; the lowest index wins a tie.

    `first_image` is the position of the first row in its set, for the error about NaN (PerftoolError).
    """
    rows = np.asarray(scores, dtype=np.float64)
    if np.isnan(rows).any():
        bad = first_image + int(np.isnan(rows).any(axis=1).argmax())
        raise PerftoolError(f"the model answers image {bad} (counted from 0) with NaN")
    order = np.argsort(-rows, axis=1, kind="stable")[:, :TOP]
    return [tuple(map(int, row)) for row in order]


def _shifted(labels: tuple[int, ...], offset: int, class_count: int) -> tuple[int, ...]:
    """Shift labels by the offset; raise InputError where one is then none of the model's classes."""
    allowed = range(class_count - offset)
    for label in labels:
        if label not in allowed:
            why = " (class 0 of its 1001 is the background, and perftool adds 1 to labels)" if offset else ""
            raise InputError(
                f"label {label} is outside 0..{allowed.stop - 1}, which label files for a model of "
                f"{class_count} classes may hold{why}"
            )
    return tuple(label + offset for label in labels)


class _Slot(NamedTuple):
    """A request and the tensor that it reads."""

    request: ov.InferRequest
    tensor: ov.Tensor


def _scores(compiled: ov.CompiledModel, source: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[Any]]:
    """Yield the scores, images x classes, of one batch after the other.

    Twice the optimal number of requests is kept in flight, so that no stream waits while the oldest one is
    read out and filled again (a multiple, since a device that collects batches serves requests in groups).
    Requests are waited for in the order of their start: no callback, no lock.
    """
    port = compiled.inputs[0]
    shape = port.get_shape()
    count = 2 * int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    idle = [
        _Slot(compiled.create_infer_request(), ov.Tensor(port.get_element_type(), shape))
        for _ in range(count)
    ]
    for slot in idle:
        slot.request.set_input_tensor(slot.tensor)
    flying: deque[tuple[_Slot, int]] = deque()
    try:
        while chunk := list(islice(source, shape[0])):
            slot = idle.pop()
            for position in range(shape[0]):
                # A last batch that is not full repeats its last image; those scores are dropped.
                image = chunk[min(position, len(chunk) - 1)]
                slot.tensor.data[position] = to_input(image, port)[0]
            slot.request.start_async()
            flying.append((slot, len(chunk)))
            if not idle:
                idle.append(flying[0][0])
                yield _collect(*flying.popleft())
        while flying:
            yield _collect(*flying.popleft())
    finally:
        for slot, _ in flying:
            slot.request.wait()


def _collect(slot: _Slot, used: int) -> NDArray[Any]:
    """Wait for a request and copy the scores of the images that it was really given."""
    slot.request.wait()
    scores = slot.request.get_output_tensor().data
    return np.array(scores[:used]).reshape(used, -1)
