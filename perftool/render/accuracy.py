"""Accuracies as a table."""

from msgspec import Struct
from rich import box
from rich.table import Table

from perftool.analysis.result import AccuracyResult


class AccuracyRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One precision's accuracy on a device, and the inference precision that the device resolved."""

    precision: str
    device: str
    inference_precision: str
    accuracy: AccuracyResult


def accuracy_table(rows: list[AccuracyRow], subject: str) -> Table:
    """Show top-1, top-5 and the paired change against FP32, in percent and percentage points."""
    images = rows[0].accuracy.images if rows else 0
    table = Table(
        box=box.SIMPLE,
        title=f"{subject}, {images} images",
        caption="drop: loss of top-1 against FP32 in f32, paired by image, with its 95 % interval",
        title_justify="left",
        caption_justify="left",
    )
    for title in ("precision", "runs in"):
        table.add_column(title)
    for title in ("top-1 [%]", "top-5 [%]", "drop [pp]", "gained", "lost", "McNemar p", "agrees [%]"):
        table.add_column(title, justify="right")
    for row in rows:
        found = row.accuracy
        table.add_row(
            row.precision,
            row.inference_precision,
            _figure(found.top1, ".1f"),
            _figure(found.top5, ".1f"),
            _drop(found),
            _figure(found.gained, "d"),
            _figure(found.lost, "d"),
            _figure(found.p_value, ".3f"),
            _figure(found.agreement, ".1f"),
        )
    return table


def _figure(value: float | int | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)


def _drop(found: AccuracyResult) -> str:
    if found.drop_pp is None or found.drop_low is None or found.drop_high is None:
        return "unknown"
    return f"{found.drop_pp:+.2f} ({found.drop_low:+.2f} to {found.drop_high:+.2f})"
