"""The table of metrics: every row reads, and says why it cannot."""

import pytest
from journals import Journal, Measured, nine

from perftool.analysis import metrics
from perftool.analysis.metrics import METRICS, objective_metric
from perftool.analysis.summary import summarize
from perftool.errors import InputError
from perftool.spec import Limits

FULL = summarize(nine()).configurations[-2]


NOT_IN_THE_JOURNAL = (
    *("latency_p99", "latency_sync", "latency_sync_p90", "latency_sync_p95", "latency_sync_p99"),
    *("energy", "efficiency", "end_to_end", "end_to_end_ratio", "of_limit"),
)


@pytest.mark.parametrize("name", [name for name in METRICS if name not in NOT_IN_THE_JOURNAL])
def test_every_metric_reads_off_a_result(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.unit and metric.label and metric.heading
    assert metric.value(FULL) is not None


def test_values_are_those_of_the_result() -> None:
    assert FULL.throughput_fps is not None and FULL.latency_ms is not None and FULL.accuracy is not None
    assert metrics.THROUGHPUT.value(FULL) == FULL.throughput_fps.point
    assert metrics.LATENCY[50].value(FULL) == FULL.latency_ms.p50
    assert metrics.MEMORY.value(FULL) == FULL.peak_rss_mb == 260
    assert metrics.DROP.value(FULL) == FULL.accuracy.drop_pp == 1.0


def test_reasons_for_what_is_missing() -> None:
    few = summarize(Journal((Measured(completions=6, streams=2, rounds=7),)).run()).configurations[0]
    assert metrics.why_missing(metrics.LATENCY[95], few) == "p95 not measurable: 42 of 130 samples"
    assert metrics.why_missing(metrics.DROP, few) == "accuracy not measured"
    assert metrics.why_missing(metrics.LATENCY_SYNC, few) == "latency of a single request not measured"
    assert metrics.why_missing(metrics.MEMORY, few) == "peak memory not measured"
    alone = summarize(Journal((Measured(completions=1),)).run()).configurations[0]
    assert metrics.why_missing(metrics.LATENCY_SYNC, alone) == "p50 not measurable: 6 of 11 samples"


def test_objectives_are_metrics() -> None:
    assert objective_metric("throughput", Limits()) is metrics.THROUGHPUT
    assert objective_metric("latency", Limits()) is metrics.LATENCY_SYNC
    assert objective_metric("latency", Limits(percentile=95)) is metrics.LATENCY_ALONE[95]
    assert objective_metric("efficiency", Limits()) is metrics.EFFICIENCY
    rate = objective_metric("rate", Limits(slo_ms=100, percentile=95))
    assert (rate.heading, rate.better, rate.unit) == ("p95<=100ms", "higher", "images/s")
    assert rate.value(FULL) is None
    assert metrics.why_missing(rate, FULL, Limits(slo_ms=100, percentile=95)) == "no rate was tried"


def test_the_rows_are_named_as_limits_name_them() -> None:
    assert {"top1_drop", "peak_rss", "compile_rss", "load_rss", "latency_p95"} < set(METRICS)
    assert metrics.named("peak_rss") is metrics.MEMORY
    with pytest.raises(InputError, match=r"^peak_rs: no such metric; did you mean peak_rss\?$"):
        metrics.named("peak_rs")


def test_efficiency_is_images_per_joule_with_the_interval_and_the_rounds_of_the_energy() -> None:
    measured = Measured(precision="INT8", streams=2, image_j=0.5)
    summary = summarize(Journal((measured,)).run())
    found = metrics.EFFICIENCY.read(summary.configurations[0])
    assert found is not None and found.point == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0) and found.high == pytest.approx(2.0)
    rounds = metrics.EFFICIENCY.series(summary.series[measured.id]) if metrics.EFFICIENCY.series else {}
    assert rounds == pytest.approx(dict.fromkeys(range(6), 2.0))
    assert metrics.EFFICIENCY.read(FULL) is None
    assert metrics.why_missing(metrics.EFFICIENCY, FULL) == "energy not measured"


def test_a_percentile_above_the_median_of_a_single_request_is_pooled_and_not_paired() -> None:
    alone = summarize(Journal((Measured(completions=40),)).run()).configurations[0]
    tail = metrics.LATENCY_ALONE[95]
    assert alone.latency_sync_ms is not None and alone.latency_sync_ms.p95 is not None
    assert tail.value(alone) == alone.latency_sync_ms.p95
    assert tail.series is None and metrics.LATENCY_ALONE[50].series is not None
    few = summarize(Journal((Measured(completions=10),)).run()).configurations[0]
    assert metrics.why_missing(tail, few) == "p95 not measurable: 60 of 130 samples"
