"""Say what the baseline run could judge and the run cannot: no regression is no answer where one may hide.

Where that it is gone says by itself that the run is worse (the device refuses it, even the lowest rate misses
the bound), it is so marked. Nothing is measured here.
"""

from collections.abc import Iterator, Sequence

from perftool.analysis.compared import AccuracyShift, ConfigurationShift, Lost, OnlyIn, Shift, Side
from perftool.analysis.metric import Metric
from perftool.analysis.own import Turn
from perftool.analysis.rate_bound import rate_under_bound
from perftool.analysis.shifts import LOADED, TOO_FEW
from perftool.analysis.stats import MIN_VISITS
from perftool.spec import Limits

_MEANT = ("not planned", "elsewhere")


def lost_configurations(only: Sequence[OnlyIn]) -> list[Lost]:
    """Return the configurations that the baseline run alone measured."""
    return [
        Lost(
            subject=one.id,
            what="measured",
            reason=one.reason,
            worse=one.outcome == "refused",
            meant=one.outcome in _MEANT,
        )
        for one in only
        if one.run == "baseline"
    ]


def lost_figures(
    each: ConfigurationShift, turns: Sequence[Turn], rows: Sequence[Metric], threshold: float | None
) -> list[Lost]:
    """Return the figures of a configuration that the baseline run could judge and the run cannot.

    What is called worse or better is judged, however few visits told it.
    """
    by_reason: dict[tuple[str, bool], list[str]] = {}
    known = {shift.metric: shift for shift in each.shifts}
    for row in rows:
        shift = known[row.name]
        if shift.reason == LOADED or not _could(shift, row, turns) or _can(shift, row, turns):
            continue
        worse = _misses_bound(row, turns, threshold)
        by_reason.setdefault((_why(shift, turns), worse), []).append(row.name)
    return [
        Lost(subject=each.id, what=", ".join(names), reason=reason, worse=worse, meant=False)
        for (reason, worse), names in by_reason.items()
    ]


def lost_accuracies(found: Sequence[AccuracyShift], measured: set[tuple[str, str]]) -> list[Lost]:
    """Return the accuracies that the baseline run has and the run cannot be held against.

    `measured` has what both runs measured, by weight format and device; of anything else nobody asked.
    """
    return [
        Lost(
            subject=one.variant,
            what="top1",
            reason=one.reason or "not evaluated",
            worse=False,
            meant=not any(
                one.variant.startswith(f"{weights} file ") and one.variant.endswith(f" on {device}")
                for weights, device in measured
            ),
        )
        for one in found
        if one.verdict == "not compared" and one.before is not None
    ]


def lost_to_load(before: Side, now: Side) -> Lost:
    """Say that one of the runs alone was disturbed, so that nothing of its visits can be judged."""
    busy, other = (now, before) if now.disturbed > before.disturbed else (before, now)
    return Lost(
        subject=busy.id,
        what="all figures of visits",
        reason=f"{busy.disturbed} of {busy.visits} visits were disturbed by other load, of {other.id} "
        f"{other.disturbed} of {other.visits}: measure it again when that is gone",
        worse=False,
        meant=False,
    )


def _could(shift: Shift, row: Metric, turns: Sequence[Turn]) -> bool:
    """Tell whether the baseline run has the figure as a comparison takes it."""
    if shift.before is None or shift.before.point <= 0:
        return False
    if not row.spread:
        return row.allowance is not None
    if row.name == "rate":
        return True
    if min(turn.one.before.visits for turn in turns) < MIN_VISITS:
        return False
    return shift.before.low is not None and shift.before.high is not None


def _can(shift: Shift, row: Metric, turns: Sequence[Turn]) -> bool:
    if shift.verdict in ("worse", "better"):
        return True
    if shift.now is None or shift.now.point <= 0:
        return False
    if not row.spread or row.name == "rate":
        return True
    return shift.now.low is not None and shift.now.high is not None


def _why(shift: Shift, turns: Sequence[Turn]) -> str:
    dropped = next((turn.one.now.dropped for turn in turns if turn.one.now.dropped), None)
    if dropped is not None:
        return f"a race dropped it, and did not before: {dropped.reason}"
    missing = shift.now is None or shift.reason is None or shift.reason.startswith(TOO_FEW)
    return shift.reason if missing and shift.reason else "no interval in the run"


def _misses_bound(row: Metric, turns: Sequence[Turn], threshold: float | None) -> bool:
    """Tell whether a rate is gone since its bound is missed at the lowest rate that was offered.

    That must lie below what the baseline run held by more than the threshold: the rate lies below it.
    """
    return row.name == "rate" and any(
        lowest < (1 - (threshold or 0.0)) * held for lowest, held in _lowest_missed(row, turns)
    )


def _lowest_missed(row: Metric, turns: Sequence[Turn]) -> Iterator[tuple[float, float]]:
    """Yield the lowest rate that missed the bound in the run, and what the baseline run held."""
    for turn in turns:
        limits: Limits = turn.pair.before.run.header.profile.limits
        held, points = row.value(turn.one.before), turn.one.now.open
        if held is None or limits.slo_ms is None or not points:
            continue
        found = rate_under_bound(points, limits.percentile, limits.slo_ms)
        if found.rate is None and found.holds_fps is None and found.reason.startswith("even the lowest"):
            yield (
                min(
                    point.rate_fps
                    for point in points
                    if point.refusal == "overloaded" or point.percentile(limits.percentile) is not None
                ),
                held,
            )
