"""Weigh several metrics into one score: a sum of logarithms of ratios.

    score(a) = exp( sum of w_i log(how many times better metric i of a is than of the baseline) / sum of w_i )

In the ratio of two scores the baseline cancels, so it only sets the scale that a score is shown on, and has
no part in a comparison: which configuration is chosen does not depend on it, nor how sure that is, and
scores, being single numbers, compare transitively.
"""

import math
from collections.abc import Iterable, Sequence

from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult, Series, Summary
from perftool.analysis.stats import Estimate, paired_ratio, ratio_of_independent

Weighted = Sequence[tuple[Metric, float]]


def weighed(rows: Weighted, summary: Summary | None) -> Metric:
    """Return the score of metrics, each with its weight (above zero), in times the baseline's.

    The baseline is that of the THROUGHPUT hint, else the other one, else the first configuration that has
    all the figures. Without a summary there is none: the score then decides as it would with one, but is in
    no unit that means anything. A score is read of the summary's own results: where it is paired with the
    baseline, its interval is theirs.
    """
    base = _baseline(rows, summary)
    paired = all(metric.series is not None for metric, _ in rows)
    loads = {metric.load for metric, _ in rows}

    def series(found: Series) -> dict[int, float]:
        return _series(rows, found)

    def read(result: ConfigurationResult) -> Estimate | None:
        mine = _index(rows, result)
        its = None if base is None else _index(rows, base)
        if mine is None or its is None or base is None or summary is None:
            return mine
        score = ratio_of_independent(mine, its)
        if not paired:
            return score
        found = paired_ratio(series(summary.series[result.id]), series(summary.series[base.id]))
        return _reaching(score.point, found)

    return Metric(
        name="score",
        label="weighted score" if base is None else f"weighted score over {base.id}",
        heading="score",
        unit="x",
        better="higher",
        digits=2,
        read=read,
        series=series if paired else None,
        load=loads.pop() if paired and len(loads) == 1 else None,
        unscaled=lambda result: _index(rows, result),
        parts=tuple(metric for metric, _ in rows),
        over=base.id if base else "",
    )


def _baseline(rows: Weighted, summary: Summary | None) -> ConfigurationResult | None:
    if summary is None:
        return None
    hinted = sorted(summary.baselines, key=lambda one: one.requested.hint != "THROUGHPUT")
    everything = (*hinted, *summary.configurations)
    return next((one for one in everything if one.status == "ok" and _index(rows, one)), None)


def _index(rows: Weighted, result: ConfigurationResult) -> Estimate | None:
    """Return the weighted geometric mean of a configuration's figures, of lower-is-better ones the inverse.

    None where one was not measured, or is zero. The metrics of one configuration hang together in ways that
    nothing here knows, so their reaches are added up: no dependence makes the interval wider than that.
    """
    found = [(metric, weight, metric.read(result)) for metric, weight in rows]
    total = sum(weight for _, weight in rows)
    point = low = high = 0.0
    known = True
    for metric, weight, estimate in found:
        if estimate is None or estimate.point <= 0:
            return None
        share = weight / total
        ends = (estimate.low, estimate.high)
        if metric.better == "lower":
            share, ends = -share, (estimate.high, estimate.low)
        point += share * math.log(estimate.point)
        if ends[0] is None or ends[1] is None or min(ends[0], ends[1]) <= 0:
            known = False
        else:
            low += share * math.log(ends[0])
            high += share * math.log(ends[1])
    return Estimate(
        point=math.exp(point), low=math.exp(low) if known else None, high=math.exp(high) if known else None
    )


def _series(rows: Weighted, found: Series) -> dict[int, float]:
    """Return the weighted geometric mean of each round that has all the figures."""
    total = sum(weight for _, weight in rows)
    columns = [
        (metric.series(found), weight / total * (1 if metric.better == "higher" else -1))
        for metric, weight in rows
        if metric.series is not None
    ]
    rounds = _shared(column for column, _ in columns)
    return {
        round: math.exp(sum(share * math.log(column[round]) for column, share in columns)) for round in rounds
    }


def _shared(columns: Iterable[dict[int, float]]) -> list[int]:
    """Return the rounds in which every column has a figure above zero."""
    rounds = [{round for round, value in column.items() if value > 0} for column in columns]
    return sorted(set.intersection(*rounds)) if rounds else []


def _reaching(point: float, paired: Estimate | None) -> Estimate:
    """Put the reach of a paired ratio around a point: the point stands alone, so that scores compare."""
    if paired is None or paired.low is None or paired.high is None:
        return Estimate(point=point, low=None, high=None)
    scale = point / paired.point
    return Estimate(point=point, low=paired.low * scale, high=paired.high * scale)
