"""Real children on the real runtime: what they answer, and what becomes of them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perftool.bench.isolate import Child, ask_once
from perftool.job import Compile, Probe, Visit
from perftool.machine import DeviceFound, DeviceMissing
from perftool.record import Answer, Compiled, Failed, Probed, Visited
from perftool.spec import Closed, Configuration, Explicit, Load, Sync, SyntheticImages

INPUTS = SyntheticImages(part="evaluation", count=4)


def configuration(*, batch: int = 1, streams: int = 1, device: str = "CPU") -> Configuration:
    return Configuration(
        id="tried",
        device=device,
        precision="FP32",
        batch=batch,
        setting=Explicit(inference_precision="f32", streams=streams, threads=1 if streams == 1 else streams),
        requests=streams,
    )


def compile_job(model: Path, tried: Configuration) -> Compile:
    return Compile(configuration=tried, model_path=str(model), inputs=INPUTS, incarnation=0)


def visit(load: Load, seconds: float = 0.05) -> Visit:
    return Visit(
        load=load,
        round=0,
        position=0,
        visit_seconds=seconds,
        completions_per_request=8,
        warmup_ceiling_seconds=1.0,
    )


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    with Child(tmp_path / "child.log") as made:
        yield made


def compiled(child: Child, model: Path, tried: Configuration | None = None) -> Compiled:
    answer = child.ask(compile_job(model, tried or configuration()), 60)
    assert isinstance(answer, Compiled), answer
    return answer


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Tell whether a process ends within some seconds; a zombie has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def interrupt(child: Child, number: signal.Signals, after: float = 0.5) -> None:
    threading.Timer(after, os.kill, (child.pid, number)).start()


def failed(answer: Answer) -> Failed:
    assert isinstance(answer, Failed), answer
    return answer


def test_the_cpu_is_probed(tmp_path: Path) -> None:
    answer = ask_once(Probe(devices=("CPU", "BATCH:CPU(4)", "FOO")), tmp_path / "log", 60)
    assert isinstance(answer, Probed)
    cpu, batch, foo = answer.devices
    assert isinstance(cpu, DeviceFound)
    assert "FP32" in cpu.capabilities
    assert cpu.streams is not None
    assert isinstance(batch, DeviceFound)
    assert batch.capabilities == tuple(sorted(cpu.capabilities))
    assert isinstance(foo, DeviceMissing)
    assert "known" in foo.reason


def test_modules_of_the_users_folder_are_none_of_the_childs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit(77)")
    monkeypatch.chdir(tmp_path)
    answer = ask_once(Probe(devices=("CPU",)), tmp_path / "log", 60)
    assert isinstance(answer, Probed), answer


def test_a_compiled_model_says_what_was_asked_and_what_came_of_it(child: Child, tiny: Path) -> None:
    found = compiled(child, tiny)
    assert found.requested["INFERENCE_PRECISION_HINT"] == "f32"
    assert found.resolved["INFERENCE_PRECISION_HINT"] == "f32"
    assert (found.streams, found.threads, found.requests) == (1, 1, 1)
    assert found.pid == child.pid
    assert not found.loaded_from_cache
    assert found.executed[0].precision == "f32"
    assert found.compile_ns > 0
    assert found.first_inference_ns > 0
    assert found.peak_rss_bytes > 20_000_000


@pytest.mark.parametrize("batch", [1, 4])
def test_a_visit_brings_raw_samples_and_a_window(child: Child, tiny: Path, batch: int) -> None:
    compiled(child, tiny, configuration(batch=batch))
    for _ in range(2):
        found = child.ask(visit(Closed()), 60)
        assert isinstance(found, Visited), found
        assert found.batch == batch
        assert found.window_ns >= 50_000_000
        assert len(found.latencies_ns) >= 8
        assert sum(found.latencies_ns) <= found.window_ns * 1.01
        assert len(found.warmup_ns) >= 2
        assert found.conditions.other_load is not None


def test_two_streams_keep_two_requests_in_flight(child: Child, tiny: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core: OpenVINO makes one stream of two")
    compiled(child, tiny, configuration(streams=2))
    closed, sync = child.ask(visit(Closed()), 60), child.ask(visit(Sync()), 60)
    assert isinstance(closed, Visited)
    assert isinstance(sync, Visited)
    assert (closed.requests, sync.requests) == (2, 1)
    assert len(closed.latencies_ns) % 2 == 0


@pytest.mark.parametrize("device", ["AUTO", "HETERO:CPU", "MULTI:CPU", "BATCH:CPU(4)"])
def test_virtual_devices_tell_what_they_resolved(child: Child, tiny: Path, device: str) -> None:
    batching = device.startswith("BATCH")
    tried = Configuration(
        id="virtual",
        device=device,
        precision="FP32",
        batch=1,
        setting=Explicit(inference_precision="f32", streams=1, threads=1),
        requests=4 if batching else 1,
    )
    found = compiled(child, tiny, tried)
    assert found.resolved["INFERENCE_PRECISION_HINT"] == "f32"
    assert found.streams == 1
    assert found.executed[0].precision == "f32"
    visited = child.ask(visit(Closed()), 60)
    assert isinstance(visited, Visited), visited


def test_a_missing_device_says_what_to_install(child: Child, tiny: Path) -> None:
    answer = failed(child.ask(compile_job(tiny, configuration(device="FOO")), 60))
    assert answer.kind == "device_missing"
    assert answer.subject == "tried"


def test_a_missing_model_is_bad_input_and_the_child_serves_on(
    child: Child, tiny: Path, tmp_path: Path
) -> None:
    answer = failed(child.ask(compile_job(tmp_path / "none.xml", configuration()), 60))
    assert answer.kind == "bad_input"
    assert "none.xml" in answer.reason
    assert "\n" not in answer.reason
    compiled(child, tiny)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_child_that_dies_in_mid_visit_is_a_record(child: Child, tiny: Path, number: signal.Signals) -> None:
    compiled(child, tiny)
    interrupt(child, number)
    answer = failed(child.ask(visit(Closed(), seconds=30), 60))
    assert answer.kind == "crash"
    assert number.name in answer.reason
    assert answer.subject == "tried"
    assert answer.stage == "visit"
    assert not child.alive
    assert gone(child.pid)
    assert failed(child.ask(visit(Closed()), 60)).kind == "crash"


def test_a_child_that_hangs_is_killed_in_time(child: Child, tiny: Path) -> None:
    compiled(child, tiny)
    os.kill(child.pid, signal.SIGSTOP)
    answer = failed(child.ask(visit(Closed()), 0.5))
    assert answer.kind == "timeout"
    assert gone(child.pid)


def test_a_failure_keeps_the_end_of_its_own_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("what another child said\n")
    with Child(log) as child:
        with log.open("a") as output:
            output.write("what this one said\n")
        os.kill(child.pid, signal.SIGKILL)
        assert failed(child.ask(Probe(devices=("CPU",)), 10)).output_tail == "what this one said"


def test_a_child_that_cannot_import_its_runtime_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "openvino.py").write_text('raise ImportError("libopenvino.so is broken")\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answer = ask_once(Probe(devices=("CPU",)), tmp_path / "child.log", 30.0)
    assert isinstance(answer, Failed)
    assert (answer.kind, answer.reason) == ("crash", "the child ended with exit code 1")
    assert answer.output_tail.endswith("ImportError: libopenvino.so is broken")


def test_a_child_that_takes_no_job_is_killed_in_time(child: Child) -> None:
    os.kill(child.pid, signal.SIGSTOP)
    names = tuple(f"DEVICE{number}" for number in range(50_000))
    answer = failed(child.ask(Probe(devices=names), 1.0))
    assert answer.kind == "timeout"


PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_isolate import compile_job, configuration, visit
from perftool.bench.isolate import Child
from perftool.spec import Closed
with Child(Path({log!r})) as child:
    child.ask(compile_job(Path({model!r}), configuration()), 60)
    print(child.pid, flush=True)
    child.ask(visit(Closed(), seconds=60), 100)
"""


def test_children_die_with_a_parent_that_is_killed(tiny: Path, tmp_path: Path) -> None:
    script = PARENT.format(tests=str(Path(__file__).parent), log=str(tmp_path / "log"), model=str(tiny))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
        parent.wait()
    assert gone(pid)
