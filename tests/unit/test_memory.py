"""Peaks of memory: between looks and since the start, read off the real kernel."""

import mmap

from perftool.memory import Peak

MB = 1_000_000


def test_what_was_held_between_looks_and_given_back_counts_there_alone() -> None:
    peak = Peak()
    before = peak.since_last()
    assert before is not None, "Linux lets a process set its own high-water mark back"
    # Mapped for itself: malloc may answer out of what a long session has freed and still holds.
    with mmap.mmap(-1, 100 * MB) as held:
        held.write(b"\1" * (100 * MB))
    during = peak.since_last()
    after = peak.since_last()
    assert during is not None and after is not None
    assert during > before + 80 * MB
    assert after < during - 80 * MB
    assert peak.ever() >= during
