"""What a model's name means, what it is made from, and which models are refused."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from perftool.errors import InputError, UsageError
from perftool.model import sources
from perftool.model.identity import identity, parse_source
from perftool.spec import ModelFile, ReferenceModel, WeightedModel

# ---------------------------------------------------------------- names


def test_a_bare_name_is_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert parse_source("googlenet-v4-tf") == ReferenceModel(name="googlenet-v4-tf")


def test_weights_make_a_weighted_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_source("googlenet-v4-tf", "w.npz") == WeightedModel(
        name="googlenet-v4-tf", weights=str(tmp_path / "w.npz")
    )


@pytest.mark.parametrize("text", ["model.xml", "a.ONNX", "./saved_model", "folder/", "x.tflite"])
def test_a_path_is_a_file(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = parse_source(text)
    assert isinstance(source, ModelFile)
    assert Path(source.path) == tmp_path / text
    with pytest.raises(UsageError, match="--weights"):
        parse_source(text, "w.npz")


def test_an_unknown_name_lists_the_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'resnet'; perftool builds googlenet-v4-tf$"):
        parse_source("resnet")
    (tmp_path / "resnet").mkdir()
    with pytest.raises(InputError, match=r"write \./resnet$"):
        parse_source("resnet")
    with pytest.raises(InputError, match="unknown model"):
        identity(ReferenceModel(name="resnet"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("net.pt", "net.pt: is a training framework's file, not a model's graph; export it to ONNX"),
        ("./net.pt", "net.pt: is a training framework's file, not a model's graph; export it to ONNX"),
        ("notes.txt", "notes.txt: is no model file "),
        ("run", "run: is a run, not a model; perftool show run shows it"),
        ("./run", "run: is a run, not a model; perftool show run shows it"),
        ("INT8", "several values of an option are one word, with commas: --batch 1,2"),
        ("2", "several values of an option are one word, with commas: --batch 1,2"),
    ],
)
def test_what_is_often_taken_for_a_model_is_told_from_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("net.pt", "notes.txt", "run/journal.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=re.escape(told)):
        parse_source(text)


# ---------------------------------------------------------------- identity


def test_identity_is_runtime_free() -> None:
    code = (
        "import sys; from perftool.model.identity import identity, parse_source; "
        "identity(parse_source('googlenet-v4-tf')); "
        "assert not {'openvino', 'nncf', 'cv2', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reference_identity() -> None:
    found = identity(ReferenceModel(name="googlenet-v4-tf"))
    assert found.reference
    assert found.name == "googlenet-v4-tf"
    assert len(found.digest) == 64


def test_file_identity_is_its_content_with_its_weights(tmp_path: Path) -> None:
    def digest(name: str) -> str:
        return identity(ModelFile(path=str(tmp_path / name))).digest

    (tmp_path / "a.xml").write_text("graph")
    alone = digest("a.xml")
    (tmp_path / "a.bin").write_bytes(b"weights")
    whole = digest("a.xml")
    (tmp_path / "b.xml").write_text("graph")
    (tmp_path / "b.bin").write_bytes(b"weights")
    assert digest("b.xml") == whole
    (tmp_path / "b.bin").write_bytes(b"WEIGHTS")
    assert len({alone, whole, digest("b.xml")}) == 3
    assert identity(ModelFile(path=str(tmp_path / "a.xml"))).name == "a"
    assert not identity(ModelFile(path=str(tmp_path / "a.xml"))).reference


def test_folder_identity_covers_every_file(tmp_path: Path) -> None:
    model = tmp_path / "saved"
    (model / "variables").mkdir(parents=True)
    with pytest.raises(InputError, match="an empty folder"):
        identity(ModelFile(path=str(model)))
    (model / "saved_model.pb").write_bytes(b"graph")
    before = identity(ModelFile(path=str(model))).digest
    (model / "variables" / "variables.index").write_bytes(b"index")
    assert identity(ModelFile(path=str(model))).digest != before


def test_weights_identity_is_the_file(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    source = WeightedModel(name="googlenet-v4-tf", weights=str(path))
    with pytest.raises(InputError, match=r"w\.npz: no such file"):
        identity(source)
    path.write_bytes(b"one")
    first = identity(source)
    path.write_bytes(b"two")
    assert first.digest != identity(source).digest
    assert not first.reference


# ---------------------------------------------------------------- reading


def classifier(
    shape: tuple[int, ...] = (1, 3, 8, 8), *, tail: Callable[[Any], Any] | None = None
) -> ov.Model:
    """Make a model that averages each channel and takes a softmax over them."""
    data = ops.parameter(list(shape), np.float32, name="data")
    kernel = ops.constant(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1))
    node: Any = ops.convolution(data, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    node = ops.reduce_mean(node, np.array([2, 3], dtype=np.int64), False)
    node = tail(node) if tail else ops.softmax(node, 1)
    return ov.Model([ops.result(node)], [data], "small")


def save(model: ov.Model, folder: Path) -> Path:
    path = folder / "m.xml"
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as raised:
        sources.load(ModelFile(path=str(path)), 1)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "m.xml") == f"{tmp_path / 'm.xml'}: no such file"


def test_missing_and_damaged_weights_are_named(tmp_path: Path) -> None:
    path = save(classifier(), tmp_path)
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:8])
    assert refusal(path).endswith("m.bin is damaged")
    weights.unlink()
    assert refusal(path).endswith("m.bin is missing beside it")


@pytest.mark.parametrize("name", ["m.xml", "m.onnx", "m.tflite", "m.pb", "m.jpg"])
def test_what_is_no_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"hello")
    assert "not a model that OpenVINO reads" in refusal(tmp_path / name)


def test_a_folder_that_is_no_saved_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert "saved_model.pb" in refusal(tmp_path / "model")


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    first = ops.parameter([1, 3, 8, 8], np.float32)
    second = ops.parameter([1, 3, 8, 8], np.float32)
    scores = ops.reduce_mean(ops.add(first, second), np.array([2, 3], dtype=np.int64), False)
    path = save(ov.Model([ops.result(scores)], [first, second], "two"), tmp_path)
    assert "2 inputs" in refusal(path)


def test_two_outputs_are_refused(tmp_path: Path) -> None:
    data = ops.parameter([1, 3, 8, 8], np.float32)
    scores = ops.reduce_mean(data, np.array([2, 3], dtype=np.int64), False)
    outputs = [ops.result(scores), ops.result(ops.softmax(scores, 1))]
    assert "2 outputs" in refusal(save(ov.Model(outputs, [data], "two"), tmp_path))


def test_other_inputs_and_outputs_are_refused(tmp_path: Path) -> None:
    data = ops.parameter([1, 1, 8, 8], np.float32)
    grey = ov.Model([ops.result(ops.reduce_mean(data, np.array([2, 3]), False))], [data], "grey")
    assert "no batch of 3-channel images" in refusal(save(grey, tmp_path))
    assert "size of the model's input is not fixed" in refusal(save(classifier((1, 3, -1, -1)), tmp_path))
    single = classifier(tail=lambda node: ops.reduce_mean(node, np.array([1]), True))
    assert "no batch of class scores" in refusal(save(single, tmp_path))
    data = ops.parameter([1, 3, 8, 8], np.int32)
    whole = ov.Model([ops.result(ops.reduce_sum(data, np.array([2, 3]), False))], [data], "whole")
    assert "none of the types f32, f16, u8" in refusal(save(whole, tmp_path))


def test_scores_may_have_trailing_ones(tmp_path: Path) -> None:
    tail = lambda node: ops.reshape(node, np.array([0, 3, 1, 1]), True)  # noqa: E731
    model = sources.load(ModelFile(path=str(save(classifier(tail=tail), tmp_path))), 2)
    assert sources.classes(model.outputs[0]) == 3


# ---------------------------------------------------------------- batch


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (-1, 3, 8, 8), (4, 3, 8, 8)])
def test_a_model_takes_a_batch(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model = sources.load(ModelFile(path=str(save(classifier(shape), tmp_path))), 4)
    assert list(model.inputs[0].get_shape()) == [4, 3, 8, 8]
    assert list(model.outputs[0].get_shape()) == [4, 3]
    assert list(sources.rebatch(model, 2).outputs[0].get_shape()) == [2, 3]


def test_a_batch_written_into_a_reshape_is_refused(tmp_path: Path) -> None:
    path = save(classifier(tail=lambda node: ops.reshape(node, np.array([1, 3]), False)), tmp_path)
    assert sources.load(ModelFile(path=str(path)), 1)
    with pytest.raises(InputError, match="cannot be reshaped to batch 4: ") as raised:
        sources.load(ModelFile(path=str(path)), 4)
    assert "\n" not in str(raised.value)


def test_an_output_that_keeps_its_batch_is_refused() -> None:
    model = classifier(tail=lambda node: ops.reduce_mean(node, np.array([0]), True))
    with pytest.raises(InputError, match=r"batch 4: its output .*\[1,3\] does not follow"):
        sources.rebatch(model, 4)


def test_quantized_models_are_told() -> None:
    assert not sources.is_quantized(classifier())
    bounds = [ops.constant(np.float32(value)) for value in (0, 255, 0, 255)]
    assert sources.is_quantized(classifier(tail=lambda node: ops.fake_quantize(node, *bounds, 256)))
    data = ops.parameter([1, 3, 8, 8], np.float32)
    kernel = ops.convert(ops.constant(np.ones((3, 3, 1, 1), dtype=np.int8)), "f32")
    node = ops.convolution(data, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    assert sources.is_quantized(ov.Model([ops.result(node)], [data], "weights"))
