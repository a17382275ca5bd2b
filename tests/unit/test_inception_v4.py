"""The graph of Inception-v4: its shape, its names, its two conventions, and how it refuses weights."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from perftool.errors import InputError
from perftool.model.inception import inception_v4, inception_v4_openvino
from perftool.model.inception.weights import load_weights

LAST_KERNEL = "InceptionV4/Mixed_7d/Branch_3/Conv2d_0b_1x1/weights"
Weights = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def zeros() -> Weights:
    """All variables, all zero: enough for everything but numbers."""
    return {name: np.zeros(shape, np.float32) for name, shape in inception_v4.variable_shapes().items()}


def test_the_network_is_the_published_one() -> None:
    shapes = inception_v4.variable_shapes()
    layers = inception_v4.layers()
    assert len(shapes) == 598
    assert sum(layer.kind == "conv" for layer in layers) == 149
    assert shapes["InceptionV4/Conv2d_1a_3x3/weights"] == (3, 3, 3, 32)
    assert shapes["InceptionV4/Mixed_6b/Branch_1/Conv2d_0b_1x7/weights"] == (1, 7, 192, 224)
    assert shapes["InceptionV4/Mixed_7d/Branch_2/Conv2d_0c_1x3/weights"] == (1, 3, 448, 512)
    assert shapes["InceptionV4/Logits/Logits/weights"] == (1536, 1001)
    ends = {layer.name.split("/")[1]: layer.channels for layer in layers}
    assert [ends[name] for name in ("Mixed_3a", "Mixed_4a", "Mixed_5e", "Mixed_6h", "Mixed_7d")] == [
        *(160, 192, 384, 1024, 1536)
    ]


def test_every_layer_comes_after_its_inputs() -> None:
    seen = {""}
    for layer in inception_v4.layers():
        assert seen.issuperset(layer.inputs)
        assert layer.name not in seen
        seen.add(layer.name)


def test_same_padding_is_symmetric_wherever_it_is_used() -> None:
    """TF pads SAME unevenly for even kernels or strides above 1; there must be none."""
    same = [layer for layer in inception_v4.layers() if layer.padding == "SAME"]
    assert same
    assert all(layer.stride == 1 and layer.kernel[0] % 2 and layer.kernel[1] % 2 for layer in same)


def test_converted_form_takes_bgr_and_any_batch(zeros: Weights) -> None:
    model = inception_v4_openvino.build(zeros, batch=2)
    assert model.input("data").shape == [2, 3, 299, 299]
    assert model.output("InceptionV4/Logits/Predictions").shape == [2, 1001]
    names = {op.get_friendly_name(): op.get_type_name() for op in model.get_ops()}
    scope = "InceptionV4/Mixed_6b/Branch_1/Conv2d_0b_1x7"
    assert [names[scope + end] for end in ("", "/BiasAdd", "/Relu")] == ["Convolution", "Add", "Relu"]
    assert names["InceptionV4/Logits/Predictions"] == "Softmax"
    model.reshape([4, 3, 299, 299])
    assert model.output(0).shape == [4, 1001]


def test_original_form_takes_normalized_rgb(zeros: Weights) -> None:
    model = inception_v4_openvino.build(zeros, convention="original")
    assert model.input("input").shape == [1, 299, 299, 3]
    types = {op.get_type_name() for op in model.get_ops()}
    assert "Transpose" in types and "Subtract" not in types


def test_spatial_sizes_are_those_of_the_paper(zeros: Weights) -> None:
    model = inception_v4_openvino.build(zeros)
    shapes = {op.get_friendly_name(): op.output(0).partial_shape for op in model.get_ops()}
    for name, channels, size in (
        ("InceptionV4/Conv2d_1a_3x3", 32, 149),
        ("InceptionV4/Mixed_3a/concat", 160, 73),
        ("InceptionV4/Mixed_4a/concat", 192, 71),
        ("InceptionV4/Mixed_5e/concat", 384, 35),
        ("InceptionV4/Mixed_6h/concat", 1024, 17),
        ("InceptionV4/Mixed_7d/concat", 1536, 8),
        ("InceptionV4/Logits/AvgPool_1a", 1536, 1),
    ):
        assert shapes[name] == ov.PartialShape([1, channels, size, size])


def test_batch_norm_folds_without_gamma() -> None:
    name = "a"
    weights = {
        "a/weights": np.full((1, 1, 1, 1), 2.0, np.float16),
        "a/BatchNorm/beta": np.array([0.5]),
        "a/BatchNorm/moving_mean": np.array([3.0]),
        "a/BatchNorm/moving_variance": np.array([0.249]),
    }
    kernel, bias = inception_v4_openvino.fold_batch_norm(weights, name)
    assert kernel.dtype == bias.dtype == np.float32
    assert kernel.ravel() == pytest.approx([4.0])
    assert bias == pytest.approx([-5.5])


def test_average_pools_leave_the_padding_out(zeros: Weights) -> None:
    pools = [op for op in inception_v4_openvino.build(zeros).get_ops() if op.get_type_name() == "AvgPool"]
    assert len(pools) == 15
    assert all(op.get_attributes()["exclude-pad"] for op in pools)


def test_missing_surplus_and_misshapen_are_named(zeros: Weights) -> None:
    weights = dict(zeros)
    del weights[LAST_KERNEL]
    weights["InceptionV4/Strange/weights"] = np.zeros(1)
    weights["InceptionV4/Conv2d_1a_3x3/weights"] = np.zeros((3, 3, 32, 3))
    with pytest.raises(InputError) as caught:
        inception_v4_openvino.build(weights, origin="some.npz")
    message = str(caught.value)
    assert message.startswith("some.npz: 598 variables wanted")
    assert f"1 missing: {LAST_KERNEL}" in message
    assert "1 surplus: InceptionV4/Strange/weights" in message
    assert "InceptionV4/Conv2d_1a_3x3/weights is 3x3x32x3, not 3x3x3x32" in message
    assert "\n" not in message


def test_many_missing_are_counted_not_listed() -> None:
    with pytest.raises(InputError, match=r"598 missing: .* and 578 more$"):
        inception_v4.check_weights({}, "empty")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (LAST_KERNEL, np.nan, "with NaN or infinite values: "),
        ("InceptionV4/Logits/Logits/biases", np.inf, "with NaN or infinite values: "),
        ("InceptionV4/Conv2d_1a_3x3/BatchNorm/moving_variance", -1.0, "with negative variances: "),
    ],
)
def test_unusable_values_are_refused(zeros: Weights, name: str, value: float, message: str) -> None:
    with pytest.raises(InputError, match=message + name):
        inception_v4.check_weights(zeros | {name: np.full_like(zeros[name], value)}, "w")


def test_text_is_not_a_weight(zeros: Weights) -> None:
    name = "InceptionV4/Logits/Logits/biases"
    with pytest.raises(InputError, match=r"not of a real number type: .* is <U1"):
        inception_v4.check_weights(zeros | {name: np.full(1001, "x")}, "w")


def test_what_only_training_needs_is_left_aside(zeros: Weights) -> None:
    extra = (
        "global_step",
        "InceptionV4/AuxLogits/Aux_logits/weights",
        "InceptionV4/Conv2d_1a_3x3/weights/Momentum",
        "InceptionV4/Conv2d_1a_3x3/weights/Adam_1",
        "beta1_power",
    )
    inception_v4.check_weights(zeros | {name: np.zeros(1) for name in extra}, "checkpoint")


def test_gamma_is_surplus(zeros: Weights) -> None:
    """It would change the result, so it is not left aside."""
    with pytest.raises(InputError, match=r"1 surplus: .*gamma"):
        inception_v4.check_weights(zeros | {"InceptionV4/Conv2d_1a_3x3/BatchNorm/gamma": np.ones(32)}, "w")


def test_weights_are_loaded_as_stored(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **{"a/b": np.arange(3, dtype=np.float16)})
    loaded = load_weights(tmp_path / "w.npz")
    assert list(loaded) == ["a/b"]
    assert loaded["a/b"].dtype == np.float16


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.npz: no such file"):
        load_weights(tmp_path / "gone.npz")
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(tmp_path)


def _truncated(path: Path) -> None:
    np.savez(path, a=np.zeros(1000))
    path.write_bytes(path.read_bytes()[:500])


def _flipped(path: Path) -> None:
    np.savez(path, a=np.zeros(1000))
    content = bytearray(path.read_bytes())
    content[2000] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not an archive"),
        lambda path: np.savez(path, a=np.array([object()], dtype=object), allow_pickle=True),
        lambda path: path.write_bytes(_single_array()),
        _truncated,
        _flipped,
    ],
    ids=["empty", "text", "objects", "single array", "truncated", "flipped bits"],
)
def test_what_is_no_npz_is_refused(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "w.npz"
    spoil(path)
    with pytest.raises(InputError, match=r"w\.npz: ") as caught:
        load_weights(path)
    assert "\n" not in str(caught.value)


def _single_array() -> bytes:
    stream = BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()
