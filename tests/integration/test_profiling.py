"""Time by layer as a user asks for it: real kernels, real counters, the real command, on a tiny model."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from outcome import one_line
from recorded import records
from tiny import write_tiny_model

from perftool.analysis.layers import layer_profile
from perftool.bench.layers import time_layers
from perftool.errors import InputError
from perftool.job import Beside, Prepare, Quantization, TimeLayers
from perftool.journal import Finished
from perftool.model.variants import prepare
from perftool.record import LayersCompared, LayersTimed, Visited
from perftool.spec import Configuration, Explicit, ModelFile, Precision, SyntheticImages, WeightFormat
from perftool.sweep.layering import time_layers as time_in_child
from perftool.sweep.store import read

pytestmark = pytest.mark.usefixtures("known_peaks")

Command = Callable[..., "subprocess.CompletedProcess[str]"]

IMAGES = SyntheticImages(part="calibration", count=8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[WeightFormat, Path]:
    """Return a model that is slow enough for counters of whole microseconds, as each kind of file."""
    folder = tmp_path_factory.mktemp("files")
    source = ModelFile(path=str(write_tiny_model(folder / "tiny.xml", size=320)))
    formats: tuple[WeightFormat, ...] = ("fp32", "fp16", "int8")
    return {
        one: Path(
            prepare(
                Prepare(
                    model=source,
                    weight_format=one,
                    quantization=Quantization(calibration=IMAGES),
                    cache=str(folder / "cache"),
                ),
                lambda *_: None,
            ).path
        )
        for one in formats
    }


def timed(
    files: dict[WeightFormat, Path],
    precision: Precision,
    weight_format: WeightFormat,
    *,
    streams: int = 1,
    requests: int = 1,
    batch: int = 1,
    device: str = "CPU",
) -> LayersTimed:
    configuration = Configuration(
        id=precision.lower(),
        device=device,
        precision=precision,
        batch=batch,
        setting=Explicit(inference_precision="f32", streams=streams, threads=2),
        requests=requests,
    )
    job = TimeLayers(
        configuration=configuration, model_path=str(files[weight_format]), inputs=IMAGES, seconds=0.6
    )
    found = time_layers(job, lambda *_: None)
    assert isinstance(found, LayersTimed)
    return found


@pytest.fixture(scope="module")
def int8(files: dict[WeightFormat, Path]) -> LayersTimed:
    return timed(files, "INT8", "int8")


@pytest.fixture(scope="module")
def fp32(files: dict[WeightFormat, Path]) -> LayersTimed:
    return timed(files, "FP32", "fp32")


def test_convolutions_of_an_int8_file_run_as_int8_kernels(int8: LayersTimed) -> None:
    convolutions = [one for one in int8.layers if one.type == "Convolution"]
    assert {name for one in convolutions for name in one.originals} >= {"conv1", "conv2", "conv3"}
    assert {one.precision for one in convolutions} == {"int8"}
    assert all(one.flops and one.bytes and one.times_ns for one in convolutions)
    assert len({len(one.times_ns) for one in int8.layers if one.times_ns}) == 1


def test_layers_add_up_to_about_the_latency(files: dict[WeightFormat, Path]) -> None:
    record = timed(files, "FP32", "fp32", batch=16)
    found = layer_profile(record)
    assert found.executed_precision == "f32"
    assert 0.5 < found.sum_ms.point / found.counted_ms.point < 1.05, found
    assert 0.5 < found.plain_ms.point / found.counted_ms.point < 2
    assert len(record.plain_ns) == len(record.counted_ns)
    assert record.bursts == len(next(one.times_ns for one in record.layers if one.times_ns))


def test_layers_do_not_take_longer_than_the_request(int8: LayersTimed) -> None:
    found = layer_profile(int8)
    assert found.executed_precision == "int8"
    assert found.sum_ms.point < 1.05 * found.counted_ms.point, found


def test_changes_of_precision_are_seen(int8: LayersTimed) -> None:
    found = layer_profile(int8)
    assert found.transitions.layers > 0, [one.type for one in int8.layers]
    assert any(" to " in group.name for group in found.by_transition), found.by_transition


def test_an_fp16_file_runs_in_no_f16_kernel_where_the_cpu_has_none(files: dict[WeightFormat, Path]) -> None:
    found = timed(files, "FP16", "fp16")
    kernels = {one.precision for one in found.layers if one.flops}
    assert kernels == {"f32"}, "f32 was asked for, whatever the file is written in"
    assert any("FP16 was asked for" in one.reason for one in layer_profile(found).advice)


def test_all_operations_of_the_model_are_found_in_its_kernels(fp32: LayersTimed, int8: LayersTimed) -> None:
    multiplying = ("conv1", "conv2", "conv3", "logits")
    for record in (fp32, int8):
        work = {name: one.flops for one in record.layers for name in one.originals if name in multiplying}
        assert set(work) == set(multiplying) and all(work.values())
    quantized = sum(one.flops for one in int8.layers)
    assert quantized == pytest.approx(sum(one.flops for one in fp32.layers), rel=0.02)


def test_streams_run_side_by_side_and_requests_do_not_queue(files: dict[WeightFormat, Path]) -> None:
    found = timed(files, "FP32", "fp32", streams=2, requests=4)
    assert (found.streams, found.requests) == (2, 2)
    profile = layer_profile(found)
    assert 0.1 < profile.sum_ms.point / profile.counted_ms.point < 1.1


def test_a_batch_is_timed_whole(files: dict[WeightFormat, Path], fp32: LayersTimed) -> None:
    four = timed(files, "FP32", "fp32", batch=4)
    assert sum(layer.flops for layer in four.layers) == 4 * sum(layer.flops for layer in fp32.layers)
    assert layer_profile(four).sum_ms.point > 2 * layer_profile(fp32).sum_ms.point


def test_bursts_may_last_longer_than_a_child_may_be_silent(
    files: dict[WeightFormat, Path], fp32: LayersTimed, tmp_path: Path
) -> None:
    seconds, stall = 6.0, 1.0  # Two bursts are a quarter of the former.
    found = time_in_child(
        fp32.configuration, files["fp32"], IMAGES, seconds, tmp_path / "log", stall, lambda _: None
    )
    assert isinstance(found, LayersTimed), found


def test_two_configurations_take_turns_in_one_process(files: dict[WeightFormat, Path]) -> None:
    first, second = (
        Beside(
            configuration=Configuration(
                id=precision.lower(),
                device="CPU",
                precision=precision,
                batch=batch,
                setting=Explicit(inference_precision="f32", streams=1, threads=2),
                requests=1,
            ),
            model_path=str(files[weight_format]),
        )
        for precision, weight_format, batch in (("FP32", "fp32", 1), ("INT8", "int8", 2))
    )
    job = TimeLayers(
        configuration=first.configuration,
        model_path=first.model_path,
        inputs=IMAGES,
        seconds=0.6,
        beside=second,
    )
    steps: list[tuple[str, int, int]] = []
    found = time_layers(job, lambda *step: steps.append(step))
    assert isinstance(found, LayersCompared)
    assert [found.first.configuration, found.second.configuration] == [
        first.configuration,
        second.configuration,
    ]
    assert found.first.bursts == found.second.bursts and found.first.conditions == found.second.conditions
    one, other = layer_profile(found.first), layer_profile(found.second)
    assert (one.executed_precision, other.executed_precision) == ("f32", "int8")
    for profile in (one, other):
        assert 0 < profile.sum_ms.point < 1.1 * profile.counted_ms.point
    turns = [done for stage, done, _ in steps if stage == "time layers"]
    assert len(turns) == 2 * found.first.bursts


def test_a_device_without_counters_of_its_own_is_refused(files: dict[WeightFormat, Path]) -> None:
    with pytest.raises(InputError, match="AUTO hands requests on"):
        timed(files, "FP32", "fp32", device="AUTO")


# ---------------------------------------------------------------- the command


def test_the_command_compares_two_precisions_and_writes_them(
    perftool: Command, files: dict[WeightFormat, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "profile"
    done = perftool(
        *("profile", files["fp32"], "--precision", "INT8", "--against", "FP32", "--seconds", 0.5),
        *("--calibration-images", 8, "--to", folder, "--json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((folder / "profile.json").read_text())
    assert found["profile"]["executed_precision"] == "int8" and found["other"]["executed_precision"] == "f32"
    assert {"conv2", "conv3"} <= {one["name"] for one in found["changes"]["layers"]}
    for name in (
        "profile.txt",
        "samples.json",
        "plots/roofline.svg",
        "plots/layers.png",
        "plots/blocks.svg",
        "plots/layers_against.png",
    ):
        assert (folder / name).stat().st_size > 0
        assert f"wrote {folder / name}" in done.stderr
    assert "timing the layers of cpu-int8-b1-s1 and cpu-fp32-b1-s1" in done.stderr
    assert {one["verdict"] for one in found["changes"]["layers"]} <= {"gained", "lost", "tied", "undecided"}


def test_the_command_shows_tables(perftool: Command, files: dict[WeightFormat, Path]) -> None:
    done = perftool("profile", files["fp32"], "--seconds", 0.3, "--top", 2)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "conv3" in said and "its layers add up to" in said and "others" in said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--device", "AUTO"), 2, "AUTO hands requests on"),
        (("--seconds", "0"), 2, "--seconds"),
        (("--precision", "INT9"), 2, "--precision: expected"),
        (("--precision", "INT8", "--against", "INT8"), 2, "name another"),
        (("--batch", "1,2"), 2, "--batch: one configuration"),
        (("--streams", "64"), 2, "streams"),
        (("--device", "NPU"), 5, "NPU"),
    ],
)
def test_what_cannot_be_profiled_is_one_line(
    refused: Command, files: dict[WeightFormat, Path], arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = refused("profile", files["fp32"], *arguments)
    assert done.returncode == code, done.stderr
    assert said in one_line(done)


def test_what_cannot_be_timed_is_refused_before_the_peaks_are_measured(
    perftool: Command, tmp_path: Path
) -> None:
    data = ops.parameter([1, 3, 32, 32], np.float32, name="data")
    pooled = ops.reduce_mean(data, ops.constant([2, 3]), False)
    scores = ops.matmul(pooled, ops.constant(np.ones((3, 10), np.float32)), False, False)
    fixed = ops.reshape(scores, np.array([1, 10]), False)  # At no other batch.
    path = tmp_path / "fixed.xml"
    ov.save_model(ov.Model([ops.result(fixed)], [data], "whatever"), path)
    done = perftool("profile", path, "--batch", 4)
    assert done.returncode == 3, done.stderr
    assert f"{path}: model whatever cannot be reshaped to batch 4" in one_line(done)
    assert "peaks" not in done.stderr


def test_a_model_that_comes_quantized_is_not_compared_with_itself(
    refused: Command, files: dict[WeightFormat, Path]
) -> None:
    done = refused("profile", files["int8"], "--precision", "INT8", "--against", "FP32", "--seconds", 0.3)
    assert done.returncode == 2, done.stderr
    assert "FP32: the model comes quantized" in one_line(done)


def test_ctrl_c_is_one_line(environment: dict[str, str], files: dict[WeightFormat, Path]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "perftool", "profile", str(files["fp32"]), "--seconds", "60"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 120
    seen = ""
    while "timing the layers" not in seen and time.monotonic() < deadline:
        seen += process.stderr.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, seen + err
    assert err.strip().splitlines()[-1].startswith("perftool: stopped")
    assert "measured peaks are kept" in err
    assert "Traceback" not in err and out == ""


# ---------------------------------------------------------------- in a sweep


SWEEP = """
name = "layers"
search = "grid"

