"""Quantize a model to INT8 with NNCF's post-training quantization.

Runs in a child process; nothing is cached or written here. What NNCF leaves in float stays float32.
"""

import contextlib
import importlib
import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import openvino as ov

from perftool.errors import InputError, PerftoolError, one_line
from perftool.images.sets import image_count, image_size, load_images, to_input
from perftool.job import Quantization
from perftool.telemetry import silence


class Quantized(NamedTuple):
    """An INT8 model, and how many images calibrated it: those that could be read."""

    model: ov.Model
    images: int


def quantize(model: ov.Model, how: Quantization, progress: Callable[[str, int, int], None]) -> Quantized:
    """Return the INT8 form of a float model of batch 1, calibrated on the images of `how.calibration`.

    Raises InputError for images that cannot be read and ignored layers that are not there, PerftoolError
    where NNCF refuses the model.
    """
    progress("set up NNCF", 0, 1)
    nncf = import_nncf()
    arguments = nncf_arguments(nncf, model, how)
    images = Calibration(model, how, progress)
    with nncf_at_work(model):
        return Quantized(nncf.quantize(model, nncf.Dataset(images), **arguments), images.read)


def nncf_arguments(nncf: Any, model: ov.Model, how: Quantization) -> dict[str, Any]:
    """Return what a quantization says to NNCF, calibration images apart.

    Raises InputError for ignored layers that are not there.
    """
    ignored = ignored_layers(model, how.ignored)
    return {
        "preset": getattr(nncf.QuantizationPreset, how.preset),
        "subset_size": image_count(how.calibration),
        "fast_bias_correction": how.fast_bias_correction,
        "target_device": nncf.TargetDevice[how.target],
        "ignored_scope": nncf.IgnoredScope(names=ignored) if ignored else None,
    }


@contextlib.contextmanager
def nncf_at_work(model: ov.Model) -> Iterator[None]:
    """Keep NNCF off standard output, and turn what it, or the runtime under it, raises into one line."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        # NNCF draws its bars and writes its log on stdout.
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except PerftoolError:
        raise
    except Exception as error:
        said = one_line(error)
        raise PerftoolError(f"NNCF cannot quantize {model.get_friendly_name()}: {said}") from error
    finally:
        logger.setLevel(level)


def ignored_layers(model: ov.Model, ignored: Sequence[str]) -> list[str]:
    """Return the names of a model's layers that names or regular expressions (of whole names) stand for.

    Raises InputError for one that stands for no layer, and for what is no regular expression.
    """
    names = [op.get_friendly_name() for op in model.get_ordered_ops()]
    known = set(names)
    found: dict[str, None] = {}
    for wanted in ignored:
        if wanted in known:
            found[wanted] = None
            continue
        try:
            pattern = re.compile(wanted)
        except re.error as error:
            raise InputError(
                f"ignored layer {wanted!r}: no layer's name, no regular expression: {error}"
            ) from None
        matching = [name for name in names if pattern.fullmatch(name)]
        if not matching:
            raise InputError(
                f"ignored layer {wanted!r}: no layer of {model.get_friendly_name()} is named so, or matches "
                "it as a regular expression; `perftool model info --layers` lists them"
            )
        found.update(dict.fromkeys(matching))
    return list(found)


def import_nncf() -> Any:
    """Import NNCF, which takes seconds, without its telemetry."""
    silence()
    return importlib.import_module("nncf")


class Calibration:
    """The calibration images that can be read, as the model's inputs; NNCF may go through them repeatedly.

    `read` counts them, as far as they were gone through.
    """

    def __init__(self, model: ov.Model, how: Quantization, progress: Callable[[str, int, int], None]) -> None:
        self._port = model.inputs[0]
        self._how = how
        self._progress = progress
        self.read = 0

    def __len__(self) -> int:
        return image_count(self._how.calibration)

    def __iter__(self) -> Iterator[Any]:
        images = load_images(self._how.calibration, image_size(self._port))
        for done, image in enumerate(images):
            self._progress("calibrate", done, len(self))
            self.read = max(self.read, done + 1)
            yield to_input(image, self._port)
        # What follows, the correction of biases, counts nothing.
        self._progress("quantize", 0, 1)
