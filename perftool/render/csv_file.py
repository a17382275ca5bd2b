"""Write a table of data as CSV (RFC 4180), in UTF-8: texts quoted, numbers to their last digit.

A spreadsheet takes a text that begins like a formula for one, and obeys it. Names of models and files are
foreign, so such a text gets an apostrophe before it (`inert`); numbers, a negative one too, are not touched.
"""

import io
from collections.abc import Iterable
from typing import BinaryIO, Final

from perftool.render.table import DataTable, Value

#: What a formula begins with in some spreadsheet; the last four are the full-width forms of the first.
_BEGINS_FORMULA: Final = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
_APOSTROPHE: Final = "'"


def write_csv(table: DataTable, sink: BinaryIO) -> None:
    """Write a table, its heading first, block by block: no more than one block is held.

    What is absent is an empty field, yes and no are `true` and `false`.
    """
    text = io.TextIOWrapper(sink, encoding="utf-8", newline="")
    text.write(_line(_quoted(column.name) for column in table.columns))
    for block in table.blocks:
        text.writelines(_line(map(_field, row)) for row in zip(*block, strict=True))
    text.detach()  # Else the sink, which is the caller's, would be closed.


def _line(fields: Iterable[str]) -> str:
    """Join fields; a lone one that is empty gets quotes, since readers skip lines with nothing in them."""
    return (",".join(fields) or _quoted("")) + "\n"


def _field(value: Value) -> str:
    """Return a value as it is written, from which a text that is empty can be told from none.

    The module `csv` writes that from Python 3.12 on: before, it quotes None where it quotes texts.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return _quoted("true" if value else "false")
    return _quoted(inert(value)) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def inert(text: str) -> str:
    """Return a text that no spreadsheet obeys: with an apostrophe before what begins like a formula.

    So that this can be undone, a text that begins with an apostrophe gets another one: whoever takes one away
    from the front of each text that has one has the texts as they were.
    """
    # Spreadsheets skip blanks and what cannot be seen before they look.
    first = next((char for char in text if char.isprintable() and not char.isspace()), "")
    return _APOSTROPHE + text if first in _BEGINS_FORMULA or text.startswith(_APOSTROPHE) else text
