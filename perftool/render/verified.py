"""How far two models are apart, as a table and as JSON."""

from rich import box
from rich.markup import escape
from rich.table import Table

from perftool.record import Verified


def as_json(found: Verified, exceeded: list[str]) -> dict[str, object]:
    """Return the comparison under its documented names, with what exceeds a bound."""
    return {
        "images": found.images,
        "max_difference": found.max_difference,
        "mean_difference": found.mean_difference,
        "same_top1": found.same_top1,
        "first": {"fed": found.first_fed, "scores": found.first_scores},
        "second": {"fed": found.second_fed, "scores": found.second_scores},
        "exceeded": exceeded,
    }


def verified_table(found: Verified, first: str, second: str) -> Table:
    """Show the differences of the class probabilities, and how each model was fed and read."""
    table = Table(
        box=box.SIMPLE,
        title=f"{found.images} images, both in f32",
        show_header=False,
        title_justify="left",
    )
    for _ in range(2):
        table.add_column(overflow="fold")
    share = 100 * found.same_top1 / found.images
    table.add_row("largest difference of a probability", f"{found.max_difference:.3g}")
    table.add_row("mean difference", f"{found.mean_difference:.3g}")
    table.add_row("same top-1", f"{found.same_top1} of {found.images} ({share:.1f} %)")
    table.add_row(escape(first), escape(f"{found.first_fed}; {found.first_scores}"))
    table.add_row(escape(second), escape(f"{found.second_fed}; {found.second_scores}"))
    return table
