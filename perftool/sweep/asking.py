"""Ask children what quantizing one model takes, and count what it costs.

Each job runs in a child of its own, and shows how far it is. Which jobs, in which order, is `quantizing`'s.
"""

from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct

from perftool.analysis.accuracy import compare
from perftool.analysis.result import AccuracyResult
from perftool.bench.isolate import ask_once, expect
from perftool.cache import cache_folder, evaluations_folder
from perftool.errors import InputError
from perftool.job import Evaluate, Job, Prepare, Quantization, Rank, Revert
from perftool.machine import DeviceFound
from perftool.model.identity import model_name
from perftool.record import Answer, Evaluated, Prepared, Progress, Ranked, Written
from perftool.spec import Images, ModelSource, Precision, WeightFormat
from perftool.sweep.against_float import Compared, against_float, explicit
from perftool.sweep.preparing import INPUTS, Status, Watcher, first

#: How many calibration images the ranking takes.
RANKING_IMAGES = 32
_STALL_SECONDS = 1800.0

Wanted = TypeVar("Wanted", bound=Answer)


class Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to quantize, how, for which device, and within which loss of top-1 (percentage points; None: any).

    `images` evaluate, and are read only where there is a bound.
    """

    model: ModelSource
    quantization: Quantization
    output: Path
    device: str
    max_drop_pp: float | None
    method: Literal["ranked", "nncf"]
    images: Images
    labelled: bool


class Asked:
    """An order's children. `inferences` counts images run through a model, calibration and speed apart."""

    def __init__(self, order: Order, device: DeviceFound, folder: Path, watcher: Watcher) -> None:
        self._order = order
        self._device = device
        self._folder = folder
        self._watcher = watcher
        self.inferences = 0
        self.peak_rss_bytes = 0

    def prepare(self, weight_format: WeightFormat) -> Prepared:
        """Make one model file, or find it in the cache."""
        job = Prepare(
            model=self._order.model,
            weight_format=weight_format,
            quantization=self._order.quantization,
            cache=str(cache_folder()),
        )
        prepared = self.ask(job, Prepared, "prepare", weight_format.upper())
        self.peak_rss_bytes = max(self.peak_rss_bytes, prepared.peak_rss_bytes)
        return prepared

    def rank(self, full: Prepared, int8: Prepared) -> Ranked:
        """Rank the quantized layers; raise InputError where there are none."""
        images = self._order.quantization.calibration
        job = Rank(float_path=full.path, int8_path=int8.path, images=images, most=RANKING_IMAGES)
        ranked = self.ask(job, Ranked, "rank", "quantized layers")
        if not ranked.layers:
            raise InputError(
                f"NNCF quantized no layer of {model_name(self._order.model)}: all are ignored, or of kinds "
                "that it leaves in floating point"
            )
        self.inferences += ranked.images
        return ranked

    def revert(self, full: Prepared, int8: Prepared, layers: tuple[str, ...], output: Path) -> None:
        """Write the INT8 model with some layers in floating point."""
        job = Revert(float_path=full.path, int8_path=int8.path, layers=layers, output=str(output))
        self.ask(job, Written, "prepare", f"{len(layers)} layers in float")

    def evaluate(
        self, path: Path, precision: Precision, subject: str = "", *, images: Images | None = None
    ) -> Evaluated:
        """Classify the order's images, or others, with a model file in a precision."""
        job = Evaluate(
            model_path=str(path),
            weight_format="int8" if precision == "INT8" else "fp32",
            device=self._device.name,
            precision=precision,
            setting=explicit(self._device, precision, "auto"),
            images=images or self._order.images,
            labelled=self._order.labelled,
            cache=str(evaluations_folder()),
        )
        evaluated = self.ask(job, Evaluated, "evaluate", subject or precision)
        self.inferences += len(evaluated.top5) + len(evaluated.left_out) - evaluated.reused
        return evaluated

    def accuracy(self, path: Path, reference: Evaluated, subject: str = "") -> AccuracyResult:
        """Return the accuracy of an INT8 file, and its change against the reference."""
        return compare(self.evaluate(path, "INT8", subject), reference)

    def compare(self, full: Prepared, chosen: Path) -> Compared:
        """Measure the choice against the float variants that the device has."""

        def progress(done: int, total: int) -> None:
            self._watcher.status(Status(stage="measure", subject="INT8 against float", part=(done, total)))

        inputs = first(self._order.quantization.calibration, INPUTS)
        return against_float(self._device, full.path, str(chosen), inputs, self._folder, progress)

    def ask(
        self,
        job: Job,
        kind: type[Wanted],
        stage: Literal["prepare", "rank", "evaluate"],
        subject: str,
    ) -> Wanted:
        """Have a child of its own do a job, showing how far it is."""
        self._watcher.status(Status(stage=stage, subject=subject))

        def watch(progress: Progress | None) -> None:
            if progress:
                part = (progress.done, progress.total)
                named = subject if progress.stage == stage else f"{subject}: {progress.stage}"
                self._watcher.status(Status(stage=stage, subject=named, part=part))

        return expect(ask_once(job, self._folder / "child.log", _STALL_SECONDS, watch), kind)
