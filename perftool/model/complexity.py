"""Count what a model costs: FLOPs, multiply-adds, parameters, activation memory, and a row per layer.

FLOPs follow the convention of the Open Model Zoo's published figures: a multiply-add counts 2, a ReLU 2 per
element, a pooling window its size per output element, an elementwise op 1 per element; a bias fused into a
convolution or a fully connected layer, a change of number format (Convert, FakeQuantize), data movement and
the closing softmax count nothing. The bodies of Loop, TensorIterator and If are not looked into. Nothing
here is compiled or run, so this says nothing about time.
"""

from collections.abc import Iterable
from math import prod
from typing import Any, Final, NamedTuple

import openvino as ov

from perftool.errors import InputError
from perftool.images.sets import static_shape
from perftool.record import Described, LayerCost

Node = Any

_BIASED: Final = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"})
_BIASED_CONVOLUTIONS: Final = _BIASED - {"MatMul"}
_FORMAT: Final = frozenset({"Convert", "FakeQuantize", "FakeConvert"})
_VIEWS: Final = frozenset({"Reshape", "Squeeze", "Unsqueeze"})
_NO_ROW: Final = frozenset({"Parameter", "Result", "Constant", *_FORMAT})

_PER_ELEMENT: Final = {
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum", "Power", "Mod"), 1),
    **dict.fromkeys(("Abs", "Negative", "Sqrt", "Exp", "Log", "Erf", "Floor", "Ceiling", "Round", "Sign"), 1),
    **dict.fromkeys(("Relu", "PRelu", "Clamp", "HardSigmoid", "BatchNormInference"), 2),
    **dict.fromkeys(("Sigmoid", "Elu", "SoftPlus", "SquaredDifference", "GRN"), 3),
    **dict.fromkeys(("HSwish", "HSigmoid", "NormalizeL2"), 4),
    **dict.fromkeys(("Swish", "MVN", "Gelu"), 5),
    **dict.fromkeys(("Tanh", "Mish"), 6),
}
"""Operations per element of the output, where all that matters is how many elements there are."""

_NOT_IN_PLACE: Final = frozenset({"MVN", "NormalizeL2", "GRN"})
_RECURRENT_WEIGHTS: Final = {
    "LSTMSequence": (4, 5),
    "GRUSequence": (3, 4),
    "RNNSequence": (3, 4),
    "LSTMCell": (3, 4),
    "GRUCell": (2, 3),
    "RNNCell": (2, 3),
}


def describe(model: ov.Model, *, name: str, origin: str, fed: str = "") -> Described:
    """Describe a model, at the batch that it has.

    `convention_parameters` leaves out the biases of fully connected layers, as the published 42.648 million
    of Inception-v4 do; a constant stored in half precision or quantized counts its elements once. Scalars
    are attributes, not parameters, unless they are a kernel or its bias. `activation_bytes` sums what layers
    write, in the graph's element types; what works in place on its input (ReLU, a reshape) writes nothing
    new, and inputs belong to the caller. Raises InputError when a shape is not known.
    """
    for port in model.inputs:
        if port.partial_shape.is_dynamic:
            raise InputError(
                f"{origin}: input {port.get_node().get_friendly_name()} has the dynamic shape"
                f" {port.partial_shape}; give it fixed sizes first (reshape) to count its cost"
            )
    graph = _Graph.of(model, origin)
    layers, fully_connected_biases = _count(graph)
    sizes = [port.partial_shape for port in model.inputs]
    return Described(
        name=name,
        origin=origin,
        fed=fed,
        input_shape=static_shape(model.inputs[0]) if model.inputs else (),
        output_shape=static_shape(model.outputs[0]) if model.outputs else (),
        batch=sizes[0][0].get_length() if sizes and len(sizes[0]) else 1,
        flops=sum(layer.flops for layer in layers),
        macs=sum(layer.macs for layer in layers),
        parameters=sum(layer.parameters for layer in layers),
        convention_parameters=sum(layer.parameters for layer in layers) - fully_connected_biases,
        activation_bytes=sum(layer.activation_bytes for layer in layers),
        peak_activation_bytes=_peak_bytes(graph),
        layers=tuple(layers),
    )


