"""`perftool model convert`: what comes out takes BGR, 0..255, and answers as the source does."""

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

from perftool.job import Convert
from perftool.model.convert import convert
from perftool.model.inception.inception_v4 import layers
from perftool.model.inception.reference import reference_weights
from perftool.spec import Feeding, ModelFile

Command = Callable[..., "subprocess.CompletedProcess[str]"]

MEAN, SCALE = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def run(path: Path, image: NDArray[Any]) -> NDArray[Any]:
    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(np.ascontiguousarray(image, dtype=np.float32))[0])


@pytest.fixture(scope="module")
def bgr() -> NDArray[np.float32]:
    """An image as perftool feeds it: [1, 3, 32, 32], BGR, 0..255."""
    rng = np.random.Generator(np.random.Philox(7))
    return rng.integers(0, 256, (1, 3, 32, 32)).astype(np.float32)


def normalized(bgr: NDArray[np.float32], layout: str) -> NDArray[np.float32]:
    """Do with NumPy what the source wants: RGB, normalized by channel, in its layout."""
    rgb = (bgr[:, ::-1] - np.reshape(MEAN, (3, 1, 1))) / np.reshape(SCALE, (3, 1, 1))
    return (rgb if layout == "NCHW" else rgb.transpose(0, 2, 3, 1)).astype(np.float32)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        ("NCHW", (1, 3, 32, 32)),
        ("NHWC", (1, 32, 32, 3)),
        ("NCHW", ("N", 3, "H", "W")),
        ("NHWC", ("N", "H", "W", 3)),
    ],
    ids=["NCHW", "NHWC", "open NCHW", "open NHWC"],
)
def test_onnx_answers_as_before_from_plain_pixels(
    tmp_path: Path, bgr: NDArray[np.float32], layout: Any, shape: tuple[Any, ...]
) -> None:
    source = onnx_models.write_small(tmp_path / "m.onnx", shape=shape)
    expected = run(source, normalized(bgr, layout))

    def converted(**changes: Any) -> NDArray[Any]:
        whole = (1, 3, 32, 32) if layout == "NCHW" else (1, 32, 32, 3)
        fields: dict[str, Any] = {"mean": MEAN, "scale": SCALE, "color": "RGB", "shape": whole} | changes
        model = ModelFile(path=str(source), feeding=Feeding(**fields))
        return run(Path(convert(Convert(model=model, output=str(tmp_path / "m.xml"))).path), bgr)

    assert np.abs(converted() - expected).max() < 1e-5
    assert np.abs(converted(layout=layout) - expected).max() < 1e-5
    wrong: list[dict[str, Any]] = [{"mean": ()}, {"scale": ()}, {"color": "BGR"}]
    wrong += [{"mean": MEAN[::-1]}, {"scale": tuple(2 * value for value in SCALE)}]
    for changes in wrong:
        assert np.abs(converted(**changes) - expected).max() > 1e-3, changes


