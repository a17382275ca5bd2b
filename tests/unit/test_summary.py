"""From a journal to the figures of the JSON."""

from collections.abc import Callable

import msgspec
import pytest
from journals import EVALUATIONS, HOST, SECOND, Journal, Measured, changed, compiled, evaluated, nine, visited

from perftool.analysis.choose import choose
from perftool.analysis.result import ConfigurationResult, Document, Summary, document
from perftool.analysis.summary import summarize
from perftool.journal import Planned, Run, Started
from perftool.machine import Conditions, DeviceMissing
from perftool.record import Evaluated, Failed, Prepared, Visited
from perftool.spec import Feeding, Limits, ModelFile

STEADY = (1.0,)
INT8 = Measured(precision="INT8", streams=2, fps=32, memory_mb=260, factors=STEADY)


def one(summary: Summary, id: str) -> ConfigurationResult:
    return next(result for result in (*summary.configurations, *summary.baselines) if result.id == id)


def of(measured: Measured, **journal: object) -> ConfigurationResult:
    return summarize(Journal((measured,), machine=STEADY, **journal).run()).configurations[0]


def test_figures_of_a_configuration() -> None:
    found = of(INT8, evaluations=EVALUATIONS)
    assert found.throughput_fps is not None and found.latency_ms is not None
    assert found.throughput_fps.point == pytest.approx(32, rel=1e-6)
    assert found.latency_ms.n == 240
    assert found.latency_ms.p50 == pytest.approx(2 / 32 * 1000, rel=0.01)
    assert found.latency_ms.p95 is not None and found.latency_ms.p99 is None
    assert (found.streams, found.threads, found.requests, found.batch) == (2, 2, 2, 1)
    assert (found.executed_precision, found.executed_share) == ("int8", 0.98)
    assert (found.peak_rss_mb, found.compile_ms, found.first_inference_ms) == (260, 900, 150)
    assert (found.visits, found.incarnations, found.status, found.reason) == (6, 2, "ok", None)
    assert found.requested.streams == 2 and found.requested.hint is None
    assert found.properties == {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": "2",
        "INFERENCE_NUM_THREADS": "2",
    }


def test_throughput_counts_images_and_latency_batches() -> None:
    found = of(Measured(batch=4, fps=20, factors=STEADY))
    assert found.throughput_fps is not None and found.latency_ms is not None
    assert found.throughput_fps.point == pytest.approx(20, rel=1e-6)
    assert found.latency_ms.p50 == pytest.approx(200, rel=0.01)


def test_one_request_in_flight_serves_as_sync() -> None:
    single = of(Measured())
    assert single.latency_sync_ms == single.latency_ms is not None
    assert of(INT8).latency_sync_ms is None


def test_sync_visits_are_apart_from_closed_ones() -> None:
    both = of(changed(INT8, sync=True))
    assert both.visits == 6
    assert both.latency_ms is not None and both.latency_sync_ms is not None
    assert both.latency_ms.n == both.latency_sync_ms.n == 240
    assert both.latency_sync_ms.p50 == pytest.approx(1 / (0.6 * 32) * 1000, rel=0.01)


def test_baselines_stand_apart_and_take_the_accuracy_of_what_they_resolved_to() -> None:
    summary = summarize(nine())
    assert [result.id for result in summary.baselines] == ["cpu-baseline-latency", "cpu-baseline-throughput"]
    assert len(summary.configurations) == 9
    assert not any(result.requested.hint for result in summary.configurations)
    baseline = summary.baselines[0]
    assert baseline.precision == "default" and baseline.executed_precision == "bf16"
    assert baseline.requested.hint == "LATENCY" and baseline.requested.streams is None
    assert baseline.properties == {"PERFORMANCE_HINT": "LATENCY"}
    assert baseline.accuracy == one(summary, "cpu-bf16-b1-s1").accuracy is not None


# ---------------------------------------------------------------- accuracy


def test_the_reference_loses_nothing_to_itself() -> None:
    found = one(summarize(nine()), "cpu-fp32-b1-s1").accuracy
    assert found is not None
    assert (found.top1, found.top5, found.images) == (80, 100, 200)
    assert (found.drop_pp, found.drop_low, found.drop_high, found.p_value) == (0, 0, 0, 1)
    assert found.agreement == 100


