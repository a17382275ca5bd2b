"""Measure a few model files side by side: short visits in turn, in warm children, paired by round.

No journal: what is found answers one question of one command. A sweep is the thorough way.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from perftool.analysis.evidence import throughput_fps
from perftool.analysis.stats import Estimate, paired_ratio
from perftool.bench.isolate import Child, Watch, expect
from perftool.job import Compile, Visit
from perftool.record import Compiled, Visited
from perftool.spec import Closed, Configuration, Images

#: Rounds of a duel; intervals take six.
ROUNDS = 8
SECONDS = 1.0
_COMPLETIONS = 8
_WARMUP_SECONDS = 2.0
STALL_SECONDS = 180.0


class Contender(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration, and the model file that it runs."""

    configuration: Configuration
    model_path: str


class Outcome(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a duel showed of the first contender: how it was compiled, its throughput over each other's."""

    compiled: Compiled
    ratios: tuple[Estimate, ...]


def duel(
    contenders: Sequence[Contender],
    inputs: Images,
    logs: Path,
    watch: Watch,
    progress: Callable[[int, int], None],
) -> Outcome:
    """Visit each contender once a round, in an order that turns, and compare the first with the others.

    The caller holds the devices. What went wrong in a child is raised as the error that it is.
    """
    children: list[Child] = []
    try:
        compiled = []
        for number, one in enumerate(contenders):
            child = Child(logs / f"duel-{number}.log", watch)
            children.append(child)
            job = Compile(
                configuration=one.configuration, model_path=one.model_path, inputs=inputs, incarnation=0
            )
            compiled.append(expect(child.ask(job, STALL_SECONDS), Compiled))
        speeds: list[dict[int, float]] = [{} for _ in contenders]
        for round_ in range(ROUNDS):
            progress(round_, ROUNDS)
            for position in range(len(contenders)):
                turn = (position + round_) % len(contenders)
                job_ = Visit(
                    load=Closed(),
                    round=round_,
                    position=position,
                    visit_seconds=SECONDS,
                    completions_per_request=_COMPLETIONS,
                    warmup_ceiling_seconds=_WARMUP_SECONDS,
                )
                visited = expect(children[turn].ask(job_, STALL_SECONDS), Visited)
                speeds[turn][round_] = throughput_fps(visited)
    finally:
        for child in children:
            child.close()
    ratios = [paired_ratio(speeds[0], speed) for speed in speeds[1:]]
    return Outcome(compiled=compiled[0], ratios=tuple(ratio for ratio in ratios if ratio is not None))
