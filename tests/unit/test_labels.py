"""What a label means for a model, and when that cannot be told."""

import pytest

from perftool.errors import InputError
from perftool.images.labels import numbered, resolve
from perftool.images.textures import label_of
from perftool.spec import ImageFiles, SyntheticImages


def files(labels: tuple[int, ...], classes: int | None = None) -> ImageFiles:
    return ImageFiles(
        directory="d", files=tuple(map(str, range(len(labels)))), labels=labels, classes=classes
    )


@pytest.mark.parametrize("classes", [None, 1000])
def test_1_is_added_where_the_model_has_a_background_class(classes: int | None) -> None:
    offset, said = resolve((0, 999), classes, 1001)
    assert (offset, said) == (1, "class 0 of 1001 is the background: 1 was added to every label")
    assert numbered(files((0, 999), classes), 1001).labels == (1, 1000)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [((1, 1000), None), ((3, 500), 1001), ((0, 1000), 1001)],
    ids=["reached", "folders", "both"],
)
def test_labels_that_count_the_background_are_taken_as_they_are(
    labels: tuple[int, ...], classes: int | None
) -> None:
    offset, said = resolve(labels, classes, 1001)
    assert (offset, said) == (0, "labels number 1001 classes, background included: taken as they are")
    assert numbered(files(labels, classes), 1001).labels == labels


@pytest.mark.parametrize(("classes", "class_count"), [(None, 1000), (1000, 1000), (10, 10), (None, 10)])
def test_other_models_take_labels_as_they_are(classes: int | None, class_count: int) -> None:
    assert resolve((0, 9), classes, class_count) == (0, "")


def test_no_labels_say_nothing() -> None:
    assert resolve((), None, 1001) == (0, "")
    assert numbered(files(()), 1001) == ((), 0, "")


@pytest.mark.parametrize(
    ("labels", "class_count", "expected"),
    [
        ((3, 1001), 1001, r"label 1001 is outside 0\.\.999: 999 is the largest .* background"),
        ((1000, 1001), 1001, r"label 1001 is outside 0\.\.999"),
        ((-1, 999), 1001, r"label -1 is outside 0\.\.999"),
        ((1000, 5000), 1000, r"label 5000 is outside 0\.\.999: 999 is the largest"),
        ((9, 10), 10, r"label 10 is outside 0\.\.9: 9 is the largest that labels for a model of 10 classes"),
        ((0, -1), 10, r"label -1 is outside 0\.\.9"),
    ],
)
def test_a_label_outside_the_classes_is_an_error(
    labels: tuple[int, ...], class_count: int, expected: str
) -> None:
    with pytest.raises(InputError, match=expected) as error:
        resolve(labels, None, class_count)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("classes", "class_count", "wanted"),
    [
        (10, 1000, "has 1000:"),
        (999, 1001, "has 1001, or 1000 without the background:"),
        (10, 1001, "has 1001, or 1000 without the background:"),
        (1001, 1000, "has 1000:"),
        (10, 11, "has 11:"),
    ],
)
def test_folders_of_another_count_of_classes_are_an_error_that_explains(
    classes: int, class_count: int, wanted: str
) -> None:
    with pytest.raises(InputError) as error:
        resolve((0, 3), classes, class_count)
    said = str(error.value)
    assert f"number {classes} classes, 0..{classes - 1}, and the model {wanted}" in said
    assert "empty ones too" in said
    assert "named by its class index" in said


def test_the_built_in_images_count_the_background() -> None:
    chosen = SyntheticImages(part="evaluation", count=30)
    found = numbered(chosen, 1001)
    assert (found.offset, found.labels) == (0, tuple(label_of(index) for index in range(30)))
    with pytest.raises(InputError, match="number 1001 classes"):
        numbered(chosen, 1000)
