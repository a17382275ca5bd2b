"""`perftool quantize` as a command, on a small model that loses accuracy to INT8 in one place."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from outcome import one_line

from perftool.bench.openvino_engine import executed_precisions
from perftool.model.complexity import describe, fused_biases

Command = Callable[..., "subprocess.CompletedProcess[str]"]

CALIBRATION = 16
IMAGES = 116


def lopsided_model(bias_of_scores: Any) -> ov.Model:
    """Build five layers; the channels of `wide` differ widely in range, so `reader` suffers in INT8.

    A scale per tensor leaves the small channels of its input a few steps or none; the float function is that
    of channels of one range, since `reader` divides by what `wide` multiplies with.
    """
    rng = np.random.Generator(np.random.Philox(23))
    spread = np.exp(rng.uniform(-np.log(200), np.log(200), 24)).astype(np.float32)

    def kernel(outputs: int, inputs: int, width: int) -> Any:
        scale = (2 / (inputs * width**2)) ** 0.5
        return rng.normal(0, scale, (outputs, inputs, width, width)).astype(np.float32)

    def convolution(node: Any, weights: Any, bias: Any, name: str) -> Any:
        pads = [weights.shape[2] // 2] * 2
        node = ops.convolution(node, ops.constant(weights), [1, 1], pads, pads, [1, 1], name=name)
        added = ops.add(node, ops.constant(bias.reshape(1, -1, 1, 1)), name=f"{name}/bias")
        return ops.relu(added, name=f"{name}/relu")

    bias = np.full(24, 0.1, np.float32)
    data = ops.parameter([1, 3, 32, 32], np.float32, name="data")
    data.output(0).get_tensor().set_names({"data"})
    image = ops.multiply(ops.subtract(data, np.float32(127.5)), np.float32(1 / 127.5))
    node = convolution(image, kernel(24, 3, 3), bias, "stem")
    node = convolution(node, kernel(24, 24, 3) * spread.reshape(-1, 1, 1, 1), bias * spread, "wide")
    node = convolution(node, kernel(24, 24, 3) / spread.reshape(1, -1, 1, 1), bias, "reader")
    node = convolution(node, kernel(24, 24, 1), bias, "last")
    pooled = ops.avg_pool(node, [8, 8], [0, 0], [0, 0], [8, 8], True, name="pooled")
    flat = ops.reshape(pooled, np.array([0, -1], dtype=np.int64), True)
    weights = rng.normal(0, 2, (24 * 16, 10)).astype(np.float32)
    product = ops.matmul(flat, ops.constant(weights), False, False, name="logits")
    logits = ops.add(product, ops.constant(bias_of_scores.reshape(1, -1).astype(np.float32)))
    scores = ops.softmax(logits, 1, name="scores")
    scores.output(0).get_tensor().set_names({"scores"})
    return ov.Model([ops.result(scores)], [data], "lopsided")


def likeliest(model: ov.Model, images: list[Any]) -> Any:
    """Return what a model scores each image with, images x classes."""
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    inputs = [image.transpose(2, 0, 1)[np.newaxis].astype(np.float32) for image in images]
    return np.array([compiled(image)[0][0] for image in inputs])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the model, and images that are labelled by what it says of them in f32."""
    folder = tmp_path_factory.mktemp("lopsided")
    rng = np.random.Generator(np.random.Philox(5))
    blocks = [rng.integers(0, 256, (3, 3, 3), dtype=np.uint8) for _ in range(IMAGES)]
    images = [cv2.resize(block, (32, 32), interpolation=cv2.INTER_CUBIC) for block in blocks]
    # Without its mean taken off, one class would be the likeliest of every image.
    scores = likeliest(lopsided_model(np.zeros(10)), images)
    model = lopsided_model(-np.log(np.maximum(scores, 1e-30)).mean(axis=0))
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    labels = likeliest(model, images).argmax(axis=1)
    assert len(set(labels)) > 3, "a model that gives one class would prove nothing"
    (folder / "images").mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
    lines = [f"{number}.png {label}\n" for number, label in enumerate(labels)]
    (folder / "images" / "val.txt").write_text("".join(lines))
    return folder