def test_the_command_says_what_the_file_takes_and_gives(here: Command, tmp_path: Path) -> None:
    source = onnx_models.write_small(tmp_path / "m.onnx", shape=("N", 32, 32, 3))
    target = tmp_path / "new" / "m.xml"
    done = here(
        *("model", "convert", source, "-o", target, "--mean", "127.5", "--scale", "127.5", "--color", "RGB")
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{target}: image f32 [1,3,32,32] NCHW, BGR 0..255 -> scores [1,10]",
        f"from {source}: NHWC f32, RGB, (x - 127.5) / 127.5",
    ]
    assert not done.stderr
    assert sorted(path.name for path in target.parent.iterdir()) == ["m.bin", "m.xml"]
    again = here("model", "convert", target, "-o", target, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["assumed"]
    assert "taken as it is: NCHW f32, BGR 0..255; state --mean, --scale or --color" in again.stderr


def test_weights_stay_in_full_precision(tmp_path: Path) -> None:
    source = onnx_models.write_small(tmp_path / "m.onnx")
    job = Convert(model=ModelFile(path=str(source)), output=str(tmp_path / "m.xml"))
    model = ov.Core().read_model(convert(job).path)
    kinds = {
        op.get_element_type().get_type_name() for op in model.get_ops() if op.get_type_name() == "Constant"
    }
    assert "f16" not in kinds


def test_a_built_in_model_is_converted_from_its_name(here: Command, tmp_path: Path) -> None:
    done = here("model", "convert", "googlenet-v4-tf", "-o", tmp_path / "m.xml")
    assert done.returncode == 0, done.stderr
    assert "(built in, reference weights)" in done.stdout
    assert "data f32 [1,3,299,299] NCHW, BGR 0..255 -> InceptionV4/Logits/Predictions [1,1001]" in done.stdout
    assert not done.stderr


def test_an_original_ir_is_recognised(here: Command, tmp_path: Path) -> None:
    original, target = tmp_path / "original.xml", tmp_path / "m.xml"
    built = here("model", "build", "googlenet-v4-tf", "-o", original, "--convention", "original")
    assert built.returncode == 0, built.stderr
    done = here("model", "convert", original, "-o", target)
    assert done.returncode == 0, done.stderr
    assert "data f32 [1,3,299,299] NCHW, BGR 0..255 -> InceptionV4/Logits/Predictions" in done.stdout
    assert "RGB, (x - 127.5) / 127.5 (recognised as googlenet-v4-tf)" in done.stdout
    assert not done.stderr
    compared = here("model", "verify", target, "googlenet-v4-tf", "--images", 2, "--json")
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["max_difference"] < 1e-6


def test_layers_keep_the_names_that_their_source_gives_them(tmp_path: Path) -> None:
    onnx_models.write_inception_v4(tmp_path / "inception.onnx", reference_weights())
    source = ModelFile(path=str(tmp_path / "inception.onnx"))
    convert(Convert(model=source, output=str(tmp_path / "inception.xml")))
    ops = ov.Core().read_model(tmp_path / "inception.xml").get_ordered_ops()
    kinds = [op.get_type_name() for op in ops]
    assert "BatchNormInference" not in kinds and kinds.count("Multiply") <= 1, "batch norm is fused"
    found = {op.get_friendly_name() for op in ops if op.get_type_name() == "Convolution"}
    assert found == {layer.name for layer in layers() if layer.kind == "conv"}


def test_a_paddle_model_answers_as_before_from_plain_pixels(tmp_path: Path) -> None:
    source = Path(__file__).parent / "data" / "tiny.pdmodel"
    feeding = Feeding(mean=(127.5,), scale=(127.5,), color="RGB")
    output = tmp_path / "tiny.xml"
    convert(Convert(model=ModelFile(path=str(source), feeding=feeding), output=str(output)))
    pixels = np.random.default_rng(4).integers(0, 256, (1, 3, 32, 32)).astype(np.float32)
    expected = run(source, (pixels[:, ::-1] - 127.5) / 127.5)
    assert expected.shape == (1, 10) and np.ptp(expected) > 0.01
    np.testing.assert_allclose(run(output, pixels), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--scale", "0"], 2, "--scale: 0"),
        (["--mean", "1,2"], 2, "--mean: 2 values"),
        (["--input-shape", "3,32,32"], 2, "--input-shape: 3,32,32 has 3 sizes"),
        (["--input-shape", "1,3,64,64"], 3, "--input-shape: 1,3,64,64 contradicts"),
        (["--layout", "NHWC"], 3, "--layout: NHWC contradicts"),
        (["--weights", "w.npz"], 2, "--weights"),
        (["-o", "{folder}/m.onnx.ir"], 3, "must end in .xml"),
        (["-o", "{folder}/taken.xml"], 3, "it is a folder"),
        (["-o", "{folder}/m.onnx/m.xml"], 3, "cannot be written"),
    ],
)
def test_bad_input_gets_one_line_and_no_file(
    refused: Command, tmp_path: Path, options: list[str], code: int, words: str
) -> None:
    source = onnx_models.write_small(tmp_path / "m.onnx")
    (tmp_path / "taken.xml").mkdir()
    target = tmp_path / "out.xml"
    chosen = [option.format(folder=tmp_path) for option in options]
    done = refused("model", "convert", source, *([] if "-o" in chosen else ["-o", target]), *chosen)
    assert done.returncode == code, done.stderr
    assert words in one_line(done)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "taken.xml"]


def test_feeding_options_do_not_go_with_a_built_in_model(refused: Command, tmp_path: Path) -> None:
    done = refused("model", "convert", "googlenet-v4-tf", "-o", tmp_path / "m.xml", "--color", "RGB")
    assert done.returncode == 2
    assert "go with a model file" in one_line(done)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["mobilenet_v1_0.5_160_quant", "mobilenet_v1_0.25_128_quant"])
def test_real_tflite_models_agree_with_what_is_made_of_them(
    here: Command, real_data: Path, tmp_path: Path, name: str
) -> None:
    source = real_data / "tflite" / f"{name}.tflite"
    for options, ports in (([], "input u8 [1,"), (["--color", "RGB"], "input f32 [1,3,")):
        target = tmp_path / "m.xml"
        done = here("model", "convert", source, "-o", target, *options)
        assert done.returncode == 0, done.stderr
        assert ports in done.stdout
        compared = here(
            *("model", "verify", source, target, "--dataset", real_data / "images", "--images", 32, "--json"),
            *("--max-difference", 0, "--min-agreement", 100),
        )
        assert compared.returncode == 0, compared.stderr
        assert "uint8 scores" in json.loads(compared.stdout)["first"]["scores"]
