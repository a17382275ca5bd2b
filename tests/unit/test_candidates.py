"""Choosing from arrays: as `choose` does, whatever the limits."""

import numpy as np
import pytest
from msgspec import structs
from tangled import OBJECTIVES, random_limits, tangled

from perftool.analysis.candidates import (
    BETTER,
    TIED,
    UNDECIDED,
    WORSE,
    against,
    candidates_of,
    passing,
    pick_of,
    rows_of,
    stays,
    within,
)
from perftool.analysis.choose import choose
from perftool.analysis.leader import ratio_of, standing
from perftool.analysis.metrics import objective_metric
from perftool.analysis.passing import judgeable
from perftool.spec import Limits, Objective

KINDS = {"better": BETTER, "tied": TIED, "undecided": UNDECIDED, "worse": WORSE}


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_every_standing_is_what_the_leader_s_module_says(seed: int, objective: Objective) -> None:
    summary = tangled(seed, objective)
    metric = objective_metric(objective, Limits(), summary)
    among = candidates_of(summary, objective, metric)
    for row, leader in enumerate(among.results):
        found = against(among, row)
        for other, one in enumerate(among.results):
            if one is not leader:
                expected = standing(*ratio_of(summary, metric, one.id, leader.id))
                assert found.kinds[other] == KINDS[expected.kind], (one.id, leader.id)
                if expected.ratio is not None:
                    assert found.ratio[other] == expected.ratio.point


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_who_wins_under_any_limits_is_who_is_chosen(objective: Objective) -> None:
    winners = set()
    for seed in range(6):
        summary = structs.replace(tangled(seed, objective), again={})
        metric = objective_metric(objective, Limits(), summary)
        among = candidates_of(summary, objective, metric)
        nobody = np.zeros(len(among.results), dtype=bool)
        for limits in random_limits(summary, seed, 60, Limits()):
            judged, _ = judgeable(summary, limits)
            expected = choose(summary, objective, limits)
            found = pick_of(among, passing(among, within(among, judged), nobody))
            assert (found and among.results[found.chosen].id) == expected.id
            assert (found and among.results[found.leader].id) == expected.leader
            winners.add(expected.id)
    assert len(winners) > 10


def test_what_is_refused_lets_in_what_it_had_beaten() -> None:
    summary = tangled(3)
    metric = objective_metric("throughput", Limits(), summary)
    among = candidates_of(summary, "throughput", metric)
    everybody = np.ones(len(among.results), dtype=bool)
    beaten = next(row for row, by in enumerate(among.beaten_by) if by >= 0 and by != row)
    refused = rows_of(among, {among.results[among.beaten_by[beaten]].id})
    assert not passing(among, everybody, ~everybody)[beaten]
    assert passing(among, everybody, refused)[beaten]


def test_a_pick_stays_while_those_that_it_rests_on_pass() -> None:
    summary = structs.replace(tangled(5), again={})
    metric = objective_metric("throughput", Limits(), summary)
    among = candidates_of(summary, "throughput", metric)
    before = np.ones(len(among.results), dtype=bool)
    pick = pick_of(among, before)
    assert pick is not None
    for row in range(len(among.results)):
        passes = before.copy()
        passes[row] = False
        if stays(before, pick, passes):
            assert pick_of(among, passes) == pick
        assert not stays(passes, pick, before), "who comes may win"