def test_drops_are_paired_by_image() -> None:
    # int8: of 158 right, one flipped to wrong and one wrong one to right; against the first 160 right
    found = one(summarize(nine()), "cpu-int8-b1-s2").accuracy
    assert found is not None and found.drop_low is not None and found.drop_high is not None
    assert (found.gained, found.lost, found.drop_pp, found.top1) == (1, 3, 1.0, 79)
    assert found.drop_low < 0 < 1 < found.drop_high
    assert found.agreement == 98
    assert found.p_value == pytest.approx(2 * 5 / 16)


def test_without_labels_there_is_agreement_alone() -> None:
    unlabelled = [msgspec.structs.replace(found, labels=()) for found in EVALUATIONS]
    found = of(INT8, evaluations=tuple(unlabelled)).accuracy
    assert found is not None
    assert (found.top1, found.top5, found.drop_pp, found.gained) == (None, None, None, None)
    assert (found.agreement, found.images) == (98, 200)


def test_other_images_are_not_compared() -> None:
    other = msgspec.structs.replace(EVALUATIONS[3], images="ef" * 32)
    found = of(INT8, evaluations=(EVALUATIONS[0], other)).accuracy
    assert found is not None and found.top1 == 79
    assert (found.drop_pp, found.agreement) == (None, None)


def test_without_the_reference_there_is_no_drop() -> None:
    found = of(INT8, evaluations=EVALUATIONS[1:]).accuracy
    assert found is not None and found.top1 == 79 and found.drop_pp is None


def test_a_device_that_hides_its_precision_is_matched_by_what_it_executed() -> None:
    bf16 = Measured(precision="BF16", resolved={})
    found = of(bf16, evaluations=EVALUATIONS).accuracy
    assert found is not None and found.top1 == 79.5
    assert of(changed(INT8, resolved={}), evaluations=EVALUATIONS).accuracy is not None


def test_another_resolved_precision_or_device_is_not_matched() -> None:
    assert of(changed(INT8, device="GPU"), evaluations=EVALUATIONS).accuracy is None
    resolved = {"INFERENCE_PRECISION_HINT": "bf16"}
    assert of(changed(INT8, resolved=resolved), evaluations=EVALUATIONS).accuracy is None


# ---------------------------------------------------------------- what went wrong


def test_status_and_reasons() -> None:
    failed = of(Measured(rounds=0, failed="the child was killed"))
    assert (failed.status, failed.reason) == ("failed", "compile failed: the child was killed")
    assert failed.throughput_fps is None and failed.latency_ms is None and failed.peak_rss_mb is None
    skipped = of(Measured(rounds=0, left_out="CPU lists no BF16"))
    assert (skipped.status, skipped.reason) == ("skipped", "CPU lists no BF16")
    waiting = of(Measured(rounds=0))
    assert (waiting.status, waiting.reason) == ("skipped", "not measured yet")


def test_a_failure_with_visits_is_a_warning() -> None:
    found = of(Measured(failed="timed out"))
    assert found.status == "ok"
    assert "compile failed once: timed out" in found.warnings


def test_a_file_that_could_not_be_made_fails_its_configurations() -> None:
    journal = Journal((changed(INT8, rounds=0), Measured()))
    journal.append(Failed(subject="int8", stage="prepare", kind="error", reason="no space left"))
    summary = summarize(journal.run())
    assert [result.status for result in summary.configurations] == ["failed", "ok"]
    assert summary.configurations[0].reason == "prepare failed: no space left"
    assert summary.run.warnings == ("prepare of int8 failed: no space left",)


def prepared(weight_format: str, *, comes_quantized: bool) -> Prepared:
    return Prepared(
        weight_format=weight_format,
        path="m.xml",
        key="k",
        cached=False,
        duration_ns=1,
        file_bytes=1,
        calibration_images=32,
        peak_rss_bytes=1,
        comes_quantized=comes_quantized,
    )


@pytest.mark.parametrize("comes_quantized", [True, False])
def test_a_model_that_comes_quantized_is_the_reference_in_every_format(comes_quantized: bool) -> None:
    baseline = Measured(hint="LATENCY", executed="bf16")
    same = (evaluated("fp32", "f32", 160), evaluated("int8", "f32", 160), evaluated("fp32", "bf16", 160))
    journal = Journal((INT8, baseline), same)
    journal.append(prepared("fp32", comes_quantized=comes_quantized))
    summary = summarize(journal.run())
    found, in_bf16 = summary.configurations[0].accuracy, summary.baselines[0].accuracy
    assert found is not None and in_bf16 is not None
    assert (found.drop_pp, found.drop_low == 0.0 == found.drop_high) == (0.0, comes_quantized)
    # The same file under another precision is not the same by construction, however few images say so.
    assert in_bf16.drop_low is not None and in_bf16.drop_low < 0


