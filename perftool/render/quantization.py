"""What quantizing a model came to, as text."""

import math

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from perftool.analysis.quantization import LayerReport, QuantizationReport
from perftool.analysis.result import AccuracyResult
from perftool.render.live import duration

#: Layers shown where not all are asked for: those kept, and the worst of the others.
WORST = 10


def quantization_view(report: QuantizationReport, *, layers: bool) -> tuple[RenderableType, ...]:
    """Show a report: the outcome, the trials, the layers (`layers`: all of them), and the warnings."""
    parts: list[RenderableType] = [_outcome(report)]
    if report.trials:
        parts.append(_trials(report))
    parts.append(_layers(report, layers))
    parts += [Text(f"warning: {text}") for text in report.warnings]
    return tuple(parts)


def _outcome(report: QuantizationReport) -> Group:
    total = len(report.layers)
    lines = [
        f"{report.output}: {report.file_bytes / 1e6:.1f} MB, {total - report.kept} of {total} layers in "
        f"int8, calibrated on {report.calibration_images} images; {duration(report.seconds)}, peak memory "
        f"{report.peak_rss_bytes / 1e6:.0f} MB",
        f"executed on {report.device}: {report.executed}",
    ]
    for one in report.speed:
        ratio = one.ratio
        interval = f" ({ratio.low:.2f} to {ratio.high:.2f})" if ratio.low and ratio.high else ""
        lines.append(f"throughput over {one.against}'s, batch 1, one stream: {ratio.point:.2f}{interval}")
    if report.accuracy is not None and report.max_drop_pp is not None:
        lines.append(f"drop of top-1: {_drop(report.accuracy)}, within {report.max_drop_pp:g} pp")
        lines.append(f"{report.inferences} images run through a model to get there, calibration apart")
    return Group(*map(Text, lines))


def _trials(report: QuantizationReport) -> Table:
    table = Table(box=box.SIMPLE, title="trials", title_justify="left")
    table.add_column("layers kept in float", justify="right")
    for title in ("images", "top-1 [%]", "drop [pp]"):
        table.add_column(title, justify="right")
    table.add_column("within")
    if report.plain:
        table.add_row("0", str(report.plain.images), _percent(report.plain), _drop(report.plain), "no")
    for trial in report.trials:
        found = trial.accuracy
        drop = _drop(found) if found else f"about {trial.drop_pp:+.2f}"
        top1 = _percent(found) if found else ""
        within = "yes" if trial.passes else "no"
        table.add_row(str(trial.kept), str(trial.images), top1, drop, within)
    return table


def _layers(report: QuantizationReport, everything: bool) -> Table:
    """Show the layers in order of their error at the output."""
    quantized = [layer for layer in report.layers if layer.precision == "int8"]
    shown = (
        report.layers
        if everything
        else [layer for layer in report.layers if layer.precision == "float" or layer in quantized[:WORST]]
    )
    table = Table(
        box=box.SIMPLE,
        title="layers, by the error that int8 adds at the output",
        caption=f"errors in dB, of the signal's energy; {len(shown)} of {len(report.layers)} layers shown",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("layer", overflow="fold")
    table.add_column("in")
    for title in ("FLOPs [%]", "own error [dB]", "at the output [dB]"):
        table.add_column(title, justify="right")
    table.add_column("why", overflow="fold")
    for layer in shown:
        table.add_row(*_row(layer))
    return table


def _row(layer: LayerReport) -> tuple[str, ...]:
    return (
        layer.name,
        layer.precision,
        f"{100 * layer.flops_share:.1f}",
        _decibels(layer.own_error),
        _decibels(layer.error_at_output),
        layer.reason,
    )


def _decibels(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{10 * math.log10(ratio):.1f}" if ratio > 0 else "none"


def _percent(found: AccuracyResult) -> str:
    return "unknown" if found.top1 is None else f"{found.top1:.1f}"


def _drop(found: AccuracyResult) -> str:
    if found.drop_pp is None:
        return "unknown"
    return f"{found.drop_pp:+.2f} ({found.drop_low:+.2f} to {found.drop_high:+.2f})"
