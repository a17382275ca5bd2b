"""Reckon by energies how much of a layer's relative error reaches the output, where no gradient is to be had.

One walk from the output back to the input. The importance of a value is the share of its relative error that
reaches the output: 1 at the output; a sum or a concatenation splits it by the energies of what it joins; a
product hands it to both factors; all else hands it on. Values that several ops read sum what they hand back.
This takes relative errors of joined values to be independent (Lin, Talathi, Annapureddy, arXiv 1511.06393)
and every op to treat error and signal alike, which trained networks do not: a rough guide. Nothing runs here.
"""

from collections.abc import Iterator, Mapping

from perftool.model.int8.quantized import Node, Pair, source

_JOINING = frozenset({"Add", "Subtract", "Concat"})


def joined(pair: Pair) -> dict[str, Node]:
    """Return the values of the float graph whose energies `shares` wants, by names that it knows them by."""
    found: dict[str, Node] = {}
    for node in pair.exact.get_ordered_ops():
        values = list(_data(pair, node))
        if node.get_type_name() in _JOINING and len(values) > 1:
            found |= {_name(value): value for value in values}
    return found


def shares(pair: Pair, energies: Mapping[str, float]) -> dict[str, float]:
    """Return the importance of each op's first output, by the op's name; what reaches nothing is left out."""
    importance: dict[str, float] = {}
    for node in reversed(pair.exact.get_ordered_ops()):
        outputs = [_name(output) for output in node.outputs()]
        own = 1.0 if node.get_type_name() == "Result" else sum(importance.get(name, 0.0) for name in outputs)
        values = list(_data(pair, node))
        if not own or not values:
            continue
        for value, part in zip(values, _parts(node, values, energies), strict=True):
            importance[_name(value)] = importance.get(_name(value), 0.0) + own * part
    return {name.removesuffix(":0"): share for name, share in importance.items() if name.endswith(":0")}


def _parts(node: Node, values: list[Node], energies: Mapping[str, float]) -> list[float]:
    """Say which part of an op's importance each of its inputs is handed."""
    if node.get_type_name() not in _JOINING or len(values) < 2:
        return [1.0] * len(values)
    found = [energies[_name(value)] for value in values]
    return [energy / sum(found) if sum(found) else 1 / len(found) for energy in found]


def _data(pair: Pair, node: Node) -> Iterator[Node]:
    """Yield the values that an op reads, without those that do not depend on the model's input."""
    for port in range(len(node.inputs())):
        if not pair.is_constant(value := source(node, port)):
            yield value


def _name(value: Node) -> str:
    return f"{value.get_node().get_friendly_name()}:{value.get_index()}"
