"""How every table of a run looks."""

from rich import box
from rich.table import Table

#: Marks what is not as it should be; a note or a warning says why.
ODD_MARK = "!"
#: Of more configurations a table in text shows so many: nobody reads thousands, and layout takes long.
ROWS = 500


def empty_table() -> Table:
    """Return an empty table: a rule below the headings, one space between columns."""
    return Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, header_style="bold")
