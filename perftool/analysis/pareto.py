"""Find the Pareto front: what nothing else beats in every respect at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perftool.analysis.metric import Metric
from perftool.analysis.metrics import DROP, LATENCY, MEMORY, THROUGHPUT
from perftool.analysis.result import ConfigurationResult


def trade_off(objective: Metric) -> tuple[Metric, ...]:
    """Return what configurations are traded off in: the objective, latency, loss of accuracy, memory."""
    rest = (LATENCY[50], DROP, MEMORY)
    return (objective, *(metric for metric in rest if metric is not objective))


#: The trade-off under the usual objective.
TRADE_OFF = trade_off(THROUGHPUT)


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
    points: dict[str, list[float]] = {}
    for result in results:
        values = [metric.value(result) for metric in metrics]
        known = [value for value in values if value is not None]
        if result.status == "ok" and result.dropped is None and len(known) == len(metrics):
            points[result.id] = [
                value if metric.better == "higher" else -value
                for metric, value in zip(metrics, known, strict=True)
            ]
    kept = undominated(np.array(list(points.values()), dtype=float).reshape(len(points), len(metrics)))
    front = [id for id, undefeated in zip(points, kept, strict=True) if undefeated]
    return tuple(sorted(front, key=lambda id: ([-value for value in points[id]], id)))


def undominated(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which rows no other row dominates; columns are metrics, larger is better.

    A row that dominates another comes before it in descending order, so only those that nothing before them
    dominates are held against the rest.
    """
    beaten = np.zeros(len(points), dtype=bool)
    for row in np.lexsort(points.T[::-1])[::-1] if points.size else ():
        if not beaten[row]:
            beaten |= (points <= points[row]).all(axis=1) & (points < points[row]).any(axis=1)
    return ~beaten
