"""Data sets: label files and their faults, splits that are disjoint and the same everywhere."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perftool.errors import InputError
from perftool.model.dataset import images_for, read_dataset, split
from perftool.spec import Dataset, Grid, ImageFiles, Images, Profile, SyntheticImages


def folder_of(path: Path, count: int, labelled: bool = True) -> Path:
    path.mkdir(parents=True)
    names = [f"img_{number:03}.jpg" for number in range(count)]
    for name in names:
        (path / name).write_bytes(b"")
    if labelled:
        (path / "val.txt").write_text("".join(f"{name} {at % 7}\n" for at, name in enumerate(names)))
    return path


def files(images: Images) -> tuple[str, ...]:
    assert isinstance(images, ImageFiles)
    return images.files


def profile(directory: Path, labels: Path | None = None, calibration: Path | None = None) -> Profile:
    images = Dataset(
        directory=str(directory),
        labels=str(labels) if labels else None,
        calibration=str(calibration) if calibration else None,
    )
    return Profile(name="test", grids=(Grid(),), images=images)


# ---------------------------------------------------------------- reading


def test_the_folders_own_label_file_is_read_in_its_order(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 3)
    (images / "val.txt").write_text("img_002.jpg 5\n\n  img_000.jpg\t0 \r\n./img_001.jpg 999\n")
    assert read_dataset(images) == ImageFiles(
        directory=str(images), files=("img_002.jpg", "img_000.jpg", "img_001.jpg"), labels=(5, 0, 999)
    )


def test_a_named_label_file_wins_and_names_may_hold_blanks(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 3)
    (images / "a cat.png").write_bytes(b"")
    labels = tmp_path / "labels.txt"
    labels.write_text("a cat.png 281\n")
    assert read_dataset(str(images), str(labels)).files == ("a cat.png",)
    assert read_dataset(str(images), str(labels)).labels == (281,)


def test_without_labels_all_images_by_suffix_sorted(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 2, labelled=False)
    for name in ("b.PNG", "a.jpeg", "notes.txt", "noise.npy"):
        (images / name).write_bytes(b"")
    assert read_dataset(images) == ImageFiles(
        directory=str(images), files=("a.jpeg", "b.PNG", "img_000.jpg", "img_001.jpg"), labels=()
    )


def test_the_directory_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path / "images", 1)
    monkeypatch.chdir(tmp_path)
    assert read_dataset("images").directory == str(tmp_path / "images")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("img_000.jpg 1\nimg_001.jpg\n", 'line 2: expected "file index", got "img_001.jpg"'),
        ("\nimg_000.jpg cat\n", 'line 2: expected "file index", got "img_000.jpg cat"'),
        ("img_000.jpg 1.5\n", 'line 1: expected "file index", got "img_000.jpg 1.5"'),
        ("img_000.jpg -1\n", "line 1: expected a class index >= 0, got -1"),
        ("img_000.jpg 1\nimg_001.jpg 1\n./img_000.jpg 2\n", "line 3: img_000.jpg is listed twice"),
        ("\n \n", "lists no images"),
    ],
)
def test_a_fault_in_a_label_file_names_its_line(tmp_path: Path, text: str, expected: str) -> None:
    images = folder_of(tmp_path / "images", 2)
    (images / "val.txt").write_text(text)
    with pytest.raises(InputError) as error:
        read_dataset(images)
    assert str(error.value) == f"{images / 'val.txt'}: {expected}"


def test_missing_images_are_counted_and_the_first_named(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 6)
    for number in (1, 2, 3, 5):
        (images / f"img_00{number}.jpg").unlink()
    with pytest.raises(InputError) as error:
        read_dataset(images)
    assert str(error.value) == (
        f"{images / 'val.txt'}: 4 listed images not in {images}: "
        "img_001.jpg, img_002.jpg, img_003.jpg and 1 more"
    )


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder of images"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no images"):
        read_dataset(tmp_path)
    with pytest.raises(InputError, match=r"val.txt: cannot be read: No such file"):
        read_dataset(tmp_path, tmp_path / "val.txt")
    (tmp_path / "labels").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not text in UTF-8"):
        read_dataset(tmp_path, tmp_path / "labels")


# ---------------------------------------------------------------- splitting

named = st.lists(st.text(max_size=8), min_size=2, max_size=40, unique=True)


@settings(deadline=None)
@given(names=named, data=st.data(), seed=st.integers(0, 2**63 - 1))
def test_a_split_is_disjoint_exact_and_keeps_the_labels(
    names: list[str], data: st.DataObject, seed: int
) -> None:
    calibration = data.draw(st.integers(1, len(names) - 1))
    evaluation = data.draw(st.integers(1, 50))
    whole = ImageFiles(directory="d", files=tuple(names), labels=tuple(range(len(names))))
    one, other = split(whole, calibration, evaluation, seed)
    assert len(one.files) == calibration
    assert len(other.files) == min(evaluation, len(names) - calibration)
    assert not set(one.files) & set(other.files)
    for part in (one, other):
        assert all(names[label] == name for name, label in zip(part.files, part.labels, strict=True))
    shuffled = ImageFiles(directory="e", files=tuple(reversed(names)), labels=())
    assert [part.files for part in split(shuffled, calibration, evaluation, seed)] == [one.files, other.files]


def test_the_split_is_the_same_on_every_machine() -> None:
    whole = ImageFiles(directory="d", files=tuple(f"img_{n:03}.jpg" for n in range(400)), labels=())
    one, other = split(whole, 64, 1000, 20160223)
    assert (len(one.files), len(other.files)) == (64, 336)
    assert one.files[:3] == ("img_194.jpg", "img_290.jpg", "img_239.jpg")
    assert split(whole, 64, 1000, 1)[0].files != one.files
    assert split(whole, 64, 100, 20160223)[1].files == other.files[:100]


def test_too_few_images_to_split(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 64)
    with pytest.raises(InputError) as error:
        images_for(profile(images))
    assert str(error.value).startswith(
        f"{images}: holds 64 images, and 64 are to calibrate, which leaves none"
    )


# ---------------------------------------------------------------- a profile's images


def test_the_built_in_images_come_in_two_parts() -> None:
    assert images_for(Profile(name="test", grids=(Grid(),))) == (
        SyntheticImages(part="calibration", count=32),
        SyntheticImages(part="evaluation", count=200),
    )


def test_a_data_set_is_split(tmp_path: Path) -> None:
    calibration, evaluation = images_for(profile(folder_of(tmp_path / "images", 400)))
    assert (len(files(calibration)), len(files(evaluation))) == (64, 336)


def test_a_calibration_folder_calibrates(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 20)
    other = folder_of(tmp_path / "calibration", 100)
    (other / "val.txt").write_text("these labels nobody reads\n")
    calibration, evaluation = images_for(profile(images, calibration=other))
    assert isinstance(calibration, ImageFiles)
    assert (calibration.directory, len(calibration.files), calibration.labels) == (str(other), 64, ())
    assert len(files(evaluation)) == 20
    few = msgspec.structs.replace(profile(images, calibration=other), seed=1)
    assert images_for(few)[0] != calibration
    shared = folder_of(tmp_path / "small", 3)
    assert len(files(images_for(profile(images, calibration=shared))[0])) == 3


def test_an_image_never_calibrates_and_evaluates(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 5)
    with pytest.raises(InputError, match="5 images of the data set must not calibrate it too"):
        images_for(profile(images, calibration=tmp_path / "images" / ".." / "images"))
    linked = folder_of(tmp_path / "linked", 2, labelled=False)
    os.symlink(images / "img_004.jpg", linked / "other.jpg")
    with pytest.raises(InputError, match=r"1 image of the data set must not .*: other\.jpg"):
        images_for(profile(images, calibration=linked))


def test_choosing_images_loads_no_runtime() -> None:
    code = (
        "import sys, perftool.model.dataset, perftool.sweep.store\n"
        "import perftool.sweep.locks\n"
        "loaded = {'openvino', 'nncf', 'cv2', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
