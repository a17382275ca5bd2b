"""A run under its devices' rooflines: figures, the column, the words, the picture, limits on it."""

import io
import xml.etree.ElementTree as ElementTree

import msgspec
import pytest
from journals import BASELINES, Journal, Measured, nine, three
from peaks import GFLOPS, QUIET, measured
from rich.cells import cell_len
from rich.console import Console

from perftool.analysis import metrics
from perftool.analysis.choose import choose
from perftool.analysis.layers import LayerGroup, LayerProfile, LayerRow
from perftool.analysis.limits import judge
from perftool.analysis.result import Document, Summary, document
from perftool.analysis.stats import Estimate
from perftool.analysis.summary import summarize
from perftool.analysis.wishes import parse_bound
from perftool.journal import ATTEMPTS, Entry, Planned, Run
from perftool.record import Compiled, Executed, Failed, PeaksMeasured
from perftool.render.plots import draw
from perftool.render.roofline import roofline_figure
from perftool.render.tables import run_view
from perftool.spec import Limits

FLOPS = 24 * 10**9
BYTES = {"f32": 300 * 10**6, "bf16": 150 * 10**6, "int8": 75 * 10**6}


def limited(run: Run, *peaks: PeaksMeasured) -> Run:
    """Give a run kernels that carry work, 98 % of it in the precision that counts, and its devices peaks."""
    plan = next(entry.record for entry in run.entries if isinstance(entry.record, Planned))
    batches = {one.id: one.batch for one in plan.configurations}

    def working(record: Compiled) -> Compiled:
        batch = batches[record.configuration]
        executed = tuple(
            Executed(
                precision=one.precision,
                flops=one.flops * FLOPS * batch // 100,
                kernels=one.kernels,
                bytes=one.flops * BYTES[one.precision] * batch // 100,
            )
            for one in record.executed
        )
        return msgspec.structs.replace(record, executed=executed)

    entries = [
        msgspec.structs.replace(entry, record=working(entry.record))
        if isinstance(entry.record, Compiled)
        else entry
        for entry in run.entries
    ]
    extra = tuple(Entry(at_ns=entries[0].at_ns, record=one) for one in peaks)
    return msgspec.structs.replace(run, entries=(*entries[:2], *extra, *entries[2:]))


LIMITED = limited(nine(), measured())
SUMMARY = summarize(LIMITED)


def of(id: str, summary: Summary = SUMMARY) -> Estimate:
    found = next(one for one in (*summary.configurations, *summary.baselines) if one.id == id).of_limit
    assert found is not None
    return found


def shown(summary: Summary, limits: Limits | None = None) -> str:
    text = io.StringIO()
    console = Console(file=text, width=100, no_color=True, color_system=None)
    console.print(*run_view(summary, choose(summary, "throughput", limits or Limits())))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def test_every_measured_configuration_and_baseline_is_placed() -> None:
    assert [one.device for one in SUMMARY.rooflines] == ["CPU"]
    everything = (*SUMMARY.configurations, *SUMMARY.baselines)
    assert {one.id for one in SUMMARY.placed} == {one.id for one in everything}
    # 33 images/s of 24 GFLOP, 98 % of them int8 and 2 % f32, on 800 and 200 GFLOP/s.
    limit = 1 / (24 * 0.98 / 800 + 24 * 0.02 / 200)
    assert of("cpu-int8-b1-s2").point == pytest.approx(100 * 33 / limit, rel=0.02)
    assert of("cpu-fp32-b1-s1").point == pytest.approx(100 * 8.4 * 24 / 200, rel=0.05)


def test_the_batch_changes_nothing_but_the_throughput() -> None:
    throughput = {one.id: one.throughput_fps for one in SUMMARY.configurations}
    one, four = throughput["cpu-int8-b1-s2"], throughput["cpu-int8-b4-s1"]
    assert one is not None and four is not None
    ratio = of("cpu-int8-b1-s2").point / of("cpu-int8-b4-s1").point
    assert ratio == pytest.approx(one.point / four.point)


def test_rounds_carry_the_percent_of_the_limit_as_they_carry_the_throughput() -> None:
    series = SUMMARY.series["cpu-int8-b1-s2"]
    scale = of("cpu-int8-b1-s2").point / SUMMARY.configurations[-2].throughput_fps.point  # type: ignore[union-attr]
    assert series.of_limit == pytest.approx({at: scale * fps for at, fps in series.throughput_fps.items()})
    assert metrics.OF_LIMIT.series is not None
    assert len(metrics.OF_LIMIT.series(series)) == 6


def test_a_run_without_peaks_has_none_and_shows_none() -> None:
    old = summarize(nine())
    assert old.rooflines == old.placed == ()
    assert all(one.of_limit is None for one in (*old.configurations, *old.baselines))
    assert metrics.why_missing(metrics.OF_LIMIT, old.configurations[0]) == "the peaks of CPU not measured"
    text = shown(old)
    assert "of limit" not in text and "limits of" not in text
    assert not any("roofline" in name for name in draw(old, choose(old, "throughput", Limits())))


