"""Open load as a user asks for it: the real command, child and runtime, on a tiny model."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from outcome import one_line
from tiny import write_tiny_model

from perftool.analysis.open_load import rate_points
from perftool.journal import JOURNAL, Finished, Planned, Started
from perftool.record import Compiled, Offered, Prepared, Visited
from perftool.spec import Closed, Sync
from perftool.sweep.store import read

Command = Callable[..., "subprocess.CompletedProcess[str]"]

FILES = ("load.json", "load.txt", "plots/latency_rate.png", "plots/latency_rate.svg", "journal.jsonl")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that is slow enough for a generator in Python to keep up with."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.xml", size=320)


@pytest.fixture(scope="module")
def judged(
    perftool: Command, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """Return the folder of a run that judges two rates, and what the command printed."""
    folder = tmp_path_factory.mktemp("load") / "judged"
    rates = ("--rate", 40, "--rate", 20, "--seconds", 2, "--slo-ms", 500, "--percentile", 50)
    return folder, perftool("load", model, *rates, "--seed", 5, "--json", "--out", folder)


def test_given_rates_are_offered_judged_and_written(
    judged: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    folder, done = judged
    assert done.returncode == 0, done.stderr
    for name in FILES:
        assert (folder / name).stat().st_size > 0, name
    printed = json.loads(done.stdout)
    assert printed == json.loads((folder / "load.json").read_text())
    assert [point["rate_fps"] for point in printed["points"]] == [20, 40]
    assert printed["bound_ms"] == 500 and printed["percentile"] == 50
    assert printed["answer"]["holds_fps"] in (20, 40)
    assert "of 662" in (folder / "load.txt").read_text()


def test_how_long_it_takes_is_said_before_it_starts(
    judged: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    lines = judged[1].stderr.splitlines()
    assert lines[0] == "5 s for 2 rates from 20 to 40 images/s"
    assert any("at 20 images/s, rate 1 of 2" in line and "s left]" in line for line in lines)


def test_the_journal_reads_back_in_the_order_of_what_was_done(
    judged: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    run = read(judged[0])
    records = [entry.record for entry in run.entries]
    kinds = [Planned, Prepared, Started, Compiled, *[Visited] * 6, Offered, Offered, Finished]
    assert [type(record) for record in records] == kinds
    offered = [record for record in records if isinstance(record, Offered)]
    assert [record.load.rate_fps for record in offered] == [20, 40]
    assert [record.load.seed for record in offered] == [5, 6]
    assert all(record.window_ns >= 2e9 for record in offered)
    points = json.loads((judged[0] / "load.json").read_text())["points"]
    assert [point.n for point in rate_points(offered)] == [point["n"] for point in points]


def test_a_folder_that_holds_a_run_is_refused_at_once(
    perftool: Command, model: Path, judged: tuple[Path, "subprocess.CompletedProcess[str]"]
) -> None:
    before = (judged[0] / JOURNAL).read_bytes()
    done = perftool("load", model, "--rate", 20, "--out", judged[0])
    assert done.returncode == 6
    assert "holds a run already" in one_line(done)
    assert (judged[0] / JOURNAL).read_bytes() == before


def test_a_generous_bound_is_searched_up_to_the_capacity(
    perftool: Command, model: Path, tmp_path: Path
) -> None:
    asked = ("--slo-ms", 2000, "--percentile", 50, "--seconds", 1, "--requests", 2)
    done = perftool("load", model, *asked, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "p50 with an interval takes " in done.stderr
    assert "p50 <= 2000 ms" in done.stdout
    records = [entry.record for entry in read(tmp_path / "run").entries]
    visited = [record.load for record in records if isinstance(record, Visited)]
    assert visited == [Closed()] * 6 + [Sync()] * 3
    found = json.loads((tmp_path / "run" / "load.json").read_text())
    closed = found["closed_fps"]["point"]
    assert 3 <= len(found["points"]) <= 12
    assert all(point["rate_fps"] < closed for point in found["points"])
    assert found["answer"]["holds_fps"] >= closed / 8


def test_a_bound_that_a_request_alone_misses_ends_with_4_and_the_figure(
    perftool: Command, model: Path, tmp_path: Path
) -> None:
    done = perftool("load", model, "--slo-ms", 0.001, "--search", "--out", tmp_path / "run")
    assert done.returncode == 4, done.stderr
    assert "even a request alone misses the bound: p50 is" in one_line(done)
    assert not [e for e in read(tmp_path / "run").entries if isinstance(e.record, Offered)]


def test_int8_is_calibrated_and_rates_beyond_all_reason_are_refused(
    perftool: Command, tiny: Path, labelled: Path, tmp_path: Path
) -> None:
    how = ("--precision", "INT8", "--dataset", labelled, "--calibration-images", 8, "--constant")
    done = perftool("load", tiny, *how, "--rate", 1e9, "--out", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert "more than 10 times the closed loop's" in one_line(done)
    assert any(isinstance(entry.record, Compiled) for entry in read(tmp_path / "run").entries)


def test_ctrl_c_keeps_what_was_measured(environment: dict[str, str], model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    rates = ("--rate", "20", "--rate", "21", "--seconds", "4", "--percentile", "50")
    process = subprocess.Popen(
        [sys.executable, "-m", "perftool", "load", str(model), *rates, "--out", str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / JOURNAL).exists() and b'"offered"' in (folder / JOURNAL).read_bytes():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip().splitlines()[-1] == f"perftool: stopped; what was measured is kept in {folder}"
    assert "Traceback" not in err
    assert "p50" in out
    found = json.loads((folder / "load.json").read_text())
    assert [point["rate_fps"] for point in found["points"]] == [20]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--rate", "0"), 2, "--rate: expected a number > 0, got 0"),
        (("--rate", "5", "--rate", "-1"), 2, "--rate: expected a number > 0, got -1"),
        (("--rate", "nan"), 2, "--rate: expected a number > 0, got nan"),
        (("--search",), 2, "--search goes with --slo-ms"),
        (("--search", "--slo-ms", "9", "--rate", "5"), 2, "leave out either it or --rate"),
        (("--slo-ms", "0"), 2, "--slo-ms: expected a number > 0, got 0"),
        (("--seconds", "-2"), 2, "--seconds: expected a number > 0, got -2"),
        (("--rate", "5", "--precision", "FP8"), 2, "precisions"),
        (("--rate", "5", "--streams", "1,2"), 2, "give one value"),
        (("--rate", "5", "--streams", "0"), 2, "streams"),
        (("--rate", "5", "--labels", "x"), 2, "--labels goes with --dataset"),
        (("--rate", "5", "--streams", "64", "--threads", "64"), 2, "64"),
        (("--rate", "5", "--device", "NPU"), 5, "NPU"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    refused: Command, tiny: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = refused("load", tiny, *arguments, "--out", tmp_path / "run")
    assert done.returncode == code, done.stderr
    assert said in one_line(done)
    assert not (tmp_path / "run").exists()


def test_a_model_that_is_not_there_is_bad_input(refused: Command, tmp_path: Path) -> None:
    done = refused("load", tmp_path / "none.xml", "--rate", 5, "--out", tmp_path / "run")
    assert done.returncode == 3
    assert "none.xml" in one_line(done)
