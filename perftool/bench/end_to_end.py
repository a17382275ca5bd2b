"""Requests as an application makes them: each reads, decodes and preprocesses its image, then infers.

One thread per request, each with a request of its own, as an application that serves one caller per thread
would have it. Decoding and inference both run outside Python's lock, so that they overlap.
"""

import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import openvino as ov
from numpy.typing import NDArray

from perftool.bench import clock
from perftool.bench.engine import Completion


class EndToEndFlight:
    """A flight whose inputs are made inside the clock. `inputs` make one each, and are used in turn.

    A latency runs from the start of a request to its result, the input's making included.
    """

    def __init__(self, compiled: Any, requests: int, inputs: Sequence[Callable[[], NDArray[Any]]]) -> None:
        self._requests = [compiled.create_infer_request() for _ in range(requests)]
        self._idle = deque(range(requests))
        self._inputs = inputs
        self._turn = 0
        self._threads = ThreadPoolExecutor(requests, thread_name_prefix="end-to-end")
        self._done: queue.SimpleQueue[Future[Completion]] = queue.SimpleQueue()
        self._flying = 0

    def _work(self, slot: int, turn: int, started: int) -> Completion:
        request = self._requests[slot]
        made = self._inputs[turn]()
        request.set_input_tensor(ov.Tensor(made, shared_memory=True))
        request.infer()
        done = time.perf_counter_ns()
        return Completion(done - started, done, slot)

    def _next_turn(self) -> int:
        self._turn = (self._turn + 1) % len(self._inputs)
        return self._turn

    def infer(self) -> Completion:
        return self._work(0, self._next_turn(), time.perf_counter_ns())

    def start(self) -> int:
        slot = self._idle.popleft()
        self._flying += 1
        future = self._threads.submit(self._work, slot, self._next_turn(), time.perf_counter_ns())
        future.add_done_callback(self._done.put)
        return slot

    def wait(self) -> Completion:
        future = self._done.get()
        self._flying -= 1
        done = future.result()
        self._idle.append(done.slot)
        return done

    def drain(self) -> list[Completion]:
        return [self.wait() for _ in range(self._flying)]

    now = staticmethod(clock.now)
    sleep_until = staticmethod(clock.sleep_until)