def test_kernels_of_an_old_journal_whose_bytes_nobody_counted_are_not_placed() -> None:
    run = nine()
    entries = (*run.entries[:2], Entry(at_ns=1, record=measured()), *run.entries[2:])
    summary = summarize(msgspec.structs.replace(run, entries=entries))
    assert len(summary.rooflines) == 1 and summary.placed == ()
    assert "of limit" not in shown(summary) and "limits of CPU" in shown(summary)


def test_peaks_of_another_device_place_nothing() -> None:
    summary = summarize(limited(nine(), measured(device="GPU")))
    assert summary.placed == ()


def test_peaks_that_make_no_roofline_cost_a_journal_nothing_else() -> None:
    useless = measured({"f16+unknown": 200.0})
    summary, without = summarize(limited(nine(), useless)), summarize(limited(nine()))
    assert summary.rooflines == summary.placed == ()
    assert summary.configurations == without.configurations
    assert summarize(limited(nine(), measured(), useless)) == SUMMARY, "those before it still count"


@pytest.mark.parametrize(("share", "known"), [(1.0, True), (0.25, False)])
def test_far_above_peaks_that_were_disturbed_the_percent_is_unreliable(share: float, known: bool) -> None:
    """INT8 reaches 98 % of what the peaks would be on a quiet machine, and other load took some of them."""
    busy = msgspec.structs.replace(QUIET, other_load=0.7)
    peaks = measured({name: share * rate for name, rate in GFLOPS.items()}, 20.0 * share, conditions=busy)
    summary = summarize(limited(nine(), peaks))
    result = next(one for one in summary.configurations if one.id == "cpu-int8-b1-s2")
    placed = next(one for one in summary.placed if one.id == result.id)
    assert (result.of_limit is not None) == known
    assert placed.words.startswith("cpu-int8-b1-s2: unreliable, ") != known
    assert bool(summary.series[result.id].of_limit) == known
    quiet = measured({name: share * rate for name, rate in GFLOPS.items()}, 20.0 * share)
    assert of("cpu-int8-b1-s2", summarize(limited(nine(), quiet))).point > 0


def test_what_was_given_up_is_not_placed() -> None:
    id = SUMMARY.placed[0].id
    again = Failed(subject=id, stage="compile", kind="crash", reason="killed by SIGILL")
    entries = (*LIMITED.entries, *[Entry(at_ns=1, record=again)] * ATTEMPTS)
    summary = summarize(msgspec.structs.replace(LIMITED, entries=entries))
    lost = next(one for one in (*summary.configurations, *summary.baselines) if one.id == id)
    assert lost.status == "failed" and lost.throughput_fps is not None
    assert summary.placed == tuple(one for one in SUMMARY.placed if one.id != id)


def test_peaks_that_could_not_be_measured_fail_nothing() -> None:
    lost = Failed(subject="CPU", stage="peaks", kind="crash", reason="killed by SIGILL")
    run = nine()
    entries = (*run.entries[:2], Entry(at_ns=1, record=lost), *run.entries[2:])
    summary, without = summarize(msgspec.structs.replace(run, entries=entries)), summarize(run)
    assert summary.configurations == without.configurations
    assert choose(summary, "throughput", Limits()) == choose(without, "throughput", Limits())


def test_it_takes_a_limit_like_any_metric() -> None:
    bound = parse_bound("of_limit >= 100 %")
    found = choose(SUMMARY, "throughput", Limits(accuracy_drop_pp=None, bounds=(bound,)))
    assert found.id is not None and of(found.id).point >= 100
    reasons = {one.id: one.reason for one in found.rejected}
    low = next(one for one in SUMMARY.configurations if one.id == "cpu-int8-b1-s1")
    assert reasons[low.id].startswith("of limit 90 ") and "% < 100 %" in reasons[low.id]
    assert judge(low, Limits(accuracy_drop_pp=None, bounds=(bound,))).missed == ("of_limit",)


def test_the_json_holds_rooflines_and_places_and_reads_back() -> None:
    whole = document(SUMMARY, choose(SUMMARY, "throughput", Limits()))
    text = msgspec.json.encode(whole)
    assert msgspec.json.decode(text, type=Document) == whole
    found = msgspec.json.decode(text)
    assert set(found["placed"][0]) >= {
        "id",
        "intensity",
        "gflops",
        "limit_gflops",
        "of_limit",
        "bound",
        "words",
    }
    assert found["rooflines"][0]["ceilings"][0]["precision"] == "int8"


# ---------------------------------------------------------------- shown


