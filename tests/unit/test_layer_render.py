"""Layer profiles shown: figures in words and tables, names that cannot act, pictures that say what ran."""

import json

import msgspec
import pytest
from journals import HOST
from layered import node, timed
from peaks import measured

from perftool.analysis.layer_report import LayerReport, LayerSamples
from perftool.journal import FORMAT, Header, ModelIdentity
from perftool.machine import Conditions
from perftool.record import Failed, LayersTimed, PeaksMeasured
from perftool.render.files import as_text
from perftool.render.layer_files import layers_files
from perftool.render.layer_plots import by_block
from perftool.render.layers import layers_brief, layers_view
from perftool.render.roofline import layers_figure
from perftool.spec import Grid, Profile, ReferenceModel

HOSTILE = "[bold red]net[/]/\x1b[31mevil\n$x_{"


def samples(
    *records: LayersTimed, peaks: PeaksMeasured | None = None, lost: Failed | None = None
) -> LayerSamples:
    header = Header(
        format=FORMAT,
        created_ns=1_700_000_000_000_000_000,
        profile=Profile(name="profile", grids=(Grid(),)),
        model=ModelIdentity(
            name="some-net",
            source=ReferenceModel(name="googlenet-v4-tf"),
            digest="ab" * 32,
            reference=True,
            published=False,
        ),
        host=HOST,
    )
    return LayerSamples(
        header=header, timed=records, peaks=(peaks,) if peaks else (), lost=(lost,) if lost else ()
    )


def report(
    *records: LayersTimed, peaks: PeaksMeasured | None = None, lost: Failed | None = None
) -> LayerReport:
    return samples(*records, peaks=peaks, lost=lost).report()


def pictures(files: dict[str, bytes]) -> set[str]:
    """Return the names of the pictures, each of which is there in both kinds."""
    found = {name.removeprefix("plots/") for name in files if name.startswith("plots/")}
    names = {name.partition(".")[0] for name in found}
    assert found == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    return names


@pytest.fixture(scope="module")
def int8() -> LayersTimed:
    return timed(
        node("net/a/conv", *[5000, 5010, 4990, 5005, 5000, 4995], flops=2_000_000_000),
        node("net/a/pool", *[1000] * 6, type="Pooling", precision="f32", flops=1_000),
        node("reorder", *[500] * 6, type="Reorder", precision="f32", originals=(), reads="f32"),
        node("net/b/conv", *[400] * 6, precision="f32", flops=10_000_000),
        plain_us=[7000] * 6,
        counted_us=[7200] * 6,
        tick_ns=2000,
    )


@pytest.fixture(scope="module")
def f32() -> LayersTimed:
    return timed(
        node("net/a/conv", *[15000] * 6, flops=2_000_000_000, precision="f32"),
        node("net/a/pool", *[900] * 6, type="Pooling", precision="f32", flops=1_000),
        node("net/b/conv", *[400] * 6, precision="f32", flops=10_000_000),
        precision="FP32",
    )


def test_a_profile_tells_what_ran_what_it_took_and_how_it_adds_up(int8: LayersTimed) -> None:
    text = as_text(*layers_view(report(int8))).decode()
    assert "7.00 ms without counters, 7.20 ms with them (+2.9%)" in text
    assert "its layers add up to 6.90" in text and "95.8% of that" in text
    assert "net/a/conv" in text and "kernel_int8" in text and "400" in text
    assert "f32 to u8" in text
    assert "quantize net/b/conv" in text and "at most 1.0" in text
    assert "Pooling" in text


def test_the_percent_of_the_limit_is_told_with_the_limit_and_explained(int8: LayersTimed) -> None:
    found = report(int8, peaks=measured())
    text = " ".join(as_text(*layers_view(found)).decode().split())
    assert "limits of CPU (measured 2023" in text and "f32 200" in text and "memory 20" in text
    assert "of limit: the least time" in text
    assert json.loads(layers_files(found)["profile.json"])["rooflines"][0]["device"] == "CPU"
    assert "of limit" not in " ".join(as_text(*layers_view(report(int8))).decode().split())


