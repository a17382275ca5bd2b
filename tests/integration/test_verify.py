"""`perftool model verify`: two models are compared by the probabilities that they give to the same images."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_models
import openvino as ov
import pytest
from numpy.typing import NDArray
from outcome import one_line
from tiny import write_tiny_model

from perftool.bench.verify import probabilities, verify
from perftool.images.sets import load_images
from perftool.job import Convert, Verify
from perftool.model.convert import convert
from perftool.spec import Feeding, ModelFile, SyntheticImages

Command = Callable[..., "subprocess.CompletedProcess[str]"]

IMAGES = SyntheticImages(part="evaluation", count=12)


def compare(first: ModelFile, second: ModelFile) -> Any:
    job = Verify(first=first, second=second, images=IMAGES, device="CPU")
    return verify(job, lambda stage, done, total: None)


def test_differences_are_those_of_the_probabilities(tmp_path: Path) -> None:
    """Two models of different weights, compared with what NumPy and the plain runtime say."""
    paths = [onnx_models.write_small(tmp_path / f"{seed}.onnx", seed=seed) for seed in (3, 4)]
    feeding = Feeding(scale=(100.0,))
    found = compare(*(ModelFile(path=str(path), feeding=feeding) for path in paths))
    answers = []
    for path in paths:
        compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        images = [
            one.transpose(2, 0, 1)[None].astype(np.float32) / 100 for one in load_images(IMAGES, (32, 32))
        ]
        answers.append(np.concatenate([np.array(compiled(image)[0]) for image in images]))
    difference = np.abs(answers[0] - answers[1])
    assert found.images == len(difference) == 12
    assert found.max_difference == pytest.approx(difference.max(), rel=1e-4)
    assert found.mean_difference == pytest.approx(difference.mean(), rel=1e-4)
    assert found.same_top1 == (answers[0].argmax(axis=1) == answers[1].argmax(axis=1)).sum()
    assert found.max_difference > 0.01
    assert found.first_fed == found.second_fed == "NCHW f32, BGR, x / 100"


def test_each_model_is_fed_by_its_own_convention(tmp_path: Path) -> None:
    """NHWC and NCHW, RGB normalized, and logits against probabilities: the same classifier all the same."""
    how = {"mean": (127.5,), "scale": (127.5,), "color": "RGB"}
    first = onnx_models.write_small(tmp_path / "a.onnx", shape=(1, 32, 32, 3), softmax=False)
    second = onnx_models.write_small(tmp_path / "b.onnx")
    fed = Feeding(**how)  # type: ignore[arg-type]
    found = compare(*(ModelFile(path=str(path), feeding=fed) for path in (first, second)))
    assert found.max_difference < 1e-6
    assert found.same_top1 == found.images
    assert (found.first_scores, found.second_scores) == ("logits, by a softmax", "probabilities")
    assert found.first_fed.startswith("NHWC f32, RGB")
    unlike = compare(ModelFile(path=str(first), feeding=fed), ModelFile(path=str(second)))
    assert unlike.max_difference > 0.01


def test_each_model_gets_the_images_at_its_own_size(tmp_path: Path) -> None:
    paths = [write_tiny_model(tmp_path / f"{size}.xml", size=size) for size in (32, 48)]
    found = compare(*(ModelFile(path=str(path)) for path in paths))
    assert found.images == 12
    assert 0 < found.max_difference <= 1


@pytest.mark.parametrize(
    ("scores", "read", "expected"),
    [
        (np.array([[0.25, 0.75]], np.float32), "probabilities", [[0.25, 0.75]]),
        (np.array([[0.0, 1.0]], np.float16), "probabilities", [[0.0, 1.0]]),
        (
            np.array([[0, 63, 189], [0, 0, 0]], np.uint8),
            "uint8 scores, divided",
            [[0, 0.25, 0.75], [0, 0, 0]],
        ),
        (np.array([[0.225, 0.675]], np.float32), "coarse probabilities", [[0.25, 0.75]]),
        (np.array([[0.0, np.log(3.0)]], np.float32), "logits", [[0.25, 0.75]]),
        (np.array([[-1000.0, 1000.0]], np.float32), "logits", [[0.0, 1.0]]),
    ],
)
def test_scores_are_read_as_probabilities(
    scores: NDArray[Any], read: str, expected: list[list[float]]
) -> None:
    found, how = probabilities(scores)
    assert how.startswith(read)
    assert np.allclose(found, expected, atol=1e-6)


def test_one_image_of_logits_makes_all_of_them_logits() -> None:
    scores = np.array([[0.5, 0.5], [4.0, -4.0]], np.float32)
    found, how = probabilities(scores)
    assert how.startswith("logits")
    assert np.allclose(found[0], [0.5, 0.5])


# ---------------------------------------------------------------- the command


def test_bounds_decide_the_exit_code(here: Command, tmp_path: Path) -> None:
    first, second = tmp_path / "3.xml", tmp_path / "4.xml"
    for target, seed in ((first, 3), (second, 4)):
        source = onnx_models.write_small(tmp_path / f"{seed}.onnx", seed=seed)
        fed = ModelFile(path=str(source), feeding=Feeding(mean=(127.5,), scale=(100.0,)))
        convert(Convert(model=fed, output=str(target)))
    same = here("model", "verify", first, first, "--images", 3)
    assert same.returncode == 0, same.stderr
    assert "3 of 3" in same.stdout
    differ = here("model", "verify", first, second, "--images", 3, "--json")
    assert differ.returncode == 9
    assert "above the bound of 0.0001" in one_line(differ)
    figures = json.loads(differ.stdout)
    assert figures["images"] == 3
    assert len(figures["exceeded"]) == 1
    allowed = here("model", "verify", first, second, "--images", 3, "--max-difference", 1)
    assert allowed.returncode == 0, allowed.stderr
    bounds = ("--max-difference", 0, "--min-agreement", 100)
    both = here("model", "verify", first, second, "--images", 3, *bounds)
    assert both.returncode == 9
    assert "top-1, less than 100 %" in one_line(both)


def test_a_data_set_is_read_and_drawn_from(here: Command, tiny: Path, labelled: Path) -> None:
    done = here("model", "verify", tiny, tiny, "--dataset", labelled, "--images", 5, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 5


def test_images_that_cannot_be_read_are_left_out_and_counted(
    here: Command, tiny: Path, labelled: Path, tmp_path: Path
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes((labelled / f"0{number}.png").read_bytes())
    (tmp_path / "1.png").write_bytes(b"no image")
    done = here("model", "verify", tiny, tiny, "--dataset", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 2
    assert "1 of 3 images cannot be read; left out" in done.stderr


def test_different_numbers_of_classes_are_refused(here: Command, tmp_path: Path) -> None:
    paths = {count: write_tiny_model(tmp_path / f"{count}.xml", classes=count) for count in (10, 1000, 1001)}
    done = here("model", "verify", paths[1001], paths[1000])
    assert done.returncode == 3
    assert "class 0 is the background" in one_line(done)
    done = here("model", "verify", paths[10], paths[1000])
    assert done.returncode == 3
    assert "scores 10 classes" in one_line(done)
    assert "background" not in one_line(done)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--dataset", "{folder}/none"], 3, "no such folder"),
        (["--device", "GPU.7"], 5, "GPU.7"),
        (["--weights", "w.npz"], 2, "--weights"),
        (["--scale", "0"], 2, "--scale: 0"),
    ],
)
def test_bad_input_gets_one_line(
    refused: Command, tiny: Path, tmp_path: Path, options: list[str], code: int, words: str
) -> None:
    done = refused("model", "verify", tiny, tiny, *(option.format(folder=tmp_path) for option in options))
    assert done.returncode == code, done.stderr
    assert words in one_line(done)


def test_nan_is_an_error_and_no_agreement(here: Command, tmp_path: Path) -> None:
    path = onnx_models.write_small(tmp_path / "m.onnx")
    done = here("model", "verify", path, path, "--images", 2, "--scale", "1e-38", "--mean", "-1e38")
    assert done.returncode == 1
    assert "answers image 0 (counted from 0) with NaN or infinity" in one_line(done)


@pytest.mark.real_data
def test_inception_v4_from_another_tool_is_the_built_in_one(
    perftool: Command, real_data: Path, tmp_path: Path
) -> None:
    """The repaired Inception v4 as ONNX, batch norm not folded: largest difference below 1e-4."""
    weights = real_data / "inception_v4" / "weights_fp16.npz"
    with np.load(weights) as stored:
        source = onnx_models.write_inception_v4(tmp_path / "m.onnx", dict(stored))
    target = tmp_path / "m.xml"
    how = ("--mean", 127.5, "--scale", 127.5, "--color", "RGB")
    done = perftool("model", "convert", source, "-o", target, *how)
    assert done.returncode == 0, done.stderr
    against = ("googlenet-v4-tf", "--weights", weights, "--dataset", real_data / "images")
    compared = perftool("model", "verify", target, *against, "--images", 8, "--json")
    assert compared.returncode == 0, compared.stderr
    figures = json.loads(compared.stdout)
    assert figures["max_difference"] < 1e-4
    assert figures["same_top1"] == figures["images"] == 8
    wrong = perftool("model", "verify", source, *against, "--images", 2, "--json")
    assert wrong.returncode == 9
