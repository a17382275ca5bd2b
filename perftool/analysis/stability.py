"""Say how stable a choice is: which limit or weight would have to change, and by how much, to change it.

Asks `choose`'s own rules (`judgeable`, `verdicts_of`, `pick`, `confirm`) under a changed weight; under a
changed limit `candidates` and `refusals`, which have the same rules over arrays. A limit can only change
what passes at the figures of the configurations themselves, so those are tried, from the present limit
outwards and inwards, until the choice is another. Where weights turn is found by trying between those at
which another configuration has the best score, then halving. One limit or weight is changed at a time.
"""

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal

from msgspec import Struct, structs

from perftool.analysis import candidates, confirmation, metrics, pareto
from perftool.analysis.candidates import Candidates, Pick, candidates_of
from perftool.analysis.choose import choose
from perftool.analysis.leader import Ratios, ratio_of
from perftool.analysis.limits import bounds, shortest, without
from perftool.analysis.metric import Metric
from perftool.analysis.passing import judgeable, verdicts_of
from perftool.analysis.picking import pick
from perftool.analysis.racing import Mask
from perftool.analysis.refusals import fresh_of, refuses
from perftool.analysis.result import ConfigurationResult, Recommendation, Summary, Switch
from perftool.analysis.stats import Estimate
from perftool.spec import Limits, Objective

#: Weights are looked at up to this many times the present one, and down to that part of it.
_FURTHEST = 1000.0
#: Where weights turn is found to this relative width.
_CLOSE = 0.002

_Results = Sequence[ConfigurationResult]


def recommend(summary: Summary, objective: Objective, limits: Limits) -> Recommendation:
    """Choose, and say how stable the choice is."""
    found = choose(summary, objective, limits)
    return structs.replace(found, stability=switches(summary, found))


def switches(summary: Summary, found: Recommendation) -> tuple[Switch, ...]:
    """Return the nearest changes of a limit or a weight that change a recommendation.

    For each limit: loosened, tightened. For each metric of the trade-off without one: from where on a limit
    would. For each weight, beside the others as they are: more, less. What would let nothing pass is no
    choice, and is left out.
    """
    judged, _ = judgeable(summary, found.limits)
    question = _Question(
        summary=summary,
        objective=found.objective,
        # Without a baseline a score decides alike, and is far quicker to read.
        metric=metrics.objective_metric(found.objective, found.limits),
        limits=judged,
        chosen=found.id,
        ratios=_remembering(),
    )
    limited = {metric.name: (metric, bound) for metric, bound in bounds(judged)}
    seen: list[tuple[Metric, float | None]] = list(limited.values())
    for metric in pareto.compared(summary.configurations, pareto.trade_off(question.metric)):
        # A limit on the objective itself would say only that the second best is the second best.
        if metric.name not in {*limited, question.metric.name} and metric.name in metrics.METRICS:
            seen.append((metric, None))
    among = candidates_of(summary, found.objective, question.metric)
    switched: list[Switch] = []
    for metric, bound in seen:
        switched += _limit(question, among, metric, bound)
    if isinstance(found.objective, dict) and found.id is not None and len(found.objective) > 1:
        for name in found.objective:
            switched += _weight(question, found.objective, name)
    return tuple(switched)


class _Question(Struct, frozen=True, kw_only=True):
    """What is asked again and again: who wins of those that pass."""

    summary: Summary
    objective: Objective
    metric: Metric
    limits: Limits
    chosen: str | None
    ratios: Ratios

    def passing(self, refused: Collection[str] = ()) -> list[ConfigurationResult]:
        """Return who passes; what a race dropped does where what beat it does not."""
        _, reasons = verdicts_of(self.summary, self.objective, self.metric, self.limits, refused)
        return [one for one in self.summary.configurations if one.id not in reasons and one.id not in refused]

    def winner(self) -> str | None:
        """Return who is chosen: fresh rounds refuse a choice only where what was better there passes too."""
        refused: set[str] = set()
        while passing := self.passing(refused):
            chosen = pick(self.summary, self.metric, passing, self.ratios).chosen
            others = [one.id for one in passing if one is not chosen]
            held = confirmation.confirm(self.summary, self.metric, self.limits, chosen, None, others)
            if held is None or not held.reasons:
                return chosen.id
            refused.add(chosen.id)
        return None

    def gain(self, id: str) -> float | None:
        if self.chosen is None:
            return None
        ratio, _ = self.ratios(self.summary, self.metric, id, self.chosen)
        return ratio.point if ratio else None