def test_a_failed_preparation_made_good_is_forgotten() -> None:
    journal = Journal((INT8,))
    journal.append(Failed(subject="int8", stage="prepare", kind="error", reason="no space left"))
    journal.append(prepared("int8", comes_quantized=False))
    summary = summarize(journal.run())
    assert summary.run.warnings == () and summary.configurations[0].warnings == ()


def test_warnings_when_it_is_not_what_was_asked() -> None:
    assert "ran in f32, not bf16" in of(Measured(precision="BF16", executed="f32")).warnings
    assert "requested 8 streams, got 2" in of(Measured(streams=8, got_streams=2)).warnings
    assert of(Measured()).warnings == of(INT8).warnings == ()


def test_warnings_about_the_measuring() -> None:
    assert "3 of the 6 visits that an interval takes" in of(Measured(rounds=3)).warnings
    loaded = of(Measured(other_load=0.34)).warnings
    assert loaded == ("6 of 6 visits under foreign load, up to 34% of the CPUs",)
    slowing = of(Measured(rounds=8, factors=(1, 0.98, 0.97, 0.94, 0.92, 0.89, 0.87, 0.85))).warnings
    assert slowing == ("throughput drifted by -15% from the first visit to the last",)


def with_visits(run: Run, change: Callable[[Visited], Visited]) -> Run:
    entries = tuple(
        msgspec.structs.replace(entry, record=change(entry.record))
        if isinstance(entry.record, Visited)
        else entry
        for entry in run.entries
    )
    return msgspec.structs.replace(run, entries=entries)


def test_warm_ups_that_met_their_ceiling_are_counted() -> None:
    run = with_visits(
        Journal((Measured(),)).run(), lambda one: msgspec.structs.replace(one, steady=one.round > 1)
    )
    warnings = summarize(run).configurations[0].warnings
    assert warnings == ("the warm-up of 2 of 6 visits met its ceiling before latency was steady",)


def test_a_drift_inside_visits_is_said_when_it_is_sure() -> None:
    def slowing(one: Visited) -> Visited:
        half = len(one.latencies_ns) // 2
        later = tuple(round(value * 1.1) for value in one.latencies_ns[half:])
        return msgspec.structs.replace(one, latencies_ns=one.latencies_ns[:half] + later)

    result = summarize(with_visits(Journal((Measured(),)).run(), slowing)).configurations[0]
    assert result.drift_inside is not None
    assert result.drift_inside.point == pytest.approx(1.1, rel=0.03)
    assert result.warnings == (
        f"latency drifts inside a visit: {result.drift_inside.point - 1:+.0%} from the first half to the "
        "second",
    )
    steady = summarize(Journal((Measured(),)).run()).configurations[0]
    assert steady.warnings == ()


def test_energy_is_per_image_and_unknown_where_any_visit_does_not_know() -> None:
    def drawing(one: Visited) -> Visited:
        conditions = msgspec.structs.replace(one.conditions, energy_j=86.0)
        return msgspec.structs.replace(one, conditions=conditions)

    run = Journal((changed(INT8, batch=2),)).run()
    result = summarize(with_visits(run, drawing)).configurations[0]
    # 1 request of warm-up, 40 in the window, 2 drained, of 2 images each: 86 J over 86 images
    assert result.energy_j is not None
    assert result.energy_j.point == pytest.approx(1.0)
    half = with_visits(run, lambda one: drawing(one) if one.round else one)
    assert summarize(half).configurations[0].energy_j is None


def test_memory_by_phase() -> None:
    result = summarize(Journal((Measured(memory_mb=400),)).run()).configurations[0]
    assert (result.compile_rss_mb, result.load_rss_mb, result.peak_rss_mb) == (320, 400, 400)


# ---------------------------------------------------------------- the run


