"""Read what a user asks of a choice: limits and weights on metrics, written as text or in a profile.

Pure: nothing is decided, and no run is looked at. What is wrong is said in one line, as InputError; whoever
read the text adds which option or field it came from.
"""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import get_args

from msgspec import structs

from perftool.analysis.limits import without
from perftool.analysis.metric import Metric
from perftool.analysis.metrics import DROP, LATENCY, MEMORY, METRICS, named
from perftool.errors import InputError
from perftool.spec import Bound, Limits, Objective

#: How many of a metric's own unit each unit is that may be written for it.
_UNITS: dict[str, dict[str, float]] = {
    "ms": {"ms": 1.0, "s": 1e3, "us": 1e-3},
    "MB": {"MB": 1.0, "GB": 1e3, "MiB": 2**20 / 1e6, "GiB": 2**30 / 1e6},
    "pp": {"pp": 1.0, "%": 1.0},
    "%": {"%": 1.0},
    "images/s": {"images/s": 1.0, "fps": 1.0},
    "J/image": {"J/image": 1.0, "J": 1.0},
    "images/J": {"images/J": 1.0},
    "x": {"x": 1.0},
}
_NUMBER = r"[+-]?(?:inf|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
_BOUND = re.compile(rf"\s*([A-Za-z]\w*)\s*(<=|>=)\s*({_NUMBER})\s*(\S*)\s*")
_EXAMPLE = "METRIC <= VALUE or METRIC >= VALUE, as in 'latency_p95 <= 30ms'"
#: The objectives that have a name of their own.
NAMED: tuple[str, ...] = get_args(get_args(Objective)[0])


def parse_bound(text: str) -> Bound:
    """Read a limit such as `latency_p95 <= 30ms`; without a unit the value is in the metric's own.

    A value of inf (for >=, -inf) lifts the limits on the metric.
    """
    found = _BOUND.fullmatch(text)
    if found is None:
        raise InputError(f"{text!r}: expected {_EXAMPLE}")
    name, way, number, unit = found.groups()
    metric = named(name)
    units = _UNITS[metric.unit]
    if unit and unit not in units:
        raise InputError(f"{text!r}: {unit} is no unit of {name}, which takes {', '.join(units)}")
    value = float(number) * units.get(unit, 1.0)
    if metric.unit == "%" and not unit and 0 < value <= 1:
        raise InputError(f"{text!r}: is {value:g} % meant, or {100 * value:g} %? Write it with its unit")
    bound = Bound(metric=name, way="<=" if way == "<=" else ">=", value=value)
    return bound if lifts(bound) else checked_bound(bound)


def checked_bound(bound: Bound) -> Bound:
    """Return a limit that makes sense; raise InputError for an unknown metric, the wrong way, or no value."""
    metric = named(bound.metric)
    if bound.way != metric.way:
        raise InputError(
            f"{bound.metric} {bound.way} {bound.value:g}: of {bound.metric} {metric.better} is better, "
            f"so its limit is written {metric.way}"
        )
    if not math.isfinite(bound.value) or (metric.positive and bound.value <= 0):
        expected = "a number above zero" if metric.positive else "a number"
        raise InputError(f"{bound.metric} {bound.way} {bound.value:g}: expected {expected}")
    return bound


def lifts(bound: Bound) -> bool:
    """Tell whether a limit lets everything pass, and so lifts whatever limit there was."""
    way = named(bound.metric).way
    return bound.way == way and bound.value == (math.inf if way == "<=" else -math.inf)


def parse_objective(text: str) -> Objective:
    """Read an objective: one by its name, or weights such as `throughput=1,latency_p50=0.5`."""
    match text:
        case "throughput" | "latency" | "rate" | "efficiency":
            return text
    if "=" not in text:
        close = difflib.get_close_matches(text, NAMED, n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(NAMED)}"
        raise InputError(f"{text!r}: {hint}, or weights, as in throughput=1,latency_p50=0.5")
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not name or not sign or not re.fullmatch(_NUMBER, value):
            raise InputError(f"{part.strip()!r}: expected METRIC=WEIGHT, as in latency_p50=0.5")
        if name in weights:
            raise InputError(f"{name}: has two weights")
        weights[name] = float(value)
    return checked_weights(weights)


def checked_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Return weights that make sense; raise InputError for what cannot be weighed."""
    if not weights:
        raise InputError("expected at least one metric with its weight")
    for name, weight in weights.items():
        metric = named(name)
        if not metric.positive:
            raise InputError(
                f"{name}: can be zero or negative, and ratios of it mean nothing; give it a limit instead"
            )
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(f"{name}: expected a weight above zero, got {weight:g}")
    return dict(weights)


def told(objective: Objective) -> str:
    """Write an objective as it is given on the command line."""
    if isinstance(objective, str):
        return objective
    return ",".join(f"{name}={weight:g}" for name, weight in objective.items())


def loads_of(objective: Objective, limits: Limits) -> tuple[str, ...]:
    """Return the loads beside the closed one that weights and limits are read from, by their names."""
    names = [*(objective if isinstance(objective, dict) else ()), *(one.metric for one in limits.bounds)]
    loads = ("sync", "end_to_end")
    return tuple(load for load in loads if any(load in _loads(METRICS[name]) for name in names))


def _loads(metric: Metric) -> tuple[str, ...]:
    return ("end_to_end",) if metric.name == "end_to_end_ratio" else (metric.load or "",)


def replaced(
    own: Limits,
    given: Sequence[Bound],
    *,
    latency: bool = False,
    drop: bool = False,
    memory: bool = False,
    percentile: int | None = None,
) -> Limits:
    """Return own limits with those given in place of any on the same metrics; others stay.

    `latency`, `drop` and `memory` tell that an option of that kind is given too, whose value comes later:
    the first at `percentile`, or the own one.
    """
    names = {one.metric for one in given}
    names |= {DROP.name} if drop else set()
    names |= {MEMORY.name} if memory else set()
    if latency:
        wanted = percentile or own.percentile
        names |= {row.name for each, row in LATENCY.items() if each == wanted}
    kept = without(own, names)
    return structs.replace(kept, bounds=(*kept.bounds, *(one for one in given if not lifts(one))))
