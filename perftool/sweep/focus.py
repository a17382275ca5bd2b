"""Decide on the next extra round of a run: which configurations it visits, and what for. Pure.

Which decisions are open is `analysis.effort`'s to say; the visits of a round are `rounds`'s to list.
"""

from msgspec import structs

from perftool.analysis import metrics
from perftool.analysis.choose import choose
from perftool.analysis.confirmation import CHOICES, compared, load_of, together
from perftool.analysis.confirmation import made as fresh_made
from perftool.analysis.effort import (
    confirm_rounds_allowed,
    extra_visits,
    extra_visits_allowed,
    open_questions,
    percentile_allowed,
    short_of_samples,
)
from perftool.analysis.evidence import confirm_rounds
from perftool.analysis.limits import carried
from perftool.analysis.stats import samples_needed
from perftool.analysis.summary import summarize
from perftool.journal import Entry, Focused, Run
from perftool.spec import Closed, ClosedLoad
from perftool.sweep.completing import completing
from perftool.sweep.remaining import left_behind, remaining


def next_focus(run: Run) -> Focused | None:
    """Return the next extra round; None when every decision is clear, or as clear as the budget makes it,
    and what they lead to is confirmed. A round that would visit nothing is never asked for.
    """
    focused = [entry.record for entry in run.entries if isinstance(entry.record, Focused)]
    round = max([run.header.profile.policy.rounds - 1, *(one.round for one in focused)]) + 1
    for asked in (completing, _deciding, _confirming):
        found = asked(run, round)
        if found is not None and _has_visits(run, found):
            return found
    return None


def _has_visits(run: Run, found: Focused) -> bool:
    """Tell whether an extra round visits anything: one that does not would be asked for again, for ever."""
    asked = Entry(at_ns=run.entries[-1].at_ns, record=found)
    return bool(remaining(structs.replace(run, entries=(*run.entries, asked))).rounds)


def _deciding(run: Run, round: int) -> Focused | None:
    """Return a round for decisions that are open, or for a percentile that the samples do not carry yet."""
    profile = run.header.profile
    budget = extra_visits_allowed(run) - extra_visits(run)
    if budget <= 0 and not percentile_allowed(run):
        return None
    summary = summarize(run)
    gone = {one.configuration for one in remaining(run).given_up}
    gone |= left_behind(entry.record for entry in run.entries)
    if percentile_allowed(run):
        short = tuple(id for id in short_of_samples(summary, profile.limits) if id not in gone)
        if short:
            percentile = carried(profile.limits) or profile.limits.percentile
            what = f"p{percentile} takes {samples_needed(percentile)} samples"
            return Focused(
                round=round, purpose="carry", load=Closed(), configurations=short, questions=(what,)
            )
    ids: list[str] = []
    texts: list[str] = []
    load: ClosedLoad | None = None
    rounds = 1
    refused = {one.id for one in choose(summary, profile.objective, profile.limits).refused}
    for question in open_questions(summary, profile.objective, profile.limits, refused):
        wanted = list(dict.fromkeys([*ids, *question.configurations]))
        takes = max(rounds, question.rounds)
        # Where the budget ends before the rounds that tell anything, they would be made in vain.
        if len(wanted) * takes > budget:
            continue
        if gone.intersection(wanted) or question.load != (load or question.load):
            continue
        ids, load, rounds = wanted, question.load, takes
        texts.append(question.text)
    if load is None:
        return None
    return Focused(
        round=round, purpose="decide", load=load, configurations=tuple(ids), questions=tuple(texts)
    )


def _confirming(run: Run, round: int) -> Focused | None:
    """Return a fresh round for the choice; None once it has all of its rounds, or no choice gets any more.

    The choice is that of every other figure: what the fresh rounds hold takes part only once they are all
    made, when it may refuse the choice. Then the next one gets rounds of its own.
    """
    profile = run.header.profile
    metric = metrics.objective_metric(profile.objective, profile.limits)
    load, rounds = load_of(metric), confirm_rounds_allowed(profile.policy)
    if load is None or not rounds:
        return None
    summary = summarize(run)
    found = choose(summary, profile.objective, profile.limits)
    made = confirm_rounds(run)
    given_up = {one.configuration for one in remaining(run).given_up}
    if found.id is None or found.id in given_up:
        return None
    # A runner-up that came up later, by rounds that the user allowed, is to be met in fresh rounds too.
    rival = {found.runner_up} - {*given_up} if found.runner_up else set[str]()
    again = summary.again.get(found.id)
    if again is not None and min(together(again, {found.id, *rival}), fresh_made(summary, again)) >= rounds:
        return None
    if found.id not in made and len(made) >= CHOICES:
        return None
    ids = compared(summary, metric, found.id, found.runner_up)
    return Focused(
        round=round,
        purpose="confirm",
        load=load,
        configurations=tuple(id for id in ids if id not in given_up),
        questions=(f"whether {found.id} holds in {rounds} fresh rounds",),
    )
