"""Find the Pareto front: what nothing else beats in every respect at once."""

from collections.abc import Sequence

from perftool.analysis.metric import Metric
from perftool.analysis.metrics import DROP, LATENCY, MEMORY, THROUGHPUT
from perftool.analysis.result import ConfigurationResult


def trade_off(objective: Metric) -> tuple[Metric, ...]:
    """Return what configurations are traded off in: the objective, latency, loss of accuracy, memory."""
    rest = (LATENCY[50], DROP, MEMORY)
    return (objective, *(metric for metric in rest if metric is not objective))


#: The trade-off under the usual objective.
TRADE_OFF = trade_off(THROUGHPUT)


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Tell whether a is at least as large as b everywhere, and larger somewhere."""
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


def compared(
    results: Sequence[ConfigurationResult], metrics: Sequence[Metric] = TRADE_OFF
) -> tuple[Metric, ...]:
    """Return those of the metrics that were measured for any configuration."""
    measured = [one for one in results if one.status == "ok"]
    return tuple(metric for metric in metrics if any(metric.read(one) for one in measured))


def front(results: Sequence[ConfigurationResult], metrics: Sequence[Metric] = TRADE_OFF) -> tuple[str, ...]:
    """Return the ids of the configurations that no other dominates, best in the first metric first.

    Point estimates decide: a place on the front is a hint, the choice is by paired ratios. A metric that was
    measured for none is left out. A configuration for which one of the others was not measured is not on the
    front, nor is one that a race dropped, with a visit or two. Equals are all on it.
    """
    metrics = compared(results, metrics)
    points: dict[str, tuple[float, ...]] = {}
    for result in results:
        values = [metric.value(result) for metric in metrics]
        known = [value for value in values if value is not None]
        if result.status == "ok" and result.dropped is None and len(known) == len(metrics):
            points[result.id] = tuple(
                value if metric.better == "higher" else -value
                for metric, value in zip(metrics, known, strict=True)
            )
    kept = [
        id for id, point in points.items() if not any(dominates(other, point) for other in points.values())
    ]
    return tuple(sorted(kept, key=lambda id: (tuple(-value for value in points[id]), id)))
