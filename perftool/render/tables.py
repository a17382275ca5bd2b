"""A Summary and a Recommendation as rich tables, readable at 100 columns.

Marks are characters, so that a terminal without colour loses nothing. Names and messages come from outside:
they are shown as Text, which reads no markup, and stripped of control characters.
"""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from perftool.analysis import metrics
from perftool.analysis.confirmation import confirmed_in, fresh_rounds, named
from perftool.analysis.digits import decimals_of, significant, times
from perftool.analysis.limits import bounds, carried
from perftool.analysis.metric import Metric
from perftool.analysis.pareto import compared, trade_off
from perftool.analysis.result import ConfigurationResult, Recommendation, Summary
from perftool.analysis.stats import Estimate
from perftool.analysis.warn import UNFINISHED
from perftool.analysis.wishes import told
from perftool.render.dropped import dropped
from perftool.render.headroom import headroom
from perftool.render.layers import layers_brief
from perftool.render.numbers import ABSENT, figure, plain
from perftool.render.offered import OFFERED_LEGEND, offered
from perftool.render.resources import resources, resources_legend
from perftool.render.tabular import ODD_MARK, ROWS, empty_table

CHOICE_MARK = ">"
FRONT_MARK = "*"
#: After a percentile: what it is at least is known, but not what at most.
OPEN_MARK = "+"
#: A longer title would be cut at 80 columns.
_LONGEST_TITLE = 72


def run_view(summary: Summary, recommendation: Recommendation) -> tuple[RenderableType, ...]:
    """Return all that a run has to show: host, table, what was left out, the choice, warnings."""
    parts: list[RenderableType] = [
        heading(summary),
        configurations(summary, recommendation),
        legend(summary, recommendation),
    ]
    if any(one.dropped for one in summary.configurations):
        objective = metrics.objective_metric(recommendation.objective, recommendation.limits, summary)
        parts.append(dropped(summary, best_first(summary.configurations, objective), objective))
    if any(one.status == "ok" for one in (*summary.configurations, *summary.baselines)):
        other = metrics.OF_LIMIT if last_column(summary, recommendation) is metrics.MEMORY else metrics.MEMORY
        parts += [resources(summary, other), resources_legend(summary)]
    if summary.rooflines:
        parts.append(headroom(summary, recommendation))
    if any(one.open for one in (*summary.configurations, *summary.baselines)):
        parts += [offered(summary), OFFERED_LEGEND]
    if any(one.status != "ok" for one in (*summary.configurations, *summary.baselines)):
        parts.append(not_measured(summary))
    parts.append(choice(summary, recommendation))
    if summary.layers:
        parts.append(layers_brief(summary.layers))
    if found := warnings(summary):
        parts.append(found)
    return tuple(Padding(part, (0, 0, 1, 0)) for part in parts)


def recommendation_view(summary: Summary, recommendation: Recommendation) -> tuple[RenderableType, ...]:
    """Return the choice, and why it was not another; first that the run is not finished, where it is not."""
    parts: list[RenderableType] = [_unfinished()] if UNFINISHED in summary.run.warnings else []
    parts.append(choice(summary, recommendation))
    return (*parts, rejections(recommendation)) if recommendation.rejected else tuple(parts)


def _unfinished() -> Text:
    return Text(UNFINISHED, style="yellow")


def heading(summary: Summary) -> Text:
    """Return what was measured, where and how well."""
    run, host = summary.run, summary.host
    done = f"{run.rounds} of {run.rounds_planned} rounds"
    lines = [
        f"{run.model}, profile {run.profile}, {done}, {run.created}",
        f"{host.cpu}, {host.cores_usable} cores usable, {host.memory_bytes / 1e9:.0f} GB, "
        f"OpenVINO {host.openvino}",
    ]
    if not run.complete:
        lines[0] += ", interrupted"
    noise = [] if run.noise_cv is None else [f"noise (spread of the canary) {run.noise_cv:.1%}"]
    if run.measuring_share is not None:
        noise.append(f"{run.measuring_share:.0%} of {run.wall_seconds:.0f} s spent measuring")
    everything = (*summary.configurations, *summary.baselines)
    outliers = sum(one.outliers for one in everything)
    visits = sum(one.visits for one in everything)
    noise.append(f"{outliers} of {visits} visits outliers" if visits else "no visit yet")
    lines.append(", ".join(noise))
    if run.extra_visits_allowed:
        lines.append(
            f"{run.extra_visits} of {run.extra_visits_allowed} extra visits made, "
            f"{sum(one.disturbed for one in everything)} visits disturbed"
        )
    text = Text("\n").join(Text(plain(line)) for line in lines)
    text.highlight_words([run.model], "bold")
    return Text("\n").join([_unfinished(), text]) if UNFINISHED in run.warnings else text


