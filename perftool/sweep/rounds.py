"""The visits of every round under closed loads: planned, repeated and extra, each in its random order. Pure.

What a run still has to do besides is `remaining`'s; which extra rounds there are is decided by `focus`; open
load is `open_rounds`'s.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, structs

from perftool.analysis.effort import repeats_left
from perftool.analysis.evidence import disturbed
from perftool.job import Offer, Visit
from perftool.journal import Focused, Readmitted, Record, Run, Started
from perftool.record import Offered, Visited
from perftool.spec import Closed, Configuration, Load, Open, Policy, Profile
from perftool.sweep.plan import loads


class VisitLeft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A visit still to be made. A child of another `generation` is to be replaced by a fresh one.

    `arrivals` are those of an open load's window, 0 for another load. `confirms` tells that it is of a
    round that confirms a choice.
    """

    configuration: Configuration
    load: Load
    round: int
    position: int
    generation: int
    arrivals: int = 0
    confirms: bool = False


def order(configurations: tuple[Configuration, ...], profile: Profile, round: int) -> tuple[VisitLeft, ...]:
    """Return all visits of a round in its random order, the same for the same seed, round and plan.

    The loads of one configuration follow each other, in random order too: its child is then switched to once.
    """
    draw = random.Random(f"{profile.seed}/{round}")
    pairs: list[tuple[Configuration, Load]] = [
        (configuration, load)
        for configuration in sorted(configurations, key=lambda _: draw.random())
        for load in sorted(loads(configuration, profile), key=lambda _: draw.random())
    ]
    return _placed(pairs, profile, round)


def rounds_left(
    run: Run, planned: tuple[Configuration, ...], records: list[Record]
) -> Iterator[tuple[VisitLeft, ...]]:
    """Yield what is left of each round, the profile's and then the extra ones."""
    profile = run.header.profile
    made: dict[tuple[str, Load, int], list[Visited]] = {}
    latest = past = 0
    for record in records:
        if isinstance(record, Visited):
            made.setdefault((record.configuration, record.load, record.round), []).append(record)
            latest = max(latest, record.round)
        elif isinstance(record, Readmitted):
            past = latest + 1
    budget = repeats_left(run)
    before_stop = _before_stop(records)
    for visits in _all_rounds(profile, planned, records):
        # Whatever is measured belongs beside its round's other visits: once a later one has begun it is too
        # late, for what a race takes up again as for a repeat. Rounds are added instead (see `completing`).
        if not visits or visits[0].round < max(latest, past):
            continue
        left = [visit for visit in visits if key(visit) not in made]
        for visit in visits if visits[0].round not in before_stop else ():
            before = made.get(key(visit), [])
            if len(before) == 1 and disturbed(before[0]) and budget > 0:
                left.append(visit)
                budget -= 1
        yield tuple(left)


def _before_stop(records: Iterable[Record]) -> frozenset[int]:
    """Return the rounds with visits that were made before the run was last started."""
    rounds: set[int] = set()
    before: frozenset[int] = frozenset()
    for record in records:
        if isinstance(record, Started):
            before = frozenset(rounds)
        elif isinstance(record, Visited):
            rounds.add(record.round)
    return before


def key(visit: VisitLeft) -> tuple[str, Load, int]:
    """Return what tells one visit from another, its repeats apart."""
    return visit.configuration.id, visit.load, visit.round


def _all_rounds(
    profile: Profile, planned: tuple[Configuration, ...], records: list[Record]
) -> Iterator[tuple[VisitLeft, ...]]:
    """Yield every round that was planned or decided on, whole."""
    for number in range(profile.policy.rounds):
        yield order(planned, profile, number)
    fresh = fresh_generations(profile.policy, records)
    for focus in (record for record in records if isinstance(record, Focused)):
        chosen = [one for one in planned if one.id in focus.configurations]
        if focus.purpose == "complete":
            yield order(tuple(chosen), profile, focus.round)
            continue
        # Where one request is in flight anyway the closed load is the same, and what its rounds are made of.
        pairs: list[tuple[Configuration, Load]] = [
            (one, focus.load if focus.load in loads(one, profile) else Closed()) for one in chosen
        ]
        placed = shuffled(pairs, profile, focus.round, f"{profile.seed}/{focus.round}")
        if focus.round in fresh:
            later = fresh[focus.round]
            placed = tuple(structs.replace(visit, generation=later, confirms=True) for visit in placed)
        yield placed


