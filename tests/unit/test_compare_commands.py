"""`perftool compare` and `history` as commands: exit codes, formats, one line of error."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import msgspec
import pytest
from journals import EVALUATIONS, NINE, SECOND, Journal, changed
from looks import written

from perftool.cli.main import main


class Done(NamedTuple):
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def perftool(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in this process: one of its own takes a second."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["perftool", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run, the same again, a slower one, one of another host, and a broken one."""
    folder = tmp_path_factory.mktemp("runs")
    for number, (name, factor, host) in enumerate(
        (("a", 1.0, {}), ("same", 1.0, {}), ("slow", 0.6, {}), ("other", 1.0, {"cpu": "Another"}))
    ):
        measured = tuple(
            changed(one, fps=one.fps * factor) if one.precision == "INT8" else one for one in NINE
        )
        run = Journal(measured, EVALUATIONS).run()
        header = msgspec.structs.replace(
            run.header,
            created_ns=run.header.created_ns + number * 3600 * SECOND,
            host=msgspec.structs.replace(run.header.host, **host),
        )
        written(msgspec.structs.replace(run, header=header), folder / name)
    (folder / "broken").mkdir()
    (folder / "broken" / "journal.jsonl").write_text("no journal\n")
    few = Journal(tuple(changed(one, rounds=2) for one in NINE)).run()
    written(few, folder.parent / "few")
    busy = Journal(tuple(changed(one, other_load=0.5) for one in NINE), EVALUATIONS).run()
    written(busy, folder.parent / "busy")
    written(Journal(NINE).run(), folder.parent / "unevaluated")
    shutil.copytree(folder / "a", folder.parent / "copy")
    written(Journal(NINE, EVALUATIONS[:1]).run(), folder.parent / "partly")
    return folder


def one_line(done: Done) -> str:
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("perftool: "), line
    return line


def test_the_same_code_passes_and_a_slower_one_ends_with_7(perftool: Command, runs: Path) -> None:
    same = perftool("compare", runs / "a", runs / "same", "--fail-on-regression", "3%")
    assert (same.returncode, same.stderr) == (0, "")
    assert "no regression of more than 3 %" in same.stdout
    slow = perftool("compare", runs / "a", runs / "slow", "--fail-on-regression", "3%")
    assert slow.returncode == 7
    assert "regressions of more than 3%: cpu-int8-b1-s1: throughput" in one_line(slow)
    assert "cpu-int8-b1-s2" in slow.stdout
    told = perftool("compare", runs / "a", runs / "slow")
    assert (told.returncode, told.stderr) == (0, "") and "worse" in told.stdout


