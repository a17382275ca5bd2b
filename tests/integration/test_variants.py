"""Model files in the cache: made once, whole or not there, on the real runtime."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import openvino as ov
import pytest
from archive_server import published, write_catalogue
from tiny import write_tiny_model

from perftool.errors import InputError, PerftoolError
from perftool.job import Prepare, Quantization
from perftool.model import entries
from perftool.model.sources import is_quantized, read, rebatch
from perftool.model.variants import prepare
from perftool.published.catalogue import VARIABLE, Original
from perftool.spec import Feeding, ImageFiles, Images, ModelFile, SyntheticImages, WeightFormat

CALIBRATION = SyntheticImages(part="calibration", count=4)


def ignore(stage: str, done: int, total: int) -> None:
    """Take no notice of progress."""


def job(
    folder: Path,
    weight_format: WeightFormat,
    *,
    model: Path | None = None,
    calibration: Images = CALIBRATION,
    preset: str = "MIXED",
) -> Prepare:
    path = model or folder / "tiny.xml"
    if not path.exists():
        write_tiny_model(path)
    return Prepare(
        model=ModelFile(path=str(path)),
        weight_format=weight_format,
        quantization=msgspec.convert({"calibration": calibration, "preset": preset}, Quantization),
        cache=str(folder / "cache"),
    )


def contents(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()}


def constant_types(path: str) -> set[str]:
    constants = [op for op in ov.Core().read_model(path).get_ops() if op.get_type_name() == "Constant"]
    return {op.get_element_type().get_type_name() for op in constants if len(op.get_shape()) == 4}


@pytest.mark.parametrize("weight_format", ["fp32", "fp16", "int8"])
def test_the_second_time_nothing_is_made(tmp_path: Path, weight_format: WeightFormat) -> None:
    stages: list[str] = []
    first = prepare(job(tmp_path, weight_format), lambda stage, done, total: stages.append(stage))
    assert not first.cached
    assert Path(first.path).is_file()
    assert first.file_bytes == sum(
        Path(first.path).with_suffix(ending).stat().st_size for ending in (".xml", ".bin")
    )
    assert first.peak_rss_bytes > 20e6
    assert first.duration_ns > 0
    assert "write the file" in stages
    assert ("calibrate" in stages) == (weight_format == "int8")
    assert first.calibration_images == (4 if weight_format == "int8" else 0)
    second = prepare(job(tmp_path, weight_format), ignore)
    assert second.cached
    assert (second.key, second.path, second.calibration_images) == (
        *(first.key, first.path),
        first.calibration_images,
    )


def test_the_formats_hold_what_they_promise(tmp_path: Path) -> None:
    full, half, quantized = (
        prepare(job(tmp_path, weight_format), ignore) for weight_format in ("fp32", "fp16", "int8")
    )
    assert constant_types(full.path) == {"f32"}
    assert "f16" in constant_types(half.path)
    assert "i8" in constant_types(quantized.path)
    assert not is_quantized(read(full.path))
    assert not is_quantized(read(half.path))
    assert is_quantized(read(quantized.path))
    for each in (full, half, quantized):
        assert list(read(each.path).inputs[0].get_shape()) == [1, 3, 32, 32]
        assert list(rebatch(read(each.path), 4).outputs[0].get_shape()) == [4, 10]


def test_the_key_covers_what_a_file_depends_on(tmp_path: Path) -> None:
    more = SyntheticImages(part="calibration", count=5)
    write_tiny_model(tmp_path / "other.xml", classes=11)
    jobs = [
        *(job(tmp_path, weight_format) for weight_format in ("fp32", "fp16", "int8")),
        job(tmp_path, "int8", calibration=more),
        job(tmp_path, "int8", preset="PERFORMANCE"),
        job(tmp_path, "fp32", model=tmp_path / "other.xml"),
    ]
    assert len({prepare(each, ignore).key for each in jobs}) == len(jobs)
    assert prepare(job(tmp_path, "fp32", calibration=more), ignore).cached


def knowing_the_tiny_model(path: Path, mean: float) -> Path:
    """Write a catalogue in which the tiny model's ports are those of a known one that wants this mean."""
    original = Original(
        input="data", shape=(1, 3, 32, 32), output="scores", layout="NCHW", color="BGR", mean=mean, scale=1.0
    )
    model = published(b"x", "http://a.example/x.tar.gz")
    return write_catalogue(path, msgspec.structs.replace(model, name="tiny", original=original))


