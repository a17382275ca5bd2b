"""The choice: ties, undecided, limits, and a reason for everyone else."""

import msgspec
import pytest
from journals import BASELINES, EVALUATIONS, Journal, Measured, changed, evaluated, nine

from perftool.analysis.choose import choose
from perftool.analysis.leader import standing
from perftool.analysis.result import Recommendation, Summary
from perftool.analysis.stats import Estimate
from perftool.analysis.summary import summarize
from perftool.spec import Bound, Limits

NONE = Limits(accuracy_drop_pp=None)
FAST = Measured(precision="INT8", streams=2, fps=33.0, memory_mb=260, factors=(1.0,))
PLAIN = Measured(precision="INT8", streams=1, fps=32.9, memory_mb=225, factors=(1.0,))


def decide(*measured: Measured, limits: Limits = NONE, evaluations: object = ()) -> Recommendation:
    return choose(summary_of(*measured, evaluations=evaluations), "throughput", limits)


def summary_of(*measured: Measured, evaluations: object = ()) -> Summary:
    return summarize(Journal(measured, evaluations).run())


def why(found: Recommendation, id: str) -> str:
    return next(one.reason for one in found.rejected if one.id == id)


# ---------------------------------------------------------------- against the leader


@pytest.mark.parametrize(
    ("low", "point", "high", "kind"),
    [
        (0.985, 1.0, 1.015, "tied"),
        (0.98, 0.99, 1.02, "tied"),
        (0.981, 0.985, 0.99, "tied"),
        (0.97, 1.0, 1.01, "undecided"),
        (0.99, 1.01, 1.03, "undecided"),
        (0.90, 0.92, 0.95, "worse"),
        (0.97, 0.98, 0.99, "worse"),
        (1.01, 1.03, 1.05, "better"),
        (1.03, 1.04, 1.05, "better"),
    ],
)
def test_standings(low: float, point: float, high: float, kind: str) -> None:
    assert standing(Estimate(point=point, low=low, high=high), 6).kind == kind


def test_without_an_interval_it_is_undecided() -> None:
    assert standing(Estimate(point=0.5, low=None, high=None), 3).kind == "undecided"
    assert standing(None, 0).kind == "undecided"


def test_the_fastest_wins_and_the_others_are_beaten_by_it() -> None:
    found = choose(summarize(nine()), "throughput", Limits())
    assert found.id == found.leader == "cpu-int8-b1-s2"
    assert why(found, "cpu-fp32-b1-s1") == "beaten by cpu-int8-b1-s2 (0.25x)"
    assert len(found.rejected) == 8
    assert found.reason.startswith("highest throughput of the 9 that pass: 33.0 images/s (30.6 to 33.2)")
    assert found.properties["NUM_STREAMS"] == "2" and "CACHE_DIR" not in found.properties
    assert found.pareto[:2] == ("cpu-int8-b1-s2", "cpu-int8-b1-s1")
    assert (found.tied, found.undecided, found.open) == ((), (), ())


def test_among_the_tied_the_simplest_wins() -> None:
    found = decide(FAST, PLAIN)
    assert (found.id, found.leader) == (PLAIN.id, FAST.id)
    assert found.tied == (FAST.id,)
    assert why(found, FAST.id) == f"tied with {PLAIN.id}, more streams"
    assert found.reason.startswith(
        f"tied within 2% with {FAST.id}, the highest throughput of the 2 that pass, and simpler"
    )


def test_a_tie_is_called_one_where_the_leader_is_the_choice_too() -> None:
    heavier = changed(PLAIN, precision="FP16", memory_mb=400)
    ahead = changed(PLAIN, fps=PLAIN.fps * 1.001)
    found = decide(ahead, heavier)
    assert (found.id, found.leader, found.tied) == (ahead.id, ahead.id, (heavier.id,))
    assert found.reason.startswith(
        f"highest throughput of the 2 that pass; tied within 2% with {heavier.id}, "
        "which is not simpler (more memory there): "
    )
    several = decide(ahead, heavier, changed(PLAIN, batch=4))
    assert "; tied within 2% with 2 others, none of them simpler: " in several.reason


def test_simpler_is_streams_then_batch_then_memory() -> None:
    larger = changed(PLAIN, batch=4)
    assert why(decide(larger, PLAIN), larger.id) == f"tied with {PLAIN.id}, a larger batch"
    heavier = changed(PLAIN, precision="FP16", memory_mb=400)
    assert why(decide(heavier, PLAIN), heavier.id) == f"tied with {PLAIN.id}, more memory"


