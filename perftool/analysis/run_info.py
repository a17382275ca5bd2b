"""What a run is as a whole: how far it went, how noisy its machine was, where its time went."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import PurePath

from perftool.analysis import effort, stats
from perftool.analysis.evidence import (
    Evidence,
    by_round,
    throughput_fps,
)
from perftool.analysis.result import (
    RunInfo,
)
from perftool.analysis.searched import drops_of, unvisited
from perftool.analysis.stats import Trend
from perftool.analysis.warn import UNFINISHED, run_warnings
from perftool.journal import (
    Finished,
    Header,
    Planned,
    Record,
    Run,
    Started,
)
from perftool.record import Compiled, Evaluated, Offered, Visited
from perftool.spec import Builtin


def run_info(run: Run, name: str | None, planned: Planned, evidence: dict[str, Evidence]) -> RunInfo:
    header = run.header
    records = [entry.record for entry in run.entries]
    created = datetime.fromtimestamp(header.created_ns / 1e9, tz=UTC)
    canary = evidence.get(planned.canary)
    noise = stats.coefficient_of_variation([throughput_fps(one) for one in canary.closed]) if canary else None
    drift = _drift(canary)
    wall, share = _wall(run)
    complete = _is_complete(records)
    # A run of `perftool load` has a plan without a canary, and cannot be resumed.
    resumable = bool(planned.canary) or not planned.configurations
    unfinished = (UNFINISHED,) if not complete and resumable else ()
    return RunInfo(
        id=name or f"{created:%Y%m%d-%H%M%S}-{header.model.name}",
        created=created.isoformat(timespec="seconds"),
        model=header.model.name,
        model_digest=header.model.digest,
        reference=header.model.reference,
        accuracy_of=accuracy_of(run.header) if any(isinstance(one, Evaluated) for one in records) else None,
        profile=header.profile.name,
        objective=header.profile.objective,
        rounds=_rounds(planned, evidence, {*drops_of(records), *unvisited(run, planned)}),
        rounds_planned=header.profile.policy.rounds,
        confirm_rounds=effort.confirm_rounds_allowed(header.profile.policy),
        complete=complete,
        canary=planned.canary or None,
        noise_cv=noise,
        drift=drift,
        extra_visits=effort.extra_visits(run),
        extra_visits_allowed=effort.extra_visits_allowed(run),
        wall_seconds=wall,
        measuring_share=share,
        warnings=(*unfinished, *run_warnings(run, planned, noise, drift)),
    )


def _is_complete(records: Sequence[Record]) -> bool:
    """Tell whether a run was finished, and not begun again since."""
    last = next((one for one in reversed(records) if isinstance(one, Started | Finished)), None)
    return isinstance(last, Finished)


def accuracy_of(header: Header) -> str:
    """Say what the accuracy figures are figures of."""
    images = header.profile.images
    weights = "reference weights" if header.model.reference else "the model's weights"
    if header.model.published:
        weights = "the published weights"
    if isinstance(images, Builtin):
        return f"{weights} on synthetic images"
    return f"{weights} on the images in {PurePath(images.directory).name}/"


def _rounds(planned: Planned, evidence: dict[str, Evidence], done_with: Collection[str]) -> int:
    """Count the rounds in which every configuration that did not fail, nor was dropped, was visited."""
    seen = [
        {visit.round for visit in evidence[one.id].closed}
        for one in planned.configurations
        if not evidence[one.id].failed and one.id not in done_with
    ]
    return len(set.intersection(*seen)) if seen else 0


def _drift(canary: Evidence | None) -> Trend | None:
    """Return how the canary's throughput changed over the rounds."""
    return stats.trend(list(by_round(canary.closed, throughput_fps).values())) if canary else None


def _wall(run: Run) -> tuple[float, float | None]:
    """Return the seconds spent on compiling and visiting, and the share of them inside windows.

    Each stretch between two starts counts from its first compile or visit to its last.
    """
    stretches: list[list[int]] = [[]]
    windows = 0
    for entry in run.entries:
        if isinstance(entry.record, Started):
            stretches.append([])
        elif isinstance(entry.record, Compiled | Visited | Offered):
            stretches[-1].append(entry.at_ns)
            windows += 0 if isinstance(entry.record, Compiled) else entry.record.window_ns
    wall = sum(max(times) - min(times) for times in stretches if times)
    return wall / 1e9, windows / wall if wall else None
