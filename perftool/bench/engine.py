"""What measuring needs of a runtime, and a simulated runtime for tests.

An engine compiles one model; a flight keeps its requests in the air. Nothing here imports OpenVINO.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from perftool.record import Executed


class Completion(NamedTuple):
    """One finished request: how long it took, and when it was done (a monotonic clock), in nanoseconds."""

    latency_ns: int
    completed_ns: int


class Flight(Protocol):
    """The requests of one compiled model; inputs rotate by themselves."""

    def infer(self) -> Completion:
        """Run one request alone, from call to return."""
        ...

    def start(self) -> None:
        """Start the request that has been idle longest."""
        ...

    def wait(self) -> Completion:
        """Block until a started request is done; requests are handed out in order of completion."""
        ...

    def drain(self) -> None:
        """Block until nothing is in flight."""
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
    """A simulated flight: `slots` servers with given service times, on a clock of its own."""

    def __init__(self, service_ns: Iterator[int], slots: int) -> None:
        self._service = service_ns
        self._now = 0
        self._slots = slots
        self._busy: list[tuple[int, int]] = []

    def infer(self) -> Completion:
        service = next(self._service)
        self._now += service
        return Completion(service, self._now)

    def start(self) -> None:
        begins = self._now
        if len(self._busy) >= self._slots:
            begins = sorted(done for done, _ in self._busy)[-self._slots]
        self._busy.append((begins + next(self._service), self._now))

    def wait(self) -> Completion:
        self._busy.sort()
        done, started = self._busy.pop(0)
        self._now = done
        return Completion(done - started, done)

    def drain(self) -> None:
        while self._busy:
            self.wait()


class FakeEngine:
    """A simulated compiled model for tests: no runtime, no waiting."""

    loaded_from_cache = False

    def __init__(
        self,
        service_ns: Iterator[int],
        *,
        slots: int = 1,
        requested: dict[str, str] | None = None,
        resolved: dict[str, str] | None = None,
        executed: tuple[Executed, ...] = (Executed(precision="f32", flops=1, kernels=1),),
    ) -> None:
        self._service = service_ns
        self._slots = slots
        self._executed = executed
        self.requested = requested or {}
        self.resolved = resolved or dict(self.requested)
        self.optimal_requests = slots

    def executed(self) -> tuple[Executed, ...]:
        return self._executed

    def flight(self, requests: int) -> Flight:
        return FakeFlight(self._service, min(self._slots, requests))
