"""Choose one configuration of a Summary, and give every other candidate its reason.

The rules are those of docs/measurement.md, "Against the leader" and "Limits". Nothing is raised where nothing
passes: the recommendation then has no id, and names the nearest misses.
"""

import math
from collections.abc import Sequence

from msgspec import Struct, structs

from perftool.analysis import confirmation, metrics, pareto
from perftool.analysis.confirmation import BEST_IN_F32, under_hint
from perftool.analysis.leader import BAND, Ratios, Standing, best, best_in_f32, lead, ratio_of
from perftool.analysis.limits import Verdict, bound_on, carrying, judge, visits_needed, without
from perftool.analysis.metric import Metric
from perftool.analysis.result import (
    ConfigurationResult,
    Confirmation,
    Gain,
    NearMiss,
    Recommendation,
    Rejected,
    Summary,
    Uncertain,
)
from perftool.analysis.stats import MIN_VISITS, Estimate
from perftool.spec import Limits, Objective

_NEAREST = 3


def choose(summary: Summary, objective: Objective, limits: Limits) -> Recommendation:
    """Choose the configuration to ship under an objective and limits."""
    judged, warnings = judgeable(summary, limits)
    metric = metrics.objective_metric(objective, limits, summary)
    verdicts, reasons = verdicts_of(summary, objective, metric, judged)
    passing = [one for one in summary.configurations if one.id not in reasons]
    if not passing:
        return _nothing(summary, objective, metric, limits, verdicts, reasons, warnings)
    settled, refused = _settle(summary, metric, judged, passing)
    reasons |= refused
    if settled is None:
        nothing = _nothing(summary, objective, metric, limits, verdicts, reasons, warnings)
        return structs.replace(nothing, refused=_rejected(summary, refused))
    picked = settled.picked
    leader, standings, tied, chosen = picked.leader, picked.standings, picked.tied, picked.chosen
    passing = [one for one in passing if one.id not in refused]
    for one in passing:
        if one is not chosen:
            reasons[one.id] = _why_not(one, chosen, leader, standings.get(one.id), one in tied)
    gain, unknown = _gains(summary, metric, chosen, settled.confirmation)
    why, told = _confirmed(summary, metric, settled, refused)
    undecided = tuple(id for id, standing in standings.items() if standing.kind == "undecided")
    return Recommendation(
        id=chosen.id,
        leader=leader.id,
        runner_up=settled.runner_up,
        objective=objective,
        limits=limits,
        reason=_sentence(metric, chosen, leader, len(passing), undecided),
        claim=confirmation.claim(gain, settled.confirmation, why),
        gain=gain,
        confirmation=settled.confirmation,
        unconfirmed=why,
        refused=_rejected(summary, refused),
        properties=chosen.properties,
        rejected=_rejected(summary, reasons),
        tied=tuple(one.id for one in tied if one is not chosen),
        undecided=undecided,
        uncertain=_uncertain(verdicts, chosen.id),
        pareto=pareto.front(summary.configurations, pareto.trade_off(metric)),
        open=(*_open(metric, leader, standings), *carrying(summary, limits)),
        warnings=(*warnings, *unknown, *told),
        nearest=(),
    )


