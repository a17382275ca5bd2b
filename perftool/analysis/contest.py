"""What a race decides after a round: the figures of a run as a Field, and its Outcome in words.

Which figures count is said here, how sure one must be in `racing`. Decides nothing that is stored as truth:
`sweep.searching` turns the answer into a record.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import structs

from perftool.analysis import metrics
from perftool.analysis.limits import bounds
from perftool.analysis.limits import misses as missed
from perftool.analysis.metric import Metric
from perftool.analysis.passing import judgeable
from perftool.analysis.racing import DOUBT, SLACK, Array, Field, Mask, chance_above, noise_scale, race
from perftool.analysis.result import ConfigurationResult, Series, Summary
from perftool.analysis.sittings import in_order
from perftool.journal import Drop
from perftool.spec import Limits, Objective


def contest(
    summary: Summary, objective: Objective, limits: Limits, candidates: Sequence[ConfigurationResult]
) -> tuple[tuple[Drop, ...], tuple[str, ...]]:
    """Return what a race drops among the candidates, and what it keeps for the Pareto front alone.

    Nothing, where no visit shows anything of the objective (see `by_visit`). A visit that something else
    disturbed tells neither for nor against anybody: what was not seen undisturbed in a round with what could
    beat it stays, on a machine that is never quiet as well.
    """
    limits, _ = judgeable(summary, limits)
    metric = by_visit(objective, metrics.objective_metric(objective, limits))
    if metric is None:
        return (), ()
    series = [_undisturbed(summary.series[one.id]) for one in candidates]
    timed = _timed(metric, series)
    keeps, misses = _limits(candidates, limits, series)
    fixed, at_most = _fixed(candidates)
    field = Field(timed=timed, fixed=fixed, fixed_at_most=at_most, keeps=keeps, misses=misses)
    outcome = race(field)
    drops = tuple(
        Drop(
            configuration=one.id,
            by=candidates[by].id,
            reason=_reason(metric, timed[0], at, int(by), one, candidates[by], limits),
        )
        for at, (one, by) in enumerate(zip(candidates, outcome.dropped_by, strict=True))
        if by >= 0
    )
    front = [
        one.id
        for one, beaten, dropped in zip(candidates, outcome.beaten_by, outcome.dropped_by, strict=True)
        if beaten >= 0 > dropped
    ]
    return drops, tuple(front)


def by_visit(objective: Objective, metric: Metric) -> Metric | None:
    """Return what a single visit shows of an objective; None where it shows nothing.

    Throughput stands for a rate under a bound, and the median for a higher percentile of latency: what is
    surely worse there, and no better in latency under load, is taken to be worse. Nothing stands for weights
    on what visits do not repeat, such as memory.
    """
    if metric.series is not None:
        return metric
    stand_ins = {"rate": metrics.THROUGHPUT, "latency": metrics.LATENCY_SYNC}
    return stand_ins.get(objective) if isinstance(objective, str) else None


def _undisturbed(series: Series) -> Series:
    """Leave the rounds in which a configuration was disturbed out of every figure that is kept by round."""
    figures = {
        name: {round: figure for round, figure in value.items() if round not in series.disturbed}
        for name, value in structs.asdict(series).items()
        if isinstance(value, dict)
    }
    return structs.replace(series, **figures)


def _timed(metric: Metric, series: Sequence[Series]) -> tuple[Array, ...]:
    """Return the objective and the latency under full load, by round."""
    assert metric.series is not None
    objective = _logs([metric.series(one) for one in series], metric.better)
    return objective, _logs([one.latency_ms for one in series], "lower")


def _logs(figures: Sequence[dict[int, float]], better: str) -> Array:
    """Return figures by round as logarithms, larger is better, nan where there is none."""
    rounds = sorted({round for one in figures for round in one}, key=in_order)
    sign = 1.0 if better == "higher" else -1.0
    return np.array(
        [[sign * math.log(one[round]) if one.get(round) else math.nan for round in rounds] for one in figures]
    ).reshape(len(figures), len(rounds))


def _fixed(candidates: Sequence[ConfigurationResult]) -> tuple[Array, Array]:
    """Return memory and accuracy: less memory by a share, or a smaller drop than another's interval holds."""
    rows: list[list[float]] = []
    at_most: list[list[float]] = []
    for one in candidates:
        memory = -math.log(one.peak_rss_mb) if one.peak_rss_mb else math.nan
        drop = metrics.DROP.read(one)
        low = drop.point if drop and drop.low is None else drop.low if drop else None
        rows.append([memory - math.log1p(SLACK), -drop.point if drop else math.nan])
        at_most.append([memory, -low if low is not None else math.nan])
    return np.array(rows).reshape(-1, 2), np.array(at_most).reshape(-1, 2)


