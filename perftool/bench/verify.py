"""Compare two models: the same images through both, each fed by its own convention, both in f32.

Runs in a child process. What is compared is class probabilities, so a model that answers with something else
is read as one that does (`probabilities`). Whether a difference is too large is the command's to say, and
nothing is timed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from perftool.bench.host import usable_cores
from perftool.bench.openvino_engine import compile_model, resolved_properties
from perftool.errors import InputError, PerftoolError
from perftool.images.labels import WITH_BACKGROUND
from perftool.images.sets import image_count, image_size, load_images, to_input
from perftool.job import Verify
from perftool.model.identity import model_name
from perftool.model.sources import classes, load_with_feeding
from perftool.record import Verified
from perftool.spec import Explicit

#: How far from 1 the probabilities of an image may add up, in a number format as coarse as f16.
SUM_TOLERANCE: Final = 0.01
#: How far those of a quantized softmax may: the small ones are rounded away.
COARSE_TOLERANCE: Final = 0.2

Watch = Callable[[str, int, int], None]


class _Answers(NamedTuple):
    """What a model said of every image: probabilities, images x classes, and how they were read."""

    probabilities: NDArray[np.float64]
    read: str


def verify(job: Verify, watch: Watch) -> Verified:
    """Compare the class probabilities that two models give to every image of a set.

    Differences are absolute, over all images and classes. Raises InputError for models that cannot be read,
    or score different numbers of classes, and for images that cannot be read; PerftoolError where a model
    answers with NaN, or the device does not run in f32.
    """
    loaded = [load_with_feeding(source, 1) for source in (job.first, job.second)]
    names = (model_name(job.first), model_name(job.second))
    _check_classes(names, [classes(one.model.outputs[0]) for one in loaded])
    first, second = (
        _answers(name, one.model, job, partial(watch, f"model {number} of 2"))
        for number, (name, one) in enumerate(zip(names, loaded, strict=True), start=1)
    )
    difference = np.abs(first.probabilities - second.probabilities)
    same = first.probabilities.argmax(axis=1) == second.probabilities.argmax(axis=1)
    return Verified(
        images=len(difference),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        same_top1=int(same.sum()),
        first_fed=loaded[0].fed,
        second_fed=loaded[1].fed,
        first_scores=first.read,
        second_scores=second.read,
    )


def probabilities(scores: NDArray[Any]) -> tuple[NDArray[np.float64], str]:
    """Return scores, images x classes, as probabilities, and how they were read, in words.

    Unsigned whole numbers are a quantized softmax: each image's are divided by their sum (all zero: left so).
    Others are probabilities where none is negative and each image's add up to 1; where they only do so
    coarsely and none is above 1, a quantized softmax again; and logits, made probabilities by a softmax,
    where they do not.
    """
    values = np.asarray(scores, dtype=np.float64)
    sums = values.sum(axis=1, keepdims=True)
    if scores.dtype.kind == "u":
        return values / np.where(sums > 0, sums, 1), f"{scores.dtype} scores, divided by their sum"
    off = np.abs(sums - 1).max()
    if values.min() >= 0 and off <= SUM_TOLERANCE:
        return values, "probabilities"
    if values.min() >= 0 and values.max() <= 1 and off <= COARSE_TOLERANCE:
        return values / sums, "coarse probabilities, divided by their sum"
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True), "logits, by a softmax"


def _answers(name: str, model: ov.Model, job: Verify, watch: Callable[[int, int], None]) -> _Answers:
    """Run a model on one image after the other, in f32."""
    setting = Explicit(inference_precision="f32", streams=1, threads=usable_cores())
    compiled, _ = compile_model(ov.Core(), model, job.device, setting)
    precision = resolved_properties(compiled).get("INFERENCE_PRECISION_HINT", "f32")
    if precision != "f32":
        raise PerftoolError(f"{job.device} runs in {precision} when asked for f32: nothing can be verified")
    request, port = compiled.create_infer_request(), compiled.inputs[0]
    rows = []
    for number, image in enumerate(load_images(job.images, image_size(port)), start=1):
        request.infer({0: to_input(image, port)})
        rows.append(np.array(request.get_output_tensor().data).reshape(-1))
        watch(number, image_count(job.images))
    if not rows:
        raise InputError("none of the images can be read, so nothing was compared")
    scores = np.array(rows)
    _check_finite(name, scores)
    return _Answers(*probabilities(scores))


def _check_classes(names: tuple[str, str], counts: list[int | None]) -> None:
    """Raise InputError unless both models score as many classes."""
    if counts[0] == counts[1]:
        return
    said = " and ".join(f"{name} scores {count} classes" for name, count in zip(names, counts, strict=True))
    why = ""
    if set(counts) == {WITH_BACKGROUND, WITH_BACKGROUND - 1}:
        why = f" (of {WITH_BACKGROUND}, class 0 is the background, so the same class has different numbers)"
    raise InputError(f"{said}{why}: they cannot be compared")


def _check_finite(name: str, scores: NDArray[Any]) -> None:
    for number, row in enumerate(scores):
        if not np.isfinite(row).all():
            raise PerftoolError(f"{name} answers image {number} (counted from 0) with NaN or infinity")
