"""Planning: what is measured, what is left out and why, and what is left to do of a run."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perftool.errors import DeviceMissingError, PerftoolError
from perftool.journal import Entry, Header, ModelIdentity, Planned, Record, Run
from perftool.machine import Conditions, Device, DeviceFound, DeviceMissing, HostInfo
from perftool.record import Compiled, Evaluated, Failed, Prepared, Visited
from perftool.spec import Closed, Explicit, Grid, Hint, Load, Policy, Profile, Sync
from perftool.sweep.plan import loads, plan
from perftool.sweep.profile import load_profile, shipped
from perftool.sweep.remaining import Evaluation, next_incarnation, planned, remaining
from perftool.sweep.rounds import VisitLeft, generation, order, visit_job

HOST = HostInfo(
    cpu="a CPU", isa=("avx2",), cores_usable=2, cores_physical=4, cores_logical=8, smt="on",
    memory_bytes=8 * 10**9, virtualisation="none", governor="unknown", turbo="unknown", kernel="6.1",
    python="3.11", openvino="2026.4.1", nncf="3.4.0", perftool="0.1.0",
)  # fmt: skip
GPU_MISSING = DeviceMissing(name="GPU", reason="no driver answers", advice="install the GPU driver")


def device(
    name: str = "CPU",
    capabilities: tuple[str, ...] = ("FP32", "INT8", "BF16"),
    streams: tuple[int, int] | None = (1, 2),
) -> DeviceFound:
    return DeviceFound(name=name, full_name=name, capabilities=capabilities, streams=streams, properties=())


def profile(*grids: Grid, **fields: object) -> Profile:
    made = Profile(name="test", grids=grids or (Grid(),))
    return msgspec.convert({**msgspec.to_builtins(made), **msgspec.to_builtins(fields)}, Profile)


def ids(result: Planned) -> list[str]:
    return [configuration.id for configuration in result.configurations]


def reasons(result: Planned) -> dict[str, str]:
    return {one.configuration.id: one.reason for one in result.left_out}


# ---------------------------------------------------------------- the plan


def test_quick_on_a_cpu_with_bf16() -> None:
    assert ids(plan(load_profile("quick"), HOST, (device(),))) == [
        "cpu-fp32-b1-s1", "cpu-fp32-b1-s2", "cpu-fp16-b1-s1", "cpu-fp16-b1-s2",
        "cpu-bf16-b1-s1", "cpu-bf16-b1-s2", "cpu-int8-b1-s1", "cpu-int8-b1-s2",
        "cpu-bf16-b4-s1", "cpu-int8-b4-s1",
        "cpu-baseline-latency", "cpu-baseline-throughput",
    ]  # fmt: skip


def test_every_property_is_stated() -> None:
    result = plan(profile(Grid(streams=(2,))), HOST, (device(),))
    settings = {c.precision: c.setting for c in result.configurations if not c.baseline}
    assert settings == {
        "FP32": Explicit(inference_precision="f32", streams=2, threads=2),
        "FP16": Explicit(inference_precision="f32", streams=2, threads=2),
        "BF16": Explicit(inference_precision="bf16", streams=2, threads=2),
        "INT8": Explicit(inference_precision="f32", streams=2, threads=2),
    }
    assert {c.requests for c in result.configurations if not c.baseline} == {2}


def test_fp16_executes_in_f16_where_the_device_lists_it() -> None:
    result = plan(profile(Grid(precisions=("FP16",))), HOST, (device(capabilities=("FP32", "FP16")),))
    assert result.configurations[0].setting == Explicit(inference_precision="f16", streams=1, threads=2)


def test_bf16_is_left_out_where_the_device_lacks_it() -> None:
    result = plan(profile(), HOST, (device(capabilities=("FP32", "INT8")),))
    assert reasons(result) == {
        "cpu-bf16-b1-s1": "CPU lists no BF16 among its capabilities (FP32, INT8)",
    }
    assert "cpu-fp16-b1-s1" in ids(result)


def test_streams_beyond_the_device_are_left_out_and_numbers_kept_where_it_has_no_range() -> None:
    grid = Grid(devices=("CPU", "AUTO"), precisions=("FP32",), streams=(2, 3, "auto"))
    result = plan(profile(grid), HOST, (device(), device("AUTO", streams=None)))
    assert reasons(result) == {"cpu-fp32-b1-s3": "CPU takes 1 to 2 streams, not 3"}
    assert ids(result)[:5] == [
        "cpu-fp32-b1-s2", "cpu-fp32-b1-sauto", "auto-fp32-b1-s2", "auto-fp32-b1-s3", "auto-fp32-b1-sauto",
    ]  # fmt: skip


def test_threads_beyond_the_usable_cores_are_left_out() -> None:
    result = plan(profile(Grid(precisions=("FP32",), threads=("auto", 1, 3))), HOST, (device(),))
    assert reasons(result) == {"cpu-fp32-b1-s1-t3": "3 threads are more than the 2 cores that can be used"}
    assert ids(result)[:2] == ["cpu-fp32-b1-s1", "cpu-fp32-b1-s1-t1"]


def test_streams_have_a_thread_each_or_are_left_out() -> None:
    smt = msgspec.structs.replace(HOST, cores_physical=1)
    grid = Grid(precisions=("FP32",), streams=(1, 2, "auto"), threads=("auto", 1))
    result = plan(profile(grid), smt, (device(),))
    threads = {c.id: c.setting.threads for c in result.configurations if isinstance(c.setting, Explicit)}
    assert threads == {"cpu-fp32-b1-s1": 1, "cpu-fp32-b1-s2": 2, "cpu-fp32-b1-sauto": 1}
    assert reasons(result) == {"cpu-fp32-b1-s2-t1": "2 streams need as many threads, and there are 1"}
    quota = msgspec.structs.replace(HOST, cores_usable=1)
    assert "cpu-fp32-b1-s2" in reasons(plan(profile(grid), quota, (device(),)))


def test_equal_configurations_are_planned_once() -> None:
    grid = Grid(devices=("CPU", "CPU"), precisions=("FP32",), batches=(1, 1, 2), threads=("auto", 2))
    result = plan(profile(grid, grid), HOST, (device(),))
    assert [one for one in ids(result) if "baseline" not in one] == ["cpu-fp32-b1-s1", "cpu-fp32-b2-s1"]
    assert not result.left_out


def test_the_baselines_set_a_hint_and_nothing_else() -> None:
    result = plan(profile(), HOST, (device(),))
    baselines = [c for c in result.configurations if c.baseline]
    assert [c.setting for c in baselines] == [Hint(mode="LATENCY"), Hint(mode="THROUGHPUT")]
    for baseline in baselines:
        assert (baseline.precision, baseline.requests, baseline.batch) == ("default", "auto", 1)
    assert result.canary == "cpu-baseline-latency"


def test_a_missing_device_is_left_out_with_advice() -> None:
    grid = Grid(devices=("GPU", "CPU"), precisions=("FP32",))
    result = plan(profile(grid), HOST, (GPU_MISSING, device()))
    assert reasons(result) == dict.fromkeys(
        ("gpu-fp32-b1-s1", "gpu-baseline-latency", "gpu-baseline-throughput"),
        "GPU is missing: no driver answers; install the GPU driver",
    )
    assert result.canary == "cpu-baseline-latency"
    assert result.devices == (GPU_MISSING, device())


def test_all_devices_missing_is_an_error() -> None:
    grid = Grid(devices=("GPU", "NPU"))
    with pytest.raises(DeviceMissingError) as caught:
        plan(profile(grid), HOST, (GPU_MISSING,))
    assert str(caught.value) == (
        "GPU is missing: no driver answers; install the GPU driver; NPU is missing: it was not probed"
    )


def test_a_batch_device_gets_whole_batches_of_requests() -> None:
    grid = Grid(
        devices=("BATCH:CPU(4)", "BATCH:CPU"), precisions=("FP32",), batches=(1, 2), streams=(1, 2, "auto")
    )
    asked = profile(grid, loads=("closed", "sync"))
    result = plan(asked, HOST, (device("BATCH:CPU(4)", streams=None), device("BATCH:CPU", streams=None)))
    requests = {c.id: c.requests for c in result.configurations}
    assert requests["batch-cpu-4-fp32-b1-s1"] == 4
    assert requests["batch-cpu-4-fp32-b1-s2"] == 8
    assert requests["batch-cpu-4-fp32-b1-sauto"] == "auto"
    assert requests["batch-cpu-fp32-b1-s2"] == "auto"
    assert requests["batch-cpu-4-baseline-latency"] == "auto"
    assert reasons(result)["batch-cpu-4-fp32-b2-s1"] == (
        "BATCH:CPU(4) gathers single images, and leaves a model of batch 2 as it is"
    )
    for configuration in result.configurations:
        assert loads(configuration, asked) == (Closed(),)


def test_devices_that_look_alike_get_different_ids() -> None:
    names = ("AUTO:CPU", "AUTO:-CPU", "GPU.1", "GPU-1", "::")
    grid = Grid(devices=names, precisions=("FP32",))
    result = plan(profile(grid), HOST, tuple(device(name, streams=None) for name in names))
    assert len(set(ids(result))) == len(result.configurations) == 15
    assert all(set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_") for one in ids(result))


@pytest.mark.parametrize("name", shipped())
def test_shipped_profiles_plan_with_unique_ids(name: str) -> None:
    result = plan(load_profile(name), HOST, (device(),))
    every = ids(result) + list(reasons(result))
    assert len(set(every)) == len(every)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Grid,
            devices=st.lists(st.sampled_from(["CPU", "GPU", "AUTO", "BATCH:CPU(4)"]), max_size=3).map(tuple),
            precisions=st.lists(st.sampled_from(["FP32", "FP16", "BF16", "INT8"]), max_size=3).map(tuple),
            batches=st.lists(st.integers(1, 3), max_size=3).map(tuple),
            streams=st.lists(st.integers(1, 3) | st.just("auto"), max_size=3).map(tuple),
            threads=st.lists(st.integers(1, 3) | st.just("auto"), max_size=3).map(tuple),
        ),
        max_size=3,
    )
)
def test_ids_are_unique_and_configurations_too(grids: list[Grid]) -> None:
    devices: tuple[Device, ...] = (
        device(),
        device("AUTO", streams=None),
        device("BATCH:CPU(4)", streams=None),
        GPU_MISSING,
    )
    result = plan(profile(Grid(), *grids), HOST, devices)
    every = [*result.configurations, *(one.configuration for one in result.left_out)]
    assert len({c.id for c in every}) == len(every)
    assert len({msgspec.structs.replace(c, id="") for c in every}) == len(every)
    for configuration in result.configurations:
        if configuration.device.startswith("BATCH"):
            assert configuration.requests == "auto" or configuration.requests >= 4


def test_sync_is_measured_where_it_says_more_than_closed() -> None:
    result = plan(profile(Grid(precisions=("FP32",), streams=(1, 2))), HOST, (device(),))
    one, two, baseline, _ = result.configurations
    assert loads(one, profile(loads=("sync",))) == (Closed(),)
    assert loads(two, profile(loads=("sync",))) == (Closed(), Sync())
    assert loads(baseline, profile(loads=("sync", "closed"))) == (Closed(), Sync())
    assert loads(two, profile()) == (Closed(),)
    assert loads(two, profile(objective="latency")) == (Closed(), Sync())


# ---------------------------------------------------------------- what is left to do

SMALL = profile(
    Grid(precisions=("FP32", "BF16", "INT8"), streams=(2,)),
    loads=("closed", "sync"),
    policy=Policy(rounds=4, incarnations=2),
)


def run_of(*records: Record, of: Profile = SMALL) -> Run:
    header = Header(
        format=1,
        created_ns=0,
        profile=of,
        model=ModelIdentity(name="m", source=of.model, digest="0", reference=True, published=False),
        host=HOST,
    )
    made = plan(of, HOST, (device(),))
    return Run(header=header, entries=tuple(Entry(at_ns=0, record=r) for r in (made, *records)))


def prepared(weight_format: str) -> Prepared:
    fields = {"weight_format": weight_format, "path": "x", "key": "k", "cached": False, "duration_ns": 1}
    fields |= {"file_bytes": 1, "calibration_images": 1, "peak_rss_bytes": 1, "comes_quantized": False}
    return msgspec.convert(fields, Prepared)


def visited(visit: VisitLeft) -> Visited:
    return Visited(
        configuration=visit.configuration.id, incarnation=0, round=visit.round, position=visit.position,
        load=visit.load, batch=1, requests=1, warmup_ns=(), steady=True, latencies_ns=(1,), window_ns=1,
        load_rss_bytes=1, peak_rss_bytes=1,
        conditions=Conditions(other_load=None, steal=None, frequency_mhz=None, energy_j=None),
    )  # fmt: skip


def compiled(configuration: str, incarnation: int = 0, precision: str | None = "bf16") -> Compiled:
    resolved = {} if precision is None else {"INFERENCE_PRECISION_HINT": precision}
    return Compiled(
        configuration=configuration, incarnation=incarnation, pid=1, requested={}, resolved=resolved,
        streams=1, threads=1, requests=1, executed=(), compile_ns=1, first_inference_ns=1,
        loaded_from_cache=False, compile_rss_bytes=1,
        peak_rss_bytes=1,
    )  # fmt: skip


def evaluated(evaluation: Evaluation, executed: str | None = None) -> Evaluated:
    setting = evaluation.setting
    asked = setting.inference_precision if isinstance(setting, Explicit) else "unknown"
    return Evaluated(
        precision=evaluation.precision, weight_format=evaluation.weight_format, device=evaluation.device,
        inference_precision=executed or asked, images="i", label_offset=0, label_note="", labels=(), top5=(),
        left_out=(), faults=None, reused=0, duration_ns=1,
    )  # fmt: skip


def failed(subject: str, stage: str = "visit", reason: str = "killed by signal 9") -> Failed:
    return msgspec.convert(
        {"type": "failed", "subject": subject, "stage": stage, "kind": "crash", "reason": reason}, Failed
    )


def key(visit: VisitLeft) -> tuple[str, Load]:
    return visit.configuration.id, visit.load


def test_everything_is_left_at_the_start() -> None:
    left = remaining(run_of())
    assert left.prepare == ("fp32", "int8")
    assert [e.subject for e in left.evaluations] == [
        "fp32 on CPU in f32",
        "fp32 on CPU in bf16",
        "int8 on CPU in f32",
    ]
    assert [len(visits) for visits in left.rounds] == [10] * 4
    assert not left.given_up
    assert not left.nothing


def test_a_round_visits_everything_once_per_load_in_fresh_order() -> None:
    rounds = remaining(run_of()).rounds
    assert len({frozenset(map(key, visits)) for visits in rounds}) == 1
    assert len({tuple(map(key, visits)) for visits in rounds}) == 4
    for visits in rounds:
        assert [visit.position for visit in visits] == list(range(10))
        assert len(set(map(key, visits))) == 10
        names = [visit.configuration.id for visit in visits]
        assert names[::2] == names[1::2], "the loads of a configuration follow each other"


def test_the_order_is_the_seeds() -> None:
    configurations = plan(SMALL, HOST, (device(),)).configurations
    assert order(configurations, SMALL, 2) == order(configurations, SMALL, 2)
    other = msgspec.structs.replace(SMALL, seed=1)
    assert order(configurations, SMALL, 2) != order(configurations, other, 2)


def test_generations_share_the_rounds() -> None:
    assert [generation(number, Policy(rounds=6, incarnations=2)) for number in range(6)] == [0, 0, 0, 1, 1, 1]
    assert [generation(number, Policy(rounds=2, incarnations=5)) for number in range(2)] == [0, 2]
    assert [visits[0].generation for visits in remaining(run_of()).rounds] == [0, 0, 1, 1]


def test_only_what_is_not_recorded_is_left_and_keeps_its_place() -> None:
    before = remaining(run_of()).rounds
    done = [*before[0], *before[1][:3]]
    after = remaining(run_of(*map(visited, done))).rounds
    assert after == (before[1][3:], *before[2:])


def test_a_run_done_leaves_nothing() -> None:
    start = remaining(run_of())
    done = [visited(visit) for visits in start.rounds for visit in visits]
    evaluations = [evaluated(evaluation) for evaluation in start.evaluations]
    baselines = [compiled("cpu-baseline-latency"), compiled("cpu-baseline-throughput")]
    left = remaining(run_of(*done, *evaluations, *baselines))
    assert left.nothing
    assert left.prepare == ()


def test_what_is_prepared_is_not_prepared_again() -> None:
    assert remaining(run_of(prepared("fp32"))).prepare == ("int8",)


def test_the_reference_is_evaluated_where_it_is_not_swept() -> None:
    only = profile(Grid(precisions=("INT8",)))
    assert [e.subject for e in remaining(run_of(of=only)).evaluations] == [
        "fp32 on CPU in f32", "int8 on CPU in f32",
    ]  # fmt: skip


def test_a_baseline_is_evaluated_only_where_its_precision_was_not() -> None:
    only = profile(Grid(precisions=("FP32",)))
    start = remaining(run_of(of=only))
    assert [e.subject for e in start.evaluations] == ["fp32 on CPU in f32"]
    reference = evaluated(start.evaluations[0])
    assert remaining(run_of(reference, compiled("cpu-baseline-latency", 0, "f32"), of=only)).evaluations == ()
    records = (reference, compiled("cpu-baseline-latency"), compiled("cpu-baseline-throughput"))
    left = remaining(run_of(*records, of=only)).evaluations
    assert [(e.subject, e.precision, e.setting) for e in left] == [
        ("fp32 on CPU in bf16", "default", Hint(mode="LATENCY"))
    ]
    assert remaining(run_of(*records, evaluated(left[0], "bf16"), of=only)).evaluations == ()


def test_a_baseline_that_tells_no_precision_is_evaluated_once() -> None:
    only = profile(Grid(precisions=("FP32",)))
    records = (compiled("cpu-baseline-latency", 0, None), compiled("cpu-baseline-throughput", 0, None))
    left = remaining(run_of(*records, of=only)).evaluations
    assert [e.subject for e in left] == ["fp32 on CPU in f32", "fp32 on CPU in the default precision"]
    done = [evaluated(evaluation, "unknown") for evaluation in left]
    assert remaining(run_of(*records, *done, of=only)).evaluations == ()


def test_a_precision_that_resolved_to_another_is_not_asked_for_ever() -> None:
    start = remaining(run_of())
    done = [evaluated(evaluation, "f32") for evaluation in start.evaluations]
    assert remaining(run_of(*done)).evaluations == ()


def test_an_evaluation_that_failed_twice_is_given_up() -> None:
    subject = remaining(run_of()).evaluations[0].subject
    once = remaining(run_of(failed(subject, "evaluate")))
    twice = remaining(run_of(failed(subject, "evaluate"), failed(subject, "evaluate")))
    assert subject in [e.subject for e in once.evaluations]
    assert subject not in [e.subject for e in twice.evaluations]
    assert not twice.given_up


def test_a_configuration_may_fail_once_and_is_given_up_the_second_time() -> None:
    name = "cpu-int8-b1-s2"
    once = remaining(run_of(failed(name)))
    assert any(visit.configuration.id == name for visit in once.rounds[0])
    twice = remaining(run_of(failed(name), failed(name, "compile", "out of memory")))
    assert not any(visit.configuration.id == name for visits in twice.rounds for visit in visits)
    assert [(one.configuration, one.reason) for one in twice.given_up] == [
        (name, "failed 2 times, last: out of memory")
    ]
    assert [visit.position for visit in twice.rounds[0]] != list(range(8)), "places in a round stay"


def test_a_format_that_cannot_be_prepared_gives_up_its_configurations() -> None:
    left = remaining(run_of(failed("int8", "prepare", "disk full")))
    assert [(one.configuration, one.reason) for one in left.given_up] == [
        ("cpu-int8-b1-s2", "int8 not prepared: disk full")
    ]
    assert left.prepare == ("fp32",)
    assert "int8 on CPU in f32" not in [e.subject for e in left.evaluations]
    again = remaining(run_of(failed("int8", "prepare", "disk full"), prepared("int8")))
    assert not again.given_up


def test_every_process_gets_the_next_number() -> None:
    entries = run_of(compiled("a", 0), compiled("b", 4), compiled("a", 1)).entries
    assert [next_incarnation(entries, name) for name in "abc"] == [2, 5, 0]


def test_a_visit_becomes_a_job() -> None:
    visit = remaining(run_of()).rounds[1][3]
    job = visit_job(visit, SMALL.policy)
    assert (job.load, job.round, job.position, job.visit_seconds) == (visit.load, 1, 3, 2.0)


def test_a_run_without_a_plan_says_so() -> None:
    run = Run(header=run_of().header, entries=())
    assert planned(run) is None
    with pytest.raises(PerftoolError, match="no plan"):
        remaining(run)


def test_a_model_that_comes_quantized_is_measured_once() -> None:
    grid = Grid(precisions=("FP32", "FP16", "BF16", "INT8"))
    result = plan(profile(grid), HOST, (device(),), comes_quantized=True)
    explicit = [one.precision for one in result.configurations if not one.baseline]
    assert explicit == ["BF16", "INT8"]
    reasons = {left.configuration.precision: left.reason for left in result.left_out}
    assert "comes quantized" in reasons["FP32"] and "comes quantized" in reasons["FP16"]
    alone = plan(profile(Grid(precisions=("FP32",))), HOST, (device(),), comes_quantized=True)
    assert [one.precision for one in alone.configurations if not one.baseline] == ["FP32"]