def test_the_run() -> None:
    summary = summarize(nine(), name="quick-run")
    run = summary.run
    assert summary.host == HOST
    assert (run.id, run.model, run.reference) == ("quick-run", "googlenet-v4-tf", True)
    assert run.created == "2023-11-14T22:13:20+00:00"
    assert run.accuracy_of == "reference weights on synthetic images"
    assert (run.rounds, run.rounds_planned, run.complete) == (6, 6, True)
    assert run.noise_cv is not None and 0.03 < run.noise_cv < 0.06
    assert run.measuring_share is not None and 0.5 < run.measuring_share < 1
    assert summarize(nine()).run.id == "20231114-221320-googlenet-v4-tf"


def test_an_interrupted_run_counts_whole_rounds_and_no_pauses() -> None:
    journal = Journal((INT8, Measured(rounds=4)), finished=False, machine=STEADY)
    journal.run()
    before = journal.now
    journal.append(Started(pid=2), 86_400)
    journal.append(visited(INT8, 7, 0, 32, 2, sync=False))
    journal.append(visited(INT8, 8, 0, 32, 2, sync=False), 2)
    first = summarize(Journal((INT8, Measured(rounds=4)), finished=False, machine=STEADY).run()).run
    header = Journal((INT8,)).run().header
    whole = summarize(msgspec.structs.replace(nine(), header=header, entries=tuple(journal.entries))).run
    assert (first.rounds, first.complete) == (4, False)
    assert whole.wall_seconds == pytest.approx(first.wall_seconds + 2)
    assert journal.now - before > 86_400 * SECOND


def test_a_run_stopped_before_its_plan_is_empty() -> None:
    run = nine()
    summary = summarize(msgspec.structs.replace(run, entries=run.entries[:1]))
    assert summary.configurations == summary.baselines == ()
    assert (summary.run.rounds, summary.run.measuring_share, summary.run.canary) == (0, None, None)


def test_run_warnings() -> None:
    shaky = Journal((Measured(),), machine=(1.1, 1.0, 0.9, 0.8, 0.7, 0.6))
    missing = DeviceMissing(name="GPU", reason="no OpenCL", advice="install the driver")
    run = shaky.run()
    entries = list(run.entries)
    plan = entries[1].record
    assert isinstance(plan, Planned)
    planned = msgspec.structs.replace(plan, devices=(missing,))
    entries[1] = msgspec.structs.replace(entries[1], record=planned)
    found = summarize(msgspec.structs.replace(run, entries=tuple(entries))).run.warnings
    assert found[0] == "GPU is not available: no OpenCL; install the driver"
    assert found[1].startswith("the canary varied by 22%")
    assert found[2] == (
        "the canary drifted by -45% from the first round to the last: the machine changed under the sweep; "
        "ratios inside rounds still hold"
    )


def test_outliers_are_counted() -> None:
    found = of(Measured(factors=(1.0, 1.01, 0.99, 1.0, 1.01, 0.5)))
    assert found.outliers == 1


# ---------------------------------------------------------------- the JSON

CONFIGURATION_KEYS = {
    *("id", "device", "precision", "executed_precision", "executed_share", "batch", "streams", "threads"),
    *("requests", "requested", "throughput_fps", "latency_ms", "latency_sync_ms", "peak_rss_mb"),
    *("compile_ms", "first_inference_ms", "visits", "accuracy", "status", "reason"),
}
ACCURACY_KEYS = {
    *("top1", "top5", "images", "drop_pp", "drop_low", "drop_high", "gained", "lost", "p_value"),
    "agreement",
}


def test_the_json_has_the_promised_keys_and_reads_back() -> None:
    summary = summarize(nine())
    whole = document(summary, choose(summary, "throughput", Limits()))
    text = msgspec.json.encode(whole)
    found = msgspec.json.decode(text)
    promised = ["run", "host", "configurations", "baselines", "recommendation"]
    assert list(found) == [*promised, "layers", "rooflines", "placed"]
    assert set(found["configurations"][0]) >= CONFIGURATION_KEYS
    assert set(found["configurations"][0]["latency_ms"]) == {"p50", "p90", "p95", "p99", "mean", "n"}
    assert set(found["configurations"][0]["throughput_fps"]) == {"point", "low", "high"}
    assert set(found["configurations"][0]["accuracy"]) == ACCURACY_KEYS
    assert {"id", "reason", "gain", "properties", "rejected"} <= set(found["recommendation"])
    assert msgspec.json.decode(text, type=Document) == whole


def test_evaluations_of_the_journal_builder() -> None:
    assert evaluated("int8", "f32", 158, flipped=1).top5[0][0] == 9
    assert compiled(INT8).resolved == {"INFERENCE_PRECISION_HINT": "f32"}
    assert visited(INT8, 0, 0, 32, 2, sync=False).conditions == Conditions(
        other_load=None, steal=None, frequency_mhz=None, energy_j=None
    )