def test_peaks_that_could_not_be_measured_are_told(int8: LayersTimed) -> None:
    lost = Failed(subject="CPU", stage="peaks", kind="timeout", reason="no answer within 180 s")
    text = " ".join(as_text(*layers_view(report(int8, lost=lost))).decode().split())
    assert "the peaks could not be measured of CPU: no answer within 180 s" in text


def test_peaks_beside_other_work_are_warned_of(int8: LayersTimed) -> None:
    busy = Conditions(other_load=0.5, steal=0.0, frequency_mhz=None, energy_j=None)
    text = " ".join(as_text(*layers_view(report(int8, peaks=measured(conditions=busy)))).decode().split())
    assert "the peaks of CPU were measured beside other work" in text


def test_what_whole_microseconds_hide_is_never_more_than_there_is() -> None:
    layer, short = node("a", *[100] * 6), [node(f"short{number}", moved=64) for number in range(300)]
    found = report(timed(layer, *short, plain_us=[500] * 6, counted_us=[500] * 6, tick_ns=2000))
    text = " ".join(as_text(*layers_view(found)).decode().split())
    assert "may hide all of the 0.40 ms between" in text


def test_the_rest_of_many_layers_is_summed(int8: LayersTimed) -> None:
    text = as_text(*layers_view(report(int8), 1)).decode()
    assert "3 others" in text and "1900" in text


def test_a_latency_of_nothing_is_told_and_divides_nothing() -> None:
    record = timed(node("a", *[0.0] * 6), plain_us=[0.0] * 6, counted_us=[0.0] * 6)
    assert "too short to be measured" in as_text(*layers_view(report(record))).decode()


def test_two_profiles_are_compared_layer_by_layer(int8: LayersTimed, f32: LayersTimed) -> None:
    text = as_text(*layers_view(report(int8, f32))).decode()
    faster, _, others = text.partition("not surely faster in cpu-int8-b1-s1")
    assert "net/a/conv" in faster[faster.index("faster in cpu-int8-b1-s1") :] and "gained" in faster
    assert "net/a/pool" in others and "lost" in others
    assert "int8/f32" in text and "3.00 (" in text
    assert "in cpu-int8-b1-s1 alone: 1 Reorder 500 us" in text
    said = " ".join(text.split())
    assert "by its layers, within one process; of 3 layers of the model 1 gained, 1 lost, 1 tied" in said
    assert "2.36x (2.36x to 2.37x) by its layers" in said
    assert "both were timed in one process, in turns" in said


def test_beside_other_work_none_is_said_to_have_gained(int8: LayersTimed, f32: LayersTimed) -> None:
    busy = Conditions(other_load=0.5, steal=0.0, frequency_mhz=None, energy_j=None)
    found = report(int8, msgspec.structs.replace(f32, conditions=busy))
    said = " ".join(as_text(*layers_view(found)).decode().split())
    assert "none is said to have gained or lost" in said
    assert " faster in cpu-int8-b1-s1" not in said.replace("not surely faster in", "")
    assert found.changes is not None
    assert {one.verdict for one in found.changes.layers} == {"undecided"}


def test_what_is_too_short_to_show_is_not_said_to_be_in_one_alone() -> None:
    one = timed(node("conv", *[900] * 6, flops=9), node("softmax", *[1] * 6, type="Softmax"))
    other = timed(
        node("conv", *[900] * 6, flops=9), node("softmax", type="Softmax", moved=8), precision="FP32"
    )
    said = " ".join(as_text(*layers_view(report(one, other))).decode().split())
    assert "in cpu-int8-b1-s1, and too short to show in cpu-fp32-b1-s1: 1 Softmax 1 us" in said
    assert "alone" not in said


def test_a_network_of_one_block_has_no_table_of_blocks_beside_another() -> None:
    records = [timed(node("conv", *[900] * 6, flops=9), precision=name) for name in ("INT8", "FP32")]
    text = as_text(*layers_view(report(*records))).decode()
    assert "(all)" not in text and "block of the network" not in text


