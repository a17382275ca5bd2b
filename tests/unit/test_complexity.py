"""What models cost, on graphs small enough to count by hand, and the published figures of Inception-v4."""

from pathlib import Path

import nncf
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from perftool.errors import InputError
from perftool.model.complexity import describe
from perftool.model.inception import inception_v4, inception_v4_openvino
from perftool.record import Described
from perftool.spec import Convention


def _describe(model: ov.Model) -> Described:
    return describe(model, name="m", origin="m.xml")


def _small_model(batch: int = 2) -> ov.Model:
    """3x8x8 -> conv 3x3 to 4, bias, ReLU -> max pool 2x2 -> mean over space -> fully connected to 5."""
    image = ops.parameter([batch, 3, 8, 8], np.float32, name="data")
    kernel = np.ones((4, 3, 3, 3), np.float32)
    conv = ops.convolution(image, kernel, [1, 1], [1, 1], [1, 1], [1, 1], name="conv")
    biased = ops.add(conv, np.ones((1, 4, 1, 1), np.float32), name="bias")
    active = ops.relu(biased, name="relu")
    pooled = ops.max_pool(active, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], name="pool").output(0)
    mean = ops.reduce_mean(pooled, np.array([2, 3]), name="mean")
    logits = ops.matmul(mean, np.ones((4, 5), np.float32), False, False, name="fc")
    return ov.Model([ops.result(ops.add(logits, np.ones((1, 5), np.float32)))], [image], "small")


def test_costs_are_those_counted_by_hand() -> None:
    described = _describe(_small_model())
    rows = {row.name: row for row in described.layers}
    assert list(rows) == ["conv", "relu", "pool", "mean", "fc"]
    conv_macs = 2 * 4 * 8 * 8 * 27
    assert (rows["conv"].macs, rows["conv"].flops) == (conv_macs, 2 * conv_macs)
    assert rows["conv"].parameters == 108 + 4
    assert rows["conv"].output_shape == (2, 4, 8, 8)
    assert rows["relu"].flops == 2 * 512
    assert rows["pool"].flops == 2 * 4 * 16 * 4
    assert rows["mean"].flops == 2 * 4 * 16
    assert (rows["fc"].macs, rows["fc"].parameters) == (2 * 5 * 4, 20 + 5)
    assert described.batch == 2
    assert described.macs == conv_macs + 40
    assert described.flops == sum(row.flops for row in described.layers)
    assert (described.parameters, described.convention_parameters) == (137, 132)


def test_in_place_layers_write_nothing_new() -> None:
    described = _describe(_small_model())
    conv, pool, mean, logits = 2 * 4 * 64 * 4, 2 * 4 * 16 * 4, 2 * 4 * 4, 2 * 5 * 4
    assert [row.activation_bytes for row in described.layers] == [conv, 0, pool, mean, logits]
    assert described.activation_bytes == conv + pool + mean + logits
    assert described.peak_activation_bytes == conv + pool


def test_half_precision_weights_count_once(tmp_path: Path) -> None:
    ov.save_model(_small_model(), tmp_path / "m.xml", compress_to_fp16=True)
    model = ov.Core().read_model(tmp_path / "m.xml")
    assert any(op.get_type_name() == "Convert" for op in model.get_ops())
    assert _describe(model) == _describe(_small_model())


@pytest.mark.filterwarnings("ignore")
def test_a_quantized_file_costs_the_same(tmp_path: Path) -> None:
    images = [np.random.default_rng(i).random((1, 3, 8, 8), np.float32) for i in range(4)]
    quantized = nncf.quantize(_small_model(1), nncf.Dataset(images), subset_size=4)
    ov.save_model(quantized, tmp_path / "int8.xml")
    model = ov.Core().read_model(tmp_path / "int8.xml")
    assert any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())
    found, plain = _describe(model), _describe(_small_model(1))
    assert (found.flops, found.macs, found.parameters) == (plain.flops, plain.macs, plain.parameters)
    assert found.activation_bytes == plain.activation_bytes


