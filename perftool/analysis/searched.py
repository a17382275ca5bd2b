"""What a search did without: what a race dropped, and what has no visits because another stands for it."""

from collections.abc import Sequence

from perftool.analysis.result import Dropped
from perftool.journal import Planned, Proposed, Raced, Readmitted, Record, Run, Twin


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


def twins_of(records: Sequence[Record]) -> dict[str, str]:
    """Return the configurations that compiled to the same as another, and which one stands for each."""
    return {record.configuration: record.of for record in records if isinstance(record, Twin)}


def unproposed(run: Run, plan: Planned) -> set[str]:
    """Return the configurations that a search by proposals has not come to; of another search none."""
    if run.header.profile.search != "tpe":
        return set()
    proposed = {e.record.configuration for e in run.entries if isinstance(e.record, Proposed)}
    return {one.id for one in plan.configurations if not one.baseline} - proposed


def unvisited(run: Run, plan: Planned) -> dict[str, str]:
    """Say why some of a plan were not visited: another stands for them, or no proposal came to them."""
    waiting = unproposed(run, plan)
    proposed = sum(not one.baseline for one in plan.configurations) - len(waiting)
    why = f"not among the {proposed} configurations that the search visited"
    twins = twins_of([entry.record for entry in run.entries])
    told = {id: f"compiles to the same properties as {of}, and is measured there" for id, of in twins.items()}
    return dict.fromkeys(waiting, why) | told
