"""The page around its content: one HTML file that asks nothing of the network, and obeys no foreign name.

Jinja2 escapes what is written into the page, JSON reaches the scripts with every character escaped that
could end their element, and a policy in the page forbids it to load anything.
"""

import re
from collections.abc import Sequence
from importlib.resources import files

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct
from plotly.offline import get_plotlyjs
from rich.text import Text

from perftool.analysis.result import AccuracyResult, ConfigurationResult, Recommendation, Summary
from perftool.render.numbers import ABSENT, chance, plain, unsigned_zero
from perftool.render.page.content import content_of
from perftool.render.tables import asked_for, choice_lines, heading, warnings

#: The page's own scripts, in the order in which they build on one another.
SCRIPTS = (
    "choose.js",
    "digits.js",
    "words.js",
    "charts.js",
    "tradeoff.js",
    "profiles.js",
    "limits.js",
    "table.js",
    "details.js",
    "card.js",
    "state.js",
    "page.js",
)
#: Of configurations that share a reason so many are named.
_NAMED = 12
#: Characters that could end a script's element, or a line of it, and how JSON may write them instead.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class AccuracyRow(Struct, frozen=True, kw_only=True):
    """One line of the accuracy table, written out."""

    precision: str
    runs_in: str
    cells: tuple[str, ...]


class Unmeasured(Struct, frozen=True, kw_only=True):
    """Configurations without figures, for the same reason."""

    status: str
    reason: str
    count: int
    names: str


def page(summary: Summary, recommendation: Recommendation) -> bytes:
    """Return report.html. It names the run's folder, but no path: it is made to be passed on."""
    environment = Environment(
        loader=PackageLoader("perftool.render.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    content = content_of(summary, recommendation)
    found = warnings(summary)
    return (
        environment.get_template("page.html.j2")
        .render(
            model=plain(summary.run.model),
            heading=_lines(heading(summary)),
            asked=plain(asked_for(recommendation)),
            chosen=content.chosen,
            nothing="Nothing passes the limits" if content.foreseen.ids else "Nothing was measured",
            lines=[line.plain for line in choice_lines(summary, recommendation)],
            warnings=_lines(found) if found else [],
            host=_host(summary),
            accuracies=_accuracies(summary),
            accuracy_of=plain(summary.run.accuracy_of or ""),
            unmeasured=_unmeasured((*summary.configurations, *summary.baselines)),
            content=content,
            style=_own("page.css"),
            plotly=_script(get_plotlyjs()),
            scripts=[_own(name) for name in SCRIPTS],
            data=_data(content),
        )
        .encode()
    )


def _lines(text: Text) -> list[str]:
    return [plain(line) for line in text.plain.split("\n")]


def _own(name: str) -> Markup:
    """Return one of the page's own files, which need no escaping."""
    return Markup((files("perftool.render.page") / "templates" / name).read_text(encoding="utf-8"))


def _script(text: str) -> Markup:
    """Return a script that cannot end its element early: a string of JavaScript reads `<\\/` as `</`."""
    return Markup(re.sub(r"</(?=script)", r"<\\/", text, flags=re.IGNORECASE))


def _data(content: Struct) -> Markup:
    text = msgspec.json.encode(content).decode()
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return Markup(text)


# ---------------------------------------------------------------- what is written into the page itself


def _host(summary: Summary) -> list[tuple[str, str]]:
    """Return what is known of the machine, as names and values."""
    host = summary.host
    return [
        ("CPU", plain(host.cpu)),
        (
            "cores",
            f"{host.cores_usable} usable, {host.cores_physical} physical, {host.cores_logical} logical",
        ),
        ("SMT", host.smt),
        ("memory", f"{host.memory_bytes / 1e9:.1f} GB"),
        ("virtualisation", plain(host.virtualisation)),
        ("governor, turbo", plain(f"{host.governor}, {host.turbo}")),
        ("instructions", plain(", ".join(host.isa))),
        ("kernel", plain(host.kernel)),
        ("OpenVINO, NNCF", plain(f"{host.openvino}, {host.nncf}")),
        ("Python, perftool", plain(f"{host.python}, {host.perftool}")),
        ("model", plain(f"{summary.run.model}, SHA-256 {summary.run.model_digest[:16]}…")),
    ]


def _accuracies(summary: Summary) -> list[AccuracyRow]:
    """Return each accuracy once: batch and streams do not change it."""
    seen: dict[tuple[str, str, AccuracyResult], ConfigurationResult] = {}
    for one in summary.configurations:
        if one.accuracy is not None:
            seen.setdefault((one.device, one.precision, one.accuracy), one)
    several = len({device for device, _, _ in seen}) > 1
    return [
        AccuracyRow(
            precision=plain(f"{precision} on {device}" if several else precision),
            runs_in=plain(one.executed_precision or ABSENT),
            cells=_cells(found),
        )
        for (device, precision, found), one in seen.items()
    ]


def _cells(found: AccuracyResult) -> tuple[str, ...]:
    drop = ABSENT
    if found.drop_pp is not None:
        drop = unsigned_zero(found.drop_pp, 2)
        if found.drop_low == found.drop_high == 0.0:
            drop = "reference"
        elif found.drop_low is not None and found.drop_high is not None:
            drop += f" ({unsigned_zero(found.drop_low, 2)} to {unsigned_zero(found.drop_high, 2)})"
    return (
        _figure(found.top1, ".1f"),
        _figure(found.top5, ".1f"),
        drop,
        _figure(found.gained, "d"),
        _figure(found.lost, "d"),
        ABSENT if found.p_value is None else chance(found.p_value),
        _figure(found.agreement, ".1f"),
        str(found.images),
    )


def _figure(value: float | int | None, form: str) -> str:
    return ABSENT if value is None else format(value, form)


def _unmeasured(everything: Sequence[ConfigurationResult]) -> list[Unmeasured]:
    """Return what failed or was left out, like reasons together; failures come first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in everything:
        if one.status != "ok":
            groups.setdefault((one.status, one.reason or ""), []).append(plain(one.id))
    return [
        Unmeasured(
            status=status,
            reason=plain(reason),
            count=len(ids),
            names=", ".join(ids[:_NAMED]) + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""),
        )
        for (status, reason), ids in sorted(groups.items(), key=lambda item: item[0][0] != "failed")
    ]
