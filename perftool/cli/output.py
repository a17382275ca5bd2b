"""Where results go: standard output, as JSON or through rich."""

import sys

import msgspec
from rich.console import Console, RenderableType


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_rich(*renderables: RenderableType) -> None:
    """Print renderables; a pipe gets 100 columns and no colour."""
    console = Console() if sys.stdout.isatty() else Console(width=100)
    for renderable in renderables:
        console.print(renderable)
