"""The visits of a sweep's open load: shares of every configuration's throughput, round by round. Pure.

They follow the rounds of the closed loads, whose throughput they are shares of.
"""

from collections.abc import Collection, Iterator
from itertools import count
from statistics import median

from perftool.analysis.effort import percentile_allowed, repeats_left
from perftool.analysis.evidence import disturbed, speaking, throughput_fps
from perftool.analysis.stats import samples_needed
from perftool.journal import Record, Run
from perftool.record import Offered, Visited
from perftool.spec import Closed, Configuration, Load, Open
from perftool.sweep.rates import BURST_OVER_WINDOW, enough
from perftool.sweep.rounds import VisitLeft, key, shuffled

_Made = dict[tuple[str, Load, int], list[Offered]]


def open_rounds_left(
    run: Run, planned: tuple[Configuration, ...], records: list[Record], gone: Collection[str] = ()
) -> Iterator[tuple[VisitLeft, ...]]:
    """Yield what is left of each round of open load; repeats of disturbed ones at the end of the last.

    The profile's rounds come first. Where the user allowed it more follow for the rates whose arrivals do not
    carry the percentile yet; which those are shows once a round is done. What is `gone` is visited no more.
    """
    rounds = run.header.profile.policy.rounds
    made: _Made = {}
    for record in records:
        if isinstance(record, Offered):
            made.setdefault((record.configuration, record.load, record.round), []).append(record)
    latest = max((round for _, _, round in made), default=0)
    capacities = {one.id: _capacity(one.id, rounds, records) for one in planned}
    budget = repeats_left(run)
    for number in count():
        drawn = _round(run, planned, capacities, made, number)
        visits = [visit for visit in drawn if visit.configuration.id not in gone]
        left = [visit for visit in visits if key(visit) not in made]
        for visit in visits if number >= latest else ():
            before = made.get(key(visit), [])
            if len(before) == 1 and disturbed(before[0]) and budget > 0:
                left.append(visit)
                budget -= 1
        yield tuple(left)
        if number >= rounds - 1 and (left or not visits):
            return
        if number >= rounds and not percentile_allowed(run):
            return


def window_seconds(visit: VisitLeft) -> float:
    """Return how long a burst of open load takes with its warm-up; 0 for another load."""
    if not isinstance(visit.load, Open):
        return 0.0
    return BURST_OVER_WINDOW * visit.arrivals * visit.configuration.batch / visit.load.rate_fps


def _round(
    run: Run,
    planned: tuple[Configuration, ...],
    capacities: dict[str, float | None],
    made: _Made,
    number: int,
) -> tuple[VisitLeft, ...]:
    """Return all visits of one round, in its random order."""
    profile = run.header.profile
    pairs: list[tuple[Configuration, Load]] = []
    arrivals: dict[tuple[str, Load], int] = {}
    for share in profile.policy.open_shares:
        for one in planned:
            if capacity := capacities[one.id]:
                # Rounded, so that a rate reads like one. The seed is the round's: all meet the same gaps.
                load = Open(rate_fps=float(f"{share * capacity:.3g}"), seed=profile.seed + number)
                if number < profile.policy.rounds or _is_short(run, one, load, made, number):
                    pairs.append((one, load))
                    arrivals[one.id, load] = _arrivals(run, one, load.rate_fps, capacity)
    return tuple(
        VisitLeft(
            configuration=visit.configuration,
            load=visit.load,
            round=visit.round,
            position=visit.position,
            generation=visit.generation,
            arrivals=arrivals[visit.configuration.id, visit.load],
        )
        for visit in shuffled(pairs, profile, number, f"{profile.seed}/{number}/open", anew=True)
    )


def _is_short(run: Run, one: Configuration, load: Open, made: _Made, number: int) -> bool:
    """Tell whether a rate's arrivals in the rounds before do not carry the percentile, though they may."""
    if not percentile_allowed(run):
        return False
    found = sum(
        len(record.latencies_ns)
        for (id, its, round), records in made.items()
        for record in records
        if id == one.id and isinstance(its, Open) and its.rate_fps == load.rate_fps and round < number
    )
    return found < samples_needed(run.header.profile.limits.percentile)


def _arrivals(run: Run, one: Configuration, rate_fps: float, capacity_fps: float) -> int:
    """Return the arrivals of one window.

    Where rates are what the choice is about, as many as an interval takes over all rounds, as far as the
    profile's longest window holds them.
    """
    profile = run.header.profile
    policy, percentile = profile.policy, profile.limits.percentile
    least = policy.open_arrivals
    if percentile_allowed(run):
        least = max(least, -(-samples_needed(percentile) // policy.rounds))
    if profile.objective != "rate":
        return least
    wanted = -(-enough(rate_fps, capacity_fps, percentile, one.batch) // policy.rounds)
    longest = int(policy.open_seconds * rate_fps / one.batch)
    return max(least, min(wanted, longest))


def _capacity(configuration: str, rounds: int, records: list[Record]) -> float | None:
    """Return the throughput that the profile's own rounds measured before any open load.

    What is measured later must not move the rates that were offered already.
    """
    visits = []
    for record in records:
        if isinstance(record, Offered):
            break
        if isinstance(record, Visited) and record.configuration == configuration and record.round < rounds:
            visits.append(record)
    speeds = [throughput_fps(visit) for visit in speaking(visits, Closed)]
    return median(speeds) if speeds else None
