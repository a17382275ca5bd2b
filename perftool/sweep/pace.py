"""Estimate how long a run still takes, from how long its own entries took. Pure.

For display alone: no decision is taken on it.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from statistics import fmean

from msgspec import structs

from perftool.analysis.confirmation import load_of
from perftool.analysis.effort import confirm_rounds_allowed, extra_visits, extra_visits_allowed
from perftool.analysis.evidence import confirm_rounds
from perftool.analysis.metrics import objective_metric
from perftool.journal import Entry, Proposed, Record, Run, Started
from perftool.record import Compiled, Evaluated, LayersTimed, Offered, Prepared, Visited
from perftool.spec import Open
from perftool.sweep.completing import rounds_short
from perftool.sweep.layering import layers_to_come
from perftool.sweep.open_rounds import open_rounds_left, window_seconds
from perftool.sweep.peaks import peaks_left
from perftool.sweep.plan import loads, wants_open_load
from perftool.sweep.remaining import Remaining, planned, remaining
from perftool.sweep.rounds import VisitLeft, fresh_generations, generation_of
from perftool.sweep.searching import is_race, proposals_due

#: What the first of each kind is taken to last, in seconds.
FIRST_GUESS: dict[type[Record], float] = {Prepared: 20.0, Evaluated: 30.0, Compiled: 3.0}
#: A visit with its warm-up over its window, before any was made.
VISIT_OVER_WINDOW = 1.4
#: Measuring a device's peaks, with the compiling, over the seconds that it is given.
PEAKS_OVER_SECONDS = 1.4
#: The share of a wide space that a race keeps after a round, while there is much to drop.
KEPT = 0.4
#: A choice is confirmed beside its runner-up and the best in f32; the baselines come on top.
_CONFIRMED_TOGETHER = 3


def seconds_left(run: Run) -> float:
    """Return the seconds that a run is likely to need still.

    The whole budget of extra visits is included, and the fresh rounds of one choice.
    """
    left = _likely(run, remaining(run))
    policy = run.header.profile.policy
    visits = [visit for visits in left.rounds for visit in visits]
    proposals = _proposals_to_come(run)
    if wants_open_load(run.header.profile):
        visits += _open_to_come(run, visits)
    closed = [visit for visit in visits if not isinstance(visit.load, Open)]
    extra = max(0, extra_visits_allowed(run) - extra_visits(run))
    added = _completing_to_come(run, left)
    again, compiled_again = _confirming_to_come(run)
    return (
        len(peaks_left(run)) * policy.peak_seconds * PEAKS_OVER_SECONDS
        + len(left.prepare) * _mean(run, (Prepared,), FIRST_GUESS[Prepared])
        + len(left.evaluations) * _mean(run, (Evaluated,), FIRST_GUESS[Evaluated])
        + (len(closed) + added + extra + again + proposals)
        * _mean(run, (Visited,), policy.visit_seconds * VISIT_OVER_WINDOW)
        + sum(map(window_seconds, visits))
        + (compiles_left(run, left) + compiled_again + proposals)
        * _mean(run, (Compiled,), FIRST_GUESS[Compiled])
        + layers_to_come(run) * _mean(run, (LayersTimed,), _layering_seconds(run))
    )


def _layering_seconds(run: Run) -> float:
    """Return how long it takes to time the layers of a configuration, which is compiled twice for that."""
    return 2 * (run.header.profile.policy.layer_seconds + _mean(run, (Compiled,), FIRST_GUESS[Compiled]))


def _likely(run: Run, left: Remaining) -> Remaining:
    """Leave out as many visits of later rounds as a race is likely to drop before it comes to them."""
    if not is_race(run.header.profile):
        return left
    last = run.header.profile.policy.rounds - 1
    rounds = [
        visits[: ceil(len(visits) * KEPT ** min(ahead, 2))] if visits[0].round <= last else visits
        for ahead, visits in enumerate(left.rounds)
    ]
    return structs.replace(left, rounds=tuple(rounds))


def _proposals_to_come(run: Run) -> int:
    """Return how many configurations a search by proposals has still to visit, at the most."""
    profile, plan = run.header.profile, planned(run)
    if plan is None or not proposals_due(run):
        return 0
    made = sum(isinstance(entry.record, Proposed) for entry in run.entries)
    return max(0, min(profile.policy.trials, len(plan.configurations)) - made)


def _open_to_come(run: Run, visits: list[VisitLeft]) -> list[VisitLeft]:
    """Return the visits under open load that follow the rounds, at the rates that are known so far."""
    plan = planned(run)
    if plan is None or any(isinstance(visit.load, Open) for visit in visits):
        return []
    records = [entry.record for entry in run.entries]
    return [visit for left in open_rounds_left(run, plan.configurations, records) for visit in left]


def _completing_to_come(run: Run, left: Remaining) -> int:
    """Return the visits of rounds that are added since others, which are past, do not hold everything."""
    profile = run.header.profile
    configurations, short = rounds_short(run, left)
    ahead = sum(visits[0].round < profile.policy.rounds for visits in left.rounds)
    return max(0, short - ahead) * sum(len(loads(one, profile)) for one in configurations)


def _confirming_to_come(run: Run) -> tuple[int, int]:
    """Return the visits and the processes of the fresh rounds that are not decided on yet.

    They are those of one choice: that it will be refused, and another be tried, nobody knows.
    """
    profile, plan = run.header.profile, planned(run)
    rounds = confirm_rounds_allowed(profile.policy)
    metric = objective_metric(profile.objective, profile.limits)
    if plan is None or load_of(metric) is None or not rounds:
        return 0, 0
    begun = list(confirm_rounds(run).values())
    made = len(begun[-1]) if begun else 0
    if begun:
        visited = len(begun[-1][-1].configurations)
    else:
        baselines = Counter(one.device for one in plan.configurations if one.baseline)
        others = sum(not one.baseline for one in plan.configurations)
        visited = min(others, _CONFIRMED_TOGETHER) + max(baselines.values(), default=0)
    shares = profile.policy.incarnations
    starts = {number * shares // rounds: number for number in reversed(range(rounds))}
    return max(0, rounds - made) * visited, sum(number >= made for number in starts.values()) * visited


def share_done(run: Run, left: float) -> float:
    """Return the share of a run's whole duration that is behind it, when `left` seconds are still to come."""
    spent = sum(seconds for _, seconds in _durations(run.entries))
    return spent / (spent + left) if spent + left > 0 else 1.0


