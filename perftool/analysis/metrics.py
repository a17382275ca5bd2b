"""The metrics: one row each, read by tables, plots, limits and objectives."""

import difflib
from typing import Literal

from perftool.analysis.metric import Metric
from perftool.analysis.rate_bound import rate_under_bound
from perftool.analysis.result import ConfigurationResult, LatencyIntervals, Series, Summary
from perftool.analysis.stats import Estimate, samples_needed
from perftool.analysis.weighing import weighed
from perftool.errors import InputError
from perftool.spec import Limits, Objective

Percentile = Literal[50, 90, 95, 99]

#: The share by which the peak memory of the same configuration differs from run to run (seen: up to 1.2 %).
_MEMORY_VARIES = 0.03


def _bare(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(point=value, low=None, high=None)


def _percentile(found: LatencyIntervals | None, percentile: Percentile) -> Estimate | None:
    estimate: Estimate | None = getattr(found, f"p{percentile}") if found else None
    return estimate


def _inverse(estimate: Estimate | None) -> Estimate | None:
    """Return one over a figure; None where that is nothing to divide by."""
    if estimate is None or estimate.point <= 0:
        return None
    low = None if estimate.high is None else 1 / estimate.high
    high = None if estimate.low is None or estimate.low <= 0 else 1 / estimate.low
    return Estimate(point=1 / estimate.point, low=None if high is None else low, high=high)


def _efficiencies(series: Series) -> dict[int, float]:
    return {round: 1 / joules for round, joules in series.energy_j.items()}


def _drop(result: ConfigurationResult) -> Estimate | None:
    found = result.accuracy
    if found is None or found.drop_pp is None:
        return None
    return Estimate(point=found.drop_pp, low=found.drop_low, high=found.drop_high)


def _latency(percentile: Percentile) -> Metric:
    return Metric(
        name=f"latency_p{percentile}",
        label=f"latency per batch, p{percentile}",
        heading=f"p{percentile}",
        unit="ms",
        better="lower",
        digits=1,
        read=lambda result: _percentile(result.latency_intervals_ms, percentile),
        series=(lambda series: series.latency_ms) if percentile == 50 else None,
        load="closed",
    )


def _latency_alone(percentile: Percentile) -> Metric:
    """Return the latency of a single request: at p50 with a figure by round, above from pooled samples."""
    return Metric(
        name="latency_sync" if percentile == 50 else f"latency_sync_p{percentile}",
        label=f"latency of a single request, p{percentile}",
        heading=f"alone p{percentile}",
        unit="ms",
        better="lower",
        digits=1,
        read=lambda result: _percentile(result.latency_sync_intervals_ms, percentile),
        series=(lambda series: series.latency_sync_ms) if percentile == 50 else None,
        load="sync",
    )


THROUGHPUT = Metric(
    name="throughput",
    label="throughput",
    heading="throughput",
    unit="images/s",
    better="higher",
    digits=1,
    read=lambda result: result.throughput_fps,
    series=lambda series: series.throughput_fps,
    load="closed",
)
LATENCY: dict[Percentile, Metric] = {50: _latency(50), 90: _latency(90), 95: _latency(95), 99: _latency(99)}
LATENCY_ALONE: dict[Percentile, Metric] = {
    50: _latency_alone(50),
    90: _latency_alone(90),
    95: _latency_alone(95),
    99: _latency_alone(99),
}
LATENCY_SYNC = LATENCY_ALONE[50]
MEMORY = Metric(
    name="peak_rss",
    label="peak memory",
    heading="memory",
    unit="MB",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.peak_rss_mb),
    spread=False,
    allowance=_MEMORY_VARIES,
)
COMPILE_MEMORY = Metric(
    name="compile_rss",
    label="peak memory while compiling",
    heading="compiling",
    unit="MB",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.compile_rss_mb),
    phrase="memory while compiling",
    spread=False,
    allowance=_MEMORY_VARIES,
)
LOAD_MEMORY = Metric(
    name="load_rss",
    label="peak memory under load",
    heading="loaded",
    unit="MB",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.load_rss_mb),
    phrase="memory under load",
    spread=False,
    allowance=_MEMORY_VARIES,
)
ENERGY = Metric(
    name="energy",
    label="energy per image",
    heading="energy",
    unit="J/image",
    better="lower",
    digits=2,
    read=lambda result: result.energy_j,
    series=lambda series: series.energy_j,
    load="closed",
)
EFFICIENCY = Metric(
    name="efficiency",
    label="energy efficiency (throughput per watt)",
    heading="efficiency",
    unit="images/J",
    better="higher",
    digits=2,
    read=lambda result: _inverse(result.energy_j),
    series=_efficiencies,
    load="closed",
)
END_TO_END = Metric(
    name="end_to_end",
    label="throughput end to end",
    heading="end to end",
    unit="images/s",
    better="higher",
    digits=1,
    read=lambda result: result.end_to_end_fps,
    series=lambda series: series.end_to_end_fps,
    load="end_to_end",
)
END_TO_END_RATIO = Metric(
    name="end_to_end_ratio",
    label="throughput end to end over inference alone",
    heading="of it",
    unit="x",
    better="higher",
    digits=2,
    read=lambda result: result.end_to_end_ratio,
    phrase="end to end over inference alone",
)
COMPILE = Metric(
    name="compile",
    label="cold compile time",
    heading="compile",
    unit="ms",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.compile_ms),
    spread=False,
)
FIRST_INFERENCE = Metric(
    name="first_inference",
    label="first inference",
    heading="first",
    unit="ms",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.first_inference_ms),
    phrase="first inference",
    spread=False,
)
TOP1 = Metric(
    name="top1",
    label="top-1 accuracy",
    heading="top-1",
    unit="%",
    better="higher",
    digits=1,
    read=lambda result: _bare(result.accuracy.top1 if result.accuracy else None),
    spread=False,
)
DROP = Metric(
    name="top1_drop",
    label="drop of top-1 accuracy",
    heading="drop",
    unit="pp",
    better="lower",
    digits=1,
    read=_drop,
    positive=False,
)
AGREEMENT = Metric(
    name="agreement",
    label="top-1 agreement with FP32",
    heading="agrees",
    unit="%",
    better="higher",
    digits=1,
    read=lambda result: _bare(result.accuracy.agreement if result.accuracy else None),
    phrase="agreement",
    spread=False,
)
OF_LIMIT = Metric(
    name="of_limit",
    label="percent of the limit",
    heading="of limit",
    unit="%",
    better="higher",
    digits=0,
    read=lambda result: result.of_limit,
    series=lambda series: series.of_limit,
    load="closed",
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        THROUGHPUT,
        *LATENCY.values(),
        *LATENCY_ALONE.values(),
        MEMORY,
        COMPILE_MEMORY,
        LOAD_MEMORY,
        ENERGY,
        EFFICIENCY,
        END_TO_END,
        END_TO_END_RATIO,
        COMPILE,
        FIRST_INFERENCE,
        TOP1,
        DROP,
        AGREEMENT,
        OF_LIMIT,
    )
}


