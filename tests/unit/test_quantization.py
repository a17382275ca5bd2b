"""What a quantization's report says."""

import msgspec
import pytest

from perftool.analysis.quantization import (
    QuantizationReport,
    Speed,
    Trial,
    bound_warnings,
    layer_reports,
    speed_warnings,
)
from perftool.analysis.result import AccuracyResult
from perftool.analysis.stats import Estimate
from perftool.record import Described, LayerCost, LayerError, Ranked


def layer(name: str, kind: str, flops: int) -> LayerCost:
    return LayerCost(
        name=name, type=kind, output_shape=(1, 8), flops=flops, macs=flops // 2, parameters=1,
        activation_bytes=1,
    )  # fmt: skip


DESCRIBED = Described(
    name="m", origin="m.xml", fed="", input_shape=(1, 3, 8, 8), output_shape=(1, 10), batch=1, flops=100,
    macs=50, parameters=3, convention_parameters=3,
    activation_bytes=3, peak_activation_bytes=3,
    layers=(
        layer("first", "Convolution", 60), layer("relu", "Relu", 5), layer("second", "Convolution", 25),
        layer("head", "MatMul", 10),
    ),
)  # fmt: skip
RANKED = Ranked(
    layers=(
        LayerError(name="second", type="Convolution", own=0.5, share=0.5),
        LayerError(name="first", type="Convolution", own=0.1, share=1.0),
    ),
    images=32,
    duration_ns=1,
)
ACCURACY = AccuracyResult(
    top1=80.0, top5=95.0, images=400, drop_pp=0.25, drop_low=-0.9, drop_high=1.4, gained=2, lost=3,
    p_value=1.0, agreement=98.0,
)  # fmt: skip


def test_every_layer_with_weights_is_reported_the_worst_first() -> None:
    rows = layer_reports(DESCRIBED, RANKED, {"second": "kept in float: rank 1"})
    assert [(row.name, row.precision) for row in rows] == [
        ("second", "float"), ("first", "int8"), ("head", "float"),
    ]  # fmt: skip
    assert rows[0].error_at_output == pytest.approx(0.25)
    assert rows[0].reason == "kept in float: rank 1"
    assert rows[1].flops_share == pytest.approx(0.6)
    assert rows[2].own_error is None and "ignored" in rows[2].reason


def test_a_drop_whose_interval_crosses_the_bound_is_uncertain_with_what_would_settle_it() -> None:
    (told,) = bound_warnings(ACCURACY, 0.5, searched=False)
    assert told.startswith("uncertain") and "images, 400 so far" in told
    assert bound_warnings(ACCURACY, 2.0, searched=False) == ()
    (searched,) = bound_warnings(ACCURACY, 2.0, searched=True)
    assert "optimistic" in searched


@pytest.mark.parametrize(
    ("low", "point", "high", "told"),
    [(0.7, 0.8, 0.9, "SLOWER"), (0.9, 1.0, 1.1, "not surely faster"), (1.2, 1.3, 1.4, None)],
)
def test_int8_that_is_no_faster_is_warned_of(low: float, point: float, high: float, told: str | None) -> None:
    found = speed_warnings([Speed(against="FP32", ratio=Estimate(point=point, low=low, high=high))])
    assert (not found) if told is None else (told in found[0])


def test_a_report_survives_json() -> None:
    ratio = Estimate(point=1.3, low=1.2, high=1.4)
    report = QuantizationReport(
        output="out/model.xml", method="ranked", device="CPU", calibration_images=32,
        layers=layer_reports(DESCRIBED, RANKED, {"second": "kept in float: rank 1"}),
        max_drop_pp=0.5, reference=ACCURACY, plain=ACCURACY, accuracy=ACCURACY,
        trials=(
            Trial(images=30, drop_pp=0.25, kept=1, accuracy=None, passes=True),
            Trial(images=400, drop_pp=0.25, kept=1, accuracy=ACCURACY, passes=True),
        ),
        inferences=864, seconds=12.5, peak_rss_bytes=10**9, file_bytes=10**8, executed="i8",
        speed=(Speed(against="FP32", ratio=ratio), Speed(against="FP16", ratio=ratio)),
        warnings=bound_warnings(ACCURACY, 0.5, searched=True),
    )  # fmt: skip
    assert report.kept == 2, "the layer that was taken back, and the one that was never quantized"
    assert msgspec.json.decode(msgspec.json.encode(report), type=QuantizationReport) == report
    unbounded = msgspec.structs.replace(report, max_drop_pp=None, accuracy=None, trials=(), speed=())
    assert msgspec.json.decode(msgspec.json.encode(unbounded), type=QuantizationReport) == unbounded
