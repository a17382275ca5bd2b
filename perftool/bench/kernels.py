"""What a runtime's compiled graph is made of: its kernels, what they run in, what they stand for and move.

Reads the runtime model of a compiled model, in a child process. Nothing here is timed. The precision that
the runtime model reports for an output is no witness of what a kernel computes in: see docs/measurement.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, Final, NamedTuple

from perftool.record import REWRITING, LayerCost

Node = Any
Port = Any

#: How kernels spell a precision at the end of their name, and how perftool writes it.
KERNEL_PRECISION: Final = {
    "f32": "f32",
    "fp32": "f32",
    "bf16": "bf16",
    "f16": "f16",
    "fp16": "f16",
    "i8": "int8",
    "u8": "int8",
    "i4": "int4",
    "u4": "int4",
}
#: What else a kernel may end with and mean an element type; any other end, such as ref or opt, is none.
_ELEMENTS: Final = frozenset(
    {"f64", "i64", "i32", "i16", "u64", "u32", "u16", "u1", "boolean", "bool", "string", "nf4"}
    | {"f8e4m3", "f8e5m2", "f8e8m0", "f4e2m1"}
)

#: What the runtime adds to the name of a layer whose result it brings back from integers.
_DEQUANTIZING: Final = ("/DequantizationMultiply", "/DequantizationSubtract", "/DequantizationConvert")

_WIDTH: Final = {"f32": 32, "bf16": 16, "f16": 16, "int8": 8, "int4": 4}


class Kernel(NamedTuple):
    """One node of the compiled graph that may run in an inference.

    `type` and `primitive` are the runtime's layerType and primitiveType, `precision` is read off the latter.
    `originals` are the model's layers that were fused into it, itself included where it stands for one; a
    quantized layer that gives floats again is called as in the model.
    `reads` and `writes` are the element types of its first varying input and of its output, empty where it
    has none. `bytes` is the least that it moves: varying inputs, weights and outputs, once each.
    """

    name: str
    type: str
    primitive: str
    precision: str
    originals: tuple[str, ...]
    output_shape: tuple[int, ...]
    reads: str
    writes: str
    bytes: int


def read_kernels(runtime_model: Any) -> tuple[Kernel, ...]:
    """Return the nodes of a runtime model in the order of execution, without what is computed once for all.

    That is constants, and whatever only prepares constants (weights reordered while compiling).
    """
    constant: set[str] = set()
    found: list[tuple[int, Kernel]] = []
    for node in runtime_model.get_ordered_ops():
        inputs = node.input_values()
        sources = [port.get_node().get_name() for port in inputs]
        info = node.get_rt_info()
        if _text(info, "layerType") in ("Const", "Constant") or (sources and constant.issuperset(sources)):
            constant.add(node.get_name())
            continue
        varying = [port for port, source in zip(inputs, sources, strict=True) if source not in constant]
        weights = [port for port, source in zip(inputs, sources, strict=True) if source in constant]
        order = _text(info, "execOrder")
        found.append((int(order) if order.isdecimal() else -1, _kernel(node, info, varying, weights)))
    if all(order >= 0 for order, _ in found):
        found.sort(key=lambda one: one[0])
    return tuple(kernel for _, kernel in found)


def precision_of(primitive: str) -> str:
    """Read a kernel's precision off the end of its name; "unknown" where that is no element type.

    >>> precision_of("brgconv_avx512_I8"), precision_of("convolution_gpu_ref")
    ('int8', 'unknown')
    """
    suffix = primitive.rpartition("_")[2].lower()
    return KERNEL_PRECISION.get(suffix, suffix if suffix in _ELEMENTS else "unknown")


def kernel_flops(
    kernels: Sequence[Kernel], layers: Iterable[LayerCost], biases: Mapping[str, str]
) -> tuple[int, ...]:
    """Return the operations of each kernel: those of the layers fused into it, each counted once in all.

    A layer that several kernels name belongs to the first of them that does more than rewrite numbers.
    `biases` are the layers that biases belong to: a kernel may be called by its bias alone.
    """
    flops_of = {layer.name: layer.flops for layer in layers}
    owner: dict[str, int] = {}
    for rewriting in (False, True):
        for index, kernel in enumerate(kernels):
            if (kernel.type in REWRITING) == rewriting:
                for name in kernel.originals:
                    owner.setdefault(biases.get(name, name), index)
    flops = [0] * len(kernels)
    for name, index in owner.items():
        flops[index] += flops_of.get(name, 0)
    return tuple(flops)


def _kernel(node: Node, info: Any, varying: list[Port], weights: list[Port]) -> Kernel:
    primitive = _text(info, "primitiveType")
    precision = precision_of(primitive)
    originals = _text(info, "originalLayersNames")
    ends = node.get_type_name() in ("Parameter", "Result")  # These hand data over and move none themselves.
    outputs = [] if node.get_type_name() == "Result" else node.outputs()
    return Kernel(
        name=node.get_friendly_name(),
        type=_text(info, "layerType") or node.get_type_name(),
        primitive=primitive,
        precision=precision,
        originals=tuple(dict.fromkeys(_original(name) for name in originals.split(",") if name)),
        output_shape=_shape(outputs[0]) if outputs else (),
        reads=_element(varying[0]) if varying else "",
        writes=_element(outputs[0]) if outputs else "",
        bytes=0 if ends else moved(varying, weights, outputs, precision),
    )


def _original(name: str) -> str:
    """Return what a layer is called in the model."""
    for suffix in _DEQUANTIZING:
        name = name.removesuffix(suffix)
    return name


def moved(varying: list[Port], weights: list[Port], outputs: list[Port], precision: str) -> int:
    """Add up bytes. Weights were rewritten in the kernel's precision while compiling.

    Those stored as integers stay as narrow as they are where the kernel is wider: it widens what it reads.
    """
    bits = sum(_elements(port) * _bits(port) for port in (*varying, *outputs))
    for port in weights:
        width = _WIDTH.get(precision, _bits(port))
        floats = port.get_element_type().is_real()
        bits += _elements(port) * (width if floats else min(width, _bits(port)))
    return bits // 8


def _shape(port: Port) -> tuple[int, ...]:
    """Return a port's shape; empty where it depends on the data."""
    shape = port.get_partial_shape()
    return tuple(size.get_length() for size in shape) if shape.is_static else ()


def _elements(port: Port) -> int:
    return prod(_shape(port)) if port.get_partial_shape().is_static else 0


def _bits(port: Port) -> int:
    return int(port.get_element_type().bitwidth)


def _element(port: Port) -> str:
    return str(port.get_element_type().get_type_name())


def _text(info: Any, key: str) -> str:
    if key not in info:
        return ""
    value = info[key]
    return str(value.value if hasattr(value, "value") else value)