def _limits(
    candidates: Sequence[ConfigurationResult], limits: Limits, series: Sequence[Series]
) -> tuple[Mask, Mask]:
    """Return which limits each candidate surely keeps, and surely misses.

    Of what does not change with more visits the point decides, as it will in the end.
    """
    held = bounds(limits)
    keeps = np.zeros((len(candidates), len(held)), dtype=bool)
    misses = np.zeros_like(keeps)
    for column, (metric, bound) in enumerate(held):
        median = _median_of(metric)
        own = _end_to_end_ratio if metric is metrics.END_TO_END_RATIO else metric.series
        by_round = own or (median.series if median else None)
        if by_round is not None and bound > 0:
            logs = _logs([by_round(one) for one in series], metric.better)
            at = math.log(bound) if metric.better == "higher" else -math.log(bound)
            scale = noise_scale(logs, paired=False)  # A drift of the machine cancels in ratios only.
            # A percentile lies above the median: where that exceeds the limit, so does the percentile.
            misses[:, column] = chance_above(logs, at, scale) < DOUBT
            if own is not None:
                keeps[:, column] = chance_above(-logs, -at, scale) < DOUBT
                continue
        for row, one in enumerate(candidates):
            estimate = metric.read(one)
            if estimate is None:
                continue
            if median is None:
                keeps[row, column] = metric.keeps(estimate.point, bound)
                misses[row, column] = not keeps[row, column]
            else:
                keeps[row, column] = estimate.high is not None and metric.keeps(estimate.high, bound)
    return keeps, misses


def _end_to_end_ratio(series: Series) -> dict[int, float]:
    """Return what is left of the throughput end to end, by round: every visit shows it anew."""
    alone = series.throughput_fps
    return {round: fps / alone[round] for round, fps in series.end_to_end_fps.items() if alone.get(round)}


def _median_of(metric: Metric) -> Metric | None:
    """Return the median of which a metric is a percentile; None where it is none."""
    for percentiles in (metrics.LATENCY, metrics.LATENCY_ALONE):
        if metric in percentiles.values():
            return percentiles[50]
    return None


def _reason(
    metric: Metric,
    logs: Array,
    at: int,
    by: int,
    one: ConfigurationResult,
    other: ConfigurationResult,
    limits: Limits,
) -> str:
    """Say in a sentence why a configuration is dropped."""
    shared = logs[at] - logs[by]
    shared = shared[~np.isnan(shared)]
    rounds = f"{len(shared)} round{'s' if len(shared) != 1 else ''}"
    what = metric.label.partition(",")[0]
    sign = 1 if metric.better == "higher" else -1
    told = f"{math.exp(sign * float(np.median(shared))):.2f}x the {what} of {other.id}"
    told_limits = [
        missed(held, estimate.point, bound)
        for held, bound in bounds(limits)
        if (estimate := held.read(one)) is not None and not held.keeps(estimate.point, bound)
    ]
    also = f"; {', '.join(told_limits)}" if told_limits else ""
    return f"dropped after {rounds}: {told}, and no better in latency, accuracy or memory{also}"
