"""The error of each quantized layer, against computations of its own and against what single layers do."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from forked import forked_model, write_pair
from numpy.typing import NDArray

from perftool.errors import InputError
from perftool.images.sets import load_images, to_input
from perftool.job import Rank
from perftool.model.int8.quantized import read_pair
from perftool.model.int8.ranking import rank
from perftool.model.int8.reverting import revert_layers
from perftool.record import LayerError
from perftool.spec import ImageFiles, SyntheticImages

IMAGES = SyntheticImages(part="evaluation", count=24)
LAYERS = {"stem", "left", "narrow", "right", "first", "second", "logits"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The forked network in float and in INT8."""
    return write_pair(tmp_path_factory.mktemp("pair"), forked_model())


def ranked(pair: tuple[Path, Path]) -> dict[str, LayerError]:
    job = Rank(float_path=str(pair[0]), int8_path=str(pair[1]), images=IMAGES, most=1000)
    return {layer.name: layer for layer in rank(job, lambda stage, done, total: None).layers}


def values(model: ov.Model, *names: str) -> list[NDArray[np.float64]]:
    """Return what ops of a model give for each image, images x whatever shape."""
    ops = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
    parameter = model.inputs[0]
    probe = ov.Model([ops[name].output(0) for name in names], model.get_parameters())
    compiled: Any = ov.Core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = [list(compiled(to_input(image, parameter)).values()) for image in load_images(IMAGES, (24, 24))]
    return [np.stack([answer[place] for answer in answers]).astype(float) for place in range(len(names))]


def rounded(value: NDArray[np.float64], quantizer: Any) -> NDArray[np.float64]:
    """Compute a FakeQuantize with one scale by its definition."""
    low, high, out_low, out_high = (
        float(quantizer.input_value(port).get_node().data) for port in range(1, 5)
    )
    steps = quantizer.get_attributes()["levels"] - 1
    clipped = np.clip(value, low, high)
    return np.round((clipped - low) / (high - low) * steps) / steps * (out_high - out_low) + out_low


def dequantized(layer: Any) -> NDArray[np.float64]:
    multiply = layer.input_value(1).get_node()
    stored = multiply.input_value(0).get_node().input_value(0).get_node().data.astype(float)
    return np.asarray(stored * multiply.input_value(1).get_node().data)


def test_an_error_is_that_of_the_int8_files_numbers_on_exact_inputs(pair: tuple[Path, Path]) -> None:
    """`left` and `logits`, computed apart: quantizers, weights and biases read off the INT8 file."""
    exact, quantized = (ov.Core().read_model(path) for path in pair)
    ops = {op.get_friendly_name(): op for op in quantized.get_ordered_ops()}
    pool, left, mean, logits = values(exact, "pool", "left/relu", "mean", "logits")
    found = ranked(pair)

    def quantizer(layer: str) -> Any:
        node = ops[layer].input_value(0).get_node()
        while node.get_type_name() != "FakeQuantize":
            node = node.input_value(0).get_node()
        return node

    kernel, bias = dequantized(ops["left"])[:, :, 0, 0], ops["left/bias"].input_value(1).get_node().data
    wanted = np.einsum("oi,knihw->knohw", kernel, rounded(pool, quantizer("left"))) + bias
    own = ((np.maximum(wanted, 0) - left) ** 2).sum() / (left**2).sum()
    assert found["left"].own == pytest.approx(own, rel=2e-3)
    scores = rounded(mean, quantizer("logits")) @ dequantized(ops["logits"]).T
    own = ((scores - logits) ** 2).sum() / (logits**2).sum()
    assert found["logits"].own == pytest.approx(own, rel=2e-3)


