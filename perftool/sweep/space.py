"""Configurations as points: in which dimensions they differ, and how near one is to another. Pure.

What is proposed in this space is `proposing`'s to say.
"""

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from perftool.record import Compiled
from perftool.spec import Configuration, Explicit

#: How far apart two values without an order are, counted in steps between neighbours of an ordered one.
MISMATCH = 2.0
#: How far "auto" is from any number, in powers of e: it may be any.
_UNKNOWN = 1.0

Value = str | int | float | bool | None


class Dimension(Struct, frozen=True, kw_only=True):
    """A field in which configurations differ: each configuration's place in it, from 0 to `levels` - 1."""

    name: str
    levels: int
    ordered: bool
    places: NDArray[np.int64]


def _of_setting(name: str) -> Callable[[Configuration], Value]:
    return lambda configuration: getattr(configuration.setting, name, None)


#: Fields without an order, and with one. Requests are counted for each stream, as a grid does: counted whole
#: they would go along with the streams, and most combinations of the two would not exist.
_NAMED: dict[str, Callable[[Configuration], Value]] = {
    "device": lambda configuration: configuration.device,
    "precision": lambda configuration: configuration.precision,
    **{
        name: _of_setting(name) for name in ("inference_precision", "pinning", "hyper_threading", "core_type")
    },
}
_ORDERED: dict[str, Callable[[Configuration], Value]] = {
    "batch": lambda configuration: configuration.batch,
    "streams": _of_setting("streams"),
    "threads": _of_setting("threads"),
    "requests": lambda configuration: _requests_each(configuration),
}


def dimensions(configurations: tuple[Configuration, ...]) -> tuple[Dimension, ...]:
    """Return the fields that differ. One that follows from another says nothing more, and is left out."""
    found: list[Dimension] = []
    for fields, ordered in ((_NAMED, False), (_ORDERED, True)):
        for name, read in fields.items():
            values = [read(configuration) for configuration in configurations]
            levels = sorted(set(values), key=_numbers_first) if ordered else list(dict.fromkeys(values))
            place = {level: number for number, level in enumerate(levels)}
            places = np.array([place[value] for value in values], dtype=np.int64)
            if len(levels) > 1 and not any(_follows(places, other.places) for other in found):
                found.append(Dimension(name=name, levels=len(levels), ordered=ordered, places=places))
    return tuple(found)


def distances(
    dimensions: tuple[Dimension, ...], point: Mapping[str, int], chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how far each of the chosen configurations, given by number, is from a point.

    Steps count in ordered dimensions, mismatches in the others.
    """
    total = np.zeros(len(chosen))
    for dimension in dimensions:
        apart = dimension.places[chosen] - point[dimension.name]
        total += np.abs(apart) if dimension.ordered else MISMATCH * (apart != 0)
    return total


def hinted(
    configurations: tuple[Configuration, ...], baselines: Mapping[str, str], compiled: Iterable[Compiled]
) -> tuple[str, ...]:
    """Return what comes nearest to the hints on their devices, in each precision; batch 1 where there is one.

    `baselines` gives the device of each hint's configuration. The first process of each says what its hint
    resolved to: streams, threads and requests.
    """
    seen: dict[str, Compiled] = {}
    for one in compiled:
        if one.configuration in baselines:
            seen.setdefault(one.configuration, one)
    found: dict[str, None] = {}
    for id, hint in seen.items():
        for precision in dict.fromkeys(one.precision for one in configurations):
            same = [
                one for one in configurations if one.device == baselines[id] and one.precision == precision
            ]
            if same:
                found[min(same, key=lambda one: _apart(one, hint)).id] = None
    return tuple(found)


def _apart(configuration: Configuration, hint: Compiled) -> float:
    """Return how far a configuration is from what a hint resolved to: ratios, as logarithms."""
    setting = configuration.setting
    assert isinstance(setting, Explicit)
    pairs: list[tuple[int | str, int | None]] = [
        (configuration.batch, 1),
        (setting.streams, hint.streams),
        (setting.threads, hint.threads),
        (configuration.requests, hint.requests),
    ]
    return sum(
        _UNKNOWN if isinstance(own, str) else abs(math.log(own / theirs)) for own, theirs in pairs if theirs
    )


def _requests_each(configuration: Configuration) -> Value:
    streams = getattr(configuration.setting, "streams", None)
    if isinstance(configuration.requests, str) or not isinstance(streams, int):
        return configuration.requests
    return configuration.requests / streams


def _numbers_first(value: Value) -> tuple[bool, float]:
    """Order numbers by size and "auto" after them: OpenVINO takes many rather than few."""
    return (False, float(value)) if isinstance(value, (int, float)) else (True, 0.0)


def _follows(places: NDArray[np.int64], others: NDArray[np.int64]) -> bool:
    """Tell whether the first is known wherever the second is."""
    pairs = set(zip(others.tolist(), places.tolist(), strict=True))
    return len(pairs) == len({other for other, _ in pairs})
