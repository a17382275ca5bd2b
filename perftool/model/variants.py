"""Make the model files that precisions are shipped as, in a content-addressed cache.

    cache/<key>/model.xml, model.bin, meta.json

The key covers everything that a file depends on, so an entry never goes stale, only unused. The batch in a
file is 1 (`sources.rebatch` changes it on loading). FP32 is the source with its weights as they are; FP16 and
INT8 are made from that file. A model that comes quantized is taken as it is, in every format. Runs in a child
process; how entries stay whole is `entries`' business.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import openvino as ov

from perftool.errors import InputError, PerftoolError, one_line
from perftool.images.sets import digest, image_count
from perftool.job import Prepare, Quantization
from perftool.journal import ModelIdentity
from perftool.memory import peak_rss_bytes
from perftool.model import entries, sources
from perftool.model.entries import MODEL, WEIGHTS, Calibrated, Ingredients, Meta
from perftool.model.identity import identity
from perftool.model.int8.quantize import quantize
from perftool.published.catalogue import conventions_digest
from perftool.record import Prepared

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done, and how much there is."""

#: History of how files are made. Raise it when the same ingredients shall give another file. 1: the first.
#: 2: a known model's convention is built in.
RECIPE: Final = 2

_AS_IT_IS: Final = "the model comes quantized; taken as it is"


def prepare(job: Prepare, progress: Progress) -> Prepared:
    """Make the model file of one weight format, or find it in the cache.

    `duration_ns` is that of this call: of the making, or of finding and checking. The peak of memory is this
    process's since it was started. `calibration_images` is 0 where nothing was quantized, be it that the
    model came quantized. Raises InputError for a model or images that cannot be used, PerftoolError where the
    model cannot be quantized or the cache not be written.
    """
    started = time.perf_counter_ns()
    progress("look in the cache", 0, 1)
    model = identity(job.model)
    ingredients = _ingredients(job, model)
    entry = Path(job.cache) / ingredients.key
    found = entries.verified(entry)
    meta = found or _make(job, entry, model, ingredients, progress)
    return Prepared(
        weight_format=job.weight_format,
        path=str(entry / MODEL),
        key=ingredients.key,
        cached=found is not None,
        duration_ns=time.perf_counter_ns() - started,
        file_bytes=sum(part.bytes for part in meta.parts.values()),
        calibration_images=meta.calibration_images,
        peak_rss_bytes=peak_rss_bytes(),
        comes_quantized=meta.note == _AS_IT_IS,
    )


def _ingredients(job: Prepare, model: ModelIdentity) -> Ingredients:
    return Ingredients(
        recipe=RECIPE,
        model=model.digest,
        weight_format=job.weight_format,
        openvino=version("openvino"),
        calibrated=_calibrated(job.quantization) if job.weight_format == "int8" else None,
        conventions=conventions_digest() if sources.may_be_recognised(job.model) else "",
    )


def _calibrated(how: Quantization) -> Calibrated:
    return Calibrated(
        nncf=version("nncf"),
        images=digest(how.calibration),
        count=image_count(how.calibration),
        decoder=f"{version('opencv-python-headless')}, {version('pillow')}",
        preset=how.preset,
        fast_bias_correction=how.fast_bias_correction,
        ignored=how.ignored,
        target=how.target,
    )


def _make(
    job: Prepare, entry: Path, model: ModelIdentity, ingredients: Ingredients, progress: Progress
) -> Meta:
    cache = entry.parent
    with _cache_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
        entries.sweep_abandoned(cache)
    made = _variant(job, progress)
    progress("write the file", 0, 1)
    with _cache_errors(cache), entries.workplace(entry) as folder:
        compress = job.weight_format == "fp16" and not made.note
        ov.save_model(made.model, folder / MODEL, compress_to_fp16=compress)
        # Reading it back refuses weights that end early.
        sources.read(folder / MODEL)
        meta = Meta(
            ingredients=ingredients,
            model=model,
            calibration_images=made.calibration_images,
            note=made.note,
            parts={name: entries.part(folder / name) for name in (MODEL, WEIGHTS)},
        )
        entries.publish(folder, entry, meta)
    progress("write the file", 1, 1)
    return meta


class _Made(NamedTuple):
    """A model to be written, how many images calibrated it, and a note if it is not what was asked for."""

    model: ov.Model
    calibration_images: int = 0
    note: str = ""


def _variant(job: Prepare, progress: Progress) -> _Made:
    """Make the model of one weight format."""
    if job.weight_format == "fp32":
        progress("build the model", 0, 1)
        model = sources.load(job.model, 1)
        return _Made(model, note=_AS_IT_IS if sources.is_quantized(model) else "")
    full = prepare(msgspec.structs.replace(job, weight_format="fp32"), progress)
    model = sources.read(full.path)
    if sources.is_quantized(model):
        return _Made(model, note=_AS_IT_IS)
    if job.weight_format == "fp16":
        return _Made(model)
    return _Made(*quantize(model, job.quantization, progress))


@contextmanager
def _cache_errors(cache: Path) -> Iterator[None]:
    """Turn what a full or forbidden cache folder raises into one line."""
    try:
        yield
    except (OSError, RuntimeError, InputError) as error:
        # The runtime reports a full disk as a RuntimeError about an iostream.
        said = error.strerror if isinstance(error, OSError) else one_line(error)
        there = next(place for place in (cache.absolute(), *cache.absolute().parents) if place.exists())
        free = shutil.disk_usage(there).free / 1e6
        raise PerftoolError(
            f"{cache}: the model cache cannot be written ({said}; {free:.0f} MB free)"
        ) from error
