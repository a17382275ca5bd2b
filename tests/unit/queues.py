"""Make records of open load: by hand, and on a simulated server."""

import random
from collections.abc import Iterator, Sequence

from perftool.bench.engine import FakeEngine
from perftool.bench.load import arrivals
from perftool.bench.offer import offer
from perftool.machine import Conditions
from perftool.record import Offered
from perftool.spec import Arrivals, Open

MS = 1_000_000
QUIET = Conditions(other_load=None, steal=None, frequency_mhz=None, energy_j=None)


def offered(
    latencies_ms: Sequence[float],
    *,
    rate: float = 10.0,
    kind: Arrivals = "constant",
    requests: int = 1,
    batch: int = 1,
    lag_ms: float = 0.0,
    unserved: int = 0,
) -> Offered:
    """Return a window of evenly spaced arrivals with the given latencies."""
    gap_ns = batch / rate * 1e9
    return Offered(
        configuration="one",
        incarnation=0,
        round=0,
        position=0,
        load=Open(rate_fps=rate, arrivals=kind),
        batch=batch,
        requests=requests,
        warmup_ns=(),
        arrivals_ns=tuple(round(number * gap_ns) for number in range(len(latencies_ms))),
        latencies_ns=tuple(round(latency * MS) for latency in latencies_ms),
        lags_ns=(round(lag_ms * MS),) * len(latencies_ms),
        unserved=unserved,
        window_ns=round(len(latencies_ms) * gap_ns),
        load_rss_bytes=None,
        peak_rss_bytes=0,
        conditions=QUIET,
    )


def simulated(
    service_ns: Iterator[int],
    *,
    rate: float,
    count: int,
    seed: int = 1,
    slots: int = 1,
    kind: Arrivals = "poisson",
    late_ns: int = 0,
) -> Offered:
    """Offer at least `count` requests to a simulated server, as a visit does."""
    window_ns = round(count / rate * 1e9)
    load = Open(rate_fps=rate, arrivals=kind, seed=seed)
    burst = offer(
        FakeEngine(service_ns, slots=slots, late_ns=late_ns).flight(slots),
        arrivals(load, 1),
        requests=slots,
        window_ns=window_ns,
        arrivals=count,
        warmup_ns=round(window_ns * 0.25),
    )
    return Offered(
        configuration="one",
        incarnation=0,
        round=0,
        position=0,
        load=load,
        batch=1,
        requests=slots,
        warmup_ns=burst.warmup_ns,
        arrivals_ns=burst.arrivals_ns,
        latencies_ns=burst.latencies_ns,
        lags_ns=burst.lags_ns,
        unserved=burst.unserved,
        window_ns=burst.window_ns,
        load_rss_bytes=None,
        peak_rss_bytes=0,
        conditions=QUIET,
    )


def exponential(mean_ns: float, seed: int) -> Iterator[int]:
    """Yield exponential service times."""
    draw = random.Random(seed)
    while True:
        yield max(1, round(draw.expovariate(1.0) * mean_ns))


def steady(mean_ns: float, seed: int, spread: float = 0.05) -> Iterator[int]:
    """Yield service times that scatter little, as a model's do."""
    draw = random.Random(seed)
    while True:
        yield max(1, round(draw.gauss(mean_ns, spread * mean_ns)))
