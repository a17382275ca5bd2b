"""The other commands, and what bad input gets, through the real command."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from outcome import one_line

Command = Callable[..., "subprocess.CompletedProcess[str]"]

HEAVY = (
    *("scipy", "matplotlib", "plotly", "openvino", "nncf", "cv2", "numpy", "tensorflow", "optuna"),
    *("pyarrow", "mlflow"),
)


def test_the_command_line_loads_nothing_heavy() -> None:
    script = "import sys, perftool.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(loaded.stdout.split())


def test_help_names_every_command(perftool: Command) -> None:
    shown = perftool("--help")
    assert shown.returncode == 0
    names = ("sweep", "show", "recommend", "report", "export", "verify", "accuracy", "quantize", "devices")
    for name in (*names, "model"):
        assert f"  {name} " in shown.stdout


def test_devices_lists_the_cpu_and_what_the_missing_ones_need(perftool: Command, here: Command) -> None:
    shown = perftool("devices", "--json")
    assert shown.returncode == 0, shown.stderr
    found = {device["name"]: device for device in json.loads(shown.stdout)}
    assert found["CPU"]["type"] == "found"
    for device in found.values():
        assert device["type"] == "found" or "install" in device["advice"]
    assert "CPU" in here("devices").stdout


def test_model_info_counts_the_published_figures(here: Command) -> None:
    shown = here("model", "info", "googlenet-v4-tf", "--json", "--layers")
    assert shown.returncode == 0, shown.stderr
    figures = json.loads(shown.stdout)
    assert figures["weights"] == "reference weights"
    assert round(figures["gflops"], 3) == 24.584
    assert round(figures["mparams"], 3) == 42.649
    assert figures["parameters"] == 42_649_769
    assert 12 < figures["gflops_mac"] < 12.3
    assert figures["input_shape"] == [1, 3, 299, 299] and figures["fed"].startswith("NCHW f32, BGR 0..255")
    names = {layer["name"] for layer in figures["layers"]}
    assert "InceptionV4/Mixed_6b/Branch_1/Conv2d_0b_1x7" in names


def test_model_info_works_on_a_file(here: Command, tiny: Path) -> None:
    shown = here("model", "info", tiny, "--layers")
    assert shown.returncode == 0, shown.stderr
    assert "conv2" in shown.stdout and "weights" not in shown.stdout.splitlines()[0]


def test_model_build_writes_an_ir_in_the_convention_asked_for(perftool: Command, tmp_path: Path) -> None:
    target = tmp_path / "new" / "model.xml"
    done = perftool(
        "model", "build", "googlenet-v4-tf", "-o", target, "--convention", "original", "--batch", 2
    )
    assert done.returncode == 0, done.stderr
    assert "2,299,299,3" in target.read_text()
    assert 160e6 < target.with_suffix(".bin").stat().st_size < 180e6
    assert sorted(path.name for path in target.parent.iterdir()) == ["model.bin", "model.xml"]


def test_model_build_says_which_variables_are_missing(here: Command, tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "few.npz", **{"InceptionV4/Logits/Logits/biases": np.zeros(1001, np.float32)})
    done = here("model", "build", "googlenet-v4-tf", "--weights", tmp_path / "few.npz", "-o", "m.xml")
    assert done.returncode == 3
    assert "few.npz" in one_line(done)
    assert "Conv2d_1a_3x3/weights" in one_line(done)


def test_accuracy_compares_precisions_in_pairs(
    perftool: Command, here: Command, tiny: Path, labelled: Path
) -> None:
    options = ("--dataset", labelled, "--calibration-images", 8, "--precision", "FP32,INT8")
    done = perftool("accuracy", tiny, *options, "--json")
    assert done.returncode == 0, done.stderr
    results = {row["precision"]: row for row in json.loads(done.stdout)["results"]}
    rows = {precision: row["accuracy"] for precision, row in results.items()}
    assert {name: row["executed_precision"] for name, row in results.items()} == {
        "FP32": "f32",
        "INT8": "int8",
    }, "off the kernels: what was asked for is f32, of INT8 too"
    assert rows["FP32"]["top1"] == 100.0
    assert rows["INT8"]["images"] == 32
    assert rows["INT8"]["drop_low"] <= rows["INT8"]["drop_pp"] <= rows["INT8"]["drop_high"]
    shown = here("accuracy", tiny, *options)
    assert "top-1" in shown.stdout


def test_a_finished_report_is_valid_json_of_the_documented_type(refused: Command, tmp_path: Path) -> None:
    missing = refused("show", tmp_path)
    assert missing.returncode == 3
    assert "holds no run" in one_line(missing)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing.xml"], 3, "nothing.xml"),
        (["googlenet-v5"], 3, "googlenet-v4-tf"),
        (["{tiny}", "--weights", "w.npz"], 2, "--weights"),
        (["{tiny}", "--profile", "quickly"], 3, "did you mean quick"),
        (["{tiny}", "--profile", "{bad}"], 3, "line 2"),
        (["{tiny}", "--profile", "{unknown}"], 3, "grids[0].batchs"),
        (["{tiny}", "--labels", "val.txt"], 2, "--dataset"),
        (["{tiny}", "--dataset", "{empty}"], 3, "no image"),
        (["{tiny}", "--batch", "0"], 2, "batches[0]"),
        (["{tiny}", "--precision", "INT4"], 2, "INT4"),
        (["{tiny}", "--max-latency-ms", "-1"], 2, "latency_ms"),
        (["{broken}"], 3, "broken.onnx"),
    ],
)
def test_bad_input_gets_one_line_and_its_exit_code(
    refused: Command, tiny: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    (tmp_path / "bad.toml").write_text('name = "x"\ngrids = [[\n')
    (tmp_path / "unknown.toml").write_text('name = "x"\n[[grids]]\nbatchs = [1]\n')
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    places = {
        "tiny": tiny,
        "bad": tmp_path / "bad.toml",
        "unknown": tmp_path / "unknown.toml",
        "empty": tmp_path / "empty",
        "broken": tmp_path / "broken.onnx",
    }
    done = refused("sweep", "--out", tmp_path / "run", *(one.format(**places) for one in arguments))
    assert done.returncode == code, done.stderr
    assert words in one_line(done)
    assert not (tmp_path / "run").exists()
