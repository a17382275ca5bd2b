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
from perftool.record import Focused, Run
from perftool.spec import Closed, ClosedLoad, Sync


def next_focus(run: Run) -> Focused | None:
    """Return the next extra round; None when every decision is clear, or the budget is spent."""
    profile = run.header.profile
    focused = [entry.record for entry in run.entries if isinstance(entry.record, Focused)]
    round = max([profile.policy.rounds - 1, *(one.round for one in focused)]) + 1
    budget = extra_visits_allowed(run) - extra_visits(run)
    if budget <= 0 and not percentile_allowed(run):
        return None
    summary = summarize(run)
    if percentile_allowed(run) and (short := short_of_samples(summary, profile.limits)):
        percentile = profile.limits.percentile
        what = f"p{percentile} takes {samples_needed(percentile)} samples"
        return Focused(round=round, purpose="carry", load=Closed(), configurations=short, questions=(what,))
    ids: list[str] = []
    texts: list[str] = []
    for question in open_questions(summary, profile.objective, profile.limits):
        wanted = list(dict.fromkeys([*ids, *question.configurations]))
        if len(wanted) <= budget:
            ids = wanted
            texts.append(question.text)
    if not ids:
        return None
    load: ClosedLoad = Sync() if profile.objective == "latency" else Closed()
    return Focused(
        round=round, purpose="decide", load=load, configurations=tuple(ids), questions=tuple(texts)
    )