def test_grouped_and_transposed_convolutions() -> None:
    image = ops.parameter([1, 6, 8, 8], np.float32)
    grouped = ops.group_convolution(
        image, np.ones((3, 4, 2, 3, 3), np.float32), [1, 1], [1, 1], [1, 1], [1, 1], name="grouped"
    )
    up = ops.convolution_backprop_data(
        grouped, np.ones((12, 2, 2, 2), np.float32), strides=[2, 2], name="transposed"
    )
    rows = {row.name: row for row in _describe(ov.Model([ops.result(up)], [image], "m")).layers}
    assert rows["grouped"].macs == 12 * 64 * 2 * 9
    assert rows["transposed"].output_shape == (1, 2, 16, 16)
    assert rows["transposed"].macs == 12 * 64 * 2 * 4


def test_a_shared_kernel_counts_once_and_its_work_twice() -> None:
    vector = ops.parameter([1, 4], np.float32)
    shared = ops.constant(np.ones((4, 4), np.float32))
    first = ops.matmul(vector, shared, False, False)
    model = ov.Model([ops.result(ops.matmul(first, shared, False, False))], [vector], "m")
    described = _describe(model)
    assert (described.parameters, described.macs) == (16, 32)


def test_products_of_activations_have_no_parameters() -> None:
    left = ops.parameter([2, 8, 3], np.float32)
    right = ops.parameter([2, 8, 5], np.float32)
    model = ov.Model([ops.result(ops.matmul(left, right, True, False))], [left, right], "m")
    described = _describe(model)
    assert (described.macs, described.parameters) == (2 * 3 * 5 * 8, 0)


def test_a_recurrent_layer_counts_every_step() -> None:
    x, h, c = (ops.parameter(shape, np.float32) for shape in ([2, 7, 5], [2, 1, 3], [2, 1, 3]))
    lengths = np.array([7, 7], dtype=np.int32)
    weights = [np.ones(shape, np.float32) for shape in ((1, 12, 5), (1, 12, 3), (1, 12))]
    lstm = ops.lstm_sequence(x, h, c, lengths, *weights, 3, "forward")
    described = _describe(ov.Model([ops.result(lstm.output(0))], [x, h, c], "m"))
    assert described.macs == 2 * 7 * 12 * (5 + 3)
    assert described.parameters == 12 * (5 + 3 + 1)


def test_a_dynamic_input_is_refused() -> None:
    image = ops.parameter(ov.PartialShape([-1, 3, 8, 8]), np.float32, name="data")
    with pytest.raises(InputError, match=r"m\.xml: input data has the dynamic shape \[\?,3,8,8\]"):
        _describe(ov.Model([ops.result(ops.relu(image))], [image], "m"))


def test_a_shape_that_depends_on_data_counts_at_its_largest() -> None:
    vector = ops.parameter([10], np.float32)
    found = ops.non_zero(vector)
    described = _describe(ov.Model([ops.result(found)], [vector], "m"))
    assert described.layers[0].output_shape == (1, 10)


@pytest.mark.parametrize(
    ("convention", "flops"), [("converted", 24_583_772_886), ("original", 24_583_236_480)]
)
def test_inception_has_the_published_figures(convention: Convention, flops: int) -> None:
    """Open Model Zoo: 24.584 GFLOPs, 42.648 million parameters."""
    shapes = inception_v4.variable_shapes()
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    described = _describe(inception_v4_openvino.build(weights, convention=convention))
    assert described.flops == flops
    assert round(2 * described.macs / 1e9, 3) == 24.508
    assert described.convention_parameters == 42_648_768
    assert described.parameters == 42_649_769
    rows = {row.name: row for row in described.layers}
    assert rows["InceptionV4/Logits/Logits"].parameters == 1536 * 1001 + 1001
    assert rows["InceptionV4/Mixed_6b/Branch_1/Conv2d_0b_1x7"].type == "Convolution"
    assert described.peak_activation_bytes < described.activation_bytes
