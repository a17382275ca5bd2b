"""perftool against OpenVINO's benchmark_app: the same model file and properties, in alternation.

perftool's side is a child as in a sweep: compiled, warm, blocked until its visit. benchmark_app is a new
process each time, so perftool's child is one after every few pairs: a process's memory layout is luck.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from msgspec import Struct

from benchmarks import benchmark_app
from benchmarks.options import RAW, Options
from benchmarks.pairs import Pair, Pairs, taken_up
from benchmarks.progress import say
from benchmarks.tables import header, listed, row, spread
from perftool.analysis.stats import MIN_VISITS, Estimate, median_estimate
from perftool.bench import host
from perftool.bench.isolate import Child, expect
from perftool.images.dataset import images_for
from perftool.job import Compile, Visit
from perftool.machine import DeviceFound
from perftool.record import Compiled, Prepared, Visited
from perftool.spec import Closed, Configuration, Explicit, Images, InferencePrecision, Precision, WeightFormat
from perftool.sweep import preparing
from perftool.sweep.locks import hold
from perftool.sweep.plan import resolve_threads
from perftool.sweep.profile import load_profile

TITLE = "Agreement with benchmark_app"
QUESTION = (
    "Do perftool and OpenVINO's `benchmark_app` measure the same? The same model file, inference precision, "
    "batch, streams, threads, pinning and requests (what both resolved is compared, and must be equal), for "
    "the same time, one right after the other in random order. The ratio perftool over benchmark_app of "
    "throughput and of median latency: the median over pairs with its 95 % interval; pairs go to the "
    "configuration whose interval is the widest, until each is ±2 % or the time is up. benchmark_app is fed "
    "with random values, perftool with images in turn: latency does not depend on them. One request goes by "
    "the synchronous API on both sides. Aim: 0.97 to 1.03."
)
AIM = (0.97, 1.03)
TIGHT = 0.02
PAIRS_PER_CHILD = 3
SEED = 20160223
#: What a smoke run tries: a lone request, and several.
SMOKE = ("int8-b1-s1-r1", "int8-b4-s2-r2")
#: Precision, batch, streams, requests.
POINTS: tuple[tuple[Precision, int, int, int], ...] = (
    ("FP32", 1, 1, 1),
    ("BF16", 1, 1, 1),
    ("INT8", 1, 1, 1),
    ("INT8", 1, 2, 2),
    ("INT8", 4, 1, 1),
    ("INT8", 4, 2, 2),
    ("INT8", 1, 2, 4),
)
PRECISIONS: dict[Precision, InferencePrecision] = {"FP32": "f32", "BF16": "bf16", "INT8": "f32"}


class Ratios(Struct, frozen=True, kw_only=True):
    """One configuration's ratios, perftool over benchmark_app."""

    throughput: Estimate
    latency: Estimate
    pairs: int

    @property
    def reach(self) -> float:
        """Return how far the wider of both intervals reaches; without end where there is none."""
        return max(reach(self.throughput), reach(self.latency))


def run(options: Options) -> Iterator[str]:
    """Measure pairs until the intervals are tight or the time is up; yield a row for each configuration."""
    profile = load_profile("quick")
    calibration, images = images_for(profile)
    seconds = 1 if options.quick else options.seconds
    chosen = [one for one in configurations() if one.id in SMOKE or not options.quick]
    models: dict[WeightFormat, Prepared] = {
        weights: expect(preparing.prepare(profile, weights, calibration, QUIET), Prepared)
        for weights in dict.fromkeys(one.weight_format for one in chosen)
    }
    say("agreement: the model files are ready")
    path = RAW / ("agreement-quick.json" if options.quick else "agreement.json")
    if options.forgets:
        path.unlink(missing_ok=True)
    keys = {str(weights): prepared.key for weights, prepared in models.items()}
    pairs = taken_up(path, host.identity(), seconds, keys)
    with hold(("CPU",)), tempfile.TemporaryDirectory() as folder:
        bench = Bench(models, preparing.first(images, preparing.INPUTS), seconds, Path(folder))
        try:
            for one in chosen_by_need(chosen, pairs, options):
                pairs.pairs.append(bench.pair(one, len(pairs.of(one.id))))
                pairs.save(path)
        finally:
            bench.close()
    if pairs.pairs:
        yield from report(chosen, pairs)
    else:
        yield "No pairs yet."


QUIET = preparing.Watcher(
    status=lambda status: None, appended=lambda entry: None, opened=lambda folder, run: None
)


def configurations() -> list[Configuration]:
    """Return the points that this CPU can run as configurations, with perftool's number of threads."""
    here = host.identity()
    (cpu,) = preparing.probe(("CPU",), QUIET)
    capable = isinstance(cpu, DeviceFound) and "BF16" in cpu.capabilities
    return [
        Configuration(
            id=f"{precision.lower()}-b{batch}-s{streams}-r{requests}",
            device="CPU",
            precision=precision,
            batch=batch,
            setting=Explicit(
                inference_precision=PRECISIONS[precision],
                streams=streams,
                threads=resolve_threads(here, streams),
            ),
            requests=requests,
        )
        for precision, batch, streams, requests in POINTS
        if capable or precision != "BF16"
    ]


