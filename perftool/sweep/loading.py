"""Offer one configuration requests at given rates, or search for the highest rate that keeps a bound.

A run of its own kind, in a folder with a journal like a sweep's: one child, the closed loop first, then one
burst of open load after the other; every answer goes into the journal at once. Statistics are `analysis`'s.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TypeVar

import msgspec
from msgspec import Struct

from perftool.analysis.evidence import median_latency_ms, throughput_fps
from perftool.analysis.open_load import rate_points
from perftool.analysis.result import RatePoint
from perftool.analysis.stats import samples_needed
from perftool.bench.isolate import Child, expect, refuse
from perftool.errors import UsageError
from perftool.model.dataset import images_for
from perftool.record import (
    Compiled,
    Failed,
    Finished,
    Header,
    Offered,
    Planned,
    Prepared,
    Progress,
    Record,
    Started,
    Visited,
)
from perftool.spec import (
    Arrivals,
    Closed,
    Compile,
    Configuration,
    Images,
    Job,
    Offer,
    Open,
    Profile,
    Sync,
    Visit,
)
from perftool.sweep.locks import hold
from perftool.sweep.plan import plan
from perftool.sweep.run import INPUTS, Watcher, first, model_path, new_header, prepare, probe
from perftool.sweep.store import Journal, create

#: The curve, where nothing else is asked for: shares of the closed loop's throughput.
SHARES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
#: A rate's window lasts this long at least, in seconds, unless the user says otherwise.
LEAST_SECONDS = 10.0
#: The closed loop is visited this often: the fewest that carry an interval.
CLOSED_VISITS = 6
CLOSED_SECONDS = 1.0
#: A search tries this many rates at most ...
MOST_RATES = 12
#: ... until the answer is enclosed this closely, as a share of the upper end.
CLOSE_ENOUGH = 0.05
#: Below this share of the closed loop's throughput hardly a request waits: what misses there, misses alone.
LOWEST_SHARE = 0.1
#: More than this many times the closed loop's throughput is not offered: nothing is learnt from it.
HIGHEST_SHARE = 10.0
#: A burst with its warm-up over its window.
BURST_OVER_WINDOW = 1.25

_Wanted = TypeVar("_Wanted", Compiled, Visited, Offered)


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked: given rates (images/s), else a search for the bound's rate, else the curve.

    Bound and percentile stand in the profile's limits. `seconds` is the least length of a window; None takes
    as long as the percentile's samples do, which a search always does.
    """

    rates: tuple[float, ...] = ()
    search: bool = False
    arrivals: Arrivals = "poisson"
    requests: int | None = None
    seconds: float | None = None


