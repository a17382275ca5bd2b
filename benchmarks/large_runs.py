"""Made-up journals of very large runs: real files, whose figures come from a simulated surface.

Nothing is measured; what a run of thousands of configurations would have kept is drawn from a seed.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.searches import ROUNDS
from benchmarks.simulated import Array, generator, slowed
from benchmarks.surfaces import CORES, OUTLIERS, Space, Surface, draw_surface
from perftool.analysis.racing import Field, race
from perftool.bench.host import identity
from perftool.journal import (
    FORMAT,
    JOURNAL,
    Drop,
    Entry,
    Finished,
    Header,
    ModelIdentity,
    Planned,
    Raced,
    Record,
    Started,
)
from perftool.machine import Conditions
from perftool.record import Compiled, Evaluated, Executed, ImageFaults, Visited
from perftool.spec import (
    Closed,
    Configuration,
    Explicit,
    Grid,
    Hint,
    Precision,
    Profile,
    ReferenceModel,
    WeightFormat,
)

SEED = 5
#: A visit's completions for each request in flight, at first and later; more than so many are not drawn.
COMPLETIONS = (2, 8)
MOST_COMPLETIONS = 400
IMAGES = 200
_EXECUTED = {"FP32": "f32", "BF16": "bf16", "INT8": "int8", "default": "bf16"}
_NS = 1_000_000_000


class Simulated(Struct, frozen=True, kw_only=True):
    """Configurations, two baselines first, and the truth of each: speed, latency under load, memory."""

    configurations: tuple[Configuration, ...]
    throughput: Array
    latency: Array
    memory_mb: Array
    spread: float


def write_journal(folder: Path, space: Space, *, raced: bool) -> int:
    """Write a run's journal; return its visits."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = generator("scale", len(space.configurations()), SEED)
    truth = simulated(draw_surface(space.configurations(), SEED), rng)
    visits = 0
    now = 1_700_000_000 * _NS
    with (folder / JOURNAL).open("wb") as journal:
        journal.write(msgspec.json.encode(_header(now)) + b"\n")
        for record in records(truth, rng, raced=raced):
            visits += isinstance(record, Visited)
            now += _NS + (record.window_ns if isinstance(record, Visited) else 0)
            journal.write(msgspec.json.encode(Entry(at_ns=now, record=record)) + b"\n")
    return visits


def simulated(surface: Surface, rng: np.random.Generator) -> Simulated:
    """Add to a surface what it does not know: the baselines, and memory."""
    hints = tuple(
        Configuration(
            id=f"baseline-{mode.lower()}",
            device="CPU",
            precision="default",
            batch=1,
            setting=Hint(mode=mode),
            requests="auto",
            baseline=True,
        )
        for mode in ("LATENCY", "THROUGHPUT")
    )
    sizes = np.array([_streams(one) * one.batch for one in surface.configurations], dtype=float)
    weights = {"FP32": 170.0, "BF16": 170.0, "INT8": 43.0}
    base = np.array([weights[one.precision] for one in surface.configurations])
    memory = 150 + base + 3.0 * sizes * (1 + 0.01 * rng.standard_normal(len(sizes)))
    fast = np.quantile(surface.throughput, [0.2, 0.6])
    return Simulated(
        configurations=(*hints, *surface.configurations),
        throughput=np.concatenate([fast, surface.throughput]),
        latency=np.concatenate([[1, 16] / fast, surface.latency]),
        memory_mb=np.concatenate([[400.0, 500.0], memory]),
        spread=surface.spread,
    )


def _streams(one: Configuration) -> int:
    streams = one.setting.streams if isinstance(one.setting, Explicit) else 16
    assert isinstance(streams, int)
    return streams


def _requests(one: Configuration) -> int:
    return one.requests if isinstance(one.requests, int) else 16


