"""`perftool report`: write a run's report again, with today's statistics."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from perftool.cli import options


def report(
    run: options.RunFolder,
    to: Annotated[Path | None, typer.Option("--to", help="Another folder than the run's own.")] = None,
) -> None:
    """Write a run's figures, tables and plots again."""
    from perftool.cli.outcome import look, write_report

    summary, recommendation = look(run)
    for path in write_report(to or options.run_folder(run), summary, recommendation):
        sys.stdout.write(f"{path}\n")
