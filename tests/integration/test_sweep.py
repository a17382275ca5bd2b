"""The main job as a user runs it: the real command, runtime, quantization and children, on a tiny model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import msgspec
import psutil
import pytest
from outcome import one_line
from recorded import records
from tiny import write_tiny_model

from perftool.journal import Finished, Focused, Run
from perftool.record import Compiled, Evaluated, Failed, Prepared, Visited
from perftool.sweep.locks import hold
from perftool.sweep.store import read

Command = Callable[..., "subprocess.CompletedProcess[str]"]

CONFIGURATION_KEYS = {
    *("id", "device", "precision", "executed_precision", "executed_share", "batch", "streams", "threads"),
    *(
        "requests",
        "requested",
        "throughput_fps",
        "latency_ms",
        "latency_sync_ms",
        "peak_rss_mb",
        "compile_ms",
    ),
    *("first_inference_ms", "visits", "accuracy", "status", "reason"),
}
ACCURACY_KEYS = {
    *("top1", "top5", "images", "drop_pp", "drop_low", "drop_high", "gained", "lost", "p_value", "agreement"),
}


SOME_SECONDS = """
name = "some-seconds"
search = "grid"

[[grids]]
precisions = ["FP32"]
streams = [1]

[policy]
rounds = 6
visit_seconds = 0.25
warmup_ceiling_seconds = 0.25
confirm_rounds = 0
layer_seconds = 0
peak_seconds = 0
"""

ONE_ROUND = """
name = "one-round"
search = "grid"

[[grids]]

[policy]
rounds = 1
visit_seconds = 0.05
warmup_ceiling_seconds = 0.2
layer_seconds = 0
peak_seconds = 0

[accuracy]
synthetic = { calibration = 1, evaluation = 4 }
dataset = { calibration = 1, evaluation = 39 }
"""


@pytest.fixture
def one_round(tmp_path: Path) -> Path:
    """Return a profile of a sweep that is over as soon as can be."""
    path = tmp_path / "one-round.toml"
    path.write_text(ONE_ROUND)
    return path


def started(
    tiny: Path, folder: Path, environment: dict[str, str], *options: object
) -> "subprocess.Popen[str]":
    """Start a sweep that lasts some seconds, and return while its first rounds are measured."""
    profile = folder.with_suffix(".toml")
    profile.write_text(SOME_SECONDS)
    arguments = ["sweep", tiny, "--out", folder, "--profile", profile]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "perftool",
            *map(str, arguments),
            "--evaluation-images",
            "4",
            *map(str, options),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / "journal.jsonl").exists() and len(records(read(folder), Visited)) >= 2:
            return process
        time.sleep(0.1)
    raise AssertionError(f"the sweep did not get going: {process.communicate(timeout=10)}")


@pytest.fixture(scope="module")
def killed(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folder of a sweep that was killed, and its model's file; who changes either copies it."""
    place = tmp_path_factory.mktemp("killed")
    model, folder = write_tiny_model(place / "model.xml"), place / "run"
    process = started(model, folder, environment)
    process.kill()
    process.communicate()
    assert_no_child_left(read(folder))
    return folder, model


def chosen_by(run: Run) -> Run:
    """Return a run as it was before its choice was confirmed."""
    entries = takewhile(lambda entry: not isinstance(entry.record, Focused), run.entries)
    return msgspec.structs.replace(run, entries=tuple(entries))


