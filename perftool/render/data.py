"""A run's configurations as a table of data: what each is, what became of it, its figures.

The figures are the rows of `analysis.metrics`, under the names that limits have for them. Nothing is written
here, and no figure is made. `samples` has the raw samples.
"""

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct

from perftool.analysis.metric import Metric
from perftool.analysis.metrics import METRICS, objective_metric
from perftool.analysis.result import ConfigurationResult, Recommendation, Summary
from perftool.analysis.stats import Estimate
from perftool.render.table import Column, DataTable, Kind, Value


class _Read(Struct, frozen=True, kw_only=True):
    """A column of the configurations, and how it is read off one."""

    column: Column
    read: Callable[[ConfigurationResult], Value]


def configurations(summary: Summary, recommendation: Recommendation) -> DataTable:
    """Return a row for each configuration, the baselines last; for those without figures too, with why."""
    everything = (*summary.configurations, *summary.baselines)
    columns = (*_what(summary), *_fate(recommendation), *_outcome(), *_figures(summary, recommendation))
    return DataTable(
        name="configurations",
        columns=tuple(one.column for one in columns),
        blocks=([[one.read(result) for result in everything] for one in columns],) if everything else (),
        about=about(summary),
    )


def _column(
    name: str, kind: Kind, meaning: str, read: Callable[[ConfigurationResult], Value], unit: str = ""
) -> _Read:
    return _Read(column=Column(name=name, kind=kind, unit=unit, meaning=meaning), read=read)


def about(summary: Summary) -> dict[str, str]:
    """Say whose a table is: of which run, model and perftool."""
    return {
        "perftool.run": summary.run.id,
        "perftool.created": summary.run.created,
        "perftool.model": summary.run.model,
        "perftool.model_digest": summary.run.model_digest,
        "perftool.version": summary.host.perftool,
    }


def _what(summary: Summary) -> tuple[_Read, ...]:
    """Return what a configuration is: as asked for, and as OpenVINO resolved it."""
    run, baselines = summary.run, {one.id for one in summary.baselines}
    return (
        _column("run", "text", "the run's name", lambda one: run.id),
        _column("model", "text", "the model's name", lambda one: run.model),
        _column("configuration", "text", "its id", lambda one: one.id),
        _column(
            "role",
            "text",
            "candidate, or baseline: what is measured to compare with",
            lambda one: "baseline" if one.id in baselines else "candidate",
        ),
        _column("device", "text", "the device", lambda one: one.device),
        _column("precision", "text", "the precision asked for", lambda one: one.precision),
        _column("hint", "text", "the performance hint, of a baseline", lambda one: one.requested.hint),
        _column("batch", "whole", "images per request", lambda one: one.batch, "images"),
        _column("streams", "whole", "streams, as resolved", lambda one: one.streams),
        _column("threads", "whole", "threads, as resolved", lambda one: one.threads),
        _column("requests", "whole", "requests in flight", lambda one: one.requests),
        _column(
            "executed_precision",
            "text",
            "what most of the operations ran in, by the kernels' names",
            lambda one: one.executed_precision,
        ),
        _column(
            "executed_share",
            "number",
            "the share of the operations that ran in it, 0 to 1",
            lambda one: one.executed_share,
        ),
        _column(
            "properties",
            "text",
            "what compile_model takes for it, as JSON",
            lambda one: msgspec.json.encode(one.properties).decode() if one.properties else None,
        ),
    )


def _fate(recommendation: Recommendation) -> tuple[_Read, ...]:
    """Return what became of a configuration in the choice."""
    rejected = {one.id: one.reason for one in recommendation.rejected}
    return (
        _column("status", "text", "ok, failed, or skipped: not measured", lambda one: one.status),
        _column("reason", "text", "why it failed or was skipped", lambda one: one.reason),
        _column(
            "dropped_by",
            "text",
            "the configuration that beat it in a race, which then measured it no further",
            lambda one: one.dropped.by if one.dropped else None,
        ),
        _column(
            "dropped_reason",
            "text",
            "how",
            lambda one: one.dropped.reason if one.dropped else None,
        ),
        _column("chosen", "flag", "it is recommended", lambda one: one.id == recommendation.id),
        _column(
            "pareto",
            "flag",
            "no other is better in every respect",
            lambda one: one.id in recommendation.pareto,
        ),
        _column("tied", "flag", "as good as the leader", lambda one: one.id in recommendation.tied),
        _column(
            "undecided",
            "flag",
            "the data do not tell whether the leader is better",
            lambda one: one.id in recommendation.undecided,
        ),
        _column("rejected", "text", "why it was not chosen", lambda one: rejected.get(one.id)),
    )


def _outcome() -> tuple[_Read, ...]:
    """Return what the figures rest on."""
    return (
        _column("visits", "whole", "visits under the closed load", lambda one: one.visits),
        _column("disturbed", "whole", "how many of them were disturbed", lambda one: one.disturbed),
        _column("outliers", "whole", "how many of those that count are outliers", lambda one: one.outliers),
        _column("incarnations", "whole", "processes that it was seen in", lambda one: one.incarnations),
        _column(
            "latency_samples",
            "whole",
            "requests behind the latencies under the closed load",
            lambda one: one.latency_ms.n if one.latency_ms else None,
        ),
        _column(
            "accuracy_images",
            "whole",
            "images behind the accuracy",
            lambda one: one.accuracy.images if one.accuracy else None,
        ),
    )


def _figures(summary: Summary, recommendation: Recommendation) -> Iterator[_Read]:
    """Give every metric, with its interval where it can have one; last the objective, if that is another."""
    objective = objective_metric(recommendation.objective, recommendation.limits, summary)
    others = () if objective.name in METRICS else (objective,)
    for metric in (*METRICS.values(), *others):
        yield from _figure(metric)


def _figure(metric: Metric) -> Iterator[_Read]:
    yield _column(metric.name, "number", metric.label, metric.value, metric.unit)
    if metric.spread:
        yield _end(metric, "low", lambda estimate: estimate.low)
        yield _end(metric, "high", lambda estimate: estimate.high)


def _end(metric: Metric, end: str, of: Callable[[Estimate], float | None]) -> _Read:
    def read(result: ConfigurationResult) -> float | None:
        estimate = metric.read(result)
        return of(estimate) if estimate else None

    meaning = f"{metric.label}: the {end} end of its 95 % interval"
    return _column(f"{metric.name}_{end}", "number", meaning, read, metric.unit)