def _remembering() -> Ratios:
    """Return a `ratio_of` that works out each pair once; it is for one summary and one metric."""
    known: dict[tuple[str, str], tuple[Estimate | None, int]] = {}

    def ratios(summary: Summary, metric: Metric, one: str, other: str) -> tuple[Estimate | None, int]:
        if (one, other) not in known:
            known[one, other] = ratio_of(summary, metric, one, other)
        return known[one, other]

    return ratios


# ---------------------------------------------------------------- limits


def _limit(question: _Question, among: Candidates, metric: Metric, bound: float | None) -> Iterator[Switch]:
    """Give the nearest loosening of a limit, and the nearest tightening, that change the choice.

    A tightening that only chance tells from none is passed over where rounds can be paired, else said so.
    """
    is_limited, turns, winner_at = _admitted(question, among, metric)
    strict = sorted(turns, reverse=metric.better == "lower")
    if bound is not None:
        looser = [value for value in reversed(strict) if not metric.keeps(value, bound)]
        for index, value in enumerate(looser):
            winner = winner_at(value)
            if winner is not None and winner != question.chosen:
                further = looser[index + 1] if index + 1 < len(looser) else None
                then = shortest(metric, value, further, inward=False)
                yield _loosened(question, metric, bound, then, winner)
                break
        strict = [value for value in strict if metric.keeps(value, bound)]
    if not is_limited:
        return
    for index in range(1, len(strict)):
        value, last = strict[index], strict[index - 1]
        winner = winner_at(value)
        if winner is None or winner == question.chosen:
            continue
        apart = _apart(question, metric, winner)
        if apart is not False:
            then = shortest(metric, last, value, inward=True)
            yield _tightened(question, metric, bound, then, winner, tied=apart is None)
            break


def _apart(question: _Question, metric: Metric, winner: str) -> bool | None:
    """Tell whether more than chance lies between the figures of the winner and of the choice.

    Paired inside rounds where the metric has a figure for each: False, where the interval of the ratio covers
    1. None where either's interval, of a metric that cannot be paired, covers the other's figure. Without
    intervals the figures are taken as they are.
    """
    summary, chosen = question.summary, question.chosen
    assert chosen is not None
    if metric.series is not None:
        ratio, _ = ratio_of(summary, metric, winner, chosen)
        return ratio is None or not _covers(ratio, 1.0)
    results = {one.id: one for one in summary.configurations}
    mine, its = metric.read(results[winner]), metric.read(results[chosen])
    assert mine is not None and its is not None, "a limit on it could tell them apart"
    return None if _covers(mine, its.point) or _covers(its, mine.point) else True


def _covers(estimate: Estimate, value: float) -> bool:
    return estimate.low is not None and estimate.high is not None and estimate.low <= value <= estimate.high


def _admitted(
    question: _Question, among: Candidates, metric: Metric
) -> tuple[bool, set[float], Callable[[float], str | None]]:
    """Return whether a limit on a metric could shut out the choice, at which figures it could lie, and who
    wins with it at each.

    Where a race dropped some, those are figures of all: a limit that shuts out what beat them lets them in.
    """
    lifted = without(question.limits, {metric.name})
    kept = candidates.within(among, lifted)
    nobody = candidates.rows_of(among, ())
    fresh = {one.candidate: one for one in fresh_of(question.summary, question.metric, among)}
    figures = candidates.column(among, metric)
    summary = question.summary
    raced = question.objective == summary.run.objective and any(one.dropped for one in summary.configurations)
    passes = candidates.passing(among, kept, nobody)
    others = summary.configurations if raced else itertools.compress(among.results, passes)
    values = {one.id: value for one in others if (value := metric.value(one)) is not None}
    # A choice is held to its limits by its fresh figures too: there it is refused, or not.
    again = (one.figures.get(metric.name) for one in fresh.values())
    turns = {*values.values(), *(value for value in again if value is not None)}
    seen: list[tuple[Mask, Pick]] = []

    def winner_at(bound: float) -> str | None:
        within = kept & candidates.keeping(metric, figures, bound)
        limits = ((metric, bound), *bounds(lifted))
        refused = nobody.copy()
        while True:
            passes = candidates.passing(among, within, refused)
            found = seen[-1][1] if seen and candidates.stays(*seen[-1], passes) else None
            found = found or candidates.pick_of(among, passes)
            if found is None:
                return None
            seen[:] = [(passes, found)]
            again = fresh.get(found.chosen)
            if again is None or not refuses(again, passes, limits):
                return among.results[found.chosen].id
            refused[found.chosen] = True

    return question.chosen in values, turns, winner_at


