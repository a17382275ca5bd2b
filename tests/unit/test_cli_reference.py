"""The commands' reference can't rot."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import make_cli_reference

from perftool.cli.main import app


def test_the_reference_is_what_the_commands_say() -> None:
    assert make_cli_reference.TARGET.read_text(encoding="utf-8") == make_cli_reference.reference()


def test_every_command_is_in_the_reference() -> None:
    names = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert names <= {words[0] for words in make_cli_reference.COMMANDS if words}