def test_the_error_at_the_output_is_what_a_layer_alone_does(pair: tuple[Path, Path]) -> None:
    """Quantize one layer and no other, and compare the scores' error; with 24 images an estimate within 3."""
    found = ranked(pair)
    assert set(found) == LAYERS
    (exact,) = values(ov.Core().read_model(pair[0]), "logits")
    centred = exact - exact.mean(axis=-1, keepdims=True)
    truth = {}
    for layer in LAYERS:
        model = revert_layers(read_pair(str(pair[0]), str(pair[1])), LAYERS - {layer})
        (scores,) = values(model, "logits")
        error = scores - exact - (scores - exact).mean(axis=-1, keepdims=True)
        truth[layer] = (error**2).sum() / (centred**2).sum()
    for layer, wanted in truth.items():
        assert wanted / 3 < found[layer].at_output < wanted * 3, layer


def test_the_worst_comes_first_and_a_harmed_layer_is_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    model = ov.Core().read_model(pair[1])
    (right,) = [op for op in model.get_ops() if op.get_friendly_name() == "right"]
    scale = right.input_value(1).get_node().input(1)
    coarse = np.array(scale.get_source_output().get_node().data) * 1.5
    scale.replace_source_output(ov.opset13.constant(coarse.astype(np.float32)).output(0))
    harmed = tmp_path / "harmed.xml"
    ov.save_model(model, harmed, compress_to_fp16=False)
    found = list(ranked((pair[0], harmed)).values())
    assert found[0].name == "right"
    assert found[0].own == pytest.approx(0.25, rel=0.5)
    assert [layer.at_output for layer in found] == sorted((each.at_output for each in found), reverse=True)


def test_it_is_the_same_every_time_and_tells_how_far_it_is(pair: tuple[Path, Path]) -> None:
    steps: list[tuple[str, int, int]] = []
    job = Rank(float_path=str(pair[0]), int8_path=str(pair[1]), images=IMAGES, most=1000)
    first = rank(job, lambda *step: steps.append(step))
    assert steps == [("rank", done, 24) for done in range(25)]
    assert first.images == 24
    assert rank(job, lambda *step: None).layers == first.layers


def test_an_op_without_a_reverse_leaves_energies_to_reckon_with(tmp_path: Path) -> None:
    """`right` then has the share that its part of the concatenation's energy gives it."""
    rough = write_pair(tmp_path, forked_model(rough=True))
    found = ranked(rough)
    names = ("left/relu", "rough", "first/relu", "second/relu")
    left, right, first, second = (
        (value**2).sum() for value in values(ov.Core().read_model(rough[0]), *names)
    )
    assert found["logits"].share == pytest.approx(1)
    assert found["first"].share == pytest.approx(first / (first + second), rel=1e-3)
    assert found["right"].share == pytest.approx(right / (left + right), rel=1e-3)
    assert found["narrow"].share == found["right"].share
    assert found["stem"].share == pytest.approx(1)


def test_an_open_batch_and_half_precision_weights_are_no_matter(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    paths = []
    for path in pair:
        model = ov.Core().read_model(path)
        model.reshape(ov.PartialShape([-1, 3, 24, 24]))
        paths.append(tmp_path / f"{path.stem}.xml")
        ov.save_model(model, paths[-1], compress_to_fp16=path == pair[0])
    found, wanted = ranked((paths[0], paths[1])), ranked(pair)
    assert set(found) == LAYERS
    for name, layer in found.items():
        assert layer.own == pytest.approx(wanted[name].own, rel=0.1)
        assert layer.at_output == pytest.approx(wanted[name].at_output, rel=0.1)


def test_what_cannot_be_ranked_is_one_line(pair: tuple[Path, Path], tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not one network in two forms"):
        ranked((tiny, pair[1]))
    job = Rank(float_path=str(pair[0]), int8_path=str(pair[0]), images=IMAGES, most=4)
    assert rank(job, lambda *step: None).layers == (), "nothing is quantized, so nothing is ranked"
    absent = ImageFiles(directory=str(tmp_path), files=("absent.png",), labels=())
    job = Rank(float_path=str(pair[0]), int8_path=str(pair[1]), images=absent, most=4)
    with pytest.raises(InputError, match=r"absent\.png: no such image"):
        rank(job, lambda *step: None)
