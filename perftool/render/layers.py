"""A layer profile as tables. Nothing is computed here.

Names of layers come from model files: they are shown as Text, which reads no markup, and stripped of control
characters.
"""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from perftool.analysis.blocks import called
from perftool.analysis.layer_report import LayerReport
from perftool.analysis.layers import LayerGroup, LayerProfile, LayerRow
from perftool.analysis.stats import Estimate
from perftool.render.files import COLUMNS
from perftool.render.headroom import limits_of
from perftool.render.layer_comparison import comparison
from perftool.render.numbers import ABSENT, plain, with_interval
from perftool.render.tabular import empty_table

#: So many layers are shown where nobody says.
SHOWN = 15
_GROUPS = 24
_BRIEF = 4
_DISTURBED = (
    "warning: other programs, or the hypervisor, took more than 10 % of the machine while {} was timed"
)


def layers_view(report: LayerReport, shown: int = SHOWN) -> tuple[RenderableType, ...]:
    """Return all that was found: each profile with its `shown` costliest layers, and the comparison."""
    parts: list[RenderableType] = [_heading(report)]
    for profile in (report.profile, report.other):
        if profile is not None:
            parts += _profile(profile, shown)
    if report.changes is not None:
        parts += comparison(report.changes, shown)
    parts.append(_legend(report))
    return tuple(Padding(part, (0, 0, 1, 0)) for part in parts)


def layers_brief(profiles: Sequence[LayerProfile]) -> Text:
    """Say in a few lines where the time of the profiled configurations of a run goes."""
    lines = []
    for one in profiles:
        kinds = ", ".join(f"{group.name} {group.share:.0%}" for group in one.by_type[:_BRIEF])
        costliest = max(one.layers, key=lambda row: row.time_us.point, default=None)
        if costliest is None:
            continue
        lines.append(f"where the time of {one.id} goes: {kinds}")
        name = called(costliest.name, costliest.originals)
        lines.append(f"  its costliest layer: {name}, {costliest.share:.1%}; {_reconciled(one)}")
        if one.disturbed:
            lines.append(f"  {_DISTURBED.format('it')}")
        lines += [f"  {_said(text, reason, gain)}" for text, reason, gain in _advice(one)]
    return Text("\n".join(plain(line) for line in lines))


# ---------------------------------------------------------------- one profile


def _heading(report: LayerReport) -> Text:
    host = report.host
    weights = ", reference weights" if report.reference else ""
    lines = [
        f"{report.model}{weights}: time by layer, {report.created}",
        f"{host.cpu}, {host.cores_usable} cores usable, OpenVINO {host.openvino}",
    ]
    lines += [_DISTURBED.format(one.id) for one in (report.profile, report.other) if one and one.disturbed]
    lines += map(limits_of, report.rooflines)
    lines += [
        f"warning: the peaks of {one.device} were measured beside other work: they may be too low, and what "
        "is in percent of them too high"
        for one in report.rooflines
        if one.disturbed
    ]
    lines += [
        f"no percent of the limit: the peaks could not be measured of {reason}"
        for reason in report.without_peaks
    ]
    return Text("\n".join(map(plain, lines)))


def _profile(profile: LayerProfile, shown: int) -> list[RenderableType]:
    parts: list[RenderableType] = [
        Text("\n".join(map(plain, (_what(profile), _reconciled(profile), _hidden(profile))))),
        _layers(profile, shown),
        _groups("type", profile.by_type),
    ]
    if len(profile.by_block) > 1:
        parts.append(_groups("block of the network", profile.by_block))
    if len(profile.by_precision) > 1:
        parts.append(_groups("runs in", profile.by_precision))
    if profile.transitions.layers:
        parts.append(_groups("change of precision or layout", profile.by_transition))
    if advice := _advice(profile):
        lines = Text("\n").join(Text(plain(_said(*one))) for one in advice)
        parts.append(Panel(lines, title="what could be tried", title_align="left", width=COLUMNS))
    return parts


def _what(profile: LayerProfile) -> str:
    runs_in = profile.executed_precision or "an unknown precision"
    streams = "?" if profile.streams is None else profile.streams
    threads = "?" if profile.threads is None else profile.threads
    return (
        f"{profile.id}: {profile.precision} on {profile.device}, batch {profile.batch}, streams {streams}, "
        f"threads {threads}, requests in flight {profile.requests}, runs in {runs_in}"
    )


def _reconciled(profile: LayerProfile) -> str:
    """Say how the layers' times fit the latency."""
    if profile.plain_ms.point <= 0 or profile.counted_ms.point <= 0:
        return "its latency was too short to be measured"
    share = profile.counters_ms / profile.plain_ms.point
    covered = profile.sum_ms.point / profile.counted_ms.point
    return (
        f"a request takes {with_interval(profile.plain_ms, 2)} ms without counters, "
        f"{with_interval(profile.counted_ms, 2)} ms with them ({share:+.1%}); its layers add up to "
        f"{with_interval(profile.sum_ms, 2)} ms, {covered:.1%} of that"
    )