[[grids]]
precisions = ["FP32", "INT8"]

[policy]
rounds = 1
visit_seconds = 0.05
warmup_ceiling_seconds = 0.2
layer_seconds = 0.2

[accuracy]
synthetic = { calibration = 8, evaluation = 8 }

[limits]
accuracy_drop_pp = inf
"""


def test_a_sweep_times_its_choice_and_the_best_in_f32_once(
    perftool: Command, files: dict[WeightFormat, Path], tmp_path: Path
) -> None:
    profile, folder = tmp_path / "layers.toml", tmp_path / "run"
    profile.write_text(SWEEP)
    done = perftool("sweep", files["fp32"], "--profile", profile, "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    run = read(folder)
    timed = records(run, LayersTimed)
    chosen = json.loads(done.stdout)["recommendation"]["id"]
    assert [one.configuration.id for one in timed] == list(dict.fromkeys([chosen, "cpu-fp32-b1-s1"]))
    last_visit = max(at for at, entry in enumerate(run.entries) if isinstance(entry.record, Visited))
    assert all(
        at > last_visit for at, entry in enumerate(run.entries) if isinstance(entry.record, LayersTimed)
    )
    assert isinstance(run.entries[-1].record, Finished)
    shown = json.loads(done.stdout)["layers"]
    assert [one["id"] for one in shown] == [one.configuration.id for one in timed]
    assert "where the time of" in (folder / "report.txt").read_text()
    profiled = perftool("profile", folder, "--config", "cpu-int8-b1-s1", "--seconds", 0.2, "--json")
    assert profiled.returncode == 0, profiled.stderr
    found = json.loads(profiled.stdout)["profile"]
    assert (found["id"], found["executed_precision"]) == ("cpu-int8-b1-s1", "int8")
    again = perftool("sweep", "--resume", folder, "--json")
    assert again.returncode == 0, again.stderr
    assert records(read(folder), LayersTimed) == timed, "what was timed is not timed again"


@pytest.mark.real_data
def test_inception_v4_is_told_by_its_blocks(perftool: Command, real_data: Path) -> None:
    weights = real_data / "inception_v4" / "weights_fp16.npz"
    done = perftool("profile", "googlenet-v4-tf", "--weights", weights, "--seconds", 1, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["profile"]
    kinds = {group["name"]: group for group in found["by_type"]}
    assert kinds["Convolution"]["layers"] == 149 and kinds["Convolution"]["share"] > 0.8
    assert {f"InceptionV4/Mixed_5{letter}" for letter in "bcde"} <= {one["name"] for one in found["by_block"]}
    work = sum(one["gflops"] * one["time_us"]["point"] / 1e6 for one in found["layers"] if one["gflops"])
    assert work == pytest.approx(24.58, rel=0.01), "10^9 operations, as published"
    assert 0.5 < found["sum_ms"]["point"] / found["counted_ms"]["point"] < 1.05
