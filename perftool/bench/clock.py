"""The clock that real requests are timed by."""

import time


def now() -> int:
    """Read the clock, in nanoseconds."""
    return time.perf_counter_ns()


def sleep_until(time_ns: int) -> None:
    """Sleep until the clock shows a time; return at once where it has passed."""
    left = time_ns - time.perf_counter_ns()
    if left > 0:
        time.sleep(left / 1e9)
