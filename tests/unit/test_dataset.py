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
from perftool.images.dataset import draw, images_for, read_dataset, split
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
        pytest.param(
            f"img_000.jpg {'7' * 5000}\n",
            f"line 1: a class index has at most 9 digits, got {'7' * 60}",
            id="more digits than Python converts",
        ),
        ("img_000.jpg 1234567890\n", "line 1: a class index has at most 9 digits, got 1234567890"),
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


def test_listed_images_that_are_not_there_are_left_out_and_counted(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 6)
    for number in (1, 2, 5):
        (images / f"img_00{number}.jpg").unlink()
    found = read_dataset(images)
    assert (found.files, found.labels) == (("img_000.jpg", "img_003.jpg", "img_004.jpg"), (0, 3, 4))
    assert found.missing == 3


def test_a_label_file_of_other_images_is_an_error(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 6)
    (images / "val.txt").write_text("".join(f"val_{number}.JPEG 1\n" for number in range(5)))
    with pytest.raises(InputError) as error:
        read_dataset(images)
    assert str(error.value) == (
        f"{images / 'val.txt'}: 5 listed images not in {images}: "
        "val_0.JPEG, val_1.JPEG, val_2.JPEG and 2 more"
    )


def test_listed_images_may_lie_anywhere(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 1)
    (images / "sub").mkdir()
    for path in (tmp_path / "beside.jpg", images / "sub" / "below.jpg", tmp_path / "elsewhere.jpg"):
        path.write_bytes(b"")
    listed = ("../beside.jpg", "sub/below.jpg", str(tmp_path / "elsewhere.jpg"))
    (images / "val.txt").write_text("".join(f"{name} {at}\n" for at, name in enumerate(listed)))
    assert read_dataset(images).files == listed


# ---------------------------------------------------------------- CSV


@pytest.mark.parametrize(
    "text",
    [
        "file,class\na.jpg,5\nb.jpg,0\n",
        "Label, Filename \n5, a.jpg\n\n0, b.jpg\n",
        'id,image,note,index\n7,a.jpg,"x, y",5\n8,"b.jpg",,0\n',
        "\ufeffpath,label\r\na.jpg,5\r\n./b.jpg,0\r\n",
        "a.jpg,5\nb.jpg,0\n",
    ],
    ids=["plain", "other-order-and-case", "more-columns-and-quotes", "byte-order-mark", "no-header"],
)
def test_a_csv_names_files_and_classes(tmp_path: Path, text: str) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "labels.csv").write_text(text, newline="")
    found = read_dataset(tmp_path)
    assert (found.files, found.labels, found.classes) == (("a.jpg", "b.jpg"), (5, 0), None)
    other = tmp_path / "somewhere.CSV"
    (tmp_path / "labels.csv").rename(other)
    assert read_dataset(tmp_path, other) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file,class\na.jpg,cat\n", "line 2: expected a class index >= 0, got cat"),
        ("file,class\na.jpg,-1\n", "line 2: expected a class index >= 0, got -1"),
        ("file,class\n\na.jpg\n", 'line 3: expected a file and a class, got "a.jpg"'),
        ("file,class\na.jpg,1\n,2\n", 'line 3: expected a file and a class, got ",2"'),
        ("file,class\na.jpg,1\n./a.jpg,2\n", "line 3: a.jpg is listed twice"),
        ("file,path,class\na.jpg,a.jpg,1\n", "line 1: more than one column names the file: file, path"),
        ("file,class,label\na.jpg,1,cat\n", "line 1: more than one column names the class: class, label"),
        ('file,class\n"a.jpg,1\n', "line 2: not CSV: unexpected end of data"),
        ("file,class\n", "lists no images"),
    ],
)
def test_a_fault_in_a_csv_names_its_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError) as error:
        read_dataset(tmp_path)
    assert str(error.value) == f"{tmp_path / 'labels.csv'}: {expected}"


@pytest.mark.parametrize("text", ["a.jpg 1\n", "name,kind\na.jpg,1\n", "a.jpg,1,2\n", "a.jpg;1\n"])
def test_a_csv_without_columns_that_are_known_says_which_are(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=r"line 1: expected a header .*filename.*label.*or two columns"):
        read_dataset(tmp_path)


