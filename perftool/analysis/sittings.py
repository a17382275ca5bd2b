"""Tell what was measured at one time: visits of one round, with no stop and no other round in between.

Figures are paired inside a round because its visits are seconds apart, on nearly the same machine. A round
that was stopped and gone on with, perhaps the next day, is several of those in one: its parts get keys of
their own, and nothing of one is paired with anything of another. Pure; docs/measurement.md, "Differences".
"""

from collections.abc import Iterable

from perftool.journal import Entry, Started
from perftool.record import Visited
from perftool.spec import Load

#: The first part of a round has the round's number for its key, each later one so much more than the last.
_STRIDE = 1_000_000


class Sittings:
    """The parts of rounds, seen in the order of a journal."""

    def __init__(self) -> None:
        self._parts: dict[int, int] = {}
        self._now: int | None = None

    def stop(self) -> None:
        """Note that the run was started anew."""
        self._now = None

    def key(self, round: int) -> int:
        """Return what a visit of a round that is made now has in common with those it is paired with."""
        if round != self._now:
            self._parts[round] = self._parts.get(round, -1) + 1
            self._now = round
        return round + _STRIDE * self._parts[round]


def round_of(key: int) -> int:
    """Return the round that a key is of."""
    return key % _STRIDE


def in_order(key: int) -> tuple[int, int]:
    """Sort keys by round, and then by part."""
    return round_of(key), key


def seen(entries: Iterable[Entry]) -> dict[tuple[str, Load], set[int]]:
    """Return the keys of all visits to each configuration under each closed load."""
    found: dict[tuple[str, Load], set[int]] = {}
    sittings = Sittings()
    for entry in entries:
        if isinstance(entry.record, Started):
            sittings.stop()
        elif isinstance(entry.record, Visited):
            visit = entry.record
            found.setdefault((visit.configuration, visit.load), set()).add(sittings.key(visit.round))
    return found
