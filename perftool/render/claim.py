"""A claim that was measured again, as a table and a sentence."""

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from perftool.analysis.claim import DECISIVE, Checked, Compared
from perftool.render.numbers import plain, span, with_interval

_DIGITS = {"images/s": 1, "ms": 2}

_SENTENCES = {
    "confirmed": "confirmed: what is claimed is what is measured here",
    "better": "better: more than what is claimed is measured here",
    "worse": "not confirmed: less than what is claimed is measured here",
    "not decided": "not decided: less than what is claimed is measured here, while other load ran",
    "not comparable": "not comparable: these are figures of another machine, and neither confirm nor refuse",
}


def claim_view(checked: Checked, configuration: str, files: int) -> tuple[RenderableType, ...]:
    """Show a checked claim: the files, each figure, what ran, and the verdict with its reasons."""
    table = Table(box=box.SIMPLE, title=f"{escape(plain(configuration))}: {_visits(checked)}")
    table.title_justify = "left"
    table.add_column("figure")
    for heading in ("claimed", "measured here", "ratio", ""):
        table.add_column(heading, justify="right")
    for one in checked.compared:
        table.add_row(*_row(one, decided=checked.verdict not in ("not comparable", "not decided")))
    table.add_row("runs in", checked.executed_claimed or "-", checked.executed_measured or "-", "", "")
    lines = [
        _SENTENCES[checked.verdict],
        *(f"differs: {one}" for one in checked.differences),
        *(f"worse: {one}" for one in checked.reasons if not checked.differences),
        *(f"open: {one}" for one in checked.open if not checked.differences),
    ]
    head = f"{files} files, each as its manifest says"
    return (Text(head), table, *(Text(plain(line)) for line in lines))


def _visits(checked: Checked) -> str:
    text = f"{checked.visits} visits, each in a process of its own"
    return f"{text}, {checked.disturbed} of them disturbed" if checked.disturbed else text


def _row(one: Compared, *, decided: bool) -> tuple[str, ...]:
    digits = _DIGITS[one.unit]
    return (
        f"{one.name.replace('_', ' ')} [{one.unit}]".replace("[", r"\["),
        with_interval(one.claimed, digits),
        with_interval(one.measured, digits),
        f"{one.ratio.point:.2f}x{span(one.ratio.low, one.ratio.high, 2, 'x')}",
        one.verdict if decided and one.name in DECISIVE else "",
    )