def fused_biases(model: ov.Model, origin: str) -> dict[str, str]:
    """Return the layer that each fused bias belongs to, by name: a runtime may keep the bias's alone."""
    graph = _Graph.of(model, origin)
    called = {op.get_name(): str(op.get_friendly_name()) for op in graph.ops}
    return {called[bias]: called[op] for bias, op in graph.bias_of.items()}


class _Graph(NamedTuple):
    """The ops of a model in order, with what the counting asks of them. Keys are unique node names."""

    origin: str
    ops: list[Node]
    constant: set[str]
    """Ops whose outputs don't depend on the model's inputs."""
    bias_of: dict[str, str]
    """Fused bias additions, and the op that each belongs to."""
    storage: dict[str, str]
    """The op whose output memory an op writes to: its own, or that of the input it works on in place."""

    @classmethod
    def of(cls, model: ov.Model, origin: str) -> "_Graph":
        """Look a model through."""
        ops = model.get_ordered_ops()
        constant: set[str] = set()
        for op in ops:
            sources = [source.get_name() for source in _sources(op)]
            if op.get_type_name() == "Constant" or (sources and constant.issuperset(sources)):
                constant.add(op.get_name())
        graph = cls(origin, [op for op in ops if op.get_name() not in constant], constant, {}, {})
        for op in graph.ops:
            variable = [source for source in _sources(op) if source.get_name() not in constant]
            alone = len(variable) == 1 and len(variable[0].output(0).get_target_inputs()) == 1
            if op.get_type_name() == "Add" and alone and variable[0].get_type_name() in _BIASED:
                graph.bias_of[op.get_name()] = variable[0].get_name()
            graph.storage[op.get_name()] = graph._store(op, variable, alone)
        return graph

    def _store(self, op: Node, variable: list[Node], alone: bool) -> str:
        """Find whose memory the op's output lies in."""
        kind, own = op.get_type_name(), str(op.get_name())
        if not variable or variable[0].get_type_name() == "Parameter" or len(op.outputs()) != 1:
            return own
        elementwise = kind in _FORMAT or (kind in _PER_ELEMENT and kind not in _NOT_IN_PLACE)
        same_size = self.output_bytes(op) == self.output_bytes(variable[0])
        if same_size and (kind in _VIEWS or (elementwise and alone)):
            return self.storage[variable[0].get_name()]
        return own

    def shape(self, op: Node, index: int = 0) -> tuple[int, ...]:
        """Give an output's shape; where it depends on data, the largest it can be."""
        shape = op.output(index).partial_shape
        if shape.rank.is_dynamic or any(size.get_max_length() < 0 for size in shape):
            raise InputError(
                f"{self.origin}: {op.get_type_name()} {op.get_friendly_name()} has the dynamic shape {shape};"
                " its cost cannot be counted"
            )
        return tuple(size.get_max_length() for size in shape)

    def output_bytes(self, op: Node) -> int:
        """Add up the bytes of all outputs that anything reads."""
        ports = [(i, port) for i, port in enumerate(op.outputs()) if i == 0 or port.get_target_inputs()]
        return sum(prod(self.shape(op, i)) * port.get_element_type().bitwidth // 8 for i, port in ports)


def _sources(op: Node) -> list[Node]:
    return [port.get_source_output().get_node() for port in op.inputs()]


def _count(graph: _Graph) -> tuple[list[LayerCost], int]:
    """Make a row for each layer; also count the parameters in biases of fully connected layers."""
    counted: set[str] = set()
    bias_sizes = dict.fromkeys(graph.bias_of.values(), 0)
    kinds = {op.get_name(): op.get_type_name() for op in graph.ops}
    for op in graph.ops:
        if op.get_name() in graph.bias_of:
            bias_sizes[graph.bias_of[op.get_name()]] += _parameters(graph, op, counted)
    rows = []
    for op in graph.ops:
        kind, key = op.get_type_name(), op.get_name()
        if kind in _NO_ROW or key in graph.bias_of:
            continue
        macs = _macs(graph, op)
        row = LayerCost(
            name=op.get_friendly_name(),
            type=kind,
            output_shape=graph.shape(op),
            flops=2 * macs + _other_flops(graph, op),
            macs=macs,
            parameters=_parameters(graph, op, counted) + bias_sizes.get(key, 0),
            activation_bytes=graph.output_bytes(op) if graph.storage[key] == key else 0,
        )
        rows.append(row)
    return rows, sum(size for key, size in bias_sizes.items() if kinds[key] not in _BIASED_CONVOLUTIONS)


def _macs(graph: _Graph, op: Node) -> int:
    """Count multiply-adds; every product with a padding zero counts, as is usual."""
    kind = op.get_type_name()
    shapes = [graph.shape(port.get_node(), port.get_index()) for port in _source_outputs(op)]
    output = prod(graph.shape(op))
    if kind in ("Convolution", "BinaryConvolution"):  # kernel: out, in, spatial
        return output * prod(shapes[1][1:])
    if kind == "GroupConvolution":  # kernel: groups, out, in, spatial
        return output * prod(shapes[1][2:])
    if kind == "DeformableConvolution":  # kernel: out, in, spatial
        return output * prod(shapes[2][1:])
    if kind == "ConvolutionBackpropData":  # kernel: in, out, spatial
        return prod(shapes[0]) * prod(shapes[1][1:])
    if kind == "GroupConvolutionBackpropData":  # kernel: groups, in, out, spatial
        return prod(shapes[0]) * prod(shapes[1][2:])
    if kind == "MatMul":
        transposed = op.get_attributes()["transpose_a"] and len(shapes[0]) > 1
        return output * shapes[0][-2 if transposed else -1]
    if kind in _RECURRENT_WEIGHTS:  # every weight is used once per sample and step
        weights = sum(prod(shapes[port]) for port in _RECURRENT_WEIGHTS[kind])
        return prod(shapes[0][:-1]) * weights
    return 0


def _other_flops(graph: _Graph, op: Node) -> int:
    """Count operations that are not multiply-adds."""
    kind = op.get_type_name()
    if kind in ("MaxPool", "AvgPool"):
        window: list[int] = op.get_attributes()["kernel"]
        return prod(graph.shape(op)) * prod(window)
    if kind.startswith(("Reduce", "Adaptive")):  # a global pool: each input element once
        source = _source_outputs(op)[0]
        return prod(graph.shape(source.get_node(), source.get_index()))
    if kind in _PER_ELEMENT and op.output(0).get_element_type().is_real():
        return prod(graph.shape(op)) * _PER_ELEMENT[kind]
    return 0


def _source_outputs(op: Node) -> list[Any]:
    return [port.get_source_output() for port in op.inputs()]


def _parameters(graph: _Graph, op: Node, counted: set[str]) -> int:
    """Count the elements of an op's weights, each constant once in the whole model."""
    kind = op.get_type_name()
    is_kernel_or_bias = kind in _BIASED or op.get_name() in graph.bias_of
    total = 0
    for index, source in enumerate(_sources(op)):
        real = op.input(index).get_element_type().is_real()
        if source.get_name() not in graph.constant or not real or (kind == "Interpolate" and index):
            continue
        weights = max(_stored(source), key=lambda node: prod(node.output(0).shape), default=None)
        if weights is None or weights.get_name() in counted:
            continue
        size = prod(weights.output(0).shape)
        if size > 1 or is_kernel_or_bias:
            counted.add(weights.get_name())
            total += size
    return total


def _stored(op: Node) -> Iterable[Node]:
    """Yield the constants that a constant expression (decompression, dequantization) starts from."""
    if op.get_type_name() == "Constant":
        if op.output(0).get_element_type() not in (ov.Type.i64, ov.Type.i32):
            yield op
        return
    for source in _sources(op):
        yield from _stored(source)


def _peak_bytes(graph: _Graph) -> int:
    """Give the most activation bytes alive at once, running the ops in order and freeing at the last use."""
    size: dict[str, int] = {}
    last_use: dict[str, int] = {}
    for step, op in enumerate(graph.ops):
        for source in _sources(op):
            if source.get_name() not in graph.constant:
                last_use[graph.storage[source.get_name()]] = step
        if (
            op.get_type_name() not in ("Parameter", "Result")
            and graph.storage[op.get_name()] == op.get_name()
        ):
            size[op.get_name()] = graph.output_bytes(op)
    freed: dict[int, int] = {}
    for key, step in last_use.items():
        freed[step] = freed.get(step, 0) + size.get(key, 0)
    alive = peak = 0
    for step, op in enumerate(graph.ops):
        alive += size.get(op.get_name(), 0)
        peak = max(peak, alive)
        alive -= freed.get(step, 0)
    return peak
