"""What would change the choice: told at the nearest change, and never otherwise than `choose` decides."""

import math
import re
import time

import msgspec
import pytest
from journals import BASELINES, EVALUATIONS, Journal, Measured, changed, forty, nine, three
from tangled import OBJECTIVES, tangled

from perftool.analysis.choose import choose
from perftool.analysis.leader import ratio_of
from perftool.analysis.limits import bound_on, without
from perftool.analysis.metrics import METRICS
from perftool.analysis.result import Again, Summary, Switch
from perftool.analysis.stability import recommend
from perftool.analysis.summary import summarize
from perftool.journal import Drop, Entry, Raced, Run
from perftool.spec import Bound, Limits, Objective

#: Far below what a figure or a weight is told to.
LITTLE = 1e-6


def found(summary: Summary, objective: Objective, limits: Limits) -> dict[tuple[str, str], Switch]:
    return {(one.metric, one.change): one for one in recommend(summary, objective, limits).stability}


def limited(limits: Limits, metric: str, value: float) -> Limits:
    bound = Bound(metric=metric, way=METRICS[metric].way, value=value)
    kept = without(limits, {metric})
    return msgspec.structs.replace(kept, bounds=(*kept.bounds, bound))


def inwards(metric: str, value: float, by: float = LITTLE) -> float:
    return value * (1 + by) if METRICS[metric].better == "higher" else value * (1 - by)


# ---------------------------------------------------------------- by hand


def test_a_limit_that_shuts_out_what_beat_a_dropped_configuration_lets_that_win() -> None:
    summary = summarize(raced("throughput"))
    one = found(summary, "throughput", Limits(accuracy_drop_pp=None))["peak_rss", "tighten"]
    assert one.text == "with a limit on peak_rss below 260 MB: cpu-bf16-b1-s2 wins"
    assert choose(summary, "throughput", Limits(accuracy_drop_pp=None, memory_mb=259)).id == "cpu-bf16-b1-s2"


def test_under_another_objective_than_the_run_s_a_drop_counts_for_nothing() -> None:
    summary = summarize(raced("throughput"))
    one = found(summary, "latency", Limits(accuracy_drop_pp=None))["peak_rss", "tighten"]
    assert one.text == "with a limit on peak_rss below 225 MB: cpu-fp32-b1-s1 wins"


def test_what_relaxing_a_limit_would_bring() -> None:
    one = found(summarize(nine()), "throughput", Limits(accuracy_drop_pp=0.5))["top1_drop", "relax"]
    assert (one.now, one.then, one.id) == (0.5, 1.0, "cpu-int8-b1-s2")
    assert one.gain == pytest.approx(33.0 / 17.4, rel=0.01)
    assert re.fullmatch(
        r"relaxing top1_drop from 0.5 to 1 pp: cpu-int8-b1-s2 wins \(1\.\d\dx\)",
        one.text,
    )


def test_what_tightening_a_limit_would_cost() -> None:
    limits = Limits(accuracy_drop_pp=None, memory_mb=300)
    one = found(summarize(nine()), "throughput", limits)["peak_rss", "tighten"]
    assert (one.now, one.then, one.id) == (300, 260, "cpu-int8-b1-s1")
    assert one.text == "tightening peak_rss below 260 MB: cpu-int8-b1-s1 wins"


def test_a_metric_of_the_front_without_a_limit_tells_from_where_on_one_would_matter() -> None:
    switches = found(summarize(nine()), "throughput", Limits())
    memory, latency = switches["peak_rss", "tighten"], switches["latency_p50", "tighten"]
    assert memory.now is None
    assert memory.text == "with a limit on peak_rss below 260 MB: cpu-int8-b1-s1 wins"
    assert latency.id == "cpu-int8-b1-s1" and 61 < latency.then < 61.2
    assert ("throughput", "tighten") not in switches, "nothing passes above the highest"


def test_a_limit_from_below_relaxes_downwards() -> None:
    limits = Limits(accuracy_drop_pp=None, bounds=(Bound(metric="top1", way=">=", value=79.8),))
    one = found(summarize(nine()), "throughput", limits)["top1", "relax"]
    assert one.text.startswith("relaxing top1 from 79.8 to 79.5 %: cpu-bf16-b1-s2 wins (2.0")


