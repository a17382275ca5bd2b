"""Layer profiles add up, advise only what the data carry, and compare what stands for the same layers."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import HOST
from layered import node, timed

from perftool.analysis.blocks import ALL, OTHER, blocks
from perftool.analysis.layer_advice import LEAST_GAIN
from perftool.analysis.layer_changes import against, verdict_of
from perftool.analysis.layers import layer_profile, layer_profiles
from perftool.analysis.roofline import Ceiling, Roofline
from perftool.analysis.stats import Estimate
from perftool.bench.counters import Reading, mean_times_ns
from perftool.record import LayersTimed
from perftool.spec import Precision

TYPES = st.sampled_from(("Convolution", "Pooling", "Reorder", "Eltwise"))
PRECISIONS = st.sampled_from(("int8", "f32", "bf16"))


def exactly(value: float) -> Estimate:
    return Estimate(point=value, low=value, high=value)


def a_roofline() -> Roofline:
    """Return peaks of 800 (int8) and 200 (f32) operations per nanosecond, and 10 bytes per nanosecond."""
    return Roofline(
        device="CPU",
        ceilings=(
            Ceiling(precision="int8", kernel="matmul", gflops=exactly(800.0)),
            Ceiling(precision="f32", kernel="matmul", gflops=exactly(200.0)),
        ),
        bandwidth_gb_s=exactly(10.0),
        measured="2026-01-01T00:00:00+00:00",
    )


@st.composite
def graphs(draw: st.DrawFn) -> LayersTimed:
    bursts = draw(st.integers(1, 9))
    layers = [
        node(
            f"net/part{draw(st.integers(0, 3))}/layer{number}",
            *draw(st.lists(st.floats(1, 5000), min_size=bursts, max_size=bursts)),
            type=draw(TYPES),
            precision=draw(PRECISIONS),
            flops=draw(st.sampled_from((0, 1_000_000))),
            moved=draw(st.integers(0, 100_000)),
        )
        for number in range(draw(st.integers(1, 12)))
    ]
    latencies = [sum(one.times_ns[at] for one in layers) / 1e3 + 5 for at in range(bursts)]
    return timed(*layers, plain_us=latencies, counted_us=latencies)


@given(graphs(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_shares_sum_to_one_and_every_way_of_grouping_to_the_sum(record: LayersTimed, peaks: bool) -> None:
    profile = layer_profile(record, a_roofline() if peaks else None)
    assert math.isclose(sum(row.share for row in profile.layers), 1.0)
    for groups in (profile.by_type, profile.by_block, profile.by_precision):
        assert math.isclose(sum(group.time_us.point for group in groups), profile.sum_ms.point * 1e3)
        assert sum(group.layers for group in groups) == len(profile.layers)
        assert math.isclose(sum(group.share for group in groups), 1.0)
    assert math.isclose(
        profile.transitions.time_us.point,
        sum(group.time_us.point for group in profile.by_transition),
        abs_tol=1e-9,
    )
    assert all(one.gain is None or one.gain >= LEAST_GAIN for one in profile.advice)
    if profile.sum_ms.low is not None and profile.sum_ms.high is not None:
        assert profile.sum_ms.low <= profile.sum_ms.point <= profile.sum_ms.high


def test_a_layer_is_the_median_of_its_bursts_with_an_interval_and_has_its_rate() -> None:
    record = timed(node("a", 10, 11, 12, 13, 14, 99, flops=1_200_000, moved=60_000), node("gone"))
    (row,) = layer_profile(record, a_roofline()).layers
    assert row.time_us.point == 12.5 and row.time_us.low is not None
    assert 10 <= row.time_us.low < 12 and row.time_us.high is not None and 14 < row.time_us.high <= 99
    assert row.gflops == pytest.approx(96) and row.of_peak == pytest.approx(12)
    assert row.intensity == 20
    assert row.of_limit == pytest.approx(100 * 6_000 / 12_500), "its bytes take 6 us at the least"


def test_requests_side_by_side_share_the_device() -> None:
    layer = node("a", 10, flops=1_200_000)
    alone = layer_profile(timed(layer), a_roofline()).layers[0]
    beside = layer_profile(timed(layer, requests=2, streams=2), a_roofline()).layers[0]
    assert beside.of_peak == pytest.approx(2 * (alone.of_peak or 0))
    assert beside.gflops == alone.gflops == alone.device_gflops
    assert beside.device_gflops == pytest.approx(2 * (alone.gflops or 0))
    assert beside.of_limit == pytest.approx(2 * (alone.of_limit or 0))


def test_the_latencies_and_the_sum_are_reconciled() -> None:
    record = timed(
        node("a", *[600] * 6),
        node("b", *[300] * 6),
        plain_us=[990.0] * 12,
        counted_us=[1000.0] * 6,
        tick_ns=2000,
    )
    found = layer_profile(record)
    assert (found.plain_ms.point, found.counted_ms.point, found.sum_ms.point) == (0.99, 1.0, 0.9)
    assert found.counters_ms == pytest.approx(0.01) and found.outside_ms == pytest.approx(0.1)
    assert found.hidden_ms == pytest.approx(0.004)


def test_nodes_too_short_to_show_may_hide_what_is_outside_of_the_layers() -> None:
    short = [node(f"short{number}", moved=64) for number in range(300)]
    ends = [node("input"), node("output")]  # They hand data over, and move none.
    layer = node("a", *[100] * 6, flops=1_000_000)
    record = timed(layer, *short, *ends, plain_us=[500] * 6, counted_us=[500] * 6, tick_ns=2000)
    found = layer_profile(record)
    assert found.hidden_ms == pytest.approx(0.602) and found.outside_ms == pytest.approx(0.4)
    assert found.advice == (), "all of it may be in the nodes"
    few = timed(layer, *short[:50], plain_us=[500] * 6, counted_us=[500] * 6, tick_ns=2000)
    (advice,) = layer_profile(few).advice
    assert advice.gain == pytest.approx(0.5 / 0.202)


# ---------------------------------------------------------------- what the counters showed


@given(
    st.lists(st.floats(1, 900), min_size=6, max_size=60),
    st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_times_are_told_from_means_since_compiling(durations_us: list[float], size: int) -> None:
    """Counters add whole microseconds and show the mean of all inferences, cut off: what the CPU's do."""
    total, readings = 0, []
    for number, duration in enumerate(durations_us, start=1):
        total += int(duration)
        if number == 1 or number % size == 0:
            readings.append(Reading(number, {"a": float(total // number), "never": 0.0}))
    if len(readings) < 2:
        return
    times = mean_times_ns(readings, means=True)
    assert "never" not in times
    for index, (before, after) in enumerate(pairwise(readings)):
        made = after.inferences - before.inferences
        truth = sum(durations_us[before.inferences : after.inferences]) / made
        slack = (
            after.inferences / made + 1
        )  # Each mean was cut off by up to one microsecond of each inference.
        assert abs(times["a"][index] / 1e3 - truth) <= slack + 1e-6


def test_counters_of_single_inferences_are_taken_as_they_are() -> None:
    readings = [Reading(1, {"a": 9.0}), Reading(5, {"a": 7.0}), Reading(9, {"a": 8.0})]
    assert mean_times_ns(readings, means=False) == {"a": (7000, 8000)}


def counted(true_us: Mapping[str, float], random: Random, tick_ns: int = 2000) -> LayersTimed:
    """Count nodes as the CPU does: whole microseconds of each run, and of the mean of all runs when read."""
    totals, runs, readings = dict.fromkeys(true_us, 0), 0, []
    for burst in range(9):
        for _ in range(60 if burst == 0 else 200):
            runs += 1
            for name, mean in true_us.items():
                totals[name] += int(max(0.0, random.gauss(mean, 0.15 * mean)))
        readings.append(Reading(runs, {name: float(total // runs) for name, total in totals.items()}))
    times = mean_times_ns(readings, means=True)
    return timed(
        *(node(name, *(ns / 1e3 for ns in times[name]), flops=1000) for name in true_us), tick_ns=tick_ns
    )


def within(estimate: Estimate, truth: float) -> bool:
    return estimate.low is not None and estimate.high is not None and estimate.low <= truth <= estimate.high


@pytest.mark.parametrize("seed", range(3))
def test_intervals_hold_the_truth_though_counters_cut_microseconds_off(seed: int) -> None:
    random = Random(seed)
    true_us = {f"layer{number}": random.uniform(3, 25) for number in range(20)}
    found = layer_profile(counted(true_us, random))
    assert sum(within(row.time_us, true_us[row.name]) for row in found.layers) >= 19
    assert within(found.sum_ms, sum(true_us.values()) / 1e3)
    assert all(within(group.time_us, sum(true_us.values())) for group in found.by_type)


@pytest.mark.parametrize("scale", [1.0, 1.01])
def test_what_whole_microseconds_make_unlike_neither_gained_nor_lost(scale: float) -> None:
    random = Random(5)
    true_us = {f"layer{number}": random.uniform(3, 25) for number in range(20)}
    slower = {name: scale * mean for name, mean in true_us.items()}
    other = msgspec.structs.replace(layer_profile(counted(slower, random)), id="other")
    found = against(layer_profile(counted(true_us, random)), other)
    assert (found.gained, found.lost) == (0, 0)


def test_the_sum_is_the_median_of_the_bursts_and_not_of_each_layer_apart() -> None:
    """Each layer is slow in a third of the bursts, and no burst is without a slow one."""
    layers = [
        node(f"net/{number}", *[100.0 if at % 3 == number else 10.0 for at in range(9)])
        for number in range(3)
    ]
    found = layer_profile(timed(*layers))
    assert found.sum_ms.point == pytest.approx(0.12), "the medians add up to 0.03"
    assert found.outside_ms == pytest.approx(0.0)
    assert sum(group.time_us.point for group in found.by_precision) == pytest.approx(120)


# ---------------------------------------------------------------- blocks


@pytest.mark.parametrize(
    ("names", "times", "found"),
    [
        (
            ["Net/A/conv1/Conv2D", "Net/A/conv2/Conv2D", "Net/B/x/Conv2D", "Net/B/y/Conv2D", "image"],
            [5, 4, 4, 3, 0.1],
            ["Net/A", "Net/A", "Net/B", "Net/B", OTHER],
        ),
        (
            ["/layer1/conv1/Conv", "/layer1/conv2/Conv", "/layer2/conv1/Conv", "/layer2/conv2/Conv"],
            [1, 1, 1, 1],
            ["layer1", "layer1", "layer2", "layer2"],
        ),
        (
            ["m.stage1.0.conv", "m.stage1.1.conv", "m.stage2.0.conv", "m.stage2.1.conv"],
            [1, 1, 1, 1],
            ["m.stage1", "m.stage1", "m.stage2", "m.stage2"],
        ),
        (["conv1", "conv2", "conv3"], [1, 1, 1], [ALL, ALL, ALL]),
        (["net/conv1", "net/conv2", "net/conv3"], [1, 1, 1], [ALL, ALL, ALL]),
        ([], [], []),
    ],
)
def test_blocks_are_read_off_the_names(names: list[str], times: Sequence[float], found: list[str]) -> None:
    assert blocks(names, times) == found


def test_one_large_block_is_divided_further() -> None:
    names = [f"net/body/part{part}/conv{number}" for part in range(4) for number in range(3)]
    names += ["pre/scale/x", "pre/scale/y"]
    times = [10.0] * 12 + [0.1, 0.1]
    assert blocks(names, times) == [
        *(name.rpartition("/")[0] for name in names[:12]),
        "pre/scale",
        "pre/scale",
    ]


@given(st.lists(st.text(max_size=30), max_size=20))
def test_no_name_is_too_odd_for_a_block(names: list[str]) -> None:
    assert len(blocks(names, [1.0] * len(names))) == len(names)


# ---------------------------------------------------------------- advice


def texts(record: LayersTimed, roofline: Roofline | None = None) -> list[str]:
    return [one.text for one in layer_profile(record, roofline).advice]


def test_layers_left_in_float_are_named_and_the_gain_is_a_bound() -> None:
    record = timed(
        node("fast", *[100] * 6, flops=80_000_000),
        node("slow", *[100] * 6, flops=20_000_000, precision="f32"),
    )
    (advice,) = layer_profile(record).advice
    assert "quantize slow" in advice.text
    assert "1 of 2 layers" in advice.reason and "20.0%" in advice.reason and "50.0%" in advice.reason
    assert advice.gain == pytest.approx(200 / (100 + 25)), "at the rate of the fastest quantized layer"


def test_a_kernel_of_unknown_precision_is_not_said_to_run_in_float() -> None:
    fast = node("fast", *[100] * 6, flops=80_000_000)
    unread = node("unread", *[100] * 6, flops=20_000_000, precision="unknown")
    assert texts(timed(fast, unread)) == []


def test_a_float_pooling_is_not_advised_to_be_quantized() -> None:
    pool = node("pool", *[900] * 6, type="Pooling", flops=10_000, precision="f32")
    assert texts(timed(node("fast", *[100] * 6, flops=80_000_000), pool)) == []


def test_what_gains_less_than_two_percent_is_not_said() -> None:
    fast = node("fast", *[990] * 6, flops=80_000_000)
    reorder = node("r", *[10] * 6, type="Reorder", precision="f32", originals=(), reads="f32")
    assert texts(timed(fast, reorder)) == []
    dear = node("r", *[100] * 6, type="Reorder", precision="f32", originals=(), reads="f32")
    (advice,) = layer_profile(timed(fast, dear)).advice
    assert "in 1 node (1 between precisions" in advice.reason
    assert advice.gain == pytest.approx(1090 / 990)


@pytest.mark.parametrize(
    ("precision", "runs_in", "said"),
    [
        ("FP16", "bf16", "ship what runs here"),
        ("INT8", "f32", "quantized at all"),
        ("BF16", "f32", "ship what runs here"),
        ("FP32", "f32", None),
        ("BF16", "bf16", None),
        ("FP32", "int8", None),
        ("BF16", "int8", None),
        ("INT8", "unknown", None),
        ("FP32", "unknown", None),
    ],
)
def test_a_precision_that_fell_back_is_said(precision: str, runs_in: str, said: str | None) -> None:
    record = timed(node("a", *[100] * 6, flops=1_000_000, precision=runs_in), precision=precision)  # type: ignore[arg-type]
    found = layer_profile(record)
    assert found.executed_precision == runs_in
    assert [one.gain for one in found.advice] == ([] if said is None else [None])
    assert said is None or said in found.advice[0].text


def test_cores_that_wait_are_seen_where_peaks_are_known() -> None:
    layer = node("a", *[1000] * 6, flops=80_000_000)  # An eighth of the peak.
    assert texts(timed(layer)) == []
    (advice,) = layer_profile(timed(layer), a_roofline()).advice
    assert "more streams, or a larger batch" in advice.text and "10%" in advice.reason
    assert advice.gain == pytest.approx(10)
    assert texts(timed(layer, streams=2, requests=2), a_roofline()) == [], "all threads have streams already"
    well = node("a", *[110] * 6, flops=80_000_000)
    assert texts(timed(well), a_roofline()) == []


def test_the_memory_s_bandwidth_excuses_cores_and_bounds_no_gain() -> None:
    record = timed(node("a", *[1000] * 6, flops=80_000_000, moved=5_000_000))  # 100 us, or 500 from memory.
    (advice,) = layer_profile(record, a_roofline()).advice
    assert advice.gain == pytest.approx(10), "what stays in caches takes less than from memory"
    record = timed(node("a", *[1000] * 6, flops=80_000_000, moved=8_000_000))
    assert texts(record, a_roofline()) == [], "memory explains 80 % of its time"


@pytest.mark.parametrize(
    ("threads", "cores", "said"),
    [
        (2, 8, ["try more threads: the device's peaks were measured on 8 cores"]),
        (1, 8, ["try more threads: the device's peaks were measured on 8 cores"]),
        (8, 8, ["try more streams, or a larger batch: small layers leave cores waiting for each other"]),
        (1, 1, []),
    ],
)
def test_cores_without_a_thread_wait_for_nobody(threads: int, cores: int, said: list[str]) -> None:
    record = timed(node("a", *[1000] * 6, flops=80_000_000), threads=threads)
    host = msgspec.structs.replace(HOST, cores_physical=cores, cores_usable=cores)
    (found,) = layer_profiles([record], {"CPU": a_roofline()}, host)
    assert [one.text for one in found.advice] == said


def test_time_outside_the_layers_is_said_when_it_is_sure() -> None:
    layer = node("a", *[500] * 6, flops=1_000_000)
    (advice,) = layer_profile(timed(layer, plain_us=[1000] * 6)).advice
    assert "larger batch" in advice.text and advice.gain == pytest.approx(2)
    assert texts(timed(layer, plain_us=[500] * 6)) == []
    assert texts(timed(layer, plain_us=[1000] * 6, tick_ns=600_000)) == [], "the counters may hide as much"
    few = node("a", *[500] * 3, flops=1_000_000)
    assert texts(timed(few, plain_us=[1000] * 3)) == [], "three carry no interval"


# ---------------------------------------------------------------- two profiles


def test_layers_are_matched_by_what_they_stand_for_however_they_are_fused() -> None:
    one = layer_profile(
        timed(
            node("conv", 10, flops=900, originals=("conv", "relu", "fq_1")),
            node("reorder", 5, type="Reorder", originals=()),
            node("other", 20, flops=900, originals=("other", "fq_1")),
        )
    )
    other = layer_profile(
        timed(
            node("conv", 30, flops=900, precision="f32"),
            node("relu", 10, flops=100, type="Eltwise", precision="f32"),
            node("other", 10, flops=900, precision="f32"),
            precision="FP32",
        )
    )
    found = against(one, other)
    assert [(change.name, change.time_us, change.other_us) for change in found.layers] == [
        ("conv", 10, 40),
        ("other", 20, 10),
    ]
    assert [(change.layers, change.others) for change in found.layers] == [(1, 2), (1, 1)]
    assert found.layers[0].ratio is not None and found.layers[0].ratio.point == 4
    assert [(group.name, group.time_us.point) for group in found.only] == [("Reorder", 5)]
    assert found.other_only == ()
    assert (found.layers[0].precision, found.layers[0].other_precision) == ("int8", "f32")


def test_a_node_of_the_runtimes_own_belongs_to_the_block_that_follows() -> None:
    found = layer_profile(
        timed(
            node("net/a/conv", 10, flops=9),
            node("net/a/relu", 10, flops=9),
            node("net/a/relu_abcd_acdb_net/b/conv", 1, type="Reorder", originals=()),
            node("net/b/conv/fq_output_0", 10, flops=9),
            node("net/b/pool", 10, flops=9),
        )
    )
    assert [row.block for row in found.layers] == ["net/a", "net/a", "net/b", "net/b", "net/b"]


def test_gains_are_counted_only_where_they_are_sure() -> None:
    steady, spread = [10.0] * 6, [5.0, 8.0, 10.0, 12.0, 15.0, 30.0]
    one = layer_profile(timed(*(node(name, *steady, flops=9) for name in "abc"), plain_us=[50.0] * 6))
    other = layer_profile(
        timed(
            node("a", *[20.0] * 6, flops=9),
            node("b", *spread, flops=9),
            node("c", *[5.0] * 6, flops=9),
            precision="FP32",
            plain_us=[100.0] * 6,
        )
    )
    found = against(one, other)
    assert (found.gained, found.lost, found.tied) == (1, 1, 0)
    assert found.ratio is not None and found.ratio.point == 2


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.03, 1.10, "gained"),
        (1.01, 1.10, "undecided"),
        (0.90, 0.97, "lost"),
        (0.90, 0.99, "undecided"),
        (0.99, 1.01, "tied"),
        (0.97, 1.01, "undecided"),
        (0.99, 1.03, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_a_verdict_is_what_the_whole_interval_tells(
    low: float | None, high: float | None, verdict: str
) -> None:
    assert verdict_of(Estimate(point=1.0, low=low, high=high)) == verdict


def test_nothing_is_known_of_a_ratio_without_times() -> None:
    assert verdict_of(None) == "undecided"
    one, other = (
        layer_profile(timed(node("a", *[0.0] * 6, flops=9), precision=name, plain_us=[30.0] * 6))
        for name in ("INT8", "FP32")
    )
    found = against(one, other)
    assert found.sum_ratio is None and found.ratio is not None
    assert [change.ratio for change in found.layers] == [None]


@given(graphs(), graphs())
@settings(max_examples=40, deadline=None)
def test_no_time_is_counted_twice_or_lost(one: LayersTimed, other: LayersTimed) -> None:
    mine, its = layer_profile(one), layer_profile(other)
    found = against(mine, its)
    alone = sum(group.time_us.point for group in found.only)
    whole, its_whole = (sum(row.time_us.point for row in each.layers) for each in (mine, its))
    assert math.isclose(sum(change.time_us for change in found.layers) + alone, whole)
    its_alone = sum(group.time_us.point for group in found.other_only)
    assert math.isclose(sum(change.other_us for change in found.layers) + its_alone, its_whole)


def test_profiles_side_by_side_are_cut_into_the_same_blocks() -> None:
    """Alone, the first would be cut at `net/a`; the second, where that takes too much, one level deeper."""
    names = [f"net/{part}/{unit}/conv{number}" for part in "abc" for unit in "xy" for number in range(2)]

    def record(dear: float, precision: Precision) -> LayersTimed:
        costs = [dear if name.startswith("net/a") else 10.0 for name in names]
        nodes = (node(name, cost, flops=9) for name, cost in zip(names, costs, strict=True))
        return timed(*nodes, precision=precision)

    first, second = record(10, "INT8"), record(40, "FP32")
    alone = [{group.name for group in layer_profile(one).by_block} for one in (first, second)]
    assert alone[0].isdisjoint(alone[1]), "else there is nothing to put right"
    one, other = layer_profiles([first, second])
    assert [row.block for row in one.layers] == [row.block for row in other.layers]
    changes = against(one, other).by_block
    assert changes and all(change.ratio is not None and change.ratio.low is None for change in changes)
    assert {group.name for group in one.by_block} == {group.name for group in other.by_block}
