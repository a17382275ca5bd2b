"""What the page's scripts read: rows and figures as columns, so that thousands of them stay small."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, convert, to_builtins

from perftool.analysis import metrics, pareto, stats
from perftool.analysis.foresee import foresee
from perftool.analysis.foreseen import Foreseen
from perftool.analysis.layers import LayerProfile
from perftool.analysis.leader import BAND, best_in_f32, ratio_of
from perftool.analysis.limits import bounds
from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult, Recommendation, Summary
from perftool.analysis.roofline import Placed, Roofline
from perftool.analysis.stats import Estimate
from perftool.render.numbers import plain
from perftool.render.page.card import Card, card_of
from perftool.render.plotting import FRONT, LIMIT, LOOKS, RUNS_AS, short_name

#: More points than this make a chart slow, and say no more: then those that could be chosen are drawn, the
#: Pareto front, the baselines, and of the others the best.
DRAWN = 1200
#: Figures are written with so many digits; choosing has its own, which are exact.
_DIGITS = 6


class Column(Struct, frozen=True, kw_only=True):
    """A metric of the table, as `Metric` has it. `shown` ones are there before anybody asks for all;
    `spread` ones have an interval once there are visits enough."""

    name: str
    heading: str
    label: str
    called: str
    unit: str
    digits: int
    better: str
    spread: bool
    shown: bool


class Figures(Struct, frozen=True, kw_only=True):
    """A metric's figures, one for each row, with the ends of their intervals; None where there is none."""

    point: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


class Rows(Struct, frozen=True, kw_only=True):
    """Every configuration, a value for each in every field; the baselines come last.

    `name` is short, `front` tells who is on the Pareto front. `visits` and `samples` (of latency) are counts;
    a `reference` is what accuracy is held against, so its drop is no estimate. `dropped` is the reason of a
    race, `lacking` why the objective has no figure, `warnings` are: both numbers into the page's sentences.
    `quantiles` are those at the page's `shares`, None where the samples cannot carry one.
    """

    id: tuple[str, ...]
    name: tuple[str, ...]
    baseline: tuple[bool, ...]
    status: tuple[str, ...]
    reason: tuple[str | None, ...]
    dropped: tuple[str | None, ...]
    lacking: tuple[int | None, ...]
    device: tuple[str, ...]
    precision: tuple[str, ...]
    executed: tuple[str | None, ...]
    share: tuple[float | None, ...]
    batch: tuple[int, ...]
    streams: tuple[int | None, ...]
    asked_streams: tuple[int | None, ...]
    requests: tuple[int | None, ...]
    threads: tuple[int | None, ...]
    front: tuple[bool, ...]
    visits: tuple[int, ...]
    samples: tuple[int | None, ...]
    reference: tuple[bool, ...]
    warnings: tuple[tuple[int, ...], ...]
    properties: dict[str, dict[str, str]]
    quantiles: dict[str, tuple[float | None, ...]]
    figures: dict[str, Figures]


class Precise(Struct, frozen=True, kw_only=True):
    """How a precision is drawn: as in the plots, the marker by Plotly's name."""

    colour: str
    symbol: str
    label: str


class Speed(Struct, frozen=True, kw_only=True):
    """A configuration's speed-up and loss of accuracy, each with its interval; `row` is its number."""

    row: int
    speed: Estimate
    loss: Estimate
    fastest: bool


class Accuracies(Struct, frozen=True, kw_only=True):
    """Accuracy against speed-up: over what, of what, and whether the loss is a drop or a disagreement."""

    over: str
    images: str
    labelled: bool
    points: tuple[Speed, ...]


class Objective(Struct, frozen=True, kw_only=True):
    """What the choice is best at, in words and as a column; `superlative` is `highest throughput`."""

    metric: str
    superlative: str


class Content(Struct, frozen=True, kw_only=True):
    """All that the scripts read. `chosen` is the run's own choice, `run` the name of its folder.

    `front` are the rows on the front of latency and throughput, in the order of throughput; `candidates` are
    the rows of the candidates that are foreseen, `refused` the candidates that the run's fresh rounds refuse.
    """

    run: str
    chosen: str | None
    objective: Objective
    band: float
    least_rounds: int
    columns: tuple[Column, ...]
    rows: Rows
    sentences: tuple[str, ...]
    shares: tuple[float, ...]
    drawn: tuple[int, ...]
    front: tuple[int, ...]
    looks: dict[str, Precise]
    runs_as: dict[str, str]
    front_colour: str
    limit_colour: str
    foreseen: Foreseen
    card: Card
    candidates: tuple[int, ...]
    refused: tuple[int, ...]
    accuracies: Accuracies | None
    layers: tuple[LayerProfile, ...]
    rooflines: tuple[Roofline, ...]
    placed: tuple[Placed, ...]


