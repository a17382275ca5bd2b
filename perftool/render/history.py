"""One configuration over many runs as a table, with what changed and what has no verdict."""

from collections.abc import Iterator
from itertools import pairwise

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from perftool.analysis import metrics
from perftool.analysis.held import Held
from perftool.analysis.history import History, Point, Since, Track
from perftool.analysis.stats import Estimate
from perftool.render.compare import figure_of, interval, listed
from perftool.render.numbers import ABSENT, plain
from perftool.render.tabular import empty_table

_APART = ", without what the hint baselines changed by"


def history_view(found: History) -> tuple[RenderableType, ...]:
    """Show every track as a table, and what was skipped."""
    parts: list[RenderableType] = []
    for track in found.tracks:
        parts += _track(track)
    if found.skipped:
        lines = [f"skipped: {one.run}: {one.reason}" for one in found.skipped]
        parts.append(Text("\n").join(Text(plain(line), style="yellow") for line in lines))
    return tuple(Padding(part, (0, 0, 1, 0)) for part in parts)


def _track(track: Track) -> Iterator[RenderableType]:
    cores = f"{track.cores_usable} core{'' if track.cores_usable == 1 else 's'} usable"
    yield Text(plain(f"{track.model} on {track.cpu}, {cores}: {track.configuration}"), style="bold")
    yield _table(track)
    lines = [_since(one, track) for one in track.since]
    lines += [
        f"{point.run} against {held.run}: {held.note}"
        for point in track.points
        if (held := point.before) is not None and held.note is not None
    ]
    lines += _reasons(track)
    lines += _against(track)
    lines += [f"{point.run}: {text}" for point in track.points for text in point.changed]
    lines += [
        f"{point.run}: {point.disturbed} of {point.visits} visits disturbed by other load"
        for point in track.points
        if point.disturbed * 10 > point.visits
    ]
    lines.append(f"{track.better} is better; ratio: to the run before; {_judged_by(track)}")
    yield Text("\n").join(Text(plain(line)) for line in lines)


def _table(track: Track) -> RenderableType:
    """Show a row for each run; what all changed by, and the first run, only where there is anything of it."""
    table = empty_table()
    table.add_column("run", overflow="fold")
    table.add_column("made", no_wrap=True)
    table.add_column(f"{track.metric}\n{track.unit}", justify="right", no_wrap=True)
    for heading in ("ratio", "own"):
        table.add_column(heading, justify="right")
    table.add_column("", justify="right", no_wrap=True)
    further = {
        f"all of\n{track.device}": [_common(point.before) for point in track.points],
        "to the\nfirst": [_to_first(point) for point in track.points],
    }
    further = {heading: cells for heading, cells in further.items() if set(cells) != {ABSENT}}
    for heading in further:
        table.add_column(heading, justify="right", no_wrap=True)
    for at, point in enumerate(track.points):
        held = point.before
        table.add_row(
            Text(plain(point.run)),
            point.created[:16].replace("T", " "),
            figure_of(point.figure, track.metric),
            interval(held.ratio if held else None),
            interval(held.own if held else None),
            ABSENT if held is None or held.verdict == "not compared" else held.verdict,
            *(cells[at] for cells in further.values()),
        )
    return table


def _common(held: Held | None) -> str:
    if held is None or held.common is None:
        return ABSENT
    return _moved(held.common.ratio, held.common.verdict)


def _to_first(point: Point) -> str:
    first = point.first
    if first is None or first == point.before:
        return ABSENT
    return _moved(first.own or first.ratio, first.verdict)


def _moved(change: Estimate | None, verdict: str) -> str:
    """Write a change, and its verdict where it is surely one."""
    if change is None:
        return ABSENT
    return f"{change.point:.2f} {verdict}" if verdict in ("worse", "better") else f"{change.point:.2f}"


def _since(one: Since, track: Track) -> str:
    """Say how far the newest run is from the first: what creeps in steps too small to be seen."""
    way = "below" if one.change < 0 else "above"
    figure = f"{track.metric} of {one.run} is {abs(one.change):.0%} {way} {one.first}, the first"
    if one.everything:
        return f"everything on {track.device}: {figure}: {one.verdict} since {one.since}"
    apart = "" if track.metric == metrics.TOP1.name or not _has_common(track) else _APART
    return f"{figure}{apart}: {one.verdict} since {one.since}"


def _has_common(track: Track) -> bool:
    return any(one.before is not None and one.before.common is not None for one in track.points)


def _reasons(track: Track) -> Iterator[str]:
    """Say why runs have no figure, and others no verdict, each reason once."""
    reasons: dict[str, list[str]] = {}
    for point in track.points:
        if point.figure is None:
            reasons.setdefault(f"no {track.metric}: {point.reason}", []).append(point.run)
        elif point.before is not None and point.before.reason is not None:
            reasons.setdefault(f"not compared: {point.before.reason}", []).append(point.run)
    for reason, runs in reasons.items():
        yield f"{listed(runs, None)}: {reason}"


def _against(track: Track) -> Iterator[str]:
    """Name the runs that are held against another than the one right before them."""
    for last, point in pairwise(track.points):
        if point.before is not None and point.before.run != last.run:
            yield f"{point.run}: against {point.before.run}, the last that it can be judged against"


def _judged_by(track: Track) -> str:
    if track.metric == metrics.TOP1.name:
        return "judged by the images lost and gained since"
    return f"own:{_APART.removeprefix(',')}, 95 % interval"
