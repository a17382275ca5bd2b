"""The metrics: one row each, read by tables, plots, limits and objectives."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from perftool.analysis.rate_bound import rate_under_bound
from perftool.analysis.result import ConfigurationResult, Series
from perftool.analysis.stats import Estimate, samples_needed
from perftool.spec import Limits, Objective


class Metric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure of a configuration: its name, unit, which way is better, and how to read it off a result.

    `label` is for an axis or a sentence, `heading` for a narrow column. `digits` are the decimals that are
    worth showing where no interval says better. `read` gives None where it was not measured. `series` gives
    the figure of each round, for pairing, where there is one.
    """

    name: str
    label: str
    heading: str
    unit: str
    better: Literal["higher", "lower"]
    digits: int
    read: Callable[[ConfigurationResult], Estimate | None]
    series: Callable[[Series], dict[int, float]] | None = None

    def value(self, result: ConfigurationResult) -> float | None:
        """Return the point estimate."""
        estimate = self.read(result)
        return estimate.point if estimate else None


Percentile = Literal[50, 90, 95, 99]


def _bare(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(point=value, low=None, high=None)


def _percentile(percentile: Percentile) -> Callable[[ConfigurationResult], Estimate | None]:
    def read(result: ConfigurationResult) -> Estimate | None:
        found = result.latency_intervals_ms
        estimate: Estimate | None = getattr(found, f"p{percentile}") if found else None
        return estimate

    return read


def _sync_p50(result: ConfigurationResult) -> Estimate | None:
    return result.latency_sync_intervals_ms.p50 if result.latency_sync_intervals_ms else None


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
        read=_percentile(percentile),
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
)
LATENCY: dict[Percentile, Metric] = {50: _latency(50), 90: _latency(90), 95: _latency(95), 99: _latency(99)}
LATENCY_SYNC = Metric(
    name="latency_sync",
    label="latency of a single request, p50",
    heading="alone p50",
    unit="ms",
    better="lower",
    digits=1,
    read=_sync_p50,
    series=lambda series: series.latency_sync_ms,
)
MEMORY = Metric(
    name="memory",
    label="peak memory",
    heading="memory",
    unit="MB",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.peak_rss_mb),
)
COMPILE_MEMORY = Metric(
    name="compile_memory",
    label="peak memory while compiling",
    heading="compiling",
    unit="MB",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.compile_rss_mb),
)
LOAD_MEMORY = Metric(
    name="load_memory",
    label="peak memory under load",
    heading="loaded",
    unit="MB",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.load_rss_mb),
)
ENERGY = Metric(
    name="energy",
    label="energy per image",
    heading="energy",
    unit="J/image",
    better="lower",
    digits=2,
    read=lambda result: result.energy_j,
)
END_TO_END = Metric(
    name="end_to_end",
    label="throughput end to end",
    heading="end to end",
    unit="images/s",
    better="higher",
    digits=1,
    read=lambda result: result.end_to_end_fps,
)
END_TO_END_RATIO = Metric(
    name="end_to_end_ratio",
    label="throughput end to end over inference alone",
    heading="of it",
    unit="x",
    better="higher",
    digits=2,
    read=lambda result: result.end_to_end_ratio,
)
COMPILE = Metric(
    name="compile",
    label="cold compile time",
    heading="compile",
    unit="ms",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.compile_ms),
)
FIRST_INFERENCE = Metric(
    name="first_inference",
    label="first inference",
    heading="first",
    unit="ms",
    better="lower",
    digits=0,
    read=lambda result: _bare(result.first_inference_ms),
)
TOP1 = Metric(
    name="top1",
    label="top-1 accuracy",
    heading="top-1",
    unit="%",
    better="higher",
    digits=1,
    read=lambda result: _bare(result.accuracy.top1 if result.accuracy else None),
)
DROP = Metric(
    name="accuracy_drop",
    label="drop of top-1 accuracy",
    heading="drop",
    unit="pp",
    better="lower",
    digits=1,
    read=_drop,
)
AGREEMENT = Metric(
    name="agreement",
    label="top-1 agreement with FP32",
    heading="agrees",
    unit="%",
    better="higher",
    digits=1,
    read=lambda result: _bare(result.accuracy.agreement if result.accuracy else None),
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        THROUGHPUT,
        *LATENCY.values(),
        LATENCY_SYNC,
        MEMORY,
        COMPILE_MEMORY,
        LOAD_MEMORY,
        ENERGY,
        END_TO_END,
        END_TO_END_RATIO,
        COMPILE,
        FIRST_INFERENCE,
        TOP1,
        DROP,
        AGREEMENT,
    )
}


def objective_metric(objective: Objective, limits: Limits) -> Metric:
    """Return what an objective looks at; the rate needs the bound that it is to hold."""
    if objective == "throughput":
        return THROUGHPUT
    return LATENCY_SYNC if objective == "latency" else rate_metric(limits)


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
    latency = result.latency_sync_ms if metric is LATENCY_SYNC else result.latency_ms
    for percentile, row in LATENCY.items():
        if latency and (metric is row or (metric is LATENCY_SYNC and percentile == 50)):
            return f"p{percentile} not measurable: {latency.n} of {samples_needed(percentile)} samples"
    if metric in (DROP, TOP1, AGREEMENT):
        return "accuracy not measured"
    return f"{metric.label.partition(',')[0]} not measured"
