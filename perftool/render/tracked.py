"""A run as a tracking server keeps it: parameters, metrics and tags, of the whole and of each configuration.

Values only; `cli.tracking` brings them there. Parameters are what can never change about a run: what was to
be measured, with what and where. Figures are metrics, under the names of `analysis.metrics`; whatever today's
statistics say in words is a tag, named perftool.SOMETHING.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from perftool.analysis.evidence import plan_of
from perftool.analysis.metric import Metric
from perftool.analysis.metrics import METRICS, objective_metric
from perftool.analysis.result import ConfigurationResult, Recommendation, Summary
from perftool.analysis.wishes import told
from perftool.journal import Header, Run
from perftool.spec import Builtin, Configuration, Explicit

#: Before every tag.
PREFIX: Final = "perftool."
#: Before the id of what the choice is so many times better than.
_GAIN: Final = "gain_over/"
#: What servers take; older ones take no more than this.
_LONGEST_PARAMETER: Final = 500
_LONGEST_TAG: Final = 5000
_ENDS: Final = ("", "_low", "_high")
_OF_THE_RUN: Final = ("noise_cv", "wall_seconds")
#: The metrics that METRICS does not have: what the objectives `rate` and weights look at.
_OBJECTIVES: Final = ("rate", "score")


class TrackedRun(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run on the server."""

    name: str
    status: Literal["FINISHED", "FAILED"]
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