def test_undecided_goes_to_the_better_point_estimate_and_says_so() -> None:
    wobbly = changed(PLAIN, fps=32, factors=(1.1, 0.9, 1.05, 0.93, 1.0, 0.96))
    found = decide(FAST, wobbly)
    assert found.id == FAST.id and found.undecided == (wobbly.id,)
    assert why(found, wobbly.id).startswith(f"undecided against {FAST.id}: 0.8")
    assert why(found, wobbly.id).endswith("x")
    assert "undecided against cpu-int8-b1-s1, so the better point estimate wins" in found.reason
    assert len(found.open) == 1 and "rounds would decide, 6 so far" in found.open[0]


def test_few_rounds_decide_nothing() -> None:
    found = decide(changed(FAST, rounds=3), changed(PLAIN, fps=10, rounds=3))
    assert found.id == FAST.id
    assert why(found, PLAIN.id) == (f"undecided against {FAST.id}: 0.30x in 3 rounds, an interval takes 6")
    assert found.open == (
        f"1 comparison with {FAST.id} without an interval: that takes 6 rounds that both were visited in",
    )


def test_a_candidate_that_beats_the_leader_where_paired_takes_the_lead() -> None:
    # The machine slows down after six rounds, which only the second one sees: unpaired medians mislead.
    summary = summarize(
        Journal(
            (changed(FAST, fps=30, rounds=6), changed(PLAIN, fps=33, rounds=14)),
            machine=(1, 1, 1, 1, 1, 1, *(0.5,) * 8),
        ).run()
    )
    found = choose(summary, "throughput", NONE)
    assert summary.configurations[0].throughput_fps is not None
    assert summary.configurations[1].throughput_fps is not None
    assert summary.configurations[0].throughput_fps.point > summary.configurations[1].throughput_fps.point
    assert found.id == found.leader == PLAIN.id
    assert why(found, FAST.id) == f"beaten by {PLAIN.id} (0.91x)"


def test_baselines_are_no_candidates() -> None:
    found = decide(changed(BASELINES[1], fps=99), FAST)
    assert found.id == FAST.id and found.rejected == ()
    assert "the only configuration that passes" in found.reason


# ---------------------------------------------------------------- gains


def hinting(found: Recommendation) -> list[str]:
    return [text for text in found.warnings if "hint passes the limits" in text]


def test_a_hint_that_is_surely_faster_and_passes_is_told_with_what_to_sweep() -> None:
    slow = Measured(precision="FP32", fps=8.4)
    evaluations = (evaluated("fp32", "f32", 160), evaluated("fp32", "bf16", 160))
    latency, throughput = hinting(decide(slow, *BASELINES, evaluations=evaluations))
    assert latency.startswith("the LATENCY hint passes the limits and is surely faster, 1.9")
    assert throughput.startswith("the THROUGHPUT hint passes the limits and is surely faster, 2.0")
    assert throughput.endswith(
        "): sweep what it resolves to (streams 2, requests 2, threads 2, runs in bf16)"
    )


def test_of_equal_misses_the_nearest_has_one_and_not_two() -> None:
    two = Measured(precision="INT8", fps=10.0, memory_mb=500)
    one = Measured(precision="INT8", batch=4, fps=30.0, memory_mb=500)
    least = Bound(metric="throughput", way=">=", value=20.0)
    limits = Limits(accuracy_drop_pp=None, memory_mb=250, bounds=(least,))
    assert [miss.id for miss in decide(two, one, limits=limits).nearest] == [one.id, two.id]


def test_what_lacks_the_objective_is_no_near_miss() -> None:
    """It misses less of what was measured of it, and nobody knows how far it is off in all."""
    unmeasured = Measured(precision="INT8", streams=2, memory_mb=300)
    measured = Measured(precision="INT8", memory_mb=400)
    summary = summary_of(unmeasured, measured)
    told = choose(summary, "latency", Limits(accuracy_drop_pp=None, memory_mb=250)).nearest
    assert [(miss.id, miss.excess is None) for miss in told] == [(measured.id, False), (unmeasured.id, True)]


def test_a_hint_that_misses_a_limit_or_is_not_surely_faster_is_not_told() -> None:
    slow = Measured(precision="FP32", fps=8.4)
    evaluations = (evaluated("fp32", "f32", 160), evaluated("fp32", "bf16", 150))
    limits = Limits(accuracy_drop_pp=1)
    assert hinting(decide(slow, *BASELINES, limits=limits, evaluations=evaluations)) == []
    few = (changed(one, rounds=5) for one in (slow, *BASELINES))
    assert hinting(decide(*few)) == []
    shaky = (changed(one, factors=(0.3, 2.0, 1.0, 0.4, 1.7, 0.35)) for one in BASELINES)
    assert hinting(decide(slow, *shaky)) == []
    assert hinting(choose(summarize(nine()), "throughput", Limits())) == []


