"""`perftool report`: write a run's report again, with today's statistics."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from perftool.cli import options


class DataFormat(StrEnum):
    """What other tools read."""

    csv = "csv"
    parquet = "parquet"


def report(
    run: options.RunFolder,
    to: Annotated[Path | None, typer.Option("--to", help="Another folder than the run's own.")] = None,
    data: Annotated[
        list[DataFormat] | None,
        typer.Option(
            "--data", help="Also every configuration and every sample as tables, in data/ (repeatable)."
        ),
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(
            "--mlflow",
            help="Also log the run to MLflow: a server (http://…), a database (sqlite:///…), or a folder.",
            metavar="URI",
        ),
    ] = None,
) -> None:
    """Write a run's page, figures, tables and plots again."""
    from perftool.cli.outcome import look, write_report

    formats = [one.value for one in data or ()]
    if formats:
        from perftool.cli.data import check, write_data

        check(formats)
    if mlflow is not None:
        from perftool.cli import tracking

        mlflow = tracking.check(mlflow)
    target = to or options.run_folder(run)
    summary, recommendation = look(run)
    written = write_report(target, summary, recommendation)
    if formats:
        written += write_data(run, target, summary, recommendation, formats)
    for path in written:
        sys.stdout.write(f"{path}\n")
    if mlflow is not None:
        files = {path.relative_to(target).as_posix(): path for path in written}
        logged = tracking.log(mlflow, run, summary, recommendation, files)
        sys.stdout.write(f"MLflow run {logged.run_id} of experiment {logged.experiment}: {logged.done}\n")
