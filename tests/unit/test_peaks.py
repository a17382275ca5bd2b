"""Peaks: bursts of repetitions, caches of a machine, and which devices a run has still to measure."""

import time
from itertools import cycle
from pathlib import Path

import msgspec
import openvino as ov
import pytest
from journals import Journal, Measured
from peaks import QUIET, measured, memory, peak

from perftool.bench.chains import LAYERS
from perftool.bench.engine import FakeFlight
from perftool.bench.isolate import Watch
from perftool.bench.peaks import (
    LEAST_CACHE_BYTES,
    Arrangement,
    array_bytes,
    kernel,
    last_level_cache_bytes,
    moved_bytes,
    repeat,
)
from perftool.errors import PerftoolError
from perftool.job import Job
from perftool.journal import Entry, Planned, Record, Run, Started
from perftool.machine import DeviceFound, DeviceMissing
from perftool.record import Answer, Failed, PeaksMeasured
from perftool.spec import Policy
from perftool.sweep import peaks as module
from perftool.sweep.pace import PEAKS_OVER_SECONDS, seconds_left
from perftool.sweep.peaks import peaks_left, usable

CPU = DeviceFound(
    name="CPU", full_name="a CPU", capabilities=("FP32",), streams=(1, 2), properties=("NUM_STREAMS",)
)
AUTO = msgspec.structs.replace(CPU, name="AUTO")
GPU = DeviceMissing(name="GPU", reason="no driver", advice="install it")
LOST = Failed(subject="CPU", stage="peaks", kind="crash", reason="killed by SIGILL")


# ---------------------------------------------------------------- bursts


@pytest.mark.parametrize("requests", [1, 2, 4])
def test_a_repetition_is_one_completion_of_each_request_and_the_first_counts_nowhere(requests: int) -> None:
    slow_at_first = iter([10**9] * requests + [10**6] * 10**4)
    times = repeat(FakeFlight(slow_at_first, requests), requests, 10**9 + 8 * 10**6)
    assert times == (10**6,) * len(times)
    assert len(times) == 8


def test_a_burst_has_a_repetition_however_slow_the_kernel_is() -> None:
    assert repeat(FakeFlight(cycle([10**9]), 1), 1, 1) == (10**9,)


def test_work_is_two_operations_for_each_multiply_add_of_all_requests() -> None:
    for streams in (1, 2):
        found = kernel(ov.Core(), "CPU", "matmul", "f32", Arrangement(streams=streams, threads=2))
        rows = 256 * 2 // streams
        assert found.requests == streams
        assert found.work == streams * 2 * rows * 768 * 768 * LAYERS["f32"], "the same work, shared out"
    found = kernel(ov.Core(), "CPU", "convolution", "f32", Arrangement(streams=1, threads=1))
    assert found.work == 2 * 20 * 20 * 256 * 256 * 9 * LAYERS["f32"]


def test_memory_is_read_once_and_written_once() -> None:
    assert moved_bytes((3, 768)) == 2 * 4 * 3 * 768


# ---------------------------------------------------------------- the caches


def cache(root: Path, processor: int, index: int, level: int, size: str, shared: str) -> None:
    folder = root / f"sys/devices/system/cpu/cpu{processor}/cache/index{index}"
    folder.mkdir(parents=True)
    for name, text in (("level", str(level)), ("size", size), ("shared_cpu_list", shared)):
        (folder / name).write_text(f"{text}\n")


