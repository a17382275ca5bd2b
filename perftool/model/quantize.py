"""Quantize a model to INT8 with NNCF's post-training quantization.

Runs in a child process; nothing is cached or written here. What NNCF leaves in float stays float32.
"""

import contextlib
import importlib
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import openvino as ov

from perftool.errors import PerftoolError
from perftool.job import Quantization
from perftool.model.images import image_count, image_size, load_images, to_input
from perftool.telemetry import silence


def quantize(model: ov.Model, how: Quantization, progress: Callable[[str, int, int], None]) -> ov.Model:
    """Return the INT8 form of a float model of batch 1, calibrated on every image of `how.calibration`.

    Raises InputError for images that cannot be read, PerftoolError where NNCF refuses the model.
    """
    progress("set up NNCF", 0, 1)
    nncf = import_nncf()
    dataset = nncf.Dataset(_Calibration(model, how, progress))
    quiet = io.StringIO()
    try:
        # NNCF draws its bars and writes its log on stdout.
        with contextlib.redirect_stdout(quiet), _silenced(logging.getLogger("nncf")):
            return nncf.quantize(
                model,
                dataset,
                preset=getattr(nncf.QuantizationPreset, how.preset),
                subset_size=image_count(how.calibration),
                fast_bias_correction=how.fast_bias_correction,
            )
    except PerftoolError:
        raise
    except Exception as error:
        # Whatever NNCF or the runtime under it raises means the same: no INT8 for this model.
        said = " ".join(str(error).split()) or type(error).__name__
        raise PerftoolError(f"NNCF cannot quantize {model.get_friendly_name()}: {said}") from error


def import_nncf() -> Any:
    """Import NNCF, which takes seconds, without its telemetry."""
    silence()
    return importlib.import_module("nncf")


class _Calibration:
    """The calibration images as the model's inputs; NNCF may go through them more than once."""

    def __init__(self, model: ov.Model, how: Quantization, progress: Callable[[str, int, int], None]) -> None:
        self._port = model.inputs[0]
        self._how = how
        self._progress = progress

    def __len__(self) -> int:
        return image_count(self._how.calibration)

    def __iter__(self) -> Iterator[Any]:
        images = load_images(self._how.calibration, image_size(self._port))
        for done, image in enumerate(images):
            self._progress("calibrate", done, len(self))
            yield to_input(image, self._port)
        # What follows, the correction of biases, counts nothing.
        self._progress("quantize", 0, 1)


@contextlib.contextmanager
def _silenced(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