# ---------------------------------------------------------------- a folder per class


def by_class(path: Path, classes: dict[str, int]) -> Path:
    for name, count in classes.items():
        (path / name).mkdir(parents=True)
        for number in range(count):
            (path / name / f"{number}.jpg").write_bytes(b"")
    return path


def test_a_folder_per_class_is_numbered_by_the_sorted_names(tmp_path: Path) -> None:
    images = by_class(tmp_path / "images", {"n02": 1, "n01": 2, "n03": 0, "n10": 1})
    assert read_dataset(images) == ImageFiles(
        directory=str(images),
        files=("n01/0.jpg", "n01/1.jpg", "n02/0.jpg", "n10/0.jpg"),
        labels=(0, 0, 1, 3),
        classes=4,
    )


def test_folders_that_are_all_numbers_are_class_indices(tmp_path: Path) -> None:
    images = by_class(tmp_path / "images", {"7": 1, "10": 1, "207": 1, "0": 0})
    found = read_dataset(images)
    assert dict(zip(found.files, found.labels, strict=True)) == {
        "7/0.jpg": 7,
        "10/0.jpg": 10,
        "207/0.jpg": 207,
    }
    assert found.classes is None
    (images / "cats").mkdir()
    assert set(read_dataset(images).labels) == {1, 2, 3}
    assert read_dataset(images).classes == 5


def test_two_folders_of_one_class_are_an_error(tmp_path: Path) -> None:
    images = by_class(tmp_path / "images", {"1": 1, "01": 1, "2": 1})
    with pytest.raises(InputError, match="more than one folder is of class 1"):
        read_dataset(images)


def test_what_is_no_class_is_passed_over(tmp_path: Path) -> None:
    images = by_class(tmp_path / "images", {"a": 1, "b": 1, ".cache": 3})
    (images / "README").write_text("about these images")
    (images / "b" / "list.txt").write_text("of b")
    found = read_dataset(images)
    assert (found.files, found.classes) == (("a/0.jpg", "b/0.jpg"), 2)


def test_folders_without_images_do_not_make_classes(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 2, labelled=False)
    (images / "notes").mkdir()
    assert read_dataset(images).files == ("img_000.jpg", "img_001.jpg")
    empty = by_class(tmp_path / "empty", {"a": 0, "b": 0})
    with pytest.raises(InputError, match="holds no images"):
        read_dataset(empty)


def test_labels_that_reach_1000_tell_that_they_count_the_background(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 2)
    (images / "val.txt").write_text("img_000.jpg 1\nimg_001.jpg 1000\n")
    assert read_dataset(images).classes == 1001
    assert draw(read_dataset(images), 1, 1).classes == 1001, "whichever is drawn"
    assert read_dataset(by_class(tmp_path / "indexed", {"1": 1, "1000": 0})).classes == 1001


# ---------------------------------------------------------------- what could be read in two ways


def test_two_label_files_are_not_chosen_from(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 2)
    (images / "labels.csv").write_text("img_000.jpg,3\n")
    with pytest.raises(InputError, match=r"holds val\.txt and labels\.csv: .* --labels"):
        read_dataset(images)
    assert read_dataset(images, images / "labels.csv").labels == (3,)


def test_images_beside_class_folders_are_not_chosen_from(tmp_path: Path) -> None:
    images = by_class(folder_of(tmp_path / "images", 2, labelled=False), {"a": 0, "b": 2})
    with pytest.raises(
        InputError, match=r"images \(img_000\.jpg\) beside folders of images \(b\): .* --labels"
    ):
        read_dataset(images)


def test_a_label_file_goes_before_class_folders(tmp_path: Path) -> None:
    images = by_class(folder_of(tmp_path / "images", 1), {"a": 1, "b": 2})
    (images / "val.txt").write_text("b/1.jpg 77\nimg_000.jpg 3\n")
    found = read_dataset(images)
    assert (found.files, found.labels, found.classes) == (("b/1.jpg", "img_000.jpg"), (77, 3), None)


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


