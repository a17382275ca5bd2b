"""Compare candidates with the leader, and only with it: pairwise ties are not transitive."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Literal

from msgspec import Struct

from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult, Summary
from perftool.analysis.sittings import round_of
from perftool.analysis.stats import CONFIDENCE, MIN_VISITS, Estimate, median_place, paired_ratio

#: Ratios within 1 +- BAND are as good as equal.
BAND = 0.02
#: The confidence of an interval that was looked at before, and would have ended the measuring had it been
#: clear: over all looks it covers about as often as one look at 95 % (Jennison & Turnbull, Journal of the
#: Royal Statistical Society B 51, 1989; docs/benchmarks.md shows how often).
LOOKED_AGAIN = 0.995
#: The fewest rounds that carry such an interval. Until a comparison has them the first look stands.
AGAIN_TAKES = next(n for n in count(1) if median_place(n, LOOKED_AGAIN))

Kind = Literal["better", "tied", "undecided", "worse"]


class Standing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a candidate stands against the leader. `ratio` above 1 favours the candidate."""

    kind: Kind
    ratio: Estimate | None
    rounds: int


def standing(ratio: Estimate | None, rounds: int, band: float = BAND) -> Standing:
    """Classify a paired ratio, candidate over leader, against the band of equivalence around 1.

    Tied: the interval lies inside the band. Undecided: it reaches out of the band and covers 1, or there is
    no interval. Otherwise it excludes 1, and the candidate is worse or better, whether or not the interval
    ends inside the band.
    """
    kind: Kind
    if ratio is None or ratio.low is None or ratio.high is None:
        kind = "undecided"
    elif ratio.low >= 1 - band and ratio.high <= 1 + band:
        kind = "tied"
    elif ratio.low <= 1 <= ratio.high:
        kind = "undecided"
    else:
        kind = "worse" if ratio.high < 1 else "better"
    return Standing(kind=kind, ratio=ratio, rounds=rounds)


def ratio_of(summary: Summary, metric: Metric, one: str, other: str) -> tuple[Estimate | None, int]:
    """Return how many times better `one` is than `other`, and in how many rounds both were measured.

    Paired inside rounds where the metric has a figure for each round: at 95 %, and where both were measured
    again in extra rounds at `LOOKED_AGAIN`, once there are `AGAIN_TAKES` rounds; until then the extra ones do
    not count. Otherwise it is the ratio of two figures that each stand alone.
    """
    if metric.better == "lower":
        one, other = other, one
    if metric.series is None:
        results = {each.id: each for each in (*summary.configurations, *summary.baselines)}
        return metric.ratio(results[one], results[other]), 0
    mine, its = metric.series(summary.series[one]), metric.series(summary.series[other])
    shared = mine.keys() & its.keys()
    extra = {key for key in shared if looked_again(summary, key)}
    if first_look_stands(len(shared), len(extra)):
        mine = {key: value for key, value in mine.items() if key not in extra}
        return paired_ratio(mine, its), len(shared) - len(extra)
    return paired_ratio(mine, its, LOOKED_AGAIN if extra else CONFIDENCE), len(shared)


def first_look_stands(rounds: int, extra: int) -> bool:
    """Tell whether a comparison is that of the rounds before the extra ones, which are too few yet."""
    return extra > 0 and rounds < AGAIN_TAKES and rounds - extra >= MIN_VISITS


def looked_again(summary: Summary, key: int) -> bool:
    """Tell whether a round was made because of what those before it showed: of a key of a series."""
    round = round_of(key)
    return round >= summary.run.rounds_planned and round not in summary.completing


#: What `ratio_of` is: how many times better the first id is than the second, and in how many rounds.
Ratios = Callable[[Summary, Metric, str, str], tuple[Estimate | None, int]]


def lead(
    summary: Summary, metric: Metric, passing: Sequence[ConfigurationResult], ratios: Ratios = ratio_of
) -> tuple[ConfigurationResult, dict[str, Standing]]:
    """Find the leader, and how every other candidate stands against it.

    The best point estimate leads, unless another beats it where both are paired: then that one leads, and
    none leads twice (paired ratios may run in a circle). `ratios` is `ratio_of`, or remembers what it said.
    """
    led: set[str] = set()
    leader = best(metric, passing)
    while True:
        led.add(leader.id)
        standings = {
            one.id: standing(*ratios(summary, metric, one.id, leader.id))
            for one in passing
            if one is not leader
        }
        better = [
            (found.ratio.point, one.id, one)
            for one in passing
            if one.id not in led and (found := standings[one.id]).kind == "better" and found.ratio
        ]
        if not better:
            break
        leader = max(better, key=lambda item: item[:2])[2]
    for id, found in standings.items():
        if found.kind == "better":
            standings[id] = Standing(kind="undecided", ratio=found.ratio, rounds=found.rounds)
    return leader, standings


def best(metric: Metric, results: Sequence[ConfigurationResult]) -> ConfigurationResult:
    """Return the result with the best point estimate; all must have one."""
    sign = 1.0 if metric.better == "higher" else -1.0
    return max(results, key=lambda one: (sign * (metric.value(one) or 0.0), one.id))


def best_in_f32(summary: Summary, metric: Metric) -> ConfigurationResult | None:
    """Return the best configuration that executed in f32; None where nothing did."""
    found = [
        one
        for one in summary.configurations
        if one.executed_precision == "f32" and one.status == "ok" and metric.value(one) is not None
    ]
    return best(metric, found) if found else None
