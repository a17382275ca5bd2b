"""Simulated response surfaces: how fast configurations are on a made-up server, and what visits cost.

A surface is drawn from a seed. Its shape is that of a two-socket machine: precisions differ by about their
arithmetic, a batch saturates, streams gain from Amdahl's law and lose to the memory that they share, and each
pair of fields interacts at random. Nothing is measured; a search is judged by the truth that it cannot see.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.simulated import Array, generator, slowed
from perftool.spec import Configuration, Explicit, InferencePrecision, Precision

CORES = 64
CORES_OF_A_NODE = 32
SPEED: dict[Precision, float] = {"FP32": 1.0, "BF16": 2.0, "INT8": 3.6}
#: Bytes of a number, relative to FP32's.
_BYTES: dict[Precision, float] = {"FP32": 1.0, "BF16": 0.5, "INT8": 0.25}
_RUNS_IN: dict[Precision, InferencePrecision] = {"FP32": "f32", "BF16": "bf16", "INT8": "f32"}
_STREAMS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
#: How much each value of one field changes what each value of another does, as a logarithm.
_INTERACTION = 0.02

#: The slow outliers of a noise (`benchmarks.simulated`): the share of visits, and the mean of what they lose.
OUTLIERS = {"spiky": (0.15, 0.3), "loaded": (0.30, 0.2)}
#: Between which a surface's even spread of a visit's speed is drawn; a short visit's is larger.
SPREADS = (0.01, 0.05)
_SHORT_SPREAD = 1.3


class Space(Struct, frozen=True, kw_only=True):
    """Which values each field takes; what needs more streams than threads is left out, as in a plan."""

    batches: tuple[int, ...]
    streams: tuple[int, ...] = _STREAMS
    requests: tuple[int, ...] = (1, 2)
    pinning: tuple[bool, ...] = (True,)
    hyper_threading: tuple[bool | None, ...] = (None,)
    threads: tuple[int, ...] = (CORES,)

    def configurations(self) -> tuple[Configuration, ...]:
        """Return every combination that can run."""
        return tuple(
            Configuration(
                id=f"{precision.lower()}-b{batch}-s{streams}-t{threads}-r{each}-{pinned:d}-{smt}",
                device="CPU",
                precision=precision,
                batch=batch,
                setting=Explicit(
                    inference_precision=_RUNS_IN[precision],
                    streams=streams,
                    threads=threads,
                    pinning=pinned,
                    hyper_threading=smt,
                ),
                requests=streams * each,
            )
            for precision in SPEED
            for batch in self.batches
            for streams in self.streams
            for threads in self.threads
            for each in self.requests
            for pinned in self.pinning
            for smt in self.hyper_threading
            if streams <= threads
        )


_FEW = (1, 4, 16, 32, 64)
SPACES = (
    Space(batches=(1, 8), streams=_FEW),
    Space(batches=(1, 2, 4, 8, 16), streams=_FEW, pinning=(True, False)),
    Space(batches=(1, 2, 4, 8, 16), pinning=(True, False), hyper_threading=(False, True)),
    Space(
        batches=(1, 2, 4, 8, 16, 24, 32, 64),
        requests=(1, 2, 4),
        pinning=(True, False),
        hyper_threading=(False, True),
        threads=(CORES, CORES_OF_A_NODE),
    ),
)


class Surface(NamedTuple):
    """The truth: throughput in images/s, seconds from a request's start to its end, seconds of a compile.

    One value for each configuration of its space, in order; `spread` is that of a visit's speed.
    """

    configurations: tuple[Configuration, ...]
    throughput: Array
    latency: Array
    compile: Array
    spread: float

    def regret(self, chosen: NDArray[np.int64]) -> Array:
        """Return how much throughput is lost by choosing these, as a share of the best."""
        lost: Array = 1 - self.throughput[chosen] / self.throughput.max()
        return lost


def streams_of(configuration: Configuration) -> int:
    """Return the streams of a configuration; a surface's have a number."""
    assert isinstance(configuration.setting, Explicit) and isinstance(configuration.setting.streams, int)
    return configuration.setting.streams


class _Columns(NamedTuple):
    """The fields of many configurations as arrays."""

    speed: Array
    size: Array
    batch: Array
    streams: Array
    threads: Array
    each: Array
    pinned: Array
    smt: Array


def draw_surface(configurations: tuple[Configuration, ...], seed: int) -> Surface:
    """Draw a surface over these configurations; the same seed draws the same."""
    rng = generator("surface", len(configurations), seed)
    columns = _columns(configurations)
    # Both bounds hold, and near where they cross both are felt.
    throughput = (_computed(columns, rng) ** -4 + _fed(columns, rng) ** -4) ** -0.25
    throughput *= np.exp(_placed(columns, rng) + _interactions(columns, rng))
    requests = columns.streams * columns.each
    return Surface(
        configurations=configurations,
        throughput=throughput,
        latency=requests * columns.batch / throughput,  # Little's law: what is in flight, over the rate.
        compile=rng.uniform(1.0, 3.0) * rng.uniform(0.8, 1.2, len(configurations)),
        spread=float(rng.uniform(*SPREADS)),
    )


