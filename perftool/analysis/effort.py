"""How much effort a run may spend beyond its rounds, what it has spent, and which decisions want more.

Pure: says which configurations an extra round should visit and what for; `sweep` makes the visits.
"""

from collections import Counter
from collections.abc import Collection

from msgspec import Struct

from perftool.analysis import metrics
from perftool.analysis.leader import AGAIN_TAKES, BAND, Standing, lead
from perftool.analysis.limits import bounds, carried
from perftool.analysis.metric import LOADS, Metric
from perftool.analysis.passing import judgeable, verdicts_of
from perftool.analysis.result import ConfigurationResult, Summary
from perftool.analysis.stats import MIN_VISITS, samples_needed
from perftool.journal import Allowed, Focused, Run
from perftool.record import Offered, Visited
from perftool.spec import Closed, ClosedLoad, Limits, Load, Objective, Policy


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision that is open, and the configurations and the load that more visits would decide it by.

    Fewer than `rounds` more rounds would change nothing.
    """

    configurations: tuple[str, ...]
    load: ClosedLoad
    text: str
    rounds: int = 1


def extra_visits_allowed(run: Run) -> int:
    """Return the budget of visits beyond the rounds: the profile's, and what the user allowed later."""
    allowed = [entry.record for entry in run.entries if isinstance(entry.record, Allowed)]
    return run.header.profile.policy.extra_visits + sum(one.extra_visits for one in allowed)


def confirm_rounds_allowed(policy: Policy) -> int:
    """Return the rounds that confirm a choice: none after a quick look, which carries no interval itself."""
    return policy.confirm_rounds if policy.rounds >= MIN_VISITS else 0


def percentile_allowed(run: Run) -> bool:
    """Tell whether the run may go on until its samples carry the percentile of the latency limit."""
    allowed = (entry.record for entry in run.entries if isinstance(entry.record, Allowed))
    return run.header.profile.policy.carry_percentile or any(one.carry_percentile for one in allowed)


def extra_visits(run: Run) -> int:
    """Count the visits made out of the budget: repeats of disturbed ones, and those that were to decide."""
    deciding, made = _deciding(run), _made(run)
    return _repeats(made) + sum(1 for _, _, round in made if round in deciding)


def repeats(run: Run) -> int:
    """Count the visits that repeated a disturbed one: all but the first to the same thing in a round."""
    return _repeats(_made(run))


def _repeats(made: Counter[tuple[str, Load, int]]) -> int:
    return made.total() - len(made)


def _made(run: Run) -> Counter[tuple[str, Load, int]]:
    """Count the visits to each configuration under each load in each round."""
    visits = (entry.record for entry in run.entries if isinstance(entry.record, Visited | Offered))
    return Counter((visit.configuration, visit.load, visit.round) for visit in visits)


def repeats_left(run: Run) -> int:
    """Return how many disturbed visits may still be repeated: half the budget is kept for deciding.

    On a machine that is never quiet, repeats would eat all of it and settle nothing.
    """
    allowed = extra_visits_allowed(run)
    return max(0, min(allowed // 2 - repeats(run), allowed - extra_visits(run)))


def _deciding(run: Run) -> frozenset[int]:
    """Return the extra rounds that were to decide."""
    focused = (entry.record for entry in run.entries if isinstance(entry.record, Focused))
    return frozenset(one.round for one in focused if one.purpose == "decide")


def open_questions(
    summary: Summary, objective: Objective, limits: Limits, refused: Collection[str] = ()
) -> tuple[Question, ...]:
    """Return the decisions that more visits may settle, the closest first.

    A configuration is asked for where it is undecided against the leader, or where the interval of a figure
    of the closed load crosses its limit and it would matter; what a race dropped never is, as nothing visits
    it any more. An objective whose figures come from several loads is not asked for: a visit has one. Where
    there are fewer rounds than an interval takes, the user wanted a quick look, and nothing is asked. What
    fresh rounds `refused` neither leads nor is asked for.
    """
    judged, _ = judgeable(summary, limits)
    metric = metrics.objective_metric(objective, limits, summary)
    verdicts, reasons = verdicts_of(summary, objective, metric, judged, refused)
    candidates = [one for one in summary.configurations if one.dropped is None and one.id not in refused]
    passing = [one for one in candidates if one.id not in reasons]
    questions: list[tuple[float, Question]] = []
    leader: ConfigurationResult | None = None
    if passing and metric.series is not None:
        leader, standings = lead(summary, metric, passing)
        load = LOADS.get(metric.load or "")
        for id, found in standings.items():
            if load is not None and found.kind == "undecided" and found.rounds >= MIN_VISITS:
                both = (
                    metric.series(summary.series[id]).keys() & metric.series(summary.series[leader.id]).keys()
                )
                more = max(1, AGAIN_TAKES - len(both))
                questions.append((_distance(found), _between(id, leader.id, load, more)))
    best = metric.value(leader) if leader else None
    for one in candidates:
        verdict, value = verdicts.get(one.id), metric.value(one)
        if verdict is None or value is None or not (best is None or _as_good(metric, value, best)):
            continue
        for limited, bound in bounds(judged):
            alone = limited.name in verdict.crossed and not set(verdict.missed) - {limited.name}
            estimate = limited.read(one) if alone and limited.load == "closed" else None
            if estimate is not None and estimate.low is not None:
                distance = abs(estimate.point / bound - 1)
                questions.append((distance, _keeping(one.id, limited)))
    return tuple(question for _, question in sorted(questions, key=lambda pair: pair[0]))


def short_of_samples(summary: Summary, limits: Limits) -> tuple[str, ...]:
    """Return the configurations whose samples cannot carry the latency limits' highest percentile yet."""
    percentile = carried(limits)
    if percentile is None:
        return ()
    needed = samples_needed(percentile)
    return tuple(
        one.id
        for one in summary.configurations
        if one.status == "ok"
        and one.dropped is None
        and one.latency_ms is not None
        and one.latency_ms.n < needed
    )


def _between(id: str, leader: str, load: ClosedLoad, rounds: int) -> Question:
    return Question(configurations=(leader, id), load=load, text=f"{id} against {leader}", rounds=rounds)


def _keeping(id: str, limited: Metric) -> Question:
    what = "the latency limit" if limited in metrics.LATENCY.values() else f"the limit on {limited.name}"
    return Question(configurations=(id,), load=Closed(), text=f"whether {id} keeps {what}")


def _distance(found: Standing) -> float:
    return abs(found.ratio.point - 1) if found.ratio else 0.0


def _as_good(metric: Metric, value: float, best: float) -> bool:
    """Tell whether a value would at least tie with the best, were it to pass."""
    ratio = value / best if metric.better == "higher" else best / value
    return ratio >= 1 - BAND