def test_a_part_keeps_what_is_known_of_the_whole() -> None:
    whole = ImageFiles(
        directory="d",
        files=tuple("abcdef"),
        labels=tuple(range(6)),
        classes=9,
        missing=4,
        geometry="resize-crop",
    )
    one, other = split(whole, 2, 10, 5)
    assert {(part.classes, part.geometry) for part in (one, other, draw(whole, 3, 5))} == {(9, "resize-crop")}
    assert (one.missing, other.missing, draw(whole, 3, 5).missing) == (0, 4, 4)


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
    calibration, evaluation = images_for(profile(images, calibration=other))
    assert isinstance(calibration, ImageFiles)
    assert (calibration.directory, len(calibration.files), calibration.labels) == (str(other), 64, ())
    assert len(files(evaluation)) == 20
    few = msgspec.structs.replace(profile(images, calibration=other), seed=1)
    assert images_for(few)[0] != calibration
    shared = folder_of(tmp_path / "small", 3)
    assert len(files(images_for(profile(images, calibration=shared))[0])) == 3


def test_a_calibration_folder_may_be_any_data_set(tmp_path: Path) -> None:
    images = by_class(tmp_path / "images", {"a": 3, "b": 3})
    other = by_class(tmp_path / "other", {"a": 1, "z": 1})
    calibration, evaluation = images_for(profile(images, calibration=other))
    assert isinstance(calibration, ImageFiles) and isinstance(evaluation, ImageFiles)
    assert sorted(calibration.files) == ["a/0.jpg", "z/0.jpg"]
    assert (calibration.labels, calibration.classes) == ((), None)
    assert (len(evaluation.files), evaluation.classes) == (6, 2)
    listed = folder_of(tmp_path / "listed", 4)
    (listed / "img_001.jpg").unlink()
    calibration, evaluation = images_for(profile(images, calibration=listed))
    assert isinstance(calibration, ImageFiles) and isinstance(evaluation, ImageFiles)
    assert (len(calibration.files), calibration.missing, evaluation.missing) == (3, 0, 0)


def test_the_geometry_of_a_data_set_is_that_of_its_images(tmp_path: Path) -> None:
    chosen = profile(folder_of(tmp_path / "images", 80))
    other = folder_of(tmp_path / "other", 5)
    for calibration in (None, str(other)):
        source = msgspec.structs.replace(chosen.images, geometry="resize", calibration=calibration)
        for part in images_for(msgspec.structs.replace(chosen, images=source)):
            assert isinstance(part, ImageFiles)
            assert part.geometry == "resize"
    assert read_dataset(other, geometry="resize-crop").geometry == "resize-crop"


def test_missing_images_are_counted_once(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 100)
    for number in range(10):
        (images / f"img_{number:03}.jpg").unlink()
    calibration, evaluation = images_for(profile(images))
    assert isinstance(calibration, ImageFiles) and isinstance(evaluation, ImageFiles)
    assert (len(calibration.files), calibration.missing) == (64, 0)
    assert (len(evaluation.files), evaluation.missing) == (26, 10)


def test_an_image_never_calibrates_and_evaluates(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "images", 5)
    with pytest.raises(InputError, match="5 images of the data set must not calibrate it too"):
        images_for(profile(images, calibration=tmp_path / "images" / ".." / "images"))
    linked = folder_of(tmp_path / "linked", 2, labelled=False)
    os.symlink(images / "img_004.jpg", linked / "other.jpg")
    with pytest.raises(InputError, match=r"1 image of the data set must not .*: other\.jpg"):
        images_for(profile(images, calibration=linked))
    (linked / "other.jpg").unlink()
    os.link(images / "img_004.jpg", linked / "same.jpg")
    with pytest.raises(InputError, match=r"1 image of the data set must not .*: same\.jpg"):
        images_for(profile(images, calibration=linked))


def test_choosing_images_loads_no_runtime() -> None:
    code = (
        "import sys, perftool.images.dataset, perftool.images.labels, perftool.sweep.store\n"
        "import perftool.sweep.locks\n"
        "loaded = {'openvino', 'nncf', 'cv2', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
