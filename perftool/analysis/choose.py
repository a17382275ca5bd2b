"""Choose one configuration of a Summary, and give every other candidate its reason.

The rules are those of docs/measurement.md, "Against the leader" and "Limits". Nothing is raised where nothing
passes: the recommendation then has no id, and names the nearest misses.
"""

import math
from collections.abc import Collection

from msgspec import structs

from perftool.analysis import confirmation, metrics, pareto
from perftool.analysis.confirmation import BEST_IN_F32, under_hint
from perftool.analysis.hinted import better_hints
from perftool.analysis.leader import best_in_f32, ratio_of
from perftool.analysis.limits import Verdict, carrying
from perftool.analysis.metric import Metric
from perftool.analysis.passing import judgeable, verdicts_of
from perftool.analysis.picking import Settled, settle
from perftool.analysis.reasons import still_open, why_chosen, why_not, why_unknown
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
from perftool.spec import Limits, Objective

_NEAREST = 3


def choose(summary: Summary, objective: Objective, limits: Limits) -> Recommendation:
    """Choose the configuration to ship under an objective and limits."""
    judged, warnings = judgeable(summary, limits)
    metric = metrics.objective_metric(objective, limits, summary)
    refused: dict[str, str] = {}
    while True:  # Until fresh rounds do not refuse the choice; what one that is refused had beaten may pass.
        verdicts, reasons = verdicts_of(summary, objective, metric, judged, refused)
        reasons |= refused
        passing = [one for one in summary.configurations if one.id not in reasons]
        if not passing:
            nothing = _nothing(summary, objective, metric, limits, verdicts, reasons, warnings)
            return structs.replace(nothing, refused=_rejected(summary, refused))
        settled, refusal = settle(summary, metric, judged, passing)
        if refusal is None:
            break
        refused[settled.picked.chosen.id] = refusal
    picked = settled.picked
    leader, standings, tied, chosen = picked.leader, picked.standings, picked.tied, picked.chosen
    for one in passing:
        if one is not chosen:
            reasons[one.id] = why_not(one, chosen, leader, standings.get(one.id), one in tied)
    f32 = best_in_f32(summary, metric)
    gain, unknown = gains_of(summary, metric, chosen, settled.confirmation, f32)
    why, told = _confirmed(summary, metric, settled, refused)
    undecided = tuple(id for id, standing in standings.items() if standing.kind == "undecided")
    return Recommendation(
        id=chosen.id,
        leader=leader.id,
        runner_up=settled.runner_up,
        objective=objective,
        limits=limits,
        reason=why_chosen(metric, chosen, leader, len(passing), tied, undecided, _fresh(summary, settled)),
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
        open=(*still_open(metric, leader, standings), *carrying(summary, limits)),
        warnings=(*warnings, *unknown, *told, *_hinted(summary, metric, judged, settled, gain)),
        nearest=(),
    )


# ---------------------------------------------------------------- chosen, and not refused by fresh rounds


def _confirmed(
    summary: Summary, metric: Metric, settled: Settled, refused: dict[str, str]
) -> tuple[str | None, tuple[str, ...]]:
    """Return why a choice is not confirmed (None where it is), and what a reader is to be warned of."""
    found, chosen = settled.confirmation, settled.picked.chosen.id
    why = confirmation.why_unconfirmed(summary, metric, chosen, settled.runner_up, found, refused)
    if found is not None:
        return why, confirmation.caveats(summary, metric, chosen, found)
    spent = len(confirmation.exhausted(summary, refused)) >= confirmation.CHOICES
    return why, (f"not confirmed: {why}",) if why and spent else ()


def _hinted(
    summary: Summary, metric: Metric, judged: Limits, settled: Settled, gain: tuple[Gain, ...]
) -> tuple[str, ...]:
    """Say which hints are surely better than the choice; disturbed ratios are sure of nothing."""
    found = settled.confirmation
    return () if found is not None and found.disturbed else tuple(better_hints(summary, metric, judged, gain))


def _fresh(summary: Summary, settled: Settled) -> ConfigurationResult | None:
    """Return the choice as its fresh rounds show it; None where it has not been through them."""
    id = settled.picked.chosen.id
    return None if settled.confirmation is None else summary.again[id].results[id]


# ---------------------------------------------------------------- nothing passes


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
    if verdicts:
        reason = f"none of the {len(verdicts)} measured configurations passes"
        if why := why_unknown(summary, metric, limits):
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
        nearest=_nearest(
            verdicts, reasons, {one.id for one in summary.configurations if metric.value(one) is None}
        ),
    )


def _nearest(
    verdicts: dict[str, Verdict], reasons: dict[str, str], unmeasured: Collection[str]
) -> tuple[NearMiss, ...]:
    """Return the nearest misses, of equals those with fewer.

    What could not be judged comes last: for want of a limit's figure, or, `unmeasured`, of the objective's.
    """
    missed = sorted(
        (verdict.excess if verdict.reasons and id not in unmeasured else math.inf, len(verdict.missed), id)
        for id, verdict in verdicts.items()
    )
    return tuple(
        NearMiss(id=id, reason=reasons[id], excess=excess if math.isfinite(excess) else None)
        for excess, _, id in missed[:_NEAREST]
    )


# ---------------------------------------------------------------- the choice, told


def _uncertain(verdicts: dict[str, Verdict], chosen: str | None) -> tuple[Uncertain, ...]:
    found = [one for verdict in verdicts.values() for one in verdict.uncertain]
    return tuple(sorted(found, key=lambda one: one.id != chosen))


def _rejected(summary: Summary, reasons: dict[str, str]) -> tuple[Rejected, ...]:
    return tuple(
        Rejected(id=one.id, reason=reasons[one.id]) for one in summary.configurations if one.id in reasons
    )


def gains_of(
    summary: Summary,
    metric: Metric,
    chosen: ConfigurationResult,
    found: Confirmation | None,
    f32: ConfigurationResult | None,
) -> tuple[tuple[Gain, ...], tuple[str, ...]]:
    """Return the gain over each baseline and over the best in `f32`, and what could not be compared.

    Where the choice is confirmed the fresh rounds are all that counts, and they have its device alone.
    """
    against = [
        (under_hint(summary, one), one)
        for one in summary.baselines
        if found is None or one.device == chosen.device
    ]
    if f32 is not None:
        against.append((BEST_IN_F32, f32))
    again = {one.over: one for one in (*found.baselines, found.best_in_f32) if one} if found else {}
    gains: list[Gain] = []
    unknown: list[str] = []
    for what, other in against:
        if other.id == chosen.id:
            continue
        if found is not None:
            if other.id in again:
                gains.append(again[other.id])
            else:
                why = _unmeasured(metric, other) or "it has no fresh rounds"
                unknown.append(f"no gain over {what}: {why}")
            continue
        ratio, rounds = ratio_of(summary, metric, chosen.id, other.id)
        if ratio is None:
            apart = f"{metric.label.partition(',')[0]} was not measured in the same rounds"
            unknown.append(f"no gain over {what}: {_unmeasured(metric, other) or apart}")
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


def _unmeasured(metric: Metric, other: ConfigurationResult) -> str | None:
    """Say why a configuration has no figure that a gain over it could be of; None where it has one."""
    if other.reason is not None or metric.value(other) is not None:
        return other.reason
    return metrics.why_missing(metric, other)
