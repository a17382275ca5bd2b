"""Write a run's data for other tools: every configuration, every sample, as CSV or Parquet."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from perftool.analysis.result import Recommendation, Summary
from perftool.cli.writing import write_streams
from perftool.render.csv_file import write_csv
from perftool.render.data import configurations
from perftool.render.parquet_file import import_pyarrow, write_parquet
from perftool.render.samples import samples
from perftool.render.table import DataTable, dictionary
from perftool.sweep.store import stream

#: Where the files lie in a report's folder.
FOLDER = "data"


def check(formats: Sequence[str]) -> None:
    """Raise UsageError for a format that cannot be written here, before anything is."""
    if "parquet" in formats:
        import_pyarrow()


def write_data(
    run: Path, to: Path, summary: Summary, recommendation: Recommendation, formats: Sequence[str]
) -> list[Path]:
    """Write the data of the run in the folder `run` below `to`, and return the files' paths.

    Samples are copied from the journal visit by visit. Raises PerftoolError where the disk refuses; that file
    is then as it was.
    """
    written: list[Path] = []
    for format in dict.fromkeys(formats):
        tables = [configurations(summary, recommendation), samples(summary, stream(run))]
        # CSV has no place for units; Parquet keeps them in the columns.
        tables += [dictionary(tables)] if format == "csv" else []
        files = {f"{FOLDER}/{table.name}.{format}": _writer(table, format) for table in tables}
        written += write_streams(to, files)
    return written


def _writer(table: DataTable, format: str) -> Callable[[BinaryIO], None]:
    write = write_csv if format == "csv" else write_parquet
    return lambda sink: write(table, sink)