def test_each_format_is_written_whole_and_fails_alike(perftool: Command, runs: Path) -> None:
    arguments = ("compare", runs / "a", runs / "same", runs / "slow", "--fail-on-regression", "3%")
    as_json = perftool(*arguments, "--json")
    found = json.loads(as_json.stdout)
    assert as_json.returncode == 7 and found["threshold"] == 0.03
    assert [one["run"]["id"] for one in found["comparisons"]] == ["same", "slow"]
    assert [bool(one["regressions"]) for one in found["comparisons"]] == [False, True]
    assert perftool(*arguments, "--format", "json").stdout == as_json.stdout
    junit = perftool(*arguments, "--format", "junit")
    assert junit.returncode == 7
    assert int(ElementTree.fromstring(junit.stdout).get("failures", "0")) > 0
    markdown = perftool(*arguments, "--format", "markdown")
    assert markdown.returncode == 7 and markdown.stdout.startswith("### perftool: `same` against `a`")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{a}"], 2, "two runs or more"),
        (["{a}", "{same}", "--fail-on-regression", "3"], 2, "expected a share in percent"),
        (["{a}", "{same}", "--fail-on-regression", "nan%"], 2, "expected a share in percent"),
        (["{a}", "{same}", "--fail-on-regression=-1%"], 2, "expected a share in percent"),
        (["{a}", "{same}", "--metric", "troughput"], 2, "did you mean throughput"),
        (["{a}", "{same}", "--metric", "top1_drop"], 2, "top1"),
        (["{a}", "{same}", "--json", "--format", "junit"], 2, "--json and --format junit"),
        (["{a}", "{other}", "--fail-on-regression", "3%"], 2, "cpu was Example CPU @ 2.0 GHz, is Another"),
        (["{a}", "{few}", "--fail-on-regression", "3%", "--metric", "throughput"], 3, "2 of the 6"),
        (["{a}", "{few}", "--fail-on-regression", "3%"], 3, "2 of the 6"),
        (["{a}", "{busy}", "--fail-on-regression", "3%"], 3, "66 of 66 visits were disturbed by other load"),
        (["{a}", "{unevaluated}", "--fail-on-regression", "3%"], 3, "not evaluated in the run"),
        (["{a}", "{a}"], 2, "are the same run"),
        (["{a}", "{copy}", "--fail-on-regression", "3%"], 2, "are the same run"),
        (["{a},{same}", "{slow}"], 2, "1 run against 2 runs"),
        (["{a},{same}", "{slow},{same}"], 2, "are the same run"),
        (["{a}", "{broken}"], 3, "line 1"),
        (["{a}", "{nothing}"], 3, "holds no run"),
    ],
)
def test_what_makes_no_sense_gets_one_line(
    perftool: Command, runs: Path, arguments: list[str], code: int, words: str
) -> None:
    places = {name: runs / name for name in ("a", "same", "slow", "other", "broken", "nothing")}
    places |= {name: runs.parent / name for name in ("few", "busy", "unevaluated", "copy")}
    done = perftool("compare", *(one.format(**places) for one in arguments))
    assert done.returncode == code, done.stderr
    assert words in one_line(done)
    assert done.stdout == "" or " against a" in done.stdout
    junit = perftool("compare", *(one.format(**places) for one in arguments), "--format", "junit")
    if "--json" not in arguments and "--format" not in arguments:
        assert junit.returncode == code
        root = ElementTree.fromstring(junit.stdout)
        (error,) = root.iterfind("testsuite/testcase/error")
        assert words in (error.get("message") or "") and int(root.get("errors", "0")) == 1


def later(run: Path, folder: Path, hours: int) -> Path:
    """Copy a run as if it had been made some hours later."""
    shutil.copytree(run, folder)
    header, rest = (folder / "journal.jsonl").read_text().split("\n", 1)
    made = json.loads(header)
    made["created_ns"] += hours * 3600 * SECOND
    (folder / "journal.jsonl").write_text(f"{json.dumps(made)}\n{rest}")
    return folder


def test_several_runs_of_a_side_are_joined_by_commas(perftool: Command, runs: Path, tmp_path: Path) -> None:
    slow = [later(runs / "slow", tmp_path / f"slow{turn}", turn) for turn in (1, 2)]
    done = perftool(
        "compare",
        f"{runs / 'a'},{runs / 'same'}",
        f"{slow[0]},{slow[1]}",
        *("--fail-on-regression", "3%", "--json"),
    )
    assert done.returncode == 7, done.stderr
    (found,) = json.loads(done.stdout)["comparisons"]
    assert (found["baseline"]["id"], found["run"]["runs"]) == ("a, same", 2)
    shown = perftool("compare", f"{runs / 'a'},{runs / 'same'}", f"{slow[0]},{slow[1]}").stdout
    shown = " ".join(shown.split())
    assert "slow1, slow2 against a, same" in shown and "2 runs, 12 rounds" in shown
    with_comma = later(runs / "same", tmp_path / "x,y", 3)
    assert perftool("compare", runs / "a", with_comma).returncode == 0


