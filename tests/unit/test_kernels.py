"""Kernels of a compiled graph: what their names say, whose operations they do, what they move."""

from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from perftool.bench import kernels
from perftool.bench.kernels import Kernel, kernel_flops, precision_of, read_kernels
from perftool.bench.openvino_engine import executed_precisions
from perftool.model.complexity import describe, fused_biases
from perftool.record import LayerCost


@pytest.mark.parametrize(
    ("primitive", "precision"),
    [
        ("brgconv_avx512_f32", "f32"),
        ("brgconv_avx512_amx_bf16", "bf16"),
        ("jit_avx512_I8", "int8"),
        ("ref_any_U8", "int8"),
        ("unknown", "unknown"),
        ("", "unknown"),
        ("convolution_gpu_bfyx_os_iyx_osv16__f16", "f16"),
        ("ref_any_I64", "i64"),
        ("unknown_boolean", "boolean"),
        ("gemm_tiled_opt", "unknown"),
        ("convolution_gpu_ref", "unknown"),
        ("brgconv_avx512_1x1", "unknown"),
    ],
)
def test_a_kernels_name_tells_its_precision(primitive: str, precision: str) -> None:
    assert precision_of(primitive) == precision


def kernel(name: str, type: str, *originals: str) -> Kernel:
    return Kernel(
        name=name,
        type=type,
        primitive="k_f32",
        precision="f32",
        originals=originals,
        output_shape=(1,),
        reads="f32",
        writes="f32",
        bytes=4,
    )


def test_each_layers_operations_are_counted_once() -> None:
    costs = [
        LayerCost(name=name, type="", output_shape=(), flops=flops, macs=0, parameters=0, activation_bytes=0)
        for name, flops in (("conv", 100), ("relu", 10), ("pool", 1))
    ]
    fused = [
        kernel("before", "Reorder", "conv"),
        kernel("conv", "Convolution", "conv", "relu"),
        kernel("after", "Eltwise", "relu"),
        kernel("pool", "Pooling", "pool"),
    ]
    assert kernel_flops(fused, costs, {}) == (0, 110, 0, 1)


def dense(layers: int, side: int, batch: int) -> ov.Model:
    """Chain fully connected layers, each with a bias and a ReLU."""
    node = data = ops.parameter([batch, side], np.float32, name="data")
    rng = np.random.Generator(np.random.Philox(3))
    for number in range(layers):
        weights = ops.constant(rng.normal(0, side**-0.5, (side, side)).astype(np.float32))
        product = ops.matmul(node, weights, False, True, name=f"fc{number}")
        bias = ops.constant(rng.normal(0, 1, (1, side)).astype(np.float32))
        node = ops.relu(ops.add(product, bias, name=f"fc{number}/bias"), name=f"relu{number}")
    return ov.Model([ops.result(node)], [data], "dense")


@pytest.mark.parametrize(("capability", "precision"), [("FP32", "f32"), ("BF16", "bf16")])
def test_a_fully_connected_layer_with_a_bias_keeps_its_operations(capability: str, precision: str) -> None:
    core = ov.Core()
    if capability not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip(f"this CPU does not list {capability}")
    model = dense(layers=3, side=1024, batch=8)
    described = describe(model, name="dense", origin="dense")
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    executed = executed_precisions(compiled, described.layers, fused_biases(model, "dense"))
    assert sum(one.flops for one in executed) == pytest.approx(described.flops, rel=0.001)
    assert executed[0].precision == precision
    assert executed[0].flops == pytest.approx(described.flops, rel=0.01)


def compiled(precision: str, stored: type[np.floating[Any]] = np.float32) -> tuple[Kernel, ...]:
    data = ops.parameter([1, 16, 8, 8], np.float32, name="data")
    weights: Any = ops.constant(np.full((32, 16, 3, 3), 0.5, dtype=stored))
    if stored != np.float32:
        weights = ops.convert(weights, np.float32)
        weights.get_rt_info()["decompression"] = ""
    node = ops.convolution(data, weights, [1, 1], [1, 1], [1, 1], [1, 1], name="conv")
    model = ov.Model([ops.result(node)], [data], "one")
    properties = {"INFERENCE_PRECISION_HINT": precision}
    return read_kernels(ov.Core().compile_model(model, "CPU", properties).get_runtime_model())


def test_bytes_are_inputs_weights_and_outputs_once() -> None:
    (conv,) = [one for one in compiled("f32") if one.type == "Convolution"]
    assert conv.originals[0] == "conv" and conv.precision == "f32"
    assert conv.bytes == 4 * (16 * 64 + 32 * 16 * 9 + 32 * 64)
    assert conv.output_shape == (1, 32, 8, 8)


def test_weights_of_an_fp16_file_count_as_the_kernel_reads_them() -> None:
    for stored in (np.float32, np.float16):
        (conv,) = [one for one in compiled("f32", stored) if one.type == "Convolution"]
        assert conv.precision == "f32"
        assert conv.bytes == 4 * (16 * 64 + 32 * 16 * 9 + 32 * 64), "whatever the file holds"


@pytest.mark.parametrize(
    ("stored", "precision", "bits"),
    [
        ("f32", "f32", 32),
        ("f16", "f32", 32),
        ("f32", "bf16", 16),
        ("f32", "int8", 8),
        ("i8", "f32", 8),
        ("u4", "int8", 4),
        ("f16", "unknown", 16),
    ],
)
def test_weights_are_as_wide_as_the_kernel_or_as_integers_are_stored(
    stored: str, precision: str, bits: int
) -> None:
    port = ops.parameter([5, 8], getattr(ov.Type, stored)).output(0)
    assert kernels.moved([], [port], [], precision) == 5 * bits


def test_constants_are_no_kernels_and_the_ends_move_nothing() -> None:
    found = compiled("f32")
    assert not [one for one in found if one.type == "Const"]
    assert all(one.bytes == 0 for one in found if one.type in ("Input", "Output"))
