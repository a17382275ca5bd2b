"""Foresee every choice that limits could lead to, so that a page can choose again without Python.

Everything that takes statistics is worked out beforehand: the candidates' order by the objective and by
simplicity, how all stand against whoever could lead, what a race and what fresh rounds say. What is left to
a page is to filter, to take the first, and of those tied with it the simplest: as `candidates.pick_of`,
and with `confirmation`'s refusals as `choose`. The objective and its percentile are fixed; limits are not.
"""

from collections.abc import Collection, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct

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
from perftool.analysis.leader import best_in_f32
from perftool.analysis.limits import bounds, shortest
from perftool.analysis.metric import Metric
from perftool.analysis.passing import judgeable
from perftool.analysis.racing import Array
from perftool.analysis.result import ConfigurationResult, Gain, Recommendation, Summary
from perftool.spec import Limits

#: Beyond so many standings (those who could lead times those who could pass) only the usual limits are
#: offered, and beyond so many times that, none: a page must stay small, and be made in seconds.
MOST_STANDINGS = 2_000_000
TOO_MANY = 20
#: How the kinds of `candidates` are written in `Lead.kinds`.
LETTERS = {WORSE: "w", TIED: "t", UNDECIDED: "u", BETTER: "b"}

_NO_LIMITS = Limits(accuracy_drop_pp=None)


class Control(Struct, frozen=True, kw_only=True):
    """A metric that a limit can be put on, and where limits on it can lie.

    A limit at one of the `stops`, from the strictest to the loosest, lets one more figure pass than at the
    one before; between them nothing changes. `own` is the run's own limit. `usual` ones are shown at first.
    """

    metric: str
    label: str
    called: str
    unit: str
    way: str
    digits: int
    positive: bool
    spread: bool
    stops: tuple[float, ...]
    own: float | None
    usual: bool


class Lead(Struct, frozen=True, kw_only=True):
    """How candidates stand against one that could lead, by their numbers.

    `kinds` has a letter for each candidate from number `start` on, with a count behind one that comes several
    times in a row: w for worse, t for tied, u for undecided, b for better. Those that are left out at its end
    are worse. Whoever comes before `start` cannot pass
    while this one leads. `better` are the b's, the best ratio first.
    """

    start: int
    kinds: str
    better: tuple[int, ...]


class Fresh(Struct, frozen=True, kw_only=True):
    """What fresh rounds say of a candidate that they were made for.

    They refuse it where one of `beaten_by` passes too, or where one of its fresh `figures`, by metric,
    misses its limit. `shared` counts the fresh rounds that others were measured in as well; `why` says why
    they do not count (yet), None where they do.
    """

    candidate: int
    rounds: int
    processes: int
    beaten_by: tuple[int, ...]
    figures: dict[str, float]
    shared: dict[str, int]
    why: str | None


class Unconfirmed(Struct, frozen=True, kw_only=True):
    """Why a choice without fresh rounds is not confirmed.

    `never` where none could be for this run and objective; else `exhausted` once `choices` were refused, else
    `elsewhere` (which names the last of `again` that was not refused), else `not_made`.
    """

    never: str | None
    exhausted: str
    elsewhere: str
    not_made: str
    choices: int
    again: tuple[str, ...]


class Foreseen(Struct, frozen=True, kw_only=True):
    """All that choosing under other limits takes, of the candidates `ids`, the best by the objective first.

    `simple` ranks them by simplicity, equals alike; `order` by simplicity and then by id. `beaten_by` is the
    candidate that a race says beat each, as `candidates.Candidates` has it. `columns` holds the figures of
    each control's metric. `leads` is keyed by the number of
    whoever could lead; None where there are too many to be foreseen. `gains` are those of whoever could be
    chosen.
    """

    ids: tuple[str, ...]
    simple: tuple[int, ...]
    order: tuple[int, ...]
    beaten_by: tuple[int, ...]
    columns: dict[str, tuple[float | None, ...]]
    controls: tuple[Control, ...]
    leads: dict[str, Lead] | None
    fresh: tuple[Fresh, ...]
    unconfirmed: Unconfirmed
    gains: dict[str, tuple[Gain, ...]]


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
        fresh=_fresh(summary, metric, among),
        unconfirmed=_unconfirmed(summary, metric),
        gains=_gains(summary, metric, among, leads),
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
    ahead: dict[int, list[int]] = {FREE: []}
    could: list[int] = []
    for row, by in enumerate(among.beaten_by.tolist()):
        mine = figures[row]
        if by == ALWAYS or (by >= 0 and steady[by] and (figures[by] >= mine).all()):
            continue
        before = ahead[FREE] if by == FREE else ahead[FREE] + ahead.setdefault(by, [])
        if (figures[before] >= mine).all(axis=1).any():
            continue
        could.append(row)
        if len(could) > most:
            return None
        if steady[row]:
            ahead[by].append(row)
    return could


