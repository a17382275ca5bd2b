"""Offer one configuration requests at given rates, or search for the highest rate that keeps a bound.

A run of its own kind, in a folder with a journal like a sweep's: one child, the closed loop first, then one
burst of open load after the other; every answer goes into the journal at once. Statistics are `analysis`'s.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import msgspec
from msgspec import Struct

from perftool.analysis.evidence import median_latency_ms, throughput_fps
from perftool.analysis.open_load import rate_points, said
from perftool.analysis.result import RatePoint
from perftool.bench.isolate import Child, expect, refuse
from perftool.errors import UsageError
from perftool.images.dataset import images_for
from perftool.job import Compile, Job, Offer, Visit
from perftool.journal import Finished, Header, Planned, Record, Started
from perftool.record import Compiled, Failed, Offered, Prepared, Progress, Visited
from perftool.spec import Closed, Configuration, Images, Open, Profile, Sync
from perftool.sweep.locks import hold
from perftool.sweep.plan import is_batching, plan
from perftool.sweep.preparing import INPUTS, Watcher, first, model_path, new_header, prepare, probe
from perftool.sweep.rates import (
    HIGHEST_SHARE,
    LEAST_SECONDS,
    MOST_RATES,
    SHARES,
    Burst,
    Forecast,
    Question,
    arrivals_of,
    burst_seconds,
    forecast,
    next_burst,
    rounded,
)
from perftool.sweep.store import Journal, check_free, create

#: The closed loop is visited this often: the fewest that carry an interval.
CLOSED_VISITS = 6
CLOSED_SECONDS = 1.0
#: One request alone is visited this often: a single slow visit must not call the bound out of reach.
ALONE_VISITS = 3
_Wanted = TypeVar("_Wanted", Compiled, Visited, Offered)


class LoadWatcher(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who looks on: `doing` takes what is running, the seconds since the start and until the end."""

    stages: Watcher
    say: Callable[[str], None]
    forecast: Callable[[Forecast], None]
    doing: Callable[[str, float, float], None]


def load(profile: Profile, question: Question, folder: Path, watcher: LoadWatcher) -> None:
    """Measure the one configuration of a profile under open load, into a new folder.

    Raises UsageError for a configuration that the device cannot run, what `sweep.run.sweep` raises for bad
    input, missing and busy devices, and PerftoolError for a job that failed. What was measured until an error
    or Ctrl-C is in the folder's journal.
    """
    check_free(folder)
    header = new_header(profile)
    if question.rates:
        watcher.forecast(forecast(question, profile, question.rates))
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
        self._began = time.monotonic()
        self._doing, self._until = "", self._began
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
        capacity = median(throughput_fps(self._visit(Closed(), at)) for at in range(CLOSED_VISITS))
        self._watcher.say(f"{self._configuration.id}: {said(capacity)} images/s in the closed loop")
        if question.search:
            self._search(question, capacity)
            return
        rates = question.rates
        if not rates:
            rates = tuple(rounded(share * capacity) for share in SHARES)
            self._watcher.forecast(forecast(question, self._profile, rates))
        if (highest := max(rates)) > HIGHEST_SHARE * capacity:
            raise UsageError(
                f"--rate: {said(highest)} images/s are more than {HIGHEST_SHARE:g} times the closed loop's "
                f"{said(capacity)}: nothing is learnt from that"
            )
        lasts = forecast(question, self._profile, rates).seconds
        for index, rate in enumerate(rates):
            part = f", rate {index + 1} of {len(rates)}" if len(rates) > 1 else ""
            burst = Burst(rate_fps=rate, arrivals=arrivals_of(question, self._profile.limits.percentile))
            self._offer(question, burst, part, sum(lasts[index:]))

    def _search(self, question: Question, capacity: float) -> None:
        limits = self._profile.limits
        assert limits.slo_ms is not None, "a search goes with a bound"
        # A lone request on a BATCH device waits for others: what it misses says nothing of higher rates.
        if not is_batching(self._configuration.device):
            alone = [median_latency_ms(self._visit(Sync(), CLOSED_VISITS + at)) for at in range(ALONE_VISITS)]
            if median(alone) > limits.slo_ms:
                return
        points: tuple[RatePoint, ...] = ()
        batch = self._configuration.batch
        while (burst := next_burst(points, capacity, limits.percentile, limits.slo_ms, batch)) is not None:
            if not points:
                self._watcher.forecast(forecast(question, self._profile, (burst.rate_fps,), burst.arrivals))
            part = f", rate {len(points) + 1} of {MOST_RATES} at most"
            seconds = burst_seconds(question, burst.arrivals, burst.rate_fps, batch)
            self._offer(question, burst, part, seconds)
            points = rate_points(self._offered, capacity)

    def _offer(self, question: Question, burst: Burst, part: str, seconds: float) -> None:
        """Offer one rate; `seconds` are left until all is done. Each burst draws gaps of its own."""
        rate = burst.rate_fps
        self._say(f"{self._configuration.id} at {said(rate)} images/s{part}", seconds)
        number, policy = len(self._offered), self._profile.policy
        job = Offer(
            load=Open(rate_fps=rate, arrivals=question.arrivals, seed=self._profile.seed + number),
            round=number,
            position=0,
            visit_seconds=LEAST_SECONDS if question.seconds is None else question.seconds,
            arrivals=burst.arrivals,
            warmup_ceiling_seconds=policy.warmup_ceiling_seconds,
        )
        # A server that falls behind gives up when it is a whole schedule late.
        longest = 3 * burst_seconds(question, burst.arrivals, rate, self._configuration.batch)
        self._offered.append(self._ask(job, Offered, longest + policy.visit_timeout_seconds))

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
        self._doing, self._until = doing, time.monotonic() + seconds
        self._look(None)

    def _look(self, progress: Progress | None) -> None:
        now = time.monotonic()
        self._watcher.doing(self._doing, now - self._began, max(0.0, self._until - now))
