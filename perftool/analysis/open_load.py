"""Look at open load: the latency at each offered rate, or why there is none.

Pure functions over `Offered` records. A rate that the data cannot speak for is refused, in a sentence; what
is measured next is not decided here. docs/measurement.md explains the statistics.
"""

from collections.abc import Sequence

import numpy as np

from perftool.analysis import stats
from perftool.analysis.evidence import disturbed
from perftool.analysis.queueing import busy_share, completions, falls_behind
from perftool.analysis.result import LatencyIntervals, RatePoint, Refusal
from perftool.analysis.stats import Estimate
from perftool.record import Offered
from perftool.spec import Arrivals

#: Into how many blocks the windows of one rate are cut together, where they are too few to be visits.
BLOCKS = 10
#: A block that holds fewer requests than this does not stand for a visit.
BLOCK_REQUESTS = 8
#: A generator is late when its own lag makes up more than this share of a percentile ...
LATE_SHARE = 0.05
#: ... and more than this many milliseconds of it.
LATE_MS = 1.0

_NS_PER_MS = 1e6


NO_LATENCY = LatencyIntervals(p50=None, p90=None, p95=None, p99=None)


def rate_points(offered: Sequence[Offered], closed_fps: float | None = None) -> tuple[RatePoint, ...]:
    """Return one configuration's points by rising rate, from its bursts of open load in any order.

    Bursts of the same rate and kind of arrivals belong to one point, however their gaps were drawn.
    `closed_fps` is the closed loop's throughput, where it is known.
    """
    groups: dict[tuple[float, Arrivals], list[Offered]] = {}
    for record in offered:
        groups.setdefault((record.load.rate_fps, record.load.arrivals), []).append(record)
    return tuple(_point(groups[key], closed_fps) for key in sorted(groups))


def _point(records: Sequence[Offered], closed_fps: float | None) -> RatePoint:
    load = records[0].load
    visits = _visits(records)
    lag_ms = _quantile_ms([lag for record in records for lag in record.lags_ns], 99)
    served = _served_fps(records)
    refusal, refused = _refusal(records, served)
    return RatePoint(
        rate_fps=load.rate_fps,
        arrivals=load.arrivals,
        served_fps=served,
        latency_ms=NO_LATENCY
        if refusal
        else _latency(visits, independent_samples(records, closed_fps), len(visits) == len(records)),
        n=sum(len(record.latencies_ns) for record in records),
        visits=len(visits),
        disturbed=sum(map(disturbed, records)),
        lag_ms=lag_ms,
        refusal=refusal,
        refused=refused,
    )


