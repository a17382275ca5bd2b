"""Device locks: which hardware a device string means, and that two sweeps never share it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perftool.errors import PerftoolError, ResumeRefusedError
from perftool.sweep.locks import FOLDER, hold

HOLDER = """
import sys, time
from pathlib import Path
from perftool.sweep.locks import hold
with hold(sys.argv[2:], folder=Path(sys.argv[1])):
    sys.stdout.write("holding\\n")
    sys.stdout.flush()
    time.sleep(600)
"""


def holder(folder: Path, *devices: str) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", HOLDER, str(folder), *devices]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "holding\n"
    return child


def test_the_place_is_the_same_for_every_shell() -> None:
    assert sys.platform == "win32" or str(FOLDER) == "/tmp/perftool-locks"


def test_a_device_is_held_once(tmp_path: Path) -> None:
    with hold(["CPU", "HETERO:CPU", "BATCH:CPU(4)"], folder=tmp_path):
        with pytest.raises(ResumeRefusedError) as error, hold(["AUTO:GPU,CPU"], folder=tmp_path):
            pass
        assert str(error.value) == f"another sweep measures on CPU (pid {os.getpid()})"
        with hold(["GPU"], folder=tmp_path):
            pass
    with hold(["CPU"], folder=tmp_path):
        pass


def test_a_refusal_lets_go_of_what_it_took(tmp_path: Path) -> None:
    with hold(["GPU"], folder=tmp_path):
        with pytest.raises(ResumeRefusedError, match="on GPU"), hold(["MULTI:CPU,GPU"], folder=tmp_path):
            pass
        with hold(["CPU"], folder=tmp_path):
            pass


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(["CPU"], folder=tmp_path):
        raise ZeroDivisionError
    with hold(["CPU"], folder=tmp_path):
        pass


def test_the_lock_of_another_process_dies_with_it(tmp_path: Path) -> None:
    with holder(tmp_path, "CPU") as child:
        with pytest.raises(ResumeRefusedError) as error, hold(["MULTI:GPU,CPU"], folder=tmp_path):
            pass
        assert str(error.value) == f"another sweep measures on CPU (pid {child.pid})"
        child.send_signal(signal.SIGKILL)
    with hold(["CPU"], folder=tmp_path):
        pass


def test_other_users_can_use_the_locks(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with hold(["CPU"], folder=tmp_path / "locks"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o777
    assert (tmp_path / "locks" / "CPU.lock").stat().st_mode & 0o777 == 0o666


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(PerftoolError, match="cannot lock CPU in"),
        hold(["CPU"], folder=tmp_path / "file" / "x"),
    ):
        pass