def chosen_by_need(chosen: list[Configuration], pairs: Pairs, options: Options) -> Iterator[Configuration]:
    """Yield whose turn it is: first those without an interval, then the widest, until all are tight."""
    ends = time.monotonic() + 60 * options.minutes
    least, most = (2, 2) if options.quick else (MIN_VISITS, options.most_pairs)
    while time.monotonic() < ends:
        counts = {one.id: len(pairs.of(one.id)) for one in chosen}
        few = [one for one in chosen if counts[one.id] < least]
        if few:
            yield min(few, key=lambda one: counts[one.id])
            continue
        open_ = [(ratios(pairs.of(one.id)).reach, one) for one in chosen if counts[one.id] < most]
        wide = [item for item in open_ if item[0] > TIGHT]
        if not wide:
            return
        yield max(wide, key=lambda item: item[0])[1]


def reach(estimate: Estimate) -> float:
    """Return how far an interval reaches from its point, as a share of it."""
    if estimate.low is None or estimate.high is None:
        return float("inf")
    return max(estimate.high - estimate.point, estimate.point - estimate.low) / estimate.point


def ratios(pairs: list[Pair]) -> Ratios:
    """Return the median ratios over pairs."""
    return Ratios(
        throughput=median_estimate([pair.throughput_ratio for pair in pairs]),
        latency=median_estimate([pair.latency_ratio for pair in pairs]),
        pairs=len(pairs),
    )


# ---------------------------------------------------------------- measuring


class Bench:
    """What measures pairs: perftool's children, which stay warm, and benchmark_app."""

    def __init__(
        self, models: dict[WeightFormat, Prepared], images: Images, seconds: int, folder: Path
    ) -> None:
        self._models = models
        self._images = images
        self._seconds = seconds
        self._folder = folder
        self._children: dict[str, tuple[Child, Compiled]] = {}
        self._served: dict[str, int] = {}

    def pair(self, configuration: Configuration, number: int) -> Pair:
        """Measure a configuration by both, in an order that depends on the pair alone."""
        say(f"agreement: {configuration.id}, pair {number + 1}")
        model = preparing.model_path(self._models[configuration.weight_format])
        child, compiled = self._child(configuration, model, number)
        ours_first = random.Random(f"{SEED} {configuration.id} {number}").random() < 0.5
        if ours_first:
            ours = self._visit(child, number)
        theirs = benchmark_app.measure(model, configuration, self._seconds)
        if not ours_first:
            ours = self._visit(child, number)
        benchmark_app.check_same(compiled, theirs)
        return Pair(
            configuration=configuration.id,
            number=number,
            perftool_first=ours_first,
            perftool=ours,
            benchmark_app=theirs,
        )

    def _child(self, configuration: Configuration, model: Path, number: int) -> tuple[Child, Compiled]:
        """Return the warm child, or a new one in place of one that has served its pairs."""
        served = self._served.get(configuration.id, PAIRS_PER_CHILD)
        if served >= PAIRS_PER_CHILD:
            if old := self._children.pop(configuration.id, None):
                old[0].close()
            child = Child(self._folder / f"{configuration.id}.log")
            job = Compile(
                configuration=configuration, model_path=str(model), inputs=self._images, incarnation=number
            )
            self._children[configuration.id] = child, expect(child.ask(job, 180.0), Compiled)
            served = 0
            self._visit(child, number)  # The first visit of a process warms it up.
        self._served[configuration.id] = served + 1
        return self._children[configuration.id]

    def _visit(self, child: Child, number: int) -> Visited:
        job = Visit(
            load=Closed(),
            round=number,
            position=0,
            visit_seconds=self._seconds,
            completions_per_request=8,
            warmup_ceiling_seconds=4.0,
        )
        return expect(child.ask(job, 180.0), Visited)

    def close(self) -> None:
        """End all children."""
        for child, _ in self._children.values():
            child.close()


# ---------------------------------------------------------------- telling


def report(chosen: list[Configuration], pairs: Pairs) -> Iterator[str]:
    """Yield a row for each configuration, and what they come to."""
    yield from header("configuration", "throughput ratio", "median latency ratio", "pairs")
    found = {one.id: ratios(pairs.of(one.id)) for one in chosen if pairs.of(one.id)}
    for id, one in found.items():
        yield row(id, spread(one.throughput, 3), spread(one.latency, 3), str(one.pairs))
    yield ""
    for what, points in (
        ("throughput", {id: one.throughput for id, one in found.items()}),
        ("median latency", {id: one.latency for id, one in found.items()}),
    ):
        inside = [id for id, estimate in points.items() if AIM[0] <= estimate.point <= AIM[1]]
        outside = [id for id in points if id not in inside]
        yield (
            f"Median {what} ratio over configurations: {median(one.point for one in points.values()):.3f}; "
            f"{len(inside)} of {len(points)} inside {AIM[0]:g} to {AIM[1]:g}; outside: {listed(outside)}."
        )
        yield ""
    yield f"Windows of {pairs.seconds} s. In `fp32-b1-s2-r4`, b is the batch, s the streams, r the requests."
