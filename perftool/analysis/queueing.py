"""Read a queue off the arrivals and latencies of one window of open load.

The requests are served in order of arrival, a given number of them at a time. Pure functions over one
record; what they mean for a rate is decided in `open_load`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from perftool.record import Offered

#: How many standard errors the pace of a full server must be away from the offered rate.
SURE = 2.0


def completions(record: Offered) -> NDArray[np.int64]:
    """Return when the window's requests were done, in order, in nanoseconds from its opening."""
    return np.sort(np.asarray(record.arrivals_ns) + np.asarray(record.latencies_ns))


def busy_share(record: Offered) -> float:
    """Return the share of time that a request of the configuration is at work, at the offered rate.

    By Little's law: the offered rate times the mean service time, over the requests in flight. A request
    starts when it has arrived and all but `requests` - 1 of those before it are done.
    """
    at = np.asarray(record.arrivals_ns)
    starts = at.copy()
    starts[record.requests :] = np.maximum(at[record.requests :], completions(record)[: -record.requests])
    service_ns = float((at + np.asarray(record.latencies_ns) - starts).mean())
    return service_ns * record.load.rate_fps / 1e9 / record.batch / record.requests


def falls_behind(record: Offered) -> bool:
    """Tell whether a window shows a server that is always full and slower than the offered rate.

    A queue can be long by the chance of arrivals alone, so its length is no witness. The pace of a full
    server is: while every request in flight is taken, completions come as fast as it can make them, whatever
    the arrivals do. So: from the last arrival back, as long as each found all requests taken; where that is
    half of the window's arrivals at least, the pace of the completions meanwhile (counted by whole rounds of
    the requests, which may finish in step), less `SURE` standard errors, is compared with the offered rate.
    """
    at = np.asarray(record.arrivals_ns)
    count, requests = len(at), record.requests
    if not count:
        return False
    done = completions(record)
    present = np.arange(count) - np.searchsorted(done, at, side="right")
    free = np.flatnonzero(present < requests)
    first = int(free[-1]) + 1 if len(free) else 0
    if 2 * (count - first) < count:
        return False
    full = done[int(np.searchsorted(done, at[min(first, count - 1)])) : count - requests + 1]
    rounds = np.diff(full[::requests])
    if len(rounds) < 3:
        return False
    error = float(rounds.std(ddof=1)) / math.sqrt(len(rounds))
    fastest_ns = float(rounds.mean()) - SURE * error
    return fastest_ns > requests * record.batch / record.load.rate_fps * 1e9
