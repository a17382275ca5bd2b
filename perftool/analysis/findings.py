"""Say in sentences what a comparison found, and what one pair of runs cannot tell."""

from collections.abc import Sequence

from perftool.analysis.compared import CommonShift, Comparison, Shift, Side
from perftool.analysis.control import Control
from perftool.analysis.drift import GUESSED_MACHINE
from perftool.analysis.stats import Estimate

#: Where more than this share of a run's visits was disturbed, that is said.
_BUSY = 0.10
_MOVED = ("worse", "better")
#: How a reason begins that lies in the number of visits.
TOO_FEW = "too few visits: "


def regressions_of(found: Comparison) -> tuple[str, ...]:
    """Say each regression in a sentence."""
    told = [
        f"all of {one.device}: {one.metric} {times(one.ratio)} in the hint baselines too"
        for one in found.common
        if one.regression
    ]
    for each in found.configurations:
        if each.failed is not None and each.regression:
            told.append(f"{each.id}: failed, and was measured before: {each.failed}")
        told += [f"{each.id}: {_worse(one)}" for one in each.shifts if one.regression]
    told += [
        f"{one.variant}: top1 {one.before:.1f} to {one.now:.1f} %, {one.lost} images lost and "
        f"{one.gained} gained of {one.images}"
        for one in found.accuracy
        if one.regression
    ]
    return tuple(told)


def _worse(one: Shift) -> str:
    assert one.before is not None and one.now is not None and one.ratio is not None
    text = f"{one.metric} {one.before.point:.4g} to {one.now.point:.4g} {one.unit}, {one.ratio.point:.2f}x"
    if one.own is None or one.own.low is None:
        return text
    against = "" if one.own.point == one.ratio.point else " against the hint baselines"
    return f"{text}, {times(one.own)}{against}"


def notes_on(found: Comparison, controls: Sequence[Control]) -> tuple[str, ...]:
    """Say what a reader should know before acting on a comparison."""
    told: list[str] = []
    if not found.incomparable:
        for control in controls:
            told += _on_control(found, control)
        told += _on_common(found)
        told += _on_intervals(found)
    for one in (found.baseline, found.run):
        told += _on_run(one)
    before, now = found.baseline.choice, found.run.choice
    if before != now:
        told.append(f"recommended was {before or 'nothing'}, is {now or 'nothing'}")
    return tuple(told)


def _on_control(found: Comparison, control: Control) -> list[str]:
    """Say where there is no control, or only half of one."""
    if not control.members:
        return [
            f"no hint baseline of {control.device} was measured in both runs: nothing tells what its machine "
            f"changed, and {GUESSED_MACHINE:.0%} is allowed for that"
        ]
    return [
        f"the hint baselines of {control.device} moved apart: {control.members[0].before.id} moved as most "
        f"configurations did and is the control, {one.before.id} is judged like any configuration"
        for one in control.apart
    ]


def _on_common(found: Comparison) -> list[str]:
    """Say what moved everything on a device, or moved most of it but not the control."""
    told = []
    for device in dict.fromkeys(one.device for one in found.common):
        moved = [one for one in found.common if one.device == device and one.verdict in _MOVED]
        if moved:
            told.append(_common(moved[0], found.differences))
            continue
        shifts = [
            each.shifts[0]
            for each in found.configurations
            if each.device == device and each.shifts and not each.control
        ]
        worse = sum(one.verdict == "worse" for one in shifts)
        if worse > 1 and worse * 2 > len(shifts):
            told.append(
                f"{worse} of {len(shifts)} configurations of {device} are worse in {shifts[0].metric} while "
                "its hint baselines are not: what those share, and not the machine"
            )
    return told


def _common(one: CommonShift, differences: Sequence[str]) -> str:
    """Say that everything moved, and between which causes that leaves the choice."""
    shared = "; ".join(differences)
    cause = (
        f"the machine did that, or what all configurations share ({shared}), and one pair of runs cannot "
        "tell which: measure both again, in turns"
        if differences
        else "nothing that runs record differs, which leaves the machine: measure both again, in turns"
    )
    return (
        f"everything on {one.device} is {one.verdict}: {one.metric} of its hint baselines "
        f"{times(one.ratio)}; {cause}"
    )


def _on_intervals(found: Comparison) -> list[str]:
    """Count the configurations that have too few visits in one of the runs to be compared."""
    bare = sum(
        any((one.reason or "").startswith(TOO_FEW) for one in each.shifts) for each in found.configurations
    )
    if not bare:
        return []
    return [
        f"{bare} of {len(found.configurations)} configurations have too few visits in one of the runs: a "
        "race drops what is beaten; for runs to compare, sweep with --search grid and 6 rounds or more"
    ]


def _on_run(one: Side) -> list[str]:
    told = []
    if not one.complete:
        told.append(f"{one.id} is not finished")
    if one.visits and one.disturbed > _BUSY * one.visits:
        told.append(
            f"{one.disturbed} of {one.visits} visits of {one.id} were disturbed by other load: measure it "
            "again when that is gone"
        )
    return told


def times(ratio: Estimate) -> str:
    """Write a ratio and its interval in a sentence."""
    if ratio.low is None or ratio.high is None:
        return f"{ratio.point:.2f}x"
    return f"{ratio.point:.2f}x ({ratio.low:.2f}x to {ratio.high:.2f}x)"