# ---------------------------------------------------------------- the table


def configurations(summary: Summary, recommendation: Recommendation) -> Table:
    """Return a row for each measured configuration, the best first, and below them the baselines."""
    columns = _columns(summary, recommendation)
    table = empty_table()
    table.add_column("", no_wrap=True)
    table.add_column("configuration", overflow="fold")
    table.add_column("runs in", no_wrap=True)
    table.add_column("str/\nreqs", justify="right", no_wrap=True)
    for metric in columns:
        table.add_column(f"{metric.heading}\n{metric.unit}", justify="right", no_wrap=True)
    objective = metrics.objective_metric(recommendation.objective, recommendation.limits, summary)
    left = 0
    for group in (summary.configurations, summary.baselines):
        for result in best_first(group, objective):
            chosen = result.id == recommendation.id
            if result.dropped is not None and not chosen:
                continue
            if table.row_count >= ROWS and not chosen and group is summary.configurations:
                left += 1
                continue
            table.add_row(*_row(result, recommendation, columns), style="bold green" if chosen else None)
        table.add_section()
    if left:
        table.caption = f"and {left} more; results.json has all"
    return table


def best_first(results: Iterable[ConfigurationResult], metric: Metric) -> list[ConfigurationResult]:
    """Return the measured configurations sorted by a metric, those without it last, by throughput."""
    sign = -1.0 if metric.better == "higher" else 1.0

    def key(result: ConfigurationResult) -> tuple[bool, float, float]:
        value = metric.value(result)
        throughput = metrics.THROUGHPUT.value(result) or 0.0
        return value is None, sign * value if value is not None else 0.0, -throughput

    return sorted((result for result in results if result.status == "ok"), key=key)


def _columns(summary: Summary, recommendation: Recommendation) -> list[Metric]:
    """Pick the metrics that the table has room for: those that the choice looked at, and that differ."""
    everything = (*summary.configurations, *summary.baselines)
    objective = metrics.objective_metric(recommendation.objective, recommendation.limits, summary)
    percentile = carried(recommendation.limits) or recommendation.limits.percentile
    tail = metrics.LATENCY[percentile if percentile != 50 else 95]
    apart = any(one.latency_sync_ms not in (None, one.latency_ms) for one in everything)
    if apart and percentile == 50:
        tail = metrics.LATENCY_SYNC
    if objective is not metrics.THROUGHPUT:
        tail = objective
    found = [metrics.THROUGHPUT, metrics.LATENCY[50], tail, last_column(summary, recommendation)]
    labelled = any(one.accuracy and one.accuracy.top1 is not None for one in everything)
    if labelled:
        found += [metrics.TOP1, metrics.DROP]
    elif any(one.accuracy for one in everything):
        found.append(metrics.AGREEMENT)
    return found


def last_column(summary: Summary, recommendation: Recommendation) -> Metric:
    """Return what the table has room for beside speed and accuracy; the table of resources has the other.

    How near a configuration comes to what its device can do, where that is known and memory is not asked
    about.
    """
    weighed = recommendation.objective if isinstance(recommendation.objective, dict) else ()
    asked = {*weighed, *(metric.name for metric, _ in bounds(recommendation.limits))}
    if not summary.placed or (metrics.MEMORY.name in asked and metrics.OF_LIMIT.name not in asked):
        return metrics.MEMORY
    return metrics.OF_LIMIT


def _row(
    result: ConfigurationResult, recommendation: Recommendation, columns: Sequence[Metric]
) -> list[Text]:
    mark = CHOICE_MARK if result.id == recommendation.id else " "
    mark += FRONT_MARK if result.id in recommendation.pareto else " "
    odd = any(text.startswith(("ran in", "requested")) for text in result.warnings)
    cells = [
        mark,
        plain(result.id),
        _runs_in(result) + (f" {ODD_MARK}" if odd else ""),
        f"{_integer(result.streams)}/{_integer(result.requests)}",
        *(_cell(metric, result) for metric in columns),
    ]
    return [Text(cell) for cell in cells]


def _cell(metric: Metric, result: ConfigurationResult) -> str:
    """Write a figure; tail percentiles and the percent of the limit without interval, for want of room."""
    estimate = metric.read(result)
    bare = (metrics.LATENCY[90], metrics.LATENCY[95], metrics.LATENCY[99], metrics.OF_LIMIT)
    if metric in bare and estimate is not None:
        more = OPEN_MARK if _open(estimate) else ""
        return f"{estimate.point:.{max(metric.digits, significant(estimate.point, 2))}f}{more}"
    return figure(metric, result)


