"""What a command does and its exit code hang on nobody reading along, and on no terminal's encoding."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "reports" / "example"
Show = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def show() -> Show:
    def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[bytes]":
        command = f"{sys.executable} -m perftool show {EXAMPLE} {' '.join(arguments)}"
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            env=os.environ | settings,
            capture_output=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("reader", ["| true", "| head -c 10 > /dev/null", ">&-", ">&- 2>&-"])
def test_a_reader_that_leaves_changes_nothing(show: Show, reader: str) -> None:
    done = show(reader)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("format", ["", "--json"])
def test_a_full_disk_is_one_line(show: Show, format: str) -> None:
    done = show(format, "> /dev/full")
    assert (done.returncode, done.stderr) == (1, b"perftool: No space left on device\n")


def test_what_an_encoding_lacks_is_a_question_mark(show: Show) -> None:
    done = show(PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "?" in done.stdout.decode("ascii")


def test_json_is_utf_8_whatever_the_terminal_takes(show: Show) -> None:
    assert json.loads(show("--json", PYTHONIOENCODING="ascii").stdout.decode("utf-8"))
