"""Quantize one model, within a bound on the loss of accuracy where one is given, and report how it went.

Every step that touches a runtime is a job in a child of its own: prepare, rank, revert, evaluate on the
device and in the precision that will be deployed, measure. Which layers to keep is searched here
(`restoring`), or by NNCF's own accuracy control, whose promise is checked again on the device.
"""

import os
import tempfile
import time
from pathlib import Path

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
from perftool.errors import DeviceMissingError, InputError, NothingPassesError
from perftool.images.dataset import names, picked
from perftool.job import (
    ControlAccuracy,
    Describe,
)
from perftool.machine import DeviceFound
from perftool.model.identity import model_name
from perftool.model.placing import place_model
from perftool.record import Controlled, Described, Evaluated, Prepared, Ranked
from perftool.spec import ImageFiles, Images, ModelFile
from perftool.sweep.asking import Asked, Order
from perftool.sweep.preparing import Watcher, probe
from perftool.sweep.restoring import fewest_kept


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
        self._asked = Asked(order, device, folder, watcher)
        self._trials: list[Trial] = []
        self._began = time.monotonic()

    def report(self) -> QuantizationReport:
        order = self._order
        full, int8 = self._asked.prepare("fp32"), self._asked.prepare("int8")
        if int8.comes_quantized:
            raise InputError(f"{model_name(order.model)} comes quantized already: nothing was done")
        reference = self._asked.evaluate(Path(full.path), "FP32") if order.max_drop_pp is not None else None
        plain = self._asked.evaluate(Path(int8.path), "INT8") if reference else None
        ranked = self._asked.rank(full, int8)
        described = self._asked.ask(Describe(model=ModelFile(path=full.path)), Described, "prepare", "layers")
        chosen = self._choose(full, int8, ranked, reference, plain)
        compared = self._asked.compare(full, chosen.path)
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
            plain=compare(plain, reference) if plain else None,
            accuracy=chosen.accuracy,
            trials=tuple(self._trials),
            inferences=self._asked.inferences,
            seconds=time.monotonic() - self._began,
            peak_rss_bytes=self._asked.peak_rss_bytes,
            file_bytes=sum(order.output.with_suffix(end).stat().st_size for end in (".xml", ".bin")),
            executed=compared.executed,
            speed=compared.speed,
            warnings=tuple(warnings),
        )

    def _unread(self, int8: Prepared) -> list[str]:
        """Say how many calibration images could not be read."""
        asked = self._order.quantization.calibration
        count = len(names(asked))
        unread = count - int8.calibration_images
        return [f"{unread} of {count} calibration images could not be read"] if unread else []

    # -------------------------------------------------------- the choice

    def _choose(
        self,
        full: Prepared,
        int8: Prepared,
        ranked: Ranked,
        reference: Evaluated | None,
        plain: Evaluated | None,
    ) -> _Chosen:
        bound = self._order.max_drop_pp
        found = compare(plain, reference) if plain else None
        as_it_is = _Chosen(path=Path(int8.path), method="plain", kept={}, accuracy=found)
        if reference is None or plain is None or found is None or bound is None:
            return as_it_is
        if found.drop_pp is not None and found.drop_pp <= bound:
            return as_it_is
        if self._order.method == "nncf":
            return self._controlled(full, ranked, reference, bound)
        changed = picked(self._order.images, self._changed(plain, reference))
        return self._searched(full, int8, ranked, reference, changed, bound)

    def _searched(
        self,
        full: Prepared,
        int8: Prepared,
        ranked: Ranked,
        reference: Evaluated,
        changed: Images,
        bound: float,
    ) -> _Chosen:
        """Search how many of the worst layers must be kept in floating point.

        Screened first on `changed`, the images whose class plain INT8 changes, which are few; then confirmed
        on all, and where that fails searched on from there on all.
        """
        before = self._asked.evaluate(Path(full.path), "FP32", images=changed)
        total = len(reference.top5)

        def made(kept: int) -> Path:
            path = self._trial(kept)
            if not path.exists():
                worst = tuple(layer.name for layer in ranked.layers[:kept])
                self._asked.revert(full, int8, worst, path)
            return path

        def screened(kept: int) -> bool:
            now = self._asked.evaluate(made(kept), "INT8", f"{kept} layers in float", images=changed)
            subset = compare(now, before)
            drop = 100 * ((subset.lost or 0) - (subset.gained or 0)) / total
            trial = Trial(kept=kept, images=subset.images, drop_pp=drop, accuracy=None, passes=drop <= bound)
            self._trials.append(trial)
            return trial.passes

        def passes(kept: int) -> bool:
            accuracy = self._asked.accuracy(made(kept), reference, f"{kept} layers in float")
            drop = accuracy.drop_pp if accuracy.drop_pp is not None else 100.0
            trial = Trial(kept=kept, images=total, drop_pp=drop, accuracy=accuracy, passes=drop <= bound)
            self._trials.append(trial)
            return trial.passes

        layers = len(ranked.layers)
        count = fewest_kept(layers, screened)
        if count is None or not passes(count):
            count = fewest_kept(layers, passes, failing=count or 0)
        if count is None:
            raise NothingPassesError(
                f"even with all {layers} quantized layers back in floating point the drop is above "
                f"{bound:g} pp"
            )
        reason = "kept in float: rank {} by the error that int8 adds at the output"
        return _Chosen(
            path=self._trial(count),
            method="ranked",
            kept={layer.name: reason.format(at + 1) for at, layer in enumerate(ranked.layers[:count])},
            accuracy=next(
                trial.accuracy for trial in reversed(self._trials) if trial.kept == count and trial.accuracy
            ),
        )

    def _changed(self, plain: Evaluated, reference: Evaluated) -> tuple[int, ...]:
        """Return the positions of the images that plain INT8 puts in another class than the reference."""
        left_out = set(plain.left_out)
        readable = [at for at, name in enumerate(names(self._order.images)) if name not in left_out]
        pairs = zip(readable, plain.top5, reference.top5, strict=True)
        return tuple(at for at, now, then in pairs if now[0] != then[0])

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
        controlled = self._asked.ask(job, Controlled, "rank", "NNCF's accuracy control")
        self._asked.inferences += controlled.inferences
        self._asked.peak_rss_bytes = max(self._asked.peak_rss_bytes, controlled.peak_rss_bytes)
        accuracy = self._asked.accuracy(output, reference, "NNCF's choice")
        passes = accuracy.drop_pp is not None and accuracy.drop_pp <= bound
        still = set(controlled.quantized)
        names = [layer.name for layer in ranked.layers if layer.name not in still]
        kept = dict.fromkeys(names, "kept in float by NNCF's accuracy control")
        trial = Trial(
            kept=len(kept),
            images=accuracy.images,
            drop_pp=accuracy.drop_pp if accuracy.drop_pp is not None else 100.0,
            accuracy=accuracy,
            passes=passes,
        )
        self._trials.append(trial)
        if not passes:
            raise NothingPassesError(
                f"NNCF's accuracy control, which evaluates on the CPU, left a drop of "
                f"{accuracy.drop_pp or 0.0:.2f} pp on {self._device.name}, above {bound:g} pp"
            )
        return _Chosen(path=output, method="nncf", kept=kept, accuracy=accuracy)

    def _trial(self, kept: int) -> Path:
        return self._folder / f"kept-{kept}.xml"