def named(name: str) -> Metric:
    """Return a row by its name; raise InputError, with the nearest name, where there is none."""
    if found := METRICS.get(name):
        return found
    family = [one for one in METRICS if one.startswith(f"{name}_")]
    close = difflib.get_close_matches(name, METRICS, n=1)
    if len(family) > 1:
        hint = f"one of {', '.join(family)} is meant"
    else:
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(METRICS)}"
    raise InputError(f"{name}: no such metric; {hint}")


def objective_metric(objective: Objective, limits: Limits, summary: Summary | None = None) -> Metric:
    """Return what an objective looks at.

    The rate needs the bound that it is to hold, and a latency its percentile. Weights need the summary to
    show their score in times the baseline's; they decide alike without (see `weighing`).
    """
    if isinstance(objective, dict):
        return weighed([(named(name), weight) for name, weight in objective.items()], summary)
    match objective:
        case "throughput":
            return THROUGHPUT
        case "latency":
            return LATENCY_ALONE[limits.percentile]
        case "efficiency":
            return EFFICIENCY
        case "rate":
            return rate_metric(limits)


def rate_metric(limits: Limits) -> Metric:
    """Return the highest rate whose percentile, under open load, holds the bound of the limits.

    Where every rate that was offered holds it, the answer is at least the highest of them: its upper end is
    open, and its lower end is itself.
    """
    bound, percentile = limits.slo_ms, limits.percentile
    assert bound is not None, 'the objective "rate" goes with a bound'

    def read(result: ConfigurationResult) -> Estimate | None:
        found = rate_under_bound(result.open, percentile, bound)
        holds = found.holds_fps
        return found.rate or (None if holds is None else Estimate(point=holds, low=holds, high=None))

    return Metric(
        name="rate",
        label=f"rate that holds p{percentile} <= {bound:g} ms",
        heading=f"p{percentile}<={bound:g}ms",
        unit="images/s",
        better="higher",
        digits=1,
        read=read,
    )


def why_missing(metric: Metric, result: ConfigurationResult, limits: Limits | None = None) -> str:
    """Say why a metric has no value, in the words of a reason; the rate's needs the limits."""
    if metric.name == "rate" and limits is not None and limits.slo_ms is not None:
        return rate_under_bound(result.open, limits.percentile, limits.slo_ms).reason
    missing = next((part for part in metric.parts if not (part.value(result) or 0.0) > 0), None)
    if missing is not None:
        value = missing.value(result)
        return (
            why_missing(missing, result) if value is None else f"{missing.called} is 0, and has no logarithm"
        )
    for rows, samples in ((LATENCY, result.latency_ms), (LATENCY_ALONE, result.latency_sync_ms)):
        for percentile, row in rows.items():
            if metric is row and samples:
                return f"p{percentile} not measurable: {samples.n} of {samples_needed(percentile)} samples"
    if metric in (DROP, TOP1, AGREEMENT):
        return "accuracy not measured"
    if metric in (ENERGY, EFFICIENCY):
        return "energy not measured"
    if metric is OF_LIMIT:
        return f"the peaks of {result.device} not measured"
    return f"{metric.label.partition(',')[0]} not measured"
