"""Build summaries in which choosing is hard: ties, near ties, drops, refusals, missing figures."""

import random
from collections.abc import Iterator

from journals import BASELINES, EVALUATIONS, Journal, Measured, changed
from msgspec import structs

from perftool.analysis.limits import bounds
from perftool.analysis.metrics import METRICS, objective_metric
from perftool.analysis.result import Again, Dropped, LatencyIntervals, RatePoint, Summary
from perftool.analysis.stats import Estimate
from perftool.analysis.summary import summarize
from perftool.spec import Bound, Limits, Objective, Policy

OBJECTIVES: tuple[Objective, ...] = (
    "throughput",
    "latency",
    "efficiency",
    {"throughput": 1.0, "latency_p50": 0.5},
    {"throughput": 1.0, "peak_rss": 0.3},
)
#: What random limits are put on.
LIMITED = ("latency_p50", "latency_p90", "latency_sync", "top1_drop", "peak_rss", "throughput", "compile_rss")


def tangled(
    seed: int, objective: Objective = "throughput", *, count: int = 30, labelled: bool = True
) -> Summary:
    """Return a summary of about `count` configurations, the same for the same seed."""
    draw = random.Random(seed)
    measured = tuple(_measured(draw, count))
    images_j = [5.0 if one.hint else draw.uniform(0.2, 3) for one in measured]
    measured = tuple(changed(one, image_j=joules) for one, joules in zip(measured, images_j, strict=True))
    evaluations = EVALUATIONS
    if not labelled:
        evaluations = tuple(structs.replace(one, labels=()) for one in EVALUATIONS)
    run = Journal(measured, evaluations).run(objective=objective, policy=Policy())
    summary = _raced(draw, summarize(run, name="tangled"))
    return structs.replace(summary, again=_again(draw, measured, summary, objective))


def _measured(draw: random.Random, count: int) -> Iterator[Measured]:
    yield from BASELINES
    seen = set()
    batches = (1, 2, 4, 8, *range(9, 9 + count // 10))
    speeds = [draw.uniform(8, 40) for _ in range(max(3, count // 4))]
    while len(seen) < count:
        one = Measured(
            precision=draw.choice(("FP32", "FP16", "BF16", "INT8")),
            batch=draw.choice(batches),
            streams=draw.choice((1, 2, 4)),
            fps=draw.choice(speeds) * draw.choice((1, 1.001, 1.01, 1.03)),
            rounds=draw.choice((1, 3, 6, 6, 7, 8, 9)),
            wobble=draw.choice((0.0, 0.002, 0.01, 0.05)),
            completions=draw.choice((1, 8, 40)),
            memory_mb=draw.choice((200, 201, 250, draw.uniform(200, 600))),
            sync=draw.random() < 0.6,
        )
        if one.id not in seen:
            seen.add(one.id)
            failed = draw.random() < 0.05
            yield changed(one, rounds=0, failed="killed <b>by</b> a test") if failed else one


def _raced(draw: random.Random, summary: Summary) -> Summary:
    """Drop a third, each by another; some of those were dropped themselves, or run in circles."""
    ids = [one.id for one in summary.configurations]
    ids.append(summary.baselines[0].id)
    return structs.replace(
        summary,
        configurations=tuple(
            structs.replace(one, dropped=Dropped(by=draw.choice(ids), reason="dropped after 1 round"))
            if draw.random() < 0.33
            else one
            for one in summary.configurations
        ),
    )


def _again(
    draw: random.Random, measured: tuple[Measured, ...], summary: Summary, objective: Objective
) -> dict[str, Again]:
    """Measure the best few again, with some others, at speeds that turn some of them down."""
    metric = objective_metric(objective, Limits(), summary)
    sign = 1 if metric.better == "higher" else -1
    known = [one for one in summary.configurations if one.status == "ok" and metric.value(one) is not None]
    kept = [one for one in known if one.dropped is None]
    best = sorted(kept, key=lambda one: -sign * (metric.value(one) or 0.0))[:6]
    found: dict[str, Again] = {}
    for one in draw.sample(best, min(3, len(best))):
        ids = {one.id, *(other.id for other in draw.sample(known, min(5, len(known))))}
        ids |= {other.id for other in best}
        rounds = draw.choice((3, 6, 6, 6))
        again = tuple(
            changed(
                each,
                fps=each.fps * (draw.uniform(0.98, 1.12) if each.id == one.id else draw.uniform(0.9, 1.1)),
                rounds=rounds,
                completions=8,
                memory_mb=each.memory_mb * draw.uniform(0.95, 1.1),
            )
            for each in measured
            if each.id in ids or each.hint
        )
        fresh = summarize(Journal(again, EVALUATIONS).run())
        everything = (*fresh.configurations, *fresh.baselines)
        found[one.id] = Again(
            visits=6 * len(everything),
            disturbed=len(found),
            results={each.id: each for each in everything},
            series={each.id: fresh.series[each.id] for each in everything},
        )
    return found


def random_limits(summary: Summary, seed: int, count: int, own: Limits) -> list[Limits]:
    """Return limits at, between and beyond the figures of a summary, on up to four metrics at once."""
    draw = random.Random(seed)
    figures = {
        name: [value for one in summary.configurations if (value := METRICS[name].value(one)) is not None]
        for name in LIMITED
    }
    held = [name for name in LIMITED if len(set(figures[name])) > 1]
    found = [own]
    while len(found) < count:
        names = draw.sample(held, draw.randint(0, min(4, len(held))))
        limits = tuple(
            Bound(metric=name, way=METRICS[name].way, value=_limit(draw, figures[name])) for name in names
        )
        found.append(
            structs.replace(own, latency_ms=None, accuracy_drop_pp=None, memory_mb=None, bounds=limits)
        )
    return found


def _limit(draw: random.Random, figures: list[float]) -> float:
    value = draw.choice(figures)
    return value * draw.choice((1, 1, 1, 0.999, 1.001, 0.9, 1.2, 2))


def as_bounds(limits: Limits) -> dict[str, float]:
    """Return limits as the page holds them."""
    return {metric.name: bound for metric, bound in bounds(limits)}


def served(seed: int) -> Summary:
    """Return a summary of a run whose objective is the rate under a bound, with four rates offered each."""
    draw = random.Random(seed)
    summary = tangled(seed)
    found = []
    for one in summary.configurations:
        rate = one.throughput_fps.point if one.throughput_fps else 1.0
        latency = draw.uniform(20, 200)
        points = tuple(
            _offered(share * rate, latency / (1 - share), many=draw.random() < 0.9)
            for share in (0.5, 0.7, 0.8, 0.9)
        )
        found.append(structs.replace(one, open=points if one.status == "ok" else ()))
    return structs.replace(
        summary, configurations=tuple(found), run=structs.replace(summary.run, objective="rate"), again={}
    )


def _offered(rate: float, latency: float, *, many: bool) -> RatePoint:
    p50 = Estimate(point=latency, low=0.95 * latency, high=1.05 * latency) if many else None
    return RatePoint(
        rate_fps=rate,
        arrivals="poisson",
        served_fps=rate,
        latency_ms=LatencyIntervals(p50=p50, p90=None, p95=None, p99=None),
        n=400 if many else 5,
        visits=6,
        disturbed=0,
        lag_ms=0.1,
        refusal=None,
        refused=None,
    )
