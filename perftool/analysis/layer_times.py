"""How long nodes took: medians over bursts, and what counters of whole microseconds leave out. Pure.

docs/profiling.md says where the figures come from.
"""

from collections.abc import Sequence
from statistics import fmean

from msgspec import structs

from perftool.analysis.stats import Estimate, median_estimate
from perftool.record import LayersTimed, LayerTime

_NS_PER_MS = 1e6
_NS_PER_US = 1e3


def latency_ms(latencies_ns: Sequence[int], bursts: int) -> Estimate:
    """Return the median over bursts of the mean latency."""
    size = max(1, len(latencies_ns) // max(1, bursts))
    chunks = [latencies_ns[at : at + size] for at in range(0, len(latencies_ns) - size + 1, size)]
    return median_estimate([fmean(chunk) / _NS_PER_MS for chunk in chunks])


def burst_sums(rows: Sequence[LayerTime]) -> Estimate:
    """Return the median over bursts of what nodes take together in one, in microseconds.

    Not the sum of their medians, which is less: each of those leaves its own node's slow bursts out.
    """
    count = min((len(one.times_ns) for one in rows), default=0)
    if not count:
        return Estimate(point=0.0, low=None, high=None)
    return median_estimate([sum(one.times_ns[at] for one in rows) / _NS_PER_US for at in range(count)])


def widened(time: Estimate, hidden: float) -> Estimate:
    """Return a time whose interval holds as well what the counters may have left out of it."""
    return time if time.high is None else structs.replace(time, high=time.high + hidden)


def hidden_ms(timed: LayersTimed) -> float:
    """Return how much of a request's time the counters may leave out by cutting off.

    A node without a time ran too shortly to show, or is one that moves nothing: that only hands data over.
    """
    return sum(1 for one in timed.layers if one.times_ns or one.bytes) * timed.tick_ns / _NS_PER_MS


def too_short(timed: LayersTimed) -> tuple[str, ...]:
    """Return the layers of the model that only nodes without a time stand for; those move something."""
    nodes = [one for one in timed.layers if not one.rewrites]
    shown = {name for one in nodes if one.times_ns for name in one.originals}
    hidden = (name for one in nodes if one.bytes and not one.times_ns for name in one.originals)
    return tuple(name for name in dict.fromkeys(hidden) if name not in shown)
