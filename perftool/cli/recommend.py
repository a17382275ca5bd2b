"""`perftool recommend`: choose again among what a run measured."""

import math

from perftool.cli import options


def recommend(
    run: options.RunFolder,
    objective: options.ObjectiveOption = None,
    max_latency_ms: options.MaxLatency = None,
    slo_ms: options.SloMs = None,
    percentile: options.PercentileOption = None,
    max_accuracy_drop: options.MaxDrop = 1.0,
    max_memory_mb: options.MaxMemory = None,
    json: options.Json = False,
) -> None:
    """Choose again under other limits, and say why."""
    from perftool.analysis.result import document
    from perftool.cli.outcome import insist, look
    from perftool.cli.output import print_json, print_rich
    from perftool.errors import UsageError
    from perftool.render.tables import recommendation_view
    from perftool.spec import Limits

    positive = {"--max-latency-ms": max_latency_ms, "--slo-ms": slo_ms, "--max-memory-mb": max_memory_mb}
    for name, value in positive.items():
        if value is not None and not value > 0:
            raise UsageError(f"{name}: {value:g} is not a positive number")
    chosen = options.objective_of(objective, slo_ms) or "throughput"
    if chosen == "rate" and _finite(slo_ms) is None:
        raise UsageError("--objective rate goes with --slo-ms: the bound that the rate is to hold")
    if max_accuracy_drop is None or math.isnan(max_accuracy_drop) or max_accuracy_drop == -math.inf:
        raise UsageError("--max-accuracy-drop: expected a number of percentage points, or inf for no limit")
    limits = Limits(
        latency_ms=_finite(max_latency_ms),
        slo_ms=_finite(slo_ms),
        percentile=50 if percentile is None else int(percentile.value),  # type: ignore[arg-type]
        accuracy_drop_pp=_finite(max_accuracy_drop),
        memory_mb=_finite(max_memory_mb),
    )
    summary, recommendation = look(run, chosen, limits)  # type: ignore[arg-type]
    if json:
        print_json(document(summary, recommendation))
    else:
        print_rich(*recommendation_view(summary, recommendation))
    insist(recommendation)


def _finite(limit: float | None) -> float | None:
    """Return a limit; an infinite one is none."""
    return None if limit == math.inf else limit
