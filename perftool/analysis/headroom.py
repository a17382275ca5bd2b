"""Put a run's configurations under the rooflines of their devices. Pure; the arithmetic is `roofline`'s."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from msgspec import structs

from perftool.analysis.evidence import Evidence
from perftool.analysis.result import ConfigurationResult, Series
from perftool.analysis.roofline import Placed, Roofline, believable, place, roofline
from perftool.journal import Record
from perftool.record import PeaksMeasured


class Limited(NamedTuple):
    """A result and its figures by round, with the percent of the limit; where it lies, None if unknown."""

    result: ConfigurationResult
    series: Series
    placed: Placed | None


def rooflines_of(records: Iterable[Record]) -> dict[str, Roofline]:
    """Return the roofline of each device whose peaks a run holds, by the last of them that make one."""
    found: dict[str, Roofline] = {}
    for one in records:
        if isinstance(one, PeaksMeasured):
            with suppress(ValueError):  # A journal may hold peaks that make none.
                found[one.device] = roofline(one)
    return found


def under(
    result: ConfigurationResult, series: Series, found: Evidence, rooflines: Mapping[str, Roofline]
) -> Limited:
    """Say of a configuration how near it comes to its limit, where its device's roofline is known.

    One that was given up is no answer to how near one can come, and neither is one that is far above peaks
    which other load made too low: its percent is unknown.
    """
    throughput, limits = result.throughput_fps, rooflines.get(result.device)
    if result.status != "ok" or limits is None or throughput is None or not found.compiled:
        return Limited(result, series, None)
    placed = place(
        limits,
        id=result.id,
        precision=result.precision,
        executed=found.compiled[-1].executed,
        batch=result.batch,
        throughput_fps=throughput,
    )
    if placed is None:
        return Limited(result, series, None)
    if not believable(placed.of_limit.point, limits):
        return Limited(result, series, placed)
    scale = placed.of_limit.point / throughput.point
    by_round = {round: scale * fps for round, fps in series.throughput_fps.items()}
    return Limited(
        structs.replace(result, of_limit=placed.of_limit),
        structs.replace(series, of_limit=by_round),
        placed,
    )
