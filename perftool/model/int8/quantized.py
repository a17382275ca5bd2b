"""Read an INT8 graph beside the float graph that NNCF's post-training quantization made it from.

What quantization inserts (FakeQuantize, weights with their dequantization) has no namesake in the float
graph; every other op has one, and by these names both graphs are laid side by side. A quantized layer is a
Convolution, GroupConvolution or MatMul with weights in 8 bits and a FakeQuantize on its activation. Runs in a
child process. Nothing is changed or run here: errors are measured in `ranking`, files made in `reverting`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import openvino as ov

from perftool.errors import InputError
from perftool.model import sources

Node = Any
"""A node, or an input or output of one; the runtime's Python package carries no usable types."""

LAYERS: Final = frozenset({"Convolution", "GroupConvolution", "MatMul"})

#: Ops that hand values on as they are. NNCF puts quantizers before them where a later layer's input is meant.
PASSING: Final = frozenset(
    {
        *("Concat", "MaxPool", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Flatten", "Split"),
        *("VariadicSplit", "Slice", "StridedSlice", "Gather", "Pad", "Tile", "Broadcast", "ShuffleChannels"),
        *("DepthToSpace", "SpaceToDepth", "ReverseSequence", "ReduceMax"),
    }
)

#: Activation functions that belong to the layer before them.
ACTIVATIONS: Final = frozenset(
    {"Relu", "PRelu", "Clamp", "Sigmoid", "Tanh", "Elu", "Gelu", "Swish", "HSwish", "HSigmoid", "Mish"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A quantized layer in both graphs; `activation` and `weights` are the ports of its two inputs."""

    name: str
    type: str
    exact: Node
    quantized: Node
    activation: int
    weights: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One network in float and in INT8.

    `namesakes` are the float graph's ops by friendly name, `constant` the unique names of the ops of both
    graphs that do not depend on the model's input.
    """

    exact: ov.Model
    quantized: ov.Model
    namesakes: dict[str, Node]
    constant: frozenset[str]
    layers: dict[str, Layer]

    def inserted(self, node: Node) -> bool:
        """Tell whether quantization put this op of the INT8 graph there."""
        return node.get_friendly_name() not in self.namesakes

    def is_constant(self, value: Node) -> bool:
        """Tell whether an output does not depend on the model's input."""
        return value.get_node().get_name() in self.constant

    def bias(self, node: Node) -> tuple[Node, int] | None:
        """Return the op that adds a layer's bias, and the bias's port; None where there is none."""
        found = list(node.output(0).get_target_inputs())
        if len(found) != 1 or found[0].get_node().get_type_name() != "Add":
            return None
        add, port = found[0].get_node(), 1 - found[0].get_index()
        return (add, port) if self.is_constant(source(add, port)) else None

    def end(self, node: Node) -> Node:
        """Return the last op of a layer: its activation function, or what adds its bias, or itself."""
        if added := self.bias(node):
            node = added[0]
        found = list(node.output(0).get_target_inputs())
        if len(found) == 1 and found[0].get_node().get_type_name() in ACTIVATIONS:
            return found[0].get_node()
        return node


def read_pair(float_path: str, int8_path: str) -> Pair:
    """Read both files, at their own batch, and find the quantized layers, in the graph's order.

    Raises InputError for files that are no classifiers, for a float file that is quantized, and for files of
    two different networks.
    """
    exact = sources.read(float_path)
    quantized = sources.read(int8_path)
    if sources.is_quantized(exact):
        raise InputError(f"{float_path}: quantized already; the float model that it was made from is wanted")
    namesakes = {node.get_friendly_name(): node for node in exact.get_ordered_ops()}
    constant = _constants(exact) | _constants(quantized)
    pair = Pair(exact=exact, quantized=quantized, namesakes=namesakes, constant=constant, layers={})
    for node in quantized.get_ordered_ops():
        if node.get_type_name() in LAYERS and (ports := _quantized_ports(pair, node)):
            layer = _matched(pair, node, *ports, f"{int8_path} and {float_path}")
            pair.layers[layer.name] = layer
    return pair


def _constants(model: ov.Model) -> frozenset[str]:
    found: set[str] = set()
    for node in model.get_ordered_ops():
        before = [each.get_source_output().get_node().get_name() for each in node.inputs()]
        if node.get_type_name() == "Constant" or (before and found.issuperset(before)):
            found.add(node.get_name())
    return frozenset(found)


def _matched(pair: Pair, node: Node, activation: int, weights: int, files: str) -> Layer:
    name, kind = node.get_friendly_name(), node.get_type_name()
    exact = pair.namesakes.get(name)
    if exact is None or exact.get_type_name() != kind:
        raise InputError(f"{files}: not one network in two forms: only the first has the {kind} {name}")
    shapes = [str(each.input(weights).get_partial_shape()) for each in (node, exact)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"{files}: not one network in two forms: the weights of {name} are {shapes[0]} and {shapes[1]}"
        )
    return Layer(name=name, type=kind, exact=exact, quantized=node, activation=activation, weights=weights)


def _quantized_ports(pair: Pair, node: Node) -> tuple[int, int] | None:
    """Find the ports of the activation and of the weights; None unless both are quantized."""
    for activation, weights in ((0, 1), (1, 0)):
        if pair.is_constant(source(node, weights)):
            if _in_8_bits(source(node, weights)) and any(quantizers(pair, node.input(activation))):
                return activation, weights
            return None
    return None


def source(node: Node, port: int) -> Node:
    """Return the output that an input reads."""
    return node.input(port).get_source_output()


def _in_8_bits(value: Node) -> bool:
    """Tell whether a constant expression starts from 8-bit integers, or rounds by a FakeQuantize."""
    node = value.get_node()
    if node.get_type_name() == "Constant":
        return node.get_element_type().get_type_name() in ("i8", "u8")
    return node.get_type_name() == "FakeQuantize" or any(
        _in_8_bits(each.get_source_output()) for each in node.inputs()
    )


def quantizers(pair: Pair, port: Node) -> Iterator[Node]:
    """Yield the FakeQuantize ops that an input reads, through ops that pass values on."""
    node = port.get_source_output().get_node()
    if node.get_type_name() == "FakeQuantize":
        yield node
    elif node.get_type_name() in PASSING or (pair.inserted(node) and not pair.is_constant(node.output(0))):
        for each in node.inputs():
            yield from quantizers(pair, each)
