"""Work out what one configuration changed by between runs; p-values are not adjusted yet."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from perftool.analysis import drift, scatter
from perftool.analysis.compared import ConfigurationShift, Shift, Verdict
from perftool.analysis.control import Control, Pair
from perftool.analysis.matching import Matched, resolved_otherwise
from perftool.analysis.metric import Metric
from perftool.analysis.metrics import why_missing
from perftool.analysis.own import Turn, against_rival, own_over, ratio_over
from perftool.analysis.scatter import Own, Scatter
from perftool.analysis.stats import MIN_VISITS, Estimate
from perftool.analysis.verdicts import judge_seen_once

#: How a reason begins that lies in the number of visits.
TOO_FEW = "too few visits: "
#: Why nothing is judged of runs of which one alone was disturbed.
LOADED = "one of the runs alone was made beside other work, which slows configurations by unequal shares"


class Setting(Struct, frozen=True, kw_only=True):
    """What holds for all figures of a comparison.

    `loaded`: one of the runs alone was disturbed by other work, and nothing of visits is judged. `rivals` are
    the configurations by the names that they have in the run.
    """

    judged: bool = True
    loaded: bool = False
    scattered: Scatter = scatter.UNSEEN
    rivals: Mapping[str, Matched] = {}


def configuration_shift(
    turns: Sequence[Turn], rows: Sequence[Metric], setting: Setting
) -> ConfigurationShift:
    """Work out what one configuration changed by; verdicts wait for the p-values of all."""
    _, control, one = turns[0]
    lost = [turn.one.now.reason or "no reason given" for turn in turns if turn.one.now.status == "failed"]
    member = one in control.members
    notes = (note for turn in turns for note in resolved_otherwise(turn.one.before, turn.one.now))
    return ConfigurationShift(
        id=one.before.id,
        now_id=one.now.id,
        device=one.before.device,
        precision=one.before.precision,
        batch=one.before.batch,
        baseline=one.configuration.baseline,
        control=member,
        failed=lost[0] if lost else None,
        regression=False,
        shifts=() if lost else tuple(figure_shift(turns, row, setting, member=member) for row in rows),
        notes=() if lost else tuple(dict.fromkeys(notes)),
    )


def shift_of(
    pair: Pair, control: Control, one: Matched, row: Metric, *, judged: bool, member: bool, loaded: bool
) -> Shift:
    """Work out the change of one figure over one pair of runs."""
    setting = Setting(judged=judged, loaded=loaded)
    return figure_shift([Turn(pair, control, one)], row, setting, member=member)


def figure_shift(turns: Sequence[Turn], row: Metric, setting: Setting, *, member: bool) -> Shift:
    """Work out the change of one figure; its p-value is not adjusted yet.

    What a `member` of the control changed by in visits is the machine's, and judged with the common change.
    """
    one = turns[0].one
    ratio = ratio_over(row, turns)
    own = None
    if setting.judged and row.spread and not member and not setting.loaded:
        own = _tested(turns, row, setting)
    verdict: Verdict = "not compared"
    if setting.judged and ratio is not None and not row.spread and row.allowance is not None:
        verdict = judge_seen_once(row.better, ratio.point, row.allowance)
    return Shift(
        metric=row.name,
        unit=row.unit,
        better=row.better,
        before=_mean([row.read(turn.one.before) for turn in turns]),
        now=_mean([row.read(turn.one.now) for turn in turns]),
        ratio=ratio,
        own=ratio if verdict != "not compared" else own.ratio if own else None,
        p_value=own.p_value if own else None,
        verdict=verdict,
        regression=False,
        reason=None
        if not setting.judged or verdict != "not compared" or (own is not None and own.p_value is not None)
        else _why_not(turns[0].pair, one, row, ratio, member=member, loaded=setting.loaded),
    )


def _tested(turns: Sequence[Turn], row: Metric, setting: Setting) -> Own | None:
    """Return what is left of a change; of what a race dropped early, against what it was dropped for."""
    found = own_over(row, turns, setting.scattered)
    if found is not None and found.p_value is not None:
        return found
    for turn in turns:
        dropped, before = turn.one.now.dropped, turn.one.before
        rival = setting.rivals.get(dropped.by) if dropped else None
        if rival is not None and before.dropped is None and row.series is not None:
            return against_rival(row, turn, rival) or found
    return found


def _mean(figures: Sequence[Estimate | None]) -> Estimate | None:
    """Return a figure over several runs; None where one of them has none."""
    found = [one for one in figures if one is not None]
    if len(found) < len(figures) or len(found) == 1:
        return found[0] if len(figures) == 1 and found else None
    return drift.geometric_mean(found) if all(one.point > 0 for one in found) else None


def _why_not(
    pair: Pair, one: Matched, row: Metric, ratio: Estimate | None, *, member: bool, loaded: bool
) -> str:
    """Say why a figure has no verdict."""
    if ratio is None:
        limits = pair.before.run.header.profile.limits
        lacks, where = (one.now, "in the run")
        if row.value(one.before) is None:
            lacks, where = (one.before, "in the baseline run")
        return f"{why_missing(row, lacks, limits)} {where}"
    if not row.spread:
        return "seen once in each run: nothing tells how far it varies"
    if member:
        return "the control: judged with what all changed by"
    if loaded:
        return LOADED
    visits = min(one.before.visits, one.now.visits)
    if visits < MIN_VISITS:
        return f"{TOO_FEW}{visits} of the {MIN_VISITS} that an interval takes"
    return "no interval: the visits do not carry one"
