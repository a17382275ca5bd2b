"""Foresee every choice that limits could lead to, so that a page can choose again without Python.

Everything that takes statistics is worked out beforehand: the candidates' order by the objective and by
simplicity, how all stand against whoever could lead, what a race and what fresh rounds say. What is left to
a page is to filter, to take the first, and of those tied with it the simplest: as `candidates.pick_of`,
and with `confirmation`'s refusals as `choose`. The objective and its percentile are fixed; limits are not.
"""

from collections.abc import Collection, Sequence
from itertools import groupby

import numpy as np

from perftool.analysis import confirmation, metrics
from perftool.analysis.candidates import (
    ALWAYS,
    BETTER,
    FREE,
    TIED,
    UNDECIDED,
    WORSE,
    Candidates,
    against,
    best_first,
    candidates_of,
    column,
    rows_of,
)
from perftool.analysis.choose import gains_of
from perftool.analysis.foreseen import Control, Foreseen, Lead
from perftool.analysis.leader import best_in_f32
from perftool.analysis.limits import bounds, shortest
from perftool.analysis.metric import Metric
from perftool.analysis.passing import judgeable
from perftool.analysis.racing import Array
from perftool.analysis.refusals import NO_LIMITS, fresh_of, unconfirmed
from perftool.analysis.result import Gain, Recommendation, Summary
from perftool.spec import Limits

#: Beyond so many standings (those who could lead times those who could pass) only the usual limits are
#: offered, and beyond so many times that, none: a page must stay small, and be made in seconds.
MOST_STANDINGS = 2_000_000
TOO_MANY = 20
#: How the kinds of `candidates` are written in `Lead.kinds`.
LETTERS = {WORSE: "w", TIED: "t", UNDECIDED: "u", BETTER: "b"}


def foresee(summary: Summary, recommendation: Recommendation) -> Foreseen:
    """Foresee what `choose` says under a recommendation's objective, percentile and bound, whatever the
    other limits.
    """
    objective, limits = recommendation.objective, recommendation.limits
    metric = metrics.objective_metric(objective, limits, summary)
    among = candidates_of(summary, objective, metric)
    judged, _ = judgeable(summary, limits)
    own = {each.name: bound for each, bound in bounds(limits)}
    lifted = own.keys() - {each.name for each, _ in bounds(judged)}
    offered, leads = _offered(summary, among, limits, lifted)
    figures = {each.name: column(among, each) for each in offered}
    sentences: dict[str, int] = {}
    gains, unknown = _gains(summary, metric, among, leads, sentences)
    return Foreseen(
        ids=tuple(one.id for one in among.results),
        simple=tuple(among.simple.tolist()),
        order=tuple(among.order.tolist()),
        beaten_by=tuple(among.beaten_by.tolist()),
        columns={
            name: tuple(None if np.isnan(value) else value for value in values.tolist())
            for name, values in figures.items()
        },
        controls=tuple(
            _control(each, figures[each.name], own.get(each.name), usual=each in usual_limits(limits))
            for each in offered
        ),
        leads=leads,
        fresh=fresh_of(summary, metric, among),
        unconfirmed=unconfirmed(summary, metric),
        gains=gains,
        unknown=unknown,
        missing={each.name: _missing(each, among, limits, sentences) for each in offered},
        sentences=tuple(sentences),
    )


# ---------------------------------------------------------------- which limits, and who could lead


def usual_limits(limits: Limits) -> tuple[Metric, ...]:
    """Return what everybody wants to limit, and what the run itself limits."""
    usual = (metrics.LATENCY[limits.percentile], metrics.DROP, metrics.MEMORY)
    return (*usual, *(each for each, _ in bounds(limits) if each not in usual))


def _offered(
    summary: Summary, among: Candidates, limits: Limits, lifted: Collection[str]
) -> tuple[tuple[Metric, ...], dict[str, Lead] | None]:
    """Return the metrics that limits are offered on, and how all stand against whoever could lead then.

    The usual ones, and of the others as many as leave few enough who could lead. What is `lifted`, since
    nothing could judge it, is not offered.
    """
    own = {each.name for each, _ in bounds(limits)}
    usual = [each for each in usual_limits(limits) if each.name not in lifted]
    offered = [each for each in usual if each.name in own or _tells_apart(column(among, each))]
    most = MOST_STANDINGS // max(1, len(among.results))
    could = _could_lead(among, offered, summary.again, TOO_MANY * most)
    if could is None:
        return tuple(offered), None
    for each in metrics.METRICS.values():
        if each.name in lifted or each in offered or not _tells_apart(column(among, each)):
            continue
        more = _could_lead(among, [*offered, each], summary.again, most)
        if more is not None:
            offered.append(each)
            could = more
    return tuple(offered), _leads(among, could)


def _tells_apart(values: Array) -> bool:
    """Tell whether a limit could let some pass and not others."""
    known = values[~np.isnan(values)]
    return len(known) > 0 and (len(known) < len(values) or bool((known != known[0]).any()))


