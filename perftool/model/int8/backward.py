"""Extend a graph by its own reverse: the gradient of a weighted sum of its scores at every value inside.

Reverse-mode differentiation in the runtime's own ops, so that one inference gives values and gradients. Which
ops it covers, `derivatives` says: what image classifiers are made of. Weights get no gradient: nothing is
trained here. Runs in a child process.
"""

import openvino as ov
from openvino import opset13 as ops

from perftool.model.int8.derivatives import RULES
from perftool.model.int8.quantized import Node

Key = tuple[str, int]


def key(value: Node) -> Key:
    """Return what tells a value from all others: its node's unique name, and its place among the outputs."""
    return value.get_node().get_name(), value.get_index()


def gradients(
    model: ov.Model, scores: Node, weights: Node, sources: frozenset[Key]
) -> dict[Key, Node] | None:
    """Return the gradient of sum(`weights` * `scores`) by each of `sources`, as outputs of new nodes.

    `weights` has the shape of `scores`. A source that the scores do not depend on is left out. Returns None
    where an op without a rule, or of unknown shape, stands between a source and the scores.
    """
    order = model.get_ordered_ops()
    depending = _depending(order, sources)
    arriving: dict[Key, list[Node]] = {key(scores): [weights]}
    found: dict[Key, Node] = {}
    for node in reversed(order):
        handed = {key(output): _total(arriving.pop(key(output), [])) for output in node.outputs()}
        found |= {
            place: gradient for place, gradient in handed.items() if gradient is not None and place in sources
        }
        values = [port.get_source_output() for port in node.inputs()]
        if all(each is None for each in handed.values()) or not any(
            key(value) in depending for value in values
        ):
            continue
        passed = _backward(node, list(handed.values()), values)
        if passed is None:
            return None
        for value, gradient in zip(values, passed, strict=False):
            if gradient is not None and key(value) in depending:
                arriving.setdefault(key(value), []).append(gradient)
    return found


def _backward(node: Node, handed: list[Node | None], values: list[Node]) -> list[Node | None] | None:
    """Apply the op's rule; None where there is none for it."""
    rule = RULES.get(node.get_type_name())
    known = not any(port.get_partial_shape().is_dynamic for port in (*values, node.output(0)))
    if rule is None or not known or handed[0] is None or any(each is not None for each in handed[1:]):
        return None
    return rule(node, handed[0])


def _depending(order: list[Node], sources: frozenset[Key]) -> set[Key]:
    """Return the sources, and every value that is computed from any of them."""
    found = set(sources)
    for node in order:
        if any(key(port.get_source_output()) in found for port in node.inputs()):
            found.update(key(output) for output in node.outputs())
    return found


def _total(parts: list[Node]) -> Node | None:
    """Add up what all readers of a value hand back."""
    total = parts[0] if parts else None
    for each in parts[1:]:
        total = ops.add(total, each).output(0)
    return total
