"""A run of `perftool load` as tables, and as the files in its folder. Nothing is computed here."""

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from perftool.analysis.load_run import LoadRun
from perftool.analysis.open_load import said
from perftool.analysis.rate_bound import RateUnderBound
from perftool.render.files import COLUMNS, as_json, as_text
from perftool.render.numbers import plain, span, with_interval
from perftool.render.offered import RATE_TITLES, latency_cell, rate_cells
from perftool.render.open_load import PERCENTILES, Curve, picture
from perftool.render.tabular import ODD_MARK


def load_view(run: LoadRun) -> tuple[RenderableType, ...]:
    """Return all that a run has to show: what was measured, a row for each rate, the answer."""
    parts: list[RenderableType] = [_heading(run)]
    if run.points:
        parts += [_table(run), _notes(run)]
    if run.answer is not None:
        title = f"p{run.answer.percentile} <= {run.answer.bound_ms:g} ms"
        parts.append(Panel(Text(answer_line(run.answer)), title=title, title_align="left", width=COLUMNS))
    return tuple(Padding(part, (0, 0, 1, 0)) for part in parts)


def _heading(run: LoadRun) -> Text:
    one, host = run.configuration, run.host
    weights = ", reference weights" if run.reference else ""
    runs_in = run.compiled.executed[0].precision if run.compiled.executed else "unknown"
    lines = [
        f"{run.model}{weights}, {one.id}: {one.precision} on {one.device}, batch {one.batch}, "
        f"streams {run.compiled.streams or 'unknown'}, requests {run.compiled.requests}, runs in {runs_in}",
        f"{host.cpu}, {host.cores_usable} cores usable, OpenVINO {host.openvino}, {run.created}",
    ]
    if run.closed_fps is not None:
        lines.append(f"closed loop: {with_interval(run.closed_fps, 2)} images/s")
    if run.points:
        kinds = {"poisson": "Poisson arrivals", "constant": "constant arrivals"}
        lines.append(f"{kinds[run.points[0].arrivals]}; latency counts from when a request was to arrive")
    return Text("\n").join(Text(plain(line)) for line in lines)


def _table(run: LoadRun) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for title in RATE_TITLES:
        table.add_column(title, justify="right", no_wrap=True)
    for percentile in PERCENTILES:
        table.add_column(f"p{percentile}\nms", justify="right", no_wrap=True)
    table.add_column("sent late\nby ms", justify="right", no_wrap=True)
    for point in run.points:
        cells = [latency_cell(point, percentile) for percentile in PERCENTILES]
        table.add_row(*rate_cells(point, run.closed_fps), *cells, f"{point.lag_ms:.2g}")
    return table


def _notes(run: LoadRun) -> Text:
    """Explain the cells that are no figures, and each refusal in its words."""
    lines = []
    shown = [(point, point.percentile(p)) for point in run.points if not point.refusal for p in PERCENTILES]
    if any(found is None for _, found in shown):
        lines.append("N of M: not measurable, N of the M requests that it takes")
    if any(found is not None and (found.low is None or found.high is None) for _, found in shown):
        lines.append(
            "neither ± nor + and -: too few requests for an interval, or for its upper end; the nearer to "
            "saturation, the longer a queue remembers (more --seconds)"
        )
    lines.append("sent late: 99 % of the requests were sent later by no more than this; latencies contain it")
    if any(point.disturbed for point in run.points):
        lines.append(f"{ODD_MARK}: other processes or the hypervisor took more than 10 % of the CPUs")
    lines += [f"{said(point.rate_fps)} images/s: {point.refused}" for point in run.points if point.refused]
    return Text("\n".join(map(plain, lines)))


def answer_line(answer: RateUnderBound) -> str:
    """Say the highest rate that keeps the bound, with its interval, or why there is none."""
    if answer.rate is None:
        return answer.reason
    digits = 1 if answer.rate.point >= 100 else 2
    interval = span(answer.rate.low, answer.rate.high, digits)
    line = (
        f"up to {answer.rate.point:.{digits}f}{interval} images/s keep p{answer.percentile} within "
        f"{answer.bound_ms:g} ms"
    )
    return line if interval else f"{line}; interval unknown: too few requests"


def load_files(run: LoadRun) -> dict[str, bytes]:
    """Return {file name: content} of a run's report."""
    curve = Curve(
        name=run.configuration.id,
        precision=run.configuration.precision,
        points=run.points,
        closed_fps=run.closed_fps.point if run.closed_fps else None,
        answer=run.answer,
    )
    title = f"{run.model}: latency against offered rate\n{run.configuration.id}"
    pictures = picture([curve], title=title, bound_ms=run.bound_ms)
    return {
        "load.json": as_json(run),
        "load.txt": as_text(*load_view(run)),
        **{f"plots/{name}": content for name, content in pictures.items()},
    }