def _open(estimate: Estimate) -> bool:
    """Tell whether only the lower end of a percentile's interval is known."""
    return estimate.low is not None and estimate.high is None


def _runs_in(result: ConfigurationResult) -> str:
    if result.executed_precision is None:
        return ABSENT
    share = "" if result.executed_share is None else f" {100 * result.executed_share:.0f}%"
    share = share.replace(" 100%", "")  # The room is needed, and all is what one expects.
    return f"{plain(result.executed_precision)}{share}"


def _integer(value: int | None) -> str:
    return ABSENT if value is None else str(value)


def legend(summary: Summary, recommendation: Recommendation) -> Text:
    """Explain the marks and the columns of the table above."""
    lines = [
        f"{CHOICE_MARK} choice   {FRONT_MARK} Pareto front   {ODD_MARK} not as asked, see warnings   "
        f"{ABSENT} not measurable",
        *_front(summary, recommendation),
        "± half of the 95 % interval over visits, or + and - its ends where the median is not in its middle",
        "latency per request, so per batch, under full load; intervals that have no room are in the JSON",
    ]
    if recommendation.confirmation is not None:
        lines.append("all of the rounds that the choice was made by; the box has figures of its fresh rounds")
    objective = metrics.objective_metric(recommendation.objective, recommendation.limits, summary)
    if any(metric in metrics.LATENCY_ALONE.values() for metric in _columns(summary, recommendation)):
        lines.append("alone: with one request in flight")
    if summary.placed:
        lines.append("of limit: throughput in percent of what its kernels could do at most on this device")
    if isinstance(recommendation.objective, dict):
        lines.append(f"score: {told(recommendation.objective)}, in times that of {objective.over}")
    everything = (*summary.configurations, *summary.baselines)
    columns = [each for each in _columns(summary, recommendation) if each.load is not None]
    if any((found := each.read(one)) and _open(found) for each in columns for one in everything):
        lines.append(
            f"{OPEN_MARK} after a percentile: it may be more, as visits differ too much for an upper end"
        )
    images = max((one.accuracy.images for one in everything if one.accuracy), default=0)
    if summary.run.accuracy_of and images:
        lines.append(
            f"accuracy: {summary.run.accuracy_of}, {images} of them; a drop is a loss against FP32 in f32"
        )
    lines.append("baselines: the FP32 file with OpenVINO's performance hint and nothing else set")
    return Text("\n".join(plain(line) for line in lines), style="dim")


def _front(summary: Summary, recommendation: Recommendation) -> list[str]:
    """Say what the front is a front of; nothing where nothing was measured to be on one."""
    respects = _respects(summary, recommendation)
    return [f"Pareto front: nothing is better in {respects} at once"] if respects else []


def _respects(summary: Summary, recommendation: Recommendation) -> str:
    """Name what the front is a front of."""
    objective = metrics.objective_metric(recommendation.objective, recommendation.limits, summary)
    found = [metric.called for metric in compared(summary.configurations, trade_off(objective))]
    return ", ".join(found[:-1]) + f" and {found[-1]}" if len(found) > 1 else "".join(found)


