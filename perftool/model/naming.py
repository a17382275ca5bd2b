"""Give layers their names back that conversion has fused with their neighbours.

The runtime names a convolution that took its batch norm in after a node it made up ("Multiply_14856"): no
name to look up in the source, or to leave out of quantization by. Of TensorFlow's graphs, whose channels come
last, conversion leaves nothing to find them by: their layers keep made-up names. Runs in a child process.
"""

import re
from typing import Any, Final

import openvino as ov

_LAYERS: Final = frozenset({"Convolution", "GroupConvolution", "MatMul"})
_MADE_UP: Final = re.compile(r"[A-Za-z]+_\d+")


def restore_names(converted: ov.Model, source: ov.Model) -> None:
    """Name each layer with weights as the source does, in place, where the runtime has made a name up.

    What reads such a layer still has its own name. From its namesake in the source the way back to the layer
    leads through ops with one input that is no constant. Where it does not, the name stays.
    """
    namesakes = {op.get_friendly_name(): op for op in source.get_ops()}
    taken = {op.get_friendly_name() for op in converted.get_ops()}
    for op in converted.get_ordered_ops():
        if op.get_type_name() not in _LAYERS or op.get_friendly_name() in namesakes:
            continue
        if not _MADE_UP.fullmatch(op.get_friendly_name()):
            continue
        name = _name_in_source(op, namesakes)
        if name is not None and name not in taken:
            op.set_friendly_name(name)
            taken.add(name)


def _name_in_source(op: Any, namesakes: dict[str, Any]) -> str | None:
    """Follow the readers to one that the source has too, and from there back to a layer of this kind."""
    reader = op
    while reader.get_friendly_name() not in namesakes:
        readers = [port.get_node() for port in reader.output(0).get_target_inputs()]
        if len(readers) != 1:
            return None
        reader = readers[0]
    found = namesakes[reader.get_friendly_name()]
    while found.get_type_name() != op.get_type_name():
        before = [port.get_source_output().get_node() for port in found.inputs()]
        varying = [node for node in before if not _is_constant(node)]
        if len(varying) != 1:
            return None
        found = varying[0]
    return str(found.get_friendly_name())


def _is_constant(node: Any) -> bool:
    if node.get_type_name() == "Parameter":
        return False
    return all(_is_constant(port.get_source_output().get_node()) for port in node.inputs())
