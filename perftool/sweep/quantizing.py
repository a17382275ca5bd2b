"""Quantize one model, within a bound on the loss of accuracy where one is given, and report how it went.

Every step that touches a runtime is a job in a child of its own: prepare, rank, revert, evaluate on the
device and in the precision that will be deployed, measure. Which layers to keep is searched here
(`restoring`), or by NNCF's own accuracy control, whose promise is checked again on the device.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct

from perftool.analysis.accuracy import compare
from perftool.analysis.quantization import (
    Method,
    QuantizationReport,
    Trial,
    bound_warnings,
    layer_reports,
    speed_warnings,
)
from perftool.analysis.result import AccuracyResult
from perftool.bench.isolate import ask_once, expect
from perftool.cache import cache_folder, evaluations_folder
from perftool.errors import DeviceMissingError, InputError, NothingPassesError
from perftool.job import (
    ControlAccuracy,
    Describe,
    Evaluate,
    Job,
    Prepare,
    Quantization,
    Rank,
    Revert,
)
from perftool.machine import DeviceFound
from perftool.model.placing import place_model
from perftool.record import Answer, Controlled, Described, Evaluated, Prepared, Progress, Ranked, Written
from perftool.spec import (
    ImageFiles,
    Images,
    ModelFile,
    ModelSource,
    Precision,
    WeightFormat,
)
from perftool.sweep.against_float import Compared, against_float, explicit
from perftool.sweep.restoring import fewest_kept
from perftool.sweep.run import INPUTS, Status, Watcher, first, probe

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


def quantize(order: Order, watcher: Watcher) -> QuantizationReport:
    """Carry an order out and write its output.

    Raises InputError for a model that comes quantized and for what cannot be read, NothingPassesError where
    no choice of layers keeps the bound, DeviceMissingError, and PerftoolError where a child failed.
    """
    _check(order)
    device = probe((order.device,), watcher)[0]
    if not isinstance(device, DeviceFound):
        raise DeviceMissingError(f"{device.name}: {device.reason}; {device.advice}")
    with tempfile.TemporaryDirectory() as folder:
        return _Quantizing(order, device, Path(folder), watcher).report()


def _check(order: Order) -> None:
    """Refuse what would fail only after all the work: images without labels, an output that cannot be."""
    unlabelled = not order.labelled or (isinstance(order.images, ImageFiles) and not order.images.labels)
    if order.max_drop_pp is not None and unlabelled:
        raise InputError("--max-drop takes labelled images: name a data set with labels by --dataset")
    for path in (order.output, order.output.with_suffix(".bin")):
        if path.is_dir():
            raise InputError(f"{path}: cannot be written: it is a folder")
    try:
        order.output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{order.output}: cannot be written: {error.strerror}") from None
    if not os.access(order.output.parent, os.W_OK):
        raise InputError(f"{order.output}: cannot be written: no permission in its folder")


class _Chosen(Struct, frozen=True, kw_only=True):
    """The model that is to be written, which layers of the plain one it keeps in float, and why."""

    path: Path
    method: Method
    kept: dict[str, str]
    accuracy: AccuracyResult | None


class _Quantizing:
    """One order on its way: its children's answers, and what they cost."""

    def __init__(self, order: Order, device: DeviceFound, folder: Path, watcher: Watcher) -> None:
        self._order = order
        self._device = device
        self._folder = folder
        self._watcher = watcher
        self._trials: list[Trial] = []
        self._inferences = 0
        self._peak = 0
        self._began = time.monotonic()

    def report(self) -> QuantizationReport:
        order = self._order
        full, int8 = self._prepare("fp32"), self._prepare("int8")
        if int8.comes_quantized:
            raise InputError(f"{_name(order.model)} comes quantized already: nothing was done")
        reference = self._evaluate(Path(full.path), "FP32") if order.max_drop_pp is not None else None
        plain = self._accuracy(Path(int8.path), reference) if reference else None
        ranked = self._rank(full, int8)
        described = self._ask(Describe(model=ModelFile(path=full.path)), Described, "prepare", "layers")
        chosen = self._choose(full, int8, ranked, reference, plain)
        compared = self._compare(full, chosen.path)
        place_model(chosen.path, order.output)
        warnings = [*self._unread(int8), *compared.notes, *speed_warnings(compared.speed)]
        if chosen.accuracy and order.max_drop_pp is not None:
            searched = chosen.method != "plain"
            warnings += bound_warnings(chosen.accuracy, order.max_drop_pp, searched=searched)
        return QuantizationReport(
            output=str(order.output),
            method=chosen.method,
            device=self._device.name,
            calibration_images=int8.calibration_images,
            layers=layer_reports(described, ranked, chosen.kept),
            max_drop_pp=order.max_drop_pp,
            reference=compare(reference, reference) if reference else None,
            plain=plain,
            accuracy=chosen.accuracy,
            trials=tuple(self._trials),
            inferences=self._inferences,
            seconds=time.monotonic() - self._began,
            peak_rss_bytes=self._peak,
            file_bytes=sum(order.output.with_suffix(end).stat().st_size for end in (".xml", ".bin")),
            executed=compared.executed,
            speed=compared.speed,
            warnings=tuple(warnings),
        )

    def _unread(self, int8: Prepared) -> list[str]:
        """Say how many calibration images could not be read."""
        asked = self._order.quantization.calibration
        count = len(asked.files) if isinstance(asked, ImageFiles) else asked.count
        unread = count - int8.calibration_images
        return [f"{unread} of {count} calibration images could not be read"] if unread else []

    # -------------------------------------------------------- the choice

    def _choose(
        self,
        full: Prepared,
        int8: Prepared,
        ranked: Ranked,
        reference: Evaluated | None,
        plain: AccuracyResult | None,
    ) -> _Chosen:
        bound = self._order.max_drop_pp
        as_it_is = _Chosen(path=Path(int8.path), method="plain", kept={}, accuracy=plain)
        if reference is None or plain is None or bound is None:
            return as_it_is
        if plain.drop_pp is not None and plain.drop_pp <= bound:
            return as_it_is
        if self._order.method == "nncf":
            return self._controlled(full, ranked, reference, bound)
        return self._searched(full, int8, ranked, reference, bound)

    def _searched(
        self, full: Prepared, int8: Prepared, ranked: Ranked, reference: Evaluated, bound: float
    ) -> _Chosen:
        """Search how many of the worst layers must be kept in floating point."""

        def passes(kept: int) -> bool:
            worst = tuple(layer.name for layer in ranked.layers[:kept])
            self._revert(full, int8, worst, self._trial(kept))
            accuracy = self._accuracy(self._trial(kept), reference, f"{kept} layers in float")
            found = accuracy.drop_pp is not None and accuracy.drop_pp <= bound
            self._trials.append(Trial(kept=kept, accuracy=accuracy, passes=found))
            return found

        count = fewest_kept(len(ranked.layers), passes)
        if count is None:
            raise NothingPassesError(
                f"even with all {len(ranked.layers)} quantized layers back in floating point the drop is "
                f"above {bound:g} pp"
            )
        reason = "kept in float: rank {} by the error that int8 adds at the output"
        return _Chosen(
            path=self._trial(count),
            method="ranked",
            kept={layer.name: reason.format(at + 1) for at, layer in enumerate(ranked.layers[:count])},
            accuracy=next(trial.accuracy for trial in self._trials if trial.kept == count),
        )

    def _controlled(self, full: Prepared, ranked: Ranked, reference: Evaluated, bound: float) -> _Chosen:
        """Have NNCF choose, and evaluate its choice on the device."""
        order = self._order
        output = self._folder / "nncf.xml"
        job = ControlAccuracy(
            float_path=full.path,
            quantization=order.quantization,
            images=order.images,
            labelled=order.labelled,
            max_drop_pp=bound,
            output=str(output),
        )
        controlled = self._ask(job, Controlled, "rank", "NNCF's accuracy control")
        self._inferences += controlled.inferences
        self._peak = max(self._peak, controlled.peak_rss_bytes)
        accuracy = self._accuracy(output, reference, "NNCF's choice")
        passes = accuracy.drop_pp is not None and accuracy.drop_pp <= bound
        still = set(controlled.quantized)
        names = [layer.name for layer in ranked.layers if layer.name not in still]
        kept = dict.fromkeys(names, "kept in float by NNCF's accuracy control")
        self._trials.append(Trial(kept=len(kept), accuracy=accuracy, passes=passes))
        if not passes:
            raise NothingPassesError(
                f"NNCF's accuracy control, which evaluates on the CPU, left a drop of "
                f"{accuracy.drop_pp or 0.0:.2f} pp on {self._device.name}, above {bound:g} pp"
            )
        return _Chosen(path=output, method="nncf", kept=kept, accuracy=accuracy)

    def _trial(self, kept: int) -> Path:
        return self._folder / f"kept-{kept}.xml"

    # -------------------------------------------------------- jobs

    def _prepare(self, weight_format: WeightFormat) -> Prepared:
        job = Prepare(
            model=self._order.model,
            weight_format=weight_format,
            quantization=self._order.quantization,
            cache=str(cache_folder()),
        )
        prepared = self._ask(job, Prepared, "prepare", weight_format.upper())
        self._peak = max(self._peak, prepared.peak_rss_bytes)
        return prepared

    def _rank(self, full: Prepared, int8: Prepared) -> Ranked:
        images = self._order.quantization.calibration
        job = Rank(float_path=full.path, int8_path=int8.path, images=images, most=RANKING_IMAGES)
        ranked = self._ask(job, Ranked, "rank", "quantized layers")
        if not ranked.layers:
            raise InputError(
                f"NNCF quantized no layer of {_name(self._order.model)}: all are ignored, or of kinds that "
                "it leaves in floating point"
            )
        self._inferences += ranked.images
        return ranked

    def _revert(self, full: Prepared, int8: Prepared, layers: tuple[str, ...], output: Path) -> None:
        job = Revert(float_path=full.path, int8_path=int8.path, layers=layers, output=str(output))
        self._ask(job, Written, "prepare", f"{len(layers)} layers in float")

    def _evaluate(self, path: Path, precision: Precision, subject: str = "") -> Evaluated:
        job = Evaluate(
            model_path=str(path),
            weight_format="int8" if precision == "INT8" else "fp32",
            device=self._device.name,
            precision=precision,
            setting=explicit(self._device, precision, "auto"),
            images=self._order.images,
            labelled=self._order.labelled,
            cache=str(evaluations_folder()),
        )
        evaluated = self._ask(job, Evaluated, "evaluate", subject or precision)
        self._inferences += len(evaluated.top5) + len(evaluated.left_out) - evaluated.reused
        return evaluated

    def _accuracy(self, path: Path, reference: Evaluated, subject: str = "") -> AccuracyResult:
        return compare(self._evaluate(path, "INT8", subject), reference)

    def _compare(self, full: Prepared, chosen: Path) -> Compared:
        """Measure the choice against the float variants that the device has."""

        def progress(done: int, total: int) -> None:
            self._watcher.status(Status(stage="measure", subject="INT8 against float", part=(done, total)))

        inputs = first(self._order.quantization.calibration, INPUTS)
        return against_float(self._device, full.path, str(chosen), inputs, self._folder, progress)

    def _ask(
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


def _name(model: ModelSource) -> str:
    return model.path if isinstance(model, ModelFile) else model.name
