"""Hold a choice against fresh rounds that had no part in choosing it; docs/measurement.md, "Confirmation".

The best of many candidates was, on average, lucky as well as good: the figures that it was chosen by flatter
it. So the claim is made of rounds that come after the choice. Pure: reads a Summary, measures nothing, and
does not choose; `choose` does, and `sweep` makes the rounds.
"""

from collections.abc import Collection, Iterable

from perftool.analysis import metrics
from perftool.analysis.leader import BAND, best_in_f32, standing
from perftool.analysis.limits import judge
from perftool.analysis.metric import LOADS, Metric
from perftool.analysis.result import Again, ConfigurationResult, Confirmation, Gain, Series, Summary
from perftool.analysis.stats import MIN_VISITS, Estimate, paired_ratio
from perftool.spec import ClosedLoad, Limits

#: So many choices of a run are measured again, one after the other, while none is confirmed.
CHOICES = 3

BEST_IN_F32 = "the best in f32"
_NOTHING = Series(throughput_fps={}, latency_ms={}, latency_sync_ms={})


def load_of(metric: Metric) -> ClosedLoad | None:
    """Return the load that an objective is read from; None where rounds carry no figure that could pair."""
    return LOADS[metric.load] if metric.series is not None and metric.load is not None else None


def compared(summary: Summary, metric: Metric, chosen: str, runner_up: str | None) -> tuple[str, ...]:
    """Return what is measured again with a choice, which comes first: each once, and only what can run."""
    results = {one.id: one for one in (*summary.configurations, *summary.baselines)}
    f32 = best_in_f32(summary, metric)
    ids = [chosen, runner_up, *(one.id for one in _baselines(summary, results[chosen].device))]
    ids.append(f32.id if f32 else None)
    return tuple(dict.fromkeys(id for id in ids if id is not None and results[id].status == "ok"))


def confirm(
    summary: Summary,
    metric: Metric,
    limits: Limits,
    chosen: ConfigurationResult,
    runner_up: str | None,
    others: Iterable[str],
) -> Confirmation | None:
    """Hold a choice against its fresh rounds; None while it has not been through all of them.

    `others` are the ids of the candidates that could take its place. Judged once, at the end: a look after
    every round would find something against any choice before long. Where more were asked for, since it has
    another runner-up now, the end is that of those. Nothing is held against it, nor is it confirmed, where
    most visits of one of those compared were disturbed.
    """
    again = summary.again.get(chosen.id)
    rounds = _rounds(again, metric, chosen.id)
    if again is None or rounds == 0 or made(summary, again) < summary.run.confirm_rounds:
        return None
    result = again.results[chosen.id]
    f32 = best_in_f32(summary, metric)
    gains = [
        _gain(again, metric, chosen.id, one.id, under_hint(summary, one))
        for one in _baselines(summary, chosen.device)
    ]
    disturbed = _disturbed(again, metric)
    reasons = () if disturbed else (*_beaten(again, metric, chosen.id, others), *_missed(result, limits))
    rival = _gain(again, metric, chosen.id, runner_up, "the runner-up")
    return Confirmation(
        rounds=rounds,
        processes=min(one.incarnations for one in again.results.values() if one.incarnations),
        runner_up=rival,
        baselines=tuple(gain for gain in gains if gain),
        best_in_f32=_gain(again, metric, chosen.id, f32.id if f32 else None, BEST_IN_F32),
        throughput_fps=result.throughput_fps,
        latency_ms=result.latency_intervals_ms,
        latency_sync_ms=result.latency_sync_intervals_ms,
        change=metric.ratio(result, chosen),
        reasons=reasons,
        disturbed=disturbed,
        holds=not reasons and disturbed is None and _lacks(rounds, rival, runner_up) is None,
    )


def made(summary: Summary, again: Again) -> int:
    """Count the fresh rounds that hold all of what the last of them was to visit, of that what still runs."""
    lost = {one.id for one in (*summary.configurations, *summary.baselines) if one.status != "ok"}
    return together(again, [id for id in again.named or again.results if id not in lost])


def together(again: Again, ids: Iterable[str]) -> int:
    """Count the fresh rounds that hold all of these, under whatever load they were made."""
    rounds = [
        one.throughput_fps.keys() | one.latency_sync_ms.keys() | one.end_to_end_fps.keys()
        for one in (again.series.get(id, _NOTHING) for id in ids)
    ]
    return len(set.intersection(*map(set, rounds))) if rounds else 0


def under_hint(summary: Summary, baseline: ConfigurationResult) -> str:
    """Name a baseline, with its device where the run has several."""
    devices = {one.device for one in (*summary.configurations, *summary.baselines)}
    where = f" on {baseline.device}" if len(devices) > 1 else ""
    return f"FP32 under the {baseline.requested.hint} hint{where}"


def _baselines(summary: Summary, device: str) -> list[ConfigurationResult]:
    return [one for one in summary.baselines if one.device == device]


