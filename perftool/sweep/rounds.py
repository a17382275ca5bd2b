"""The visits of every round: planned, repeated, extra and under open load, each in its random order. Pure.

What a run still has to do besides is `remaining`'s; which extra rounds there are is decided by `focus`.
"""

import random
from collections.abc import Iterator
from statistics import median

from msgspec import Struct

from perftool.analysis.effort import percentile_allowed, repeats_left
from perftool.analysis.evidence import disturbed, throughput_fps
from perftool.analysis.stats import samples_needed
from perftool.record import Focused, Offered, Record, Run, Visited
from perftool.spec import Closed, Configuration, Load, Offer, Open, Policy, Profile, Visit
from perftool.sweep.plan import loads


class VisitLeft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A visit still to be made. A child of an earlier `generation` is to be replaced by a fresh one."""

    configuration: Configuration
    load: Load
    round: int
    position: int
    generation: int


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
    for record in records:
        if isinstance(record, Visited):
            made.setdefault((record.configuration, record.load, record.round), []).append(record)
    budget = repeats_left(run)
    for visits in _all_rounds(profile, planned, records):
        left = [visit for visit in visits if _key(visit) not in made]
        for visit in visits:
            before = made.get(_key(visit), [])
            if len(before) == 1 and disturbed(before[0]) and budget > 0:
                left.append(visit)
                budget -= 1
        yield tuple(left)


def _key(visit: VisitLeft) -> tuple[str, Load, int]:
    return visit.configuration.id, visit.load, visit.round


def _all_rounds(
    profile: Profile, planned: tuple[Configuration, ...], records: list[Record]
) -> Iterator[tuple[VisitLeft, ...]]:
    """Yield every round that was planned or decided on, whole."""
    for number in range(profile.policy.rounds):
        yield order(planned, profile, number)
    for focus in (record for record in records if isinstance(record, Focused)):
        chosen = [one for one in planned if one.id in focus.configurations]
        pairs: list[tuple[Configuration, Load]] = [(one, focus.load) for one in chosen]
        yield _shuffled(pairs, profile, focus.round, f"{profile.seed}/{focus.round}")


def open_rounds_left(
    run: Run, planned: tuple[Configuration, ...], records: list[Record]
) -> Iterator[tuple[VisitLeft, ...]]:
    """Yield what is left of each round of open load: every share of every configuration's throughput."""
    profile = run.header.profile
    offered = {(r.configuration, r.load, r.round) for r in records if isinstance(r, Offered)}
    fastest = {one.id: _capacity(one.id, profile.policy.rounds, records) for one in planned}
    for number in range(profile.policy.rounds):
        pairs: list[tuple[Configuration, Load]] = []
        for share in profile.policy.open_shares:
            for one in planned:
                if capacity := fastest[one.id]:
                    # Rounded, so that a rate reads like one. The seed is the round's: all meet the same gaps.
                    rate = float(f"{share * capacity:.3g}")
                    pairs.append((one, Open(rate_fps=rate, seed=profile.seed + number)))
        visits = _shuffled(pairs, profile, number, f"{profile.seed}/{number}/open")
        yield tuple(visit for visit in visits if _key(visit) not in offered)


def _capacity(configuration: str, rounds: int, records: list[Record]) -> float | None:
    """Return the throughput that the profile's own rounds measured: extra ones must not move the rates."""
    speeds = [
        throughput_fps(record)
        for record in records
        if isinstance(record, Visited)
        and record.configuration == configuration
        and isinstance(record.load, Closed)
        and record.round < rounds
        and not disturbed(record)
    ]
    return median(speeds) if speeds else None


def _shuffled(
    pairs: list[tuple[Configuration, Load]], profile: Profile, round: int, seed: str
) -> tuple[VisitLeft, ...]:
    """Put the visits of a round into a random order, the same for the same seed."""
    draw = random.Random(seed)
    return _placed(sorted(pairs, key=lambda _: draw.random()), profile, round)


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


def visit_job(visit: VisitLeft, run: Run) -> Visit | Offer:
    """Return the job that makes a visit."""
    policy = run.header.profile.policy
    if isinstance(visit.load, Open):
        return Offer(
            load=visit.load,
            round=visit.round,
            position=visit.position,
            visit_seconds=policy.visit_seconds,
            arrivals=open_arrivals(run),
            warmup_ceiling_seconds=policy.warmup_ceiling_seconds,
        )
    return Visit(
        load=visit.load,
        round=visit.round,
        position=visit.position,
        visit_seconds=policy.visit_seconds,
        completions_per_request=policy.completions_per_request,
        warmup_ceiling_seconds=policy.warmup_ceiling_seconds,
    )


def open_arrivals(run: Run) -> int:
    """Return the arrivals of one window: as many as the percentile takes over all rounds, where allowed."""
    profile = run.header.profile
    if not percentile_allowed(run):
        return profile.policy.open_arrivals
    needed = -(-samples_needed(profile.limits.percentile) // profile.policy.rounds)
    return max(profile.policy.open_arrivals, needed)
