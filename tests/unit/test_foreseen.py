"""What is foreseen of every choice: complete, and small."""

import numpy as np
import pytest
from journals import BASELINES, Journal, Measured, nine
from msgspec import structs
from tangled import OBJECTIVES, as_bounds, random_limits, tangled

from perftool.analysis import foresee as module
from perftool.analysis.candidates import candidates_of, column, passing, pick_of, within
from perftool.analysis.choose import choose
from perftool.analysis.foresee import foresee
from perftool.analysis.metrics import METRICS, objective_metric
from perftool.analysis.result import Summary
from perftool.analysis.summary import summarize
from perftool.spec import Limits, Objective


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_whoever_leads_under_any_limits_was_foreseen_with_all_who_pass(objective: Objective) -> None:
    for seed in range(4):
        summary = structs.replace(tangled(seed, objective), again={})
        found = foresee(summary, choose(summary, objective, Limits()))
        assert found.leads is not None
        among = candidates_of(summary, objective, objective_metric(objective, Limits(), summary))
        nobody = np.zeros(len(among.results), dtype=bool)
        for limits in random_limits(summary, seed, 60, Limits()):
            passes = passing(among, within(among, limits), nobody)
            pick = pick_of(among, passes)
            for row in pick.led if pick else ():
                lead = found.leads[str(row)]
                assert lead.start <= int(passes.argmax()), "nobody passes who comes before"


def test_candidates_come_best_first_and_whoever_leads_has_gains() -> None:
    summary = summarize(nine())
    found = foresee(summary, choose(summary, "throughput", Limits()))
    assert found.ids[0] == "cpu-int8-b1-s2" and len(found.ids) == 9
    assert found.leads is not None
    assert set(found.gains) >= set(found.leads)


def test_every_stop_of_a_control_lets_one_figure_more_pass() -> None:
    summary = tangled(2)
    among = candidates_of(summary, "throughput", METRICS["throughput"])
    for control in foresee(summary, choose(summary, "throughput", Limits())).controls:
        metric = METRICS[control.metric]
        values = column(among, metric)
        passing = [int(sum(metric.keeps(value, stop) for value in values.tolist())) for stop in control.stops]
        assert passing == sorted(set(passing)) and passing[0] > 0
        assert passing[-1] == np.count_nonzero(~np.isnan(values))


def test_a_limit_that_nothing_can_judge_is_not_offered() -> None:
    summary = tangled(1, labelled=False)
    found = foresee(summary, choose(summary, "throughput", Limits(accuracy_drop_pp=1.0)))
    assert "top1_drop" not in {control.metric for control in found.controls}


def test_the_run_s_own_limits_are_the_controls_own() -> None:
    summary = summarize(nine())
    limits = Limits(latency_ms=100, percentile=90, memory_mb=500)
    controls = {one.metric: one for one in foresee(summary, choose(summary, "throughput", limits)).controls}
    assert {name: one.own for name, one in controls.items() if one.own is not None} == as_bounds(limits)
    assert controls["latency_p90"].usual and not controls["throughput"].usual


def test_too_many_who_could_lead_are_not_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    summary = summarize(nine())
    recommendation = choose(summary, "throughput", Limits())
    monkeypatch.setattr(module, "MOST_STANDINGS", 20)
    few = foresee(summary, recommendation)
    assert [one.metric for one in few.controls] == ["latency_p50", "top1_drop", "peak_rss"]
    assert few.leads is not None and len(few.leads) == 6, "those on the front"
    monkeypatch.setattr(module, "MOST_STANDINGS", 1)
    monkeypatch.setattr(module, "TOO_MANY", 1)
    assert foresee(summary, recommendation).leads is None


def test_nothing_measured_is_nothing_foreseen() -> None:
    summary: Summary = summarize(Journal((BASELINES[0], Measured(rounds=0, failed="killed"))).run())
    found = foresee(summary, choose(summary, "throughput", Limits()))
    assert (found.ids, found.leads, found.gains) == ((), {}, {})
