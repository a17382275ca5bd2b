"""A run's raw samples as a table of data: a row for each request, read off the journal entry by entry."""

from collections.abc import Iterable, Iterator, Sequence

from perftool.analysis.evidence import disturbed
from perftool.analysis.result import Summary
from perftool.journal import Entry, Focused, Planned
from perftool.record import Offered, Visited
from perftool.render.data import about
from perftool.render.table import Block, Column, DataTable, Value
from perftool.spec import Open

SAMPLES: tuple[Column, ...] = (
    Column(name="visit", kind="whole", meaning="the visit's number in the run's journal, from 0"),
    Column(name="configuration", kind="text", meaning="the configuration's id"),
    Column(name="role", kind="text", meaning="candidate or baseline"),
    Column(name="load", kind="text", meaning="closed, sync, end_to_end, or open"),
    Column(name="rate_fps", kind="number", unit="images/s", meaning="the rate offered, of an open load"),
    Column(
        name="purpose",
        kind="text",
        meaning="what its round was made for: round (planned), decide, carry (a percentile), or confirm",
    ),
    Column(name="round", kind="whole", meaning="the round, from 0"),
    Column(name="position", kind="whole", meaning="the visit's place in its round, from 0"),
    Column(name="incarnation", kind="whole", meaning="the process that was visited, from 0"),
    Column(name="disturbed", kind="flag", meaning="something else took a share of the machine"),
    Column(name="batch", kind="whole", unit="images", meaning="images per request"),
    Column(name="requests", kind="whole", meaning="requests in flight"),
    Column(name="window_ns", kind="whole", unit="ns", meaning="how long the visit's window was"),
    Column(name="index", kind="whole", meaning="the sample's place in the visit, from 0"),
    Column(name="latency_ns", kind="whole", unit="ns", meaning="latency of the request: of a whole batch"),
    Column(
        name="arrival_ns",
        kind="whole",
        unit="ns",
        meaning="when the request was to arrive, from the window's opening, of an open load",
    ),
    Column(
        name="lag_ns",
        kind="whole",
        unit="ns",
        meaning="how late the generator itself was, which the latency contains, of an open load",
    ),
)


def samples(summary: Summary, entries: Iterable[Entry]) -> DataTable:
    """Return a row for each request in a window, in the order of the journal, one block for each visit.

    Samples are the raw ones: of disturbed visits, of rounds that confirm and of requests that waited too.
    `entries` are read as the blocks are asked for, and not kept. Warm-ups are no samples.
    """
    return DataTable(name="samples", columns=SAMPLES, blocks=_visits(entries), about=about(summary))


def _visits(entries: Iterable[Entry]) -> Iterator[Block]:
    baselines: set[str] = set()
    purposes: dict[int, str] = {}
    number = 0
    for entry in entries:
        match entry.record:
            case Planned(configurations=planned):
                baselines.update(one.id for one in planned if one.baseline)
            case Focused(round=round, purpose=purpose):
                purposes[round] = purpose
            case Visited() | Offered() as visit:
                role = "baseline" if visit.configuration in baselines else "candidate"
                yield _block(visit, number, role, purposes.get(visit.round, "round"))
                number += 1


def _block(visit: Visited | Offered, number: int, role: str, purpose: str) -> Block:
    """Return the rows of one visit, column by column as in `SAMPLES`."""
    count = len(visit.latencies_ns)
    same: dict[str, Value] = {
        "visit": number,
        "configuration": visit.configuration,
        "role": role,
        "load": str(visit.load.__struct_config__.tag),
        "rate_fps": visit.load.rate_fps if isinstance(visit.load, Open) else None,
        "purpose": purpose,
        "round": visit.round,
        "position": visit.position,
        "incarnation": visit.incarnation,
        "disturbed": disturbed(visit),
        "batch": visit.batch,
        "requests": visit.requests,
        "window_ns": visit.window_ns,
    }
    own: dict[str, Sequence[Value]] = {
        "index": range(count),
        "latency_ns": visit.latencies_ns,
        "arrival_ns": visit.arrivals_ns if isinstance(visit, Offered) else (None,) * count,
        "lag_ns": visit.lags_ns if isinstance(visit, Offered) else (None,) * count,
    }
    values = {name: (value,) * count for name, value in same.items()} | own
    return [values[column.name] for column in SAMPLES]
