"""Hold every candidate against the limits, and against what a race decided of it."""

from collections.abc import Collection, Mapping

from perftool.analysis import metrics
from perftool.analysis.limits import Verdict, bound_on, judge, without
from perftool.analysis.metric import Metric
from perftool.analysis.result import Dropped, Summary
from perftool.spec import Limits, Objective


def verdicts_of(
    summary: Summary,
    objective: Objective,
    metric: Metric,
    judged: Limits,
    refused: Collection[str] = (),
) -> tuple[dict[str, Verdict], dict[str, str]]:
    """Hold every measured configuration against the limits; return the verdicts, and why some are out.

    What a race dropped is out for as long as what beat it is not: under the run's own objective, while that
    keeps the limits asked now, and is not among the `refused`.
    """
    measured = [one for one in summary.configurations if one.status == "ok"]
    dropped = {one.id: one.dropped for one in measured if one.dropped}
    verdicts = {one.id: judge(one, judged) for one in measured}
    reasons = {one.id: one.reason or one.status for one in summary.configurations if one.status != "ok"}
    for one in measured:
        missing = [] if metric.value(one) is not None else [metrics.why_missing(metric, one, judged)]
        if found := [*verdicts[one.id].reasons, *missing]:
            reasons[one.id] = "; ".join(dict.fromkeys(found))
    if objective == summary.run.objective:
        stand = {id: last_beater(dropped, id) not in {*reasons, *refused} for id in dropped}
        reasons |= {id: why.reason for id, why in dropped.items() if stand[id]}
    return verdicts, reasons


def last_beater(dropped: Mapping[str, Dropped], id: str) -> str:
    """Return what beat a configuration, and was not beaten itself; of a circle, any of it."""
    seen: set[str] = set()
    while id in dropped and id not in seen:
        seen.add(id)
        id = dropped[id].by
    return id


def judgeable(summary: Summary, limits: Limits) -> tuple[Limits, tuple[str, ...]]:
    """Lift the limit on the accuracy drop, with a warning, where the images have no labels to judge it by."""
    bound = bound_on(limits, metrics.DROP)
    known = [one.accuracy for one in summary.configurations if one.accuracy]
    if bound is None or not known or any(found.top1 is not None for found in known):
        return limits, ()
    lifted = without(limits, {metrics.DROP.name})
    why = "the images have no labels; look at the agreement with FP32"
    return lifted, (f"the limit on the accuracy drop ({bound:g} pp) was not judged: {why}",)
