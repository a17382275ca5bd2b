"""How much speed does each way to search lose, in what time? On simulated surfaces, whose best is known."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks.options import RAW, Options
from benchmarks.progress import say
from benchmarks.regret import TIMES, Curves, draw
from benchmarks.searches import EXTRA_ROUNDS, FINALISTS, METHODS, ROUNDS, TRIALS, by_proposals, by_race
from benchmarks.simulated import Array, generator
from benchmarks.surfaces import LONG, OUTLIERS, SHORT, SPACES, SPREADS, Machine, Surface, draw_surface
from benchmarks.tables import header, row

TITLE = "Searching a space"
QUESTION = (
    "Which way to search finds a configuration that is as good as the best, and how long does it take? "
    "Simulated response surfaces, shaped like a two-socket server of 64 cores, of about 60 to 5,000 "
    "configurations. Regret is how much throughput the choice loses against the true optimum; time is that "
    "of the simulated machine, compiling and measuring together. Aim: at the end of a race, no more than "
    "5 % of runs with a regret above 1 %."
)
PICTURE = Path("docs") / "benchmarks" / "search-regret.png"
RUNS = 200
SURFACES = 10
#: The noise that the picture shows.
DRAWN = "loaded"
#: Regret up to this is none that matters.
GOOD = 0.01
EXTRAS = (0, 12, 24, 48)
#: The sizes, by their place among SPACES, on which extra rounds are tried; and more trials, in fewer runs.
_TRIED = (0, 1)
LARGE = (2, 3)
MORE_TRIALS = (100, 200)
FEWER_RUNS = 60


class Job(Struct, frozen=True, kw_only=True):
    """One run: a space by its place, a noise, a way to search; a race's extra rounds, the trials of tpe."""

    space: int
    noise: str
    method: str
    number: int
    extra: int = EXTRA_ROUNDS
    trials: int = TRIALS


class Found(Struct, frozen=True, kw_only=True):
    """What a run came to: its regret at each of TIMES (1 before there is a choice) and at its end.

    `lost` is the regret of the best that it had not dropped. Seconds are the simulated machine's.
    """

    regret: Array
    final: float
    lost: float
    compiling: float
    measuring: float


def run(options: Options) -> Iterator[str]:
    """Yield the method, the table of all searches, what extra rounds buy; draw the picture."""
    runs, spaces = (4, (0, 1)) if options.quick else (RUNS, tuple(range(len(SPACES))))
    found: dict[tuple[int, str, str], list[Found]] = {}
    with ProcessPoolExecutor(2) as pool:
        for space in spaces:
            for noise in OUTLIERS:
                for method in METHODS:
                    say(f"search: {_size(space):,} configurations, {noise}, {method}")
                    jobs = [Job(space=space, noise=noise, method=method, number=n) for n in range(runs)]
                    found[space, noise, method] = list(pool.map(carry_out, jobs, chunksize=4))
        picture = PICTURE if options.write else RAW / PICTURE.name
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(draw(_curves(found)))
        yield from _method(runs)
        yield f"![Regret over time]({PICTURE.relative_to('docs')})"
        yield ""
        yield (
            f"Regret over time, *{DRAWN}*: the band holds 90 % of the runs of the row's search, from the 5th "
            "to the 95th percentile; the lines are the medians of all four."
        )
        yield ""
        yield from _table(found)
        yield ""
        yield from _extra_rounds(pool, runs)
        yield ""
        yield from _more_trials(pool, min(runs, FEWER_RUNS), (1,) if options.quick else LARGE)


def carry_out(job: Job) -> Found:
    """Search once, with a surface, noise and order of this run's own; the methods share the surfaces."""
    surface = _surface(job.space, job.number % SURFACES)
    names = (job.space, job.noise, job.method, job.number)
    machine = Machine(surface, job.noise, generator("noise", *names))
    order = generator("order", *names)
    if job.method == "race":
        trace = by_race(machine, order, job.number, job.extra)
    elif job.method == "tpe":
        trace = by_proposals(machine, order, job.number, job.trials)
    else:
        trace = METHODS[job.method](machine, order, job.number)
    chosen = trace.at(TIMES)
    return Found(
        regret=np.where(chosen >= 0, surface.regret(chosen), 1.0),
        final=float(surface.regret(trace.chosen[-1:])[0]),
        lost=float(surface.regret(trace.kept).min()),
        compiling=trace.compiling,
        measuring=trace.measuring,
    )


@cache
def _surface(space: int, seed: int) -> Surface:
    return draw_surface(SPACES[space].configurations(), seed)


def _size(space: int) -> int:
    return len(SPACES[space].configurations())


def _curves(found: dict[tuple[int, str, str], list[Found]]) -> list[Curves]:
    """Return, for each size, the regret over time of every run under the noise that is drawn, by method."""
    columns: dict[int, dict[str, Array]] = {}
    for (space, noise, method), runs in found.items():
        if noise == DRAWN:
            columns.setdefault(_size(space), {})[method] = np.array([one.regret for one in runs])
    return [Curves(size=size, regret=regret) for size, regret in columns.items()]


