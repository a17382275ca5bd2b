"""What perftool's loop adds to each inference over a bare loop, on a model that takes next to no time.

In this process, on the real runtime: a block of the one, a block of the other, again and again. The model
is so small that what is left is calls; on a model worth measuring the same microseconds are added to
milliseconds.
"""

import gc
import random
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
import openvino as ov
from msgspec import Struct
from openvino import opset13 as ops

from benchmarks.options import Options
from benchmarks.progress import say
from benchmarks.tables import header, row, spread
from perftool.analysis.stats import MIN_VISITS, median_estimate
from perftool.bench.engine import Completion
from perftool.bench.load import closed, generate
from perftool.bench.measure import measure
from perftool.bench.openvino_engine import OpenVINOFlight
from perftool.spec import Closed
from perftool.sweep.locks import hold

TITLE = "Overhead of the loop"
QUESTION = (
    "What does perftool's measuring add to each inference? `bench.load` and `bench.measure` on real requests "
    "against a bare loop with its input set once, on a model of a few microseconds, in alternating blocks "
    "(order random): the median over pairs of blocks of the difference per inference, with its 95 % "
    "interval. perftool sets the input anew for each inference, and times and keeps each. Aim: under 20 us."
)
AIM_US = 20.0
PAIRS = 60
INFERENCES = 4000
SEED = 20160223

Block = Callable[[int], float]
"""Runs a number of inferences and returns the microseconds that each took."""


class Loop(Struct, frozen=True, kw_only=True):
    """A way to run inferences, bare and as perftool does it."""

    name: str
    bare: Block
    ours: Block


def run(options: Options) -> Iterator[str]:
    """Yield a row for each loop: the bare one, and what perftool adds."""
    pairs, inferences = (MIN_VISITS, 200) if options.quick else (PAIRS, INFERENCES)
    yield from header("loop", "bare, us", "added by perftool, us", "pairs", f"under {AIM_US:g} us")
    for loop in loops():
        say(f"overhead: {loop.name}")
        with hold(("CPU",)):
            bare, added = paired(loop, pairs, inferences)
        found = median_estimate(added)
        kept = "yes" if found.high is not None and found.high < AIM_US else "no"
        yield row(loop.name, spread(median_estimate(bare), 1), spread(found, 1), str(pairs), kept)
    yield ""
    yield f"Blocks of {inferences} inferences."


def loops() -> tuple[Loop, ...]:
    """Return the loops to compare, each on a model compiled with one stream for each request."""
    one, two = compiled(1), compiled(2)
    return (
        Loop(name="synchronous, 1 request", bare=bare_sync(one), ours=perftools(one, 1, alone=True)),
        Loop(name="AsyncInferQueue, 1 request", bare=bare_async(one, 1), ours=perftools(one, 1)),
        Loop(name="AsyncInferQueue, 2 requests", bare=bare_async(two, 2), ours=perftools(two, 2)),
    )


def paired(loop: Loop, pairs: int, inferences: int) -> tuple[list[float], list[float]]:
    """Run blocks in pairs, in random order; return what the bare ones took, and what each pair adds."""
    draw = random.Random(SEED)
    bare: list[float] = []
    added: list[float] = []
    loop.bare(inferences)
    loop.ours(inferences)
    gc.collect()
    gc.disable()
    try:
        for _ in range(pairs):
            order = [loop.bare, loop.ours]
            draw.shuffle(order)
            took = {block: block(inferences) for block in order}
            bare.append(took[loop.bare])
            added.append(took[loop.ours] - took[loop.bare])
    finally:
        gc.enable()
    return bare, added


# ---------------------------------------------------------------- bare loops


def bare_sync(model: Any) -> Block:
    """Return a loop that does nothing but infer."""
    request = model.create_infer_request()
    request.set_input_tensor(inputs()[0])

    def block(inferences: int) -> float:
        started = time.perf_counter_ns()
        for _ in range(inferences):
            request.infer()
        return (time.perf_counter_ns() - started) / 1e3 / inferences

    return block


def bare_async(model: Any, requests: int) -> Block:
    """Return a loop that does nothing but start the next idle request."""
    queue = ov.AsyncInferQueue(model, requests)
    for request, tensor in zip(queue, inputs(), strict=False):
        request.set_input_tensor(tensor)

    def block(inferences: int) -> float:
        started = time.perf_counter_ns()
        for _ in range(inferences):
            queue.start_async()
        queue.wait_all()
        return (time.perf_counter_ns() - started) / 1e3 / inferences

    return block


# ---------------------------------------------------------------- perftool's


def perftools(model: Any, requests: int, *, alone: bool = False) -> Block:
    """Return perftool's loop. `alone` is its load of a single caller, else the queue whatever its length."""
    flight = OpenVINOFlight(model, requests, inputs())

    def load() -> Generator[Completion, None, None]:
        return generate(Closed(), flight, 1) if alone else closed(flight, requests)

    def block(inferences: int) -> float:
        burst = measure(
            load(),
            requests=requests,
            window_ns=0,
            completions_per_request=inferences // requests,
            warm=True,
            warmup_ceiling_ns=1_000_000,
        )
        return burst.window_ns / 1e3 / len(burst.latencies_ns)

    return block


# ---------------------------------------------------------------- a model of next to nothing


def compiled(streams: int) -> Any:
    """Compile the smallest model: 3 x 4 x 4 numbers, their means, four scores."""
    data = ops.parameter([1, 3, 4, 4], np.float32, name="data")
    pooled = ops.reduce_mean(data, np.array([2, 3], dtype=np.int64), False)
    scores = ops.matmul(pooled, ops.constant(np.ones((3, 4), dtype=np.float32)), False, False)
    model = ov.Model([ops.result(scores)], [data], "least")
    stated = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams}
    return ov.Core().compile_model(model, "CPU", stated)


def inputs() -> list[ov.Tensor]:
    """Return eight distinct inputs."""
    rng = np.random.Generator(np.random.Philox(SEED))
    return [ov.Tensor(rng.random((1, 3, 4, 4), dtype=np.float32)) for _ in range(8)]
