"""Layers back in floating point: which run how, what they answer, and what a bad request gets."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from forked import forked_model, write_pair
from numpy.typing import NDArray

from perftool.errors import InputError
from perftool.job import Revert
from perftool.model.int8.reverting import revert

LAYERS = ("stem", "left", "narrow", "right", "first", "second", "logits")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The forked network in float and in INT8."""
    return write_pair(tmp_path_factory.mktemp("pair"), forked_model())


def image() -> NDArray[np.float32]:
    return np.random.default_rng(3).integers(0, 256, (1, 3, 24, 24)).astype(np.float32)


def compiled(model: Path | ov.Model) -> Any:
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def answer(path: Path) -> NDArray[np.float32]:
    return np.array(compiled(path)(image())[0])


def kernels(path: Path) -> dict[str, str]:
    """Return the precision that each layer's kernel runs in, by its name's ending."""
    found = {}
    for node in compiled(path).get_runtime_model().get_ordered_ops():
        info = {key: str(getattr(value, "value", value)) for key, value in node.get_rt_info().items()}
        for original in info.get("originalLayersNames", "").split(","):
            # The runtime names a quantized MatMul by what it makes of it.
            name = original.removesuffix("/DequantizationMultiply")
            if name in LAYERS and info["layerType"] in ("Convolution", "FullyConnected", "MatMul"):
                found[name] = info["primitiveType"].rpartition("_")[2].lower()
    return found


def reverted(pair: tuple[Path, Path], folder: Path, *layers: str) -> Path:
    output = folder / "reverted.xml"
    job = Revert(float_path=str(pair[0]), int8_path=str(pair[1]), layers=layers, output=str(output))
    assert revert(job).path == str(output)
    return output


def quantizers(path: Path) -> set[str]:
    ops = ov.Core().read_model(path).get_ops()
    return {op.get_friendly_name() for op in ops if op.get_type_name() == "FakeQuantize"}


def test_without_layers_it_is_the_int8_model(pair: tuple[Path, Path], tmp_path: Path) -> None:
    output = reverted(pair, tmp_path)
    assert np.array_equal(answer(output), answer(pair[1]))
    assert set(kernels(output).values()) == {"i8"}


def test_with_all_layers_it_is_the_float_model(pair: tuple[Path, Path], tmp_path: Path) -> None:
    output = reverted(pair, tmp_path, *LAYERS)
    assert not np.allclose(answer(pair[1]), answer(pair[0]), atol=1e-5)
    assert np.allclose(answer(output), answer(pair[0]), atol=1e-6)
    assert quantizers(output) == set()


@pytest.mark.parametrize("layer", LAYERS)
def test_one_layer_runs_in_float_and_all_others_stay(
    pair: tuple[Path, Path], tmp_path: Path, layer: str
) -> None:
    output = reverted(pair, tmp_path, layer)
    assert kernels(output) == {name: "f32" if name == layer else "i8" for name in LAYERS}
    assert not np.array_equal(answer(output), answer(pair[1]))


def test_a_reverted_layer_computes_on_what_came_before_the_quantizers(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """`first` reads a concatenation of two quantized values, which `second` goes on reading quantized."""
    output = reverted(pair, tmp_path, "first")
    model = ov.Core().read_model(output)
    by_name = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
    exact = {op.get_friendly_name(): op for op in ov.Core().read_model(pair[0]).get_ordered_ops()}
    probe = [by_name[name].output(0) for name in ("left/relu", "right/relu", "first/relu")]
    left, right, found = compiled(ov.Model(probe, model.get_parameters()))(image()).values()
    kernel = exact["first"].input_value(1).get_node().data[:, :, 0, 0]
    bias = exact["first/bias"].input_value(1).get_node().data
    wanted = np.einsum("oi,nihw->nohw", kernel, np.concatenate([left, right], axis=1)) + bias
    assert np.allclose(found, np.maximum(wanted, 0), atol=1e-4)
    assert quantizers(output) == quantizers(pair[1])


def test_a_shared_quantizer_goes_with_its_last_reader(pair: tuple[Path, Path], tmp_path: Path) -> None:
    shared = {name for name in quantizers(pair[1]) if name.startswith(("left/relu", "right/relu"))}
    assert len(shared) == 2
    assert shared <= quantizers(reverted(pair, tmp_path, "second"))
    assert not shared & quantizers(reverted(pair, tmp_path, "first", "second"))


def test_unknown_names_are_one_line_and_nothing_is_written(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no quantized layer pool and 1 more; .*lists those it has"):
        reverted(pair, tmp_path, "left", "pool", "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_float_file_in_place_of_the_int8_one_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no quantized layer left"):
        reverted((pair[0], pair[0]), tmp_path, "left")
    with pytest.raises(InputError, match=r"model\.xml: quantized already"):
        reverted((pair[1], pair[1]), tmp_path, "left")


def test_files_of_two_networks_are_refused(pair: tuple[Path, Path], tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not one network in two forms"):
        reverted((tiny, pair[1]), tmp_path, "left")


def test_the_batch_stays_the_files_own(pair: tuple[Path, Path], tmp_path: Path) -> None:
    paths = []
    for path in pair:
        model = ov.Core().read_model(path)
        model.reshape([4, 3, 24, 24])
        ov.save_model(model, tmp_path / f"{path.stem}-4.xml", compress_to_fp16=False)
        paths.append(tmp_path / f"{path.stem}-4.xml")
    output = reverted((paths[0], paths[1]), tmp_path, "first")
    assert list(ov.Core().read_model(output).inputs[0].get_shape()) == [4, 3, 24, 24]
