"""Build synthetic Runs: deterministic journals with figures that a test can foresee."""

import math
from dataclasses import dataclass, field, replace

from perftool.journal import (
    FORMAT,
    Entry,
    Finished,
    Header,
    LeftOut,
    ModelIdentity,
    Planned,
    Record,
    Run,
    Started,
)
from perftool.machine import Conditions, HostInfo
from perftool.record import Compiled, Evaluated, Executed, Failed, ImageFaults, Visited
from perftool.spec import Closed, Configuration, Explicit, Grid, Hint, Profile, ReferenceModel, Sync

SECOND = 1_000_000_000
EXECUTED = {"FP32": "f32", "FP16": "f32", "BF16": "bf16", "INT8": "int8", "default": "bf16"}
ASKED = {"FP32": "f32", "FP16": "f32", "BF16": "bf16", "INT8": "f32"}
HOST = HostInfo(
    cpu="Example CPU @ 2.0 GHz",
    isa=("AVX2", "AVX512"),
    cores_usable=2,
    cores_physical=1,
    cores_logical=2,
    smt="on",
    memory_bytes=8_000_000_000,
    virtualisation="kvm",
    governor="unknown",
    turbo="unknown",
    kernel="6.1",
    python="3.11",
    openvino="2026.4",
    nncf="3.4",
    perftool="0.1.0",
)


@dataclass(frozen=True)
class Measured:
    """A configuration, and how it fares: `fps` in each round, times the machine's speed of that round."""

    precision: str = "FP32"
    batch: int = 1
    streams: int = 1
    fps: float = 10.0
    rounds: int = 6
    wobble: float = 0.01
    completions: int = 40
    memory_mb: float = 400.0
    hint: str | None = None
    device: str = "CPU"
    executed: str | None = None
    got_streams: int | None = None
    sync: bool = False
    failed: str | None = None
    left_out: str | None = None
    resolved: dict[str, str] | None = None
    factors: tuple[float, ...] = ()
    other_load: float | None = None
    image_j: float | None = None

    @property
    def id(self) -> str:
        if self.hint:
            return f"{self.device.lower()}-baseline-{self.hint.lower()}"
        return f"{self.device.lower()}-{self.precision.lower()}-b{self.batch}-s{self.streams}"

    @property
    def configuration(self) -> Configuration:
        if self.hint:
            setting: Explicit | Hint = Hint(mode=self.hint)
        else:
            setting = Explicit(inference_precision=ASKED[self.precision], streams=self.streams, threads=2)
        return Configuration(
            id=self.id,
            device=self.device,
            precision="default" if self.hint else self.precision,
            batch=self.batch,
            setting=setting,
            requests="auto" if self.hint else self.streams,
            baseline=self.hint is not None,
        )

    def factor(self, round: int) -> float:
        """Return this configuration's own luck in a round."""
        if self.factors:
            return self.factors[round % len(self.factors)]
        phase = sum(map(ord, self.id)) % 7
        return 1 + self.wobble * math.sin(1.7 * round + phase)


