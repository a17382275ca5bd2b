"""Write docs/cli.md from the commands' own help."""

from pathlib import Path

from typer.testing import CliRunner

from perftool.cli.main import app

COMMANDS = (
    *((), ("sweep",), ("show",), ("recommend",), ("report",), ("accuracy",), ("quantize",), ("devices",)),
    *(("load",), ("doctor",), ("export",), ("verify",), ("profile",), ("compare",), ("history",)),
    *(("model",), ("model", "info"), ("model", "build"), ("model", "fetch"), ("model", "freeze")),
    *(("model", "convert"), ("model", "verify")),
)
TARGET = Path(__file__).parent.parent / "docs" / "cli.md"


def reference() -> str:
    """Return the whole reference."""
    parts = ["# Commands\n\nMade by `python tools/make_cli_reference.py` from the commands' own help.\n"]
    runner = CliRunner(env={"NO_COLOR": "1"})
    for words in COMMANDS:
        shown = runner.invoke(
            app, [*words, "--help"], prog_name="perftool", terminal_width=78, catch_exceptions=False
        )
        assert shown.exit_code == 0, shown.output
        parts.append(f"## {' '.join(('perftool', *words))}\n\n```text\n{shown.stdout.rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