def test_a_file_that_may_be_recognised_is_made_again_for_other_conventions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = msgspec.structs.replace(
        job(tmp_path, "fp32"), model=ModelFile(path=str(tmp_path / "tiny.xml"), feeding=Feeding(mean=(20.0,)))
    )
    unknown = prepare(job(tmp_path, "fp32"), ignore)
    prepare(stated, ignore)
    monkeypatch.setenv(VARIABLE, str(knowing_the_tiny_model(tmp_path / "c.toml", 10.0)))
    known = prepare(job(tmp_path, "fp32"), ignore)
    assert not known.cached and known.key != unknown.key
    knowing_the_tiny_model(tmp_path / "c.toml", 20.0)
    other = prepare(job(tmp_path, "fp32"), ignore)
    assert not other.cached and other.key not in (known.key, unknown.key)
    image = np.random.default_rng(2).integers(0, 256, (1, 3, 32, 32)).astype(np.float32)
    answers = [
        ov.Core().compile_model(found.path, "CPU")({0: image})[0]
        for found in (unknown, known, other, prepare(stated, ignore))
    ]
    assert not np.allclose(answers[0], answers[1]) and not np.allclose(answers[1], answers[2])
    np.testing.assert_allclose(answers[2], answers[3], atol=1e-5)
    assert prepare(stated, ignore).cached, "who states a feeding asks no catalogue"
    monkeypatch.delenv(VARIABLE)
    assert prepare(job(tmp_path, "fp32"), ignore).key == unknown.key


@pytest.mark.parametrize("damage", ["short", "flipped", "no weights", "no meta", "bad meta"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    first = prepare(job(tmp_path, "fp32"), ignore)
    entry = Path(first.path).parent
    weights, meta = entry / entries.WEIGHTS, entry / entries.META
    whole = weights.read_bytes()
    match damage:
        case "short":
            weights.write_bytes(whole[:-1])
        case "flipped":
            weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        case "no weights":
            weights.unlink()
        case "no meta":
            meta.unlink()
        case "bad meta":
            meta.write_text("{")
    again = prepare(job(tmp_path, "fp32"), ignore)
    assert not again.cached
    assert weights.read_bytes() == whole
    assert contents(tmp_path / "cache") == {first.key}
    assert prepare(job(tmp_path, "fp32"), ignore).cached


def test_a_faster_maker_is_respected(tmp_path: Path) -> None:
    first = prepare(job(tmp_path, "fp32"), ignore)
    entry = Path(first.path).parent
    meta = entries.verified(entry)
    assert meta is not None
    before = (entry / entries.MODEL).stat().st_ino
    with entries.workplace(entry) as folder:
        for name in meta.parts:
            (folder / name).write_bytes((entry / name).read_bytes())
        entries.publish(folder, entry, meta)
    assert (entry / entries.MODEL).stat().st_ino == before
    assert contents(entry.parent) == {first.key}


def test_a_killed_maker_leaves_nothing_that_counts(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from perftool.model import entries\n"
        "with entries.workplace(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'model.xml').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    cache = tmp_path / "cache"
    cache.mkdir()
    killed = subprocess.run([sys.executable, "-c", code, str(cache / "key")], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = cache.iterdir()
    entries.sweep_abandoned(cache)
    assert left.exists(), "a folder that was just made may belong to a maker that is about to lock it"
    long_ago = time.time() - 3600
    os.utime(left, (long_ago, long_ago))
    first = prepare(job(tmp_path, "fp32"), ignore)
    assert contents(cache) == {first.key}


def test_a_maker_at_work_is_left_alone(tmp_path: Path) -> None:
    with entries.workplace(tmp_path / "key") as folder:
        long_ago = time.time() - 3600
        os.utime(folder, (long_ago, long_ago))
        entries.sweep_abandoned(tmp_path)
        assert folder.exists()
    assert not folder.exists()


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    work = job(tmp_path, "fp32")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
    try:
        with pytest.raises(PerftoolError, match="the model cache cannot be written") as raised:
            prepare(work, ignore)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(raised.value)
    assert contents(tmp_path / "cache") == set()


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    work = job(tmp_path, "fp32")
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(PerftoolError, match="the model cache cannot be written"):
        prepare(work, ignore)


def test_a_missing_calibration_image_is_named(tmp_path: Path) -> None:
    absent = ImageFiles(directory=str(tmp_path), files=("absent.jpg",), labels=())
    with pytest.raises(InputError, match=r"absent\.jpg: no such image"):
        prepare(job(tmp_path, "int8", calibration=absent), ignore)


def test_a_model_that_comes_quantized_is_taken_as_it_is(tmp_path: Path) -> None:
    quantized = prepare(job(tmp_path, "int8"), ignore)
    given = tmp_path / "given.xml"
    for ending in (".xml", ".bin"):
        given.with_suffix(ending).write_bytes(Path(quantized.path).with_suffix(ending).read_bytes())
    stages: list[str] = []
    again = prepare(job(tmp_path, "int8", model=given), lambda stage, done, total: stages.append(stage))
    assert "calibrate" not in stages
    assert again.calibration_images == 0
    meta = entries.read_meta(again.path)
    assert meta is not None
    assert "comes quantized" in meta.note
    image = np.full((1, 3, 32, 32), 90, dtype=np.float32)
    first, second = (ov.Core().compile_model(path, "CPU")(image)[0] for path in (quantized.path, again.path))
    assert np.array_equal(first, second)


def test_nncf_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prepare(job(tmp_path, "int8"), ignore)
    assert capfd.readouterr().out == ""
