"""Four ways to search a simulated surface, and which configuration each would choose at any moment.

They decide with perftool's own parts: a race by `analysis.racing`, proposals by `sweep.proposing`. The
objective is throughput; a race keeps the Pareto front of throughput and latency too. The choice is always the
best median among what was visited most.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.simulated import Array
from benchmarks.surfaces import LONG, SHORT, Machine, streams_of
from perftool.analysis.racing import Field, race
from perftool.sweep.proposing import Proposer

Chosen = NDArray[np.int64]

ROUNDS = 6
SHORT_ROUNDS = 2
EXTRA_ROUNDS = 12
INCARNATIONS = 2
TRIALS = 100
#: How many a random search visits again.
FINALISTS = 12
#: The streams that the two hints are taken to resolve to.
_HINTED = (1, 16)
_NOBODY: Chosen = np.empty(0, dtype=np.int64)


class Trace(Struct, frozen=True, kw_only=True):
    """What a search would have chosen: from each of these seconds on, the configuration of this number.

    `kept` are those that it had not dropped at its end.
    """

    seconds: Array
    chosen: Chosen
    compiling: float
    measuring: float
    kept: Chosen

    def at(self, seconds: Array) -> Chosen:
        """Return the choice at each time; -1 before the first."""
        place = np.searchsorted(self.seconds, seconds, side="right") - 1
        return np.where(place >= 0, self.chosen[place], -1)


class Search:
    """A search under way: the speeds that it saw, a column for each round, and its choices over time."""

    def __init__(self, machine: Machine, rng: np.random.Generator) -> None:
        self.machine = machine
        self.seen = np.empty((len(machine.surface.throughput), 0))
        self._rng = rng
        self._seconds: list[Array] = []
        self._chosen: list[Chosen] = []

    def round(self, short: Chosen, long: Chosen) -> None:
        """Visit these in random order, some shortly and some long."""
        generation = self.seen.shape[1] * INCARNATIONS // ROUNDS
        order = self._rng.permutation(np.concatenate([short, long]))
        speeds, ends = np.empty(len(order)), np.empty(len(order))
        # When a visit ends is asked of the first round alone, and in that all are of one length.
        for how, those in ((SHORT, np.isin(order, short)), (LONG, np.isin(order, long))):
            if those.any():
                speeds[those], ends[those] = self.machine.visit(order[those], how, generation)
        self.add(order, speeds, ends)

    def add(self, order: Chosen, speeds: Array, ends: Array) -> None:
        """Add a round; where it is the first, the best so far is the choice after every visit."""
        if not self._chosen:
            best = np.maximum.accumulate(speeds)
            better = np.concatenate([[True], speeds[1:] > best[:-1]])
            self._note(ends[better], order[better])
        column = np.full((len(self.seen), 1), np.nan)
        column[order, 0] = speeds
        self.seen = np.concatenate([self.seen, column], axis=1)

    def choose(self, kept: Chosen) -> None:
        """Note the best median among those kept with the most visits as the choice from now on."""
        visits = np.sum(~np.isnan(self.seen[kept]), axis=1)
        most = kept[visits == visits.max()]
        best = most[np.argmax(np.nanmedian(self.seen[most], axis=1))]
        self._note(np.array([self.machine.seconds]), np.array([best]))

    def trace(self, kept: Chosen) -> Trace:
        """Return what was chosen over time."""
        return Trace(
            seconds=np.concatenate(self._seconds),
            chosen=np.concatenate(self._chosen),
            compiling=self.machine.compiling,
            measuring=self.machine.measuring,
            kept=kept,
        )

    def _note(self, seconds: Array, chosen: Chosen) -> None:
        self._seconds.append(seconds)
        self._chosen.append(chosen)


def by_race(machine: Machine, rng: np.random.Generator, seed: int, extra: int = EXTRA_ROUNDS) -> Trace:
    """Race all of them, with some extra rounds at the most."""
    search = Search(machine, rng)
    everything = np.arange(len(search.seen))
    search.round(everything, _NOBODY)
    return _raced(search, everything, extra)


def by_grid(machine: Machine, rng: np.random.Generator, seed: int) -> Trace:
    """Visit everything in every round."""
    search = Search(machine, rng)
    everything = np.arange(len(search.seen))
    for _ in range(ROUNDS):
        search.round(_NOBODY, everything)
        search.choose(everything)
    return search.trace(everything)


def by_chance(machine: Machine, rng: np.random.Generator, seed: int) -> Trace:
    """Visit everything once, in random order, then the best few again and again."""
    search = Search(machine, rng)
    search.round(_NOBODY, np.arange(len(search.seen)))
    best = np.argsort(-search.seen[:, 0])[:FINALISTS]
    for _ in range(1, ROUNDS + EXTRA_ROUNDS):
        search.round(_NOBODY, best)
        search.choose(best)
    return search.trace(best)


def by_proposals(machine: Machine, rng: np.random.Generator, seed: int, trials: int = TRIALS) -> Trace:
    """Visit what the model proposes in so many trials, once and shortly, then race that."""
    configurations = machine.surface.configurations
    number = {one.id: place for place, one in enumerate(configurations)}
    proposer = Proposer(configurations, seed, trials)
    hinted = {
        (one.precision, streams_of(one)): one.id
        for one in reversed(configurations)
        if one.batch == 1 and streams_of(one) in _HINTED
    }
    proposer.seed_with(hinted.values())
    visits: list[tuple[int, float, float]] = []
    while proposal := proposer.propose():
        one = number[proposal.configuration]
        speed, end = machine.visit(np.array([one]), SHORT)
        proposer.tell(proposal.configuration, float(speed[0]))
        visits.append((one, float(speed[0]), float(end[0])))
    order, speeds, ends = (np.array(column) for column in zip(*visits, strict=True))
    search = Search(machine, rng)
    search.add(order, speeds, ends)
    return _raced(search, order, EXTRA_ROUNDS)


def _raced(search: Search, kept: Chosen, extra: int) -> Trace:
    """Race these on, after a first round of short visits, by the rules of a sweep.

    A second short round; then long visits to what may win, short ones to what only the Pareto front is kept
    for; after the rounds, extra ones among those that may win, until one is left.
    """
    kept, winning, front = _look(search, kept)
    for round in range(1, ROUNDS + extra):
        search.choose(kept)
        if round >= ROUNDS and len(winning) == 1:
            break
        if round < SHORT_ROUNDS:
            search.round(kept, _NOBODY)
        else:
            search.round(front if round < ROUNDS else _NOBODY, winning)
        kept, winning, front = _look(search, kept)
    search.choose(kept)
    return search.trace(kept)


def _look(search: Search, kept: Chosen) -> tuple[Chosen, Chosen, Chosen]:
    """Look at a race once; return what is kept, and of that what may win and what only the front wants."""
    speeds = search.seen[kept]
    # By Little's law a latency is what is in flight over the speed, so both are as noisy, and together.
    in_flight = np.log(search.machine.surface.latency * search.machine.surface.throughput)[kept]
    nothing = np.empty((len(kept), 0))
    none = nothing.astype(bool)
    timed = (speeds, speeds - in_flight[:, None])
    outcome = race(Field(timed=timed, fixed=nothing, fixed_at_most=nothing, keeps=none, misses=none))
    alive, may_win = outcome.dropped_by < 0, outcome.beaten_by < 0
    return kept[alive], kept[alive & may_win], kept[alive & ~may_win]


METHODS: dict[str, Callable[[Machine, np.random.Generator, int], Trace]] = {
    "race": by_race,
    "grid": by_grid,
    "random": by_chance,
    "tpe": by_proposals,
}