def test_what_a_weight_would_have_to_be() -> None:
    weights = {"throughput": 1.0, "latency_p50": 0.5}
    summary = summarize(nine())
    switches = found(summary, weights, Limits())
    less = switches["latency_p50", "weigh less"]
    assert less.id == "cpu-int8-b1-s2"
    # By their figures the two scores are equal where log(33/28.2) = w log(61.1/35.8): at 0.294.
    assert less.then < 0.294, "equals are tied, and the simpler one is kept for a while"
    assert less.text == (
        f"with a weight of latency_p50 below {less.then:g} (now 0.5) beside throughput: cpu-int8-b1-s2 wins"
    )
    assert ("latency_p50", "weigh more") not in switches
    more = switches["throughput", "weigh more"]
    assert more.then == pytest.approx(0.5 / less.then, rel=0.02), "only the ratio of the weights matters"


def test_where_nothing_passes_it_tells_what_would_let_something() -> None:
    limits = Limits(latency_ms=30)
    switches = found(summarize(nine()), "throughput", limits)
    assert list(switches) == [("latency_p50", "relax")]
    one = switches["latency_p50", "relax"]
    assert one.id == "cpu-int8-b1-s1" and one.gain is None
    assert one.text == f"relaxing latency_p50 from 30 to {one.then:g} ms: cpu-int8-b1-s1 wins"


def test_nothing_measured_or_a_single_candidate_is_never_another_choice() -> None:
    alone = summarize(Journal((Measured(), *BASELINES)).run())
    assert found(alone, "throughput", Limits(accuracy_drop_pp=None)) == {}
    failed = summarize(Journal((Measured(rounds=0, failed="killed"),)).run())
    assert found(failed, "throughput", Limits()) == {}


def test_a_limit_on_what_the_choice_was_not_measured_for_is_not_told() -> None:
    summary = summarize(Journal((Measured(precision="INT8", fps=30), Measured()), EVALUATIONS[:1]).run())
    switches = found(summary, "throughput", Limits(accuracy_drop_pp=None))
    assert not any(metric == "top1_drop" for metric, _ in switches)


def test_what_fresh_rounds_refused_is_a_choice_where_what_was_better_there_is_shut_out() -> None:
    """The fresh rounds turned the first choice down for another, which takes more memory."""
    lucky = Measured(precision="INT8", streams=2, fps=33.0, memory_mb=300)
    large = Measured(precision="INT8", fps=31.0, memory_mb=500)
    slow = Measured(precision="INT8", batch=4, fps=27.0, memory_mb=310)
    summary = summarize(Journal((*BASELINES, lucky, large, slow), EVALUATIONS).run())
    unlucky = summarize(Journal((*BASELINES, changed(lucky, fps=28.0), large), EVALUATIONS).run())
    results = {one.id: one for one in (*unlucky.configurations, *unlucky.baselines)}
    again = Again(visits=24, disturbed=0, results=results, series=unlucky.series)
    summary = msgspec.structs.replace(summary, again={lucky.id: again})
    limits = Limits(accuracy_drop_pp=None)
    assert choose(summary, "throughput", limits).id == large.id
    one = found(summary, "throughput", limits)["peak_rss", "tighten"]
    assert one.text == f"with a limit on peak_rss below 500 MB: {lucky.id} wins"
    assert choose(summary, "throughput", limited(limits, "peak_rss", 499)).id == lucky.id


def test_a_limit_between_two_that_are_tied_is_not_told_but_the_next_that_tells_anything() -> None:
    """FP32 and FP16 are one and the same but for their luck; one stream has half the latency."""
    chosen = Measured(precision="FP16", streams=2, fps=19.47, memory_mb=447, wobble=0.005)
    equal = changed(chosen, precision="FP32", fps=19.55, memory_mb=532)
    single = Measured(precision="FP16", fps=17.9, memory_mb=430)
    summary = summarize(Journal((*BASELINES, chosen, equal, single)).run())
    assert choose(summary, "throughput", Limits(accuracy_drop_pp=None)).id == chosen.id
    p50 = {one.id: METRICS["latency_p50"].value(one) for one in summary.configurations}
    mine, its = p50[chosen.id], p50[equal.id]
    assert mine is not None and its is not None and 0.98 < its / mine < 1, "a limit between them is possible"
    one = found(summary, "throughput", Limits(accuracy_drop_pp=None))["latency_p50", "tighten"]
    assert one.id == single.id and one.then <= mine