def shuffled(
    pairs: list[tuple[Configuration, Load]],
    profile: Profile,
    round: int,
    seed: str,
    *,
    anew: bool = False,
) -> tuple[VisitLeft, ...]:
    """Put the visits of a round into a random order, the same for the same seed.

    Rounds that are counted `anew`, after the profile's own, have processes of their own.
    """
    draw = random.Random(seed)
    placed = _placed(sorted(pairs, key=lambda _: draw.random()), profile, round)
    if not anew:
        return placed
    later = generation(profile.policy.rounds + round, profile.policy)
    return tuple(structs.replace(visit, generation=later) for visit in placed)


def _placed(pairs: list[tuple[Configuration, Load]], profile: Profile, round: int) -> tuple[VisitLeft, ...]:
    """Number the visits of a round. The draws before it use Random.random() alone.

    No other method of it is promised to be the same in every version of Python.
    """
    return tuple(
        VisitLeft(
            configuration=configuration,
            load=load,
            round=round,
            position=position,
            generation=generation(round, profile.policy),
        )
        for position, (configuration, load) in enumerate(pairs)
    )


def generation(round: int, policy: Policy) -> int:
    """Return which generation of children measures a round: `incarnations` equal shares of the rounds.

    Extra rounds go on at the same pace, so that no process's luck decides by being looked at longer.
    """
    return round * policy.incarnations // policy.rounds


def fresh_generations(policy: Policy, records: Iterable[Record]) -> dict[int, int]:
    """Return the generation of children for each round that confirms, below zero: no other round has those.

    Every choice has its own, in equal shares of its rounds as `incarnations` has it. So whatever is measured
    in between, by visits that the user allowed later, say, neither lends them a process nor takes one over.
    """
    found: dict[int, int] = {}
    made: Counter[str] = Counter()
    shares: dict[tuple[str, int], int] = {}
    for record in records:
        if isinstance(record, Focused) and record.purpose == "confirm":
            choice = record.configurations[0]
            share = made[choice] * policy.incarnations // policy.confirm_rounds
            found[record.round] = shares.setdefault((choice, share), -1 - len(shares))
            made[choice] += 1
    return found


def generation_of(visit: Visited | Offered, policy: Policy, fresh: Mapping[int, int]) -> int:
    """Return the generation of children that a visit was made in, given those of the rounds that confirm."""
    if isinstance(visit, Offered):
        return generation(policy.rounds + visit.round, policy)
    return fresh[visit.round] if visit.round in fresh else generation(visit.round, policy)


def visit_job(visit: VisitLeft, policy: Policy, seconds: float | None = None) -> Visit | Offer:
    """Return the job that makes a visit, in a window of `seconds` where a race makes it shorter."""
    if isinstance(visit.load, Open):
        return Offer(
            load=visit.load,
            round=visit.round,
            position=visit.position,
            visit_seconds=policy.visit_seconds,
            arrivals=visit.arrivals,
            warmup_ceiling_seconds=policy.warmup_ceiling_seconds,
        )
    return Visit(
        load=visit.load,
        round=visit.round,
        position=visit.position,
        visit_seconds=policy.visit_seconds if seconds is None else min(seconds, policy.visit_seconds),
        completions_per_request=policy.completions_per_request
        if seconds is None
        else policy.scout_completions,
        warmup_ceiling_seconds=policy.warmup_ceiling_seconds,
    )
