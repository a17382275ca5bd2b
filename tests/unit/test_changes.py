"""Which images a variant puts in another class."""

import msgspec
from journals import evaluated

from perftool.analysis.accuracy import changes

REFERENCE = msgspec.structs.replace(
    evaluated("fp32", "f32", 4), labels=(1, 1, 1, 1), top5=((1, 2), (1, 2), (3, 1), (4, 1))
)
NAMES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_changes_are_listed_lost_first() -> None:
    variant = msgspec.structs.replace(REFERENCE, top5=((1, 2), (2, 1), (1, 3), (5, 1)))
    found = changes(variant, REFERENCE, NAMES)
    assert [(one.image, one.kind, one.reference, one.variant) for one in found] == [
        ("b.jpg", "lost", 1, 2), ("c.jpg", "gained", 3, 1), ("d.jpg", "other", 4, 5),
    ]  # fmt: skip
    assert changes(REFERENCE, REFERENCE, NAMES) == ()
    others = msgspec.structs.replace(variant, images="another set")
    assert changes(others, REFERENCE, NAMES) == ()


def test_images_that_were_left_out_have_no_change() -> None:
    reference = msgspec.structs.replace(REFERENCE, left_out=("a0.jpg",))
    variant = msgspec.structs.replace(reference, top5=((2, 1), (1, 2), (3, 1), (4, 1)))
    (one,) = changes(variant, reference, ["a0.jpg", *NAMES])
    assert one.image == "a.jpg"


def test_without_labels_a_change_is_a_change() -> None:
    reference = msgspec.structs.replace(REFERENCE, labels=())
    variant = msgspec.structs.replace(reference, top5=((9, 2), (1, 2), (3, 1), (4, 1)))
    (one,) = changes(variant, reference, NAMES)
    assert (one.image, one.label, one.kind, one.variant) == ("a.jpg", None, None, 9)
