"""One burst of open load: send requests when they are due, whatever became of those before.

Latency counts from the intended arrival, so that a stall is charged to every request that it delayed and not
only to the one that was in flight (coordinated omission). Works on any flight, simulated ones too, and by
the flight's clock alone. Computes no statistic that is kept: the burst is raw samples.
"""

from collections.abc import Iterator

from msgspec import Struct

from perftool.bench.engine import Completion, Flight


class OpenBurst(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The raw samples of one burst, in nanoseconds, in order of arrival.

    `arrivals_ns` count from the window's opening, `latencies_ns` from the intended arrival. `lags_ns` is what
    the generator itself added: how long after the arrival, and after a request was free, it was started.
    """

    warmup_ns: tuple[int, ...]
    arrivals_ns: tuple[int, ...]
    latencies_ns: tuple[int, ...]
    lags_ns: tuple[int, ...]
    unserved: int
    window_ns: int


class _Sent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request on its way: when it was to arrive, and when it was started."""

    number: int
    due_ns: int
    started_ns: int
    lag_ns: int


def offer(
    flight: Flight,
    schedule: Iterator[int],
    *,
    requests: int,
    window_ns: int,
    arrivals: int,
    warmup_ns: int,
) -> OpenBurst:
    """Send the requests of a schedule, first come first served, at most `requests` in flight.

    The first `warmup_ns` of the schedule bring the queue into its steady state. The window takes in the
    arrivals of the next `window_ns`, and at least `arrivals` of them. Every one of them is waited for, but
    when the backlog reaches back further than the whole schedule is long, the rest is given up as unserved:
    the load is beyond what the model can serve.
    """
    due = _taken(schedule, warmup_ns, window_ns, arrivals)
    opened = warmup_ns
    closed = max(due[-1], warmup_ns + window_ns)
    origin = flight.now()
    sent: dict[int, _Sent] = {}
    latencies: dict[int, int] = {}
    lags: dict[int, int] = {}
    freed = origin

    def settle(done: Completion) -> int:
        """Charge a completion to its arrival, and return when it really was done."""
        one = sent.pop(done.slot)
        latencies[one.number] = one.started_ns - one.due_ns + done.latency_ns
        lags[one.number] = one.lag_ns
        return one.started_ns + done.latency_ns

    for number, at in enumerate(due):
        due_ns = origin + at
        flight.sleep_until(due_ns)
        ready = due_ns
        if len(sent) >= requests:
            freed = settle(flight.wait())
            ready = max(due_ns, freed)
        started = flight.now()
        if started - due_ns > closed:
            break
        slot = flight.start()
        sent[slot] = _Sent(number=number, due_ns=due_ns, started_ns=started, lag_ns=max(0, started - ready))
    for done in flight.drain():
        settle(done)
    counted = [number for number, at in enumerate(due) if at >= opened]
    served = [number for number in counted if number in latencies]
    return OpenBurst(
        warmup_ns=tuple(latencies[n] for n, at in enumerate(due) if at < opened and n in latencies),
        arrivals_ns=tuple(due[number] - opened for number in served),
        latencies_ns=tuple(latencies[number] for number in served),
        lags_ns=tuple(lags[number] for number in served),
        unserved=len(counted) - len(served),
        window_ns=closed - opened,
    )


def _taken(schedule: Iterator[int], warmup_ns: int, window_ns: int, arrivals: int) -> list[int]:
    """Take from a schedule what falls into the warm-up and the window, at least `arrivals` in the window."""
    due: list[int] = []
    inside = 0
    for at in schedule:
        if at >= warmup_ns + window_ns and inside >= arrivals:
            break
        due.append(at)
        inside += at >= warmup_ns
    return due
