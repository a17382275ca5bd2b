"""Accuracies as a table."""

from collections.abc import Sequence

from msgspec import Struct
from rich import box
from rich.table import Table
from rich.text import Text

from perftool.analysis.accuracy import Change
from perftool.analysis.result import AccuracyResult
from perftool.record import ImageFaults
from perftool.render.numbers import chance


class Published(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The accuracy that a model was published with, in percent."""

    top1: float
    top5: float
    images: int
    on: str


class AccuracyRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One precision's accuracy on a device.

    `inference_precision` is what the device resolved, `executed_precision` what its kernels ran in, read off
    their names; None where nothing tells. `images_per_second` is how fast the images that were not
    classified before were; None where all were.
    """

    precision: str
    device: str
    inference_precision: str
    executed_precision: str | None
    accuracy: AccuracyResult
    images_per_second: float | None
    reused: int
    changes: tuple[Change, ...]


class AccuracyView(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accuracies of one model on one set of images, and what there is to know of the images."""

    accuracy_of: str
    published: Published | None
    results: tuple[AccuracyRow, ...]
    faults: ImageFaults
    left_out: tuple[str, ...]
    label_note: str


_NAMED = 5
_OUTCOMES = {
    "missing": "missing, left out",
    "corrupt": "corrupt, left out",
    "truncated": "truncated, left out",
    "greyscale": "greyscale, spread over three channels",
    "cmyk": "CMYK, converted",
    "sixteen_bit": "of 16 bits, made 8",
    "rotated": "rotated as their EXIF tag says",
}


def accuracy_table(view: AccuracyView) -> Table:
    """Show top-1, top-5 and the paired change against FP32, in percent and percentage points."""
    rows = view.results
    images = rows[0].accuracy.images if rows else 0
    table = Table(
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
        title=f"{view.accuracy_of}, {images} images",
        caption="drop: loss of top-1 against FP32 in f32, paired by image, with its 95 % interval; "
        "p: of McNemar's exact test",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("precision", no_wrap=True)
    table.add_column("runs in", no_wrap=True)
    for title in ("top-1 [%]", "top-5 [%]", "drop [pp]", "gained", "lost", "p", "agrees [%]", "images/s"):
        table.add_column(title, justify="right", no_wrap=title in ("drop [pp]", "images/s"))
    for row in rows:
        found = row.accuracy
        table.add_row(
            row.precision,
            row.executed_precision or "unknown",
            _figure(found.top1, ".1f"),
            _figure(found.top5, ".1f"),
            _drop(found),
            _figure(found.gained, "d"),
            _figure(found.lost, "d"),
            "unknown" if found.p_value is None else chance(found.p_value),
            _figure(found.agreement, ".1f"),
            "kept" if row.images_per_second is None else f"{row.images_per_second:.1f}",
        )
    if view.published:
        top1, top5 = f"{view.published.top1:.2f}", f"{view.published.top5:.2f}"
        table.add_row("published", "f32", top1, top5, *[""] * 6)
    return table


def accuracy_notes(view: AccuracyView) -> tuple[Text, ...]:
    """Say what the images were, how labels were read, and what is published."""
    notes = []
    if view.published:
        notes.append(f"published: on {view.published.images} images of {view.published.on}")
    if view.label_note:
        notes.append(f"labels: {view.label_note}")
    for name, outcome in _OUTCOMES.items():
        if count := getattr(view.faults, name):
            notes.append(f"images: {count} {outcome}")
    if view.left_out:
        more = len(view.left_out) - _NAMED
        notes.append(
            "left out: " + ", ".join(view.left_out[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        )
    if any(row.images_per_second is None for row in view.results):
        notes.append("kept: all images were classified by an earlier evaluation of the same files")
    return tuple(map(Text, notes))


def changes_table(precision: str, changes: Sequence[Change]) -> Table | Text:
    """List the images whose class a precision changed."""
    if not changes:
        return Text(f"{precision}: no image in another class")
    table = Table(
        box=box.SIMPLE, title=f"{precision}: {len(changes)} images in another class", title_justify="left"
    )
    table.add_column("image", overflow="fold")
    for title in ("label", "FP32 says", f"{precision} says"):
        table.add_column(title, justify="right")
    table.add_column("")
    for one in changes:
        table.add_row(
            one.image, _figure(one.label, "d"), str(one.reference), str(one.variant), one.kind or "changed"
        )
    return table


def _figure(value: float | int | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


def _drop(found: AccuracyResult) -> str:
    if found.drop_pp is None or found.drop_low is None or found.drop_high is None:
        return "unknown"
    return f"{found.drop_pp:+.2f} ({found.drop_low:+.2f} to {found.drop_high:+.2f})"
