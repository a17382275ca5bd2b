"""`perftool recommend`: choose again among what a run measured."""

import math

from perftool.cli import options


def recommend(
    run: options.RunFolder,
    objective: options.ObjectiveOption = None,
    max_latency_ms: options.MaxLatency = None,
    slo_ms: options.SloMs = None,
    percentile: options.PercentileOption = None,
    max_accuracy_drop: options.MaxDrop = None,
    max_memory_mb: options.MaxMemory = None,
    limit: options.LimitOption = None,
    json: options.Json = False,
) -> None:
    """Choose again under another objective or other limits than the run's own, and say why."""
    from perftool.analysis.result import document
    from perftool.cli.outcome import insist, look
    from perftool.cli.output import print_json, print_rich
    from perftool.errors import UsageError
    from perftool.render.tables import recommendation_view
    from perftool.sweep.profile import rewished

    positive = {"--max-latency-ms": max_latency_ms, "--slo-ms": slo_ms, "--max-memory-mb": max_memory_mb}
    for name, value in positive.items():
        if value is not None and not value > 0:
            raise UsageError(f"{name}: {value:g} is not a positive number")
    if max_accuracy_drop is not None and (math.isnan(max_accuracy_drop) or max_accuracy_drop == -math.inf):
        raise UsageError("--max-accuracy-drop: expected a number of percentage points, or inf for no limit")
    chosen = options.objective_of(objective, slo_ms)
    given = options.limits_of(max_latency_ms, slo_ms, percentile, max_accuracy_drop, max_memory_mb, limit)
    summary, recommendation = look(run, lambda profile: rewished(profile, objective=chosen, **given))
    if json:
        print_json(document(summary, recommendation))
    else:
        print_rich(*recommendation_view(summary, recommendation))
    insist(summary, recommendation)
