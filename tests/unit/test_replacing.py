"""Files are replaced by whole ones, and what a killed writer leaves does not stay forever."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perftool.errors import PerftoolError
from perftool.model.placing import place_model
from perftool.replacing import replaced

HALF_WRITTEN = """
import os, signal, sys
from pathlib import Path
from perftool.replacing import replaced
with replaced(Path(sys.argv[1])) as (part,):
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""

WRITING_ON_AND_ON = """
import sys
from pathlib import Path
from perftool.replacing import replaced
folder = Path(sys.argv[1])
for number in range(500):
    with replaced(folder / "m.bin", folder / "m.xml") as parts:
        for part in parts:
            part.write_text(f"{sys.argv[2]} {number}")
"""


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".perftool-*"))


def write_pair(folder: Path, content: str) -> None:
    with replaced(folder / "m.bin", folder / "m.xml") as parts:
        for part in parts:
            part.write_text(content)


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "new" / "below" / "a.json"
    for content in ("one", "two"):
        with replaced(target) as (part,):
            part.write_text(content)
        assert target.read_text() == content
        assert list(target.parent.iterdir()) == [target]


def test_a_writer_that_fails_has_changed_nothing(tmp_path: Path) -> None:
    write_pair(tmp_path, "old")
    with (
        pytest.raises(ZeroDivisionError),
        replaced(tmp_path / "m.bin", tmp_path / "m.xml") as (weights, graph),
    ):
        weights.write_text("new")
        graph.write_text("new")
        raise ZeroDivisionError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"m.bin": "old", "m.xml": "old"}


def test_a_pair_of_which_one_cannot_be_put_in_place_stays_as_it_was(tmp_path: Path) -> None:
    write_pair(tmp_path, "old")
    with (
        pytest.raises(FileNotFoundError),
        replaced(tmp_path / "m.bin", tmp_path / "m.xml") as (weights, _never_written),
    ):
        weights.write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"m.bin": "old", "m.xml": "old"}


def test_a_folder_in_the_place_of_a_file_stays(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_pair(source, "new")
    kept = tmp_path / "out" / "m.bin" / "kept"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    with pytest.raises(PerftoolError, match=r"m\.xml: cannot be written: Is a directory$"):
        place_model(source / "m.xml", tmp_path / "out" / "m.xml")
    assert kept.read_text() == "mine"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.bin"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with replaced(tmp_path / "a") as (one,), replaced(tmp_path / "a") as (other,):
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one", "who finishes last"


def test_what_a_killed_writer_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    done = subprocess.run([sys.executable, "-c", HALF_WRITTEN, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    (left,) = leftovers(tmp_path)
    write_pair(tmp_path, "new")
    assert leftovers(tmp_path) == [left], "it may be of a writer at work"
    aged = time.time() - 25 * 3600
    os.utime(left, (aged, aged))
    write_pair(tmp_path, "new")
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("writers", [1, 2])
def test_a_new_half_is_never_beside_an_old_one(writers: int, tmp_path: Path) -> None:
    """Read the .bin between two looks at the .xml: where those agree, it is of the same pair."""
    write_pair(tmp_path, "begun")
    command = [sys.executable, "-c", WRITING_ON_AND_ON, str(tmp_path)]
    running = [subprocess.Popen([*command, f"writer {number}"]) for number in range(writers)]
    mixed: list[tuple[str, str]] = []
    seen: set[str] = set()
    try:
        while any(writer.poll() is None for writer in running):
            try:
                before, weights, after = (
                    (tmp_path / f"m.{end}").read_text() for end in ("xml", "bin", "xml")
                )
            except FileNotFoundError:
                continue
            if before == after:
                seen.add(before)
                if weights != before:
                    mixed.append((before, weights))
    finally:
        for writer in running:
            writer.kill()
            writer.wait()
    assert [writer.returncode for writer in running] == [0] * writers
    assert len(seen) > 10
    assert not mixed
    assert (tmp_path / "m.xml").read_text() == (tmp_path / "m.bin").read_text()
    assert not leftovers(tmp_path)