def allowed(root: Path, processors: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/status").write_text(f"Cpus_allowed_list:\t{processors}\n")
    return root


def test_a_last_level_cache_counts_once_for_all_that_share_it(tmp_path: Path) -> None:
    root = allowed(tmp_path, "0-3")
    for processor in range(4):
        cache(root, processor, 0, 1, "48K", str(processor))
        cache(root, processor, 3, 3, "32768K", "0-1" if processor < 2 else "2-3")
    assert last_level_cache_bytes(root) == 2 * 32 * 2**20


def test_caches_of_processors_that_may_not_be_used_do_not_count(tmp_path: Path) -> None:
    root = allowed(tmp_path, "0")
    for processor in range(2):
        cache(root, processor, 2, 2, "1M", str(processor))
    assert last_level_cache_bytes(root) == 2**20


def test_a_machine_that_says_nothing_of_its_caches_has_none(tmp_path: Path) -> None:
    assert last_level_cache_bytes(allowed(tmp_path, "0-1")) == 0


@pytest.mark.parametrize("caches", [0, 2**20, 64 * 2**20])
def test_the_memory_kernel_never_fits_into_the_caches(caches: int) -> None:
    taken = max(caches, LEAST_CACHE_BYTES)
    assert 2 * array_bytes(caches, 2**40) == 4 * taken
    enough = 8 * taken  # A quarter of the free memory may be used.
    assert 2 * array_bytes(caches, enough) == 2 * taken
    with pytest.raises(PerftoolError, match=r"^not enough memory to measure the bandwidth: \d+ MB are free"):
        array_bytes(caches, enough - 2**20)


# ---------------------------------------------------------------- what is left


def run_of(*records: Record, seconds: float = 10.0, devices: tuple[str, ...] = ("CPU",)) -> Run:
    journal = Journal(tuple(Measured(device=device) for device in devices))
    run = journal.run(policy=Policy(peak_seconds=seconds))
    entries = list(run.entries)
    plan = entries[1].record
    assert isinstance(plan, Planned)
    entries[1] = msgspec.structs.replace(
        entries[1], record=msgspec.structs.replace(plan, devices=(CPU, AUTO, GPU))
    )
    more = tuple(Entry(at_ns=entries[-1].at_ns, record=one) for one in records)
    return msgspec.structs.replace(run, entries=(*entries, *more))


def names(run: Run) -> list[str]:
    return [device.name for device in peaks_left(run)]


def test_each_device_is_measured_once_in_a_run_however_often_it_is_resumed() -> None:
    assert names(run_of()) == ["CPU"]
    assert names(run_of(measured())) == []
    assert names(run_of(measured(), Started(pid=2))) == []
    assert names(run_of(LOST, Started(pid=2), measured(), Started(pid=3))) == []


def test_virtual_devices_and_those_that_no_configuration_uses_are_left_out() -> None:
    assert names(run_of(devices=("AUTO",))) == []
    assert names(run_of(devices=("AUTO", "CPU"))) == ["CPU"]


def test_a_failure_is_tried_again_by_a_resumed_run_and_given_up_after_two() -> None:
    assert names(run_of(LOST)) == []
    assert names(run_of(LOST, Started(pid=2))) == ["CPU"]
    assert names(run_of(LOST, Started(pid=2), LOST, Started(pid=3))) == []


def test_peaks_that_make_no_roofline_are_a_failure_that_says_so() -> None:
    assert usable(measured()) == measured()
    unknown = (peak(200.0, "f16+unknown"), peak(210.0, "unknown"), memory())
    found = usable(msgspec.structs.replace(measured(), peaks=unknown))
    assert isinstance(found, Failed)
    assert (found.stage, found.subject, found.kind) == ("peaks", "CPU", "error")
    assert "no roofline" in found.reason


def test_a_child_may_be_silent_for_as_long_as_it_is_given_and_useless_peaks_are_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    patience = []

    def answer(job: Job, output: Path, stall_seconds: float, watch: Watch) -> Answer:
        patience.append(stall_seconds)
        return measured({"unknown": 200.0})

    monkeypatch.setattr(module, "ask_once", answer)
    assert isinstance(module.peaks_of(CPU, 1200.0, tmp_path / "log"), Failed)
    assert patience[0] > 1200
    assert not module.path_of(CPU, 1200.0).exists()


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([LOST, measured({"f32": 200.0})], 2),
        ([LOST, LOST], 2),
        ([msgspec.structs.replace(LOST, kind="timeout")], 1),
    ],
)
def test_a_child_that_crashes_gets_a_second_one_and_no_third(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: list[Answer], asked: int
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    given = iter(answers)
    made: list[Answer] = []

    def answer(job: Job, output: Path, stall_seconds: float, watch: Watch) -> Answer:
        made.append(next(given))
        return made[-1]

    monkeypatch.setattr(module, "ask_once", answer)
    assert module.peaks_of(CPU, 1.0, tmp_path / "log") == answers[-1]
    assert len(made) == asked


@pytest.mark.parametrize(
    ("age_days", "busy", "disturbed_do", "used"),
    [
        (6.9, False, False, True),
        (7.1, False, False, False),
        (-0.1, False, False, False),
        (0.03, True, True, True),
        (0.05, True, True, False),
        (0.03, True, False, False),
    ],
)
def test_peaks_are_believed_for_a_week_and_disturbed_ones_for_an_hour_by_who_asks_for_no_better(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    age_days: float,
    busy: bool,
    disturbed_do: bool,
    used: bool,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    conditions = msgspec.structs.replace(QUIET, other_load=0.5 if busy else 0.0)
    then = time.time_ns() - round(age_days * 86_400e9)
    old = msgspec.structs.replace(measured(conditions=conditions), measured_ns=then)
    fresh = msgspec.structs.replace(measured(conditions=conditions), measured_ns=time.time_ns())
    module.keep(module.path_of(CPU, 1.0), old)
    monkeypatch.setattr(module, "ask_once", lambda *_: fresh)
    found = module.peaks_of(CPU, 1.0, tmp_path / "log", disturbed_do=disturbed_do)
    assert found == (old if used else fresh)
    assert msgspec.json.decode(module.path_of(CPU, 1.0).read_bytes(), type=PeaksMeasured) == found


def test_no_seconds_turn_it_off() -> None:
    assert names(run_of(seconds=0.0)) == []


def test_the_time_left_knows_of_it() -> None:
    ahead, behind = run_of(), run_of(measured())
    assert seconds_left(ahead) - seconds_left(behind) == pytest.approx(10.0 * PEAKS_OVER_SECONDS)