def test_where_rounds_cannot_be_paired_it_is_told_that_the_intervals_overlap() -> None:
    limits = Limits(accuracy_drop_pp=5)
    one = found(summarize(nine()), "throughput", limits)["top1_drop", "tighten"]
    assert one.text.endswith("wins, no surer than their intervals, which overlap")


# ---------------------------------------------------------------- held against choose


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_where_fresh_rounds_refuse_choices_each_switch_is_what_choose_decides(
    seed: int, objective: Objective
) -> None:
    summary = tangled(seed, objective)
    limits = Limits(accuracy_drop_pp=2.0)
    now = choose(summary, objective, limits).id
    for (metric, change), one in found(summary, objective, limits).items():
        if change.startswith("weigh"):
            assert isinstance(objective, dict)
            assert choose(summary, {**objective, metric: one.then}, limits).id == one.id != now
            continue
        then = one.then if change == "relax" else inwards(metric, one.then)
        assert choose(summary, objective, limited(limits, metric, then)).id == one.id != now


def raced(objective: Objective) -> Run:
    """Return a run with drops, one of them by one that was dropped in turn; a limit shuts out what beat them.

    In memory each is a little better than what beat it, as a race lets pass.
    """
    fast = Measured(precision="INT8", streams=2, fps=33.0, memory_mb=260)
    lean = Measured(precision="INT8", fps=26.0, memory_mb=225)
    drops = {
        (first := Measured(precision="BF16", streams=2, fps=32.0, rounds=1, memory_mb=255)): fast,
        Measured(precision="BF16", streams=4, fps=31.5, rounds=1, memory_mb=250): first,
        Measured(precision="FP32", fps=25.0, rounds=1, memory_mb=223): lean,
        Measured(precision="FP16", streams=2, fps=31.0, rounds=1, memory_mb=222): fast,
    }
    run = Journal((*BASELINES, fast, lean, *drops), EVALUATIONS).run(search="race", objective=objective)
    out = tuple(
        Drop(configuration=one.id, by=by.id, reason="dropped after 1 round") for one, by in drops.items()
    )
    record = Raced(round=0, drops=out, front=())
    entries = (*run.entries[:-1], Entry(at_ns=run.entries[-1].at_ns, record=record), run.entries[-1])
    return msgspec.structs.replace(run, entries=entries)


RUNS = {
    "three": three(),
    "nine": nine(),
    "forty": forty(),
    "raced": raced("throughput"),
    "raced by weights": raced({"throughput": 1.0, "latency_p50": 0.5}),
    "wobbling": Journal(
        (
            *BASELINES,
            Measured(precision="INT8", streams=2, fps=30.0, memory_mb=300, factors=(1, 1.1, 0.9, 1.04, 0.95)),
            Measured(precision="INT8", fps=29.5, memory_mb=280.25),
            Measured(precision="BF16", fps=29.4, memory_mb=280.24, factors=(1.0,)),
            Measured(precision="BF16", streams=4, fps=29.6, memory_mb=280.26, factors=(1.0,)),
        ),
        EVALUATIONS,
    ).run(),
}
WISHES: list[tuple[Objective, Limits]] = [
    ("throughput", Limits()),
    ("throughput", Limits(accuracy_drop_pp=0.5, memory_mb=500)),
    ("throughput", Limits(accuracy_drop_pp=None, latency_ms=62)),
    ("throughput", Limits(accuracy_drop_pp=0.0, bounds=(Bound(metric="throughput", way=">=", value=8.5),))),
    ("latency", Limits(memory_mb=450)),
    ({"throughput": 1.0, "latency_p50": 0.5}, Limits()),
    ({"throughput": 1.0, "latency_p50": 0.2, "peak_rss": 0.3}, Limits(accuracy_drop_pp=0.5)),
]


