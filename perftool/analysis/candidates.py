"""Choose among the same candidates again and again, under one limit after another: who wins, and no more.

`picking.pick` tells of one choice all that there is to tell, in sentences. Here thousands of choices are
made, so candidates are rows of arrays, and the standing of all of them against one is worked out at once and
remembered. The rules are the same (docs/measurement.md, "Against the leader"), and the arithmetic is the
same to the last bit: tests hold both together.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from perftool.analysis.leader import AGAIN_TAKES, BAND, LOOKED_AGAIN, looked_again
from perftool.analysis.limits import bounds
from perftool.analysis.metric import Metric
from perftool.analysis.passing import last_beater
from perftool.analysis.racing import Array, Mask
from perftool.analysis.reasons import complexity
from perftool.analysis.result import ConfigurationResult, Summary
from perftool.analysis.stats import CONFIDENCE, MIN_VISITS, median_place, ratio_of_independent
from perftool.spec import Limits, Objective

Index = NDArray[np.int64]

#: How a candidate stands against another, as `leader.standing` has it.
WORSE, TIED, UNDECIDED, BETTER = range(4)
#: In place of what beat a candidate: nothing did that could keep it out; what did cannot be shut out.
FREE, ALWAYS = -1, -2


class Ratios(NamedTuple):
    """How many times better each candidate is than one of them, with the interval's ends; nan where none."""

    point: Array
    low: Array
    high: Array


class Against(Struct, frozen=True, kw_only=True):
    """How every candidate stands against one: its kind, and the ratio that says so."""

    kinds: NDArray[np.int8]
    ratio: Array


class Candidates(Struct, frozen=True, kw_only=True):
    """The configurations that limits could let pass, the best by the objective first.

    `simple` ranks them by simplicity (equals share a rank), `order` by simplicity and then by id. `beaten_by`
    is what a race says beat each, as a row here, or FREE or ALWAYS. `ratios` gives the ratios over a
    candidate, `known` what was worked out already, `columns` the figures that were read already.
    """

    results: tuple[ConfigurationResult, ...]
    simple: Index
    order: Index
    beaten_by: Index
    ratios: Callable[[int], Ratios]
    known: dict[int, Against]
    columns: dict[Metric, Array]


class Pick(Struct, frozen=True, kw_only=True):
    """Who leads, who is chosen, and who led on the way to the leader."""

    leader: int
    chosen: int
    led: tuple[int, ...]


def candidates_of(summary: Summary, objective: Objective, metric: Metric) -> Candidates:
    """Return the candidates of a run under an objective, which `metric` reads."""
    sign = 1.0 if metric.better == "higher" else -1.0
    found = [
        (sign * value, one.id, one)
        for one in summary.configurations
        if one.status == "ok" and (value := metric.value(one)) is not None
    ]
    results = tuple(one for _, _, one in sorted(found, key=lambda item: item[:2], reverse=True))
    simple = [complexity(one) for one in results]
    ranks = {each: rank for rank, each in enumerate(sorted(set(simple)))}
    by_order = sorted(range(len(results)), key=lambda row: (simple[row], results[row].id))
    order = np.empty(len(results), dtype=np.int64)
    order[by_order] = np.arange(len(results))
    raced = objective == summary.run.objective
    return Candidates(
        results=results,
        simple=np.array([ranks[each] for each in simple], dtype=np.int64),
        order=order,
        beaten_by=_beaten_by(summary, results, raced=raced),
        ratios=_ratios(summary, metric, results),
        known={},
        columns={},
    )


def _beaten_by(summary: Summary, results: Sequence[ConfigurationResult], *, raced: bool) -> Index:
    """Return what a race says beat each candidate; what it beat under another objective is free."""
    rows = {one.id: row for row, one in enumerate(results)}
    configurations = {one.id for one in summary.configurations}
    dropped = {one.id: one.dropped for one in summary.configurations if one.dropped and one.status == "ok"}
    beaten = np.full(len(results), FREE, dtype=np.int64)
    for row, one in enumerate(results):
        if raced and one.id in dropped:
            last = last_beater(dropped, one.id)
            # A configuration that is no candidate passes under no limits, and keeps nothing out.
            beaten[row] = rows.get(last, FREE if last in configurations else ALWAYS)
    return beaten


# ---------------------------------------------------------------- who passes


def column(candidates: Candidates, metric: Metric) -> Array:
    """Return the candidates' figures of a metric, nan where one has none."""
    if metric not in candidates.columns:
        values = (metric.value(one) for one in candidates.results)
        found = np.array([np.nan if value is None else value for value in values], dtype=float)
        candidates.columns[metric] = found
    return candidates.columns[metric]


def keeping(metric: Metric, values: Array, bound: float) -> Mask:
    """Tell which figures keep a limit; what was not measured does not."""
    kept: Mask = values >= bound if metric.better == "higher" else values <= bound
    return kept


def within(candidates: Candidates, limits: Limits) -> Mask:
    """Tell which candidates keep every limit."""
    kept = np.ones(len(candidates.results), dtype=bool)
    for metric, bound in bounds(limits):
        kept &= keeping(metric, column(candidates, metric), bound)
    return kept


def rows_of(candidates: Candidates, ids: Collection[str]) -> Mask:
    """Tell which candidates are among these ids."""
    return np.array([one.id in ids for one in candidates.results], dtype=bool)


def passing(candidates: Candidates, kept: Mask, refused: Mask) -> Mask:
    """Tell who passes of those that keep the limits, as `passing.verdicts_of` has it: not what is refused,
    nor what a race dropped while what beat it keeps them too and is not refused.
    """
    able = kept & ~refused
    beaten = (candidates.beaten_by == ALWAYS) | ((candidates.beaten_by >= 0) & able[candidates.beaten_by])
    passes: Mask = able & ~beaten
    return passes