def test_gains_over_baselines_and_the_best_in_f32() -> None:
    found = choose(summarize(nine()), "throughput", Limits())
    assert [(gain.over, gain.what) for gain in found.gain] == [
        ("cpu-baseline-latency", "FP32 under the LATENCY hint"),
        ("cpu-baseline-throughput", "FP32 under the THROUGHPUT hint"),
        ("cpu-fp32-b1-s2", "the best in f32"),
    ]
    for gain, expected in zip(found.gain, (33 / 16.5, 33 / 17.2, 33 / 8.7), strict=True):
        assert gain.low is not None and gain.high is not None
        assert gain.low <= gain.point <= gain.high
        assert gain.point == pytest.approx(expected, rel=0.03)
        assert gain.rounds == 6


def test_no_gain_of_a_choice_over_itself_is_told() -> None:
    found = decide(*BASELINES, changed(PLAIN, precision="FP32"))
    assert [gain.over for gain in found.gain] == [one.id for one in BASELINES]
    assert found.warnings == ()


def test_a_baseline_names_its_device_where_there_are_several() -> None:
    measured = [*BASELINES, FAST]
    found = decide(*measured, *(changed(one, device="GPU") for one in measured))
    assert [gain.what for gain in found.gain] == [
        f"FP32 under the {hint} hint on {device}"
        for device in ("CPU", "GPU")
        for hint in ("LATENCY", "THROUGHPUT")
    ]


def test_a_baseline_whose_energy_nobody_measured_is_said() -> None:
    found = choose(summary_of(BASELINES[0], changed(FAST, image_j=1.0)), "efficiency", NONE)
    assert found.warnings == ("no gain over FP32 under the LATENCY hint: energy not measured",)


def test_a_baseline_that_failed_is_said() -> None:
    found = decide(changed(BASELINES[0], rounds=0, failed="killed"), FAST)
    assert found.gain == ()
    assert found.warnings == ("no gain over FP32 under the LATENCY hint: compile failed: killed",)


def test_gain_in_latency_is_how_many_times_shorter() -> None:
    baseline = changed(BASELINES[0], fps=10, factors=(1.0,))
    summary = summary_of(baseline, changed(PLAIN, fps=20))
    found = choose(summary, "latency", NONE)
    assert found.gain[0].point == pytest.approx(2, rel=0.01)


# ---------------------------------------------------------------- limits


def test_reasons_of_limits() -> None:
    summary = summarize(nine())
    slow = choose(summary, "throughput", Limits(latency_ms=40))
    assert slow.id == "cpu-int8-b1-s1"
    assert why(slow, "cpu-int8-b1-s2") == "p50 61.1 ms > 40 ms"
    inexact = choose(summary, "throughput", Limits(accuracy_drop_pp=0.9))
    assert why(inexact, "cpu-int8-b1-s2") == "drop 1.0 pp > 0.9 pp"
    assert inexact.id is not None and inexact.id.startswith("cpu-bf16")
    heavy = choose(summary, "throughput", Limits(memory_mb=250))
    assert why(heavy, "cpu-int8-b1-s2") == "memory 260 MB > 250 MB"
    both = choose(summary, "throughput", Limits(latency_ms=40, memory_mb=250))
    assert why(both, "cpu-int8-b1-s2") == "p50 61.1 ms > 40 ms; memory 260 MB > 250 MB"


def test_limits_on_percentiles_that_the_samples_cannot_carry() -> None:
    found = decide(
        changed(FAST, completions=20), limits=Limits(latency_ms=1000, percentile=95, accuracy_drop_pp=None)
    )
    assert found.id is None
    assert why(found, FAST.id) == "p95 not measurable: 120 of 130 samples"
    assert found.nearest[0].excess is None


def test_a_value_is_written_so_that_it_exceeds_its_limit() -> None:
    limit = Limits(latency_ms=60.59, accuracy_drop_pp=None)
    reason = why(decide(FAST, limits=limit), FAST.id)
    value = float(reason.split()[1])
    assert reason.endswith("> 60.59 ms") and 60.59 < value < 61.5


def test_accuracy_that_was_not_measured_fails_its_limit() -> None:
    found = decide(PLAIN, Measured(), limits=Limits(), evaluations=EVALUATIONS[:1])
    assert found.id == "cpu-fp32-b1-s1"
    assert why(found, PLAIN.id) == "accuracy not measured"