def _loosened(question: _Question, metric: Metric, now: float, then: float, id: str) -> Switch:
    gain = question.gain(id)
    times = f" ({gain:.2f}x)" if gain is not None else ""
    return Switch(
        metric=metric.name,
        change="relax",
        now=now,
        then=then,
        id=id,
        gain=gain,
        text=f"relaxing {metric.name} from {now:.10g} to {then:.10g} {metric.unit}: {id} wins{times}",
    )


def _tightened(
    question: _Question, metric: Metric, now: float | None, then: float, id: str, *, tied: bool
) -> Switch:
    what = "with a limit on" if now is None else "tightening"
    beyond = "below" if metric.better == "lower" else "above"
    return Switch(
        metric=metric.name,
        change="tighten",
        now=now,
        then=then,
        id=id,
        gain=question.gain(id),
        text=f"{what} {metric.name} {beyond} {then:.10g} {metric.unit}: {id} wins"
        + (", no surer than their intervals, which overlap" if tied else ""),
    )


# ---------------------------------------------------------------- weights


def _weight(question: _Question, weights: dict[str, float], name: str) -> Iterator[Switch]:
    """Give the nearest larger weight of a metric, and the nearest smaller one, that change the choice."""
    now = weights[name]

    def weighing(weight: float) -> _Question:
        objective = {**weights, name: weight}
        metric = metrics.objective_metric(objective, question.limits)
        return structs.replace(question, objective=objective, metric=metric, ratios=_remembering())

    def winner(weight: float) -> str | None:
        return weighing(weight).winner()

    # Under weights other than its own what a race dropped is a candidate again.
    turns = _turns(weighing(_FURTHEST * now).passing(), weights, name)
    changes: tuple[tuple[Literal["weigh more", "weigh less"], list[float]], ...] = (
        ("weigh more", [weight for weight in turns if weight > now]),
        ("weigh less", [weight for weight in reversed(turns) if weight < now]),
    )
    for change, ahead in changes:
        found = _turning(winner, question.chosen, now, ahead, up=change == "weigh more")
        if found is not None:
            weight, id = found
            beyond = "above" if change == "weigh more" else "below"
            others = " and ".join(other for other in weights if other != name)
            text = f"with a weight of {name} {beyond} {weight:.6g} (now {now:.6g}) beside {others}: {id} wins"
            yield Switch(metric=name, change=change, now=now, then=weight, id=id, gain=None, text=text)


def _turns(passing: _Results, weights: dict[str, float], name: str) -> list[float]:
    """Return the weights of a metric at which another configuration gets the best score, ascending.

    By logarithms a score is a line in that weight, and the best score the upper hull of the lines.
    """
    lines = []
    for one in passing:
        logs = {each: _log(metrics.named(each), one) for each in weights}
        rest = sum(weight * logs[each] for each, weight in weights.items() if each != name)
        lines.append((rest, logs[name]))
    turns: list[float] = []
    rest, slope = max(lines)
    at = 0.0
    while True:
        steeper = [((rest - a) / (b - slope), b, a) for a, b in lines if b > slope]
        if not steeper:
            return turns
        at = max(at, min(steeper)[0])
        _, slope, rest = max((each for each in steeper if each[0] <= at), key=lambda each: each[1:])
        turns.append(at)


def _log(metric: Metric, result: ConfigurationResult) -> float:
    value = metric.value(result)
    assert value is not None, "who passes has a score"
    return math.log(value) if metric.better == "higher" else -math.log(value)


def _turning(
    winner: Callable[[float], str | None], chosen: str | None, now: float, ahead: Sequence[float], *, up: bool
) -> tuple[float, str] | None:
    """Return the nearest weight beyond which another wins, and who does; None where nobody does."""
    end = now * _FURTHEST if up else now / _FURTHEST
    within = [weight for weight in ahead if (weight < end if up else weight > end)]
    marks = [now, *within, end]
    tried = [math.sqrt(a * b) for a, b in itertools.pairwise(marks)] + [end]
    same = now
    for weight in tried:
        id = winner(weight)
        if id is None or id == chosen:
            same = weight
            continue
        while abs(weight / same - 1) > _CLOSE:
            middle = math.sqrt(weight * same)
            between = winner(middle)
            if between is None or between == chosen:
                same = middle
            else:
                weight, id = middle, between
        short = _rounded(weight, up=up)
        return (short, id) if winner(short) == id else (weight, id)
    return None


def _rounded(weight: float, *, up: bool) -> float:
    """Round a weight to three significant digits, away from where it is not yet enough."""
    scale: float = 10.0 ** (2 - math.floor(math.log10(weight)))
    return (math.ceil if up else math.floor)(weight * scale) / scale
