"""`perftool history`: one configuration's figure over many runs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options
from perftool.errors import InputError, UsageError

if TYPE_CHECKING:
    from perftool.analysis.history import Skipped
    from perftool.analysis.matching import Look


def history(
    folder: Annotated[Path, typer.Argument(help="A folder with runs in it, however deep.", metavar="DIR")],
    config: Annotated[
        str | None,
        typer.Option("--config", help="A configuration's id. Default: what the newest run recommends."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Which figure. Default: the newest run's objective.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Where the plot goes. Default: DIR.")] = None,
    json: options.Json = False,
) -> None:
    """Show one configuration over many runs.

    A table and a plot of its figure in all runs below a folder, and of what changed between them.
    """
    from msgspec import structs

    from perftool.analysis.compare import comparable
    from perftool.analysis.history import follow
    from perftool.cli.output import print_json, print_rich
    from perftool.cli.writing import write_files
    from perftool.render.history import history_view, pictures

    if metric is not None:
        try:
            comparable(metric)
        except InputError as error:
            raise UsageError(f"--metric: {error}") from None
    looks, unreadable = _found(folder)
    found = follow(looks, metric, config)
    found = structs.replace(found, skipped=(*unreadable, *found.skipped))
    if json:
        print_json(found)
    else:
        print_rich(*history_view(found))
    for path in write_files(to or folder, pictures(found)):
        sys.stderr.write(f"wrote {path}\n")


def _found(folder: Path) -> "tuple[list[Look], list[Skipped]]":
    """Read every run below a folder; name those that cannot be read."""
    from perftool.analysis.history import Skipped
    from perftool.cli.runs import look_at
    from perftool.journal import JOURNAL

    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    looks: list[Look] = []
    skipped: list[Skipped] = []
    for path in sorted(folder.rglob(JOURNAL)):
        name = str(path.parent.relative_to(folder)) if path.parent != folder else folder.resolve().name
        try:
            looks.append(look_at(path.parent, name))
        except InputError as error:
            skipped.append(Skipped(run=name, reason=str(error)))
    if not looks:
        unreadable = f": {skipped[0].reason}" if skipped else ""
        raise InputError(f"{folder}: no run below it can be read{unreadable}")
    return looks, skipped
