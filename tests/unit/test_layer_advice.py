"""Advice says what the data carry and no more, and bounds what it could gain by the whole request."""

import msgspec
import pytest
from journals import HOST
from layered import a_roofline, node, timed

from perftool.analysis.layers import layer_profile, layer_profiles
from perftool.analysis.roofline import Ceiling, Roofline
from perftool.analysis.stats import Estimate
from perftool.machine import Conditions
from perftool.record import LayersTimed


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
        ("FP16", "bf16", "do not choose FP16 for speed"),
        ("INT8", "f32", "quantized at all"),
        ("BF16", "f32", "do not choose BF16 for speed"),
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


def test_an_fp16_file_that_gains_no_speed_may_still_be_chosen_for_its_size() -> None:
    record = timed(node("a", *[100] * 6, flops=1_000_000, precision="f32"), precision="FP16")
    (advice,) = layer_profile(msgspec.structs.replace(record, weight_format="fp16")).advice
    assert advice.text.startswith("choose FP16 for its smaller file") and "not for speed" in advice.text
    assert "FP16 was asked for" in advice.reason


MORE_STREAMS = "try more streams, or a larger batch: cores wait for each other in small layers"
MORE_THREADS = "try more threads: the device's peaks were measured on 8 cores"


def test_cores_that_wait_are_seen_where_peaks_are_known() -> None:
    layer = node("a", *[1000] * 6, flops=80_000_000)  # A tenth of the peak.
    assert texts(timed(layer)) == []
    (advice,) = layer_profile(timed(layer), a_roofline()).advice
    assert advice.text == MORE_STREAMS and "10%" in advice.reason and "1 layer" in advice.reason
    assert advice.gain == pytest.approx(10)
    assert texts(timed(layer, streams=2, requests=2), a_roofline()) == [], "all threads have streams already"
    well = node("a", *[110] * 6, flops=80_000_000)
    assert texts(timed(well), a_roofline()) == []


def test_cores_are_not_said_to_wait_in_large_layers() -> None:
    large = node("large", *[60_000] * 6, flops=10_000_000_000)  # 12.5 ms at the peak.
    assert texts(timed(large, batch=64), a_roofline()) == []
    small = node("small", *[1000] * 6, flops=80_000_000)
    assert texts(timed(large, small), a_roofline()) == [], "what falls short is the large one"
    well = node("well", *[12_600] * 6, flops=10_000_000_000)
    (advice,) = layer_profile(timed(well, small), a_roofline()).advice
    assert advice.text == MORE_STREAMS and "1 layer" in advice.reason
    assert advice.gain == pytest.approx(13_600 / 12_700), "the large one as now"


@pytest.mark.parametrize("least", [0.65, 0.75])
def test_cores_are_said_to_wait_only_where_the_intervals_carry_it(least: float) -> None:
    """The peak is known to be a fifth too low at the most, so the limit a fifth too long."""
    peak = Estimate(point=800.0, low=800.0 / 1.05, high=800.0 * 1.05)
    roofline = msgspec.structs.replace(
        a_roofline(), ceilings=(Ceiling(precision="int8", kernel="matmul", gflops=peak),)
    )
    layer = node("a", *[100 / least] * 6, flops=80_000_000)
    assert texts(timed(layer), roofline) == ([MORE_STREAMS] if least < 0.7 else [])
    few = node("a", *[100 / least] * 5, flops=80_000_000)
    assert texts(timed(few), roofline) == [], "five carry no interval"
    spread = node("a", *[80, 90, 150, 160, 170, 180], flops=80_000_000)
    assert texts(timed(spread), roofline) == []


def test_disturbed_peaks_or_times_carry_no_advice_on_cores() -> None:
    layer = node("a", *[1000] * 6, flops=80_000_000)
    busy = msgspec.structs.replace(a_roofline(), disturbed=True)
    for threads in (2, 1):
        assert advised(timed(layer, threads=threads), busy, cores=8) == []
    disturbed = Conditions(other_load=0.5, steal=0.0, frequency_mhz=None, energy_j=None)
    assert advised(msgspec.structs.replace(timed(layer), conditions=disturbed), a_roofline(), cores=8) == []


def test_a_stream_without_a_request_is_said_whether_or_not_peaks_are_known() -> None:
    record = timed(node("a", *[100] * 6, flops=10_000_000), streams=4, threads=4, requests=1)
    for roofline in (None, a_roofline()):
        (advice,) = layer_profile(record, roofline).advice
        assert advice.text.startswith("keep more requests in flight") and advice.gain == 4
        assert "1 request in flight for 4 streams" in advice.reason


def test_the_memory_s_bandwidth_excuses_cores_and_bounds_no_gain() -> None:
    record = timed(node("a", *[1000] * 6, flops=80_000_000, moved=5_000_000))  # 100 us, or 500 from memory.
    (advice,) = layer_profile(record, a_roofline()).advice
    assert advice.gain == pytest.approx(10), "what stays in caches takes less than from memory"
    record = timed(node("a", *[1000] * 6, flops=80_000_000, moved=8_000_000))
    assert texts(record, a_roofline()) == [], "memory explains 80 % of its time"