@dataclass
class Journal:
    """A run in the making."""

    measured: tuple[Measured, ...]
    evaluations: tuple[Evaluated, ...] = ()
    machine: tuple[float, ...] = (1.0, 0.99, 1.01, 0.9, 1.0, 0.98)
    finished: bool = True
    name: str = "googlenet-v4-tf"
    reference: bool = True
    entries: list[Entry] = field(default_factory=list)
    now: int = 1_700_000_000 * SECOND

    def run(self, **profile: object) -> Run:
        self.append(Started(pid=1))
        kept = tuple(one.configuration for one in self.measured if one.left_out is None)
        left = tuple(
            LeftOut(configuration=one.configuration, reason=one.left_out)
            for one in self.measured
            if one.left_out is not None
        )
        canary = kept[0].id if kept else ""
        self.append(Planned(configurations=kept, left_out=left, devices=(), canary=canary))
        for evaluation in self.evaluations:
            self.append(evaluation)
        for one in self.measured:
            if one.failed is not None:
                self.append(Failed(subject=one.id, stage="compile", kind="error", reason=one.failed))
        alive = [one for one in self.measured if one.left_out is None]
        for round in range(max((one.rounds for one in alive), default=0)):
            for position, one in enumerate(alive):
                if round < one.rounds:
                    self._visit(one, round, position)
        if self.finished:
            self.append(Finished())
        header = Header(
            format=FORMAT,
            created_ns=1_700_000_000 * SECOND,
            profile=Profile(name="test", grids=(Grid(),), **profile),
            model=ModelIdentity(
                name=self.name,
                source=ReferenceModel(name="googlenet-v4-tf"),
                digest="ab" * 32,
                reference=self.reference,
                published=False,
            ),
            host=HOST,
        )
        return Run(header=header, entries=tuple(self.entries))

    def append(self, record: Record, seconds: float = 0.0) -> None:
        self.now += round(seconds * SECOND)
        self.entries.append(Entry(at_ns=self.now, record=record))

    def _visit(self, one: Measured, round: int, position: int) -> None:
        if round in (0, 3):
            self.append(compiled(one, incarnation=round // 3), 1.0)
        fps = one.fps * one.factor(round) * self.machine[round % len(self.machine)]
        requests = one.streams
        closed = visited(one, round, position, fps, requests, sync=False)
        self.append(closed, 0.5 + closed.window_ns / SECOND)
        if one.sync:
            alone = visited(one, round, position, 0.6 * fps, 1, sync=True)
            self.append(alone, 0.5 + alone.window_ns / SECOND)


def compiled(one: Measured, incarnation: int = 0) -> Compiled:
    executed = one.executed or EXECUTED["default" if one.hint else one.precision]
    if one.hint:
        requested = {"PERFORMANCE_HINT": one.hint}
        resolved = {"INFERENCE_PRECISION_HINT": executed}
    else:
        requested = {
            "INFERENCE_PRECISION_HINT": ASKED[one.precision],
            "NUM_STREAMS": str(one.streams),
            "INFERENCE_NUM_THREADS": "2",
            "CACHE_DIR": "somewhere",
        }
        resolved = {"INFERENCE_PRECISION_HINT": ASKED[one.precision]}
    return Compiled(
        configuration=one.id,
        incarnation=incarnation,
        pid=100 + incarnation,
        requested=requested,
        resolved=resolved if one.resolved is None else one.resolved,
        streams=one.got_streams or one.streams,
        threads=2,
        requests=one.streams,
        executed=(
            Executed(precision="f32" if executed != "f32" else "bf16", flops=2, kernels=1),
            Executed(precision=executed, flops=98, kernels=149),
        ),
        compile_ns=900_000_000 + incarnation,
        first_inference_ns=150_000_000,
        loaded_from_cache=incarnation > 0,
        compile_rss_bytes=round(one.memory_mb * 0.8e6),
        peak_rss_bytes=round(one.memory_mb * 0.9e6),
    )


def visited(one: Measured, turn: int, position: int, fps: float, requests: int, *, sync: bool) -> Visited:
    """Make a visit whose throughput is exactly `fps`, and whose latencies spread a little around it."""
    window_ns = one.batch * one.completions * 1e9 / fps
    each = window_ns / one.completions * requests
    spread = [
        each * (1 + 0.1 * ((7 * index) % one.completions / one.completions - 0.5))
        for index in range(one.completions)
    ]
    return Visited(
        configuration=one.id,
        incarnation=0 if turn < 3 else 1,
        round=turn,
        position=position,
        load=Sync() if sync else Closed(),
        batch=one.batch,
        requests=requests,
        warmup_ns=(1,),
        steady=True,
        latencies_ns=tuple(int(value) for value in spread),
        window_ns=int(window_ns),
        load_rss_bytes=round(one.memory_mb * 1e6),
        peak_rss_bytes=round(one.memory_mb * 1e6),
        conditions=Conditions(
            other_load=one.other_load, steal=None, frequency_mhz=None, energy_j=_drawn(one, requests)
        ),
    )


def _drawn(one: Measured, requests: int) -> float | None:
    """Return the joules of a visit, its one warm-up request and its drain included."""
    made = 1 + one.completions + (requests if requests > 1 else 0)
    return None if one.image_j is None else one.image_j * made * one.batch


def evaluated(
    weight_format: str, inference_precision: str, right: int, *, images: int = 200, flipped: int = 0
) -> Evaluated:
    """Classify `images` images of class 1: the first `right` rightly, then `flipped` others instead.

    Flipped: of those right, the first `flipped` go wrong, and as many wrong ones become right.
    """
    hits = [index < right for index in range(images)]
    for index in range(flipped):
        hits[index], hits[images - 1 - index] = False, True
    precision = {"fp16": "FP16", "int8": "INT8"}.get(weight_format, "FP32")
    if inference_precision == "bf16":
        precision = "BF16"
    return Evaluated(
        precision=precision,
        weight_format=weight_format,
        device="CPU",
        inference_precision=inference_precision,
        images="cd" * 32,
        label_offset=0,
        label_note="",
        labels=(1,) * images,
        top5=tuple((1, 2, 3, 4, 5) if hit else (9, 1, 3, 4, 5) for hit in hits),
        left_out=(),
        faults=ImageFaults(),
        reused=0,
        duration_ns=SECOND,
    )


EVALUATIONS = (
    evaluated("fp32", "f32", 160),
    evaluated("fp16", "f32", 160),
    evaluated("fp32", "bf16", 159),
    evaluated("int8", "f32", 158, flipped=1),
)
BASELINES = (
    Measured(hint="LATENCY", fps=16.5, memory_mb=480),
    Measured(hint="THROUGHPUT", fps=17.2, streams=2, memory_mb=520),
)
NINE = (
    *BASELINES,
    Measured(precision="FP32", fps=8.4, memory_mb=480),
    Measured(precision="FP32", streams=2, fps=8.7, memory_mb=520),
    Measured(precision="FP16", fps=8.4, memory_mb=430),
    Measured(precision="BF16", fps=16.8, memory_mb=480),
    Measured(precision="BF16", streams=2, fps=17.4, memory_mb=520),
    Measured(precision="BF16", batch=4, fps=17.0, memory_mb=640),
    Measured(precision="INT8", fps=28.2, memory_mb=225),
    Measured(precision="INT8", streams=2, fps=33.0, memory_mb=260),
    Measured(precision="INT8", batch=4, fps=30.1, memory_mb=330),
)


def nine() -> Run:
    """Return a run like the default sweep's: nine configurations and the two baselines."""
    return Journal(NINE, EVALUATIONS).run()


def three() -> Run:
    """Return a small run: three configurations, one of them failed and one with a sync load."""
    measured = (
        BASELINES[0],
        Measured(precision="FP32", fps=8.4),
        Measured(precision="INT8", streams=2, fps=33.0, sync=True, memory_mb=260),
        Measured(precision="BF16", rounds=0, failed="the child was killed"),
        Measured(precision="BF16", streams=8, rounds=0, left_out="CPU has 1 to 2 streams"),
    )
    return Journal(measured, EVALUATIONS).run()


def forty() -> Run:
    """Return a large run: four precisions by batches 1, 2, 4, 8 and streams 1, 2, 4, but eight of those."""
    base = {"FP32": 8.4, "FP16": 8.4, "BF16": 16.8, "INT8": 28.0}
    measured = [
        Measured(
            precision=precision,
            batch=batch,
            streams=streams,
            fps=fps * (1 + 0.08 * math.log2(streams)) * (1 + 0.02 * math.log2(batch)),
            memory_mb=200 + 40 * batch + 30 * streams,
        )
        for precision, fps in base.items()
        for batch in (1, 2, 4, 8)
        for streams in (1, 2, 4)
        if not (batch == 8 and streams > 1)
    ]
    return Journal((*BASELINES, *measured), EVALUATIONS).run()


def changed(one: Measured, **fields: object) -> Measured:
    """Return a copy with other fields."""
    return replace(one, **fields)
