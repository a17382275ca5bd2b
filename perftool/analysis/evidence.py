"""Pick out of a run's journal what it holds on each configuration, and read single visits."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import NamedTuple, TypeVar

from msgspec import Struct, structs

from perftool.analysis import stats
from perftool.analysis.sittings import Sittings, in_order, round_of
from perftool.journal import Focused, Planned, Record, Run, Started
from perftool.machine import FOREIGN_LOAD
from perftool.record import Compiled, Executed, Failed, LayersTimed, Offered, PeaksMeasured, Prepared, Visited
from perftool.spec import Closed, Configuration, EndToEnd, Sync

NS_PER_MS = 1e6


class Evidence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a journal holds on one configuration, of what it is chosen by or of what confirms a choice.

    `sync` is the closed load where that has one request.

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


class Filed(NamedTuple):
    """A record, its number in the journal, and whether a round that confirms was under way."""

    number: int
    confirms: bool
    record: Record


class Files(Struct, frozen=True, kw_only=True):
    """A run's records in the order of the journal, filed by what they are about.

    `about` has the answers of children by configuration, or what else failed; `preparing` those of preparing
    a model file, by weight format; `confirming` the rounds that confirm, by what they confirm.
    """

    about: dict[str, list[Filed]]
    preparing: dict[str, list[Filed]]
    confirming: dict[str, tuple[Focused, ...]]


def filed(run: Run) -> Files:
    """File a run's records, in one go: of thousands of configurations none is looked for in all of them.

    The round of a visit becomes its key: what was not measured at one time is not to be paired.
    """
    about: dict[str, list[Filed]] = {}
    preparing: dict[str, list[Filed]] = {}
    confirms = False
    sittings = Sittings()
    for number, entry in enumerate(run.entries):
        match entry.record:
            case Focused() as record:
                confirms = record.purpose == "confirm"
            case Started():
                sittings.stop()
            case Visited() as record:
                key = sittings.key(record.round)
                keyed = record if key == record.round else structs.replace(record, round=key)
                about.setdefault(record.configuration, []).append(Filed(number, confirms, keyed))
            case Compiled() | Offered() as record:
                about.setdefault(record.configuration, []).append(Filed(number, confirms, record))
            case Failed() as record:
                about.setdefault(record.subject, []).append(Filed(number, confirms, record))
                if record.stage == "prepare":
                    preparing.setdefault(record.subject, []).append(Filed(number, confirms, record))
            case Prepared() as record:
                preparing.setdefault(record.weight_format, []).append(Filed(number, confirms, record))
    return Files(about=about, preparing=preparing, confirming=confirm_rounds(run))


def confirm_rounds(run: Run) -> dict[str, tuple[Focused, ...]]:
    """Return the rounds that confirm, by the configuration that they confirm: the first that each names."""
    found: dict[str, list[Focused]] = {}
    for entry in run.entries:
        if isinstance(entry.record, Focused) and entry.record.purpose == "confirm":
            found.setdefault(entry.record.configurations[0], []).append(entry.record)
    return {id: tuple(rounds) for id, rounds in found.items()}


def gather(files: Files, configuration: Configuration) -> Evidence:
    """Pick out what a journal holds on one configuration, to choose by.

    Rounds that confirm are left out, and the processes that served nothing else: what is measured again must
    not move the choice that it tests.
    """
    again = {one.round for rounds in files.confirming.values() for one in rounds}
    about = files.about.get(configuration.id, [])
    visits = _visits(about, lambda round: round not in again)
    offered = [one for _, _, one in about if isinstance(one, Offered)]
    served = {one.incarnation for one in visits} | {one.incarnation for one in offered}
    compiled: list[Compiled] = []
    failed: dict[str, Failed] = {}
    preparing = files.preparing.get(configuration.weight_format, ())
    for number, confirms, found in sorted((*about, *preparing), key=lambda one: one.number):
        match found:
            case Compiled() as record:
                # A process that came to no visit belongs to the rounds that it was made for.
                if not confirms or record.incarnation in served:
                    compiled.append(record)
            case Failed() as record if record.subject == configuration.id:
                failed[f"{record.stage} {number}"] = record
            case Failed() as record:
                failed["prepare"] = record
            case Prepared():
                failed.pop("prepare", None)
    return _evidence(compiled, visits, offered, tuple(failed.values()))


def gather_again(files: Files, configuration: Configuration, rounds: Iterable[Focused]) -> Evidence:
    """Pick out what rounds that confirm hold on one configuration, and nothing else."""
    again = {one.round for one in rounds}
    about = files.about.get(configuration.id, [])
    visits = _visits(about, lambda round: round in again)
    served = {one.incarnation for one in visits}
    compiled = [one for _, _, one in about if isinstance(one, Compiled) and one.incarnation in served]
    return _evidence(compiled, visits, (), ())


def _visits(about: Iterable[Filed], counts: Callable[[int], bool]) -> tuple[Visited, ...]:
    """Return the visits that hold anything, of the rounds that count."""
    return tuple(
        one
        for _, _, one in about
        if isinstance(one, Visited) and counts(round_of(one.round)) and one.latencies_ns and one.window_ns > 0
    )


def _evidence(
    compiled: Sequence[Compiled],
    visits: Sequence[Visited],
    offered: Sequence[Offered],
    failed: tuple[Failed, ...],
) -> Evidence:
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
        failed=failed,
    )


def disturbed(visit: Visited | Offered | PeaksMeasured | LayersTimed) -> bool:
    """Tell whether something else took a share of the machine that may have slowed what was measured."""
    other, steal = visit.conditions.other_load, visit.conditions.steal
    return (other is not None and other > FOREIGN_LOAD) or (steal is not None and steal > FOREIGN_LOAD)


def most_executed(executed: Sequence[Executed]) -> tuple[str | None, float | None]:
    """Return the precision that carries most of the operations, and its share of them (0 to 1).

    None where nothing ran in any; the share is None where nothing carries operations.
    """
    if not executed:
        return None, None
    most = max(executed, key=lambda one: (one.flops, one.kernels))
    total = sum(one.flops for one in executed)
    return most.precision, most.flops / total if total else None


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
    if joules is None:
        return None
    drained = visit.requests if visit.requests > 1 else 0
    requests = len(visit.warmup_ns) + len(visit.latencies_ns) + drained
    return joules / (requests * visit.batch)


def median_latency_ms(visit: Visited) -> float:
    """Return the median latency of one visit's requests."""
    return float(median(visit.latencies_ns)) / NS_PER_MS


def by_round(visits: Iterable[Visited], read: Callable[[Visited], float]) -> dict[int, float]:
    """Return one figure for each round, or part of one: the median of its visits, in the order of rounds."""
    found = stats.by_round([(visit.round, read(visit)) for visit in visits])
    return {key: found[key] for key in sorted(found, key=in_order)}
