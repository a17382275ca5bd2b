"""Write an INT8 model in which some of the quantized layers run in floating point.

A reverted layer reads its activation from before the quantizers, and the float file's weights and bias. What
passes values on between quantizer and layer (a concatenation, a max pool) is doubled where others still read
it quantized. A quantizer goes when no quantized layer reads it any more, be it through pools or sums; one
that serves no layer at all goes with the layers in front of it. Which layers to revert is not decided here.
Runs in a child process.
"""

from collections.abc import Iterable
from typing import Any

import openvino as ov

from perftool.errors import InputError
from perftool.job import Revert
from perftool.model.int8.quantized import PASSING, Layer, Node, Pair, read_pair, source
from perftool.model.writing import check_target, write_model
from perftool.record import Written


def revert(job: Revert) -> Written:
    """Write `job.output`, .xml and .bin, whole or not at all; without layers the INT8 model as it is.

    Raises InputError for files that do not belong together, names that are no quantized layers of the INT8
    file, and an output that cannot be written.
    """
    target = check_target(job.output)
    pair = read_pair(job.float_path, job.int8_path)
    if unknown := [name for name in job.layers if name not in pair.layers]:
        rest = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise InputError(
            f"{job.int8_path}: no quantized layer {unknown[0]}{rest}; "
            "`perftool quantize --layers` lists those it has"
        )
    return Written(path=str(write_model(revert_layers(pair, job.layers), target)))


def revert_layers(pair: Pair, names: Iterable[str]) -> ov.Model:
    """Revert layers in the INT8 graph, in place, and return it. Takes from the float graph what it needs."""
    chosen = set(names)
    if not chosen:
        return pair.quantized
    _remove_quantizers(pair, chosen)
    behind: dict[tuple[str, int], Node] = {}
    for layer in pair.layers.values():
        if layer.name in chosen:
            _revert_layer(pair, layer, behind)
    pair.quantized.validate_nodes_and_infer_types()
    return pair.quantized


def _revert_layer(pair: Pair, layer: Layer, behind: dict[tuple[str, int], Node]) -> None:
    activation = layer.quantized.input(layer.activation)
    activation.replace_source_output(_unquantized(pair, activation.get_source_output(), behind))
    layer.quantized.input(layer.weights).replace_source_output(source(layer.exact, layer.weights))
    corrected, original = pair.bias(layer.quantized), pair.bias(layer.exact)
    if corrected and original:
        corrected[0].input(corrected[1]).replace_source_output(source(*original))
    elif corrected:
        # NNCF gave a layer without a bias one, to correct it.
        _replace(corrected[0].output(0), layer.quantized.output(0))


def _unquantized(pair: Pair, value: Node, behind: dict[tuple[str, int], Node]) -> Node:
    """Return what a value of the INT8 graph is without the quantizers directly before it.

    Ops that pass values on are taken from the float graph, and made to read the INT8 graph's values.
    """
    key = (value.get_node().get_name(), value.get_index())
    if key not in behind:
        behind[key] = _find_unquantized(pair, value, behind)
    return behind[key]


def _find_unquantized(pair: Pair, value: Node, behind: dict[tuple[str, int], Node]) -> Node:
    node = value.get_node()
    if pair.is_constant(value):
        return value
    if pair.inserted(node) and node.get_type_name() not in PASSING:
        return _unquantized(pair, source(node, 0), behind)
    if node.get_type_name() not in PASSING or pair.inserted(node):
        return value
    before = [each.get_source_output() for each in node.inputs()]
    after = [_unquantized(pair, each, behind) for each in before]
    if all(_same(old, new) for old, new in zip(before, after, strict=True)):
        return value
    double = pair.namesakes[node.get_friendly_name()]
    for port, new in zip(double.inputs(), after, strict=True):
        port.replace_source_output(new)
    double.set_friendly_name(f"{node.get_friendly_name()}/unquantized")
    return double.output(value.get_index())


def _same(one: Node, other: Node) -> bool:
    return bool(one.get_node().get_name() == other.get_node().get_name() and one.index == other.index)


def _remove_quantizers(pair: Pair, chosen: set[str]) -> None:
    """Take out the quantizers whose layers are all reverted.

    Such a one may stand before an average pool or a sum, where no layer reads it directly.
    """
    layers = {layer.quantized.get_name(): layer.name for layer in pair.layers.values()}
    for node in pair.quantized.get_ordered_ops():
        if node.get_type_name() != "FakeQuantize" or pair.is_constant(node.output(0)):
            continue
        served = _next(node, layers, forward=True) or _next(node, layers, forward=False) or set(pair.layers)
        if served <= chosen:
            _replace(node.output(0), source(node, 0))


def _next(node: Node, layers: dict[str, str], *, forward: bool) -> set[str]:
    """Return the quantized layers next to a node, behind it or before it, with no other between."""
    found: set[str] = set()
    seen: set[str] = set()
    ahead = _neighbours(node, forward)
    while ahead:
        each = ahead.pop()
        name = each.get_name()
        if name in seen:
            continue
        seen.add(name)
        if name in layers:
            found.add(layers[name])
        else:
            ahead.extend(_neighbours(each, forward))
    return found


def _neighbours(node: Node, forward: bool) -> list[Any]:
    if forward:
        return [port.get_node() for output in node.outputs() for port in output.get_target_inputs()]
    return [port.get_source_output().get_node() for port in node.inputs()]


def _replace(old: Node, new: Node) -> None:
    """Let everything that reads one value read another."""
    for port in old.get_target_inputs():
        port.replace_source_output(new)