def _method(runs: int) -> Iterator[str]:
    """Yield how it is simulated."""
    yield (
        "Throughput of a surface: precisions 1 : 2 : 3.6, a batch that saturates, Amdahl's law inside a "
        "stream, memory bandwidth and cache that streams share, a step where a stream spans both sockets, "
        "pinning and hyper-threading that help here and hurt there, and a random interaction of each pair of "
        "fields (2 % each). Latency is by Little's law. A visit's speed spreads by "
        f"{100 * SPREADS[0]:g} to {100 * SPREADS[1]:g} %, drawn for each surface, a short visit's by "
        f"{SHORT.spread:g} times that, and a share of visits is slower: *spiky*: 15 %, by a factor of 1 + an "
        "exponential of mean 0.3; *loaded*: 30 %, mean 0.2. A visit takes its warm-up and its window; "
        "compiling takes one to three seconds, the first time and again in a second process."
    )
    yield ""
    yield (
        f"*race*: two rounds of short visits to all ({SHORT.seconds:g} s, {SHORT.completions} completions a "
        f"request), then long ones ({LONG.seconds:g} s, {LONG.completions}) to what may win and short ones "
        "to what the Pareto front of throughput and latency keeps; `racing.race` drops after each; "
        f"{ROUNDS} rounds, and up to {EXTRA_ROUNDS} more among what may win. *grid*: {ROUNDS} rounds of long "
        "visits to all. *random*: one long visit to all in random order, then "
        f"{ROUNDS + EXTRA_ROUNDS - 1} more to the best {FINALISTS}. *tpe*: {TRIALS} proposals, a short visit "
        "each, then a race among these. The choice is the best median among what has the most visits; in "
        "the first round the best so far."
    )
    yield ""
    yield f"{runs} runs for each line, on {SURFACES} surfaces of a size, each with its own noise and order."
    yield ""


def _table(found: dict[tuple[int, str, str], list[Found]]) -> Iterator[str]:
    """Yield a line for each size, noise and method."""
    yield from header(
        "configurations, noise, search",
        "1 % in half of the runs, s",
        "in 90 % of the runs, s",
        *_ENDS,
        "compiling, s",
        "measuring, s",
    )
    for (space, noise, method), runs in found.items():
        good = np.mean([one.regret <= GOOD for one in runs], axis=0)
        yield row(
            f"{_size(space):,}, {noise}, {method}",
            _reached(good, 0.5),
            _reached(good, 0.9),
            *_ends(runs),
            *(
                f"{np.median([getattr(one, what) for one in runs]):,.0f}"
                for what in ("compiling", "measuring")
            ),
        )
    yield ""
    yield (
        "*1 % in half of the runs*: from then on at least half of the runs would choose one with a regret of "
        "at most 1 %. *Best was lost*: even the best that was kept has a regret above 1 %: a race dropped "
        "all better ones, tpe never visited them, random did not have them among its few. Seconds are "
        "medians."
    )


_ENDS = (
    "regret at the end, median, %",
    "95 % of runs at most, %",
    "runs above 1 %, %",
    "best was lost, %",
)


def _ends(runs: list[Found]) -> Iterable[str]:
    """Return how runs ended: regret in the median and in 95 %, how many above 1 %, how many had lost it."""
    final, lost = (np.array([getattr(one, what) for one in runs]) for what in ("final", "lost"))
    yield f"{100 * np.median(final):.1f}"
    yield f"{100 * np.quantile(final, 0.95):.1f}"
    yield f"{100 * np.mean(final > GOOD):.1f}"
    yield f"{100 * np.mean(lost > GOOD):.1f}"


def _reached(share: Array, wanted: float) -> str:
    """Return the time from which on a share is kept."""
    short = np.flatnonzero(share < wanted)
    if not len(short):
        return f"{TIMES[0]:.0f}"
    return "never" if short[-1] == len(TIMES) - 1 else f"{TIMES[short[-1] + 1]:,.0f}"


def _extra_rounds(pool: ProcessPoolExecutor, runs: int) -> Iterator[str]:
    """Yield what extra rounds of a race buy."""
    yield "### Extra rounds of a race"
    yield ""
    yield from header("configurations, noise, extra rounds at most", *_ENDS, "time, s")
    for space in _TRIED:
        for noise in OUTLIERS:
            for extra in EXTRAS:
                say(f"search: {_size(space):,} configurations, {noise}, {extra} extra rounds")
                jobs = [
                    Job(space=space, noise=noise, method="race", number=number, extra=extra)
                    for number in range(runs)
                ]
                yield _ended(pool, f"{_size(space):,}, {noise}, {extra}", jobs)


def _more_trials(pool: ProcessPoolExecutor, runs: int, spaces: tuple[int, ...]) -> Iterator[str]:
    """Yield what more trials of tpe buy."""
    yield "### Trials of tpe"
    yield ""
    yield f"{runs} runs for each line, under the noise *{DRAWN}*."
    yield ""
    yield from header("configurations, trials", *_ENDS, "time, s")
    for space in spaces:
        for trials in MORE_TRIALS:
            say(f"search: {_size(space):,} configurations, {trials} trials")
            jobs = [
                Job(space=space, noise=DRAWN, method="tpe", number=number, trials=trials)
                for number in range(runs)
            ]
            yield _ended(pool, f"{_size(space):,}, {trials}", jobs)


def _ended(pool: ProcessPoolExecutor, label: str, jobs: list[Job]) -> str:
    """Carry runs out; return the line that says how they ended, and in what time."""
    found = list(pool.map(carry_out, jobs, chunksize=2))
    return row(label, *_ends(found), _time(found))


def _time(found: list[Found]) -> str:
    """Return the median time of runs in seconds."""
    return f"{np.median([one.compiling + one.measuring for one in found]):,.0f}"
