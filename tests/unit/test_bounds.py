"""Limits on any metric: read from text, held like the ones with options of their own."""

import re

import pytest
from journals import EVALUATIONS, Journal, Measured, changed, nine

from perftool.analysis.choose import choose
from perftool.analysis.effort import open_questions, short_of_samples
from perftool.analysis.limits import bound_on, bounds, carried, judge
from perftool.analysis.metrics import DROP, LATENCY, METRICS
from perftool.analysis.result import Recommendation
from perftool.analysis.summary import summarize
from perftool.analysis.wishes import checked_bound, parse_bound, parse_objective, told
from perftool.errors import InputError
from perftool.spec import Bound, Limits


def limits(*texts: str, **own: object) -> Limits:
    return Limits(**{"accuracy_drop_pp": None, **own}, bounds=tuple(map(parse_bound, texts)))


def decide(*texts: str) -> Recommendation:
    return choose(summarize(nine()), "throughput", limits(*texts))


def why(found: Recommendation, id: str) -> str:
    return next(one.reason for one in found.rejected if one.id == id)


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("text", "metric", "value"),
    [
        ("latency_p95 <= 30ms", "latency_p95", 30.0),
        ("latency_p95<=0.03 s", "latency_p95", 30.0),
        ("latency_p95 <= 30000us", "latency_p95", 30.0),
        ("latency_p95 <= 30", "latency_p95", 30.0),
        ("top1_drop <= 0.5pp", "top1_drop", 0.5),
        ("top1_drop <= .5%", "top1_drop", 0.5),
        ("top1 >= 0.88%", "top1", 0.88),
        ("top1_drop <= -0.5", "top1_drop", -0.5),
        ("peak_rss <= 300MB", "peak_rss", 300.0),
        ("peak_rss <= 1.5 GB", "peak_rss", 1500.0),
        ("peak_rss <= 1MiB", "peak_rss", 1.048576),
        ("peak_rss <= 1GiB", "peak_rss", 1073.741824),
        ("throughput >= 20 images/s", "throughput", 20.0),
        ("throughput >= 2e1fps", "throughput", 20.0),
        ("energy <= 0.9J", "energy", 0.9),
        ("efficiency >= 2 images/J", "efficiency", 2.0),
        ("end_to_end_ratio >= 0.9x", "end_to_end_ratio", 0.9),
        ("top1 >= 75%", "top1", 75.0),
    ],
)
def test_a_limit_is_read_in_the_metrics_own_unit(text: str, metric: str, value: float) -> None:
    found = parse_bound(text)
    assert (found.metric, found.value) == (metric, pytest.approx(value))
    assert found.way == METRICS[metric].way


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latency_p95", "'latency_p95': expected METRIC <= VALUE or METRIC >= VALUE"),
        ("latency_p95 < 30ms", "'latency_p95 < 30ms': expected METRIC <= VALUE"),
        ("latency_p95 <= fast", "expected METRIC <= VALUE"),
        ("latency_p95 <= nan", "expected METRIC <= VALUE"),
        ("", "expected METRIC <= VALUE"),
        ("latency_p59 <= 3ms", "latency_p59: no such metric; did you mean latency_p"),
        ("speed >= 3", "speed: no such metric; "),
        ("latency <= 30ms", "latency: no such metric; one of latency_p50, latency_p90, "),
        ("top1 >= 0.88", "'top1 >= 0.88': is 0.88 % meant, or 88 %? Write it with its unit"),
        ("latency_p95 >= 30ms", "of latency_p95 lower is better, so its limit is written <="),
        ("throughput <= 30", "of throughput higher is better, so its limit is written >="),
        ("latency_p95 <= 30MB", "MB is no unit of latency_p95, which takes ms, s, us"),
        ("peak_rss <= 30 mb", "mb is no unit of peak_rss, which takes MB, GB, MiB, GiB"),
        ("latency_p95 <= 0", "latency_p95 <= 0: expected a number above zero"),
        ("throughput >= -1", "throughput >= -1: expected a number above zero"),
        ("throughput >= inf", "throughput >= inf: expected a number above zero"),
    ],
)
def test_each_mistake_is_one_clear_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        parse_bound(text)
    assert "\n" not in str(caught.value)