def advised(record: LayersTimed, roofline: Roofline, cores: int) -> list[str]:
    host = msgspec.structs.replace(HOST, cores_physical=cores, cores_usable=cores)
    (found,) = layer_profiles([record], {"CPU": roofline}, host)
    return [one.text for one in found.advice]


@pytest.mark.parametrize(
    ("threads", "cores", "said"),
    [(2, 8, [MORE_THREADS]), (1, 8, [MORE_THREADS]), (8, 8, [MORE_STREAMS]), (1, 1, [])],
)
def test_cores_without_a_thread_wait_for_nobody(threads: int, cores: int, said: list[str]) -> None:
    record = timed(node("a", *[1000] * 6, flops=80_000_000), threads=threads)
    assert advised(record, a_roofline(), cores) == said


def test_layers_changed_in_layout_alone_are_not_told_to_change_precision() -> None:
    conv = node("c", *[90] * 6, precision="f32", reads="f32", writes="f32", flops=1)
    reorder = node("r", *[10] * 6, type="Reorder", precision="f32", originals=(), reads="f32", writes="f32")
    convert = node("q", *[10] * 6, type="Convert", originals=(), reads="f32", writes="u8")
    (layouts,) = layer_profile(timed(conv, reorder, precision="FP32")).advice
    assert "precision" not in layouts.text and "layout" in layouts.text
    assert "(1 between layouts)" in layouts.reason
    (precisions,) = layer_profile(timed(conv, convert, precision="FP32")).advice
    assert "one precision" in precisions.text and "layout" not in precisions.text + precisions.reason
    (both,) = layer_profile(timed(conv, convert, reorder, precision="FP32")).advice
    assert "precision and layout" in both.text
    assert "(1 between precisions, 1 between layouts)" in both.reason


def test_every_bound_is_of_the_whole_request() -> None:
    """The layers take half of it, and the rest takes as long as now."""
    record = timed(
        node("fast", *[100] * 6, flops=80_000_000),
        node("slow", *[60] * 6, flops=8_000_000, precision="f32"),
        node("r", *[40] * 6, type="Reorder", precision="f32", originals=(), reads="f32"),
        plain_us=[400.0] * 6,
    )
    gains = {one.text.split()[0]: one for one in layer_profile(record).advice}
    assert gains["quantize"].gain == pytest.approx(400 / (400 - 60 + 10))
    assert "15.0% of a request's time" in gains["quantize"].reason
    assert gains["bring"].gain == pytest.approx(400 / 360) and "10.0% of a request" in gains["bring"].reason
    assert gains["try"].gain == pytest.approx(2)
    short = node("r", *[7] * 6, type="Reorder", precision="f32", originals=(), reads="f32")
    record = timed(node("fast", *[190] * 6, flops=9), short, plain_us=[400.0] * 6)
    assert not [text for text in texts(record) if "bring" in text], "3.5 % of the layers, 1.75 % of all"


def test_a_float_layer_is_granted_no_less_than_it_has() -> None:
    record = timed(
        node("int8", *[100] * 6, flops=80_000_000),
        node("slow", *[100] * 6, flops=20_000_000, precision="f32"),
        node("quick", *[10] * 6, flops=16_000_000, precision="f32"),  # Twice the rate of the INT8 layer.
    )
    (advice,) = layer_profile(record).advice
    assert advice.gain == pytest.approx(210 / (100 + 25 + 10))


def test_time_outside_the_layers_is_said_when_it_is_sure() -> None:
    layer = node("a", *[500] * 6, flops=1_000_000)
    (advice,) = layer_profile(timed(layer, plain_us=[1000] * 6)).advice
    assert "larger batch" in advice.text and advice.gain == pytest.approx(2)
    assert "50.0% of a request's time at the least" in advice.reason
    assert texts(timed(layer, plain_us=[500] * 6)) == []
    assert texts(timed(layer, plain_us=[1000] * 6, tick_ns=600_000)) == [], "the counters may hide as much"
    few = node("a", *[500] * 3, flops=1_000_000)
    assert texts(timed(few, plain_us=[1000] * 3)) == [], "three carry no interval"


def test_what_is_outside_at_the_least_is_what_the_intervals_carry() -> None:
    latencies = [880 + spread for spread in (-80, -40, -20, 20, 40, 80)]
    sums = [300 + spread for spread in (-80, -40, -20, 20, 40, 80)]
    found = layer_profile(timed(node("a", *sums, flops=1_000_000), plain_us=latencies, tick_ns=100_000))
    (advice,) = found.advice
    plain, layers = found.plain_ms, found.sum_ms
    assert plain.low and plain.high and layers.low and layers.high
    assert 0.4 < layers.high < 0.5 < plain.low, "the upper end holds what the counters hide"
    assert f"{1 - layers.high / plain.low:.1%} of a request's time at the least" in advice.reason
    assert advice.gain == pytest.approx(plain.high / layers.low)


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
    assert "59.6%" in advice.reason, "0.202 ms of 0.5 at the most"
