"""What the card of the choice tells beside the choice itself: words and figures that take statistics.

Of the run's own choice under its own limits, and of the baselines under any. What is chosen under which
limits is `analysis.foresee`'s; nothing is decided here.
"""

from collections.abc import Collection, Sequence

from msgspec import Struct

from perftool.analysis import metrics
from perftool.analysis.confirmation import named
from perftool.analysis.foreseen import Foreseen
from perftool.analysis.leader import ratio_of
from perftool.analysis.limits import judge
from perftool.analysis.metric import Metric
from perftool.analysis.passing import judgeable
from perftool.analysis.result import Recommendation, Summary
from perftool.analysis.stats import Estimate
from perftool.render.numbers import span
from perftool.spec import Objective

#: How a ratio of an objective's figures is read: `0.53x as fast as`. Weights make a score.
_MEASURES = {"rate": "the rate of", "efficiency": "as efficient as"}


class Held(Struct, frozen=True, kw_only=True):
    """What limits are held against of the baselines, by metric: exact figures, or why there is none."""

    rows: tuple[int, ...]
    columns: dict[str, tuple[float | None, ...]]
    missing: dict[str, tuple[str | None, ...]]


class Need(Struct, frozen=True, kw_only=True):
    """What would take a row's interval off the run's own limit on a metric."""

    row: int
    metric: str
    text: str


class Card(Struct, frozen=True, kw_only=True):
    """What the card tells. `measure` reads a ratio; `runner_up` is how many times better the run's own choice
    is than its runner-up, by what it was chosen by; `relaxing` is the nearest limit that would change it.
    `named` are the names of what gains are over, by their `over` and `what`.
    """

    measure: str
    named: dict[str, str]
    held: Held
    needs: tuple[Need, ...]
    runner_up: Estimate | None
    relaxing: str | None


def card_of(summary: Summary, recommendation: Recommendation, metric: Metric, foreseen: Foreseen) -> Card:
    """Gather the card of a recommendation under an objective, which `metric` reads."""
    limited = [each.metric for each in foreseen.controls]
    could = {foreseen.ids[int(at)] for at in foreseen.gains}
    own = recommendation.id
    rival = recommendation.runner_up
    against = None
    if own is not None and rival is not None and recommendation.confirmation is None:
        against, _ = ratio_of(summary, metric, own, rival)
    return Card(
        measure=measure_of(recommendation.objective),
        named={
            f"{gain.over} {gain.what}": named(gain) for gains in foreseen.gains.values() for gain in gains
        },
        held=_held(summary, recommendation, limited),
        needs=_needs(summary, recommendation, could),
        runner_up=against,
        relaxing=_relaxing(summary, recommendation, metric),
    )


def measure_of(objective: Objective) -> str:
    """Return how a ratio under an objective is read."""
    return "the score of" if isinstance(objective, dict) else _MEASURES.get(objective, "as fast as")


def _held(summary: Summary, recommendation: Recommendation, limited: Sequence[str]) -> Held:
    held = [metrics.named(name) for name in limited]
    first = len(summary.configurations)
    measured = [(first + at, one) for at, one in enumerate(summary.baselines) if one.status == "ok"]
    columns = {each.name: tuple(each.value(one) for _, one in measured) for each in held}
    missing = {
        each.name: tuple(
            None if each.value(one) is not None else metrics.why_missing(each, one, recommendation.limits)
            for _, one in measured
        )
        for each in held
    }
    return Held(rows=tuple(row for row, _ in measured), columns=columns, missing=missing)


def _needs(summary: Summary, recommendation: Recommendation, could: Collection[str]) -> tuple[Need, ...]:
    """Return what would settle the doubts of those who could be chosen, about the run's own limits."""
    judged, _ = judgeable(summary, recommendation.limits)
    found = []
    for row, one in enumerate(summary.configurations):
        if one.id in could:
            verdict = judge(one, judged)
            for name, doubt in zip(verdict.crossed, verdict.uncertain, strict=True):
                if doubt.needs is not None:
                    found.append(Need(row=row, metric=name, text=doubt.needs))
    return tuple(found)


def _relaxing(summary: Summary, recommendation: Recommendation, metric: Metric) -> str | None:
    """Return the first line on a limit that would let another win, with the interval of how much better."""
    found = next((one for one in recommendation.stability if one.change == "relax"), None)
    if found is None or found.gain is None or recommendation.id is None:
        return None if found is None else found.text
    ratio, _ = ratio_of(summary, metric, found.id, recommendation.id)
    if ratio is None:
        return found.text
    bare = found.text.removesuffix(f" ({found.gain:.2f}x)")
    better = f"{ratio.point:.2f}x{span(ratio.low, ratio.high, 2, 'x')}"
    return f"{bare}, {better} {measure_of(recommendation.objective)} this choice"