def test_without_any_labels_the_drop_is_not_judged() -> None:
    unlabelled = tuple(msgspec.structs.replace(one, labels=()) for one in EVALUATIONS)
    found = decide(PLAIN, limits=Limits(), evaluations=unlabelled)
    assert found.id == PLAIN.id
    assert found.warnings == (
        "the limit on the accuracy drop (1 pp) was not judged: the images have no labels; "
        "look at the agreement with FP32",
    )


def test_a_drop_that_could_have_been_measured_and_was_not_fails_its_limit() -> None:
    nothing = decide(PLAIN, limits=Limits())
    assert nothing.id is None
    assert why(nothing, PLAIN.id) == "accuracy not measured"
    without_reference = decide(PLAIN, limits=Limits(), evaluations=EVALUATIONS[3:])
    assert without_reference.id is None


def test_uncertain_where_the_interval_crosses_the_limit() -> None:
    found = choose(summarize(nine()), "throughput", Limits(accuracy_drop_pp=1.5))
    assert found.uncertain[0].id == found.id
    assert found.uncertain[0].limit == "drop 1.5 pp"
    assert found.uncertain[0].needs is not None
    assert found.uncertain[0].needs.startswith("about ") and "images, 200 so far" in found.uncertain[0].needs
    few = decide(changed(FAST, rounds=3), limits=Limits(latency_ms=70, accuracy_drop_pp=None))
    assert few.uncertain[0].needs == "6 visits for an interval, 3 so far"
    close = choose(summarize(nine()), "throughput", Limits(latency_ms=62, accuracy_drop_pp=None))
    assert close.id == "cpu-int8-b1-s2"
    assert close.uncertain[0].needs is not None and "visits, 6 so far" in close.uncertain[0].needs


def test_a_thousand_images_settle_what_two_hundred_do_not() -> None:
    good = (evaluated("fp32", "f32", 1600, images=2000), evaluated("int8", "f32", 1598, images=2000))
    assert decide(PLAIN, limits=Limits(), evaluations=good).uncertain == ()


# ---------------------------------------------------------------- latency, and nothing


def test_the_latency_objective_looks_at_a_single_request() -> None:
    found = choose(summarize(nine()), "latency", NONE)
    assert found.id == "cpu-int8-b1-s1"
    assert why(found, "cpu-int8-b1-s2") == "latency of a single request not measured"
    assert found.reason.startswith("lowest latency of a single request of the 6 that pass: alone p50 35.8 ms")


def test_nothing_passes() -> None:
    found = choose(summarize(nine()), "throughput", Limits(latency_ms=30))
    assert found.id is None and found.leader is None
    assert (found.gain, found.properties) == ((), {})
    assert len(found.rejected) == 9
    assert [miss.id for miss in found.nearest] == ["cpu-int8-b1-s1", "cpu-bf16-b1-s1", "cpu-int8-b1-s2"]
    assert found.nearest[0].reason == "p50 35.8 ms > 30 ms"
    assert found.nearest[0].excess == pytest.approx(0.195, abs=0.01)


def test_nothing_was_measured() -> None:
    found = decide(changed(FAST, rounds=0, failed="killed"))
    assert found.id is None and found.reason == "no configuration was measured"
    assert why(found, FAST.id) == "compile failed: killed"
    assert found.nearest == ()


def test_failed_and_left_out_candidates_keep_their_reason() -> None:
    found = decide(
        FAST, Measured(rounds=0, failed="killed"), Measured(precision="BF16", left_out="CPU lists no BF16")
    )
    assert why(found, "cpu-fp32-b1-s1") == "compile failed: killed"
    assert why(found, "cpu-bf16-b1-s1") == "CPU lists no BF16"


# ---------------------------------------------------------------- efficiency, percentiles, weights

FRUGAL = Measured(precision="INT8", fps=28.0, image_j=0.5, factors=(1.0,))
GREEDY = Measured(precision="INT8", streams=2, fps=33.0, image_j=0.9, factors=(1.0,))


def test_efficiency_is_the_most_images_for_a_joule() -> None:
    found = choose(summary_of(FRUGAL, GREEDY), "efficiency", NONE)
    assert found.id == FRUGAL.id
    assert "efficiency 2.00 images/J" in found.reason
    assert why(found, GREEDY.id) == f"beaten by {FRUGAL.id} (0.56x)"


