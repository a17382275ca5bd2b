"""`perftool compare` and `history` on a real run of the tiny model."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from outcome import one_line

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Finished = tuple[Path, "subprocess.CompletedProcess[str]"]


def test_a_real_run_and_its_copy_are_the_same(here: Command, finished: Finished, tmp_path: Path) -> None:
    run, _ = finished
    copy = shutil.copytree(run, tmp_path / "copy")
    refused = here("compare", run, copy)
    assert refused.returncode == 2 and "are the same run" in one_line(refused)
    header, rest = (copy / "journal.jsonl").read_text().split("\n", 1)
    later = json.loads(header)
    later["created_ns"] += 1
    (copy / "journal.jsonl").write_text(f"{json.dumps(later)}\n{rest}")
    done = here("compare", run, copy, "--fail-on-regression", "1%", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["comparisons"]
    measured = [each for each in found["configurations"] if each["shifts"]]
    assert len(measured) >= 5
    for each in measured:
        for shift in each["shifts"]:
            assert shift["ratio"] is None or abs(shift["ratio"]["point"] - 1) < 1e-12
            assert shift["verdict"] not in ("worse", "better")
    assert {one["verdict"] for one in found["accuracy"]} == {"same"}
    assert [each["id"] for each in measured if each["control"]] == [
        *("cpu-baseline-latency", "cpu-baseline-throughput")
    ]


def test_a_real_run_of_another_machine_is_refused(here: Command, finished: Finished, tmp_path: Path) -> None:
    run, _ = finished
    copy = shutil.copytree(run, tmp_path / "copy")
    header, rest = (copy / "journal.jsonl").read_text().split("\n", 1)
    edited = json.loads(header)
    edited["host"]["cpu"] = "Another CPU"
    (copy / "journal.jsonl").write_text(f"{json.dumps(edited)}\n{rest}")
    refused = here("compare", run, copy, "--fail-on-regression", "1%")
    assert refused.returncode == 2
    assert "is Another CPU" in one_line(refused)
    both = here("history", tmp_path, "--json", "--to", tmp_path / "plots")
    assert both.returncode == 0, both.stderr
    assert (tmp_path / "plots" / "history.png").exists()
