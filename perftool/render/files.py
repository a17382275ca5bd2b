"""A report's tables and figures as the content of files."""

import io

import msgspec
from rich.console import Console, RenderableType

#: How wide tables are where no terminal says.
COLUMNS = 100


def as_text(*parts: RenderableType) -> bytes:
    """Return what a terminal without colours would show of the parts, one below the other."""
    text = io.StringIO()
    Console(file=text, width=COLUMNS, no_color=True, color_system=None).print(*parts, sep="\n")
    return text.getvalue().encode()


def as_json(value: object) -> bytes:
    """Return a value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
