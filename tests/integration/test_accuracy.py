"""Classes that a compiled model gives, on the real runtime."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import openvino as ov
import pytest
from tiny import tiny_model, write_tiny_model

from perftool.bench.accuracy import Classified, classify, top_classes
from perftool.bench.evaluations import Seen, kept
from perftool.errors import InputError, PerftoolError
from perftool.job import Prepare, Quantization
from perftool.model.sources import load, read, rebatch
from perftool.model.variants import prepare
from perftool.spec import ImageFiles, Images, ModelFile, SyntheticImages, WeightedModel

F32 = {"INFERENCE_PRECISION_HINT": "f32"}
SYNTHETIC = SyntheticImages(part="evaluation", count=30)


def ignore(done: int, total: int) -> None:
    """Take no notice of progress."""


def compiled(model: ov.Model, batch: int = 1, streams: int = 1) -> ov.CompiledModel:
    properties = {**F32, "NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": "2"}
    return ov.Core().compile_model(rebatch(model, batch), "CPU", properties)


def files(folder: Path, count: int, label: int = 0) -> ImageFiles:
    names = tuple(f"{index}.png" for index in range(count))
    rng = np.random.default_rng(5)
    for name in names:
        assert cv2.imwrite(str(folder / name), rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    return ImageFiles(directory=str(folder), files=names, labels=(label,) * count)


# ---------------------------------------------------------------- top classes and labels


def test_ties_go_to_the_lowest_index() -> None:
    scores = np.array([[3, 9, 9, 0, 3, 3, 200], [0] * 7], dtype=np.uint8)
    assert top_classes(scores, range(2)) == [(6, 1, 2, 0, 4), (0, 1, 2, 3, 4)]


def test_few_classes_give_few() -> None:
    assert top_classes(np.array([[0.1, 0.7, 0.2]], dtype=np.float16), range(1)) == [(1, 2, 0)]


def test_nan_is_an_error_that_names_the_image() -> None:
    with pytest.raises(PerftoolError, match="image 41 "):
        top_classes(np.array([[0.5, 0.5], [np.nan, 0.5]], dtype=np.float32), (38, 41))


def test_labels_are_shifted_past_the_background(tmp_path: Path) -> None:
    model = compiled(tiny_model(classes=1001))
    found = classify(model, files(tmp_path, 3, label=999), ignore, labelled=True)
    assert (found.label_offset, found.labels, found.classes) == (1, (1000, 1000, 1000), 1001)
    assert "background" in found.label_note


def test_built_in_labels_are_not_shifted() -> None:
    found = classify(compiled(tiny_model(classes=1001)), SYNTHETIC, ignore, labelled=True)
    assert found.label_offset == 0
    assert len(found.labels) == 30
    assert min(found.labels) >= 1


@pytest.mark.parametrize(
    ("classes", "label", "complaint"),
    [
        (1001, 1001, r"label 1001 is outside 0\.\.999.*background"),
        (10, 10, r"10 is outside 0\.\.9"),
        (10, -1, "-1"),
    ],
)
def test_a_label_outside_the_classes_is_explained(
    tmp_path: Path, classes: int, label: int, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        classify(compiled(tiny_model(classes=classes)), files(tmp_path, 2, label), ignore, labelled=True)


def test_unlabelled_images_have_no_labels(tmp_path: Path) -> None:
    model = compiled(tiny_model())
    assert classify(model, SYNTHETIC, ignore, labelled=False).labels == ()
    unlabelled = ImageFiles(directory=str(tmp_path), files=files(tmp_path, 2).files, labels=())
    found = classify(model, unlabelled, ignore, labelled=True)
    assert (found.labels, found.label_offset, len(found.top5)) == ((), 0, 2)


# ---------------------------------------------------------------- classifying


def test_batch_and_streams_change_no_class() -> None:
    runs = [
        classify(compiled(tiny_model(), batch, streams), SYNTHETIC, ignore, labelled=False).top5
        for batch, streams in ((1, 1), (4, 1), (1, 2), (4, 2), (7, 2))
    ]
    assert all(run == runs[0] for run in runs)
    assert len(runs[0]) == 30
    assert len({classes[0] for classes in runs[0]}) > 1, "a model that gives one class would prove nothing"


def test_classes_are_those_of_single_inferences(tmp_path: Path) -> None:
    images = files(tmp_path, 9)
    model = compiled(
        load(ModelFile(path=str(write_tiny_model(tmp_path / "m.xml", dynamic_batch=True))), 4), 4
    )
    alone = compiled(tiny_model())
    expected = []
    for name in images.files:
        pixels = cv2.resize(cv2.imread(str(tmp_path / name))[2:37, 2:37], (32, 32))
        scores = alone(pixels.transpose(2, 0, 1)[np.newaxis].astype(np.float32))[0]
        expected.append(int(scores.argmax()))
    found = classify(model, images, ignore, labelled=False)
    assert [classes[0] for classes in found.top5] == expected


def test_progress_counts_images() -> None:
    seen: list[tuple[int, int]] = []
    classify(compiled(tiny_model(), 4), SYNTHETIC, lambda *at: seen.append(at), labelled=False)
    assert [done for done, _ in seen] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert {total for _, total in seen} == {30}


@pytest.mark.parametrize("batch", [1, 4])
def test_images_that_cannot_be_read_are_left_out_and_counted(tmp_path: Path, batch: int) -> None:
    images = msgspec.structs.replace(files(tmp_path, 20), labels=tuple(range(5)) * 4, missing=7)
    whole = classify(compiled(tiny_model(), batch, 2), images, ignore, labelled=True)
    (tmp_path / "0.png").unlink()
    (tmp_path / "11.png").write_bytes(b"no image")
    content = (tmp_path / "19.png").read_bytes()
    (tmp_path / "19.png").write_bytes(content[: len(content) // 2])
    found = classify(compiled(tiny_model(), batch, 2), images, ignore, labelled=True)
    assert found.left_out == ("0.png", "11.png", "19.png")
    assert (found.faults.missing, found.faults.corrupt, found.faults.truncated) == (7 + 1, 1, 1)
    there = [index for index in range(20) if index not in (0, 11, 19)]
    assert found.top5 == tuple(whole.top5[index] for index in there)
    assert found.labels == tuple(whole.labels[index] for index in there)


def test_where_no_image_can_be_read_that_is_an_error(tmp_path: Path) -> None:
    images = files(tmp_path, 3)
    for name in images.files:
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(InputError, match=r"0\.png"):
        classify(compiled(tiny_model(), 2, 2), images, ignore, labelled=False)


def test_an_evaluation_that_was_stopped_goes_on_at_its_next_image(tmp_path: Path) -> None:
    images = files(tmp_path, 30)
    (tmp_path / "20.png").write_bytes(b"no image")
    model = compiled(tiny_model(), 4, 2)
    whole = classify(model, images, ignore, labelled=True)

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done >= 12:
            raise Stopped

    with pytest.raises(Stopped), kept(tmp_path / "cache", "key") as done:
        classify(model, images, stop, labelled=True, kept=done)
    looked: list[int] = []
    with kept(tmp_path / "cache", "key") as done:
        assert 12 <= len(done.seen) < 30
        before = len(done.seen)
        found = classify(model, images, lambda at, _: looked.append(at), labelled=True, kept=done)
    assert looked[0] > before
    assert found.reused == before
    assert found._replace(reused=0) == whole
    with kept(tmp_path / "cache", "key") as done:
        assert len(done.seen) == 30 and done.seen[20] == Seen(top=(), found=("corrupt",))
        again = classify(model, images, ignore, labelled=True, kept=done)
    assert again.reused == 30 and again._replace(reused=0) == whole


@pytest.mark.parametrize("device", ["AUTO", "HETERO:CPU", "MULTI:CPU"])
def test_virtual_devices_classify(device: str) -> None:
    model = ov.Core().compile_model(tiny_model(), device)
    plain = classify(compiled(tiny_model()), SYNTHETIC, ignore, labelled=False)
    found = classify(model, SYNTHETIC, ignore, labelled=False)
    agreeing = sum(mine[0] == other[0] for mine, other in zip(found.top5, plain.top5, strict=True))
    assert agreeing >= 28, "the device may run in bf16"


# ---------------------------------------------------------------- real weights, real images


def real_images(folder: Path, start: int, stop: int) -> ImageFiles:
    pairs = [line.split() for line in (folder / "images" / "val.txt").read_text().splitlines()]
    chosen = pairs[start:stop]
    return ImageFiles(
        directory=str(folder / "images"),
        files=tuple(name for name, _ in chosen),
        labels=tuple(int(label) for _, label in chosen),
    )


@pytest.fixture(scope="module")
def real_model(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepare]:
    """Give the job that prepares the real weights in full precision."""
    yield Prepare(
        model=WeightedModel(
            name="googlenet-v4-tf", weights=str(real_data / "inception_v4" / "weights_fp16.npz")
        ),
        weight_format="fp32",
        quantization=Quantization(calibration=real_images(real_data, 384, 400)),
        cache=str(tmp_path_factory.mktemp("cache")),
    )


def evaluate(job: Prepare, images: Images, *, batch: int, streams: int) -> Classified:
    path = prepare(job, lambda stage, done, total: None).path
    return classify(compiled(read(path), batch, streams), images, ignore, labelled=True)


def top1(found: Classified) -> float:
    pairs = zip(found.top5, found.labels, strict=True)
    return sum(classes[0] == label for classes, label in pairs) / len(found.labels)


@pytest.mark.real_data
def test_real_inception_classifies_and_survives_int8(real_data: Path, real_model: Prepare) -> None:
    images = real_images(real_data, 0, 32)
    full = evaluate(real_model, images, batch=1, streams=2)
    assert top1(full) >= 0.75
    assert full.label_offset == 1
    batched = evaluate(real_model, real_images(real_data, 0, 8), batch=4, streams=1)
    assert batched.top5 == full.top5[:8]
    quantized = evaluate(
        msgspec.structs.replace(real_model, weight_format="int8"), images, batch=1, streams=2
    )
    agreeing = sum(mine[0] == other[0] for mine, other in zip(quantized.top5, full.top5, strict=True))
    assert agreeing >= 28
    assert top1(quantized) >= 0.75


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant", "mobilenet_v1_0.5_160_quant"])
def test_quantized_tflite_models_classify_in_rgb(real_data: Path, name: str) -> None:
    source = ModelFile(path=str(real_data / "tflite" / f"{name}.tflite"))
    images = real_images(real_data, 0, 100)
    model = ov.Core().compile_model(load(source, 1), "CPU", F32)
    assert top1(classify(model, images, ignore, labelled=True)) >= 0.35
    with pytest.raises(InputError, match="cannot be reshaped to batch 4"):
        load(source, 4)