def compiles_left(run: Run, left: Remaining) -> int:
    """Count the processes still to come: each configuration is compiled once per generation and session.

    Generations that a configuration had no visit in are skipped, so that counting its processes would not do.
    """
    policy = run.header.profile.policy
    records = [entry.record for entry in run.entries]
    fresh = fresh_generations(policy, records)
    warm: dict[str, int] = {}
    for record in records:
        if isinstance(record, Started):
            warm.clear()
        elif isinstance(record, Visited | Offered):
            warm[record.configuration] = generation_of(record, policy, fresh)
    compiles = 0
    for visit in (visit for visits in left.rounds for visit in visits):
        compiles += warm.get(visit.configuration.id) != visit.generation
        warm[visit.configuration.id] = visit.generation
    return compiles


def _mean(run: Run, kinds: tuple[type[Record], ...], guess: float) -> float:
    seen = [seconds for record, seconds in _durations(run.entries) if isinstance(record, kinds)]
    return fmean(seen) if seen else guess


def _durations(entries: tuple[Entry, ...]) -> Iterator[tuple[Record, float]]:
    """Yield each record with the seconds since the entry before it; pauses between sessions do not count."""
    for before, entry in pairwise(entries):
        if not isinstance(entry.record, Started):
            yield entry.record, (entry.at_ns - before.at_ns) / 1e9
