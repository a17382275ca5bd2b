"""Judge changes between two runs: better, worse, the same or undecided, for all figures together.

The rules are those of docs/comparing.md, "Verdicts".
"""

import math
from collections.abc import Sequence
from typing import Literal

from msgspec import structs

from perftool.analysis import drift
from perftool.analysis.compared import AccuracyShift, ConfigurationShift, Shift, Verdict
from perftool.analysis.leader import BAND
from perftool.analysis.stats import Estimate

#: What is called better or worse is so by chance in at most this share of comparisons, all figures together:
#: half of it to either side.
LEVEL = 0.05

Better = Literal["higher", "lower"]


def judge(better: Better, ratio: Estimate, own: Estimate, p_value: float, threshold: float | None) -> Verdict:
    """Judge a change by what is `own` to it, without the control's, and by its adjusted p-value.

    Better and worse is only what is so by itself too: where the control alone moved, the figure did not.
    """
    if own.low is None or own.high is None:
        return "not compared"
    if p_value <= LEVEL:
        if not _moved_alike(ratio.point, own.point):
            return "undecided"
        return "worse" if (own.point < 1) == (better == "higher") else "better"
    band = max(BAND, threshold or 0.0)
    return "same" if own.low >= 1 - band and own.high <= 1 + band else "undecided"


def _moved_alike(ratio: float, own: float) -> bool:
    """Tell whether a figure moved as what is own to it says: the same way, and half as far at the least."""
    return math.log(ratio) * math.log(own) > 0 and abs(math.log(ratio)) >= abs(math.log(own)) / 2


def judge_seen_once(better: Better, point: float, allowance: float) -> Verdict:
    """Judge a figure that each run has once, by how far the same code's varies."""
    if abs(point - 1) <= allowance:
        return "same"
    return "worse" if (point < 1) == (better == "higher") else "better"


def is_beyond(better: Better, points: Sequence[float], threshold: float | None) -> bool:
    """Tell whether all of some ratios are worse by more than the threshold; without one nothing is."""
    if threshold is None:
        return False
    return max(points) < 1 - threshold if better == "higher" else min(points) > 1 + threshold


def settle(
    shifts: Sequence[ConfigurationShift], accuracies: Sequence[AccuracyShift], threshold: float | None
) -> tuple[tuple[ConfigurationShift, ...], tuple[AccuracyShift, ...]]:
    """Judge every figure, with p-values adjusted for all of their family: speeds are one, accuracies another.

    A baseline would have been judged had it moved apart, so it counts among the tests though it did not.
    """
    tested = [one.p_value for each in shifts for one in each.shifts if one.p_value is not None]
    waived = sum(one.ratio is not None for each in shifts if each.control for one in each.shifts)
    p_values = iter(drift.holm([*tested, *[1.0] * waived]))
    settled = []
    for each in shifts:
        found = tuple(
            judge_shift(one, None if one.p_value is None else next(p_values), threshold)
            for one in each.shifts
        )
        lost = each.failed is not None and threshold is not None
        worse = lost or any(one.regression for one in found)
        settled.append(structs.replace(each, shifts=found, regression=worse))
    of_images = iter(drift.holm([one.p_value for one in accuracies if one.p_value is not None]))
    judged = tuple(
        one if one.p_value is None else judge_accuracy(one, next(of_images), threshold) for one in accuracies
    )
    return tuple(settled), judged


def judge_shift(one: Shift, p_value: float | None, threshold: float | None) -> Shift:
    """Judge a change of a figure by its adjusted p-value; one without keeps the verdict that it has."""
    if one.ratio is None or one.own is None:
        return one
    verdict = one.verdict
    if p_value is not None:
        verdict = judge(one.better, one.ratio, one.own, p_value, threshold)
    worse = verdict == "worse" and is_beyond(one.better, (one.ratio.point, one.own.point), threshold)
    return structs.replace(one, p_value=p_value, verdict=verdict, regression=worse)


def judge_accuracy(one: AccuracyShift, p_value: float, threshold: float | None) -> AccuracyShift:
    """Judge a change of top-1; a threshold is a share of the baseline run's."""
    verdict: Verdict = "undecided"
    if not one.gained and not one.lost:
        verdict = "same"
    elif p_value <= LEVEL and one.drop_pp:
        verdict = "worse" if one.drop_pp > 0 else "better"
    worse = (
        verdict == "worse"
        and one.now is not None
        and bool(one.before)
        and is_beyond("higher", (one.now / (one.before or 1.0),), threshold)
    )
    return structs.replace(one, p_value=p_value, verdict=verdict, regression=worse)
