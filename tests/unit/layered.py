"""Build synthetic LayersTimed: graphs whose times a test can foresee."""

from collections.abc import Sequence

from perftool.analysis.roofline import Ceiling, Roofline
from perftool.analysis.stats import Estimate
from perftool.machine import Conditions
from perftool.record import LayersTimed, LayerTime
from perftool.spec import Configuration, Explicit, Precision

QUIET = Conditions(other_load=0.0, steal=0.0, frequency_mhz=None, energy_j=None)


def exactly(value: float) -> Estimate:
    return Estimate(point=value, low=value, high=value)


def a_roofline() -> Roofline:
    """Return peaks of 800 (int8) and 200 (f32) operations per nanosecond, and 10 bytes per nanosecond."""
    return Roofline(
        device="CPU",
        ceilings=(
            Ceiling(precision="int8", kernel="matmul", gflops=exactly(800.0)),
            Ceiling(precision="f32", kernel="matmul", gflops=exactly(200.0)),
        ),
        bandwidth_gb_s=exactly(10.0),
        measured="2026-01-01T00:00:00+00:00",
    )


def node(
    name: str,
    *times_us: float,
    type: str = "Convolution",
    precision: str = "int8",
    flops: int = 0,
    moved: int = 0,
    originals: Sequence[str] | None = None,
    reads: str = "u8",
    writes: str = "u8",
) -> LayerTime:
    return LayerTime(
        name=name,
        type=type,
        kernel=f"kernel_{precision}",
        precision=precision,
        originals=(name,) if originals is None else tuple(originals),
        output_shape=(1, 8, 4, 4),
        flops=flops,
        bytes=moved,
        times_ns=tuple(round(time * 1e3) for time in times_us),
        reads=reads,
        writes=writes,
    )


def timed(
    *layers: LayerTime,
    precision: Precision = "INT8",
    plain_us: Sequence[float] | None = None,
    counted_us: Sequence[float] | None = None,
    streams: int = 1,
    threads: int = 2,
    requests: int = 1,
    batch: int = 1,
    tick_ns: int = 0,
) -> LayersTimed:
    """Return a record with a burst for each counted latency: the sum of the layers by default."""
    bursts = max(len(one.times_ns) for one in layers)
    sums = [sum(one.times_ns[at] for one in layers if one.times_ns) / 1e3 for at in range(bursts)]
    plain_us = sums if plain_us is None else plain_us
    counted_us = sums if counted_us is None else counted_us
    return LayersTimed(
        configuration=Configuration(
            id=f"cpu-{precision.lower()}-b{batch}-s{streams}",
            device="CPU",
            precision=precision,
            batch=batch,
            setting=Explicit(inference_precision="f32", streams=streams, threads=threads),
            requests=requests,
        ),
        weight_format="int8" if precision == "INT8" else "fp32",
        resolved={},
        streams=streams,
        threads=threads,
        requests=requests,
        plain_ns=tuple(round(value * 1e3) for value in plain_us),
        counted_ns=tuple(round(value * 1e3) for value in counted_us),
        layers=layers,
        conditions=QUIET,
        bursts=len(counted_us),
        tick_ns=tick_ns,
    )
