"""Pick out of a run's journal what it holds on each configuration, and read single visits."""

from collections.abc import Callable, Iterable
from statistics import median

from msgspec import Struct

from perftool.analysis import stats
from perftool.record import Compiled, Failed, Planned, Prepared, Run, Visited
from perftool.spec import Configuration, Sync

NS_PER_MS = 1e6


class Evidence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a journal holds on one configuration. `sync` is the closed load where that has one request."""

    compiled: tuple[Compiled, ...]
    closed: tuple[Visited, ...]
    sync: tuple[Visited, ...]
    failed: tuple[Failed, ...]


def plan_of(run: Run) -> Planned:
    """Return the last plan; an empty one where the run was stopped before it had any."""
    plans = [entry.record for entry in run.entries if isinstance(entry.record, Planned)]
    return plans[-1] if plans else Planned(configurations=(), left_out=(), devices=(), canary="")


def gather(run: Run, configuration: Configuration) -> Evidence:
    """Pick out what a journal holds on one configuration."""
    compiled: list[Compiled] = []
    closed: list[Visited] = []
    sync: list[Visited] = []
    failed: dict[str, Failed] = {}
    for number, entry in enumerate(run.entries):
        match entry.record:
            case Compiled() as record if record.configuration == configuration.id:
                compiled.append(record)
            case Visited() as record if record.configuration == configuration.id:
                if record.latencies_ns and record.window_ns > 0:
                    (sync if isinstance(record.load, Sync) else closed).append(record)
            case Failed() as record if record.subject == configuration.id:
                failed[f"{record.stage} {number}"] = record
            case Failed(stage="prepare") as record if record.subject == configuration.weight_format:
                failed["prepare"] = record
            case Prepared() as record if record.weight_format == configuration.weight_format:
                failed.pop("prepare", None)
    if not sync and all(visit.requests == 1 for visit in closed):
        sync = list(closed)
    return Evidence(
        compiled=tuple(compiled), closed=tuple(closed), sync=tuple(sync), failed=tuple(failed.values())
    )


def throughput_fps(visit: Visited) -> float:
    """Return the images per second of one visit."""
    return visit.batch * len(visit.latencies_ns) * 1e9 / visit.window_ns


def median_latency_ms(visit: Visited) -> float:
    """Return the median latency of one visit's requests."""
    return float(median(visit.latencies_ns)) / NS_PER_MS


def by_round(visits: Iterable[Visited], read: Callable[[Visited], float]) -> dict[int, float]:
    """Return one figure for each round: the median of its visits."""
    return stats.by_round([(visit.round, read(visit)) for visit in visits])