def _hidden(profile: LayerProfile) -> str:
    text = f"from {profile.inferences} requests with counters"
    if profile.hidden_ms >= profile.outside_ms > 0:
        text += f"; whole microseconds may hide all of the {profile.outside_ms:.2f} ms between"
    elif profile.hidden_ms > 0:
        text += (
            f"; of the {profile.outside_ms:.2f} ms between, whole microseconds hide "
            f"{profile.hidden_ms:.2f} ms at the most"
        )
    return text


def _layers(profile: LayerProfile, shown: int) -> Table:
    """Return a row for each of the costliest layers, and one for the rest together."""
    rows = sorted(profile.layers, key=lambda row: -row.time_us.point)
    limits = any(row.of_limit is not None for row in rows)
    table = empty_table()
    table.add_column("layer", overflow="fold")
    table.add_column("kernel", overflow="fold")
    table.add_column("runs\nin", no_wrap=True)
    for title in ("time\nus", "share", "GFLOP/s", *(("of\nlimit",) if limits else ())):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows[:shown]:
        cells = [
            called(row.name, row.originals),
            row.kernel,
            row.precision,
            _microseconds(row.time_us),
            f"{row.share:.1%}",
        ]
        cells.append(_rate(row.gflops))
        if limits:
            cells.append(_of_limit(row))
        table.add_row(*(Text(plain(cell)) for cell in cells))
    if rest := rows[shown:]:
        share = sum(row.share for row in rest)
        time = sum(row.time_us.point for row in rest)
        table.add_section()
        table.add_row(f"{len(rest)} others", "", "", f"{time:.0f}", f"{share:.1%}", "")
    return table


def _of_limit(row: LayerRow) -> str:
    """Write the percent of the limit; what surely lies above 100 has a mark, which the legend explains."""
    if row.of_limit is None:
        return ABSENT
    return f"{row.of_limit.point:.0f}%{'!' if row.doubt == 'exceeded' else ''}"


def _groups(title: str, groups: Sequence[LayerGroup]) -> Table:
    table = empty_table()
    table.add_column(title, overflow="fold")
    for heading in ("layers", "time\nus", "share", "GFLOP/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in groups[:_GROUPS]:
        cells = [group.name, str(group.layers), f"{group.time_us.point:.0f}", f"{group.share:.1%}"]
        table.add_row(*(Text(plain(cell)) for cell in (*cells, _rate(group.gflops))))
    if rest := groups[_GROUPS:]:
        layers, time = sum(group.layers for group in rest), sum(group.time_us.point for group in rest)
        share = sum(group.share for group in rest)
        table.add_section()
        table.add_row(f"{len(rest)} others", str(layers), f"{time:.0f}", f"{share:.1%}", "")
    return table


def _advice(profile: LayerProfile) -> list[tuple[str, str, float | None]]:
    return [(one.text, one.reason, one.gain) for one in profile.advice]


def _said(text: str, reason: str, gain: float | None) -> str:
    bound = "" if gain is None else f" (at most {gain:.2f}x)"
    return f"{text}{bound}: {reason}"


def _rate(gflops: float | None) -> str:
    return ABSENT if gflops is None else f"{gflops:.0f}" if gflops >= 10 else f"{gflops:.1f}"


def _microseconds(time: Estimate) -> str:
    """Write a time and its reach to both sides, which whole microseconds make unlike."""
    if time.low is None or time.high is None:
        return with_interval(time, 1)
    below, above = (
        with_interval(Estimate(point=time.point, low=time.point - reach, high=time.point + reach), 1)
        for reach in (time.point - time.low, time.high - time.point)
    )
    if below == above:
        return below
    point, _, up = above.partition(" ±")
    return f"{point} -{below.partition(' ±')[2] or '0'}/+{up or '0'}"


def _legend(report: LayerReport) -> Text:
    lines = [
        "time: the median over bursts of one request's time in a layer, and how far its 95 % interval "
        "reaches, up by what whole microseconds may hide too",
        "share: of the layers' sum; GFLOP/s: 10^9 operations per second, a multiply-add is 2",
        "runs in: read off the kernel's name; a gain is a bound: nothing else becomes slower or faster",
    ]
    if report.changes is not None:
        lines.append(
            "gained, lost: by more than 2 %, interval included; tied: surely within 2 %; both were timed in "
            "one process, in turns, and what another process would do differently is in no interval"
        )
    if report.rooflines:
        lines.append(
            "of limit: the least time in which all requests in flight could do a layer's operations and move "
            "its bytes, at the limits of the device, in percent of the time that it took"
        )
    profiles = [one for one in (report.profile, report.other) if one is not None]
    if any(row.doubt == "exceeded" for one in profiles for row in one.layers):
        lines.append(
            "!: surely above 100 %, so the limit is too low there: its data lies in caches, or its kernel is "
            "better than those that the limit was measured with"
        )
    return Text("\n".join(lines), style="dim")