def _could_lead(
    among: Candidates, offered: Sequence[Metric], tried: Collection[str], most: int
) -> list[int] | None:
    """Return who could have the best figure of those that pass, under some limits; None for more than `most`.

    Limits that let a candidate pass let everybody pass who is at least as good wherever it has a figure. So
    it never has the best where such a one comes before it that no race dropped, or dropped for the same one:
    where that is out, both are in. And what was dropped never passes where what beat it is as good in
    everything. Whom fresh rounds may refuse, since they were made for it (it is among the `tried`), stands in
    nobody's way.
    """
    figures = _oriented(among, offered)
    steady = ~rows_of(among, tried)
    could: list[int] = []
    beaten = np.zeros(len(among.results), dtype=bool)
    for row, by in enumerate(among.beaten_by.tolist()):
        mine = figures[:, row]
        if beaten[row] or by == ALWAYS or (by >= 0 and steady[by] and (figures[:, by] >= mine).all()):
            continue
        could.append(row)
        if len(could) > most:
            return None
        if steady[row]:
            behind = (figures <= mine[:, None]).all(axis=0)
            beaten |= behind if by == FREE else behind & (among.beaten_by == by)
    return could


def _oriented(among: Candidates, offered: Sequence[Metric]) -> Array:
    """Return the candidates' figures, a row for each metric, larger is better; minus infinity for none."""
    figures = np.full((len(offered), len(among.results)), -np.inf)
    for at, metric in enumerate(offered):
        values = column(among, metric) * (1.0 if metric.better == "higher" else -1.0)
        figures[at] = np.where(np.isnan(values), -np.inf, values)
    return figures


def _leads(among: Candidates, could: Sequence[int]) -> dict[str, Lead]:
    """Return the standings against whoever could lead: first, or by beating one that did.

    Whoever leads by beating another may find candidates passing that come before it, but none that come
    before the first.
    """
    start: dict[int, int] = {}
    waiting = [(row, row) for row in could]
    while waiting:
        row, first = waiting.pop()
        if start.get(row, first + 1) <= first:
            continue
        start[row] = first
        later = np.arange(len(among.results)) >= first
        waiting += [(one, first) for one in best_first(among, against(among, row), later)]
    return {str(row): _lead(among, row, start[row]) for row in sorted(start)}


def _lead(among: Candidates, row: int, start: int) -> Lead:
    found = against(among, row)
    runs = [(LETTERS[kind], len(list(run))) for kind, run in groupby(found.kinds[start:].tolist())]
    if runs and runs[-1][0] == "w":
        runs.pop()
    later = np.arange(len(among.results)) >= start
    return Lead(
        start=start,
        kinds="".join(f"{letter}{count}" if count > 1 else letter for letter, count in runs),
        better=tuple(best_first(among, found, later)),
    )


def _control(metric: Metric, values: Array, own: float | None, *, usual: bool) -> Control:
    """Return a control, with the shortest number for each place that a limit could lie at."""
    known = sorted(set(values[~np.isnan(values)].tolist()), reverse=metric.better == "higher")
    stops = []
    for at, value in enumerate(known):
        further = known[at + 1] if at + 1 < len(known) else None
        if value > 0 or not metric.positive:
            short = shortest(metric, value, further, inward=False)
            stops.append(short if short > 0 or not metric.positive else value)
    return Control(
        metric=metric.name,
        label=metric.label,
        called=metric.called,
        unit=metric.unit,
        way=metric.way,
        digits=metric.digits,
        positive=metric.positive,
        spread=metric.spread,
        stops=tuple(stops),
        own=own,
        usual=usual,
    )


def _missing(metric: Metric, among: Candidates, limits: Limits, sentences: dict[str, int]) -> dict[str, int]:
    """Return why candidates have no figure of a metric, by their numbers."""
    return {
        str(row): _number(metrics.why_missing(metric, one, limits), sentences)
        for row, one in enumerate(among.results)
        if metric.value(one) is None
    }


def _gains(
    summary: Summary,
    metric: Metric,
    among: Candidates,
    leads: dict[str, Lead] | None,
    sentences: dict[str, int],
) -> tuple[dict[str, tuple[Gain, ...]], dict[str, tuple[int, ...]]]:
    """Return what everybody who could be chosen gains over the baselines and the best in f32, and which of
    these gains are not known.
    """
    rows: set[int] = set()
    for row, lead in (leads or {}).items():
        rows.add(int(row))
        tied = np.flatnonzero(against(among, int(row)).kinds == TIED)
        rows |= set(tied[tied >= lead.start].tolist())
    f32 = best_in_f32(summary, metric)
    gains, unknown = {}, {}
    for at in sorted(rows):
        one = among.results[at]
        held = confirmation.confirm(summary, metric, NO_LIMITS, one, None, ())
        gains[str(at)], whys = gains_of(summary, metric, one, held, f32)
        if whys:
            unknown[str(at)] = tuple(_number(why, sentences) for why in whys)
    return gains, unknown


def _number(sentence: str, sentences: dict[str, int]) -> int:
    """Return a sentence's number, a new one where it has none: most are shared by many."""
    return sentences.setdefault(sentence, len(sentences))
