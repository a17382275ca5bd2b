"""Preprocessing, image sets and input layouts."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as ops

from perftool.errors import InputError
from perftool.images import sets as images
from perftool.images.textures import draw_image
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


# ---------------------------------------------------------------- images that cannot be read


def damage(folder: Path, name: str, content: bytes | None) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)


def with_damage(folder: Path) -> ImageFiles:
    """Write eight images, of which 0, 3 and 6 cannot be read and 4 is grey."""
    files = write_images(folder, 8)
    damage(folder, "0.png", (folder / "0.png").read_bytes()[:-20])
    damage(folder, "3.png", b"no image")
    damage(folder, "6.png", None)
    assert cv2.imwrite(str(folder / "4.png"), np.full((40, 60), 4, dtype=np.uint8))
    return files


def test_every_image_has_an_outcome_in_order(tmp_path: Path) -> None:
    decoded = list(images.decode_images(with_damage(tmp_path), (16, 24)))
    assert [image.found for image in decoded] == [
        ("truncated",),
        (),
        (),
        ("corrupt",),
        ("greyscale",),
        (),
        ("missing",),
        (),
    ]
    assert [None if image.pixels is None else int(image.pixels[0, 0, 0]) for image in decoded] == [
        *(None, 1, 2, None, 4, 5, None, 7)
    ]
    assert {image.pixels.shape for image in decoded if image.pixels is not None} == {(16, 24, 3)}
    assert [decoded[at].reason for at in (3, 6)] == [
        "not an image, of a format that is not read, or a damaged one",
        "no such image",
    ]


@pytest.mark.parametrize("start", [0, 1, 4, 7, 8])
def test_going_on_at_an_image_gives_the_rest(tmp_path: Path, start: int) -> None:
    files = with_damage(tmp_path)
    whole = list(images.decode_images(files, (16, 24)))
    rest = list(images.decode_images(files, (16, 24), start))
    assert [image.found for image in rest] == [image.found for image in whole[start:]]
    for one, other in zip(rest, whole[start:], strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_going_on_works_for_the_built_in_images() -> None:
    chosen = SyntheticImages(part="evaluation", count=5)
    whole = list(images.decode_images(chosen, (299, 299)))
    rest = list(images.decode_images(chosen, (299, 299), 3))
    assert [image.found for image in whole] == [()] * 5
    for one, other in zip(rest, whole[3:], strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_what_is_loaded_is_what_can_be_read(tmp_path: Path) -> None:
    files = with_damage(tmp_path)
    assert [int(image[0, 0, 0]) for image in images.load_images(files, (16, 24))] == [1, 2, 4, 5, 7]
    loaders = images.image_loaders(files, (16, 24))
    assert [int(load()[0, 0, 0]) for load in loaders] == [1, 2, 4, 5, 7]


def test_an_image_that_is_gone_by_the_time_it_is_loaded_is_named(tmp_path: Path) -> None:
    loaders = images.image_loaders(write_images(tmp_path, 2), (16, 24))
    (tmp_path / "1.png").unlink()
    loaders[0]()
    with pytest.raises(InputError, match=r"1\.png: no such image"):
        loaders[1]()


@pytest.mark.parametrize("use", [images.load_images, images.decode_images, images.image_loaders])
def test_a_set_of_which_nothing_can_be_read_is_an_error(tmp_path: Path, use: Callable) -> None:
    files = write_images(tmp_path, 3)
    for name in files.files:
        damage(tmp_path, name, b"")
    with pytest.raises(InputError) as raised:
        list(use(files, (8, 8)))
    assert (
        str(raised.value)
        == f"{tmp_path / '0.png'}: an empty file, as 2 more: no image of the set can be read"
    )


def test_a_name_that_is_no_file_is_missing(tmp_path: Path) -> None:
    files = write_images(tmp_path, 1)
    (tmp_path / "folder.png").mkdir()
    odd = ImageFiles(directory=files.directory, files=(*files.files, "folder.png", "a\0b.png"), labels=())
    found = [image.found for image in images.decode_images(odd, (8, 8))]
    assert found == [(), ("missing",), ("missing",)]


# ---------------------------------------------------------------- geometries


def ramp(height: int, width: int) -> np.ndarray:
    """Return an image whose channels tell where a pixel is from: row, column."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.dstack([rows, columns, rows + columns]).astype(np.uint8)


@pytest.mark.parametrize(
    ("given", "size", "scaled"),
    [
        ((375, 500), (224, 224), (256, 341)),  # int(256 * 500 / 375) = int(341.33)
        ((500, 375), (224, 224), (341, 256)),
        ((375, 500), (299, 299), (342, 456)),  # round(299 * 256 / 224) = round(341.71)
        ((224, 224), (224, 224), (256, 256)),
        ((100, 1000), (224, 224), (256, 2560)),
        ((375, 500), (128, 256), (219, 293)),  # 292.57 wide, since 146 rows would leave only 195 columns
        ((600, 300), (128, 256), (586, 293)),
        ((1, 1), (3, 2), (3, 3)),
    ],
)
def test_resize_crop_scales_the_shorter_side_and_crops_the_centre(
    given: tuple[int, int], size: tuple[int, int], scaled: tuple[int, int]
) -> None:
    image = ramp(*given)
    whole = images.resize(image, scaled)
    top, left = round((scaled[0] - size[0]) / 2.0), round((scaled[1] - size[1]) / 2.0)
    expected = whole[top : top + size[0], left : left + size[1]]
    found = images.preprocess(image, size, "resize-crop")
    assert found.shape == (*size, 3)
    assert found.flags.c_contiguous
    assert np.array_equal(found, expected)


@settings(deadline=None, max_examples=60)
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_every_geometry_gives_the_size_whatever_the_image(
    given: tuple[int, int], size: tuple[int, int]
) -> None:
    for geometry in ("central-crop", "resize-crop", "resize"):
        assert images.preprocess(ramp(*given), size, geometry).shape == (*size, 3)


def test_resize_crops_nothing() -> None:
    image = ramp(40, 60)
    found = images.preprocess(image, (20, 20), "resize")
    assert np.array_equal(found, cv2.resize(image, (20, 20), interpolation=cv2.INTER_LINEAR))


def test_a_sets_geometry_is_applied_and_counts(tmp_path: Path) -> None:
    files = write_images(tmp_path, 2)
    digests = set()
    for geometry in ("central-crop", "resize-crop", "resize"):
        chosen = msgspec.structs.replace(files, geometry=geometry)
        digests.add(images.digest(chosen))
        expected = images.preprocess(cv2.imread(str(tmp_path / "1.png")), (16, 16), geometry)
        assert np.array_equal(list(images.load_images(chosen, (16, 16)))[1], expected)
        assert np.array_equal(images.image_loaders(chosen, (16, 16))[1](), expected)
    assert len(digests) == 3


# ---------------------------------------------------------------- built-in images, digests


def test_built_in_images_turn_bgr() -> None:
    chosen = SyntheticImages(part="evaluation", count=3)
    loaded = list(images.load_images(chosen, (299, 299)))
    assert np.array_equal(loaded[2], draw_image("evaluation", 2)[:, :, ::-1])
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


def test_a_file_that_is_not_there_counts_as_that_in_the_digest(tmp_path: Path) -> None:
    files = write_images(tmp_path, 2)
    looked: list[tuple[int, int]] = []
    whole = images.digest(files, lambda done, total: looked.append((done, total)))
    assert looked == [(0, 2)]
    (tmp_path / "1.png").unlink()
    without = images.digest(files)
    assert without != whole and images.digest(files) == without


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