def _visits(records: Sequence[Offered]) -> list[list[float]]:
    """Return the latencies in ms, in parts that an interval may be taken over.

    With enough windows (`stats.MIN_VISITS`) each is a part. Fewer are cut into blocks of consecutive
    arrivals, about `BLOCKS` in all: requests of a queue hang together, and only parts that are long against
    its memory differ as independent ones would. Where blocks would be too short the windows stay whole, and
    there is no interval.
    """
    whole = [
        [latency / _NS_PER_MS for latency in record.latencies_ns] for record in records if record.latencies_ns
    ]
    if not whole or len(whole) >= stats.MIN_VISITS:
        return whole
    wanted = -(-BLOCKS // len(whole))
    counts = [max(1, min(wanted, len(latencies) // BLOCK_REQUESTS)) for latencies in whole]
    if sum(counts) < stats.MIN_VISITS:
        return whole
    pairs = zip(whole, counts, strict=True)
    return [block.tolist() for latencies, count in pairs for block in np.array_split(latencies, count)]


def _latency(visits: Sequence[Sequence[float]], independent: float, whole: bool) -> LatencyIntervals:
    """Return the percentiles, each with its interval where the samples are worth enough independent ones.

    Where the parts are `whole` windows they tell themselves how much they differ; blocks of one queue do not.
    """
    surely = None if whole else independent

    def estimate(percentile: float) -> Estimate | None:
        found = stats.percentile_estimate(visits, percentile, surely)
        if found is None or independent >= stats.samples_needed(percentile):
            return found
        return Estimate(point=found.point, low=None, high=None)

    return LatencyIntervals(p50=estimate(50), p90=estimate(90), p95=estimate(95), p99=estimate(99))


def independent_samples(records: Sequence[Offered], closed_fps: float | None = None) -> float:
    """Return about how many independent samples the requests of one rate are worth.

    Under Poisson arrivals a queue forgets within some 1 / (1 - load)^2 requests (Whitt, Management Science
    35, 1989), where load is the share of time that its server is busy: 662 requests are worth 165 at half
    load, and 7 at nine tenths. A window that is not long against that memory has seen few of the queue's
    long days, and nothing inside it tells so: in simulations an interval over the blocks of 662 requests
    covered p99 in 8 % of all cases at nine tenths, instead of 95 %. Even arrivals make no such queue.
    With more requests in flight than the runtime has streams some of the queue is inside the runtime and
    looks like service: the share of the closed loop's throughput, `closed_fps`, is then the load.
    """

    def load(record: Offered) -> float:
        return max(busy_share(record), record.load.rate_fps / closed_fps if closed_fps else 0.0)

    return sum(
        len(record.latencies_ns) * max(0.0, 1 - load(record)) ** 2
        if record.load.arrivals == "poisson"
        else len(record.latencies_ns)
        for record in records
        if record.latencies_ns
    )


def _served_fps(records: Sequence[Offered]) -> float | None:
    """Return the images per second between the first and the last completion, over all windows.

    The completions of all that arrived in a window count, those after its end too: a server that falls
    behind works without a pause until then, so this is all that it can do.
    """
    images, span_ns = 0, 0.0
    for record in records:
        if len(record.latencies_ns) > 1:
            done = completions(record)
            images += record.batch * (len(done) - 1)
            span_ns += float(done[-1] - done[0])
    return images * 1e9 / span_ns if span_ns > 0 else None


def said(rate_fps: float) -> str:
    """Write a rate in four digits."""
    return f"{float(f'{rate_fps:.4g}'):g}"


def _quantile_ms(values_ns: Sequence[int], percentile: float) -> float:
    return float(np.percentile(values_ns, percentile)) / _NS_PER_MS if values_ns else 0.0


# ---------------------------------------------------------------- refusals


def _refusal(records: Sequence[Offered], served_fps: float | None) -> tuple[Refusal, str] | tuple[None, None]:
    """Return why a rate gives no figure: the generator's fault first, since it can look like the server's.

    The server is overloaded when arrivals were given up, or when it falls behind in most of the windows.
    """
    if found := _lateness(records):
        return "late", found
    rate = said(records[0].load.rate_fps)
    served = "none" if served_fps is None else said(served_fps)
    unserved = sum(record.unserved for record in records)
    given_up = f", and {unserved} requests were given up" if unserved else ""
    if unserved or 2 * sum(falls_behind(record) for record in records) > len(records):
        return "overloaded", (
            f"more than it can serve: {rate} images/s arrive, {served} are served{given_up}; "
            "latency grows without bound"
        )
    return None, None


def _lateness(records: Sequence[Offered]) -> str | None:
    """Say how late the generator was, where that is more than a small part of what is measured.

    Each percentile that the samples carry, and the median in any case, is compared with itself, the lag taken
    out of every latency: the generator is late when one of them shrinks by more than 5 %. Less than 1 ms
    passes, since a sleep on an ordinary system overshoots by some 0.1 ms; for models as fast as that the lag
    is shown beside the figures (`RatePoint.lag_ms`).
    """
    latencies = np.array([latency for record in records for latency in record.latencies_ns], dtype=float)
    lags = np.array([lag for record in records for lag in record.lags_ns], dtype=float)
    for percentile in (50, 90, 95, 99) if len(latencies) else ():
        if percentile > 50 and len(latencies) < stats.samples_needed(percentile):
            break
        with_lag = float(np.percentile(latencies, percentile)) / _NS_PER_MS
        without = float(np.percentile(latencies - lags, percentile)) / _NS_PER_MS
        if with_lag - without > max(LATE_MS, LATE_SHARE * with_lag):
            return (
                f"the generator did not keep its schedule: p{percentile} would be {without:.3g} ms instead "
                f"of {with_lag:.3g} ms without its own lag"
            )
    return None
