"""`perftool recommend`: choose again among what a run measured."""

import math

from perftool.cli import options


def recommend(
    run: options.RunFolder,
    objective: options.ObjectiveOption = None,
    max_latency_ms: options.MaxLatency = None,
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

    for name, value in (("--max-latency-ms", max_latency_ms), ("--max-memory-mb", max_memory_mb)):
        if value is not None and not value > 0:
            raise UsageError(f"{name}: {value:g} is not a positive number")
    if max_accuracy_drop is not None and math.isnan(max_accuracy_drop):
        raise UsageError("--max-accuracy-drop: not a number")
    unlimited = max_accuracy_drop is None or math.isinf(max_accuracy_drop)
    limits = Limits(
        latency_ms=max_latency_ms,
        percentile=50 if percentile is None else int(percentile.value),  # type: ignore[arg-type]
        accuracy_drop_pp=None if unlimited else max_accuracy_drop,
        memory_mb=max_memory_mb,
    )
    summary, recommendation = look(run, objective.value if objective else "throughput", limits)
    if json:
        print_json(document(summary, recommendation))
    else:
        print_rich(*recommendation_view(summary, recommendation))
    insist(recommendation)
