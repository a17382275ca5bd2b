"""Where results go: standard output, as JSON or through rich.

Who reads it may leave early, or there may be nobody at all: what a command does and its exit code are the
same then.
"""

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.console import RenderableType

#: The narrowest that tables are laid out for; a narrower terminal wraps their lines.
COLUMNS = 100


class _Output(io.FileIO):
    """A descriptor that falls silent once nobody reads from it any more."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, or do as if."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            _send_nowhere(self.fileno())
            return memoryview(data).nbytes


def open_output() -> None:
    """Make standard output and error take every character, with a reader or without.

    What their encoding lacks is written as a question mark.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:  # Closed by whoever started the command.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__"):
            setattr(
                sys,
                name,
                io.TextIOWrapper(
                    io.BufferedWriter(_Output(descriptor, "w", closefd=False)),
                    encoding=stream.encoding,
                    errors="replace",
                    line_buffering=stream.line_buffering or name == "stderr",
                ),
            )


def close_output() -> None:
    """Write what is still to be written; raise OSError where that cannot be, once."""
    try:
        sys.stdout.flush()
    except OSError:
        _send_nowhere(sys.stdout.fileno())
        raise


def _send_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def print_bytes(text: bytes) -> None:
    """Print what has an encoding of its own, whatever that of the output is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def print_json(value: object) -> None:
    """Print a value as indented JSON, which is UTF-8."""
    print_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def print_rich(*renderables: "RenderableType") -> None:
    """Print renderables; a pipe gets 100 columns and no colour."""
    from rich.console import Console

    console = Console()
    if not sys.stdout.isatty() or console.width < COLUMNS:
        console = Console(width=COLUMNS)
    for renderable in renderables:
        console.print(renderable)
