"""Measure one configuration again: visits in children of their own, each compiled anew. No journal.

A claim that another process made is to be seen in more than one: what a process happens to get (pages, places
of its threads) is then part of the interval. A visit that something else disturbed is made once more.
"""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from perftool.analysis.evidence import disturbed
from perftool.bench.isolate import Child, Watch, expect
from perftool.job import Compile, Visit
from perftool.record import Compiled, Visited
from perftool.spec import Closed, Images
from perftool.sweep.duel import Contender

#: Visits, where nobody says; intervals take six.
VISITS = 8
SECONDS = 2.0
_COMPLETIONS = 8
_WARMUP_SECONDS = 4.0
_STALL_SECONDS = 180.0


class Revisited(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found: how it was compiled first, and every visit. A repeated visit has its round's number."""

    compiled: Compiled
    visits: tuple[Visited, ...]


class Effort(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many visits are made, and how long each window lasts at least."""

    visits: int = VISITS
    seconds: float = SECONDS


def revisit(
    one: Contender,
    inputs: Images,
    effort: Effort,
    logs: Path,
    watch: Watch,
    progress: Callable[[int, int], None],
) -> Revisited:
    """Visit a configuration under the closed load; the caller holds its devices.

    What went wrong in a child is raised as the error that it is.
    """
    found: list[tuple[Compiled, Visited]] = []
    for round_ in range(effort.visits):
        progress(round_, effort.visits)
        for attempt in range(2):
            compile_ = Compile(
                configuration=one.configuration,
                model_path=one.model_path,
                inputs=inputs,
                incarnation=len(found),
            )
            visit = _visit(round_, attempt, effort.seconds)
            found.append(_in_a_child(compile_, visit, logs / f"visit-{len(found)}.log", watch))
            if not disturbed(found[-1][1]):
                break
    return Revisited(compiled=found[0][0], visits=tuple(visited for _, visited in found))


def _visit(round_: int, attempt: int, seconds: float) -> Visit:
    return Visit(
        load=Closed(),
        round=round_,
        position=attempt,
        visit_seconds=seconds,
        completions_per_request=_COMPLETIONS,
        warmup_ceiling_seconds=_WARMUP_SECONDS,
    )


def _in_a_child(compile_: Compile, visit: Visit, log: Path, watch: Watch) -> tuple[Compiled, Visited]:
    """Compile and visit in a child of its own."""
    with Child(log, watch) as child:
        compiled = expect(child.ask(compile_, _STALL_SECONDS), Compiled)
        return compiled, expect(child.ask(visit, _STALL_SECONDS), Visited)
