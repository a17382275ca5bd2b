"""Say beforehand what fresh rounds would say of each choice, whatever the limits and whoever else passes.

Asks `confirmation`, about one other candidate at a time: its answers do not depend on one another.
"""

from collections.abc import Iterable

from perftool.analysis import confirmation, metrics
from perftool.analysis.candidates import Candidates
from perftool.analysis.foreseen import Fresh, Unconfirmed
from perftool.analysis.metric import Metric
from perftool.analysis.racing import Mask
from perftool.analysis.result import ConfigurationResult, Summary
from perftool.spec import Limits

NO_LIMITS = Limits(accuracy_drop_pp=None)


def fresh_of(summary: Summary, metric: Metric, among: Candidates) -> tuple[Fresh, ...]:
    """Return what the fresh rounds say of each candidate that they were made for."""
    rows = {one.id: row for row, one in enumerate(among.results)}
    return tuple(_fresh(summary, metric, among.results[rows[id]], rows) for id in summary.again if id in rows)


def refuses(fresh: Fresh, passes: Mask, limits: Iterable[tuple[Metric, float]]) -> bool:
    """Tell whether fresh rounds refuse their choice where these candidates pass, under these limits."""
    if fresh.why is not None:
        return False
    missed = (
        (value := fresh.figures.get(each.name)) is not None and not each.keeps(value, bound)
        for each, bound in limits
    )
    return bool(passes[list(fresh.beaten_by)].any()) or any(missed)


def _fresh(summary: Summary, metric: Metric, chosen: ConfigurationResult, rows: dict[str, int]) -> Fresh:
    """Ask `confirmation` about every other candidate apart: its answers do not depend on one another."""
    again = summary.again[chosen.id]
    found = confirmation.confirm(summary, metric, NO_LIMITS, chosen, None, ())
    if found is None:
        why = confirmation.why_unconfirmed(summary, metric, chosen.id, None, None, ())
        return Fresh(
            candidate=rows[chosen.id],
            rounds=0,
            processes=0,
            beaten_by=(),
            figures={},
            shared={},
            gains={},
            seen={},
            why=why,
            warnings=(),
        )
    beaten_by, shared, gains = [], {}, {}
    for id in again.series:
        if id in rows and id != chosen.id:
            held = confirmation.confirm(summary, metric, NO_LIMITS, chosen, id, (id,))
            assert held is not None, "all its fresh rounds are made"
            if held.reasons:
                beaten_by.append(rows[id])
            if held.runner_up is not None:
                shared[str(rows[id])] = held.runner_up.rounds
                gains[str(rows[id])] = held.runner_up
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
        gains=gains,
        seen={
            each.name: estimate
            for each in (metrics.THROUGHPUT, _latency(result))
            if (estimate := each.read(result)) is not None
        },
        why=found.disturbed,
        warnings=confirmation.caveats(summary, metric, chosen.id, found),
    )


def _latency(result: ConfigurationResult) -> Metric:
    """Return the median latency under the load that the fresh rounds had."""
    return metrics.LATENCY_SYNC if result.latency_intervals_ms is None else metrics.LATENCY[50]


def unconfirmed(summary: Summary, metric: Metric) -> Unconfirmed:
    """Return why a choice that has no fresh rounds of its own is not confirmed, in each case.

    Asked of `confirmation` for a configuration of no name, which has no rounds.
    """
    bare = Summary(run=summary.run, host=summary.host, configurations=(), baselines=(), series={}, again={})
    never = not summary.run.confirm_rounds or confirmation.load_of(metric) is None
    not_made = confirmation.why_unconfirmed(bare, metric, "", None, None, ()) or ""
    lost = confirmation.exhausted(summary, ())
    return Unconfirmed(
        never=not_made if never else None,
        exhausted=confirmation.spent(),
        elsewhere=confirmation.elsewhere("{id}", complete=summary.run.complete),
        not_made=not_made,
        choices=confirmation.CHOICES - len(lost),
        again=tuple(id for id in summary.again if id not in lost),
    )
