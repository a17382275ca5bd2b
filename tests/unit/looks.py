"""Build runs to be compared: a simulated machine that drifts, with processes that have luck of their own."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from journals import EVALUATIONS, NINE, Journal, Measured, changed
from numpy.typing import NDArray

from perftool.analysis.choose import choose
from perftool.analysis.matching import Look
from perftool.analysis.result import LatencyIntervals, Series, Summary
from perftool.analysis.stats import median_estimate
from perftool.analysis.summary import summarize
from perftool.journal import Run

Array = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]
ROUNDS = 6
#: In which process each round's visits are: two of them.
PROCESS = np.array([0, 0, 0, 1, 1, 1])


def look(run: Run, name: str = "run") -> Look:
    """Look at a run as the command does."""
    summary = summarize(run, name=name)
    profile = run.header.profile
    return Look(run=run, summary=summary, choice=choose(summary, profile.objective, profile.limits).id)


def nine_look(name: str = "run", slower: dict[str, float] | None = None, **journal: object) -> Look:
    """Look at a run like the default sweep's, some configurations of it slower by a factor."""
    factors = slower or {}
    measured = tuple(changed(one, fps=one.fps * factors.get(one.id, 1.0)) for one in NINE)
    return look(Journal(measured, EVALUATIONS, **journal).run(), name)  # type: ignore[arg-type]


def with_header(
    one: Look, *, host: dict[str, object] | None = None, model: dict[str, object] | None = None
) -> Look:
    """Return a run that another host, or another model, made."""
    header = one.run.header
    header = msgspec.structs.replace(
        header,
        host=msgspec.structs.replace(header.host, **(host or {})),
        model=msgspec.structs.replace(header.model, **(model or {})),
    )
    summary = msgspec.structs.replace(one.summary, host=header.host)
    return Look(run=msgspec.structs.replace(one.run, header=header), summary=summary, choice=one.choice)


TWELVE = (
    Measured(hint="LATENCY"),
    Measured(hint="THROUGHPUT", streams=2),
    *(
        Measured(precision=precision, batch=batch, streams=streams)
        for precision in ("FP32", "FP16", "BF16", "INT8")
        for batch, streams in ((1, 1), (1, 2), (4, 1))
    ),
)


def template() -> Look:
    """Return the run whose figures `drawn` replaces: two baselines and twelve configurations."""
    return look(Journal(TWELVE).run())


def drawn(
    rng: np.random.Generator,
    base: Look,
    noise: Noise,
    *,
    process: float = 0.02,
    machine: float = 0.03,
    changes: Array | float = 1.0,
) -> Look:
    """Draw a run: each visit's speed is its noise, its process's luck, and its machine's of that day.

    `process` and `machine` are standard deviations; `changes` is what the code does to each configuration,
    the baselines first.
    """
    count = len(TWELVE)
    luck = np.exp(process * rng.standard_normal((count, 2)))[:, PROCESS]
    today = np.exp(machine / np.sqrt(2) * rng.standard_normal())
    rounds = noise(rng, (1, ROUNDS))  # what a round's machine does to all of it
    factors = np.broadcast_to(np.asarray(changes, dtype=float), (count,))[:, np.newaxis]
    speeds = 10.0 * factors * noise(rng, (count, ROUNDS)) * luck * today * rounds
    return _with_speeds(base, speeds)


def _with_speeds(base: Look, speeds: Array) -> Look:
    rows = dict(zip((one.id for one in TWELVE), speeds, strict=True))
    summary = base.summary

    def replaced(result: msgspec.Struct) -> msgspec.Struct:
        speed = rows[result.id]  # type: ignore[attr-defined]
        p50 = median_estimate([1000 / one for one in speed])
        intervals = LatencyIntervals(p50=p50, p90=None, p95=None, p99=None)
        return msgspec.structs.replace(
            result,
            throughput_fps=median_estimate([float(one) for one in speed]),
            latency_intervals_ms=intervals,
        )

    fresh: Summary = msgspec.structs.replace(
        summary,
        configurations=tuple(map(replaced, summary.configurations)),
        baselines=tuple(map(replaced, summary.baselines)),
        series={id: _series(speed) for id, speed in rows.items()},
    )
    return Look(run=base.run, summary=fresh, choice=base.choice)


def _series(speed: Array) -> Series:
    by_round = {round: float(value) for round, value in enumerate(speed)}
    return Series(
        throughput_fps=by_round,
        latency_ms={round: 1000 / value for round, value in by_round.items()},
        latency_sync_ms={},
    )


def written(run: Run, folder: Path) -> Path:
    """Write a run as a sweep would have, and return its folder."""
    folder.mkdir(parents=True)
    lines = [msgspec.json.encode(row) + b"\n" for row in (run.header, *run.entries)]
    (folder / "journal.jsonl").write_bytes(b"".join(lines))
    return folder
