"""What a search decides between visits: which configurations a race drops, which one is proposed next. Pure.

A race's rules are `analysis.contest`'s and `analysis.racing`'s; proposals are `proposing`'s.
"""

from pathlib import Path

from perftool.analysis import metrics
from perftool.analysis.choose import choose
from perftool.analysis.contest import by_visit, contest
from perftool.analysis.limits import bounds
from perftool.analysis.metrics import objective_metric
from perftool.analysis.passing import judgeable, verdicts_of
from perftool.analysis.searched import unproposed
from perftool.analysis.stats import MIN_VISITS
from perftool.analysis.summary import summarize
from perftool.bench import energy
from perftool.errors import UsageError
from perftool.journal import Focused, Proposed, Raced, Readmitted, Run, Twin
from perftool.record import Compiled, Visited
from perftool.spec import Configuration, Explicit, Profile
from perftool.sweep.proposing import import_optuna, rebuild, scores_of
from perftool.sweep.remaining import left_behind, planned
from perftool.sweep.rounds import VisitLeft

#: The first rounds of a race, in which every visit is short.
SCOUTING = 2
#: The metrics that are read off energy counters.
_OF_ENERGY = frozenset({metrics.ENERGY.name, metrics.EFFICIENCY.name})
#: How many may win, at the most, for each of their visits to be a long one.
LONG_VISITS = 8


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


def readmitted(run: Run) -> Readmitted | None:
    """Return what a race takes up again, once nothing is left to do; None where nothing is.

    What it was dropped for failed since, missed a limit, or was refused in fresh rounds: then it may be the
    choice, and as many rounds as it missed are added, of all that are still in.
    """
    if not is_race(run.header.profile):
        return None
    profile, summary = run.header.profile, summarize(run)
    judged, _ = judgeable(summary, profile.limits)
    metric = objective_metric(profile.objective, profile.limits)
    refused = {one.id for one in choose(summary, profile.objective, profile.limits).refused}
    _, reasons = verdicts_of(summary, profile.objective, metric, judged, refused)
    ids = tuple(one.id for one in summary.configurations if one.dropped and one.id not in reasons)
    return Readmitted(configurations=ids) if ids else None


def check_searchable(profile: Profile) -> None:
    """Raise UsageError where proposals cannot be made: without Optuna, or with nothing to score."""
    if profile.search != "tpe":
        return
    import_optuna()
    if by_visit(profile.objective, objective_metric(profile.objective, profile.limits)) is None:
        raise UsageError(
            "--search tpe takes an objective that every visit shows, and these weights are on figures that "
            "it does not: use --search grid"
        )


def check_measurable(profile: Profile, root: Path = Path("/")) -> None:
    """Raise UsageError where this machine has no data for what the choice is made by: energy counters.

    `root` is where the kernel shows them.
    """
    wanted = list(profile.objective) if isinstance(profile.objective, dict) else [profile.objective]
    asked = [f"the objective {name}" for name in wanted if name in _OF_ENERGY]
    asked += [
        f"a limit on {metric.name}" for metric, _ in bounds(profile.limits) if metric.name in _OF_ENERGY
    ]
    if asked and energy.read(root) is None:
        raise UsageError(
            f"{asked[0]} takes the processors' energy counters, and here there are none to read "
            f"({energy.missing(root)}): nothing could be recommended; see perftool doctor"
        )


def proposals_due(run: Run) -> bool:
    """Tell whether a search by proposals may still make some."""
    records = [entry.record for entry in run.entries]
    later = any(isinstance(one, Raced) or (isinstance(one, Visited) and one.round > 0) for one in records)
    return run.header.profile.search == "tpe" and not later


def next_proposal(run: Run, rounds: tuple[tuple[VisitLeft, ...], ...]) -> Proposed | None:
    """Return the next configuration that a search by proposals visits, once the last one was.

    None for another search, and when enough were proposed. Raises UsageError without Optuna.
    """
    profile = run.header.profile
    if not proposals_due(run) or (rounds and rounds[0][0].round == 0):
        return None
    scores = scores_of(summarize(run), profile.objective, profile.limits)
    proposal = rebuild(run, scores).propose()
    return proposal and Proposed(configuration=proposal.configuration, source=proposal.source)


def race_seconds(run: Run, visit: VisitLeft) -> float | None:
    """Return how long the window of a race's visit is; None where it is as long as any other's.

    Scouts are short, and so are visits to what cannot win any more. After the scouting a round takes as long
    as `LONG_VISITS` long visits, shared among all that may win: the fewer remain, the longer each is visited.
    """
    profile, plan = run.header.profile, planned(run)
    policy = profile.policy
    records = [entry.record for entry in run.entries]
    focused = next((one for one in records if isinstance(one, Focused) and one.round == visit.round), None)
    if not is_race(profile) or plan is None or (focused is not None and focused.purpose != "complete"):
        return None
    raced = next((record for record in reversed(records) if isinstance(record, Raced)), None)
    front = raced.front if raced else ()
    if visit.round < SCOUTING or visit.configuration.baseline or visit.configuration.id in front:
        return policy.scout_seconds
    out = left_behind(records) | unproposed(run, plan) | set(front)
    winning = sum(not one.baseline and one.id not in out for one in plan.configurations)
    if winning <= LONG_VISITS:
        return None
    return max(policy.scout_seconds, policy.visit_seconds * LONG_VISITS / winning)


def twin(run: Run, configuration: Configuration, compiled: Compiled) -> Twin | None:
    """Return the record that a configuration without visits is one that has some, for all one can tell."""
    plan = planned(run)
    visited = {entry.record.configuration for entry in run.entries if isinstance(entry.record, Visited)}
    if plan is None or not isinstance(configuration.setting, Explicit) or configuration.id in visited:
        return None
    others = {
        one.id: one for one in plan.configurations if isinstance(one.setting, Explicit) and one.id in visited
    }
    for entry in run.entries:
        other = entry.record
        if not isinstance(other, Compiled) or other.configuration not in others:
            continue
        before = others[other.configuration]
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