def quantize(folder: Path, *arguments: object) -> tuple[object, ...]:
    """Return the command that quantizes the model on its images; options given here replace those."""
    data = ("--preprocess", "resize", "--dataset", folder / "images", "--calibration-images", CALIBRATION)
    return ("quantize", folder / "model.xml", *data, *arguments)


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def plain(
    perftool: Command, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """Quantize without a bound, on a free device; return the file and the report."""
    output = tmp_path_factory.mktemp("plain") / "int8.xml"
    return output, report(perftool(*quantize(folder, "-o", output, "--json")))


def precision_of(layers: list[dict[str, Any]]) -> dict[str, str]:
    return {layer["name"]: layer["precision"] for layer in layers}


def share_in_float(path: Path) -> float:
    """Return which share of a written model's operations the CPU really runs in f32."""
    model = ov.Core().read_model(path)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    executed = executed_precisions(
        compiled, describe(model, name="m", origin="m").layers, fused_biases(model, "m")
    )
    total = sum(one.flops for one in executed)
    return sum(one.flops for one in executed if one.precision == "f32") / total


def test_every_layer_is_reported_with_its_error(plain: tuple[Path, dict[str, Any]]) -> None:
    output, found = plain
    assert precision_of(found["layers"]) == dict.fromkeys(
        ("stem", "wide", "reader", "last", "logits"), "int8"
    )
    assert found["layers"][0]["name"] == "reader", "the layer that suffers is the worst"
    assert found["method"] == "plain" and found["accuracy"] is None and found["trials"] == []
    assert found["calibration_images"] == CALIBRATION
    assert found["seconds"] > 0 and found["peak_rss_bytes"] > 50_000_000
    assert found["speed"][0]["against"] == "FP32"
    assert all(one["ratio"]["low"] <= one["ratio"]["point"] <= one["ratio"]["high"] for one in found["speed"])
    assert share_in_float(output) < 0.2


@pytest.mark.usefixtures("no_duel")
@pytest.mark.parametrize("method", ["ranked", "nncf"])
def test_a_bound_keeps_the_layer_that_suffers(
    perftool: Command, folder: Path, tmp_path: Path, method: str
) -> None:
    output = tmp_path / "bounded.xml"
    found = report(perftool(*quantize(folder, "-o", output, "--max-drop", 8, "--method", method, "--json")))
    assert found["plain"]["drop_pp"] > 8, "a model that loses nothing would prove nothing"
    assert found["accuracy"]["drop_pp"] <= 8
    assert found["accuracy"]["images"] == IMAGES - CALIBRATION
    assert found["method"] == method
    kept = [layer for layer in found["layers"] if layer["precision"] == "float"]
    assert 1 <= len(kept) < 5
    assert all("kept in float" in layer["reason"] for layer in kept)
    if method == "ranked":
        assert "reader" in [layer["name"] for layer in kept]
        assert found["trials"][-1]["passes"] or any(trial["passes"] for trial in found["trials"])
    assert share_in_float(output) > 0.2
    assert any("optimistic" in text for text in found["warnings"])


@pytest.mark.usefixtures("no_duel")
def test_a_bound_that_plain_int8_keeps_reverts_nothing(
    perftool: Command, folder: Path, tmp_path: Path
) -> None:
    found = report(perftool(*quantize(folder, "-o", tmp_path / "int8.xml", "--max-drop", 100, "--json")))
    assert (found["method"], found["trials"]) == ("plain", [])
    assert found["accuracy"] == found["plain"]
    assert found["speed"] == [] and "int8" in found["executed"]
    assert any("its speed was not compared: another" in text for text in found["warnings"])


@pytest.mark.usefixtures("no_duel")
def test_ignored_layers_stay_in_float(perftool: Command, folder: Path, tmp_path: Path) -> None:
    """Without images of the user's the built-in ones calibrate."""
    ignored = ("--ignore-layer", "reader", "--ignore-layer", "la.*")
    options = ("-o", tmp_path / "int8.xml", "--calibration-images", 4, *ignored, "--json")
    found = report(perftool("quantize", folder / "model.xml", *options))
    assert found["calibration_images"] == 4
    assert "FakeQuantize" in (tmp_path / "int8.xml").read_text()
    kept = {name for name, precision in precision_of(found["layers"]).items() if precision == "float"}
    assert kept == {"reader", "last"}
    assert {layer["reason"] for layer in found["layers"] if layer["name"] in kept} == {
        "not quantized: ignored, or not supported by NNCF"
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--ignore-layer", "nowhere"), "ignored layer 'nowhere': no layer of "),
        (("--ignore-layer", "re("), "no regular expression"),
        (("-o", "model.onnx"), "must end in .xml"),
        (("--labels", "nowhere.txt", "--max-drop", "1"), "nowhere.txt"),
        (("-o", "/proc/nowhere/int8.xml"), "cannot be written"),
        (("--ignore-layer", ".*"), "NNCF quantized no layer"),
    ],
)
def test_bad_input_is_one_line(
    refused: Command, folder: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = refused(*quantize(folder, "-o", tmp_path / "out.xml", *arguments))
    assert done.returncode == 3
    assert said in one_line(done)
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_a_model_that_comes_quantized_is_refused(
    refused: Command, plain: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    done = refused("quantize", plain[0], "-o", tmp_path / "twice.xml", "--calibration-images", 4)
    assert done.returncode == 3 and "comes quantized already" in done.stderr
    assert not (tmp_path / "twice.xml").exists()


def test_a_bound_takes_labels(refused: Command, folder: Path, tmp_path: Path) -> None:
    (folder / "unlabelled").mkdir(exist_ok=True)
    for number in range(20):
        image = (folder / "images" / f"{number}.png").read_bytes()
        (folder / "unlabelled" / f"{number}.png").write_bytes(image)
    options = ("--dataset", folder / "unlabelled", "--calibration-images", 8, "--max-drop", 1)
    done = refused(*quantize(folder, "-o", tmp_path / "o.xml", *options))
    assert done.returncode == 3 and "labelled images" in done.stderr
    assert "preparing" not in done.stderr, "it is refused before the work"


def test_options_of_a_bound_go_with_one(refused: Command, folder: Path, tmp_path: Path) -> None:
    done = refused(*quantize(folder, "-o", tmp_path / "o.xml", "--method", "nncf"))
    assert done.returncode == 2 and "go with --max-drop" in done.stderr


@pytest.mark.usefixtures("no_duel")
def test_calibration_images_that_cannot_be_read_are_counted(
    perftool: Command, folder: Path, tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for number in range(12):
        content = (folder / "images" / f"{number}.png").read_bytes()
        (mixed / f"{number}.png").write_bytes(content if number % 3 else content[:50])
    options = ("--dataset", mixed, "--calibration-images", 12, "--json")
    found = report(perftool(*quantize(folder, "-o", tmp_path / "o.xml", *options)))
    assert found["calibration_images"] == 8
    assert "4 of 12 calibration images could not be read" in found["warnings"]
