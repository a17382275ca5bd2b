"""Find the Pareto front: what nothing else beats in every respect at once."""

from collections.abc import Sequence

from perftool.analysis.metrics import LATENCY, THROUGHPUT, Metric
from perftool.analysis.result import ConfigurationResult

#: The trade-off that tables and plots mark.
TRADE_OFF: tuple[Metric, ...] = (THROUGHPUT, LATENCY[50])


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Tell whether a is at least as large as b everywhere, and larger somewhere."""
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


def front(results: Sequence[ConfigurationResult], metrics: Sequence[Metric] = TRADE_OFF) -> tuple[str, ...]:
    """Return the ids of the configurations that no other dominates, best in the first metric first.

    Point estimates decide: a place on the front is a hint, the choice is by paired ratios. A configuration
    for which one of the metrics was not measured is not on the front. Equals are all on it.
    """
    points: dict[str, tuple[float, ...]] = {}
    for result in results:
        values = [metric.value(result) for metric in metrics]
        known = [value for value in values if value is not None]
        if result.status == "ok" and len(known) == len(metrics):
            points[result.id] = tuple(
                value if metric.better == "higher" else -value
                for metric, value in zip(metrics, known, strict=True)
            )
    kept = [
        id for id, point in points.items() if not any(dominates(other, point) for other in points.values())
    ]
    return tuple(sorted(kept, key=lambda id: (tuple(-value for value in points[id]), id)))