def test_efficiency_that_nobody_measured_is_said_and_not_guessed() -> None:
    found = choose(summarize(nine()), "efficiency", NONE)
    assert found.id is None
    assert found.reason.endswith("energy was measured for none of them, since the machine showed no counters")
    mixed = choose(summary_of(FRUGAL, changed(GREEDY, image_j=None)), "efficiency", NONE)
    assert mixed.id == FRUGAL.id and why(mixed, GREEDY.id) == "energy not measured"


def test_a_latency_objective_at_a_percentile_compares_that() -> None:
    found = choose(summarize(nine()), "latency", Limits(percentile=95, accuracy_drop_pp=None))
    assert found.id == "cpu-int8-b1-s1"
    assert found.reason.startswith("lowest latency of a single request, p95 of the 6 that pass: alone p95 ")


def score(found: Recommendation) -> float:
    return float(found.reason.partition(": score ")[2].split()[0])


def test_weights_multiply_ratios_and_the_choice_follows_them() -> None:
    summary = summarize(nine())
    fast = choose(summary, {"throughput": 1.0, "latency_p50": 0.1}, NONE)
    short = choose(summary, {"throughput": 1.0, "latency_p50": 1.0}, NONE)
    assert (fast.id, short.id) == ("cpu-int8-b1-s2", "cpu-int8-b1-s1")
    # 28.2 over 17.2 images/s, and 2000/17.2 over 1000/28.2 ms; the root of both.
    assert score(short) == pytest.approx((28.2 / 17.2 * (2 / 17.2) / (1 / 28.2)) ** 0.5, rel=0.02)
    gain = next(gain for gain in short.gain if gain.over == "cpu-baseline-throughput")
    assert gain.rounds == 6, "paired inside rounds"
    assert gain.point == pytest.approx(score(short), rel=0.01)


@pytest.mark.parametrize(
    "weights",
    [
        {"throughput": 2.0},
        {"throughput": 1.0, "latency_p50": 0.3},
        {"throughput": 1.0, "latency_p90": 1.0},
        {"throughput": 1.0, "peak_rss": 0.5},
    ],
)
def test_the_choice_by_weights_does_not_depend_on_the_baseline(weights: dict[str, float]) -> None:
    summary = summarize(nine())
    found = choose(summary, weights, Limits())
    others = (summary.baselines[:1], (), tuple(summary.configurations[:1]))
    for baselines in others:
        again = choose(msgspec.structs.replace(summary, baselines=baselines), weights, Limits())
        assert (again.id, again.rejected) == (found.id, found.rejected)


@pytest.mark.parametrize("factors", [(0.3, 1.0, 1.7), (1.0,)])
def test_a_noisy_baseline_hides_no_difference_between_scores_without_rounds(
    factors: tuple[float, ...],
) -> None:
    """p90 has no figure for each round, so the scores are compared as independent ones."""
    baseline = changed(BASELINES[1], factors=factors)
    slow = changed(PLAIN, fps=20.0, precision="BF16", streams=2)
    measured = Journal((baseline, FAST, slow), machine=(1.0,)).run()
    found = choose(summarize(measured), {"throughput": 1.0, "latency_p90": 1.0}, NONE)
    assert (found.id, found.undecided) == (FAST.id, ())
    assert why(found, slow.id) == f"beaten by {FAST.id} (0.61x)"
    assert score(found) == pytest.approx(33.0 / 17.2, rel=0.05 if factors == (1.0,) else 1.0)


def test_one_weight_alone_decides_as_its_metric_does() -> None:
    summary = summarize(nine())
    alone = choose(summary, {"throughput": 3.0}, Limits())
    plain = choose(summary, "throughput", Limits())
    assert (alone.id, alone.rejected, alone.pareto[0]) == (plain.id, plain.rejected, plain.pareto[0])


def test_weights_on_what_has_no_rounds_stay_undecided_and_say_why() -> None:
    found = decide_by({"throughput": 1.0, "peak_rss": 1.0}, FAST, changed(PLAIN, fps=10))
    assert found.id == FAST.id and found.undecided == (PLAIN.id,)
    assert found.open == (f"1 comparison with {FAST.id} without an interval: memory never has one",)


def test_what_a_weight_needs_and_was_not_measured_is_the_reason() -> None:
    found = decide_by({"throughput": 1.0, "energy": 1.0}, FAST, changed(FRUGAL, memory_mb=1))
    assert found.id == FRUGAL.id and why(found, FAST.id) == "energy not measured"


def decide_by(weights: dict[str, float], *measured: Measured) -> Recommendation:
    return choose(summary_of(*measured), weights, NONE)
