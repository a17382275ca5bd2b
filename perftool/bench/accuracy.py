"""Classify images with a compiled model and keep the five likeliest classes of each.

Runs in a child process. Decoding and inference run side by side: threads decode ahead while requests are in
flight. Accuracies, deltas and agreements are `analysis`'s, later and from the classes kept here. Nothing is
timed for comparison: batch and streams change the duration, not the classes.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from perftool.bench.evaluations import Kept, Seen
from perftool.errors import InputError, PerftoolError
from perftool.images import sets as image_sets
from perftool.images.dataset import names
from perftool.images.decoding import Decoded
from perftool.images.labels import Numbered, numbered
from perftool.images.sets import decode_images, image_size, to_input
from perftool.model.sources import classes
from perftool.record import ImageFaults
from perftool.spec import ImageFiles, Images

TOP: Final = 5

Progress = Callable[[int, int], None]
"""Called with how many images are done, and how many there are."""


class Classified(NamedTuple):
    """Classes that a model gave to every image of a set that could be read, in the set's order.

    `top5` holds class indices, the likeliest first (fewer than five if the model has fewer classes).
    `labels` are already shifted by `label_offset`, as `label_note` explains; empty where the images are
    unlabelled. `left_out` names the images that could not be read, `reused` counts those that were classified
    before.
    """

    top5: tuple[tuple[int, ...], ...]
    labels: tuple[int, ...]
    label_offset: int
    label_note: str
    classes: int
    left_out: tuple[str, ...]
    faults: ImageFaults
    reused: int


def classify(
    compiled: ov.CompiledModel,
    images: Images,
    progress: Progress,
    *,
    labelled: bool,
    kept: Kept | None = None,
) -> Classified:
    """Run every image through a compiled model, at whatever batch it was compiled for.

    `labelled` says whether the images' labels mean this model's classes: those of the built-in images do so
    for the reference model alone. `kept` holds what is done already, and takes what is done now. Raises
    InputError where no image can be read, for an output that is no class scores and for labels outside the
    classes; PerftoolError when the model answers with NaN.
    """
    class_count = classes(compiled.outputs[0])
    if class_count is None:
        raise InputError("the model's output is no batch of class scores")
    labels = numbered(images, class_count) if labelled else Numbered(labels=(), offset=0)
    kept = kept or Kept([], None)
    reused = len(kept.seen)
    total = image_sets.image_count(images)
    for more in _seen(compiled, images, reused):
        kept.add(more)
        progress(len(kept.seen), total)
    read = [index for index, one in enumerate(kept.seen) if one.top]
    if not read:
        raise InputError(f"none of {total} images can be read; the first is {names(images)[0]}")
    counts = Counter(found for one in kept.seen for found in one.found)
    missing = images.missing if isinstance(images, ImageFiles) else 0
    return Classified(
        top5=tuple(kept.seen[index].top for index in read),
        labels=tuple(labels.labels[index] for index in read) if labels.labels else (),
        label_offset=labels.offset,
        label_note=labels.explanation,
        classes=class_count,
        left_out=tuple(name for name, one in zip(names(images), kept.seen, strict=True) if not one.top),
        faults=ImageFaults(**{**counts, "missing": counts["missing"] + missing}),
        reused=reused,
    )


def top_classes(scores: NDArray[Any], numbers: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the likeliest classes of each row of scores, at most five; the lowest index wins a tie.

    `numbers` are the rows' positions in their set, for the error about NaN (PerftoolError).
    """
    rows = np.asarray(scores, dtype=np.float64)
    if np.isnan(rows).any():
        bad = numbers[int(np.isnan(rows).any(axis=1).argmax())]
        raise PerftoolError(f"the model answers image {bad} (counted from 0) with NaN")
    order = np.argsort(-rows, axis=1, kind="stable")[:, :TOP]
    return [tuple(map(int, row)) for row in order]


class _Slot(NamedTuple):
    """A request and the tensor that it reads."""

    request: ov.InferRequest
    tensor: ov.Tensor


class _Flying(NamedTuple):
    """A request on its way, and the images since the last one: those that it reads, and the unreadable."""

    slot: _Slot
    images: list[Decoded]


def _seen(compiled: ov.CompiledModel, images: Images, start: int) -> Iterator[list[Seen]]:
    """Yield what the images from `start` on came to, in order, one batch after the other.

    Twice the optimal number of requests is kept in flight, so that no stream waits while the oldest one is
    read out and filled again (a multiple, since a device that collects batches serves requests in groups).
    Requests are waited for in the order of their start: no callback, no lock.
    """
    port = compiled.inputs[0]
    count = 2 * int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    idle = [
        _Slot(compiled.create_infer_request(), ov.Tensor(port.get_element_type(), port.get_shape()))
        for _ in range(count)
    ]
    for slot in idle:
        slot.request.set_input_tensor(slot.tensor)
    flying: deque[_Flying] = deque()
    done = start
    try:
        for chunk in _chunks(decode_images(images, image_size(port), start), port.get_shape()[0]):
            slot = idle.pop()
            readable = [image.pixels for image in chunk if image.pixels is not None]
            for position in range(port.get_shape()[0] if readable else 0):
                # A last batch that is not full repeats its last image; those scores are dropped.
                pixels = readable[min(position, len(readable) - 1)]
                slot.tensor.data[position] = to_input(pixels, port)[0]
            slot.request.start_async()
            flying.append(_Flying(slot, chunk))
            if not idle:
                idle.append(flying[0].slot)
                yield (found := _collect(flying.popleft(), done))
                done += len(found)
        while flying:
            yield (found := _collect(flying.popleft(), done))
            done += len(found)
    finally:
        for one in flying:
            one.slot.request.wait()


def _chunks(source: Iterator[Decoded], batch: int) -> Iterator[list[Decoded]]:
    """Cut images into pieces with a batch of readable ones in each; the last piece may hold fewer."""
    chunk: list[Decoded] = []
    readable = 0
    for image in source:
        chunk.append(image)
        readable += image.pixels is not None
        if readable == batch:
            yield chunk
            chunk, readable = [], 0
    if chunk:
        yield chunk


def _collect(flying: _Flying, first_image: int) -> list[Seen]:
    """Wait for a request, and say what its images came to."""
    flying.slot.request.wait()
    scores = np.asarray(flying.slot.request.get_output_tensor().data)
    used = sum(image.pixels is not None for image in flying.images)
    numbers = [number for number, image in enumerate(flying.images, first_image) if image.pixels is not None]
    tops = iter(top_classes(scores[:used].reshape(used, -1), numbers) if used else ())
    return [
        Seen(top=next(tops) if image.pixels is not None else (), found=image.found) for image in flying.images
    ]
