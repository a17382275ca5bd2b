"""What a search decides between visits: which configurations a race drops, which one is proposed next. Pure.

A race's rules are `analysis.contest`'s and `analysis.racing`'s; proposals are `proposing`'s.
"""

from perftool.analysis.contest import contest
from perftool.analysis.stats import MIN_VISITS
from perftool.analysis.summary import summarize
from perftool.journal import Proposed, Raced, Run, Twin
from perftool.record import Compiled, Visited
from perftool.spec import Configuration, Explicit, Profile
from perftool.sweep.proposing import rebuild, scores_of
from perftool.sweep.remaining import planned
from perftool.sweep.rounds import VisitLeft

#: The first rounds of a race, in which every visit is short.
SCOUTING = 2


def is_race(profile: Profile) -> bool:
    """Tell whether a profile's configurations race; with fewer rounds than carry an interval none does."""
    return profile.search != "grid" and profile.policy.rounds >= MIN_VISITS


def race_due(run: Run, rounds: tuple[tuple[VisitLeft, ...], ...]) -> int | None:
    """Return the round that a race is to decide after: the last one, where the next has not begun."""
    profile = run.header.profile
    if not is_race(profile) or not rounds:
        return None
    following = rounds[0][0].round
    if not 0 < following < profile.policy.rounds:
        return None
    records = [entry.record for entry in run.entries]
    begun = any(isinstance(one, Visited) and one.round >= following for one in records)
    decided = any(isinstance(one, Raced) and one.round >= following - 1 for one in records)
    return None if begun or decided else following - 1


def decide(run: Run, round: int) -> Raced:
    """Return what the race drops after a round."""
    profile = run.header.profile
    summary = summarize(run)
    candidates = [one for one in summary.configurations if one.status == "ok" and one.dropped is None]
    drops, front = contest(summary, profile.objective, profile.limits, candidates)
    return Raced(round=round, drops=drops, front=front)


def next_proposal(run: Run, rounds: tuple[tuple[VisitLeft, ...], ...]) -> Proposed | None:
    """Return the next configuration that a search by proposals visits, once the last one was.

    None for another search, and when enough were proposed. Raises UsageError without Optuna.
    """
    profile = run.header.profile
    if profile.search != "tpe" or (rounds and rounds[0][0].round == 0):
        return None
    records = [entry.record for entry in run.entries]
    if any(isinstance(one, Raced) or (isinstance(one, Visited) and one.round > 0) for one in records):
        return None
    scores = scores_of(summarize(run), profile.objective, profile.limits)
    proposal = rebuild(run, scores).propose()
    return proposal and Proposed(configuration=proposal.configuration, source=proposal.source)


def is_short(run: Run, visit: VisitLeft) -> bool:
    """Tell whether a visit of a race is a short one: scouting, or to what cannot win any more."""
    profile = run.header.profile
    if not is_race(profile) or visit.round >= profile.policy.rounds:
        return False
    if visit.round < SCOUTING or visit.configuration.baseline:
        return True
    raced = next((e.record for e in reversed(run.entries) if isinstance(e.record, Raced)), None)
    return raced is not None and visit.configuration.id in raced.front


def twin(run: Run, configuration: Configuration, compiled: Compiled) -> Twin | None:
    """Return the record that a configuration without visits is one that has some, for all one can tell."""
    plan = planned(run)
    visited = {entry.record.configuration for entry in run.entries if isinstance(entry.record, Visited)}
    if plan is None or not isinstance(configuration.setting, Explicit) or configuration.id in visited:
        return None
    explicit = {one.id: one for one in plan.configurations if isinstance(one.setting, Explicit)}
    for entry in run.entries:
        other = entry.record
        if not isinstance(other, Compiled) or other.configuration not in visited & explicit.keys():
            continue
        before = explicit[other.configuration]
        if _what_runs(before, other) == _what_runs(configuration, compiled):
            return Twin(configuration=configuration.id, of=before.id)
    return None


def _what_runs(configuration: Configuration, compiled: Compiled) -> tuple[object, ...]:
    """Return all that a compiled configuration's figures can depend on.

    A hint does nothing but fill in what is not stated, and all that it may fill in is resolved: what is read
    back of it says only how it came to that.
    """
    resolved = {name: value for name, value in compiled.resolved.items() if name != "PERFORMANCE_HINT"}
    return (
        configuration.device,
        configuration.weight_format,
        configuration.batch,
        compiled.requests,
        resolved,
        compiled.executed,
    )