def _rounds(again: Again | None, metric: Metric, id: str) -> int:
    """Count the fresh rounds in which a configuration was measured under the objective's load."""
    if again is None or metric.series is None or id not in again.series:
        return 0
    return len(metric.series(again.series[id]))


def _disturbed(again: Again, metric: Metric) -> str | None:
    """Say that half the fresh visits that speak, or more, of any of those compared were disturbed.

    A median is then the other load's as much as the configuration's, and so is a ratio of two.
    """
    assert metric.series is not None
    made = {id: metric.series(series).keys() for id, series in again.series.items()}
    odd = {id: len(made[id] & series.disturbed) for id, series in again.series.items()}
    worst = {id: odd[id] for id in made if made[id] and 2 * odd[id] >= len(made[id])}
    if not worst:
        return None
    visits = sum(len(made[id]) for id in worst)
    whose = "" if len(worst) == len(made) else f" of {', '.join(worst)}"
    return (
        f"disturbed: other load took part of the machine in {sum(worst.values())} of {visits} visits{whose} "
        "in the fresh rounds, so they decide nothing; measure again when it is gone"
    )


def _paired(again: Again, metric: Metric, one: str, other: str) -> tuple[Estimate | None, int]:
    """Return how many times better `one` was than `other` inside the fresh rounds, at 95 %: one look."""
    if metric.series is None or other not in again.series:
        return None, 0
    above, below = (one, other) if metric.better == "higher" else (other, one)
    mine, its = metric.series(again.series[above]), metric.series(again.series[below])
    return paired_ratio(mine, its), len(mine.keys() & its.keys())


def _gain(again: Again, metric: Metric, chosen: str, other: str | None, what: str) -> Gain | None:
    if other is None or other == chosen:
        return None
    ratio, rounds = _paired(again, metric, chosen, other)
    if ratio is None:
        return None
    return Gain(
        over=other,
        what=what,
        executed_precision=again.results[other].executed_precision,
        point=ratio.point,
        low=ratio.low,
        high=ratio.high,
        rounds=rounds,
        source="fresh rounds",
        figure=None if metric.parts else metric.read(again.results[other]),
    )


def _beaten(again: Again, metric: Metric, chosen: str, others: Iterable[str]) -> list[str]:
    """Say which candidates were better with confidence; a tie is as good, as it was in choosing."""
    found = []
    for id in others:
        ratio, rounds = _paired(again, metric, chosen, id)
        if ratio is not None and standing(ratio, rounds).kind == "worse":
            found.append(f"{ratio.point:.2f}x of {id}{_span(ratio.low, ratio.high)}")
    return found


def _lacks(rounds: int, rival: Gain | None, runner_up: str | None) -> str | None:
    """Say what fresh rounds lack to confirm a choice that nothing in them speaks against.

    Under other limits or weights than the run's the same choice may have another runner-up.
    """
    takes = f"an interval takes {MIN_VISITS}"
    if rounds < MIN_VISITS:
        return f"{rounds} fresh rounds, and {takes}"
    if runner_up is None or (rival is not None and rival.rounds >= MIN_VISITS):
        return None
    had = f"in {rival.rounds} of the fresh rounds, and {takes}" if rival else "not in the fresh rounds"
    return f"its runner-up {runner_up} was {had}"


def _missed(result: ConfigurationResult, limits: Limits) -> list[str]:
    """Say which limits the fresh rounds miss; what so few cannot measure was judged in choosing."""
    verdict = judge(result, limits)
    return [
        reason
        for name, reason in zip(verdict.missed, verdict.reasons, strict=True)
        if name in metrics.METRICS and metrics.METRICS[name].read(result) is not None
    ]


# ---------------------------------------------------------------- told


def refusal(found: Confirmation) -> str:
    """Say why a choice was replaced."""
    return f"not confirmed: in {found.rounds} fresh rounds {'; '.join(found.reasons)}"


def claim(gains: Iterable[Gain], found: Confirmation | None, unconfirmed: str | None) -> str:
    """Say in one sentence how much better a choice is, and how sure that is."""
    said = [f"{one.point:.2f}x {named(one)}{_span(one.low, one.high)}" for one in gains]
    if found is not None and unconfirmed is None:
        said.append(("95 % intervals, " if said else "") + confirmed_in(found))
    else:
        said += [fresh_rounds(found)] if said and found is not None else []
        said.append(f"not confirmed: {unconfirmed}")
    return "; ".join(said)


def confirmed_in(found: Confirmation) -> str:
    """Say what a choice was confirmed in."""
    return f"confirmed {fresh_rounds(found)}"


def fresh_rounds(found: Confirmation) -> str:
    """Say which rounds the figures and the ratios of a confirmation are of."""
    processes = f"{found.processes} process{'' if found.processes == 1 else 'es'}"
    return f"in {found.rounds} fresh rounds, {processes} each"


