"""How close an evaluation comes to the throughput that the same compiled model has under a closed loop.

In this process, on the real runtime and real files: a window of closed loop, an evaluation of a set of
images, again and again on one compiled model. What decoding costs is measured alone, on one core, and from it
what the machine allows is worked out: a core that decodes does not infer.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import openvino as ov

from benchmarks.options import Options
from benchmarks.progress import say
from benchmarks.tables import header, row, spread
from perftool.analysis.stats import MIN_VISITS, median_estimate
from perftool.bench.accuracy import classify
from perftool.bench.evaluations import kept
from perftool.bench.host import usable_cores
from perftool.bench.load import generate
from perftool.bench.measure import measure
from perftool.bench.openvino_engine import OpenVINOFlight, batches, compile_model
from perftool.cache import cache_folder
from perftool.images.sets import digest, image_loaders, load_images, to_input
from perftool.job import Prepare, Quantization
from perftool.model.inception.reference import reference_images
from perftool.model.sources import load
from perftool.model.variants import prepare
from perftool.spec import (
    Closed,
    Explicit,
    ImageFiles,
    InferencePrecision,
    ModelFile,
    ReferenceModel,
    SyntheticImages,
    WeightFormat,
)
from perftool.sweep.locks import hold

TITLE = "Throughput of an evaluation"
QUESTION = (
    "Does evaluating accuracy keep the device as busy as a sweep does? Inception v4 compiled as an "
    "evaluation has it (streams left to OpenVINO, all cores): a window of closed loop and an evaluation of "
    "JPEG files of 500x375 pixels in pairs (order random), the median of the ratios with its 95 % interval. "
    "Timed with it is what comes with every image: hashing the files and keeping the classes on disk. "
    "Decoding takes cores from inference: `allowed` is the share that would be left if both used the cores "
    "fully, from what decoding and preprocessing one image take on one core. Aim: 90 %, once there are cores "
    "to decode."
)
SIZE = (299, 299)
WIDTH, HEIGHT = 500, 375
QUALITY = 92
IMAGES = 256
PAIRS = 8
SECONDS = 4.0
SEED = 20160223

VARIANTS: tuple[tuple[str, WeightFormat, InferencePrecision], ...] = (
    ("FP32", "fp32", "f32"),
    ("BF16", "fp32", "bf16"),
    ("INT8", "int8", "f32"),
)


def run(options: Options) -> Iterator[str]:
    """Yield a row for each precision that the CPU has."""
    pairs, count = (MIN_VISITS, 24) if options.quick else (PAIRS, IMAGES)
    yield from header(
        "precision", "closed loop, images/s", "evaluation / closed loop", "allowed", "decoding, ms", "pairs"
    )
    with tempfile.TemporaryDirectory() as folder, hold(("CPU",)):
        images = photographs(Path(folder), count)
        decoding = decoding_seconds(images)
        for name, weight_format, precision in VARIANTS:
            if precision == "bf16" and "BF16" not in ov.Core().get_property(
                "CPU", "OPTIMIZATION_CAPABILITIES"
            ):
                continue
            say(f"evaluation: {name}")
            model = compiled(weight_format, precision)
            busy, ratios = paired(model, images, pairs)
            speed = median_estimate(busy)
            allowed = 1 / (1 + speed.point * decoding / usable_cores())
            yield row(
                name,
                spread(speed, 1),
                spread(median_estimate(ratios), 3),
                f"{allowed:.3f}",
                f"{decoding * 1e3:.2f}",
                str(pairs),
            )
    yield ""
    yield f"{count} images in each evaluation; {usable_cores()} cores; windows of {SECONDS:g} s."


def photographs(folder: Path, count: int) -> ImageFiles:
    """Write JPEG files of a photograph's size, drawn from the built-in images."""
    names = []
    for number, (image, _) in enumerate(reference_images("evaluation", 0, count)):
        name = f"{number}.jpg"
        larger = cv2.resize(image[:, :, ::-1], (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / name), larger, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        names.append(name)
    return ImageFiles(directory=str(folder), files=tuple(names), labels=(0,) * count)


def decoding_seconds(images: ImageFiles) -> float:
    """Return the median seconds that one image takes on one core to be read, decoded, cropped and resized."""
    took = []
    for load_one in image_loaders(images, SIZE):
        started = time.perf_counter()
        load_one()
        took.append(time.perf_counter() - started)
    return median_estimate(took).point


def compiled(weight_format: WeightFormat, precision: InferencePrecision) -> Any:
    """Compile the built-in model as an evaluation does."""
    job = Prepare(
        model=ReferenceModel(name="googlenet-v4-tf"),
        weight_format=weight_format,
        quantization=Quantization(calibration=SyntheticImages(part="calibration", count=32)),
        cache=str(cache_folder()),
    )
    path = prepare(job, lambda stage, done, total: None).path
    setting = Explicit(inference_precision=precision, streams="auto", threads=usable_cores())
    return compile_model(ov.Core(), load(ModelFile(path=path), 1), "CPU", setting)[0]


def paired(model: Any, images: ImageFiles, pairs: int) -> tuple[list[float], list[float]]:
    """Return the images per second of each window, and of each pair the evaluation's over the window's."""
    requests = int(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    first = ImageFiles(directory=images.directory, files=images.files[:8], labels=())
    inputs = batches([to_input(image, model.inputs[0]) for image in load_images(first, SIZE)], 1)
    flight = OpenVINOFlight(model, requests, inputs)
    draw = random.Random(SEED)

    def window() -> float:
        burst = measure(
            generate(Closed(), flight, requests),
            requests=requests,
            window_ns=round(SECONDS * 1e9),
            completions_per_request=8,
            warm=True,
            warmup_ceiling_ns=round(2e9),
        )
        return len(burst.latencies_ns) * 1e9 / burst.window_ns

    def evaluation() -> float:
        started = time.perf_counter()
        name = digest(images)
        with tempfile.TemporaryDirectory() as folder, kept(Path(folder), name) as done:
            classify(model, images, lambda *_: None, labelled=False, kept=done)
        return len(images.files) / (time.perf_counter() - started)

    window()
    busy: list[float] = []
    ratios: list[float] = []
    for _ in range(pairs):
        order = [window, evaluation]
        draw.shuffle(order)
        found = {one: one() for one in order}
        busy.append(found[window])
        ratios.append(found[evaluation] / found[window])
    return busy, ratios