class Tracked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of a run: the whole, and each configuration that was tried, by its id.

    `key` is the same for the same run whenever it is looked at, and for no other. Times are Unix time.
    """

    key: str
    began_ms: int
    ended_ms: int
    whole: TrackedRun
    configurations: dict[str, TrackedRun]


def tracked(run: Run, summary: Summary, recommendation: Recommendation) -> Tracked:
    """Return what a server keeps of a run; configurations that were never tried are left out."""
    objective = objective_metric(recommendation.objective, recommendation.limits, summary)
    rows = (*METRICS.values(), *(() if objective.name in METRICS else (objective,)))
    made = {one.id: one for one in plan_of(run).configurations}
    tried = {
        one.id: one
        for one in (*summary.configurations, *summary.baselines)
        if one.status != "skipped" and one.id in made
    }
    began_ns = run.header.created_ns
    return Tracked(
        key=_key(run.header),
        began_ms=began_ns // 1_000_000,
        ended_ms=(run.entries[-1].at_ns if run.entries else began_ns) // 1_000_000,
        whole=_whole(run.header, summary, recommendation, rows, tried),
        configurations={
            id: TrackedRun(
                name=id,
                status="FINISHED" if one.status == "ok" else "FAILED",
                params=_kept(_settings(made[id]), _LONGEST_PARAMETER),
                metrics=dict(_figures(one, rows)),
                tags=_kept(_words(one, recommendation), _LONGEST_TAG, PREFIX),
            )
            for id, one in tried.items()
        },
    )


def is_ours(metric: str) -> bool:
    """Tell whether a metric of that name may come from here, and so may go from here."""
    names = {f"{name}{end}" for name in (*METRICS, *_OBJECTIVES) for end in _ENDS} | {*_OF_THE_RUN}
    return metric in names or metric.startswith(_GAIN)


def _key(header: Header) -> str:
    """Return what tells a run from all others: when it was created, of what, and where."""
    parts = (header.created_ns, header.model.digest, header.host.cpu)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def _whole(
    header: Header,
    summary: Summary,
    recommendation: Recommendation,
    rows: tuple[Metric, ...],
    tried: Mapping[str, ConfigurationResult],
) -> TrackedRun:
    """Return the run as a whole; its metrics are those of the choice."""
    run, chosen = summary.run, tried.get(recommendation.id or "")
    metrics = dict(_figures(chosen, rows)) if chosen else {}
    metrics |= {name: value for name in _OF_THE_RUN if (value := getattr(run, name)) is not None}
    for gain in recommendation.gain:
        name = _GAIN + re.sub(r"[^\w.:/ -]", "_", gain.over, flags=re.ASCII)
        ends = zip(_ENDS, (gain.point, gain.low, gain.high), strict=True)
        metrics |= {name + end: value for end, value in ends if value is not None}
    words = {
        "recommendation": recommendation.id or "nothing passes",
        "reason": recommendation.reason,
        "claim": recommendation.claim,
        "unconfirmed": recommendation.unconfirmed,
        "objective": told(recommendation.objective),
        "properties": msgspec.json.encode(recommendation.properties).decode(),
        "tied": ", ".join(recommendation.tied),
        "undecided": ", ".join(recommendation.undecided),
        "accuracy_of": run.accuracy_of,
        "complete": run.complete,
        "warnings": "; ".join((*run.warnings, *recommendation.warnings)),
        "units": msgspec.json.encode({row.name: row.unit for row in rows}).decode(),
    }
    return TrackedRun(
        name=run.id,
        status="FINISHED",
        params=_kept(_origin(header), _LONGEST_PARAMETER),
        metrics=metrics,
        tags=_kept(words, _LONGEST_TAG, PREFIX),
    )


def _origin(header: Header) -> dict[str, object]:
    """Return what a run was started with."""
    profile, model, host = header.profile, header.model, header.host
    return {
        "model": model.name,
        "model_digest": model.digest,
        "model_weights": "reference" if model.reference else "published" if model.published else None,
        "profile": profile.name,
        "images": "synthetic" if isinstance(profile.images, Builtin) else profile.images.directory,
        "loads": ", ".join(profile.loads),
        "search": profile.search,
        "rounds": profile.policy.rounds,
        "seed": profile.seed,
        "host_cpu": host.cpu,
        "host_cores": host.cores_usable,
        "host_memory_mb": round(host.memory_bytes / 1e6),
        "host_virtualisation": host.virtualisation,
        "host_governor": host.governor,
        "host_kernel": host.kernel,
        "version_python": host.python,
        "version_openvino": host.openvino,
        "version_nncf": host.nncf,
        "version_perftool": host.perftool,
    }


def _settings(configuration: Configuration) -> dict[str, object]:
    """Return what was asked of a configuration."""
    setting = configuration.setting
    asked = {
        "role": "baseline" if configuration.baseline else "candidate",
        "device": configuration.device,
        "precision": configuration.precision,
        "batch": configuration.batch,
        "requests": configuration.requests,
    }
    if not isinstance(setting, Explicit):
        return {**asked, "hint": setting.mode}
    return {
        **asked,
        "inference_precision": setting.inference_precision,
        "streams": setting.streams,
        "threads": setting.threads,
        "pinning": setting.pinning,
        "hyper_threading": setting.hyper_threading,
        "core_type": setting.core_type,
    }


def _words(result: ConfigurationResult, recommendation: Recommendation) -> dict[str, object]:
    """Return what is said of a configuration."""
    rejected = {one.id: one.reason for one in recommendation.rejected}
    return {
        "status": result.status,
        "reason": result.reason,
        "rejected": rejected.get(result.id),
        "dropped": result.dropped.reason if result.dropped else None,
        "chosen": result.id == recommendation.id,
        "pareto": result.id in recommendation.pareto,
        "tied": result.id in recommendation.tied,
        "undecided": result.id in recommendation.undecided,
        "executed_precision": result.executed_precision,
        "resolved_streams": result.streams,
        "resolved_threads": result.threads,
        "resolved_requests": result.requests,
        "properties": msgspec.json.encode(result.properties).decode() if result.properties else None,
        "warnings": "; ".join(result.warnings),
    }


def _figures(result: ConfigurationResult, rows: tuple[Metric, ...]) -> Iterator[tuple[str, float]]:
    """Give each metric that was measured, and the ends of its interval where there are any."""
    for row in rows:
        estimate = row.read(result)
        if estimate is not None:
            ends = zip(_ENDS, (estimate.point, estimate.low, estimate.high), strict=True)
            yield from ((row.name + end, value) for end, value in ends if value is not None)


def _kept(values: Mapping[str, object], longest: int, prefix: str = "") -> dict[str, str]:
    """Return values as texts that a server takes; those that say nothing are left out."""
    texts = {
        prefix + name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None and value != ""
    }
    return {name: text if len(text) <= longest else f"{text[: longest - 1]}…" for name, text in texts.items()}
