"""Pick out of a run's journal what it holds on each configuration, and read single visits."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import TypeVar

from msgspec import Struct

from perftool.analysis import stats
from perftool.journal import Planned, Run
from perftool.machine import FOREIGN_LOAD
from perftool.record import Compiled, Failed, Offered, Prepared, Visited
from perftool.spec import Closed, Configuration, EndToEnd, Sync

NS_PER_MS = 1e6


class Evidence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a journal holds on one configuration. `sync` is the closed load where that has one request.

    `closed`, `sync`, `end_to_end` and `offered` are the visits that speak (see `speaking`); `visits` are all
    of those under closed loads.
    """

    compiled: tuple[Compiled, ...]
    visits: tuple[Visited, ...]
    closed: tuple[Visited, ...]
    sync: tuple[Visited, ...]
    end_to_end: tuple[Visited, ...]
    offered: tuple[Offered, ...]
    failed: tuple[Failed, ...]


def plan_of(run: Run) -> Planned:
    """Return the last plan; an empty one where the run was stopped before it had any."""
    plans = [entry.record for entry in run.entries if isinstance(entry.record, Planned)]
    return plans[-1] if plans else Planned(configurations=(), left_out=(), devices=(), canary="")


def gather(run: Run, configuration: Configuration) -> Evidence:
    """Pick out what a journal holds on one configuration."""
    compiled: list[Compiled] = []
    visits: list[Visited] = []
    offered: list[Offered] = []
    failed: dict[str, Failed] = {}
    for number, entry in enumerate(run.entries):
        match entry.record:
            case Compiled() as record if record.configuration == configuration.id:
                compiled.append(record)
            case Visited() as record if record.configuration == configuration.id:
                if record.latencies_ns and record.window_ns > 0:
                    visits.append(record)
            case Offered() as record if record.configuration == configuration.id:
                offered.append(record)
            case Failed() as record if record.subject == configuration.id:
                failed[f"{record.stage} {number}"] = record
            case Failed(stage="prepare") as record if record.subject == configuration.weight_format:
                failed["prepare"] = record
            case Prepared() as record if record.weight_format == configuration.weight_format:
                failed.pop("prepare", None)
    closed = speaking(visits, Closed)
    sync = speaking(visits, Sync)
    if not sync and all(visit.requests == 1 for visit in closed):
        sync = closed
    return Evidence(
        compiled=tuple(compiled),
        visits=tuple(visits),
        closed=closed,
        sync=sync,
        end_to_end=speaking(visits, EndToEnd),
        offered=_heard(offered),
        failed=tuple(failed.values()),
    )


def disturbed(visit: Visited | Offered) -> bool:
    """Tell whether something else took a share of the machine that may have slowed a visit."""
    shares = (visit.conditions.other_load, visit.conditions.steal)
    return any(share is not None and share > FOREIGN_LOAD for share in shares)


def speaking(visits: Iterable[Visited], load: type) -> tuple[Visited, ...]:
    """Return the visits under a load that figures are made of, in the order they were made.

    A disturbed visit is kept in the journal, shown and counted, and repeated while there is a budget for it;
    where its round holds an undisturbed visit too, that one speaks for the round. What decides is the
    machine's load, never the result.
    """
    return _heard([visit for visit in visits if isinstance(visit.load, load)])


_Burst = TypeVar("_Burst", Visited, Offered)


def _heard(bursts: Sequence[_Burst]) -> tuple[_Burst, ...]:
    quiet = {(burst.load, burst.round) for burst in bursts if not disturbed(burst)}
    return tuple(one for one in bursts if not disturbed(one) or (one.load, one.round) not in quiet)


def throughput_fps(visit: Visited) -> float:
    """Return the images per second of one visit."""
    return visit.batch * len(visit.latencies_ns) * 1e9 / visit.window_ns


def energy_per_image_j(visit: Visited) -> float | None:
    """Return the joules per image of one visit, warm-up and drain included; None where unknown.

    At the end of a closed load of several requests each of them is in flight once more.
    """
    joules = visit.conditions.energy_j
    drained = visit.requests if visit.requests > 1 else 0
    requests = len(visit.warmup_ns) + len(visit.latencies_ns) + drained
    return None if joules is None else joules / (requests * visit.batch)


def median_latency_ms(visit: Visited) -> float:
    """Return the median latency of one visit's requests."""
    return float(median(visit.latencies_ns)) / NS_PER_MS


def by_round(visits: Iterable[Visited], read: Callable[[Visited], float]) -> dict[int, float]:
    """Return one figure for each round: the median of its visits."""
    return stats.by_round([(visit.round, read(visit)) for visit in visits])