def named(gain: Gain) -> str:
    """Name what a gain is over, of a baseline with the precision that its device chose."""
    hint = gain.what.startswith("FP32 under") and gain.executed_precision is not None
    return f"{gain.what}, which executed in {gain.executed_precision}" if hint else gain.what


def caveats(summary: Summary, metric: Metric, chosen: str, found: Confirmation) -> tuple[str, ...]:
    """Say what a reader is to be warned of in a choice's fresh rounds, whether or not they confirm it."""
    again = summary.again[chosen]
    dropped = [one.id for one in summary.configurations if one.dropped and one.id in again.series]
    told = [*_outdone(again, metric, chosen, dropped)]
    if found.disturbed is None:
        told += [text for text in (lost(metric, found), disturbance(again)) if text]
    return tuple(told)


def _outdone(again: Again, metric: Metric, chosen: str, dropped: Iterable[str]) -> list[str]:
    """Say which of those that a race dropped look better than the choice where both were measured again."""
    found = []
    for id in dropped:
        ratio, _ = _paired(again, metric, id, chosen)
        if ratio is not None and ratio.point > 1 + BAND:
            found.append(
                f"{id}, which the race dropped, looks better in the fresh rounds: {ratio.point:.2f}x"
                f"{_span(ratio.low, ratio.high)}; --search grid measures it as often as the others"
            )
    return found


def lost(metric: Metric, found: Confirmation) -> str | None:
    """Say by how much a choice did worse than when it was chosen, where that is sure."""
    change = found.change
    if change is None or change.low is None or change.high is None:
        return None
    higher = metric.better == "higher"
    if not (change.high < 1 if higher else change.low > 1):
        return None
    least, most = sorted((abs(change.low - 1), abs(change.high - 1)))
    return (
        f"in the fresh rounds its {metric.label.partition(',')[0]} was {abs(change.point - 1):.0%} "
        f"{'less' if higher else 'more'} than when it was chosen ({least:.0%} to {most:.0%})"
    )


def disturbance(again: Again) -> str | None:
    """Say how many of the fresh visits something else on the machine took time from."""
    if not again.disturbed:
        return None
    return f"{again.disturbed} of {again.visits} visits in the fresh rounds were disturbed"


def why_unconfirmed(
    summary: Summary,
    metric: Metric,
    chosen: str,
    runner_up: str | None,
    found: Confirmation | None,
    refused: Collection[str],
) -> str | None:
    """Say why a choice is not confirmed; None where it is."""
    run = summary.run
    if found is not None:
        return found.disturbed or _lacks(found.rounds, found.runner_up, runner_up)
    if not run.confirm_rounds:
        quick = f"a quick look of {run.rounds_planned} rounds; runs of {MIN_VISITS} and more are confirmed"
        return quick if run.rounds_planned < MIN_VISITS else "the profile asks for no fresh rounds"
    if load_of(metric) is None:
        return _why_never(metric)
    if chosen in summary.again:
        count = made(summary, summary.again[chosen])
        if count < run.confirm_rounds:
            return (
                f"{count} of its {run.confirm_rounds} fresh rounds made; perftool sweep --resume makes them"
            )
        return "its fresh rounds were for another objective"
    if len(exhausted(summary, refused)) >= CHOICES:
        return spent()
    lost = exhausted(summary, refused)
    if standing_by := [id for id in summary.again if id not in lost]:
        return elsewhere(standing_by[-1], complete=run.complete)
    if not run.complete:
        return "the run was stopped before its fresh rounds; perftool sweep --resume makes them"
    return "it has no fresh rounds; perftool sweep --resume makes them for the run's own choice"


def spent() -> str:
    """Say that as many choices were refused as are tried."""
    return f"{CHOICES} choices before it did not hold in fresh rounds, and no more are tried"


def elsewhere(id: str, *, complete: bool) -> str:
    """Say which other choice the fresh rounds were for; where the run was stopped, another may be its own."""
    if complete:
        return f"the fresh rounds were for {id}, the choice under the run's objective and limits"
    return (
        f"the fresh rounds so far were for {id}; perftool sweep --resume makes those of the run's own choice"
    )


def _why_never(metric: Metric) -> str:
    """Say why no fresh rounds are made for an objective."""
    if not metric.parts:
        return f"the {metric.label} is not measured again"
    if bare := [part.name for part in metric.parts if part.series is None]:
        lacks = "has no figure" if len(bare) == 1 else "have no figures"
        return f"the {metric.name} is not measured again: {' and '.join(bare)} {lacks} in each round"
    names = " and ".join(part.name for part in metric.parts)
    return f"the {metric.name} is not measured again: no single load has {names}"


def exhausted(summary: Summary, refused: Collection[str]) -> tuple[str, ...]:
    """Return the choices that were measured again and are none any more: refused, or lost meanwhile."""
    lost = {one.id for one in summary.configurations if one.status != "ok"}
    return tuple(id for id in summary.again if id in refused or id in lost)


def _span(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({low:.2f}x to {high:.2f}x)"
