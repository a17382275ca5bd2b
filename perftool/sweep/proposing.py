"""Propose which configuration a search visits next, for spaces too large to visit all of them.

Optuna's tree-structured Parzen estimator proposes a point, from the scores of what was visited (Bergstra and
others, Algorithms for Hyper-Parameter Optimization, NIPS 2011). Not every combination exists, so what is
taken is the nearest configuration that was not visited yet. First come the hints' own configurations, then
some at random.

Every proposal follows from the seed and the journal alone, so `rebuild` goes on where a run was stopped.
Nothing here visits, and nothing is written. Optuna is an extra; it is imported when a Proposer is made.
"""

import math
import random
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from perftool.analysis.contest import by_visit
from perftool.analysis.limits import judge
from perftool.analysis.metrics import objective_metric
from perftool.analysis.passing import judgeable
from perftool.analysis.result import Summary
from perftool.errors import PerftoolError, UsageError
from perftool.journal import ATTEMPTS, MEASURING, Proposed, Record, Run, Twin
from perftool.record import Compiled, Failed, Visited
from perftool.spec import Configuration, Limits, Objective
from perftool.sweep.remaining import planned, unprepared
from perftool.sweep.space import dimensions, distances, hinted

#: How many are scored before the model proposes: those that come nearest to the hints, then some at random.
STARTUP = 10
#: What a miss as large as its limit costs: as much as being e^10 times worse on the objective.
MISS_COSTS = 10.0
_LARGEST_MISS = 10.0

Source = Literal["hint", "random", "model"]


class Proposal(NamedTuple):
    """A configuration to visit, and where the proposal came from."""

    configuration: str
    source: Source