def by_chance(summary: Summary, metric: str, winner: str, now: str | None) -> bool:
    """Tell whether rounds that can be paired leave open which of two is better."""
    if METRICS[metric].series is None or now is None:
        return False
    ratio, _ = ratio_of(summary, METRICS[metric], winner, now)
    return (
        ratio is not None
        and ratio.low is not None
        and ratio.high is not None
        and ratio.low <= 1 <= ratio.high
    )


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(("objective", "limits"), WISHES)
def test_each_switch_is_what_choose_decides_and_nothing_nearer_is(
    name: str, objective: Objective, limits: Limits
) -> None:
    summary = summarize(RUNS[name])
    now = choose(summary, objective, limits).id
    switches = found(summary, objective, limits)
    for (metric, change), one in switches.items():
        if change.startswith("weigh"):
            continue
        then = one.then if change == "relax" else inwards(metric, one.then)
        assert choose(summary, objective, limited(limits, metric, then)).id == one.id != now
    for metric in ("latency_p50", "top1_drop", "peak_rss"):
        values = [v for each in summary.configurations if (v := METRICS[metric].value(each)) is not None]
        bound = bound_on(limits, metric=METRICS[metric])
        for value in values:
            winner = choose(summary, objective, limited(limits, metric, value)).id
            if winner in (None, now):
                continue
            looser = bound is not None and value > bound
            if not looser and by_chance(summary, metric, winner, now):
                continue
            one = switches[metric, "relax" if looser else "tighten"]
            assert one.then <= value + 0.1 if looser else value < one.then, "none is nearer"


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(("objective", "limits"), [each for each in WISHES if isinstance(each[0], dict)])
def test_each_weight_that_is_told_turns_the_choice_and_half_the_way_does_not(
    name: str, objective: dict[str, float], limits: Limits
) -> None:
    summary = summarize(RUNS[name])
    now = choose(summary, objective, limits).id
    for (metric, change), one in found(summary, objective, limits).items():
        if not change.startswith("weigh"):
            continue
        assert choose(summary, {**objective, metric: one.then}, limits).id == one.id != now
        assert one.now == objective[metric]
        assert (one.then > one.now) == (change == "weigh more")
        # Turns are found to 0.2 %, and told in three digits.
        fine = 0.002 * one.then + 10.0 ** (math.floor(math.log10(one.then)) - 2)
        for share in (0.5, 0.9, 0.99):
            between = one.now * (one.then / one.now) ** share
            if abs(between - one.then) > fine:
                assert choose(summary, {**objective, metric: between}, limits).id == now


def test_weights_that_no_switch_is_told_for_do_not_turn_the_choice() -> None:
    summary = summarize(forty())
    weights = {"throughput": 1.0, "latency_p50": 0.5}
    switches = found(summary, weights, Limits())
    now = choose(summary, weights, Limits()).id
    for metric in weights:
        for change, factors in (("weigh more", (2, 10, 100)), ("weigh less", (0.5, 0.1, 0.01))):
            told = switches.get((metric, change))
            for factor in factors:
                weight = weights[metric] * factor
                if told is None or (weight < told.then) == (change == "weigh more"):
                    assert choose(summary, {**weights, metric: weight}, Limits()).id == now


def test_some_hundred_configurations_take_no_time_to_speak_of() -> None:
    many = [
        changed(Measured(precision=precision, fps=fps), batch=batch, streams=streams, memory_mb=200 + batch)
        for precision, fps in (("FP32", 8.0), ("BF16", 16.0), ("INT8", 28.0))
        for batch in range(1, 11)
        for streams in range(1, 11)
    ]
    summary = summarize(Journal((*BASELINES, *many), EVALUATIONS).run())
    began = time.perf_counter()
    recommend(summary, "throughput", Limits())
    recommend(summary, {"throughput": 1.0, "latency_p50": 0.5}, Limits())
    assert time.perf_counter() - began < 10, "it takes about one second"
