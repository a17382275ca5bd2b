"""Layer profiles add up, advise only what the data carry, and compare what stands for the same layers."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layered import a_roofline, node, timed

from perftool.analysis.blocks import ALL, OTHER, blocks
from perftool.analysis.layer_advice import LEAST_GAIN
from perftool.analysis.layer_changes import against, verdict_of
from perftool.analysis.layers import layer_profile, layer_profiles
from perftool.analysis.roofline import Ceiling
from perftool.analysis.stats import Estimate
from perftool.bench.counters import Reading, mean_times_ns
from perftool.record import LayersTimed
from perftool.spec import Precision

TYPES = st.sampled_from(("Convolution", "Pooling", "Reorder", "Eltwise"))
PRECISIONS = st.sampled_from(("int8", "f32", "bf16"))


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
    assert row.gflops == pytest.approx(96) and row.of_peak is not None
    assert row.of_peak.point == pytest.approx(12)
    assert row.intensity == 20
    assert row.of_limit is not None and row.of_limit.low is not None
    assert row.of_limit.point == pytest.approx(48), "its bytes take 6 us at the least"
    assert row.of_limit.low < 48 and row.doubt is None


def test_requests_side_by_side_share_the_device() -> None:
    for layer in (node("a", 10, flops=1_200_000), node("a", 10, flops=1_200_000, moved=50_000)):
        alone = layer_profile(timed(layer), a_roofline()).layers[0]
        beside = layer_profile(timed(layer, requests=2, streams=2), a_roofline()).layers[0]
        assert alone.of_peak and beside.of_peak and alone.of_limit and beside.of_limit
        assert beside.of_peak.point == pytest.approx(2 * alone.of_peak.point)
        assert beside.gflops == alone.gflops == alone.device_gflops
        assert beside.device_gflops == pytest.approx(2 * (alone.gflops or 0))
        assert beside.of_limit.point == pytest.approx(2 * alone.of_limit.point)


def test_the_ceilings_intervals_are_part_of_a_percentage() -> None:
    wide = Estimate(point=200.0, low=100.0, high=400.0)
    roofline = msgspec.structs.replace(
        a_roofline(), ceilings=(Ceiling(precision="f32", kernel="matmul", gflops=wide),)
    )
    (row,) = layer_profile(timed(node("a", *[10] * 6, flops=1_000_000, precision="f32")), roofline).layers
    assert row.of_peak is not None and row.of_peak.low is not None and row.of_peak.high is not None
    assert (row.of_peak.point, row.of_peak.low, row.of_peak.high) == pytest.approx((50, 25, 100))


@pytest.mark.parametrize(
    ("time_us", "disturbed", "doubt"),
    [(4, False, "exceeded"), (4, True, "exceeded"), (6, False, None), (6, True, "disturbed")],
)
def test_a_percentage_of_no_real_limit_says_why(time_us: float, disturbed: bool, doubt: str | None) -> None:
    roofline = msgspec.structs.replace(a_roofline(), disturbed=disturbed)
    record = timed(node("a", *[time_us] * 6, flops=1_000_000, precision="f32"))
    assert layer_profile(record, roofline).layers[0].doubt == doubt


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
