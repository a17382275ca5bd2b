"""The roofline: ceilings from kernels, limits from ceilings, and how near a configuration comes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peaks import GFLOPS, NOISE, measured, memory, peak

from perftool.analysis.roofline import ceiling_of, place, rate_of, roofline, said
from perftool.analysis.stats import Estimate
from perftool.machine import Conditions
from perftool.record import Executed

FOUND = roofline(measured())
#: A graph of 24 GFLOP that moves little: bound by arithmetic.
DENSE = (Executed(precision="int8", flops=24 * 10**9, kernels=150, bytes=60 * 10**6),)
SURE = Estimate(point=30.0, low=29.0, high=31.0)

rates = st.floats(min_value=0.5, max_value=5000)
counts = st.integers(min_value=1, max_value=10**12)
graphs = st.lists(
    st.builds(
        Executed,
        precision=st.sampled_from(["f32", "bf16", "int8", "int4"]),
        flops=counts,
        kernels=st.just(1),
        bytes=counts,
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda one: one.precision,
)


def percent(executed: tuple[Executed, ...], fps: Estimate, batch: int = 1, found=FOUND) -> Estimate:  # type: ignore[no-untyped-def]
    placed = place(found, id="x", precision="INT8", executed=executed, batch=batch, throughput_fps=fps)
    assert placed is not None
    return placed.of_limit


# ---------------------------------------------------------------- the device


def test_a_rate_is_the_median_over_bursts_of_work_over_time_with_its_interval() -> None:
    found = rate_of(peak(200.0))
    assert found.point == pytest.approx(200, rel=0.01)
    assert found.low == pytest.approx(200 / 1.02, rel=0.01) and found.high == pytest.approx(
        200 / 0.98, rel=0.01
    )
    assert rate_of(peak(200.0, noise=NOISE[:5])).low is None, "five bursts carry no interval"


def test_a_ceiling_is_the_fastest_kernel_that_ran_in_its_precision_in_its_faster_arrangement() -> None:
    kernels = (
        peak(180.0),
        peak(190.0, streams=2),
        peak(205.0, kernel="convolution", streams=2),
        peak(200.0, kernel="convolution"),
        memory(12.0),
        memory(14.0),
    )
    found = roofline(msgspec.structs.replace(measured(), peaks=kernels))
    (only,) = found.ceilings
    assert (only.precision, only.kernel) == ("f32", "convolution")
    assert only.gflops.point == pytest.approx(205, rel=0.01)
    assert found.bandwidth_gb_s.point == pytest.approx(14, rel=0.01)
    assert found.measured == "2023-11-14T22:13:20+00:00"


def test_a_kernel_that_fell_back_is_no_ceiling_of_what_was_asked_for() -> None:
    kernels = (peak(200.0), peak(210.0, "f32", asked="int8"), peak(900.0, "int8+f32", asked="int8"), memory())
    kernels += (peak(950.0, "unknown", asked="int8"),)
    found = roofline(msgspec.structs.replace(measured(), peaks=kernels))
    assert [one.precision for one in found.ceilings] == ["f32"]
    assert ceiling_of(found, "int8") is None


def test_ceilings_come_the_highest_first() -> None:
    assert [one.precision for one in FOUND.ceilings] == ["int8", "bf16", "f32"]


@pytest.mark.parametrize("kept", [("memory",), ("matmul",)])
def test_without_a_kind_of_kernel_there_is_no_roofline(kept: tuple[str, ...]) -> None:
    whole = measured()
    part = tuple(one for one in whole.peaks if one.kernel in kept)
    with pytest.raises(ValueError, match="no roofline"):
        roofline(msgspec.structs.replace(whole, peaks=part))


def test_peaks_that_were_disturbed_say_so() -> None:
    busy = Conditions(other_load=0.3, steal=0.0, frequency_mhz=None, energy_j=None)
    assert roofline(measured(conditions=busy)).disturbed and not FOUND.disturbed


# ---------------------------------------------------------------- a configuration


def test_what_is_bound_by_arithmetic_is_held_against_its_ceiling() -> None:
    placed = place(FOUND, id="x", precision="INT8", executed=DENSE, batch=1, throughput_fps=SURE)
    assert placed is not None
    assert placed.limit_gflops == pytest.approx(800, rel=0.01)
    assert placed.gflops.point == pytest.approx(720)
    assert placed.of_limit.point == pytest.approx(90, rel=0.01)
    assert placed.intensity == pytest.approx(400)
    assert placed.bound == "int8 arithmetic"


def test_what_is_bound_by_memory_is_held_against_the_bandwidth() -> None:
    thin = (Executed(precision="f32", flops=10**9, kernels=9, bytes=10**9),)
    placed = place(FOUND, id="x", precision="FP32", executed=thin, batch=1, throughput_fps=SURE)
    assert placed is not None
    assert placed.bound == "memory bandwidth"
    assert placed.limit_gflops == pytest.approx(20, rel=0.01)
    assert "stays in caches" in placed.words, "30 images/s of 20 are more than the memory could carry"


def test_precisions_add_up_and_both_are_named() -> None:
    mixed = (
        Executed(precision="int8", flops=8 * 10**9, kernels=9, bytes=1),
        Executed(precision="f32", flops=2 * 10**9, kernels=1, bytes=1),
    )
    placed = place(FOUND, id="x", precision="INT8", executed=mixed, batch=1, throughput_fps=SURE)
    assert placed is not None
    assert placed.limit_gflops == pytest.approx(10 / (8 / 800 + 2 / 200), rel=0.01)
    assert placed.bound in ("int8 arithmetic and f32 arithmetic", "f32 arithmetic and int8 arithmetic")


def test_what_has_no_ceiling_is_taken_at_the_highest_so_that_its_limit_is_not_too_low() -> None:
    odd = (Executed(precision="int4", flops=24 * 10**9, kernels=1, bytes=1),)
    assert percent(odd, SURE).point == pytest.approx(90, rel=0.01)


def test_figures_are_per_image_whatever_the_batch() -> None:
    four = tuple(
        msgspec.structs.replace(one, flops=4 * one.flops, bytes=4 * (one.bytes or 0)) for one in DENSE
    )
    assert percent(four, SURE, batch=4).point == pytest.approx(percent(DENSE, SURE).point)


def test_what_nobody_counted_is_not_placed() -> None:
    old = (msgspec.structs.replace(DENSE[0], bytes=None),)
    for executed in ((), old):
        assert place(FOUND, id="x", precision="INT8", executed=executed, batch=1, throughput_fps=SURE) is None


def test_the_interval_holds_that_of_the_throughput_and_that_of_the_ceiling() -> None:
    exact = roofline(measured(noise=(1.0,) * 6))
    both, throughput_alone = percent(DENSE, SURE), percent(DENSE, SURE, found=exact)
    point = Estimate(point=30.0, low=30.0, high=30.0)
    ceiling_alone = percent(DENSE, point)

    def width(one: Estimate) -> float:
        assert one.low is not None and one.high is not None
        return one.high - one.low

    assert width(both) > max(width(throughput_alone), width(ceiling_alone))
    assert width(both) < width(throughput_alone) + width(ceiling_alone)
    bare = Estimate(point=30.0, low=None, high=None)
    assert percent(DENSE, bare).low is None


@given(graph=graphs, fps=rates, more=st.floats(min_value=1.01, max_value=10), batch=st.integers(1, 64))
def test_more_throughput_is_nearer_to_the_limit_and_the_limit_stays(
    graph: list[Executed], fps: float, more: float, batch: int
) -> None:
    def at(value: float) -> Estimate:
        return percent(tuple(graph), Estimate(point=value, low=0.9 * value, high=1.1 * value), batch)

    slow, fast = at(fps), at(more * fps)
    assert fast.point == pytest.approx(more * slow.point)
    assert slow.low is not None and slow.high is not None and slow.low < slow.point < slow.high


@given(graph=graphs, factor=st.floats(min_value=1.01, max_value=10))
def test_a_faster_device_leaves_more_room(graph: list[Executed], factor: float) -> None:
    faster = roofline(measured({name: factor * rate for name, rate in GFLOPS.items()}, 20.0 * factor))
    assert percent(tuple(graph), SURE, found=faster).point == pytest.approx(
        percent(tuple(graph), SURE).point / factor, rel=1e-3
    )


@given(graph=graphs)
def test_a_limit_is_no_higher_than_the_highest_ceiling_and_than_the_memory_allows(
    graph: list[Executed],
) -> None:
    placed = place(FOUND, id="x", precision="INT8", executed=graph, batch=1, throughput_fps=SURE)
    assert placed is not None
    assert placed.limit_gflops <= FOUND.ceilings[0].gflops.point * (1 + 1e-9)
    memory_alone = sum(one.bytes or 0 for one in graph) / (FOUND.bandwidth_gb_s.point * 1e9)
    flops = sum(one.flops for one in graph)
    assert flops / placed.limit_gflops / 1e9 >= memory_alone * (1 - 1e-9)


# ---------------------------------------------------------------- in words


@pytest.mark.parametrize(
    ("of_limit", "bound", "words"),
    [
        (
            Estimate(point=88.0, low=85.0, high=91.0),
            "int8 arithmetic",
            "x reaches 88 % (85 to 91) of its limit, which is int8 arithmetic: no more than 1.14 times (1.10 "
            "to 1.18) as fast is to be had of this graph in these precisions here",
        ),
        (
            Estimate(point=50.0, low=None, high=None),
            "f32 arithmetic",
            "x: 50 % of its limit, which is f32 arithmetic: too few visits to tell whether it is there",
        ),
        (
            Estimate(point=103.0, low=98.0, high=107.0),
            "int8 arithmetic",
            "x is at its limit, which is int8 arithmetic: 103 % (98 to 107) of the best kernel measured; "
            "what is left is less work, or a narrower precision",
        ),
        (
            Estimate(point=99.0, low=95.0, high=101.0),
            "int8 arithmetic",
            "x is at its limit, which is int8 arithmetic: 99 % (95 to 101) of the best kernel measured; "
            "what is left is less work, or a narrower precision",
        ),
        (
            Estimate(point=119.0, low=48.0, high=272.0),
            "int8 arithmetic",
            "x: 119 % (48 to 272) of its limit, which is int8 arithmetic: too uncertain to tell whether it "
            "is there, or up to 2.08 times as fast is to be had",
        ),
        (
            Estimate(point=100.0, low=None, high=None),
            "int8 arithmetic",
            "x: 100 % of its limit, which is int8 arithmetic: too few visits to tell whether it is there",
        ),
        (
            Estimate(point=60.0, low=58.0, high=62.0),
            "memory bandwidth",
            "x reaches 60 % (58 to 62) of its limit, which is memory bandwidth: 1.67 times (1.61 to 1.72) as "
            "fast is to be had by the memory's bandwidth alone; data that stays in caches can be faster",
        ),
        (
            Estimate(point=60.0, low=58.0, high=62.0),
            "f32 arithmetic and memory bandwidth",
            "x reaches 60 % (58 to 62) of its limit, which is f32 arithmetic and memory bandwidth: 1.67 "
            "times (1.61 to 1.72) as fast is to be had by the memory's bandwidth alone; data that stays in "
            "caches can be faster",
        ),
        (
            Estimate(point=99.0, low=95.0, high=101.0),
            "memory bandwidth",
            "x is at its limit, which is memory bandwidth: 99 % (95 to 101) by the memory's "
            "bandwidth alone; data that stays in caches can be faster",
        ),
        (
            Estimate(point=112.0, low=108.0, high=116.0),
            "f32 arithmetic",
            "x: 112 % (108 to 116) of the best kernel measured, which its own kernels outdo; the limit "
            "is f32 arithmetic",
        ),
        (
            Estimate(point=150.0, low=140.0, high=160.0),
            "memory bandwidth",
            "x: 150 % (140 to 160) of its limit, which is memory bandwidth: what its kernels hand on stays "
            "in caches, and those are faster than the memory that set the limit",
        ),
    ],
)
def test_the_headroom_in_words_is_honest_above_the_limit_too(
    of_limit: Estimate, bound: str, words: str
) -> None:
    assert said("x", of_limit, bound) == words


@pytest.mark.parametrize("low", [58.0, 95.0, 108.0])
def test_a_limit_that_was_measured_beside_other_work_bounds_nothing(low: float) -> None:
    of_limit = Estimate(point=low + 2, low=low, high=low + 4)
    words = said("x", of_limit, "f32 arithmetic", disturbed=True)
    assert "measured beside other work" in words and "bounds nothing" in words
    assert "as fast" not in words and "at its limit" not in words
    busy = Conditions(other_load=0.3, steal=0.0, frequency_mhz=None, energy_j=None)
    placed = place(
        roofline(measured(conditions=busy)),
        id="x",
        precision="FP32",
        executed=[Executed(precision="f32", flops=10**9, kernels=1, bytes=10**6)],
        batch=1,
        throughput_fps=Estimate(point=100.0, low=99.0, high=101.0),
    )
    assert placed is not None and "bounds nothing" in placed.words
