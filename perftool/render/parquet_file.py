"""Write a table of data as Parquet: typed columns, with unit and meaning in each column's metadata.

pyarrow is an extra; it is imported when it is needed.
"""

from typing import Any, BinaryIO, Final

from perftool.errors import UsageError
from perftool.render.table import Block, Column, DataTable

#: A row group holds at least so many rows, but for the last; no more than one is held while it is written.
ROW_GROUP: Final = 100_000


def import_pyarrow() -> Any:
    """Return the module `pyarrow`; raises UsageError where it is not installed, or cannot be loaded."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "pyarrow":
            raise UsageError("--data parquet takes pyarrow: pip install 'perftool[parquet]'") from None
        raise UsageError(f"--data parquet takes pyarrow, which cannot be loaded here ({error})") from error
    return pyarrow


def write_parquet(table: DataTable, sink: BinaryIO) -> None:
    """Write a table, block by block, in row groups; absent values are null.

    Raises UsageError without pyarrow.
    """
    pyarrow = import_pyarrow()
    fields = [_field(pyarrow, column) for column in table.columns]
    schema = pyarrow.schema(fields, metadata={"perftool.table": table.name, **table.about})
    texts = [column.name for column in table.columns if column.kind == "text"]
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd", use_dictionary=texts) as writer:
        waiting: list[Any] = []
        rows = 0
        for block in table.blocks:
            waiting.append(_batch(pyarrow, block, schema))
            rows += waiting[-1].num_rows
            if rows >= ROW_GROUP:
                writer.write_table(pyarrow.Table.from_batches(waiting, schema))
                waiting, rows = [], 0
        if rows:
            writer.write_table(pyarrow.Table.from_batches(waiting, schema))


def _field(pyarrow: Any, column: Column) -> Any:
    kinds = {
        "text": pyarrow.string(),
        "whole": pyarrow.int64(),
        "number": pyarrow.float64(),
        "flag": pyarrow.bool_(),
    }
    told = {"unit": column.unit, "meaning": column.meaning}
    return pyarrow.field(column.name, kinds[column.kind], metadata=told)


def _batch(pyarrow: Any, block: Block, schema: Any) -> Any:
    columns = zip(block, schema, strict=True)
    return pyarrow.RecordBatch.from_arrays(
        [pyarrow.array(values, field.type) for values, field in columns], schema=schema
    )