def test_every_metric_takes_a_limit_its_own_way_alone() -> None:
    for name, metric in METRICS.items():
        assert parse_bound(f"{name} {metric.way} 1 {metric.unit}") == Bound(
            metric=name, way=metric.way, value=1
        )
        with pytest.raises(InputError):
            checked_bound(Bound(metric=name, way="<=" if metric.way == ">=" else ">=", value=1))


def test_objectives_are_names_or_weights() -> None:
    assert parse_objective("efficiency") == "efficiency"
    weights = parse_objective("throughput=1, latency_p50=0.5")
    assert weights == {"throughput": 1.0, "latency_p50": 0.5}
    assert told(weights) == "throughput=1,latency_p50=0.5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trhoughput", "did you mean throughput?"),
        ("fast", "expected one of throughput, latency, rate, efficiency, or weights"),
        ("throughput=1,top1_drop=1", "top1_drop: can be zero or negative"),
        ("throughput=0", "throughput: expected a weight above zero, got 0"),
        ("throughput=1,throughput=2", "throughput: has two weights"),
        ("throughput=1,latency_p50", "'latency_p50': expected METRIC=WEIGHT"),
        ("throughput=1,", "expected METRIC=WEIGHT"),
        ("latency_p5=1", "latency_p5: no such metric; did you mean"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        parse_objective(text)


# ---------------------------------------------------------------- holding


def test_the_short_options_and_the_limits_mean_the_same_rows() -> None:
    summary = summarize(nine())
    for short, text in (
        (Limits(latency_ms=40, accuracy_drop_pp=None), "latency_p50 <= 40"),
        (Limits(accuracy_drop_pp=0.9), "top1_drop <= 0.9"),
        (Limits(memory_mb=250, accuracy_drop_pp=None), "peak_rss <= 250"),
    ):
        one, other = (choose(summary, "throughput", each) for each in (short, limits(text)))
        assert one.id == other.id and one.rejected == other.rejected and one.uncertain == other.uncertain


def test_of_two_limits_on_a_row_the_stricter_is_held() -> None:
    twice = limits("latency_p50 <= 50", "latency_p50 <= 40", "latency_p50 <= 60", latency_ms=45)
    assert bounds(twice) == ((LATENCY[50], 40.0),)
    faster = limits("throughput >= 20", "throughput >= 30")
    assert bounds(faster) == ((METRICS["throughput"], 30.0),)
    assert bound_on(faster, DROP) is None


def test_a_limit_from_below_turns_down_what_is_too_little() -> None:
    found = decide("throughput >= 30", "latency_p50 <= 100")
    assert found.id == "cpu-int8-b1-s2"
    assert why(found, "cpu-int8-b1-s1") == "throughput 28.2 images/s < 30 images/s"
    nothing = decide("throughput >= 40")
    assert nothing.id is None
    assert nothing.nearest[0].reason == "throughput 33.0 images/s < 40 images/s"
    assert nothing.nearest[0].excess == pytest.approx(7 / 40, abs=0.01)


def test_a_value_is_written_so_that_it_misses_a_limit_from_below() -> None:
    found = decide("throughput >= 32.999")
    value = float(why(found, "cpu-int8-b1-s2").split()[1]) if found.id is None else 33.0
    assert value < 32.999 or found.id == "cpu-int8-b1-s2"
    assert why(decide("throughput >= 28.205"), "cpu-int8-b1-s1").endswith("< 28.205 images/s")


def test_an_interval_that_crosses_a_limit_from_below_is_uncertain() -> None:
    found = decide("throughput >= 32")
    assert found.id == "cpu-int8-b1-s2"
    assert found.uncertain[0].limit == "throughput 32 images/s"
    assert found.uncertain[0].needs is not None and "visits, 6 so far" in found.uncertain[0].needs


def test_what_is_seen_once_has_no_interval_and_is_certain() -> None:
    found = decide("compile_rss <= 210", "compile <= 1s", "first_inference <= 200ms", "top1 >= 79")
    assert found.id == "cpu-int8-b1-s2" and found.uncertain == ()
    assert why(found, "cpu-int8-b4-s1") == "memory while compiling 264 MB > 210 MB"
    assert why(decide("first_inference <= 0.1s"), "cpu-int8-b1-s2") == "first inference 150 ms > 100 ms"


def test_what_was_not_measured_fails_its_limit_with_that_reason() -> None:
    assert why(decide("energy <= 5"), "cpu-int8-b1-s2") == "energy not measured"
    assert why(decide("latency_sync <= 1s"), "cpu-int8-b1-s2") == "latency of a single request not measured"
    assert why(decide("latency_p99 <= 1s"), "cpu-int8-b1-s2") == "p99 not measurable: 240 of 662 samples"


def test_without_any_labels_a_limit_on_the_drop_is_not_judged_however_it_was_given() -> None:
    import msgspec

    unlabelled = tuple(msgspec.structs.replace(one, labels=()) for one in EVALUATIONS)
    summary = summarize(Journal((Measured(precision="INT8"),), unlabelled).run())
    found = choose(summary, "throughput", limits("top1_drop <= 0.5"))
    assert found.id is not None and "(0.5 pp) was not judged" in found.warnings[0]


def test_an_unknown_metric_in_a_journal_is_one_line() -> None:
    alien = Limits(bounds=(Bound(metric="smell", way="<=", value=1),))
    with pytest.raises(InputError, match="smell: no such metric"):
        judge(summarize(nine()).configurations[0], alien)


# ---------------------------------------------------------------- what limits make a run do


def test_the_samples_must_carry_the_highest_percentile_that_has_a_limit() -> None:
    summary = summarize(nine())
    several = limits("latency_p90 <= 1s", "latency_p99 <= 1s", latency_ms=1000)
    assert carried(several) == 99 and carried(Limits()) is None
    assert set(short_of_samples(summary, several)) == {one.id for one in summary.configurations}
    assert short_of_samples(summary, limits("latency_p95 <= 1s")) == ()
    assert short_of_samples(summary, limits("latency_sync_p99 <= 1s")) == ()
    (said,) = choose(summary, "throughput", several).open
    assert said.startswith("p99 takes 662 samples of each configuration, which 9 have not yet")


def test_a_limit_that_an_interval_crosses_is_a_question_for_more_visits() -> None:
    shaky = Measured(precision="INT8", fps=30.0, factors=(1.0, 1.3, 0.8, 1.1, 0.75, 1.0))
    beaten = Measured(precision="FP32", fps=8.0)
    summary = summarize(Journal((shaky, beaten)).run())
    point = METRICS["throughput"].value(summary.configurations[0])
    assert point is not None
    asked = open_questions(summary, "throughput", limits(f"throughput >= {point - 0.5}"))
    assert [one.text for one in asked] == [f"whether {shaky.id} keeps the limit on throughput"]
    both = limits(f"throughput >= {point - 0.5}", "peak_rss <= 1")
    assert open_questions(summary, "throughput", both) == (), "it fails by its memory anyway"
    quiet = summarize(Journal((changed(shaky, factors=(1.0,)), beaten), machine=(1.0,)).run())
    assert open_questions(quiet, "throughput", limits(f"throughput >= {point - 5}")) == ()


def test_weights_over_several_loads_ask_for_no_visits_and_over_one_they_do() -> None:
    one = Measured(
        precision="INT8", streams=2, fps=30.0, sync=True, factors=(1.0, 1.1, 0.9, 1.04, 0.95, 1.02)
    )
    two = Measured(precision="INT8", fps=29.5)
    summary = summarize(Journal((one, two)).run())
    mixed = {"throughput": 1.0, "latency_sync": 0.01}
    assert open_questions(summary, mixed, limits()) == ()
    same = {"throughput": 1.0, "latency_p50": 0.01}
    assert [set(each.configurations) for each in open_questions(summary, same, limits())] == [
        {one.id, two.id}
    ]