def records(truth: Simulated, rng: np.random.Generator, *, raced: bool) -> Iterator[Record]:
    """Yield a run's records: rounds over everything that no race dropped yet."""
    yield Started(pid=1)
    planned = truth.configurations
    yield Planned(configurations=planned, left_out=(), devices=(), canary=planned[0].id)
    yield from evaluations()
    alive = np.arange(len(planned))
    seen = np.full((len(planned), ROUNDS), np.nan)
    share, mean = OUTLIERS["spiky"]
    for number in range(ROUNDS):
        noise = truth.spread * rng.standard_normal(len(alive)) - np.log(
            slowed(rng, (len(alive),), share, mean)
        )
        seen[alive, number] = np.log(truth.throughput[alive]) + noise
        for position, at in enumerate(alive.tolist()):
            one = planned[at]
            if number in (0, ROUNDS // 2):
                yield compiled(one, truth.memory_mb[at], number)
            speed = float(np.exp(seen[at, number]))
            completions = COMPLETIONS[0 if raced and number < 2 else 1] * _requests(one)
            yield visited(one, truth.memory_mb[at], number, position, speed, completions, rng)
        if raced:
            drops = dropped(truth, seen[:, : number + 1], alive)
            yield Raced(round=number, drops=tuple(drops.values()), front=())
            alive = np.array([at for at in alive.tolist() if at not in drops])
    yield Finished()


def dropped(truth: Simulated, seen: Array, alive: NDArray[np.int64]) -> dict[int, Drop]:
    """Return what a race drops of what it still visits, the baselines apart."""
    raced = alive[alive >= 2]
    speeds = seen[raced]
    latency = -np.log([_requests(truth.configurations[at]) * truth.configurations[at].batch for at in raced])
    fixed = -np.log(truth.memory_mb[raced])[:, None]
    nothing = np.zeros((len(raced), 0), dtype=bool)
    found = race(
        Field(
            timed=(speeds, speeds + latency[:, None]),
            fixed=fixed,
            fixed_at_most=fixed,
            keeps=nothing,
            misses=nothing,
        )
    )
    drops = {}
    for at, by in zip(raced.tolist(), found.dropped_by.tolist(), strict=True):
        if by >= 0:
            one, other = truth.configurations[at], truth.configurations[int(raced[by])]
            reason = f"dropped after {seen.shape[1]} rounds: slower than {other.id}, and no better otherwise"
            drops[at] = Drop(configuration=one.id, by=other.id, reason=reason)
    return drops


def compiled(one: Configuration, memory_mb: float, number: int) -> Compiled:
    """Make a compile of a configuration that got what it asked for."""
    executed = _EXECUTED[one.precision]
    requested: dict[str, str] = (
        {"PERFORMANCE_HINT": one.setting.mode}
        if isinstance(one.setting, Hint)
        else {
            "INFERENCE_PRECISION_HINT": "f32" if one.precision == "INT8" else executed,
            "NUM_STREAMS": str(_streams(one)),
        }
    )
    threads = one.setting.threads if isinstance(one.setting, Explicit) else CORES
    return Compiled(
        configuration=one.id,
        incarnation=number,
        pid=100 + number,
        requested=requested,
        resolved={"INFERENCE_PRECISION_HINT": requested.get("INFERENCE_PRECISION_HINT", executed)},
        streams=_streams(one),
        threads=threads,
        requests=_requests(one),
        executed=(Executed(precision=executed, flops=98, kernels=149),),
        compile_ns=_NS,
        first_inference_ns=_NS // 10,
        loaded_from_cache=False,
        compile_rss_bytes=round(0.8e6 * memory_mb),
        peak_rss_bytes=round(0.9e6 * memory_mb),
    )


def visited(
    one: Configuration,
    memory_mb: float,
    number: int,
    position: int,
    speed: float,
    completions: int,
    rng: np.random.Generator,
) -> Visited:
    """Make a visit at a speed; of very many completions only so many are drawn, in a shorter window."""
    completions = min(completions, MOST_COMPLETIONS)
    requests = _requests(one)
    latency_ns = requests * one.batch / speed * 1e9
    latencies = latency_ns * np.exp(0.04 * rng.standard_normal(completions))
    return Visited(
        configuration=one.id,
        incarnation=0 if number < ROUNDS // 2 else ROUNDS // 2,
        round=number,
        position=position,
        load=Closed(),
        batch=one.batch,
        requests=requests,
        warmup_ns=(round(latency_ns),),
        steady=True,
        latencies_ns=tuple(latencies.astype(np.int64).tolist()),
        window_ns=round(completions * one.batch / speed * 1e9),
        load_rss_bytes=round(1e6 * memory_mb),
        peak_rss_bytes=round(1e6 * memory_mb),
        conditions=Conditions(other_load=0.01, steal=0.0, frequency_mhz=None, energy_j=None),
    )


def evaluations() -> Iterator[Evaluated]:
    """Yield an evaluation for each precision: BF16 loses nothing, INT8 an image in a hundred."""
    kinds: tuple[tuple[Precision, WeightFormat, str, int], ...] = (
        ("FP32", "fp32", "f32", 0),
        ("BF16", "fp32", "bf16", 0),
        ("INT8", "int8", "f32", 2),
    )
    for precision, weights, runs_in, lost in kinds:
        yield Evaluated(
            precision=precision,
            weight_format=weights,
            device="CPU",
            inference_precision=runs_in,
            images="00" * 32,
            label_offset=0,
            label_note="",
            labels=(1,) * IMAGES,
            top5=((2, 1, 3, 4, 5),) * (20 + lost) + ((1, 2, 3, 4, 5),) * (IMAGES - 20 - lost),
            left_out=(),
            faults=ImageFaults(),
            reused=0,
            duration_ns=_NS,
        )


def _header(now: int) -> Header:
    return Header(
        format=FORMAT,
        created_ns=now,
        profile=Profile(name="scale", grids=(Grid(),)),
        model=ModelIdentity(
            name="simulated",
            source=ReferenceModel(name="googlenet-v4-tf"),
            digest="00" * 32,
            reference=True,
            published=False,
        ),
        host=identity(),
    )
