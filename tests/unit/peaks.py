"""Make peaks of a device that a test can foresee."""

from collections.abc import Mapping

from perftool.machine import Conditions
from perftool.record import Peak, PeaksMeasured

QUIET = Conditions(other_load=0.0, steal=0.0, frequency_mhz=None, energy_j=None)
#: A little noise over six bursts, its median 1.
NOISE = (1.0, 1.01, 0.99, 1.02, 0.98, 1.0)
GFLOPS = {"f32": 200.0, "bf16": 400.0, "int8": 800.0}


def peak(
    gflops: float,
    executed: str = "f32",
    *,
    asked: str | None = None,
    kernel: str = "matmul",
    streams: int = 1,
    noise: tuple[float, ...] = NOISE,
) -> Peak:
    """Make a kernel of so many 10^9 operations (or bytes) a second, two repetitions a burst."""
    work = 10_000_000_000
    return Peak(
        kernel=kernel,  # type: ignore[arg-type]
        precision=executed if asked is None else asked,
        executed=executed,
        streams=streams,
        work=work,
        times_ns=tuple((round(work / gflops * one),) * 2 for one in noise),
    )


def memory(gb_s: float = 20.0, noise: tuple[float, ...] = NOISE) -> Peak:
    return peak(gb_s, "", kernel="memory", noise=noise)


def measured(
    gflops: Mapping[str, float] = GFLOPS,
    gb_s: float = 20.0,
    *,
    device: str = "CPU",
    conditions: Conditions = QUIET,
    noise: tuple[float, ...] = NOISE,
) -> PeaksMeasured:
    """Make the peaks of a device, one kernel for each precision."""
    kernels = [peak(rate, precision, noise=noise) for precision, rate in gflops.items()]
    return PeaksMeasured(
        device=device,
        peaks=(*kernels, memory(gb_s, noise)),
        measured_ns=1_700_000_000_000_000_000,
        conditions=conditions,
    )
