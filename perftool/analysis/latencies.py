"""Read the latencies of visits: sorted once, since medians, percentiles and quantiles all start there."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from perftool.analysis import stats
from perftool.analysis.evidence import NS_PER_MS
from perftool.analysis.result import Latency, LatencyIntervals
from perftool.analysis.stats import Estimate, Pooled
from perftool.record import Visited


class Latencies(NamedTuple):
    """What visits took, in milliseconds: the samples sorted, their mean, each visit's round and median."""

    pooled: Pooled
    mean: float
    medians: tuple[tuple[int, float], ...]


#: What no visit says.
NONE = Latencies(pooled=stats.pooled(()), mean=0.0, medians=())


def latencies_of(visits: Sequence[Visited]) -> Latencies:
    """Sort the samples of visits, which hold at least one each."""
    if not visits:
        return NONE
    samples = [np.asarray(visit.latencies_ns) for visit in visits]
    # The median is that of whole nanoseconds, and the mean sums up in the order of completion: another order
    # of operations would round otherwise.
    ordered = [np.sort(visit) for visit in samples]
    each = tuple(visit / NS_PER_MS for visit in ordered)
    count = sum(map(len, samples))
    return Latencies(
        pooled=Pooled(visits=each, together=np.sort(np.concatenate(each))),
        mean=sum(sum((visit / NS_PER_MS).tolist()) for visit in samples) / count,
        medians=tuple(
            (visit.round, stats.middle(one) / NS_PER_MS) for visit, one in zip(visits, ordered, strict=True)
        ),
    )


def medians_by_round(found: Latencies) -> dict[int, float]:
    """Return the median latency in each round."""
    return stats.by_round(found.medians)


def percentiles(found: Latencies) -> tuple[Latency | None, LatencyIntervals | None]:
    """Return the percentiles, without and with their intervals; None where there are no visits."""
    count = len(found.pooled.together)
    if not count:
        return None, None
    p50, p90, p95, p99 = stats.percentiles_of(found.pooled, (50, 90, 95, 99))
    return (
        Latency(p50=_point(p50), p90=_point(p90), p95=_point(p95), p99=_point(p99), mean=found.mean, n=count),
        LatencyIntervals(p50=p50, p90=p90, p95=p95, p99=p99),
    )


def _point(estimate: Estimate | None) -> float | None:
    return estimate.point if estimate else None


def drift_inside(visits: Sequence[Visited]) -> Estimate | None:
    """Return the latency of a visit's second half over that of its first, over all visits."""
    ratios = [stats.halves_ratio(visit.latencies_ns) for visit in visits if len(visit.latencies_ns) > 1]
    return stats.median_estimate(ratios) if ratios else None
