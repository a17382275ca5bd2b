"""Follow one configuration's figure over many runs: what it was, and from which run to which it changed.

Runs of one model on one kind of machine make a track. A run is held against the latest run before it that it
can be judged against, and against the earliest, by the rules of docs/comparing.md.
"""

import difflib
from collections.abc import Sequence

from msgspec import Struct

from perftool.analysis import metrics
from perftool.analysis.compare import comparable, metrics_of
from perftool.analysis.compared import Verdict
from perftool.analysis.evidence import plan_of
from perftool.analysis.held import Held, Seen, Step, changes, hold, hold_against_any, judge_steps
from perftool.analysis.matching import HARDWARE, Look, anonymous, became, by_kind, processes_of
from perftool.analysis.metric import Metric
from perftool.analysis.stats import Estimate
from perftool.errors import InputError
from perftool.spec import Configuration


class Point(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The figure in one run; None where that run has none, and `reason` says what became of it there.

    `before` holds it against the latest run before it that it can be judged against (or, where none can, the
    latest that has the figure), `first` against the earliest: what creeps shows there. `changed` says what
    else differs from the run before.
    """

    run: str
    created: str
    openvino: str
    figure: Estimate | None
    reason: str | None
    before: Held | None
    first: Held | None
    changed: tuple[str, ...]
    noise_cv: float | None
    visits: int
    disturbed: int


class Since(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the newest run is surely from the `first`, as a share, and since which run that is so.

    Of the configuration without what the hint baselines changed by, or of `everything` on its device.
    """

    run: str
    first: str
    since: str
    change: float
    verdict: Verdict
    everything: bool


class Track(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One configuration of one model on one kind of machine, over its runs, the oldest first."""

    model: str
    cpu: str
    cores_usable: int
    configuration: str
    device: str
    precision: str
    metric: str
    label: str
    unit: str
    better: str
    points: tuple[Point, ...]
    since: tuple[Since, ...]


class Skipped(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that is in no track, and why: it cannot be read, or no run of its kind has the configuration."""

    run: str
    reason: str


class History(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON of `perftool history`."""

    tracks: tuple[Track, ...]
    skipped: tuple[Skipped, ...]


def follow(looks: Sequence[Look], metric: str | None = None, configuration: str | None = None) -> History:
    """Follow a configuration over runs, a track for each model and kind of machine.

    Without a `metric` it is the objective of each track's newest run, without a `configuration` (an id of any
    of its runs) that one's choice, or else its fastest. Raises InputError for names that nothing has, and for
    a metric that cannot be compared.
    """
    kinds: dict[tuple[object, ...], list[Look]] = {}
    for look in sorted(looks, key=lambda one: one.run.header.created_ns):
        header = look.run.header
        kind = (header.model.name, *(getattr(header.host, name) for name in HARDWARE))
        kinds.setdefault(kind, []).append(look)
    tracks: list[Track] = []
    skipped: list[Skipped] = []
    for runs in kinds.values():
        track = _track(runs, metric, configuration)
        if track is not None:
            tracks.append(track)
        else:
            skipped += [_skipped(look, configuration) for look in runs]
    if configuration is not None and not tracks:
        raise InputError(_unknown(configuration, looks))
    return History(tracks=tuple(tracks), skipped=tuple(skipped))


def _skipped(look: Look, configuration: str | None) -> Skipped:
    """Say why nothing is followed over the runs of a look's kind."""
    lacks = "measured anything" if configuration is None else f"has a configuration {configuration}"
    header = look.run.header
    return Skipped(
        run=look.summary.run.id, reason=f"no run of {header.model.name} on {header.host.cpu} {lacks}"
    )


def _track(runs: Sequence[Look], metric: str | None, configuration: str | None) -> Track | None:
    """Follow one configuration; None where no run has it."""
    newest = runs[-1].run.header
    row = comparable(metric) if metric else metrics_of(newest.profile, ())[0]
    wanted = _chosen(runs) if configuration is None else _called(runs, configuration)
    if wanted is None:
        return None
    points = _points(runs, row, wanted)
    return Track(
        model=newest.model.name,
        cpu=newest.host.cpu,
        cores_usable=newest.host.cores_usable,
        configuration=wanted.id,
        device=wanted.device,
        precision=wanted.precision,
        metric=row.name,
        label=row.label,
        unit=row.unit,
        better=row.better,
        points=points,
        since=tuple(
            found for everything in (False, True) if (found := _since(points, everything=everything))
        ),
    )


def _chosen(runs: Sequence[Look]) -> Configuration | None:
    """Return the choice of the newest run, or what was fastest in the newest that measured anything."""
    for look in reversed(runs):
        planned = {one.id: one for one in plan_of(look.run).configurations}
        if look.choice in planned:
            return planned[look.choice]
        speeds = {
            one.id: value
            for one in (*look.summary.configurations, *look.summary.baselines)
            if (value := metrics.THROUGHPUT.value(one)) is not None and one.id in planned
        }
        if speeds:
            return planned[max(speeds, key=lambda id: speeds[id])]
    return None


def _called(runs: Sequence[Look], id: str) -> Configuration | None:
    """Return the configuration of this name in the newest run that has one."""
    for look in reversed(runs):
        for one in plan_of(look.run).configurations:
            if one.id == id:
                return one
    return None


def _unknown(configuration: str, looks: Sequence[Look]) -> str:
    names = sorted({one.id for look in looks for one in plan_of(look.run).configurations})
    close = difflib.get_close_matches(configuration, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names) or 'none'}"
    return f"{configuration}: no run has such a configuration; {hint}"


# ---------------------------------------------------------------- from run to run


def _points(runs: Sequence[Look], row: Metric, wanted: Configuration) -> tuple[Point, ...]:
    """Return the figure of every run, held against an earlier one and against the first."""
    seen = [_seen(look, wanted) for look in runs]
    pairs = [_steps(seen[:number], one, row) for number, one in enumerate(seen)]
    distinct = {id(step): step for pair in pairs for step in pair if step is not None}
    held = dict(zip(distinct, judge_steps(tuple(distinct.values()), row), strict=True))
    return tuple(
        _point(
            one,
            row,
            None if before is None else held[id(before)],
            None if first is None else held[id(first)],
            changes(seen[number - 1], one) if number else (),
        )
        for number, (one, (before, first)) in enumerate(zip(seen, pairs, strict=True))
    )


def _seen(look: Look, wanted: Configuration) -> Seen:
    configuration, result = by_kind(look).get(anonymous(wanted), (wanted, None))
    return Seen(look, configuration, result, processes_of(look.run))


def _steps(earlier: Sequence[Seen], now: Seen, row: Metric) -> tuple[Step | None, Step | None]:
    """Hold a run against the latest and the earliest of those before it that it can be judged against.

    Where there is none it is set beside the latest that has the figure, with the reason. Where both are the
    same run, that is one test.
    """
    known = [one for one in earlier if one.figure(row) is not None]
    if not known or now.figure(row) is None:
        return None, None
    latest = hold_against_any(reversed(known), now, row)
    if latest is None:
        return hold(known[-1], now, row), None
    first = hold_against_any(known[: _at(known, latest.before)], now, row)
    return latest, first or latest


def _at(known: Sequence[Seen], one: Seen) -> int:
    return next(at for at, other in enumerate(known) if other is one)


def _point(
    seen: Seen, row: Metric, before: Held | None, first: Held | None, changed: tuple[str, ...]
) -> Point:
    run, result = seen.look.summary.run, seen.measured
    figure = seen.figure(row)
    return Point(
        run=run.id,
        created=run.created,
        openvino=seen.look.summary.host.openvino,
        figure=figure,
        reason=_why_none(seen, row) if figure is None else None,
        before=before,
        first=first,
        changed=changed,
        noise_cv=run.noise_cv,
        visits=result.visits if result is not None else 0,
        disturbed=result.disturbed if result is not None else 0,
    )


def _why_none(seen: Seen, row: Metric) -> str:
    """Say why a run has no figure."""
    if seen.measured is None:
        return became(seen.result)
    return metrics.why_missing(row, seen.measured, seen.look.run.header.profile.limits)


def _since(points: Sequence[Point], *, everything: bool) -> Since | None:
    """Return how far the newest run is from the first, and since when, where that is surely something.

    Where the newest is held against nothing but the run before it that says nothing new.
    """
    judged = [
        (point, point.first)
        for point in points
        if point.first is not None and _verdict(point.first, everything) != "not compared"
    ]
    if not judged:
        return None
    point, first = judged[-1]
    verdict, change = _verdict(first, everything), _change(first, everything)
    if verdict not in ("worse", "better") or change is None or first == point.before:
        return None
    since = point.run
    for other, held in reversed(judged):
        if _verdict(held, everything) != verdict:
            break
        since = other.run
    return Since(
        run=point.run, first=first.run, since=since, change=change - 1, verdict=verdict, everything=everything
    )


def _verdict(held: Held, everything: bool) -> Verdict:
    if not everything:
        return held.verdict
    return held.common.verdict if held.common is not None else "not compared"


def _change(held: Held, everything: bool) -> float | None:
    if everything:
        return held.common.ratio.point if held.common is not None else None
    found = held.own or held.ratio
    return found.point if found is not None else None
