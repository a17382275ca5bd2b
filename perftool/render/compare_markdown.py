"""Runs held against each other as Markdown, made to be pasted into a pull request.

What is decided comes first, the whole tables fold away. Names come from outside: in code spans, or with all
escaped that GitHub would obey.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from perftool.analysis.compared import Compared, Comparison, ConfigurationShift, Shift
from perftool.render.compare import (
    besides,
    drop_of,
    figure_of,
    interval,
    judged,
    rows_of,
    said_of,
    said_of_common,
    unjudged,
    verdict,
)
from perftool.render.numbers import ABSENT, plain

#: What Markdown or HTML obeys, and a backslash stops.
_OBEYED = re.compile(r"([\\`*_{}\[\]<>#~&!])")
#: By what GitHub finds people, addresses, issues, formulas or pictures in a word, escaped or not.
_LINKED = re.compile(r"[@$]|://|www\.|#\d|(?<![a-z0-9])GH-\d|:(?:[a-z_+-]|\d{3})[\w+-]*:", re.IGNORECASE)
#: A bar that no backslash escapes.
_BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")
#: GitHub takes 65,536 characters in a comment; what posts it may add some of its own.
_COMMENT = 60_000
#: How many of them the line takes that says what was left out.
_RESERVED = 300
_COLUMNS = ("configuration", "metric", "before", "now", "ratio", "own", "verdict")


def markdown(found: Compared) -> str:
    """Return every comparison, one below the other, in no more characters than a comment takes."""
    budget = _COMMENT // max(len(found.comparisons), 1)
    return "\n".join(
        line for one in found.comparisons for line in _cut(_comparison(one, found.threshold), budget)
    )


def _cut(lines: Iterable[str], budget: int) -> Iterator[str]:
    """Pass lines on as long as they fit, and say how many do not; what is folded is closed all the same."""
    left, missing, folded = budget - _RESERVED, 0, False
    for line in lines:
        left -= len(line) + 1
        if left >= 0:
            folded = (folded or line.startswith("<details>")) and not line.startswith("</details>")
            yield line
        else:
            missing += line.startswith(("| ", "- "))
    if left < 0:
        yield "\n</details>\n" if folded else ""
        yield (
            f"**{missing} more lines are left out**, as a comment takes {_COMMENT:,} characters: "
            "`--format table` and `--json` have them all.\n"
        )


def _comparison(one: Comparison, threshold: float | None) -> Iterator[str]:
    """Yield what is decided, what moved, then the rest: what is cut off is at the end."""
    yield f"### perftool: {code(one.run.id)} against {code(one.baseline.id)}\n"
    yield f"**{text(verdict(one, threshold))}**\n"
    yield from (f"- **not comparable**: {text(line)}" for line in one.incomparable)
    yield from (f"- differs: {text(line)}" for line in one.differences)
    yield from (f"- {text(line)}" for line in map(said_of_common, one.common))
    yield from (f"- note: {text(line)}" for line in one.notes)
    yield ""
    moved = [
        (each, shift)
        for name in one.metrics
        for each, shift in rows_of(one, name)
        if shift.verdict in ("worse", "better")
    ]
    if moved:
        yield from _table(sorted(moved, key=lambda row: (not row[1].regression, row[1].verdict != "worse")))
    yield from _accuracies(one)
    if lines := [f"- {text(line)}" for line in besides(one)]:
        yield from (*lines, "")
    yield from _folded(one)


def _accuracies(one: Comparison) -> Iterator[str]:
    """Show every variant's top-1, few as they are."""
    if not one.accuracy:
        return
    yield from _head(("top-1 of", "before, %", "now, %", "drop, pp", "lost", "gained", "images", "verdict"))
    for each in one.accuracy:
        yield _row(
            text(each.variant),
            *(ABSENT if value is None else f"{value:.1f}" for value in (each.before, each.now)),
            drop_of(each),
            *(ABSENT if count is None else str(count) for count in (each.lost, each.gained)),
            str(each.images),
            text(each.reason) if each.reason else _emphasised(each.verdict, regression=each.regression),
        )
    yield ""


def _folded(one: Comparison) -> Iterator[str]:
    """Show everything, folded away."""
    yield f"<details><summary>all {len(one.configurations)} configurations</summary>\n"
    yield from (f"- {text(said_of(side))}" for side in (one.baseline, one.run))
    yield ""
    for name in one.metrics:
        rows = rows_of(one, name)
        if rows:
            yield from _table(rows)
    yield from (f"- not compared: {text(line)}" for line in unjudged(one))
    yield "\nratio: this run over the baseline run. own: without what the control changed by, with its"
    yield "95 % interval. worse, better: surely, all figures of this comparison together.\n"
    yield "</details>\n"


def _table(rows: Sequence[tuple[ConfigurationShift, Shift]]) -> Iterator[str]:
    yield from _head(_COLUMNS)
    for each, shift in rows:
        yield _row(
            code(each.id),
            text(f"{shift.metric}, {shift.unit}"),
            figure_of(shift.before, shift.metric),
            figure_of(shift.now, shift.metric),
            interval(shift.ratio),
            interval(shift.own),
            _emphasised(judged(each, shift), regression=shift.regression),
        )
    yield ""


def _head(columns: Sequence[str]) -> Iterator[str]:
    yield _row(*columns)
    yield _row(*("---" if number == 0 else "---:" for number in range(len(columns))))


def _row(*cells: str) -> str:
    """Write a row; a bar in a cell is escaped, in a code span too, since it would end the cell."""
    return f"| {' | '.join(map(_without_bars, cells))} |"


def _without_bars(cell: str) -> str:
    return _BAR.sub(r"\1\\|", cell)


def _emphasised(verdict: str, *, regression: bool) -> str:
    return f"**{verdict}: regression**" if regression else verdict


def text(sentence: str) -> str:
    """Return a sentence in which Markdown, HTML and GitHub find nothing to obey.

    What they would obey is escaped; a word that GitHub would make a link, a mention, a formula or a picture
    of all the same goes into a code span.
    """
    words = re.split(r"(\s+)", plain(sentence))
    return "".join(code(word) if _LINKED.search(word) else _escaped(word) for word in words)


def _escaped(words: str) -> str:
    return _OBEYED.sub(r"\\\1", words).replace("\\<", "&lt;")


def code(name: str) -> str:
    """Return a name in a code span, where nothing is obeyed but a backtick (and a bar in a table's row)."""
    return f"`{plain(name).replace('`', chr(39))}`"