def test_a_run_says_it_in_a_few_lines(int8: LayersTimed) -> None:
    text = layers_brief([report(int8).profile]).plain
    assert "where the time of cpu-int8-b1-s1 goes: Convolution 78%" in text
    assert "net/a/conv, 72.5%" in text


@pytest.mark.parametrize(("other_load", "steal"), [(0.5, 0.0), (None, 0.2)])
def test_what_was_timed_beside_other_work_says_so(
    int8: LayersTimed, f32: LayersTimed, other_load: float | None, steal: float | None
) -> None:
    busy = Conditions(other_load=other_load, steal=steal, frequency_mhz=None, energy_j=None)
    found = report(f32, msgspec.structs.replace(int8, conditions=busy))
    said = "took more than 10 % of the machine while cpu-int8-b1-s1 was timed"
    assert said in " ".join(as_text(*layers_view(found)).decode().split())
    assert found.other is not None and found.other.disturbed and not found.profile.disturbed
    brief = "took more than 10 % of the machine while it was timed"
    assert brief in layers_brief([found.other]).plain
    assert brief not in layers_brief([found.profile]).plain


def test_names_from_model_files_cannot_act() -> None:
    found = report(timed(node(HOSTILE, *[100] * 6, flops=1000), node("net/b", *[100] * 6, flops=1000)))
    files = layers_files(found)
    text = files["profile.txt"].decode()
    assert "\x1b" not in text and "[bold red]" in text
    assert json.loads(files["profile.json"])["profile"]["layers"][0]["name"] == HOSTILE


def test_of_many_blocks_the_costliest_are_drawn_and_the_title_says_so() -> None:
    nodes = [
        node(f"net/part{part:02}/conv{unit}", *[10.0 + part] * 6, flops=1000)
        for part in range(45)
        for unit in range(2)
    ]
    figure = by_block("some-net", report(timed(*nodes)).profile, None)
    drawn = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert drawn == [f"net/part{part:02}" for part in range(15, 45)], "in the order of execution"
    assert "the 30 costliest of 45" in figure.get_suptitle().replace("\n", " ")
    few = by_block("some-net", report(timed(*nodes[:20])).profile, None)
    assert "costliest" not in few.get_suptitle()


def test_pictures_are_the_same_each_time_and_name_what_ran(int8: LayersTimed, f32: LayersTimed) -> None:
    files = layers_files(report(int8, f32))
    assert pictures(files) == {"layers", "layers_against", "blocks"}
    assert files == layers_files(report(int8, f32))
    assert files["plots/layers.png"].startswith(b"\x89PNG")
    assert files["plots/blocks.svg"].lstrip().startswith(b"<?xml")


def test_layers_are_drawn_under_the_roofline_where_peaks_are_known(
    int8: LayersTimed, f32: LayersTimed
) -> None:
    moving = [
        msgspec.structs.replace(
            each, layers=tuple(msgspec.structs.replace(one, bytes=one.flops // 40) for one in each.layers)
        )
        for each in (int8, f32)
    ]
    files = layers_files(report(*moving, peaks=measured()))
    assert pictures(files) == {"layers", "layers_against", "blocks", "roofline", "roofline_against"}
    found = report(*moving, peaks=measured())
    figure = layers_figure("some-net", found.profile, found.rooflines[0])
    assert figure is not None and "cpu-int8-b1-s1" in figure.get_suptitle().replace("\n", " ")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "net/a/conv" in texts and any(text.startswith("int8 ") for text in texts)
    elsewhere = report(*moving, peaks=measured(device="GPU"))
    assert "roofline" not in pictures(layers_files(elsewhere))
    assert layers_figure("some-net", report(int8).profile, found.rooflines[0]) is None, "no bytes, no place"


def test_a_profile_is_worked_out_again_from_its_samples(int8: LayersTimed, f32: LayersTimed) -> None:
    lost = Failed(subject="GPU", stage="peaks", kind="timeout", reason="no answer within 180 s")
    kept = samples(int8, f32, peaks=measured(), lost=lost)
    files = layers_files(kept.report(), kept)
    again = msgspec.json.decode(files["samples.json"], type=LayerSamples)
    assert layers_files(again.report(), again) == files
    assert "samples.json" not in layers_files(kept.report())