@pytest.mark.parametrize("run", [LIMITED, limited(three(), measured())], ids=["nine", "three"])
def test_the_column_fits_and_memory_moves_to_the_other_table(run: Run) -> None:
    text = shown(summarize(run))
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    table, _, rest = text.partition("start-up, memory")
    assert "of limit" in table and " MB " not in table.split("configuration")[0]
    assert "memory" in rest.splitlines()[0] or "memory" in table.splitlines()[-1]


def test_where_memory_was_asked_about_it_stays_and_the_percent_of_the_limit_moves() -> None:
    text = shown(SUMMARY, Limits(memory_mb=500))
    lines = text.splitlines()
    first = next(line for line in lines if "throughput" in line and "p50" in line)
    second = next(line for line in lines if "compiling" in line and "loaded" in line)
    assert "memory" in first and "of limit" not in first
    assert "of limit" in second
    assert max(cell_len(line) for line in lines) <= 100


def test_the_limits_are_told_with_the_choice_first_and_one_of_each_precision() -> None:
    lines = shown(SUMMARY).splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("limits of CPU (measured 2023-11-14"))
    told = " ".join(line.strip() for line in lines[start : start + 16])
    assert "int8 800 ±13, bf16 400.0 ±6.6, f32 200.0 ±3.3 GFLOP/s; memory 20.00 ±0.33 GB/s" in told
    chosen = choose(SUMMARY, "throughput", Limits()).id
    assert told.index(f"{chosen} ") < told.index("cpu-bf16-b1-s2 ") < told.index("cpu-fp32-b1-s2 ")
    assert "cpu-bf16-b1-s1" not in told


def test_the_picture_is_drawn_the_same_twice_and_whatever_names_hold() -> None:
    hostile = Measured(device="$\\frac{ \x1b<b>")
    journal = Journal((hostile, *BASELINES), name="a & <b> $x$")
    run = limited(journal.run(), measured(device=hostile.device), measured())
    summary = summarize(run)
    found = draw(summary, choose(summary, "throughput", Limits(accuracy_drop_pp=None)))
    assert {"roofline.png", "roofline.svg", "roofline_2.png"} <= set(found)
    assert found == draw(summary, choose(summary, "throughput", Limits(accuracy_drop_pp=None)))
    ElementTree.fromstring(found["roofline.svg"])


def row(gflops: float | None, intensity: float | None, share: float) -> LayerRow:
    return LayerRow(
        name="conv",
        type="Convolution",
        kernel="brgconv_avx512_I8",
        precision="int8",
        block="(all)",
        originals=("conv",),
        output_shape=(1, 8),
        time_us=Estimate(point=1.0, low=None, high=None),
        share=share,
        gflops=gflops,
        device_gflops=None if gflops is None else 2 * gflops,
        of_peak=None,
        of_limit=None,
        intensity=intensity,
    )


def test_layers_that_carry_operations_are_drawn_hollow_by_their_share() -> None:
    none = LayerGroup(name="", layers=0, time_us=0.0, share=0.0, gflops=None)
    milliseconds = Estimate(point=1.0, low=None, high=None)
    profile = LayerProfile(
        id="cpu-int8-b1-s2",
        device="CPU",
        precision="INT8",
        executed_precision="int8",
        batch=1,
        streams=2,
        threads=2,
        requests=2,
        inferences=9,
        plain_ms=milliseconds,
        counted_ms=milliseconds,
        sum_ms=milliseconds,
        layers=(row(350.0, 300.0, 0.6), row(2.5, 0.5, 0.3), row(None, None, 0.1)),
        by_type=(),
        by_block=(),
        by_precision=(),
        transitions=none,
        advice=(),
    )
    summary = msgspec.structs.replace(SUMMARY, layers=(profile,))
    figure = roofline_figure(summary, choose(summary, "throughput", Limits()), SUMMARY.rooflines[0])
    assert figure is not None
    axes = figure.axes[0]
    areas = [
        float(one.get_sizes()[0])
        for one in axes.collections
        if hasattr(one, "get_sizes") and len(one.get_sizes())
    ]
    assert sorted(areas) == pytest.approx([270.0, 540.0])
    spots = {(float(x), float(y)) for one in axes.collections for x, y in one.get_offsets()}
    assert {(300.0, 700.0), (0.5, 5.0)} <= spots, "two requests share the device that the ceilings are of"
    assert axes.get_xlim()[0] < 0.5 and axes.get_ylim()[0] < 5.0, "every layer is in view"


def test_every_ceiling_and_every_point_is_in_view_and_named() -> None:
    figure = roofline_figure(SUMMARY, choose(SUMMARY, "throughput", Limits()), SUMMARY.rooflines[0])
    assert figure is not None
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    assert low < 8 * 24 and max(GFLOPS.values()) < high
    texts = {text.get_text() for text in axes.texts}
    assert {"int8 800", "bf16 400", "f32 200", "memory 20 GB/s"} <= texts
