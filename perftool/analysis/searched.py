"""What a search did without: what a race dropped, and what has no visits because another stands for it."""

from collections.abc import Sequence

from perftool.analysis.result import (
    Dropped,
)
from perftool.journal import (
    Planned,
    Proposed,
    Raced,
    Readmitted,
    Record,
    Run,
    Twin,
)


def drops_of(records: Sequence[Record]) -> dict[str, Dropped]:
    """Return what races dropped, and did not take up again."""
    found: dict[str, Dropped] = {}
    for record in records:
        if isinstance(record, Raced):
            for drop in record.drops:
                found[drop.configuration] = Dropped(by=drop.by, reason=drop.reason)
        elif isinstance(record, Readmitted):
            for id in record.configurations:
                found.pop(id, None)
    return found


def unvisited(run: Run, planned: Planned) -> dict[str, str]:
    """Say why some of a plan were not visited: another stands for them, or no proposal came to them."""
    records = [entry.record for entry in run.entries]
    found = {}
    if run.header.profile.search == "tpe":
        proposed = {one.configuration for one in records if isinstance(one, Proposed)}
        why = f"not among the {len(proposed)} configurations that the search visited"
        found = {one.id: why for one in planned.configurations if not one.baseline and one.id not in proposed}
    for one in records:
        if isinstance(one, Twin):
            found[one.configuration] = f"compiles to the same properties as {one.of}, and is measured there"
    return found
