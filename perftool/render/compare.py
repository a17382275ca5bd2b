"""Runs held against each other as rich tables, readable at 100 columns."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from perftool.analysis import metrics
from perftool.analysis.compared import (
    AccuracyShift,
    CommonShift,
    Compared,
    Comparison,
    ConfigurationShift,
    Shift,
    Side,
    Verdict,
)
from perftool.analysis.digits import times
from perftool.analysis.stats import Estimate
from perftool.render.numbers import ABSENT, plain, unsigned_zero, with_interval
from perftool.render.tabular import ODD_MARK, empty_table

#: How many of what is lost a headline names.
_NAMED = 3
#: In which order verdicts are shown.
ORDER: tuple[Verdict, ...] = ("worse", "better", "undecided", "same", "not compared")
_LEGEND = (
    f"{ODD_MARK} regression   ratio: this run over the baseline run   own: without what the control changed "
    "by\n( ) 95 % interval   worse, better: surely, all figures of a comparison together   same: "
    "surely\nwithin the band   undecided: neither"
)


def compared_view(found: Compared) -> tuple[RenderableType, ...]:
    """Show every comparison, one below the other."""
    parts = [part for one in found.comparisons for part in _comparison(one, found.threshold)]
    return tuple(Padding(part, (0, 0, 1, 0)) for part in parts)


def _comparison(one: Comparison, threshold: float | None) -> Iterator[RenderableType]:
    yield heading(one)
    for name in one.metrics:
        rows = rows_of(one, name)
        if rows:
            yield _table(name, rows)
    if any(each.shifts for each in one.configurations):
        yield Text(_LEGEND)
    if one.accuracy:
        yield _accuracies(one.accuracy)
    if reasons := list(unjudged(one)):
        yield Text("\n").join(Text(plain(f"not compared: {text}")) for text in reasons)
    if lines := list(besides(one)):
        yield Text("\n").join(Text(plain(line)) for line in lines)
    if one.notes:
        yield Text("\n").join(Text(plain(f"note: {text}"), style="yellow") for text in one.notes)
    yield Text(plain(verdict(one, threshold)), style="bold red" if one.regressions else "bold")


# ---------------------------------------------------------------- sentences, for Markdown too


def heading(one: Comparison) -> Text:
    """Return which runs these are, and in what they differ."""
    lines = [f"{one.run.id} against {one.baseline.id}", *map(said_of, (one.baseline, one.run))]
    lines += [f"not comparable: {text}" for text in one.incomparable]
    lines += [f"differs: {text}" for text in one.differences]
    lines += [said_of_common(common) for common in one.common]
    text = Text("\n").join(Text(plain(line)) for line in lines)
    text.highlight_words([plain(lines[0])], "bold")
    return text


def said_of(side: Side) -> str:
    """Say what a reader should know of a run before its figures."""
    several = "" if side.runs == 1 else f"{side.runs} runs, "
    noise = "" if side.noise_cv is None else f", noise {side.noise_cv:.1%}"
    return (
        f"{side.id}: {side.model}, profile {side.profile}, {side.created}, OpenVINO {side.openvino}, "
        f"{several}{side.rounds} rounds{noise}, {side.disturbed} of {side.visits} visits disturbed"
    )


def said_of_common(common: CommonShift) -> str:
    """Say what the control of a device changed by."""
    judged = {"same": "the same", "undecided": "no more than machines drift"}
    most = common.kind == "most"
    whose = f"most configurations of {common.device}" if most else f"{common.device}'s hint baselines"
    return (
        f"{common.metric} of {whose}: {times(common.ratio)}, drift of machines "
        f"included: {judged.get(common.verdict, common.verdict)}"
    )


def verdict(one: Comparison, threshold: float | None) -> str:
    """Say in one line what came of it."""
    if one.incomparable:
        return "not comparable: the figures stand side by side, and nothing is judged"
    if one.regressions:
        count = len(one.regressions)
        gone = [said_of_lost(one, meant=meant) for meant in (False, True)]
        told = f"{count} regression{'' if count == 1 else 's'} of more than {percent(threshold)}"
        return "; ".join([told, *filter(None, gone)])
    shifts = [shift for each in one.configurations for shift in each.shifts]
    counts = Counter([*(shift.verdict for shift in shifts), *(each.verdict for each in one.accuracy)])
    judged = ", ".join(f"{counts[kind]} {kind}" for kind in ORDER if counts[kind]) or "nothing to compare"
    lost = sum(each.failed is not None for each in one.configurations)
    judged += f", {lost} failed" if lost else ""
    meant = said_of_lost(one, meant=True)
    judged += f"; {meant}" if meant else ""
    if lacking := said_of_lost(one, meant=False):
        return f"not comparable in all: {lacking}; else {judged}"
    return judged if threshold is None else f"no regression of more than {percent(threshold)}: {judged}"


def said_of_lost(one: Comparison, *, meant: bool) -> str:
    """Name what the baseline run could judge and the run cannot; or what nobody asked the run for."""
    found = [each for each in one.lost if each.meant == meant and not each.worse]
    if not found:
        return ""
    if meant:
        return f"not asked of {one.run.id}: {listed([each.subject for each in found], None)}"
    names = [f"{each.subject} ({each.what}: {each.reason})" for each in found[:_NAMED]]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{one.run.id} lacks what {one.baseline.id} could judge: {'; '.join(names)}{more}"


def unjudged(one: Comparison) -> Iterator[str]:
    """Give each reason for which figures have no verdict, with the configurations it is given of."""
    reasons: dict[str, list[str]] = {}
    for each in one.configurations:
        for shift in each.shifts:
            if shift.reason is not None and not each.control:
                reasons.setdefault(f"{shift.metric}: {shift.reason}", []).append(each.id)
    for reason, ids in reasons.items():
        yield f"{reason} ({listed(ids, len(one.configurations))})"


def besides(one: Comparison) -> Iterator[str]:
    """Tell of configurations what is no figure: failures, other settings, and what one run alone has."""
    for each in one.configurations:
        if each.failed is not None:
            yield f"failed: {each.id}, and was measured before: {each.failed}"
        yield from (f"{each.id}: {note}" for note in each.notes)
    for run, name in (("baseline", one.baseline.id), ("run", one.run.id)):
        reasons: dict[str, list[str]] = {}
        for alone in one.only:
            if alone.run == run:
                reasons.setdefault(alone.reason, []).append(alone.id)
        for reason, ids in reasons.items():
            yield f"only in {name}: {listed(ids, None)} ({reason})"


def listed(ids: Sequence[str], of: int | None) -> str:
    """Name configurations, or count them where they are many."""
    if of is not None and len(ids) == of > 1:
        return f"all {of} configurations"
    return ", ".join(ids) if len(ids) <= 4 else f"{', '.join(ids[:3])} and {len(ids) - 3} more"


# ---------------------------------------------------------------- figures


def rows_of(one: Comparison, metric: str) -> list[tuple[ConfigurationShift, Shift]]:
    """Return what a comparison has of a metric, the worst verdicts first."""
    found = [(each, shift) for each in one.configurations for shift in each.shifts if shift.metric == metric]
    found = [(each, shift) for each, shift in found if shift.ratio or shift.before or shift.now]
    return sorted(found, key=lambda row: (ORDER.index(row[1].verdict), row[0].baseline))


def _table(name: str, rows: Sequence[tuple[ConfigurationShift, Shift]]) -> Table:
    shift = rows[0][1]
    table = empty_table()
    table.title = Text(f"{name}, {shift.unit}: {shift.better} is better", style="bold")
    table.title_justify = "left"
    table.add_column("", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    for column in ("before", "now", "ratio", "own", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for each, one in rows:
        table.add_row(
            ODD_MARK if one.regression else "",
            Text(plain(each.id)),
            figure_of(one.before, name),
            figure_of(one.now, name),
            # Two intervals of figures stand beside these: every column counts.
            interval(one.ratio).replace(" to ", "-"),
            interval(one.own).replace(" to ", "-"),
            judged(each, one),
            style="red" if one.regression else None,
        )
    return table


def judged(each: ConfigurationShift, one: Shift) -> str:
    """Name a verdict."""
    if one.verdict == "not compared":
        return "control" if each.control else ABSENT
    return one.verdict


def _accuracies(found: Sequence[AccuracyShift]) -> Table:
    table = empty_table()
    table.title = Text("top-1, %: higher is better; paired by image", style="bold")
    table.title_justify = "left"
    table.add_column("", no_wrap=True)
    table.add_column("what classified", overflow="fold")
    for column in ("before", "now", "drop, pp", "lost", "gained", "images", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        table.add_row(
            ODD_MARK if one.regression else "",
            Text(plain(one.variant + (f" ({one.reason})" if one.reason else ""))),
            *(ABSENT if value is None else f"{value:.1f}" for value in (one.before, one.now)),
            drop_of(one),
            *(ABSENT if count is None else str(count) for count in (one.lost, one.gained)),
            str(one.images),
            ABSENT if one.verdict == "not compared" else one.verdict,
        )
    return table


def drop_of(one: AccuracyShift) -> str:
    """Write a drop with its interval."""
    if one.drop_pp is None or one.drop_low is None or one.drop_high is None:
        return ABSENT
    point, low, high = (unsigned_zero(value, 1) for value in (one.drop_pp, one.drop_low, one.drop_high))
    return f"{point} ({low} to {high})"


def figure_of(estimate: Estimate | None, metric: str) -> str:
    """Write a figure with the digits of its metric, or with as many more as a small one takes."""
    if estimate is None:
        return ABSENT
    digits = metrics.METRICS[metric].digits if metric in metrics.METRICS else 2
    if 0 < estimate.point < 1:
        digits = max(digits, 1 - math.floor(math.log10(estimate.point)))
    return with_interval(estimate, digits)


def interval(ratio: Estimate | None) -> str:
    """Write a ratio and its interval in few characters: `0.98 (0.95 to 1.01)`."""
    if ratio is None:
        return ABSENT
    return times(ratio).replace("x", "")


def percent(share: float | None) -> str:
    """Write a threshold as it is given."""
    return f"{100 * (share or 0.0):g} %"
