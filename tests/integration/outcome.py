"""What a command left behind."""

import subprocess


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the error of a command that must have one line of it, and no traceback."""
    assert "Traceback" not in done.stderr, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("perftool: "), done.stderr
    return line