class Proposer:
    """Proposes each of a run's explicit configurations once at the most, the promising ones first."""

    def __init__(self, configurations: tuple[Configuration, ...], seed: int, trials: int) -> None:
        """Begin a study that makes `trials` proposals at the most; raises UsageError without Optuna."""
        self._optuna = import_optuna()
        self._seed, self._trials = seed, trials
        draw = random.Random(f"{seed}/proposals")
        # Shuffled once: of several that are equally near the first is taken, and no value shall be preferred.
        self._configurations = tuple(sorted(configurations, key=lambda _: draw.random()))
        self._numbers = {one.id: number for number, one in enumerate(self._configurations)}
        self._dimensions = dimensions(self._configurations)
        self._distributions = {
            one.name: self._distribution(one.levels, one.ordered) for one in self._dimensions
        }
        self._study = self._optuna.create_study(direction="maximize", sampler=self._sampler(0))
        self._open = np.ones(len(self._configurations), dtype=bool)
        self._told: set[str] = set()
        self._proposals: dict[str, Source] = {}
        self._seeds: list[str] = []
        self._scored = self._twins = 0

    def seed_with(self, ids: Iterable[str]) -> None:
        """Have these proposed before any others, in this order."""
        self._seeds.extend(ids)

    def tell(self, id: str, score: float | None) -> None:
        """Say how good a configuration is: larger is better, a logarithm; None for one that failed.

        Only what is said first counts; a configuration is not proposed after it.
        """
        if id in self._told:
            return
        self._told.add(id)
        number = self._close(id)
        state = self._optuna.trial.TrialState
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=state.FAIL if score is None else state.COMPLETE,
                value=score,
                params={one.name: int(one.places[number]) for one in self._dimensions},
                distributions=self._distributions,
            )
        )
        self._scored += score is not None

    def propose(self) -> Proposal | None:
        """Return the next configuration to visit; None when enough were proposed, or nothing is left."""
        if len(self._proposals) - self._twins >= self._trials or not self._open.any():
            return None
        seed = next((id for id in self._seeds if self._open[self._numbers[id]]), None)
        if seed is not None:
            proposal = Proposal(seed, "hint")
        elif self._scored < STARTUP:
            proposal = Proposal(self._drawn(), "random")
        else:
            proposal = Proposal(self._nearest(self._asked()), "model")
        self.take(proposal)
        return proposal

    def take(self, proposal: Proposal) -> None:
        """Note a proposal that was made, here or before."""
        self._close(proposal.configuration)
        self._proposals[proposal.configuration] = proposal.source

    def take_twin(self, id: str, score: float | None) -> None:
        """Note that a configuration is the same as another, of this score, and takes no visit of its own."""
        self._twins += id in self._proposals and id not in self._told
        self._close(id)
        if score is not None:
            self.tell(id, score)

    def leave_out(self, ids: Iterable[str]) -> None:
        """Never propose these, which says nothing of how good they are."""
        for id in ids:
            self._close(id)

    def _close(self, id: str) -> int:
        number = self._numbers[id]
        self._open[number] = False
        return number

    def _drawn(self) -> str:
        """Draw one that was not visited. Only random() gives the same in every version of Python."""
        left = np.flatnonzero(self._open)
        place = random.Random(f"{self._seed}/{len(self._proposals)}").random() * len(left)
        return self._configurations[int(left[int(place)])].id

    def _asked(self) -> dict[str, int]:
        """Ask the model for a point. The trial is dropped: what is told is what is taken."""
        self._study.sampler = self._sampler(len(self._proposals))
        asked = self._study.ask(self._distributions)
        self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)
        places: dict[str, int] = asked.params
        return places

    def _nearest(self, places: Mapping[str, int]) -> str:
        """Return the configuration nearest to a point among those that were not visited."""
        left = np.flatnonzero(self._open)
        far = distances(self._dimensions, places, left)
        return self._configurations[int(left[np.argmin(far)])].id

    def _distribution(self, levels: int, ordered: bool) -> Any:
        if ordered:
            return self._optuna.distributions.IntDistribution(0, levels - 1)
        return self._optuna.distributions.CategoricalDistribution(tuple(range(levels)))

    def _sampler(self, number: int) -> Any:
        """Return a fresh sampler for each question: its draws depend on the seed and the number alone."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Some versions call `multivariate` experimental.
            return self._optuna.samplers.TPESampler(
                n_startup_trials=STARTUP,
                multivariate=True,
                constant_liar=False,
                seed=(self._seed + number) % 2**32,
            )


def rebuild(run: Run, scores: Mapping[str, float]) -> Proposer:
    """Replay a journal: what was proposed, visited, given up or found to be a twin, in this order.

    `scores` is what `scores_of` says of everything measured so far. Raises UsageError without Optuna.
    """
    records = [entry.record for entry in run.entries]
    plan = planned(run)
    if plan is None:
        raise PerftoolError("this run's journal holds no plan yet")
    explicit = tuple(one for one in plan.configurations if not one.baseline)
    baselines = {one.id: one.device for one in plan.configurations if one.baseline}
    profile = run.header.profile
    proposer = Proposer(explicit, profile.seed, profile.policy.trials)
    compiled = (record for record in records if isinstance(record, Compiled))
    proposer.seed_with(hinted(explicit, baselines, compiled))
    _replay(proposer, records, {one.id for one in explicit}, scores)
    not_prepared = unprepared(records)
    proposer.leave_out(one.id for one in explicit if one.weight_format in not_prepared)
    return proposer


def scores_of(summary: Summary, objective: Objective, limits: Limits) -> dict[str, float]:
    """Return the score of every configuration that was measured: larger is better.

    That is the logarithm of the objective, less ten times the largest miss of a limit, relative to the limit:
    what misses a limit is worse than all that keep it, and the less the nearer it comes. An objective that
    single visits do not show is stood for as in a race; none is scored where nothing can stand for it.
    """
    metric = by_visit(objective, objective_metric(objective, limits))
    judged, _ = judgeable(summary, limits)
    scores: dict[str, float] = {}
    for one in summary.configurations:
        value = metric.value(one) if metric is not None and one.status == "ok" else None
        if metric is not None and value is not None and value > 0:
            good = math.log(value) if metric.better == "higher" else -math.log(value)
            scores[one.id] = good - MISS_COSTS * min(judge(one, judged).excess, _LARGEST_MISS)
    return scores


def import_optuna() -> Any:
    """Return the module `optuna`, told to be quiet; raises UsageError where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "optuna":
            raise UsageError("--search tpe takes Optuna: pip install 'perftool[search]'") from None
        raise UsageError(f"--search tpe takes Optuna, which cannot be loaded here ({error})") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _replay(
    proposer: Proposer, records: list[Record], explicit: set[str], scores: Mapping[str, float]
) -> None:
    """Tell a proposer what a journal says of the explicit configurations."""
    failures: Counter[str] = Counter()
    for record in records:
        match record:
            case Proposed(configuration=id, source=source):
                proposer.take(Proposal(id, source))
            case Visited(configuration=id) if id in explicit and id in scores:
                proposer.tell(id, scores[id])
            case Twin(configuration=id, of=other) if id in explicit:
                proposer.take_twin(id, scores.get(other))
            case Failed(subject=id, stage=stage) if id in explicit and stage in MEASURING:
                failures[id] += 1
                if failures[id] == ATTEMPTS:
                    proposer.tell(id, None)
            case _:
                pass
