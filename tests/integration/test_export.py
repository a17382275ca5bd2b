"""Exports of a real run of the tiny model, tried for real as far as this machine allows."""

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
from outcome import one_line

from perftool.images.sets import preprocess

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Finished = tuple[Path, "subprocess.CompletedProcess[str]"]

#: Runs a program in an isolated interpreter (-I: no PYTHONPATH, no user site, no current folder) in which
#: perftool cannot be imported even where it is installed.
ISOLATED = """
import runpy, sys
sys.modules["perftool"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


#: What an export for OpenVINO's API holds where the classes' names are not known.
OPENVINO = {"model.xml", "model.bin", "compile.json", "run.py", "export.json"}


def run_isolated(program: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-I", "-c", ISOLATED, str(program), *map(str, arguments)],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def scores_of(folder: Path, image: Path) -> Any:
    """Classify an image as perftool does, with the exported model and properties."""
    how = json.loads((folder / "compile.json").read_text())
    compiled = ov.Core().compile_model(folder / "model.xml", how["device"], how["properties"])
    pixels = preprocess(np.asarray(cv2.imread(str(image)), np.uint8), (32, 32), "central-crop")
    batch = compiled.input(0).shape[0]
    tensor = np.repeat(pixels.transpose(2, 0, 1)[np.newaxis], batch, axis=0).astype(np.float32)
    return compiled(tensor)[0][0]


@pytest.mark.parametrize("id", ["cpu-fp32-b1-s1", "cpu-int8-b4-sauto"])
def test_run_py_classifies_without_perftool(
    here: Command, finished: Finished, labelled: Path, tmp_path: Path, id: str
) -> None:
    target = tmp_path / "new" / "deployed"
    done = here("export", finished[0], "--to", target, "--format", "openvino", "--config", id)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in target.iterdir()} == OPENVINO
    assert [path.name for path in target.parent.iterdir()] == ["deployed"]
    for number in (0, 7, 23):
        image = labelled / f"{number:02d}.png"
        shown = run_isolated(target / "run.py", image)
        assert shown.returncode == 0, shown.stderr
        rows = [line.split() for line in shown.stdout.splitlines()]
        expected = scores_of(target, image)
        assert [int(row[0]) for row in rows] == [int(one) for one in expected.argsort()[::-1][:5]]
        assert [float(row[1]) for row in rows] == pytest.approx(sorted(expected)[::-1][:5], abs=1e-4)
        if id == "cpu-fp32-b1-s1":
            labels = dict(line.split() for line in (labelled / "val.txt").read_text().splitlines())
            assert rows[0][0] == labels[image.name]


def test_the_blocker_blocks(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import perftool\n")
    assert "ModuleNotFoundError" in run_isolated(tmp_path / "p.py").stderr


def test_run_py_says_what_it_wants(here: Command, finished: Finished, tmp_path: Path) -> None:
    here("export", finished[0], "--to", tmp_path / "d", "-f", "openvino", "--config", "cpu-fp32-b1-s1")
    for arguments in ([], [tmp_path / "missing.png"]):
        shown = run_isolated(tmp_path / "d" / "run.py", *arguments)
        assert shown.returncode == 1
        assert shown.stderr.splitlines()[-1].startswith("usage: ")


def test_a_model_of_another_batch_keeps_weights_and_element_types(
    here: Command, finished: Finished, tmp_path: Path
) -> None:
    for id in ("cpu-int8-b1-s1", "cpu-int8-b4-sauto"):
        here("export", finished[0], "--to", tmp_path / id, "-f", "openvino", "--config", id)
    one, four = (
        ov.Core().read_model(tmp_path / id / "model.xml") for id in ("cpu-int8-b1-s1", "cpu-int8-b4-sauto")
    )
    assert list(one.input(0).shape) == [1, 3, 32, 32] and list(four.input(0).shape) == [4, 3, 32, 32]
    assert list(four.output(0).shape) == [4, 10]

    def constants(model: ov.Model) -> list[tuple[str, bytes]]:
        ops = [op for op in model.get_ops() if op.get_type_name() == "Constant" and len(op.shape) > 1]
        return sorted((op.get_element_type().get_type_name(), op.data.tobytes()) for op in ops)

    assert constants(one) == constants(four)


def test_benchmark_app_takes_the_files(here: Command, finished: Finished, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "benchmark_app"
    if not program.exists():
        pytest.skip("benchmark_app is not installed beside this Python")
    target = tmp_path / "b"
    done = here("export", finished[0], "--to", target, "-f", "benchmark_app", "--config", "cpu-int8-b4-sauto")
    assert done.returncode == 0, done.stderr
    words = shlex.split((target / "command.txt").read_text())
    words[0], words[words.index("-t") + 1] = str(program), "1"
    ran = subprocess.run(words, cwd=target, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Throughput:" in ran.stdout, ran.stdout
    assert "batch size: 4" in ran.stdout.lower()
    config = json.loads((target / "load_config.json").read_text())["CPU"]
    assert f"NUM_STREAMS: {config['NUM_STREAMS']}" in ran.stdout or config["NUM_STREAMS"] == "AUTO"
    assert "f32" in config["INFERENCE_PRECISION_HINT"] and "ENABLE_CPU_PINNING: True" in ran.stdout


@pytest.mark.parametrize("format", ["ovms", "triton"])
def test_a_servers_repository_holds_a_model_that_compiles(
    here: Command, finished: Finished, tmp_path: Path, format: str
) -> None:
    target = tmp_path / format
    done = here("export", finished[0], "--to", target, "-f", format, "--config", "cpu-int8-b4-sauto")
    assert done.returncode == 0, done.stderr
    model = ov.Core().read_model(target / "tiny" / "1" / "model.xml")
    assert list(model.input(0).shape) == [4, 3, 32, 32]
    assert (target / ("config.json" if format == "ovms" else "tiny/config.pbtxt")).exists()
    if format == "triton":
        assert "Triton cannot state ENABLE_CPU_PINNING=YES" in done.stdout


def test_without_an_id_the_recommended_one_is_exported(
    here: Command, finished: Finished, tmp_path: Path
) -> None:
    recommended = json.loads(here("show", finished[0], "--json").stdout)["recommendation"]
    done = here("export", finished[0], "--to", tmp_path / "d", "-f", "openvino", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["configuration"] == recommended["id"]
    assert sorted(told["files"]) == sorted(path.name for path in (tmp_path / "d").iterdir())
    assert (
        json.loads((tmp_path / "d" / "compile.json").read_text())["properties"] == recommended["properties"]
    )


def test_a_baseline_can_be_exported(here: Command, finished: Finished, tmp_path: Path) -> None:
    done = here(
        "export", finished[0], "--to", tmp_path / "d", "-f", "openvino", "--config", "cpu-baseline-latency"
    )
    assert done.returncode == 0, done.stderr
    how = json.loads((tmp_path / "d" / "compile.json").read_text())
    assert how == {"device": "CPU", "properties": {"PERFORMANCE_HINT": "LATENCY"}}


# ---------------------------------------------------------------- all or nothing


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_folder_that_holds_files_takes_force_and_foreign_files_are_never_removed(
    here: Command, finished: Finished, tmp_path: Path
) -> None:
    target = tmp_path / "d"
    export = ("export", finished[0], "--to", target, "--config", "cpu-fp32-b1-s1", "-f")
    assert here(*export, "ovms").returncode == 0
    before = contents(target)
    refused = here(*export, "openvino")
    assert refused.returncode == 2 and "--force" in one_line(refused)
    assert contents(target) == before
    assert here(*export, "openvino", "--force").returncode == 0
    assert contents(target).keys() == OPENVINO
    (target / "thesis.txt").write_text("years of work")
    before = contents(target)
    refused = here(*export, "ovms", "--force")
    assert refused.returncode == 2 and "thesis.txt" in one_line(refused)
    assert contents(target) == before
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_an_empty_folder_is_filled_and_a_file_is_refused(
    here: Command, finished: Finished, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    export = ("export", finished[0], "-f", "openvino", "--config", "cpu-fp32-b1-s1", "--to")
    assert here(*export, tmp_path / "empty").returncode == 0
    assert (tmp_path / "empty" / "run.py").exists()
    refused = here(*export, tmp_path / "file", "--force")
    assert refused.returncode == 2 and "no folder" in one_line(refused)


def test_a_killed_export_leaves_no_folder(
    environment: dict[str, str], perftool: Command, finished: Finished, tmp_path: Path
) -> None:
    target = tmp_path / "out" / "d"
    export = ["export", finished[0], "--to", target, "-f", "bundle", "--config", "cpu-int8-b4-sauto"]
    process = subprocess.Popen(
        [sys.executable, "-m", "perftool", *map(str, export)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".perftool-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob(".perftool-*")) and not target.parent.exists()
    assert perftool(*export).returncode == 0
    assert (target / "manifest.json").exists()


def test_an_export_that_fails_leaves_no_folder_behind(
    refused: Command, finished: Finished, tmp_path: Path
) -> None:
    done = refused(
        "export", finished[0], "--to", tmp_path / "a" / "b" / "c", "-f", "ovms", "--config", "none"
    )
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []
    done = refused("export", finished[0], "--to", "", "-f", "ovms")
    assert done.returncode == 2 and "names no folder" in one_line(done)


def test_the_working_directory_is_filled_where_it_is_empty_and_never_replaced(
    refused: Command, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export = ("export", finished[0], "--to", ".", "-f", "openvino", "--config", "cpu-fp32-b1-s1")
    before = tmp_path.stat().st_ino
    assert refused(*export).returncode == 0
    assert contents(Path.cwd()).keys() == OPENVINO and Path.cwd().stat().st_ino == before
    done = refused(*export, "--force")
    assert done.returncode == 2 and "working directory" in one_line(done)
    assert contents(Path.cwd()).keys() == OPENVINO


def test_a_full_disk_gets_one_line_and_leaves_nothing(
    environment: dict[str, str], finished: Finished, tmp_path: Path
) -> None:
    target = tmp_path / "d"
    export = ["export", finished[0], "--to", target, "-f", "openvino", "--config", "cpu-fp32-b1-s1"]
    command = shlex.join([sys.executable, "-m", "perftool", *map(str, export)])
    done = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; ulimit -f 24; exec {command}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be written" in one_line(done)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- bad input


def test_bad_input_gets_one_line(here: Command, finished: Finished, tmp_path: Path) -> None:
    target = tmp_path / "d"
    cases: list[tuple[tuple[object, ...], int, str]] = [
        ((tmp_path / "nowhere",), 3, "holds no run"),
        ((finished[0], "--config", "cpu-int4"), 2, "cpu-int8-b4-sauto"),
        ((finished[0], "--config", "cpu-int8-b4-s64"), 3, "streams"),
    ]
    for arguments, code, words in cases:
        done = here("export", *arguments, "--to", target, "-f", "openvino")
        assert done.returncode == code, done.stderr
        assert words in one_line(done)
        assert list(tmp_path.iterdir()) == []
    assert here("export", finished[0], "--to", target, "-f", "zip").returncode == 2


def test_where_nothing_passes_nothing_is_written(here: Command, finished: Finished, tmp_path: Path) -> None:
    lines = (finished[0] / "journal.jsonl").read_text().splitlines(keepends=True)
    header = json.loads(lines[0])
    header["profile"]["limits"]["latency_ms"] = 1e-6
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "journal.jsonl").write_text("".join([json.dumps(header) + "\n", *lines[1:]]))
    done = here("export", tmp_path / "run", "--to", tmp_path / "d", "-f", "openvino")
    assert done.returncode == 4
    assert "nearest" in one_line(done)
    assert not (tmp_path / "d").exists()


def test_a_model_file_that_left_the_cache_is_said_with_how_to_make_it_again(
    here: Command, finished: Finished, environment: dict[str, str], tmp_path: Path
) -> None:
    models = Path(environment["XDG_CACHE_HOME"]) / "perftool" / "models"
    models.rename(models.with_name("away"))
    try:
        done = here("export", finished[0], "--to", tmp_path / "d", "-f", "openvino")
    finally:
        models.with_name("away").rename(models)
    assert done.returncode == 3
    assert f"perftool sweep --resume {finished[0]}" in one_line(done)
    assert not (tmp_path / "d").exists()


@pytest.fixture
def int8_entry(finished: Finished, environment: dict[str, str]) -> Iterator[Path]:
    """Return the cache entry of the run's INT8 model, to be damaged; it is as before afterwards."""
    lines = (finished[0] / "journal.jsonl").read_text().splitlines()
    records = [json.loads(line)["record"] for line in lines if '"type":"prepared"' in line]
    (path,) = {record["path"] for record in records if record["weight_format"] == "int8"}
    entry = (Path(environment["XDG_CACHE_HOME"]) / "perftool" / "models" / path).parent
    whole = {part: part.read_bytes() for part in entry.iterdir()}
    yield entry
    for part, content in whole.items():
        part.write_bytes(content)