def assert_no_child_left(run: Run) -> None:
    deadline = time.monotonic() + 10
    pids = {one.pid for one in records(run, Compiled)}
    while time.monotonic() < deadline and any(alive(pid) for pid in pids):
        time.sleep(0.1)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "perftool.bench.worker" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def test_a_sweep_measures_everything_and_recommends(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    folder, done = finished
    assert done.returncode == 0, done.stderr
    assert "recommendation" in done.stdout
    run = read(folder)
    planned = run.entries[0].record
    ids = [one.id for one in planned.configurations]  # type: ignore[union-attr]
    assert {"cpu-fp32-b1-s1", "cpu-fp16-b1-s1", "cpu-int8-b1-s1", "cpu-int8-b4-sauto"} <= set(ids)
    first = chosen_by(run)
    closed = [one for one in records(first, Visited) if one.load.__struct_config__.tag == "closed"]
    assert sorted((one.configuration, one.round) for one in closed) == sorted(
        (name, number) for name in ids for number in range(6)
    )
    assert {one.incarnation for one in records(first, Compiled)} == {0, 1}
    assert len({one.weight_format for one in records(run, Prepared)}) == 3
    assert {one.weight_format for one in records(run, Evaluated)} == {"fp32", "fp16", "int8"}
    assert not records(run, Failed)
    assert isinstance(run.entries[-1].record, Finished)
    assert_no_child_left(run)
    for name in ("report.html", "report.txt", "results.json", "profile.toml", "host.json"):
        assert (folder / name).stat().st_size > 0
    assert {path.suffix for path in (folder / "plots").iterdir()} == {".png", ".svg"}


def test_what_is_recommended_was_measured_again(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    run = read(finished[0])
    found = json.loads((finished[0] / "results.json").read_text())["recommendation"]
    rounds = [one for one in records(run, Focused) if one.purpose == "confirm"]
    confirmed = {one.configurations[0] for one in rounds}
    assert found["id"] in confirmed or len(confirmed) == 3
    for id in confirmed:
        mine = [one for one in rounds if one.configurations[0] == id]
        assert len(mine) == 6
        for name in mine[0].configurations:
            visits = [
                one
                for one in records(run, Visited)
                if one.configuration == name and one.round in {each.round for each in mine}
            ]
            assert len(visits) == 6 and len({one.incarnation for one in visits}) == 2
            first = {
                one.incarnation for one in records(chosen_by(run), Compiled) if one.configuration == name
            }
            assert not first & {one.incarnation for one in visits}, "in processes of their own"
    if found["id"] in confirmed:
        assert found["confirmation"]["rounds"] == 6
        # On a machine that other load disturbed all the time nothing is confirmed, and that is the reason.
        assert found["confirmation"]["holds"] or found["confirmation"]["disturbed"] == found["unconfirmed"]
        assert "in 6 fresh rounds, 2 processes each" in finished[1].stdout


def test_the_json_has_the_documented_keys(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"], here: Command
) -> None:
    shown = here("show", finished[0], "--json")
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert document == json.loads((finished[0] / "results.json").read_text())
    assert {"run", "host", "configurations", "baselines", "recommendation"} <= set(document)
    results = {one["id"]: one for one in document["configurations"]}
    for one in (*results.values(), *document["baselines"]):
        assert set(one) >= CONFIGURATION_KEYS
    int8 = results["cpu-int8-b1-s1"]
    assert int8["status"] == "ok"
    assert int8["visits"] == 6
    assert set(int8["accuracy"]) == ACCURACY_KEYS
    assert int8["accuracy"]["images"] == 32
    assert int8["latency_sync_ms"] == int8["latency_ms"]
    assert results["cpu-fp32-b1-s1"]["accuracy"]["top1"] == 100.0
    assert results["cpu-fp32-b1-s1"]["accuracy"]["drop_pp"] == 0.0
    assert results["cpu-fp32-b1-s1"]["executed_precision"] == "f32"
    point = results["cpu-fp32-b1-s1"]["throughput_fps"]
    assert point["low"] <= point["point"] <= point["high"]
    assert results["cpu-int8-b4-sauto"]["requested"]["streams"] is None
    assert isinstance(results["cpu-int8-b4-sauto"]["streams"], int)
    assert results["cpu-int8-b4-s64"]["status"] == "skipped"
    assert [one["precision"] for one in document["baselines"]] == ["default", "default"]
    recommendation = document["recommendation"]
    assert recommendation["properties"]["INFERENCE_PRECISION_HINT"] == "f32"
    assert {one["id"] for one in recommendation["rejected"]} | {recommendation["id"]} == set(results)
    assert len(recommendation["gain"]) >= 2


def test_a_second_sweep_quantizes_nothing(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"],
    perftool: Command,
    tiny: Path,
    labelled: Path,
    profile: Path,
    tmp_path: Path,
) -> None:
    again = perftool(
        *("sweep", tiny, "--profile", profile, "--dataset", labelled, "--out", tmp_path / "again"),
        *("--rounds", 1, "--precision", "INT8", "--batch", 1, "--streams", 1),
        "--json",
    )
    assert again.returncode in (0, 4), again.stderr
    assert json.loads(again.stdout)["run"]["rounds"] == 1
    assert all(one.cached for one in records(read(tmp_path / "again"), Prepared))


def test_recommend_keeps_limits_and_says_why_not(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"], here: Command
) -> None:
    loose = here("recommend", finished[0], "--max-accuracy-drop", "inf", "--json")
    assert loose.returncode == 0, loose.stderr
    tight = here("recommend", finished[0], "--max-latency-ms", "0.000001")
    assert tight.returncode == 4
    assert "nearest" in one_line(tight)
    assert "0.000001 ms" in tight.stdout + tight.stderr or "1e-06 ms" in tight.stdout + tight.stderr
    memory = here("recommend", finished[0], "--max-memory-mb", "1", "--json")
    assert memory.returncode == 4
    assert json.loads(memory.stdout)["recommendation"]["id"] is None


def test_report_writes_the_same_again(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"], here: Command, tmp_path: Path
) -> None:
    done = here("report", finished[0], "--to", tmp_path)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert Path(line).stat().st_size > 0
    assert (tmp_path / "results.json").read_bytes() == (finished[0] / "results.json").read_bytes()


def test_a_killed_sweep_leaves_no_child_and_resumes_with_what_is_left(
    perftool: Command, killed: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(killed[0], folder)
    before = read(folder)
    assert_no_child_left(before)
    done = perftool("sweep", "--resume", folder)
    assert done.returncode == 0, done.stderr
    after = read(folder)
    assert after.entries[: len(before.entries)] == before.entries
    visits = [(one.configuration, one.round) for one in records(chosen_by(after), Visited)]
    assert len(visits) == len(set(visits)) == 6 * len(after.entries[0].record.configurations)  # type: ignore[union-attr]
    assert len(records(after, Prepared)) == 1
    again = perftool("sweep", "--resume", folder)
    assert again.returncode == 0, again.stderr
    assert len(records(read(folder), Visited)) == len(records(after, Visited)), "nothing was left, nor is now"


def test_ctrl_c_keeps_what_was_measured_and_says_how_to_go_on(
    tiny: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    process = started(tiny, folder, environment)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"perftool sweep --resume {folder}" in errors.strip().splitlines()[-1]
    assert_no_child_left(read(folder))


def test_a_child_killed_by_hand_costs_one_visit(
    tiny: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "wounded"
    process = started(tiny, folder, environment)
    victim = records(read(folder), Compiled)[0]
    os.kill(victim.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    run = read(folder)
    visits = [(one.configuration, one.round) for one in records(chosen_by(run), Visited)]
    assert len(visits) == len(set(visits)) == 6 * len(run.entries[0].record.configurations)  # type: ignore[union-attr]
    first = records(chosen_by(run), Compiled)
    incarnations = [one for one in first if one.configuration == victim.configuration]
    assert len(incarnations) == 3


def test_two_sweeps_at_once_are_refused(
    refused: Command, tiny: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "first"
    process = started(tiny, folder, environment)
    try:
        same_folder = refused("sweep", "--resume", folder)
        assert same_folder.returncode == 6
        assert "measuring" in one_line(same_folder)
        same_device = refused("sweep", tiny, "--out", tmp_path / "second")
        assert same_device.returncode == 6
        assert "another sweep measures on CPU" in one_line(same_device)
        assert not (tmp_path / "second").exists()
    finally:
        process.kill()
        process.communicate()


def test_resume_refuses_another_model(refused: Command, killed: tuple[Path, Path]) -> None:
    folder, model = killed
    try:
        write_tiny_model(model, classes=20)
        another = refused("sweep", "--resume", folder)
    finally:
        write_tiny_model(model)
    assert another.returncode == 6
    assert "model" in one_line(another)
    assert refused("sweep", "--resume", folder, "--rounds", "2").returncode == 2


def test_a_configuration_that_never_compiles_is_reported_and_the_sweep_goes_on(
    perftool: Command, tmp_path: Path, one_round: Path
) -> None:
    """A model with its batch written into it cannot be compiled at batch 4; batch 1 is measured."""
    import numpy as np
    import openvino as ov
    from openvino import opset13 as ops

    data = ops.parameter([1, 3, 8, 8], np.float32, name="data")
    pixels = ops.reshape(data, ops.constant(np.array([1, 3, 64], dtype=np.int64)), False)
    scores = ops.softmax(ops.reduce_mean(pixels, np.array([2], dtype=np.int64), False), 1)
    model = tmp_path / "fixed.xml"
    ov.save_model(ov.Model([scores], [data], "fixed"), model)
    done = perftool(
        *("sweep", model, "--profile", one_round, "--out", tmp_path / "run", "--json"),
        *("--precision", "FP32", "--batch", "1,4", "--streams", 1),
    )
    assert done.returncode == 0, done.stderr
    results = {one["id"]: one for one in json.loads(done.stdout)["configurations"]}
    assert results["cpu-fp32-b1-s1"]["status"] == "ok"
    assert results["cpu-fp32-b4-s1"]["status"] == "failed"
    assert "batch" in results["cpu-fp32-b4-s1"]["reason"]
    failures = [one for one in records(read(tmp_path / "run"), Failed) if one.stage == "compile"]
    assert len(failures) == 2


def test_virtual_devices_are_swept(perftool: Command, tiny: Path, one_round: Path, tmp_path: Path) -> None:
    devices = ("AUTO", "HETERO:CPU", "MULTI:CPU", "BATCH:CPU(4)")
    done = perftool(
        *("sweep", tiny, "--profile", one_round, "--out", tmp_path / "run", "--json"),
        *("--precision", "FP32", "--batch", 1, "--streams", 1),
        *(word for device in devices for word in ("--device", device)),
    )
    assert done.returncode == 0, done.stderr
    results = {one["device"]: one for one in json.loads(done.stdout)["configurations"]}
    assert results.keys() == set(devices)
    for result in results.values():
        assert result["status"] == "ok"
        assert result["streams"] == 1
        assert result["executed_precision"] == "f32"
        assert result["accuracy"]["agreement"] is not None


def test_labels_that_do_not_fit_the_model_end_the_run(
    perftool: Command, tiny: Path, labelled: Path, one_round: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text((labelled / "val.txt").read_text().replace("39.png ", "39.png 1"))
    done = perftool(
        *("sweep", tiny, "--profile", one_round, "--out", tmp_path / "run", "--precision", "FP32"),
        *("--dataset", labelled, "--labels", wrong),
    )
    assert done.returncode == 3
    assert "label" in one_line(done)
    assert not records(read(tmp_path / "run"), Visited)


def test_a_missing_device_ends_with_what_to_install(here: Command, tiny: Path, tmp_path: Path) -> None:
    done = here("sweep", tiny, "--device", "GPU", "--out", tmp_path / "run")
    if done.returncode == 0:
        pytest.skip("this machine has a GPU")
    assert done.returncode == 5
    assert "install" in one_line(done)
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_holds_a_run_is_not_overwritten(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"], here: Command, tiny: Path
) -> None:
    before = (finished[0] / "journal.jsonl").read_bytes()
    done = here("sweep", tiny, "--out", finished[0])
    assert done.returncode == 6
    one_line(done)
    assert (finished[0] / "journal.jsonl").read_bytes() == before


def test_this_machine_is_free_again() -> None:
    with hold(["CPU"]):
        pass