class Picked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the objective picks of those that keep the limits: the leader, its ties, the choice of them."""

    leader: ConfigurationResult
    standings: dict[str, Standing]
    tied: tuple[ConfigurationResult, ...]
    chosen: ConfigurationResult


def pick(
    summary: Summary, metric: Metric, passing: Sequence[ConfigurationResult], ratios: Ratios = ratio_of
) -> Picked:
    """Pick the choice of those that pass, of which there is at least one."""
    leader, standings = lead(summary, metric, passing, ratios)
    tied = [one for one in passing if one is leader or standings[one.id].kind == "tied"]
    chosen = min(tied, key=lambda one: (*_complexity(one), one is not leader, one.id))
    return Picked(leader=leader, standings=standings, tied=tuple(tied), chosen=chosen)


# ---------------------------------------------------------------- chosen, and not refused by fresh rounds


class _Settled(Struct, frozen=True, kw_only=True):
    """A choice that nothing speaks against, and what is known of it."""

    picked: Picked
    runner_up: str | None
    confirmation: Confirmation | None


def _settle(
    summary: Summary, metric: Metric, judged: Limits, passing: Sequence[ConfigurationResult]
) -> tuple[_Settled | None, dict[str, str]]:
    """Choose until fresh rounds do not refuse the choice; return it, and why those before it were refused."""
    refused: dict[str, str] = {}
    while left := [one for one in passing if one.id not in refused]:
        picked = pick(summary, metric, left)
        chosen, standings = picked.chosen, picked.standings
        others = [one for one in left if one is not chosen]
        close = [one for one in others if one in picked.tied or standings[one.id].kind == "undecided"]
        runner_up = best(metric, close or others).id if others else None
        found = confirmation.confirm(summary, metric, judged, chosen, runner_up, [one.id for one in others])
        if found is None or not found.reasons:
            return _Settled(picked=picked, runner_up=runner_up, confirmation=found), refused
        refused[chosen.id] = confirmation.refusal(found)
    return None, refused


def _confirmed(
    summary: Summary, metric: Metric, settled: _Settled, refused: dict[str, str]
) -> tuple[str | None, tuple[str, ...]]:
    """Return why a choice is not confirmed (None where it is), and what a reader is to be warned of."""
    found, chosen = settled.confirmation, settled.picked.chosen.id
    why = confirmation.why_unconfirmed(summary, metric, chosen, found, refused)
    if found is not None:
        told = (confirmation.lost(metric, found), confirmation.disturbance(summary.again[chosen]))
        return why, tuple(text for text in told if text)
    spent = len(confirmation.exhausted(summary, refused)) >= confirmation.CHOICES
    return why, (f"not confirmed: {why}",) if why and spent else ()


# ---------------------------------------------------------------- limits


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


def _nothing(
    summary: Summary,
    objective: Objective,
    metric: Metric,
    limits: Limits,
    verdicts: dict[str, Verdict],
    reasons: dict[str, str],
    warnings: tuple[str, ...],
) -> Recommendation:
    """Say that nothing passes, and what comes nearest."""
    missed = sorted((verdict.excess if verdict.reasons else math.inf, id) for id, verdict in verdicts.items())
    nearest = [
        NearMiss(id=id, reason=reasons[id], excess=excess if math.isfinite(excess) else None)
        for excess, id in missed[:_NEAREST]
    ]
    if verdicts:
        reason = f"none of the {len(verdicts)} measured configurations passes"
        if why := _unknown(summary, metric, limits):
            reason += f": {why}"
    else:
        reason = "no configuration was measured"
    return Recommendation(
        id=None,
        leader=None,
        runner_up=None,
        objective=objective,
        limits=limits,
        reason=reason,
        claim=None,
        gain=(),
        confirmation=None,
        unconfirmed=None,
        refused=(),
        properties={},
        rejected=_rejected(summary, reasons),
        tied=(),
        undecided=(),
        uncertain=_uncertain(verdicts, None),
        pareto=pareto.front(summary.configurations, pareto.trade_off(metric)),
        open=carrying(summary, limits),
        warnings=warnings,
        nearest=tuple(nearest),
    )


def _unknown(summary: Summary, metric: Metric, limits: Limits) -> str | None:
    """Say that no configuration has the objective's figure, where that is so: no limit is to blame then."""
    measured = [one for one in summary.configurations if one.status == "ok"]
    if any(metric.value(one) is not None for one in measured):
        return None
    whys = {metrics.why_missing(metric, one, limits) for one in measured}
    if whys == {"energy not measured"}:
        return "energy was measured for none of them, since the machine showed no counters"
    return None


def _uncertain(verdicts: dict[str, Verdict], chosen: str | None) -> tuple[Uncertain, ...]:
    found = [one for verdict in verdicts.values() for one in verdict.uncertain]
    return tuple(sorted(found, key=lambda one: one.id != chosen))


def _rejected(summary: Summary, reasons: dict[str, str]) -> tuple[Rejected, ...]:
    return tuple(
        Rejected(id=one.id, reason=reasons[one.id]) for one in summary.configurations if one.id in reasons
    )


# ---------------------------------------------------------------- against the leader


def _complexity(result: ConfigurationResult) -> tuple[float, float, float]:
    """Order by simplicity: fewer streams, smaller batch, less memory; what is unknown comes last."""
    unknown = float("inf")
    return (
        unknown if result.streams is None else result.streams,
        result.batch,
        unknown if result.peak_rss_mb is None else result.peak_rss_mb,
    )


def _more_complex(result: ConfigurationResult, chosen: ConfigurationResult) -> str:
    for what, mine, its in zip(
        ("more streams", "a larger batch", "more memory"),
        _complexity(result),
        _complexity(chosen),
        strict=True,
    ):
        if mine != its:
            return what
    return "no simpler"


def _why_not(
    result: ConfigurationResult,
    chosen: ConfigurationResult,
    leader: ConfigurationResult,
    found: Standing | None,
    tied: bool,
) -> str:
    if tied or found is None:
        return f"tied with {chosen.id}, {_more_complex(result, chosen)}"
    ratio = found.ratio
    if ratio is None:
        return f"undecided against {leader.id}: no round has both"
    if found.kind == "worse":
        return f"beaten by {leader.id} ({ratio.point:.2f}x)"
    if ratio.low is None or ratio.high is None:
        takes = "without an interval"
        if found.rounds:
            rounds = f"in {found.rounds} round{'s' if found.rounds != 1 else ''}"
            few = (
                f"an interval takes {MIN_VISITS}" if found.rounds < MIN_VISITS else "too few for an interval"
            )
            takes = f"{rounds}, {few}"
        return f"undecided against {leader.id}: {ratio.point:.2f}x {takes}"
    return f"undecided against {leader.id}: {ratio.low:.2f}x to {ratio.high:.2f}x"