@pytest.mark.parametrize("id", ["cpu-int8-b1-s1", "cpu-int8-b4-sauto"])
def test_a_damaged_file_in_the_cache_is_never_exported_as_what_was_measured(
    refused: Command, finished: Finished, int8_entry: Path, tmp_path: Path, id: str
) -> None:
    def flip_a_bit(name: str) -> None:
        content = (int8_entry / name).read_bytes()
        (int8_entry / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])

    def cut(name: str) -> None:
        (int8_entry / name).write_bytes((int8_entry / name).read_bytes()[:-100])

    def resize_in_meta(name: str) -> None:
        meta = json.loads((int8_entry / name).read_text())
        (int8_entry / "model.bin").write_bytes(b"other weights")
        digest = hashlib.sha256(b"other weights").hexdigest()
        meta["parts"]["model.bin"] = {"bytes": len(b"other weights"), "sha256": digest}
        (int8_entry / name).write_text(json.dumps(meta))

    for damage, name in (
        *((flip_a_bit, "model.bin"), (cut, "model.bin"), (cut, "model.xml"), (cut, "meta.json")),
        *((Path.unlink, "model.bin"), (Path.unlink, "meta.json"), (resize_in_meta, "meta.json")),
    ):
        before = {part: part.read_bytes() for part in int8_entry.iterdir()}
        damage(int8_entry / name if damage is Path.unlink else name)  # type: ignore[arg-type]
        done = refused("export", finished[0], "--to", tmp_path / "d", "-f", "openvino", "--config", id)
        assert done.returncode == 3, (damage, name)
        said = one_line(done)
        assert str(int8_entry) in said and "damaged" in said
        assert f"perftool sweep --resume {finished[0]} prepares it again" in said
        assert list(tmp_path.iterdir()) == []
        for part, content in before.items():
            part.write_bytes(content)


def test_a_damaged_file_is_made_again_as_the_message_says(
    perftool: Command, finished: Finished, int8_entry: Path, tmp_path: Path
) -> None:
    whole = (int8_entry / "model.bin").read_bytes()
    (int8_entry / "model.bin").write_bytes(whole[:-1])
    run = Path(shutil.copytree(finished[0], tmp_path / "run"))
    export = ("export", run, "--to", tmp_path / "d", "-f", "openvino", "--config", "cpu-int8-b1-s1")
    assert perftool(*export).returncode == 3
    resumed = perftool("sweep", "--resume", run)
    assert resumed.returncode == 0, resumed.stderr
    done = perftool(*export)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "d" / "model.bin").read_bytes() == whole
