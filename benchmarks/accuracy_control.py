"""What keeping a bound on the loss of accuracy costs, and what it leaves: perftool's search beside NNCF's.

Both take the same float model, calibration and evaluation images and bound, on a variant of the reference
model that INT8 really hurts (`benchmarks.widening`). Every image that is run through a model counts,
calibration apart.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import openvino as ov

from benchmarks.options import Options
from benchmarks.progress import say
from benchmarks.tables import header, row, spread
from benchmarks.widening import SEED, SPREAD, WIDENED, widen
from perftool.analysis.quantization import QuantizationReport
from perftool.bench.host import usable_cores
from perftool.job import Quantization
from perftool.model.inception.inception_v4_openvino import build
from perftool.model.inception.reference import reference_weights
from perftool.spec import Configuration, Explicit, ModelFile, SyntheticImages
from perftool.sweep.asking import Order
from perftool.sweep.duel import Contender, duel
from perftool.sweep.locks import hold
from perftool.sweep.preparing import Watcher
from perftool.sweep.quantizing import quantize

TITLE = "Accuracy control"
QUESTION = (
    "What does it cost to keep the loss of top-1 within a bound, and what is left of INT8's speed? Inception "
    "v4 with reference weights in which the channels of six layers differ widely in range (the float "
    "function is the same), calibrated on 32 built-in images, judged on 200 others: `perftool quantize "
    "--max-drop 3` by its own ranking and bisection, and by NNCF's quantize_with_accuracy_control. Aim: a "
    "tenth of the inferences at an equal or better result."
)
BOUND_PP = 3.0
CALIBRATION, EVALUATION = 32, 200
METHODS: tuple[Literal["ranked", "nncf"], ...] = ("ranked", "nncf")

WATCHER = Watcher(status=lambda status: None, appended=lambda entry: None, opened=lambda folder, run: None)


def run(options: Options) -> Iterator[str]:
    """Yield a row for each method, and how the two results compare in speed."""
    evaluation = 40 if options.quick else EVALUATION
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "widened.xml"
        ov.save_model(build(widen(reference_weights(), WIDENED, SPREAD, SEED)), model, compress_to_fp16=False)
        reports = {}
        for method in METHODS:
            say(f"accuracy control: {method}")
            # A cache of its own: what the one has evaluated shall not save the other time.
            os.environ["XDG_CACHE_HOME"] = str(folder / f"cache-{method}")
            reports[method] = quantize(_order(model, folder / f"{method}.xml", method, evaluation), WATCHER)
        yield from header(
            "method", "images run", "time, s", "layers in float", "top-1, %", "drop, pp", "throughput / FP32"
        )
        for method in METHODS:
            yield _row(method, reports[method])
        say("accuracy control: the two results side by side")
        ratio = _side_by_side(folder)
        yield ""
        ours, theirs = (reports[method].inferences for method in METHODS)
        plain = reports["ranked"].plain
        assert plain is not None and plain.drop_pp is not None
        yield (
            f"Plain INT8 loses {plain.drop_pp:.1f} pp. Images run: {ours / theirs:.3f} of NNCF's; time: "
            f"{reports['ranked'].seconds / reports['nncf'].seconds:.3f}. Throughput of perftool's result "
            f"over that of NNCF's, paired: {ratio}. Images run include those of the reference, of plain "
            "INT8, of the ranking that the report shows either way, and of the last check on the device."
        )


def _order(model: Path, output: Path, method: Literal["ranked", "nncf"], evaluation: int) -> Order:
    return Order(
        model=ModelFile(path=str(model)),
        quantization=Quantization(calibration=SyntheticImages(part="calibration", count=CALIBRATION)),
        output=output,
        device="CPU",
        max_drop_pp=BOUND_PP,
        method=method,
        images=SyntheticImages(part="evaluation", count=evaluation),
        labelled=True,
    )


def _row(method: str, report: QuantizationReport) -> str:
    found = report.accuracy
    assert found is not None and found.top1 is not None and found.drop_pp is not None
    return row(
        f"{method} ({report.method})",
        f"{report.inferences:,}",
        f"{report.seconds:.0f}",
        f"{report.kept} of {len(report.layers)}",
        f"{found.top1:.1f}",
        f"{found.drop_pp:.2f} ({found.drop_low:.2f} to {found.drop_high:.2f})",
        spread(report.speed[0].ratio, 2) if report.speed else "unknown, the device was busy",
    )


def _side_by_side(folder: Path) -> str:
    """Measure both results in turn; return the ratio of their throughputs."""
    setting = Explicit(inference_precision="f32", streams=1, threads=usable_cores())
    contenders = [
        Contender(
            configuration=Configuration(
                id=method, device="CPU", precision="INT8", batch=1, setting=setting, requests=1
            ),
            model_path=str(folder / f"{method}.xml"),
        )
        for method in METHODS
    ]
    with hold(("CPU",)):
        images = SyntheticImages(part="calibration", count=8)
        found = duel(contenders, images, folder, lambda _: None, lambda done, total: None)
    return spread(found.ratios[0], 3)