def _open(metric: Metric, leader: ConfigurationResult, standings: dict[str, Standing]) -> tuple[str, ...]:
    """Say what more measuring would settle, and how much of it."""
    found: list[str] = []
    few = [
        id
        for id, one in standings.items()
        if one.kind == "undecided" and (one.ratio is None or one.ratio.low is None)
    ]
    if few:
        most = max(standings[id].rounds for id in few)
        takes = "more arrivals at each rate give one" if metric.name == "rate" else "more rounds give one"
        if once := [part.called for part in (metric, *metric.parts) if not part.spread]:
            takes = f"{' and '.join(once)} never has one"
        if 0 < most < MIN_VISITS:
            takes = f"that takes {MIN_VISITS} rounds that both were visited in"
        comparisons = f"{len(few)} comparison{'s' if len(few) > 1 else ''} with {leader.id}"
        found.append(f"{comparisons} without an interval: {takes}")
    for id, one in standings.items():
        ratio = one.ratio
        if one.kind != "undecided" or ratio is None or ratio.low is None or ratio.high is None:
            continue
        gap = abs(ratio.point - 1)
        reach = max(ratio.high - ratio.point, ratio.point - ratio.low)
        rounds = visits_needed(one.rounds, reach, max(gap, BAND - gap))
        if rounds:
            rounds = max(rounds, one.rounds + 1)
            found.append(f"{id} against {leader.id}: about {rounds} rounds would decide, {one.rounds} so far")
    return tuple(found)


# ---------------------------------------------------------------- the choice, told


def _gains(
    summary: Summary, metric: Metric, chosen: ConfigurationResult, found: Confirmation | None
) -> tuple[tuple[Gain, ...], tuple[str, ...]]:
    """Return the gain over each baseline and over the best in f32, and what could not be compared.

    Where the choice is confirmed the fresh rounds are all that counts, and they have its device alone.
    """
    against = [
        (under_hint(one), one) for one in summary.baselines if found is None or one.device == chosen.device
    ]
    if f32 := best_in_f32(summary, metric):
        against.append((BEST_IN_F32, f32))
    again = {one.over: one for one in (*found.baselines, found.best_in_f32) if one} if found else {}
    gains: list[Gain] = []
    unknown: list[str] = []
    for what, other in against:
        if found is not None:
            if other.id in again:
                gains.append(again[other.id])
            elif other.id != chosen.id:
                unknown.append(f"no gain over {what}: {other.reason or 'it has no fresh rounds'}")
            continue
        ratio, rounds = ratio_of(summary, metric, chosen.id, other.id)
        if ratio is None:
            why = other.reason or f"{metric.label.partition(',')[0]} was not measured in the same rounds"
            unknown.append(f"no gain over {what}: {why}")
        else:
            gains.append(
                Gain(
                    over=other.id,
                    what=what,
                    executed_precision=other.executed_precision,
                    point=ratio.point,
                    low=ratio.low,
                    high=ratio.high,
                    rounds=rounds,
                )
            )
    return tuple(gains), tuple(unknown)


def _sentence(
    metric: Metric,
    chosen: ConfigurationResult,
    leader: ConfigurationResult,
    passing: int,
    undecided: Sequence[str],
) -> str:
    """Tell in one sentence why this one, with its figures."""
    superlative = ("highest " if metric.better == "higher" else "lowest ") + metric.label.partition(", p50")[
        0
    ]
    among = "the only configuration that passes" if passing == 1 else f"of the {passing} that pass"
    if chosen is leader:
        why = among if passing == 1 else f"{superlative} {among}"
    else:
        why = (
            f"tied within {BAND:.0%} with {leader.id}, the {superlative} {among}, "
            f"and simpler ({_more_complex(leader, chosen)} there)"
        )
    figures = [
        f"{'' if each is metrics.THROUGHPUT else each.called + ' '}"
        f"{estimate.point:.{each.digits}f} {each.unit}{_span(estimate, each.digits)}"
        for each in (metric, metrics.THROUGHPUT, metrics.LATENCY[50], metrics.DROP)
        if (estimate := each.read(chosen)) is not None
    ]
    text = f"{why}: {', '.join(dict.fromkeys(figures))}"
    if undecided and chosen is leader:
        others = undecided[0] if len(undecided) == 1 else f"{len(undecided)} others"
        text += f"; undecided against {others}, so the better point estimate wins"
    return text


def _span(estimate: Estimate, digits: int) -> str:
    if estimate.low == estimate.point and estimate.high is None:
        return " or more"
    if estimate.low is None or estimate.high is None:
        return ""
    return f" ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"
