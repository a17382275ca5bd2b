"""What measuring needs of a runtime, and a simulated runtime for tests.

An engine compiles one model; a flight keeps its requests in the air. Nothing here imports OpenVINO.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from perftool.record import Executed


class Completion(NamedTuple):
    """One finished request: how long it took, and when that was noticed (a monotonic clock), in nanoseconds.

    `slot` is which of the flight's requests it was, as `Flight.start` returned it.
    """

    latency_ns: int
    completed_ns: int
    slot: int = 0


class Flight(Protocol):
    """The requests of one compiled model; inputs rotate by themselves."""

    def infer(self) -> Completion:
        """Run one request alone, from call to return."""
        ...

    def start(self) -> int:
        """Start the request that has been idle longest, and return its slot."""
        ...

    def wait(self) -> Completion:
        """Block until a started request is done; requests are handed out in order of completion.

        Only to be called when every slot was started and not handed out since.
        """
        ...

    def drain(self) -> list[Completion]:
        """Block until nothing is in flight; return what was started and not handed out."""
        ...

    def now(self) -> int:
        """Read the flight's clock, in nanoseconds."""
        ...

    def sleep_until(self, time_ns: int) -> None:
        """Sleep until the flight's clock shows a time; return at once where it has passed."""
        ...


class Engine(Protocol):
    """A compiled model, as the runtime describes it."""

    @property
    def requested(self) -> dict[str, str]:
        """Return the properties that were asked for."""
        ...

    @property
    def resolved(self) -> dict[str, str]:
        """Return the properties that the runtime settled on."""
        ...

    @property
    def optimal_requests(self) -> int:
        """Return how many requests the runtime would keep in flight."""
        ...

    @property
    def loaded_from_cache(self) -> bool:
        """Tell whether a compiled blob was read instead of compiling."""
        ...

    def executed(self) -> tuple[Executed, ...]:
        """Return the precisions that the kernels really run in, the largest share first."""
        ...

    def flight(self, requests: int) -> Flight:
        """Make `requests` requests."""
        ...


class FakeFlight:
    """A simulated flight: `slots` servers with given service times, on a clock of its own.

    `late_ns` is by how much every sleep oversleeps: a generator that cannot keep its schedule.
    """

    def __init__(self, service_ns: Iterator[int], slots: int, late_ns: int = 0) -> None:
        self._service = service_ns
        self._now = 0
        self._slots = slots
        self._late = late_ns
        self._started = 0
        self._busy: list[tuple[int, int, int]] = []

    def infer(self) -> Completion:
        service = next(self._service)
        self._now += service
        return Completion(service, self._now)

    def start(self) -> int:
        begins = self._now
        if len(self._busy) >= self._slots:
            begins = max(begins, sorted(done for done, _, _ in self._busy)[-self._slots])
        slot = self._started
        self._started += 1
        self._busy.append((begins + next(self._service), self._now, slot))
        return slot

    def wait(self) -> Completion:
        self._busy.sort()
        done, started, slot = self._busy.pop(0)
        self._now = max(self._now, done)
        return Completion(done - started, self._now, slot)

    def drain(self) -> list[Completion]:
        found = []
        while self._busy:
            found.append(self.wait())
        return found

    def now(self) -> int:
        return self._now

    def sleep_until(self, time_ns: int) -> None:
        if time_ns > self._now:
            self._now = time_ns + self._late


class FakeEngine:
    """A simulated compiled model for tests: no runtime, no waiting."""

    loaded_from_cache = False

    def __init__(
        self,
        service_ns: Iterator[int],
        *,
        slots: int = 1,
        late_ns: int = 0,
        requested: dict[str, str] | None = None,
        resolved: dict[str, str] | None = None,
        executed: tuple[Executed, ...] = (Executed(precision="f32", flops=1, kernels=1),),
    ) -> None:
        self._service = service_ns
        self._slots = slots
        self._late = late_ns
        self._executed = executed
        self.requested = requested or {}
        self.resolved = resolved or dict(self.requested)
        self.optimal_requests = slots

    def executed(self) -> tuple[Executed, ...]:
        return self._executed

    def flight(self, requests: int) -> Flight:
        return FakeFlight(self._service, min(self._slots, requests), self._late)
