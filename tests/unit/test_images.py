"""Preprocessing, image sets and input layouts."""

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from openvino import opset13 as ops

from perftool.errors import InputError
from perftool.model import images
from perftool.model.textures import draw_image, label_of
from perftool.spec import ImageFiles, SyntheticImages


def write_images(folder: Path, count: int, size: tuple[int, int] = (40, 60)) -> ImageFiles:
    rng = np.random.default_rng(3)
    names = tuple(f"{index}.png" for index in range(count))
    for index, name in enumerate(names):
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        pixels[:, :, 0] = index
        assert cv2.imwrite(str(folder / name), pixels)
    return ImageFiles(directory=str(folder), files=names, labels=tuple(range(count)))


def port(shape: list[int], element: type = np.float32):
    return ops.parameter(shape, element).output(0)


def test_crop_keeps_the_centre() -> None:
    image = np.arange(100 * 201 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 201, 3)
    # int(100 * 0.875) = 87 rows from (100 - 87) // 2 = 6; int(201 * 0.875) = 175 columns from 13.
    assert np.array_equal(images.preprocess(image, (87, 175)), image[6:93, 13:188])


def test_resize_does_not_antialias() -> None:
    columns = np.tile(np.array([0, 255], dtype=np.uint8), 32)
    image = np.repeat(np.tile(columns, (8, 1))[:, :, np.newaxis], 3, axis=2)
    # At a quarter of the width, each column lies halfway between two neighbours of opposite colour.
    resized = images.resize(image, (8, 16))
    assert resized.shape == (8, 16, 3)
    assert np.array_equal(resized, cv2.resize(image, (16, 8), interpolation=cv2.INTER_LINEAR))


def test_tiny_image_is_not_cropped_away() -> None:
    assert images.preprocess(np.full((1, 1, 3), 7, dtype=np.uint8), (4, 4)).tolist() == [[[7] * 3] * 4] * 4


def test_files_come_in_order_at_the_size(tmp_path: Path) -> None:
    files = write_images(tmp_path, 50)
    loaded = list(images.load_images(files, (16, 24)))
    assert [int(image[0, 0, 0]) for image in loaded] == list(range(50))
    assert {image.shape for image in loaded} == {(16, 24, 3)}


def test_look_ahead_is_bounded() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            started.append(item)
        return item

    mapped = images._in_order(work, range(10_000))
    assert next(mapped) == 0
    time.sleep(0.05)
    assert len(started) < 100
    mapped.close()


def test_grey_and_16_bit_images_become_colour(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "grey.png"), np.full((5, 5), 60_000, dtype=np.uint16))
    decoded = images.decode(tmp_path / "grey.png")
    assert decoded.shape == (5, 5, 3)
    assert decoded.dtype == np.uint8
    assert decoded[0, 0].tolist() == [60_000 // 256] * 3


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "no such image"), (b"", "an empty file"), (b"hello", "not an image"), ("cut", "damaged")],
)
def test_bad_image_is_named(tmp_path: Path, content: bytes | str | None, complaint: str) -> None:
    files = write_images(tmp_path, 3)
    bad = tmp_path / "1.png"
    whole = bad.read_bytes()
    bad.unlink()
    if content is not None:
        bad.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(InputError, match=complaint) as raised:
        list(images.load_images(files, (8, 8)))
    assert "1.png" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_built_in_images_turn_bgr() -> None:
    chosen = SyntheticImages(part="evaluation", count=3)
    loaded = list(images.load_images(chosen, (299, 299)))
    assert np.array_equal(loaded[2], draw_image("evaluation", 2)[:, :, ::-1])
    assert images.labels(chosen) == (label_of(0), label_of(1), label_of(2))
    small = list(images.load_images(chosen, (32, 48)))
    assert small[0].shape == (32, 48, 3)


def test_digest_of_files_covers_names_labels_and_contents(tmp_path: Path) -> None:
    files = write_images(tmp_path, 3)
    first = images.digest(files)
    assert images.digest(files) == first
    relabelled = ImageFiles(directory=files.directory, files=files.files, labels=(0, 1, 3))
    unlabelled = ImageFiles(directory=files.directory, files=files.files, labels=())
    fewer = ImageFiles(directory=files.directory, files=files.files[:2], labels=files.labels[:2])
    path = tmp_path / "1.png"
    digests = {first, images.digest(relabelled), images.digest(unlabelled), images.digest(fewer)}
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert len(digests | {images.digest(files)}) == 5


def test_digest_of_files_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert images.digest(write_images(tmp_path / "a", 2)) == images.digest(write_images(tmp_path / "b", 2))


def test_digest_of_built_in_images() -> None:
    sets = [
        SyntheticImages(part=part, count=count) for part in ("calibration", "evaluation") for count in (2, 30)
    ]
    assert len({images.digest(each) for each in sets}) == 4


def test_channels_first_float_input_stays_bgr() -> None:
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    array = images.to_input(image, port([1, 3, 2, 5]))
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert np.array_equal(array[0], image.transpose(2, 0, 1))
    assert images.to_input(image, port([1, 3, 2, 5], np.float16)).dtype == np.float16


def test_channels_last_input_is_rgb_only_for_uint8() -> None:
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    assert np.array_equal(images.to_input(image, port([4, 2, 5, 3]))[0], image)
    quantized = images.to_input(image, port([1, 2, 5, 3], np.uint8))
    assert quantized.dtype == np.uint8
    assert np.array_equal(quantized[0], image[:, :, ::-1])


def test_image_size() -> None:
    assert images.image_size(port([-1, 3, 20, 30])) == (20, 30)
    assert images.image_size(port([1, 20, 30, 3])) == (20, 30)
    with pytest.raises(InputError, match=r"not fixed: \[1,3,\?,30\]"):
        images.image_size(port([1, 3, -1, 30]))
    with pytest.raises(InputError, match="3 of them channels"):
        images.image_size(port([1, 1, 20, 30]))
