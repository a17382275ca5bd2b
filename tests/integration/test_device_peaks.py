"""Peaks on the real runtime: what kernels really ran in, the cache, and the journal of a sweep."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import openvino as ov
import pytest
from recorded import records

from perftool.analysis.evidence import disturbed
from perftool.analysis.roofline import roofline
from perftool.bench import peaks as bench
from perftool.bench.chains import convolution_chain, matmul_chain
from perftool.bench.isolate import ask_once
from perftool.bench.openvino_engine import compile_model
from perftool.job import MeasurePeaks
from perftool.machine import Conditions, DeviceFound
from perftool.model.complexity import describe
from perftool.record import Compiled, Failed, PeaksMeasured
from perftool.spec import Explicit
from perftool.sweep.peaks import keep, path_of, peaks_of
from perftool.sweep.store import read

Command = Callable[..., "subprocess.CompletedProcess[str]"]

SECONDS = 0.5
QUIET = Conditions(other_load=0.0, steal=0.0, frequency_mhz=None, energy_j=None)
CHAINS = {"matmul": matmul_chain, "convolution": convolution_chain}


@pytest.fixture(scope="module")
def capabilities() -> frozenset[str]:
    return frozenset(ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


CPU = DeviceFound(name="CPU", full_name="this CPU", capabilities=(), streams=None, properties=())


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DeviceFound:
    """Return the CPU, with an empty cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return CPU


def test_every_precision_that_the_device_lists_is_measured_by_both_kernels(
    peaks: PeaksMeasured, capabilities: frozenset[str]
) -> None:
    asked = {(one.kernel, one.precision) for one in peaks.peaks}
    wanted = {name for name, (capability, _) in bench.ASKED.items() if capability in capabilities} | {"f32"}
    assert asked == {(kind, name) for kind in CHAINS for name in wanted} | {("memory", "")}
    for one in peaks.peaks:
        assert len(one.times_ns) == bench.BURSTS
        assert all(burst and min(burst) > 0 for burst in one.times_ns)
        assert one.work > 0


def test_the_ceilings_are_in_the_order_of_the_precisions(peaks: PeaksMeasured) -> None:
    limits = roofline(peaks)
    ceilings = {one.precision: one.gflops.point for one in limits.ceilings}
    assert ceilings["f32"] > 1 and limits.bandwidth_gb_s.point > 0.1
    if "avx512_vnni" in Path("/proc/cpuinfo").read_text():
        assert ceilings["int8"] > 1.5 * ceilings["f32"], "VNNI multiplies four times as many"


def test_peaks_are_of_now(peaks: PeaksMeasured) -> None:
    assert 0 <= time.time() - peaks.measured_ns / 1e9 < 3600


def test_the_scale_is_that_of_another_library_on_this_machine(peaks: PeaksMeasured) -> None:
    """No less than half of what numpy reaches right beside, whose matmul takes all cores, and its copy one.

    How much less numpy may reach depends on who else works here: from above, the scale is held by counting
    the work (tests/unit/test_peaks.py).
    """
    limits = roofline(peaks)
    if limits.disturbed:
        pytest.skip("the peaks were measured beside other work")
    ceiling = next(one.gflops.point for one in limits.ceilings if one.precision == "f32")
    side, array = 1024, np.ones(64 * 2**20, np.float32)
    matrix, copy = np.ones((side, side), np.float32), np.empty_like(array)
    sgemm = 2 * side**3 / min(seconds_of(lambda: matrix @ matrix)) / 1e9
    copying = 2 * array.nbytes / min(seconds_of(lambda: np.copyto(copy, array))) / 1e9
    assert ceiling > 0.5 * sgemm
    assert limits.bandwidth_gb_s.point > 0.5 * copying


