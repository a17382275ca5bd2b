"""Tables of data for other tools: columns with their kind, unit and meaning, and values in blocks.

Values only; `csv_file` and `parquet_file` write them. Tables for readers are in `tables`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

#: What a column holds: texts, whole numbers, numbers, or yes and no. Any value may be absent: None.
Kind = Literal["text", "whole", "number", "flag"]
Value = str | int | float | bool | None
#: For each column as many values as the block has rows.
Block = Sequence[Sequence[Value]]


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column: its name, what kind of values it holds, their unit ("" where there is none), the meaning."""

    name: str
    kind: Kind
    unit: str = ""
    meaning: str


class DataTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table by its name. Its `blocks` come one after the other, and once; `about` says whose it is."""

    name: str
    columns: tuple[Column, ...]
    blocks: Iterable[Block]
    about: Mapping[str, str]


def dictionary(tables: Iterable[DataTable]) -> DataTable:
    """Return a table of the columns of tables: what a file that cannot carry units needs beside it."""
    rows = [(table.name, *_told(column)) for table in tables for column in table.columns]
    return DataTable(
        name="columns",
        columns=(
            Column(name="table", kind="text", meaning="the table that the column is in"),
            Column(name="column", kind="text", meaning="the column's name"),
            Column(name="kind", kind="text", meaning="text, whole (number), number, or flag (true, false)"),
            Column(name="unit", kind="text", meaning="the unit of its values"),
            Column(name="meaning", kind="text", meaning="what it holds"),
        ),
        blocks=(tuple(zip(*rows, strict=True)),) if rows else (),
        about={},
    )


def _told(column: Column) -> tuple[str, str, str, str]:
    return column.name, column.kind, column.unit, column.meaning
