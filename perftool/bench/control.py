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

from perftool.errors import InputError
from perftool.images.labels import numbered
from perftool.images.sets import decode_images, image_size, static_shape, to_input
from perftool.job import ControlAccuracy
from perftool.memory import peak_rss_bytes
from perftool.model.int8.quantize import calibration, import_nncf, nncf_arguments, nncf_at_work
from perftool.model.int8.quantized import read_pair
from perftool.model.sources import read
from perftool.model.writing import write_model
from perftool.record import Controlled

Watch = Callable[[str, int, int], None]

#: NNCF takes an absolute drop as a share of 1.
_PERCENT = 100.0


Item = tuple[NDArray[Any], int]
"""An input of the model, and the class that it shows."""


class _Validation:
    """The evaluation images as NNCF takes them, by their index; counts each that is run through a model.

    NNCF hands indices to `top1`, and has `input` turn them into inputs where it runs a model by itself.
    """

    def __init__(self, items: list[Item], watch: Watch) -> None:
        self._items = items
        self._watch = watch
        self.inferences = 0

    def input(self, index: int) -> NDArray[Any]:
        self.inferences += 1
        if self.inferences % 50 == 0:
            self._watch(f"{self.inferences} images run", 0, 1)
        return self._items[index][0]

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
    validation = _Validation(items, watch)
    arguments = nncf_arguments(nncf, model, job.quantization)
    with nncf_at_work(model):
        quantized = nncf.quantize_with_accuracy_control(
            model,
            calibration_dataset=calibration(nncf, model, job.quantization, watch),
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
    """Return every image that can be read as the model's input, with its class."""
    if not job.labelled:
        raise InputError("accuracy control takes labelled images")
    port, shape = model.inputs[0], static_shape(model.outputs[0])
    labels = numbered(job.images, shape[1]).labels
    decoded = decode_images(job.images, image_size(port))
    return [
        (to_input(image.pixels, port), label)
        for image, label in zip(decoded, labels, strict=True)
        if image.pixels is not None
    ]
