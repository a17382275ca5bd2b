"""Hold every candidate against the limits, and against what a race decided of it."""

from perftool.analysis import metrics
from perftool.analysis.limits import Verdict, bound_on, judge, without
from perftool.analysis.metric import Metric
from perftool.analysis.result import (
    Summary,
)
from perftool.spec import Limits, Objective


def verdicts_of(
    summary: Summary, objective: Objective, metric: Metric, judged: Limits
) -> tuple[dict[str, Verdict], dict[str, str]]:
    """Hold every measured configuration against the limits; return the verdicts, and why some are out."""
    measured = [one for one in summary.configurations if one.status == "ok"]
    dropped = {one.id: one.dropped for one in measured if one.dropped}
    verdicts = {one.id: judge(one, judged) for one in measured}
    reasons = {one.id: one.reason or one.status for one in summary.configurations if one.status != "ok"}
    for one in measured:
        missing = [] if metric.value(one) is not None else [metrics.why_missing(metric, one, judged)]
        if found := [*verdicts[one.id].reasons, *missing]:
            reasons[one.id] = "; ".join(dict.fromkeys(found))
    for id, why in dropped.items():
        # What beats it counts only under the run's own objective, and where that keeps the limits asked now.
        by = why.by
        while by in dropped:
            by = dropped[by].by
        if objective == summary.run.objective and by not in reasons:
            reasons[id] = why.reason
    return verdicts, reasons


def judgeable(summary: Summary, limits: Limits) -> tuple[Limits, tuple[str, ...]]:
    """Lift the limit on the accuracy drop, with a warning, where the images have no labels to judge it by."""
    bound = bound_on(limits, metrics.DROP)
    known = [one.accuracy for one in summary.configurations if one.accuracy]
    if bound is None or not known or any(found.top1 is not None for found in known):
        return limits, ()
    lifted = without(limits, {metrics.DROP.name})
    why = "the images have no labels; look at the agreement with FP32"
    return lifted, (f"the limit on the accuracy drop ({bound:g} pp) was not judged: {why}",)