class LoadWatcher(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who looks on. `doing` takes what is running, the seconds it has run and the seconds until the end."""

    stages: Watcher
    say: Callable[[str], None]
    doing: Callable[[str, float, float], None]


def load(profile: Profile, question: Question, folder: Path, watcher: LoadWatcher) -> None:
    """Measure the one configuration of a profile under open load, into a new folder.

    Raises UsageError for a configuration that the device cannot run, what `sweep.run.sweep` raises for bad
    input, missing and busy devices, and PerftoolError for a job that failed. What was measured until an error
    or Ctrl-C is in the folder's journal.
    """
    header = new_header(profile)
    calibration, images = images_for(profile)
    devices = probe(profile.grids[0].devices, watcher.stages)
    made = only_one(plan(profile, header.host, devices), question.requests)
    configuration = made.configurations[0]
    with hold((configuration.device,)):
        prepared = prepare(profile, configuration.weight_format, calibration, watcher.stages)
        if isinstance(prepared, Failed):
            raise refuse(prepared)
        with create(folder, header) as journal:
            watcher.say(f"run folder: {folder}")
            for record in (made, prepared, Started(pid=os.getpid())):
                journal.append(record)
            with _Bench(journal, header, configuration, watcher) as bench:
                bench.compile(prepared, images)
                bench.answer(question)
            journal.append(Finished())


def only_one(made: Planned, requests: int | None) -> Planned:
    """Return a plan of its explicit configuration alone, with other requests in flight where asked for."""
    explicit = [one for one in made.configurations if not one.baseline]
    if not explicit:
        raise UsageError(next(left.reason for left in made.left_out if not left.configuration.baseline))
    one = explicit[0]
    if requests is not None and requests != one.requests:
        one = msgspec.structs.replace(one, id=f"{one.id}-r{requests}", requests=requests)
    return Planned(configurations=(one,), left_out=(), devices=made.devices, canary="")


# ---------------------------------------------------------------- which rates


def arrivals_of(question: Question, percentile: int) -> int:
    """Return the least arrivals of a window."""
    return 1 if question.seconds is not None and not question.search else samples_needed(percentile)


def window_seconds(question: Question, percentile: int, rate_fps: float, batch: int) -> float:
    """Return how long a rate's window lasts, as far as the chance of arrivals does not change it."""
    least = LEAST_SECONDS if question.seconds is None else question.seconds
    return max(least, arrivals_of(question, percentile) * batch / rate_fps)


def next_rate(
    points: tuple[RatePoint, ...], capacity_fps: float, percentile: int, bound_ms: float
) -> float | None:
    """Return the rate that a search tries next; None when it is over.

    The answer lies between the highest rate up to which all hold (0 at first) and the lowest that misses or
    overloads (at first the closed loop's throughput, more than which cannot be served). The middle is tried,
    until the two are within `CLOSE_ENOUGH`, or `MOST_RATES` were tried, or even a rate at which hardly a
    request waits has missed. A rate that gave no answer is stepped round, downwards.
    """
    if len(points) >= MOST_RATES:
        return None
    answers = {point.rate_fps: _holds(point, percentile, bound_ms) for point in points}
    missing = min((rate for rate, holds in answers.items() if holds is False), default=capacity_fps)
    holding = max((rate for rate, holds in answers.items() if holds and rate < missing), default=0.0)
    if holding == 0 and missing <= LOWEST_SHARE * capacity_fps:
        return None
    high = missing
    while high - holding > CLOSE_ENOUGH * missing:
        middle = float(f"{(holding + high) / 2:.4g}")
        if middle not in answers:
            return middle
        high = middle
    return None


def _holds(point: RatePoint, percentile: int, bound_ms: float) -> bool | None:
    """Tell whether a rate keeps the bound; None where it gave no answer."""
    if point.refusal == "overloaded":
        return False
    found = point.percentile(percentile)
    return None if found is None else found.point <= bound_ms


# ---------------------------------------------------------------- measuring


class _Bench:
    """The one child of a run, and what it has answered. A context manager."""

    def __init__(
        self, journal: Journal, header: Header, configuration: Configuration, watcher: LoadWatcher
    ) -> None:
        self._journal = journal
        self._profile = header.profile
        self._configuration = configuration
        self._watcher = watcher
        self._offered: list[Offered] = []
        self._doing, self._since, self._until = "", time.monotonic(), time.monotonic()
        logs = journal.folder / "logs"
        logs.mkdir(exist_ok=True)
        self._child = Child(logs / f"{configuration.id}.log", self._look)

    def __enter__(self) -> "_Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()

    def compile(self, prepared: Prepared, images: Images) -> None:
        """Compile the configuration."""
        self._say(f"{self._configuration.id}: compiling", 3.0)
        job = Compile(
            configuration=self._configuration,
            model_path=str(model_path(prepared)),
            inputs=first(images, INPUTS),
            incarnation=0,
        )
        self._ask(job, Compiled, self._profile.policy.compile_timeout_seconds)

    def answer(self, question: Question) -> None:
        """Visit the closed loop, then offer what the question asks for."""
        limits = self._profile.limits
        capacity = median(throughput_fps(self._visit(Closed(), at)) for at in range(CLOSED_VISITS))
        self._watcher.say(f"{self._configuration.id}: {capacity:.4g} images/s in the closed loop")
        if question.search:
            assert limits.slo_ms is not None, "a search goes with a bound"
            if median_latency_ms(self._visit(Sync(), CLOSED_VISITS)) > limits.slo_ms:
                return
            self._search(question, capacity, limits.percentile, limits.slo_ms)
            return
        rates = question.rates or tuple(float(f"{share * capacity:.4g}") for share in SHARES)
        if (highest := max(rates)) > HIGHEST_SHARE * capacity:
            raise UsageError(
                f"--rate: {highest:g} images/s are more than {HIGHEST_SHARE:g} times the {capacity:.4g} of the "
                "closed loop: nothing is learnt from that"
            )
        lasts = [self._lasts(question, rate) for rate in rates]
        for index, rate in enumerate(rates):
            part = f", rate {index + 1} of {len(rates)}" if len(rates) > 1 else ""
            self._offer(question, rate, part, sum(lasts[index:]))

    def _search(self, question: Question, capacity: float, percentile: int, bound_ms: float) -> None:
        offered = 0
        points: tuple[RatePoint, ...] = ()
        while (rate := next_rate(points, capacity, percentile, bound_ms)) is not None:
            offered += 1
            part = f", rate {offered} of {MOST_RATES} at most"
            self._offer(question, rate, part, self._lasts(question, rate))
            points = rate_points(self._offered)

    def _lasts(self, question: Question, rate: float) -> float:
        batch, percentile = self._configuration.batch, self._profile.limits.percentile
        return BURST_OVER_WINDOW * window_seconds(question, percentile, rate, batch)

    def _offer(self, question: Question, rate: float, part: str, seconds: float) -> None:
        """Offer one rate; `seconds` are left until all is done. Each rate draws gaps of its own."""
        self._say(f"{self._configuration.id} at {rate:.4g} images/s{part}", seconds)
        number, policy = len(self._offered), self._profile.policy
        percentile = self._profile.limits.percentile
        job = Offer(
            load=Open(rate_fps=rate, arrivals=question.arrivals, seed=self._profile.seed + number),
            round=number,
            position=0,
            visit_seconds=LEAST_SECONDS if question.seconds is None else question.seconds,
            arrivals=arrivals_of(question, percentile),
            warmup_ceiling_seconds=policy.warmup_ceiling_seconds,
        )
        # A server that falls behind is given up after the whole schedule's length again.
        longest = 3 * self._lasts(question, rate) + policy.visit_timeout_seconds
        self._offered.append(self._ask(job, Offered, longest))

    def _visit(self, load: Closed | Sync, number: int) -> Visited:
        how = "in the closed loop" if isinstance(load, Closed) else "one request alone"
        self._say(f"{self._configuration.id}, {how}", CLOSED_SECONDS * max(1, CLOSED_VISITS - number))
        policy = self._profile.policy
        job = Visit(
            load=load,
            round=number,
            position=0,
            visit_seconds=CLOSED_SECONDS,
            completions_per_request=policy.completions_per_request,
            warmup_ceiling_seconds=policy.warmup_ceiling_seconds,
        )
        return self._ask(job, Visited, policy.visit_timeout_seconds)

    def _ask(self, job: Job, kind: type[_Wanted], stall_seconds: float) -> _Wanted:
        """Have the child do a job, and write its answer down, a failure too, before anything else."""
        answer = self._child.ask(job, stall_seconds)
        if isinstance(answer, Compiled | Visited | Offered | Failed):
            record: Record = answer
            self._journal.append(record)
        return expect(answer, kind)

    def _say(self, doing: str, seconds: float) -> None:
        now = time.monotonic()
        self._doing, self._since, self._until = doing, now, now + seconds
        self._look(None)

    def _look(self, progress: Progress | None) -> None:
        now = time.monotonic()
        self._watcher.doing(self._doing, now - self._since, max(0.0, self._until - now))


def announcement(question: Question, percentile: int, rates: tuple[float, ...], batch: int) -> Iterator[str]:
    """Yield, for a user who waits, how long the rates will take."""
    raise NotImplementedError