def test_a_configuration_that_was_given_up_is_never_recommended() -> None:
    journal = Journal((changed(INT8, rounds=1), changed(Measured(), rounds=1)))
    for _ in range(2):
        journal.append(Failed(subject=INT8.id, stage="visit", kind="crash", reason="killed by SIGSEGV"))
    summary = summarize(journal.run())
    lost = one(summary, INT8.id)
    assert lost.status == "failed"
    assert lost.reason == "given up: visit failed 2 times, last: killed by SIGSEGV"
    assert choose(summary, "throughput", Limits(accuracy_drop_pp=None)).id == Measured().id


def test_int8_that_is_slower_than_a_float_precision_is_warned_of() -> None:
    fast = Measured(precision="FP32", fps=30.0)
    slow = Measured(precision="INT8", fps=20.0)
    other_batch = Measured(precision="INT8", fps=20.0, batch=4)
    summary = summarize(Journal((fast, slow, other_batch)).run())
    warned = {one.id: one.warnings for one in summary.configurations}
    assert [text for text in warned["cpu-int8-b1-s1"] if "slower than FP32: 0.67" in text]
    assert not [text for text in warned["cpu-int8-b4-s1"] if "slower" in text], (
        "another batch, another question"
    )
    assert not [text for text in warned["cpu-fp32-b1-s1"] if "slower" in text]
    close = summarize(Journal((fast, Measured(precision="INT8", fps=30.0))).run())
    assert not [text for one in close.configurations for text in one.warnings if "slower" in text]


# ---------------------------------------------------------------- how a model file is fed


def fed(*measured: Measured, source: ModelFile, evaluations: tuple[Evaluated, ...] = ()) -> tuple[str, ...]:
    """Return the warnings of a run of a model file."""
    run = Journal(measured, evaluations).run()
    model = msgspec.structs.replace(run.header.model, source=source, reference=False)
    header = msgspec.structs.replace(run.header, model=model)
    return summarize(msgspec.structs.replace(run, header=header)).run.warnings


def test_a_model_file_that_nobody_said_how_to_feed_has_a_warning_where_images_matter() -> None:
    bare, shaped = ModelFile(path="/m.onnx"), ModelFile(path="/m.onnx", feeding=Feeding(shape=(1, 3, 8, 8)))
    reference = evaluated("fp32", "f32", 160)
    for source in (bare, shaped):
        for warnings in (
            fed(INT8, source=source),
            fed(Measured(), source=source, evaluations=(reference,)),
        ):
            assert [one for one in warnings if "nobody stated how googlenet-v4-tf takes its images" in one]
    assert fed(Measured(), source=bare) == ()  # FP32 alone and no accuracy: no image says anything.


@pytest.mark.parametrize(
    "feeding", [Feeding(mean=(127.5,)), Feeding(scale=(255.0,)), Feeding(color="BGR"), Feeding(layout="NCHW")]
)
def test_a_model_file_whose_feeding_is_stated_has_none(feeding: Feeding) -> None:
    assert fed(INT8, source=ModelFile(path="/m.onnx", feeding=feeding)) == ()


def test_a_published_file_and_a_built_in_model_have_none() -> None:
    run = Journal((INT8,)).run()
    assert summarize(run).run.warnings == ()
    model = msgspec.structs.replace(run.header.model, source=ModelFile(path="/m.pb"), published=True)
    published = msgspec.structs.replace(run, header=msgspec.structs.replace(run.header, model=model))
    assert summarize(published).run.warnings == ()


def test_a_run_that_is_not_finished_says_so_first_but_one_under_open_load_alone_cannot_be_resumed() -> None:
    run = Journal((INT8,), finished=False).run()
    assert summarize(run).run.warnings[0].startswith("unfinished: perftool sweep --resume RUN")
    not_planned = msgspec.structs.replace(run, entries=())
    assert summarize(not_planned).run.warnings[0].startswith("unfinished: ")
    entries = tuple(
        msgspec.structs.replace(one, record=msgspec.structs.replace(one.record, canary=""))
        if isinstance(one.record, Planned)
        else one
        for one in run.entries
    )
    assert summarize(msgspec.structs.replace(run, entries=entries)).run.warnings == ()