# ---------------------------------------------------------------- who wins


def pick_of(candidates: Candidates, passes: Mask) -> Pick | None:
    """Pick among those that pass, as `picking.pick` does; None where none does."""
    if not passes.any():
        return None
    leader = int(passes.argmax())
    led = [leader]
    while True:
        found = against(candidates, leader)
        better = best_first(candidates, found, passes)
        ahead = next((one for one in better if one not in led), None)
        if ahead is None:
            break
        leader = ahead
        led.append(leader)
    tied = passes & (found.kinds == TIED)
    tied[leader] = True
    rows = np.flatnonzero(tied)
    if candidates.simple[leader] == candidates.simple[rows].min():
        chosen = leader
    else:
        chosen = int(rows[candidates.order[rows].argmin()])
    return Pick(leader=leader, chosen=chosen, led=tuple(led))


def stays(before: Mask, pick: Pick, passes: Mask) -> bool:
    """Tell that a pick among those who passed before is the pick now too: nobody came who did not pass, and
    nobody that it rests on went.
    """
    return not (passes & ~before).any() and bool(passes[[*pick.led, pick.chosen]].all())


def against(candidates: Candidates, row: int) -> Against:
    """Return how every candidate stands against one, as `leader.standing` has it."""
    if row not in candidates.known:
        ratios = candidates.ratios(row)
        candidates.known[row] = Against(kinds=_kinds(ratios), ratio=ratios.point)
    return candidates.known[row]


def best_first(candidates: Candidates, found: Against, among: Mask) -> list[int]:
    """Return those among some that are better than the one they are held against, the best ratio first."""
    rows = np.flatnonzero(among & (found.kinds == BETTER)).tolist()
    return sorted(rows, key=lambda row: (found.ratio[row], candidates.results[row].id), reverse=True)


def _kinds(ratios: Ratios) -> NDArray[np.int8]:
    """Classify ratios against the band of equivalence around 1."""
    kinds = np.full(len(ratios.point), UNDECIDED, dtype=np.int8)
    known = ~(np.isnan(ratios.low) | np.isnan(ratios.high))
    kinds[known & (ratios.high < 1)] = WORSE
    kinds[known & (ratios.low > 1)] = BETTER
    kinds[known & (ratios.low >= 1 - BAND) & (ratios.high <= 1 + BAND)] = TIED
    return kinds


# ---------------------------------------------------------------- ratios


def _ratios(
    summary: Summary, metric: Metric, results: Sequence[ConfigurationResult]
) -> Callable[[int], Ratios]:
    """Return what `leader.ratio_of` says of all candidates over one."""
    if metric.series is None:
        return _apart(metric, results)
    series = [metric.series(summary.series[one.id]) for one in results]
    rounds = sorted({round for one in series for round in one})
    place = {round: at for at, round in enumerate(rounds)}
    figures = np.full((len(results), len(rounds)), np.nan)
    for row, one in enumerate(series):
        for round, value in one.items():
            figures[row, place[round]] = value
    extra = np.array([looked_again(summary, round) for round in rounds], dtype=bool)

    def over(row: int) -> Ratios:
        held = ~np.isnan(figures[row])
        its = figures[row, held]
        ratios = figures[:, held] / its if metric.better == "higher" else its / figures[:, held]
        counts, more = (~np.isnan(ratios)).sum(axis=1), (~np.isnan(ratios[:, extra[held]])).sum(axis=1)
        first = (more > 0) & (counts < AGAIN_TAKES) & (counts - more >= MIN_VISITS)
        ratios[np.ix_(first, extra[held])] = np.nan
        return _medians(ratios, (more > 0) & ~first)

    return over


def _medians(ratios: Array, again: Mask) -> Ratios:
    """Return each row's median with its interval, as `stats.median_estimate` does; nan is no value.

    Where the pair was looked at again the interval is that of `LOOKED_AGAIN`.
    """
    counts = (~np.isnan(ratios)).sum(axis=1)
    ordered = np.sort(ratios, axis=1)  # nan comes last
    point, low, high = (np.full(len(ratios), np.nan) for _ in range(3))
    for n in np.unique(counts[counts > 0]).tolist():
        for looked in (False, True):
            rows = (counts == n) & (again == looked)
            found = ordered[rows]
            middle = found[:, n // 2] if n % 2 else (found[:, n // 2 - 1] + found[:, n // 2]) / 2
            point[rows] = middle
            if place := median_place(n, LOOKED_AGAIN if looked else CONFIDENCE):
                depth, weight = place
                lower = found[:, depth - 1] + weight * (found[:, depth] - found[:, depth - 1])
                upper = found[:, n - depth] - weight * (found[:, n - depth] - found[:, n - depth - 1])
                low[rows] = np.minimum(lower, middle)
                high[rows] = np.maximum(upper, middle)
    return Ratios(point=point, low=low, high=high)


def _apart(metric: Metric, results: Sequence[ConfigurationResult]) -> Callable[[int], Ratios]:
    """Return the ratios of figures that were measured apart, as `Metric.ratio` has them."""
    estimates = [(metric.unscaled or metric.read)(one) for one in results]

    def over(row: int) -> Ratios:
        its = estimates[row]
        ends = np.full((3, len(results)), np.nan)
        for at, mine in enumerate(estimates):
            if mine is not None and its is not None:
                above, below = (mine, its) if metric.better == "higher" else (its, mine)
                found = ratio_of_independent(above, below)
                ends[0, at] = found.point
                if found.low is not None and found.high is not None:
                    ends[1, at], ends[2, at] = found.low, found.high
        return Ratios(point=ends[0], low=ends[1], high=ends[2])

    return over