def test_junit_is_utf_8_whatever_the_encoding_of_standard_output(runs: Path, tmp_path: Path) -> None:
    name = tmp_path / "größer"
    shutil.copytree(runs / "slow", name)
    done = subprocess.run(
        [sys.executable, "-m", "perftool", "compare", runs / "a", name, "--format", "junit"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0, done.stderr
    root = ElementTree.fromstring(done.stdout)
    assert "größer against a" in (root[0].get("name") or "") and "größer".encode() in done.stdout


def test_a_missing_accuracy_is_seen_and_what_is_not_asked_for_is_not_missed(
    perftool: Command, runs: Path
) -> None:
    partly = perftool("compare", runs / "a", runs.parent / "partly", "--fail-on-regression", "3%", "--json")
    assert partly.returncode == 3, "what is gone may be worse"
    assert "fp16 file in f32 on CPU (top1: not evaluated in the run)" in one_line(partly)
    shifts = json.loads(partly.stdout)["comparisons"][0]["accuracy"]
    assert [one["verdict"] for one in shifts] == ["same", *["not compared"] * 3]
    assert [one["reason"] for one in shifts] == [None, *["not evaluated in the run"] * 3]
    assert (shifts[3]["before"], shifts[3]["now"]) == (79.0, None)
    told = perftool("compare", runs / "a", runs.parent / "partly", "--format", "markdown").stdout
    assert told.count("not evaluated in the run |") == 3
    speed = ("--metric", "throughput", "--fail-on-regression", "3%")
    assert perftool("compare", runs / "a", runs.parent / "unevaluated", *speed).returncode == 0
    had_none = perftool("compare", runs.parent / "unevaluated", runs / "a", "--fail-on-regression", "3%")
    assert had_none.returncode == 0, "nothing could be lost"
    assert " ".join(had_none.stdout.split()).count("(not evaluated") == 4


def test_other_hosts_are_shown_side_by_side(perftool: Command, runs: Path) -> None:
    done = perftool("compare", runs / "a", runs / "other")
    assert done.returncode == 0
    assert "not comparable: cpu was" in done.stdout


def test_a_history_is_shown_and_drawn(perftool: Command, runs: Path, tmp_path: Path) -> None:
    done = perftool("history", runs, "--config", "cpu-int8-b1-s2", "--to", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "skipped: broken: " in done.stdout
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
        *("history-1.png", "history-1.svg", "history-2.png", "history-2.svg")
    ]
    assert done.stderr.count("wrote ") == 4
    as_json = perftool("history", runs, "--json")
    assert as_json.stderr == "" and not list(runs.glob("history*"))  # No picture that nobody asked for.
    found = json.loads(as_json.stdout)
    assert [point["run"] for point in found["tracks"][0]["points"]] == ["a", "same", "slow"]
    assert [one["run"] for one in found["skipped"]] == ["broken"]


def test_a_history_of_nothing_is_refused(perftool: Command, runs: Path, tmp_path: Path) -> None:
    empty = perftool("history", tmp_path)
    assert (empty.returncode, "no run below it" in one_line(empty)) == (3, True)
    missing = perftool("history", tmp_path / "nowhere")
    assert missing.returncode == 3
    unknown = perftool("history", runs, "--config", "cpu-int8-b1-s9", "--to", tmp_path)
    assert (unknown.returncode, "did you mean" in one_line(unknown)) == (3, True)
    metric = perftool("history", runs, "--metric", "speed", "--to", tmp_path)
    assert metric.returncode == 2


def test_a_history_follows_links_and_counts_each_run_once(
    perftool: Command, runs: Path, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    (linked / "deep").mkdir(parents=True)
    (linked / "first").symlink_to(runs / "a")
    (linked / "deep" / "second").symlink_to(runs / "slow")
    (linked / "deep" / "up").symlink_to(linked)  # a loop
    (linked / "zz-first-again").symlink_to(runs / "a")
    (linked / "gone").symlink_to(tmp_path / "nowhere")
    shutil.copytree(runs / "a", linked / "zz-copy")
    done = perftool("history", linked, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [point["run"] for point in found["tracks"][0]["points"]] == ["first", "deep/second"]
    assert {one["run"]: one["reason"] for one in found["skipped"]} == {
        "gone": "a link that leads nowhere",
        "zz-copy": "the same run as first: one journal, to the last record",
    }


def test_a_plot_that_cannot_be_written_is_refused_before_anything_is_printed(
    perftool: Command, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for form in ((), ("--json",)):
        done = perftool("history", runs, "--to", tmp_path / "file", *form)
        assert (done.returncode, done.stdout) == (1, "")
        assert "--to FOLDER puts the plot elsewhere" in one_line(done)
