"""The parts of a network that its layers belong to, read off the hierarchy in their names.

Pure functions over names. Frameworks write a layer's place before its name, between slashes (TensorFlow,
ONNX) or dots (PyTorch): `InceptionV4/Mixed_5b/Branch_0/Conv2d_0a_1x1/Conv2D`. Nothing here knows a network.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

#: What is said of layers whose names have no hierarchy, or none that tells parts apart.
ALL: Final = "(all)"
#: What is said of the layers outside of any part, where the others have one.
OTHER: Final = "(other)"
#: A depth divides a network well when no part takes more of its time than this share.
LARGEST_SHARE: Final = 0.5

_SEPARATOR: Final = re.compile(r"[/.]")
#: What quantizing adds to the name of a layer, as NNCF writes it.
_QUANTIZER: Final = re.compile(r"/fq_\w+$")


def blocks(names: Sequence[str], times: Sequence[float]) -> list[str]:
    """Return the part that each layer belongs to; `times` are what the layers take, in any unit.

    Names are cut at the smallest depth at which no part takes more than half of the time. Where no depth
    does that, the one whose largest part is the smallest counts; none counts that has more parts than
    half the layers, as it would tell layers apart, not parts.
    """
    places = [_place(name) for name in names]
    found: tuple[float, list[str]] | None = None
    for depth in range(1, max(map(len, places), default=0) + 1):
        parts = [place[min(depth, len(place)) - 1] if place else OTHER for place in places]
        if not 2 <= len(set(parts) - {OTHER}) <= max(2, len(parts) // 2):
            continue
        share = _largest_share(parts, times)
        if found is None or share < found[0]:
            found = (share, parts)
        if share <= LARGEST_SHARE:
            break
    return [ALL] * len(names) if found is None else found[1]


def cut(nodes: Iterable[tuple[Sequence[str], float]]) -> dict[str, str]:
    """Return the part that each name belongs to which tells where nodes are.

    A node is given by its originals, the layers that it stands for, and its time. Those of several profiles
    of one model may be given together: then all are cut at one depth, and their parts compare.
    """
    times: dict[str, float] = {}
    for originals, time in nodes:
        if originals:
            times[_placed(originals)] = times.get(_placed(originals), 0.0) + time
    return dict(zip(times, blocks(list(times), list(times.values())), strict=True))


def parts_of(nodes: Sequence[Sequence[str]], parts: Mapping[str, str]) -> list[str]:
    """Return the part of each node, given its originals, in the order of execution.

    A node of the runtime's own, which has none, belongs to the layer that follows it.
    """
    own = [parts[_placed(originals)] for originals in nodes if originals]
    following = own[-1] if own else ALL
    found: list[str] = []
    for originals in reversed(nodes):
        if originals:
            following = parts[_placed(originals)]
        found.append(following)
    return found[::-1]


def called(name: str, originals: Sequence[str]) -> str:
    """Call a node by the layer that it stands for; by the runtime's own name where it stands for none."""
    return originals[0] if originals else name


def _placed(originals: Sequence[str]) -> str:
    """Return the first name that tells where a layer is; what was made while converting has a bare one.

    Quantizers are called after the layer that they follow.
    """
    names = [_QUANTIZER.sub("", name) for name in originals]
    return next((name for name in names if "/" in name or "." in name), names[0])


def _place(name: str) -> list[str]:
    """Return what stands before a layer's own name, one level deeper each: `a/b/c` gives `a` and `a/b`."""
    start = len(name) - len(name.lstrip("/."))
    ends = [match.start() for match in _SEPARATOR.finditer(name, start)]
    return [name[start:end] for end in ends if end > start]


def _largest_share(parts: Sequence[str], times: Sequence[float]) -> float:
    total = sum(times)
    spent: dict[str, float] = {}
    for part, time in zip(parts, times, strict=True):
        spent[part] = spent.get(part, 0.0) + time
    return max(spent.values()) / total if total > 0 else 1.0
