"""Write docs/cli.md from the commands' own help."""

import os
import subprocess
import sys
from pathlib import Path

COMMANDS = (
    *((), ("sweep",), ("show",), ("recommend",), ("report",), ("accuracy",), ("quantize",), ("devices",)),
    *(("load",), ("doctor",), ("export",), ("verify",), ("compare",), ("history",)),
    *(("model",), ("model", "info"), ("model", "build"), ("model", "fetch"), ("model", "freeze")),
    *(("model", "convert"), ("model", "verify")),
)
TARGET = Path(__file__).parent.parent / "docs" / "cli.md"


def reference() -> str:
    """Return the whole reference."""
    parts = ["# Commands\n\nMade by `python tools/make_cli_reference.py` from the commands' own help.\n"]
    for words in COMMANDS:
        shown = subprocess.run(
            [sys.executable, "-m", "perftool", *words, "--help"],
            env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        text = shown.stdout.replace("python -m perftool", "perftool").rstrip()
        parts.append(f"## {' '.join(('perftool', *words))}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
