"""Decide on the next extra round of a run: which configurations it visits, and what for. Pure.

Which decisions are open is `analysis.effort`'s to say; the visits of a round are `rounds`'s to list.
"""

from perftool.analysis.effort import (
    extra_visits,
    extra_visits_allowed,
    open_questions,
    percentile_allowed,
    short_of_samples,
)
from perftool.analysis.stats import samples_needed
from perftool.analysis.summary import summarize
from perftool.journal import Focused, Run
from perftool.spec import Closed, ClosedLoad
from perftool.sweep.remaining import remaining


def next_focus(run: Run) -> Focused | None:
    """Return the next extra round; None when every decision is clear, or the budget is spent."""
    profile = run.header.profile
    focused = [entry.record for entry in run.entries if isinstance(entry.record, Focused)]
    round = max([profile.policy.rounds - 1, *(one.round for one in focused)]) + 1
    budget = extra_visits_allowed(run) - extra_visits(run)
    if budget <= 0 and not percentile_allowed(run):
        return None
    summary = summarize(run)
    given_up = {one.configuration for one in remaining(run).given_up}
    if percentile_allowed(run):
        short = tuple(id for id in short_of_samples(summary, profile.limits) if id not in given_up)
        if short:
            percentile = profile.limits.percentile
            what = f"p{percentile} takes {samples_needed(percentile)} samples"
            return Focused(
                round=round, purpose="carry", load=Closed(), configurations=short, questions=(what,)
            )
    ids: list[str] = []
    texts: list[str] = []
    load: ClosedLoad | None = None
    for question in open_questions(summary, profile.objective, profile.limits):
        wanted = list(dict.fromkeys([*ids, *question.configurations]))
        if given_up.intersection(wanted) or len(wanted) > budget or question.load != (load or question.load):
            continue
        ids, load = wanted, question.load
        texts.append(question.text)
    if load is None:
        return None
    return Focused(
        round=round, purpose="decide", load=load, configurations=tuple(ids), questions=tuple(texts)
    )