def seconds_of(action: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(8):
        before = time.perf_counter()
        action()
        times.append(time.perf_counter() - before)
    return times


@pytest.mark.parametrize("kind", CHAINS)
def test_int8_ceilings_come_from_int8_kernels(
    peaks: PeaksMeasured, kind: str, capabilities: frozenset[str]
) -> None:
    if "INT8" not in capabilities:
        pytest.skip("this CPU lists no INT8")
    assert {one.executed for one in peaks.peaks if (one.kernel, one.precision) == (kind, "int8")} == {"int8"}
    assert {one.executed for one in peaks.peaks if (one.kernel, one.precision) == (kind, "f32")} == {"f32"}


@pytest.mark.parametrize("kind", CHAINS)
def test_a_kernel_that_falls_back_is_recorded_as_what_it_ran_in(
    kind: str, capabilities: frozenset[str]
) -> None:
    if "FP16" in capabilities:
        pytest.skip("this CPU computes in f16")
    model = CHAINS[kind]("f16", 1)
    setting = Explicit(inference_precision="f16", streams=1, threads=1)
    compiled, _ = compile_model(ov.Core(), model, "CPU", setting)
    ran = bench.executed(compiled, describe(model, name=kind, origin=kind).layers)
    assert ran in ("f32", "bf16"), "asked for f16, and no f16"


def test_a_device_that_is_not_there_is_a_failure_that_names_it(tmp_path: Path) -> None:
    answer = ask_once(MeasurePeaks(device="FOO", seconds=SECONDS), tmp_path / "log", 60)
    assert isinstance(answer, Failed)
    assert (answer.stage, answer.subject, answer.kind) == ("peaks", "FOO", "device_missing")


# ---------------------------------------------------------------- the cache


def test_what_was_measured_is_not_measured_again(
    device: DeviceFound, peaks: PeaksMeasured, tmp_path: Path
) -> None:
    quiet = msgspec.structs.replace(peaks, conditions=QUIET)
    keep(path_of(device, SECONDS), quiet)
    nowhere = tmp_path / "no folder" / "log"  # No child could be started with it.
    assert peaks_of(device, SECONDS, nowhere) == quiet
    with pytest.raises(FileNotFoundError):
        peaks_of(device, 2 * SECONDS, nowhere)
    with pytest.raises(FileNotFoundError):
        peaks_of(msgspec.structs.replace(device, full_name="another CPU"), SECONDS, nowhere)


@pytest.mark.parametrize("damage", ["", "{", '{"type": "peaks_measured"}', "\udcff", "old", "empty"])
def test_a_damaged_or_old_file_counts_as_none(
    device: DeviceFound, peaks: PeaksMeasured, tmp_path: Path, damage: str
) -> None:
    path = path_of(device, SECONDS)
    keep(path, msgspec.structs.replace(peaks, conditions=QUIET))
    odd = {
        "old": msgspec.json.encode(msgspec.structs.replace(peaks, measured_ns=1)),
        "empty": msgspec.json.encode(msgspec.structs.replace(peaks, peaks=())),
    }
    path.write_bytes(odd.get(damage, damage.encode("utf-8", "surrogateescape")))
    with pytest.raises(FileNotFoundError):
        peaks_of(device, SECONDS, tmp_path / "no folder" / "log")


def test_a_damaged_file_is_measured_again_and_replaced(device: DeviceFound, tmp_path: Path) -> None:
    path = path_of(device, SECONDS)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x00torn")
    answer = peaks_of(device, SECONDS, tmp_path / "log")
    assert isinstance(answer, PeaksMeasured)
    assert msgspec.json.decode(path.read_bytes(), type=PeaksMeasured) == answer


@pytest.fixture
def busy() -> Iterator[None]:
    """Keep every core busy with something else, for a minute at the most."""
    spin = "import signal\nsignal.alarm(60)\nwhile True: pass"
    processes = [subprocess.Popen([sys.executable, "-c", spin]) for _ in os.sched_getaffinity(0)]
    yield
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("busy")
def test_disturbed_peaks_are_used_and_kept_for_who_asks_for_no_better(
    device: DeviceFound, tmp_path: Path
) -> None:
    answer = peaks_of(device, SECONDS, tmp_path / "log")
    assert isinstance(answer, PeaksMeasured)
    assert disturbed(answer) and roofline(answer).disturbed
    nowhere = tmp_path / "no folder" / "log"  # No child could be started with it.
    assert peaks_of(device, SECONDS, nowhere, disturbed_do=True) == answer
    with pytest.raises(FileNotFoundError):
        peaks_of(device, SECONDS, nowhere)


# ---------------------------------------------------------------- a sweep


def test_a_sweep_measures_once_and_shows_what_it_means(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"], here: Command
) -> None:
    folder, done = finished
    run = read(folder)
    (peaks,) = records(run, PeaksMeasured)
    assert peaks.device == "CPU"
    assert all(one.bytes for compiled in records(run, Compiled) for one in compiled.executed)
    document = json.loads((folder / "results.json").read_text())
    placed = {one["id"] for one in document["placed"]}
    everything = (*document["configurations"], *document["baselines"])
    assert placed == {one["id"] for one in everything if one["status"] == "ok"}
    assert all(one["of_limit"]["low"] <= one["of_limit"]["point"] for one in everything if one["of_limit"])
    assert "of limit" in done.stdout and "limits of CPU" in done.stdout
    assert (folder / "plots" / "roofline.png").stat().st_size > 0
    chosen = here("recommend", folder, "--limit", "of_limit >= 0.001 %", "--json")
    assert chosen.returncode == 0, chosen.stderr


def test_a_resumed_sweep_does_not_measure_again(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"], perftool: Command, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(finished[0], again)
    done = perftool("sweep", "--resume", again)
    assert done.returncode in (0, 4), done.stderr
    assert len(records(read(again), PeaksMeasured)) == 1
