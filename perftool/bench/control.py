"""Have NNCF quantize within a bound on the loss of top-1, by its own accuracy control.

Runs in a child process. NNCF ranks quantizers by taking each back and running images, and evaluates on the
CPU in f32 alone: what it promises is to be checked on the device. Every image that it runs through a model is
counted, calibration apart.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from perftool.bench.host import memory_free
from perftool.errors import InputError
from perftool.images.labels import numbered
from perftool.images.sets import Image, decode_images, image_count, image_size, static_shape, to_input
from perftool.job import ControlAccuracy
from perftool.memory import peak_rss_bytes
from perftool.model.int8.quantize import Calibration, import_nncf, nncf_arguments, nncf_at_work
from perftool.model.int8.quantized import read_pair
from perftool.model.sources import read
from perftool.model.writing import write_model
from perftool.record import Controlled

Watch = Callable[[str, int, int], None]

#: NNCF takes an absolute drop as a share of 1.
_PERCENT = 100.0

#: The share of the free memory that the decoded images may take.
MEMORY_SHARE = 0.5


Item = tuple[Image, int]
"""A decoded image of the model's size, and the class that it shows."""


class _Validation:
    """The evaluation images as NNCF takes them, by their index; counts each that is run through a model.

    They are held as decoded, 8 bits a value, since NNCF goes through them hundreds of times.

    NNCF hands indices to `top1`, and has `input` turn them into inputs where it runs a model by itself.
    """

    def __init__(self, items: list[Item], port: Any, watch: Watch) -> None:
        self._items = items
        self._port = port
        self._watch = watch
        self.inferences = 0

    def input(self, index: int) -> NDArray[Any]:
        self.inferences += 1
        if self.inferences % 50 == 0:
            self._watch(f"{self.inferences} images run", 0, 1)
        return to_input(self._items[index][0], self._port)

    def top1(self, compiled: Any, indices: Iterable[int]) -> tuple[float, None]:
        """Return the share of images whose likeliest class is theirs; NNCF collects the scores itself."""
        hits = [
            int(np.argmax(next(iter(compiled(self.input(index)).values())))) == self._items[index][1]
            for index in indices
        ]
        return sum(hits) / len(hits), None


def control(job: ControlAccuracy, watch: Watch) -> Controlled:
    """Quantize a float model within a bound, and write what came of it.

    Raises InputError for images without labels or that cannot be read, PerftoolError where NNCF fails.
    """
    started = time.perf_counter_ns()
    nncf = import_nncf()
    model = read(job.float_path)
    items = _items(job, model)
    validation = _Validation(items, model.inputs[0], watch)
    arguments = nncf_arguments(nncf, model, job.quantization)
    with nncf_at_work(model):
        quantized = nncf.quantize_with_accuracy_control(
            model,
            calibration_dataset=nncf.Dataset(Calibration(model, job.quantization, watch)),
            validation_dataset=nncf.Dataset(range(len(items)), validation.input),
            validation_fn=validation.top1,
            max_drop=job.max_drop_pp / _PERCENT,
            drop_type=nncf.DropType.ABSOLUTE,
            **arguments,
        )
    return Controlled(
        path=str(write_model(quantized, job.output)),
        inferences=validation.inferences,
        quantized=tuple(read_pair(job.float_path, job.output).layers),
        duration_ns=time.perf_counter_ns() - started,
        peak_rss_bytes=peak_rss_bytes(),
    )


def _items(job: ControlAccuracy, model: ov.Model) -> list[Item]:
    """Return every image that can be read, with its class; refuse more than memory holds (InputError)."""
    if not job.labelled:
        raise InputError("accuracy control takes labelled images")
    port, shape = model.inputs[0], static_shape(model.outputs[0])
    labels = numbered(job.images, shape[1]).labels
    size = image_size(port)
    needed = image_count(job.images) * 3 * size[0] * size[1]
    if needed > MEMORY_SHARE * memory_free():
        raise InputError(
            f"NNCF's accuracy control would hold {image_count(job.images)} images, {needed / 1e6:.0f} MB, in "
            "memory: judge by fewer (--evaluation-images)"
        )
    decoded = decode_images(job.images, size)
    return [
        (image.pixels, label)
        for image, label in zip(decoded, labels, strict=True)
        if image.pixels is not None
    ]
