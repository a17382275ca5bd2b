"""`perftool history`: one configuration's figure over many runs."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options
from perftool.errors import InputError, PerftoolError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Where the plot goes. Default: DIR; with --json none is drawn without it."),
    ] = None,
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
    from perftool.render.history import history_view
    from perftool.render.history_plot import pictures

    if metric is not None:
        try:
            comparable(metric)
        except InputError as error:
            raise UsageError(f"--metric: {error}") from None
    looks, unreadable = _found(folder)
    found = follow(looks, metric, config)
    found = structs.replace(found, skipped=(*unreadable, *found.skipped))
    written: list[Path] = []
    if to is not None or not json:
        try:  # First: what is printed must not be followed by a refusal.
            written = write_files(to or folder, pictures(found))
        except PerftoolError as error:
            raise type(error)(f"{error}; --to FOLDER puts the plot elsewhere") from None
    if json:
        print_json(found)
    else:
        print_rich(*history_view(found))
    for path in written:
        sys.stderr.write(f"wrote {path}\n")


def _found(folder: Path) -> "tuple[list[Look], list[Skipped]]":
    """Read every run below a folder; name those that cannot be read, and copies of others."""
    from perftool.analysis.history import Skipped
    from perftool.cli.runs import look_at
    from perftool.journal import JOURNAL

    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder")
    looks: list[Look] = []
    skipped: list[Skipped] = []
    for path, trouble in _below(folder, JOURNAL):
        name = str(path.relative_to(folder)) if path != folder else folder.resolve().name
        if trouble is not None:
            skipped.append(Skipped(run=name, reason=trouble))
            continue
        try:
            look = look_at(path, name)
        except InputError as error:
            skipped.append(Skipped(run=name, reason=str(error)))
            continue
        same = [other.summary.run.id for other in looks if other.run == look.run]
        if same:
            skipped.append(
                Skipped(run=name, reason=f"the same run as {same[0]}: one journal, to the last record")
            )
        else:
            looks.append(look)
    if not looks:
        unreadable = f": {skipped[0].reason}" if skipped else ""
        raise InputError(f"{folder}: no run below it can be read{unreadable}")
    return looks, skipped


def _below(folder: Path, journal: str) -> "Iterator[tuple[Path, str | None]]":
    """Give every folder below one that holds a run, links followed, each once however many lead there.

    What cannot be entered comes with the reason.
    """
    refused: list[OSError] = []
    entered: set[Path] = set()
    for name, folders, files in os.walk(folder, followlinks=True, onerror=refused.append):
        path = Path(name)
        if path.resolve() in entered:
            folders.clear()
            continue
        entered.add(path.resolve())
        folders.sort()
        if journal in files:
            yield path, None
        for one in sorted(files):
            if one != journal and (path / one).is_symlink() and not (path / one).exists():
                yield path / one, "a link that leads nowhere"
    for error in refused:
        yield Path(error.filename), f"cannot be read: {error.strerror}"