def _oriented(among: Candidates, offered: Sequence[Metric]) -> Array:
    """Return the candidates' figures, a column for each metric, larger is better; minus infinity for none."""
    figures = np.full((len(among.results), len(offered)), -np.inf)
    for at, metric in enumerate(offered):
        values = column(among, metric) * (1.0 if metric.better == "higher" else -1.0)
        figures[:, at] = np.where(np.isnan(values), -np.inf, values)
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


# ---------------------------------------------------------------- fresh rounds


def _fresh(summary: Summary, metric: Metric, among: Candidates) -> tuple[Fresh, ...]:
    """Return what the fresh rounds say of each candidate that they were made for."""
    rows = {one.id: row for row, one in enumerate(among.results)}
    return tuple(
        _fresh_of(summary, metric, among.results[rows[id]], rows) for id in summary.again if id in rows
    )


def _fresh_of(summary: Summary, metric: Metric, chosen: ConfigurationResult, rows: dict[str, int]) -> Fresh:
    """Ask `confirmation` about every other candidate apart: its answers do not depend on one another."""
    again = summary.again[chosen.id]
    found = confirmation.confirm(summary, metric, _NO_LIMITS, chosen, None, ())
    if found is None:
        why = confirmation.why_unconfirmed(summary, metric, chosen.id, None, None, ())
        return Fresh(
            candidate=rows[chosen.id], rounds=0, processes=0, beaten_by=(), figures={}, shared={}, why=why
        )
    beaten_by, shared = [], {}
    for id in again.series:
        if id in rows and id != chosen.id:
            held = confirmation.confirm(summary, metric, _NO_LIMITS, chosen, id, (id,))
            assert held is not None, "all its fresh rounds are made"
            if held.reasons:
                beaten_by.append(rows[id])
            if held.runner_up is not None:
                shared[str(rows[id])] = held.runner_up.rounds
    result = again.results[chosen.id]
    figures = {
        name: value for name, each in metrics.METRICS.items() if (value := each.value(result)) is not None
    }
    return Fresh(
        candidate=rows[chosen.id],
        rounds=found.rounds,
        processes=found.processes,
        beaten_by=tuple(beaten_by),
        figures=figures,
        shared=shared,
        why=None,
    )


def _unconfirmed(summary: Summary, metric: Metric) -> Unconfirmed:
    """Return why a choice that has no fresh rounds of its own is not confirmed, in each case.

    Asked of `confirmation` for a configuration of no name, which has no rounds.
    """
    bare = Summary(run=summary.run, host=summary.host, configurations=(), baselines=(), series={}, again={})
    never = not summary.run.confirm_rounds or confirmation.load_of(metric) is None
    not_made = confirmation.why_unconfirmed(bare, metric, "", None, None, ()) or ""
    return Unconfirmed(
        never=not_made if never else None,
        exhausted=confirmation.spent(),
        elsewhere=confirmation.elsewhere("{id}"),
        not_made=not_made,
        choices=confirmation.CHOICES,
        again=tuple(summary.again),
    )


def _gains(
    summary: Summary, metric: Metric, among: Candidates, leads: dict[str, Lead] | None
) -> dict[str, tuple[Gain, ...]]:
    """Return what everybody who could be chosen gains over the baselines and the best in f32."""
    rows: set[int] = set()
    for row, lead in (leads or {}).items():
        rows.add(int(row))
        tied = np.flatnonzero(against(among, int(row)).kinds == TIED)
        rows |= set(tied[tied >= lead.start].tolist())
    f32 = best_in_f32(summary, metric)
    found = {}
    for at in sorted(rows):
        one = among.results[at]
        held = confirmation.confirm(summary, metric, _NO_LIMITS, one, None, ())
        found[str(at)] = gains_of(summary, metric, one, held, f32)[0]
    return found
