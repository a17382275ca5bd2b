"""Say in sentences what a comparison found, and what one pair of runs cannot tell."""

from collections.abc import Sequence

from perftool.analysis.compared import CommonShift, Comparison, Shift, Side
from perftool.analysis.control import Control
from perftool.analysis.digits import times
from perftool.analysis.drift import GUESSED_MACHINE
from perftool.analysis.shifts import TOO_FEW

#: Where more than this share of a run's visits was disturbed, that is said.
_BUSY = 0.10
_MOVED = ("worse", "better")
#: How to tell the machine from the code, as a command.
IN_TURNS = "measure both again in turns, A, B, B, A, and compare all: perftool compare A1,A2 B1,B2"


def regressions_of(found: Comparison, threshold: float | None) -> tuple[str, ...]:
    """Say each regression in a sentence; without a threshold there is none."""
    if threshold is None:
        return ()
    told = [
        f"all of {one.device}: {one.metric} {times(one.ratio)} in {_control_of(one)} too"
        for one in found.common
        if one.regression
    ]
    kinds = {one.device: one.kind for one in found.common}
    for each in found.configurations:
        if each.failed is not None and each.regression:
            told.append(f"{each.id}: failed, and was measured before: {each.failed}")
        notes = "".join(f"; {note}" for note in each.notes)
        against = "most configurations" if kinds.get(each.device) == "most" else "the hint baselines"
        told += [f"{each.id}: {_worse(one, against)}{notes}" for one in each.shifts if one.regression]
    told += [
        f"{one.subject}: {one.what} before, and no more: {one.reason}" for one in found.lost if one.worse
    ]
    told += [
        f"{one.variant}: top1 {one.before:.1f} to {one.now:.1f} %, {one.lost} images lost and "
        f"{one.gained} gained of {one.images}"
        for one in found.accuracy
        if one.regression
    ]
    return tuple(told)


def _control_of(one: CommonShift) -> str:
    return "most configurations" if one.kind == "most" else "the hint baselines"


def _worse(one: Shift, against: str) -> str:
    assert one.before is not None and one.now is not None and one.ratio is not None
    text = f"{one.metric} {one.before.point:.4g} to {one.now.point:.4g} {one.unit}, {one.ratio.point:.2f}x"
    if one.own is None or one.own.low is None:
        return text
    return f"{text}, {times(one.own)}{'' if one.own.point == one.ratio.point else f' against {against}'}"


def notes_on(found: Comparison, controls: Sequence[Control]) -> tuple[str, ...]:
    """Say what a reader should know before acting on a comparison."""
    told: list[str] = []
    if not found.incomparable:
        for control in controls:
            told += _on_control(control)
        told += _on_common(found)
        told += _on_intervals(found)
    for one in (found.baseline, found.run):
        told += _on_run(one)
    before, now = found.baseline.choice, found.run.choice
    if before != now:
        told.append(f"recommended was {before or 'nothing'}, is {now or 'nothing'}")
    return tuple(told)


def _on_control(control: Control) -> list[str]:
    """Say where hint baselines are no control, and what is in their place."""
    told = [
        f"{one.before.id} is no control of {control.device} and judged like any configuration: it {reason}"
        for one, reason in control.apart
    ]
    if control.members:
        return told
    if control.most:
        return [*told, f"so most configurations of {control.device} are the control"]
    return [
        *told,
        f"no hint baseline of {control.device} {'is left' if told else 'was measured in both runs'}: nothing "
        f"tells what its machine changed, and {GUESSED_MACHINE:.0%} is allowed for that",
    ]


def _on_common(found: Comparison) -> list[str]:
    """Say what moved everything on a device, or moved most of it but not the control."""
    told = []
    for device in dict.fromkeys(one.device for one in found.common):
        moved = [one for one in found.common if one.device == device and one.verdict in _MOVED]
        if moved:
            told.append(said_of_common(moved[0], _causes(found, device)))
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


def _causes(found: Comparison, device: str) -> list[str]:
    """Return what is known to differ and may have moved everything on a device."""
    notes: dict[str, int] = {}
    for each in found.configurations:
        for note in each.notes if each.device == device else ():
            notes[note] = notes.get(note, 0) + 1
    told = [*found.differences]
    told += [f"{count} configuration{'' if count == 1 else 's'} {note}" for note, count in notes.items()]
    return [*told, *loads(found.baseline, found.run)]


def loads(before: Side, now: Side) -> list[str]:
    """Say how much of two runs was disturbed, where that is more than nothing to speak of."""
    shares = [one.disturbed / one.visits if one.visits else 0.0 for one in (before, now)]
    if max(shares) <= _BUSY:
        return []
    return [f"{shares[0]:.0%} of the visits were disturbed before, {shares[1]:.0%} now"]


def said_of_common(one: CommonShift, causes: Sequence[str]) -> str:
    """Say that everything moved, and between which causes that leaves the choice."""
    cause = (
        f"the machine did that, or what all configurations share ({'; '.join(causes)}), and one pair of runs "
        f"cannot tell which: {IN_TURNS}"
        if causes
        else f"nothing that runs record differs, which leaves the machine: {IN_TURNS}"
    )
    whose = "most configurations" if one.kind == "most" else "its hint baselines"
    apart = ", which its hint baselines did not follow" if one.kind == "most" else ""
    said = f"{one.metric} of {whose} {times(one.ratio)}{apart}"
    return f"everything on {one.device} is {one.verdict}: {said}; {cause}"


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