def _columns(configurations: tuple[Configuration, ...]) -> _Columns:
    rows = []
    for one in configurations:
        setting, streams = one.setting, streams_of(one)
        assert isinstance(setting, Explicit) and isinstance(one.requests, int) and one.precision != "default"
        rows.append(
            (
                SPEED[one.precision],
                _BYTES[one.precision],
                one.batch,
                streams,
                setting.threads,
                one.requests / streams,
                setting.pinning,
                bool(setting.hyper_threading),
            )
        )
    return _Columns(*np.array(rows, dtype=np.float64).T)


def _computed(columns: _Columns, rng: np.random.Generator) -> Array:
    """Return the images per second that the cores can compute, memory apart."""
    work = np.exp(rng.uniform(np.log(0.05), np.log(0.5)))  # Core seconds for an image in FP32.
    serial = np.exp(rng.uniform(np.log(0.005), np.log(0.04))) * (0.3 + 0.7 / np.sqrt(columns.batch))
    saturating = columns.batch / (columns.batch + rng.uniform(0.1, 0.8))
    cores = columns.threads / columns.streams
    # Cores that do not divide evenly among the streams stand idle for a part of the time.
    cores = cores * (1 - rng.uniform(0.0, 0.3) * (cores % 1))
    of_a_batch = columns.batch * work / columns.speed / saturating * (serial + (1 - serial) / cores)
    overhead = rng.uniform(0.2e-3, 1.5e-3) + rng.uniform(0.1e-3, 0.6e-3) * (columns.each == 1)
    computed: Array = columns.streams * columns.batch / (of_a_batch + overhead)
    return computed


def _fed(columns: _Columns, rng: np.random.Generator) -> Array:
    """Return the images per second that memory can feed: weights once a batch, activations past the cache."""
    bandwidth = rng.uniform(150e9, 350e9) * columns.threads / CORES
    weights = rng.uniform(20e6, 200e6) * columns.size
    activations = rng.uniform(20e6, 80e6) * columns.size
    held = columns.streams * columns.batch * activations * 0.1
    spilt = activations * (0.3 + np.log2(1 + held / 100e6))
    fed: Array = bandwidth / (weights / columns.batch + spilt)
    return fed


def _placed(columns: _Columns, rng: np.random.Generator) -> Array:
    """Return what the threads' places do, as a logarithm: nodes, pinning, crowds."""
    across = np.log(1 - rng.uniform(0.05, 0.25)) * (columns.threads / columns.streams > CORES_OF_A_NODE)
    few = 1 - np.log2(columns.streams) / 6
    pinning = columns.pinned * (rng.uniform(-0.03, 0.03) + rng.uniform(-0.02, 0.06) * few)
    smt = columns.smt * (rng.uniform(-0.12, 0.06) + rng.uniform(0.0, 0.1) * (1 - columns.speed / 3.6))
    crowd = np.log(1 - rng.uniform(0.02, 0.1)) * (columns.streams * columns.each > 2 * columns.threads)
    placed: Array = across + pinning + smt + crowd
    return placed


def _interactions(columns: _Columns, rng: np.random.Generator) -> Array:
    """Return the sum of a random table for each pair of fields, as a logarithm."""
    total = np.zeros(len(columns.batch))
    fields = [np.unique(column, return_inverse=True) for column in columns if column is not columns.size]
    for (one, first), (other, second) in combinations(fields, 2):
        total += (_INTERACTION * rng.standard_normal((len(one), len(other))))[first, second]
    return total


# ---------------------------------------------------------------- visits


class Visiting(Struct, frozen=True, kw_only=True):
    """How long a visit is: its window's least seconds, and completions for each request in flight."""

    seconds: float
    completions: int
    spread: float


SHORT = Visiting(seconds=0.5, completions=3, spread=_SHORT_SPREAD)
LONG = Visiting(seconds=1.5, completions=8, spread=1.0)
#: The least warm-up in seconds, and how many requests one after the other it lasts.
_WARMUP = (0.3, 2)


class Machine:
    """Serves visits to a surface, with fresh noise, and counts the seconds that they take."""

    def __init__(self, surface: Surface, noise: str, rng: np.random.Generator) -> None:
        self.surface = surface
        self._share, self._mean = OUTLIERS[noise]
        self._rng = rng
        self._compiled = np.full(len(surface.throughput), -1)
        self.compiling = 0.0
        self.measuring = 0.0

    @property
    def seconds(self) -> float:
        """Return the time spent so far."""
        return self.compiling + self.measuring

    def visit(self, chosen: NDArray[np.int64], how: Visiting, generation: int = 0) -> tuple[Array, Array]:
        """Visit these one after the other; return their speeds, as logarithms, and when each visit ended.

        What a process of this generation did not serve before is compiled first.
        """
        compiling = self.surface.compile[chosen] * (self._compiled[chosen] < generation)
        self._compiled[chosen] = generation
        latency = self.surface.latency[chosen]
        measuring = np.maximum(_WARMUP[0], _WARMUP[1] * latency)
        measuring += np.maximum(how.seconds, how.completions * latency)
        ends = self.seconds + np.cumsum(compiling + measuring)
        self.compiling += float(compiling.sum())
        self.measuring += float(measuring.sum())
        shape = (len(chosen),)
        slower = slowed(self._rng, shape, self._share, self._mean)
        spread = self.surface.spread * how.spread * self._rng.standard_normal(shape)
        return np.log(self.surface.throughput[chosen]) + spread - np.log(slower), ends