_SYMBOLS = {"o": "circle", "^": "triangle-up", "D": "diamond", "s": "square", "X": "x"}


def content_of(summary: Summary, recommendation: Recommendation) -> Content:
    """Gather a page's content, all of it plain: names that the scripts compare are equal in every field."""
    return convert(_plain(to_builtins(_gathered(summary, recommendation))), Content)


def _plain(found: Any) -> Any:
    """Return what is made of builtins with every text in it plain, keys too: most of them are foreign."""
    if isinstance(found, str):
        return plain(found)
    if isinstance(found, dict):
        return {plain(key): _plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        # Most of what there is are columns of figures, which need no look.
        return [one if one is None or isinstance(one, float) else _plain(one) for one in found]
    return found


def _gathered(summary: Summary, recommendation: Recommendation) -> Content:
    objective = metrics.objective_metric(recommendation.objective, recommendation.limits, summary)
    foreseen = foresee(summary, recommendation)
    everything = (*summary.configurations, *summary.baselines)
    columns = _columns(everything, objective, recommendation)
    drawn = _drawn(summary, recommendation, foreseen)
    lacking = tuple(
        metrics.why_missing(objective, one, recommendation.limits)
        if one.status == "ok" and objective.value(one) is None
        else None
        for one in everything
    )
    told = [text for one in everything for text in one.warnings]
    sentences = tuple(dict.fromkeys([*told, *filter(None, lacking)]))
    places = {one.id: row for row, one in enumerate(everything)}
    front = pareto.front(summary.configurations, (metrics.THROUGHPUT, metrics.LATENCY[50]))
    superlative = "highest " if objective.better == "higher" else "lowest "
    return Content(
        run=summary.run.id,
        chosen=recommendation.id,
        objective=Objective(
            metric=objective.name,
            superlative=superlative + objective.label.partition(", p50")[0],
        ),
        band=BAND,
        least_rounds=stats.MIN_VISITS,
        columns=tuple(_column(each, shown=shown) for each, shown in columns),
        rows=_rows(summary, recommendation, [each for each, _ in columns], sentences, lacking, drawn),
        sentences=sentences,
        shares=stats.SHARES,
        drawn=drawn,
        front=tuple(places[id] for id in front),
        looks={
            name: Precise(
                colour=look.colour,
                symbol=_SYMBOLS[look.marker],
                label="FP32, hint only (baseline)" if name == "default" else name,
            )
            for name, look in LOOKS.items()
        },
        runs_as=RUNS_AS,
        front_colour=FRONT,
        limit_colour=LIMIT,
        foreseen=foreseen,
        card=card_of(summary, recommendation, objective, foreseen),
        candidates=tuple(places[id] for id in foreseen.ids),
        refused=tuple(foreseen.ids.index(one.id) for one in recommendation.refused),
        accuracies=_accuracies(summary, everything, set(drawn)),
        layers=summary.layers,
        rooflines=summary.rooflines,
        placed=summary.placed,
    )


# ---------------------------------------------------------------- the table


def _columns(
    everything: Sequence[ConfigurationResult], objective: Metric, recommendation: Recommendation
) -> list[tuple[Metric, bool]]:
    """Return the metrics that were measured, and whether each is shown at first."""
    limited = [each for each, _ in bounds(recommendation.limits)]
    first = (objective, metrics.THROUGHPUT, metrics.LATENCY[50], *limited, metrics.MEMORY, metrics.TOP1)
    names = {each.name for each in (*first, metrics.DROP)}
    known = [] if objective.name in metrics.METRICS else [objective]
    known += metrics.METRICS.values()
    return [
        (each, each.name in names) for each in known if any(each.read(one) is not None for one in everything)
    ]


def _column(metric: Metric, *, shown: bool) -> Column:
    return Column(
        name=metric.name,
        heading=metric.heading,
        label=metric.label,
        called=metric.called,
        unit=metric.unit,
        digits=metric.digits,
        better=metric.better,
        spread=metric.spread,
        shown=shown,
    )


def _rows(
    summary: Summary,
    recommendation: Recommendation,
    columns: Sequence[Metric],
    sentences: Sequence[str],
    lacking: Sequence[str | None],
    drawn: Sequence[int],
) -> Rows:
    everything = (*summary.configurations, *summary.baselines)
    numbers = {text: number for number, text in enumerate(sentences)}
    front = set(recommendation.pareto)
    return Rows(
        id=tuple(one.id for one in everything),
        name=_names(everything),
        baseline=(False,) * len(summary.configurations) + (True,) * len(summary.baselines),
        status=tuple(one.status for one in everything),
        reason=tuple(one.reason for one in everything),
        dropped=tuple(None if one.dropped is None else one.dropped.reason for one in everything),
        lacking=tuple(None if why is None else numbers[why] for why in lacking),
        device=tuple(one.device for one in everything),
        precision=tuple(one.precision for one in everything),
        executed=tuple(one.executed_precision for one in everything),
        share=tuple(_short(one.executed_share) for one in everything),
        batch=tuple(one.batch for one in everything),
        streams=tuple(one.streams for one in everything),
        asked_streams=tuple(one.requested.streams for one in everything),
        requests=tuple(one.requests for one in everything),
        threads=tuple(one.threads for one in everything),
        front=tuple(one.id in front for one in everything),
        visits=tuple(one.visits for one in everything),
        samples=tuple(one.latency_ms.n if one.latency_ms else None for one in everything),
        reference=tuple(_is_reference(one) for one in everything),
        warnings=tuple(tuple(numbers[text] for text in one.warnings) for one in everything),
        properties={str(row): everything[row].properties for row in drawn},
        quantiles={
            str(row): tuple(None if value is None else float(f"{value:.4g}") for value in found)
            for row in drawn
            if (found := summary.series[everything[row].id].quantiles_ms)
        },
        figures={each.name: _figures(each, everything) for each in columns},
    )


def _names(everything: Sequence[ConfigurationResult]) -> tuple[str, ...]:
    """Name points in few characters, with the device where there are several."""
    several = len({one.device for one in everything}) > 1
    return tuple(
        f"{name} on {one.device}" if several and one.device not in name else name
        for one in everything
        for name in [short_name(one)]
    )


def _is_reference(result: ConfigurationResult) -> bool:
    """Tell what accuracy is held against: no other's drop has an interval of no width."""
    found = result.accuracy
    return found is not None and found.drop_low == found.drop_high == 0.0


def _figures(metric: Metric, results: Iterable[ConfigurationResult]) -> Figures:
    found = [metric.read(one) for one in results]
    return Figures(
        point=tuple(_short(one.point) if one else None for one in found),
        low=tuple(_short(one.low) if one else None for one in found),
        high=tuple(_short(one.high) if one else None for one in found),
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


# ---------------------------------------------------------------- the charts


def _drawn(summary: Summary, recommendation: Recommendation, foreseen: Foreseen) -> tuple[int, ...]:
    """Return the rows that are drawn: all, or of too many those that matter."""
    everything = (*summary.configurations, *summary.baselines)
    measured = [row for row, one in enumerate(everything) if one.status == "ok"]
    if len(measured) <= DRAWN:
        return tuple(measured)
    places = {one.id: row for row, one in enumerate(everything)}
    ids = [recommendation.id or "", *recommendation.pareto, *(one.id for one in summary.baselines)]
    ids += [foreseen.ids[int(number)] for number in foreseen.gains]
    ids += foreseen.ids
    wanted = [places[id] for id in dict.fromkeys(ids) if id in places]
    ok = set(measured)
    return tuple(sorted([row for row in wanted if row in ok][:DRAWN]))


def _accuracies(
    summary: Summary, everything: Sequence[ConfigurationResult], drawn: set[int]
) -> Accuracies | None:
    """Return accuracy against speed-up, as the plot of the same name has it; None without any."""
    base = best_in_f32(summary, metrics.THROUGHPUT)
    if base is None:
        return None
    labelled = any(metrics.DROP.read(one) for one in summary.configurations)
    points: dict[int, tuple[Estimate, Estimate]] = {}
    fastest: dict[tuple[str, str], int] = {}
    for row, one in enumerate(summary.configurations):
        loss = metrics.DROP.read(one) if labelled else _disagreement(one)
        if row not in drawn or loss is None:
            continue
        speed, _ = ratio_of(summary, metrics.THROUGHPUT, one.id, base.id)
        if speed is not None:
            points[row] = speed, loss
            key = (one.device, one.precision)
            if key not in fastest or speed.point > points[fastest[key]][0].point:
                fastest[key] = row
    if not points:
        return None
    return Accuracies(
        over=base.id,
        images=summary.run.accuracy_of or "unlabelled images",
        labelled=labelled,
        points=tuple(
            Speed(row=row, speed=speed, loss=loss, fastest=row in fastest.values())
            for row, (speed, loss) in points.items()
        ),
    )


def _disagreement(result: ConfigurationResult) -> Estimate | None:
    agreement = metrics.AGREEMENT.value(result)
    return None if agreement is None else Estimate(point=100 - agreement, low=None, high=None)