def not_measured(summary: Summary) -> Table:
    """Return the configurations that failed or were left out, each with its reason."""
    table = empty_table()
    table.add_column("not measured", overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for result in (*summary.configurations, *summary.baselines):
        if result.status != "ok":
            cells = (result.id, result.status, result.reason or "")
            table.add_row(*(Text(plain(cell)) for cell in cells))
    return table


# ---------------------------------------------------------------- the recommendation


def choice(summary: Summary, recommendation: Recommendation) -> Panel:
    """Return the recommendation under its objective and limits."""
    lines = choice_lines(summary, recommendation)
    title = "recommendation" if recommendation.id else "nothing passes the limits"
    asked = asked_for(recommendation)
    if len(title) + len(asked) > _LONGEST_TITLE:
        lines.insert(0, Text(f"asked: {asked}"))
    else:
        title += f": {asked}"
    return Panel(Text("\n").join(lines), title=Text(title), title_align="left")


def choice_lines(summary: Summary, recommendation: Recommendation) -> list[Text]:
    """Return the recommendation: what, why, the gains, the properties, and what is not certain."""
    chosen = next((one for one in summary.configurations if one.id == recommendation.id), None)
    lines = [Text(plain(recommendation.reason))]
    if chosen is not None:
        lines.insert(0, Text(plain(_what(chosen)), style="bold green"))
        lines += [Text(plain(line)) for line in _claimed(recommendation)]
        lines.append(Text(plain(f'compile_model(model, "{chosen.device}", {_literal(chosen)})')))
    for one in recommendation.refused:
        lines.append(Text(plain(f"not {one.id}, which was chosen before: {one.reason}")))
    for miss in recommendation.nearest:
        lines.append(Text(plain(f"nearest: {miss.id}, {miss.reason}")))
    for doubt in recommendation.uncertain:
        if doubt.id == recommendation.id:
            needs = f"; {doubt.needs}" if doubt.needs else ""
            lines.append(Text(plain(f"uncertain: its interval crosses the limit, {doubt.limit}{needs}")))
    lines += [Text(plain(one.text)) for one in recommendation.stability]
    lines += [Text(plain(f"open: {text}")) for text in recommendation.open]
    lines += [Text(plain(f"warning: {text}"), style="yellow") for text in recommendation.warnings]
    return lines


def _claimed(recommendation: Recommendation) -> Iterator[str]:
    """Say whether the choice was confirmed, and give the gains a line each, of the rounds that they are of.

    Beside each gain stands what the other had in those rounds, for the table's figures are of others.
    """
    found = recommendation.confirmation
    said = [(gain, named(gain)) for gain in recommendation.gain]
    if found is not None and found.runner_up is not None:
        said.append((found.runner_up, f"{found.runner_up.what}, {found.runner_up.over}"))
    if found is not None:
        yield confirmed_in(found) if recommendation.unconfirmed is None else f"{fresh_rounds(found)}:"
    metric = metrics.objective_metric(recommendation.objective, recommendation.limits)
    for gain, what in said:
        its = ""
        if gain.figure is not None:
            its = f": {gain.figure.point:.{decimals_of(gain.figure, metric.digits)}f} {metric.unit}"
        yield f"{times(Estimate(point=gain.point, low=gain.low, high=gain.high))}  {what}{its}"
    if recommendation.unconfirmed is not None:
        yield f"not confirmed: {recommendation.unconfirmed}"


def _what(result: ConfigurationResult) -> str:
    return f"{result.id}: {result.precision} on {result.device}, batch {result.batch}, " + ", ".join(
        [
            f"{_integer(result.streams)} stream{'' if result.streams == 1 else 's'}",
            f"{_integer(result.requests)} request{'' if result.requests == 1 else 's'} in flight",
        ]
    )


def _literal(result: ConfigurationResult) -> str:
    pairs = ", ".join(f'"{name}": "{value}"' for name, value in result.properties.items())
    return f"{{{pairs}}}"


def asked_for(recommendation: Recommendation) -> str:
    """Say under which objective and limits the choice was made."""
    limits = recommendation.limits
    parts: list[str] = [told(recommendation.objective)]
    if recommendation.objective == "latency" and limits.percentile != 50:
        parts[0] += f" p{limits.percentile}"
    if limits.slo_ms is not None:
        parts.append(f"open-load p{limits.percentile} <= {limits.slo_ms:g} ms")
    if limits.latency_ms is not None:
        parts.append(f"p{limits.percentile} <= {limits.latency_ms:g} ms")
    if limits.accuracy_drop_pp is not None:
        parts.append(f"drop <= {limits.accuracy_drop_pp:g} pp")
    if limits.memory_mb is not None:
        parts.append(f"memory <= {limits.memory_mb:g} MB")
    for bound in limits.bounds:
        parts.append(f"{bound.metric} {bound.way} {bound.value:g} {metrics.named(bound.metric).unit}")
    return plain(", ".join(parts))


def rejections(recommendation: Recommendation) -> Table:
    """Return every candidate that was not chosen, with its reason."""
    table = empty_table()
    table.add_column("not chosen", overflow="fold")
    table.add_column("reason", overflow="fold")
    for one in recommendation.rejected:
        table.add_row(Text(plain(one.id)), Text(plain(one.reason)))
    return table


def warnings(summary: Summary) -> Text | None:
    """Return the warnings of the run and of its configurations, like ones together; None without any.

    What the heading says of a run that is not finished is not said again.
    """
    shared: dict[str, list[str]] = {text: [] for text in summary.run.warnings if text != UNFINISHED}
    everything = (*summary.configurations, *summary.baselines)
    for result in everything:
        for text in result.warnings:
            shared.setdefault(text, []).append(result.id)
    if not shared:
        return None
    lines = []
    for text, ids in shared.items():
        whom = "" if not ids else f"{ids[0]}: " if len(ids) == 1 else f"{len(ids)} configurations: "
        whom = "all: " if len(ids) == len(everything) > 1 else whom
        listed = f" ({', '.join(ids)})" if 1 < len(ids) < len(everything) else ""
        lines.append(f"{ODD_MARK} {whom}{text}{listed}")
    return Text("\n".join(plain(line) for line in lines), style="yellow")
