"""Runs in MLflow: all of a run, once, however often it is logged; and one line for whatever goes wrong."""

import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journals import BASELINES, EVALUATIONS, Journal, Measured, three
from typer.testing import CliRunner
from written import chosen, write_run

from perftool.analysis.metrics import METRICS
from perftool.cli import tracking
from perftool.cli.main import app
from perftool.cli.tracking import CONFIGURATION, Logged
from perftool.errors import PerftoolError, UsageError
from perftool.journal import Run
from perftool.render.tracked import tracked

installed = pytest.mark.skipif(
    find_spec("mlflow") is None, reason="MLflow is not installed: pip install 'perftool[mlflow]'"
)
#: That folders are kept to but no more developed, as MLflow says when a test reads one back.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Begin each test without the developer's MLflow, in a folder of its own, and forget what logging set."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def of(**fields: Any) -> Run:
    """Return a small run of a candidate, a failed one, one that was left out, and a baseline."""
    measured = (
        BASELINES[0],
        Measured(precision="FP32", fps=8.4, image_j=2.0),
        Measured(precision="INT8", streams=2, fps=33.0, **fields),
        Measured(precision="BF16", rounds=0, failed="the child was killed"),
        Measured(precision="BF16", streams=8, rounds=0, left_out="CPU has 1 to 2 streams"),
    )
    return Journal(measured, EVALUATIONS).run()


class Store:
    """A folder that MLflow keeps runs in, and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = tracking.check(str(folder))

    def log(self, run: Run, place: Path, files: dict[str, Path] | None = None) -> Logged:
        return tracking.log(self.uri, write_run(place, run), *chosen(run), files or {})

    @property
    def client(self) -> Any:
        import mlflow

        return mlflow.MlflowClient(tracking_uri=self.uri)

    def runs(self) -> dict[str, Any]:
        """Return MLflow's runs, the whole as "", configurations by their ids."""
        experiment = self.client.get_experiment_by_name("perftool")
        found = self.client.search_runs([experiment.experiment_id])
        runs = {run.data.tags.get(CONFIGURATION, ""): run for run in found}
        assert len(runs) == len(found), "each once"
        return runs

    def content(self) -> dict[str, bytes]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kept by MLflow")


# ---------------------------------------------------------------- what is logged


@installed
def test_one_run_is_the_whole_and_one_nested_in_it_each_configuration_that_was_tried(
    store: Store, tmp_path: Path
) -> None:
    run = of()
    summary, recommendation = chosen(run)
    logged = store.log(run, tmp_path / "run")
    assert (logged.experiment, logged.done) == ("perftool", "logged")
    runs = store.runs()
    whole = runs.pop("")
    assert whole.info.run_id == logged.run_id
    assert set(runs) == {"cpu-baseline-latency", "cpu-fp32-b1-s1", "cpu-int8-b1-s2", "cpu-bf16-b1-s1"}
    assert {one.data.tags["mlflow.parentRunId"] for one in runs.values()} == {logged.run_id}
    assert whole.info.run_name == summary.run.id and runs["cpu-int8-b1-s2"].info.run_name == "cpu-int8-b1-s2"
    states = {id: one.info.status for id, one in runs.items()}
    assert states.pop("cpu-bf16-b1-s1") == "FAILED" and set(states.values()) == {"FINISHED"}
    assert runs["cpu-bf16-b1-s1"].data.tags["perftool.reason"].endswith("the child was killed")
    assert (whole.info.start_time, whole.info.end_time) == (
        run.header.created_ns // 10**6,
        run.entries[-1].at_ns // 10**6,
    )
    assert whole.data.tags["perftool.recommendation"] == recommendation.id == "cpu-int8-b1-s2"
    assert whole.data.tags["perftool.reason"] == recommendation.reason


@installed
def test_figures_are_those_of_the_table_of_metrics(store: Store, tmp_path: Path) -> None:
    run = of(image_j=1.5)
    summary, recommendation = chosen(run)
    store.log(run, tmp_path / "run")
    runs = store.runs()
    for one in (*summary.configurations, *summary.baselines):
        if one.status == "skipped":
            continue
        wanted = {}
        for name, metric in METRICS.items():
            if (estimate := metric.read(one)) is not None:
                ends = {name: estimate.point, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
                wanted |= {end: value for end, value in ends.items() if value is not None}
        assert runs[one.id].data.metrics == wanted
    whole, choice = runs[""].data.metrics, runs["cpu-int8-b1-s2"].data.metrics
    assert whole.items() >= choice.items()
    gain = recommendation.gain[0]
    assert whole[f"gain_over/{gain.over}"] == gain.point
    assert whole["wall_seconds"] == summary.run.wall_seconds


@installed
def test_parameters_are_what_was_to_be_measured_and_with_what(store: Store, tmp_path: Path) -> None:
    store.log(of(), tmp_path / "run")
    runs = store.runs()
    whole = runs[""].data.params
    assert whole["model"] == "googlenet-v4-tf" and whole["model_digest"] == "ab" * 32
    assert whole["profile"] == "test" and whole["host_cpu"] == "Example CPU @ 2.0 GHz"
    assert whole["version_openvino"] == "2026.4" and whole["version_perftool"] == "0.1.0"
    candidate, baseline = runs["cpu-int8-b1-s2"].data.params, runs["cpu-baseline-latency"].data.params
    asked = {
        "precision": "INT8",
        "streams": "2",
        "batch": "1",
        "inference_precision": "f32",
        "pinning": "true",
    }
    assert candidate.items() >= asked.items()
    assert baseline["hint"] == "LATENCY" and baseline["role"] == "baseline"


@installed
def test_the_report_is_among_the_artifacts(store: Store, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", of())
    done = CliRunner().invoke(app, ["report", str(folder), "--data", "csv", "--mlflow", str(store.folder)])
    assert done.exit_code == 0, done.output
    (whole,) = (run for id, run in store.runs().items() if not id)
    assert done.stdout.splitlines()[-1] == f"MLflow run {whole.info.run_id} of experiment perftool: logged"

    def listed(place: str | None = None) -> Iterator[str]:
        for one in store.client.list_artifacts(whole.info.run_id, place):
            yield from listed(one.path) if one.is_dir else (one.path,)

    names = set(listed())
    assert {"report.html", "results.json", "report.txt", "profile.toml", "data/samples.csv"} < names
    assert {name for name in names if name.startswith("plots/")}
    kept = store.client.download_artifacts(whole.info.run_id, "results.json", str(tmp_path))
    assert Path(kept).read_bytes() == (folder / "results.json").read_bytes()
    profile = store.client.download_artifacts(whole.info.run_id, "profile.toml", str(tmp_path))
    assert 'name = "test"' in Path(profile).read_text()


@installed
def test_however_the_folder_is_written_the_run_is_unchanged(store: Store, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", of())
    for spelt, done in ((str(folder), "logged"), ("run", "unchanged"), ("./run/../run", "unchanged")):
        said = CliRunner().invoke(app, ["report", spelt, "--mlflow", str(store.folder)])
        assert said.exit_code == 0, said.output
        assert said.stdout.splitlines()[-1].endswith(f": {done}"), spelt


def test_what_servers_do_not_take_is_cut() -> None:
    run = three()
    model = msgspec.structs.replace(run.header.model, name="long" * 1000)
    run = msgspec.structs.replace(run, header=msgspec.structs.replace(run.header, model=model))
    whole = tracked(run, *chosen(run)).whole
    assert len(whole.params["model"]) == 500 and whole.params["model"].endswith("…")


# ---------------------------------------------------------------- once, however often


@installed
def test_logged_again_nothing_changes(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a report")
    first = store.log(of(), tmp_path / "run", {"a.txt": tmp_path / "a.txt"})
    before = store.content()
    again = store.log(of(), tmp_path / "moved", {"a.txt": tmp_path / "a.txt"})
    assert (again.run_id, again.done) == (first.run_id, "unchanged")
    assert store.content() == before


@installed
def test_a_run_that_went_on_is_brought_up_to_date_in_its_place(store: Store, tmp_path: Path) -> None:
    first = store.log(of(rounds=3, image_j=1.5), tmp_path / "run")
    old = store.runs()
    whole = old[""].info.run_id
    store.client.set_tag(whole, "team", "vision")
    store.client.log_metric(whole, "cost", 3.0)
    later = of()
    again = store.log(later, tmp_path / "run")
    assert (again.run_id, again.done) == (first.run_id, "updated")
    runs = store.runs()
    assert {id: one.info.run_id for id, one in runs.items()} == {
        id: one.info.run_id for id, one in old.items()
    }
    summary, _ = chosen(later)
    one = next(one for one in summary.configurations if one.id == "cpu-int8-b1-s2")
    metrics = runs["cpu-int8-b1-s2"].data.metrics
    assert one.throughput_fps is not None and metrics["throughput_low"] == one.throughput_fps.low
    assert "throughput_low" not in old["cpu-int8-b1-s2"].data.metrics
    assert "energy" in old["cpu-int8-b1-s2"].data.metrics and math.isnan(metrics["energy"]), "known no more"
    assert runs[""].data.tags["team"] == "vision" and runs[""].data.metrics["cost"] == 3.0


@installed
def test_words_that_hold_no_more_are_taken_away(store: Store, tmp_path: Path) -> None:
    store.log(of(other_load=0.5), tmp_path / "run")
    assert "foreign load" in store.runs()["cpu-int8-b1-s2"].data.tags["perftool.warnings"]
    store.log(of(), tmp_path / "run")
    assert "perftool.warnings" not in store.runs()["cpu-int8-b1-s2"].data.tags


@installed
def test_a_logging_that_was_cut_short_is_completed(store: Store, tmp_path: Path) -> None:
    """What stops it is a file in the place of a folder among the artifacts."""
    (tmp_path / "a").write_text("a report")
    cut = {"a": tmp_path / "a", "a/below": tmp_path / "a"}
    with pytest.raises(PerftoolError, match="artifacts/a"):
        store.log(of(), tmp_path / "run", cut)
    runs = store.runs()
    (stopped,) = store.client.list_artifacts(runs[""].info.run_id)
    assert stopped.path == "a"
    done = store.log(of(), tmp_path / "run", {"a": tmp_path / "a"})
    assert (done.run_id, done.done) == (runs[""].info.run_id, "updated")
    assert {one.path for one in store.client.list_artifacts(done.run_id)} == {"a", "profile.toml"}
    assert store.runs().keys() == runs.keys()
    assert store.log(of(), tmp_path / "run", {"a": tmp_path / "a"}).done == "unchanged"


@installed
def test_another_run_of_the_same_model_is_another_run(store: Store, tmp_path: Path) -> None:
    run = of()
    later = msgspec.structs.replace(run.header, created_ns=run.header.created_ns + 1)
    ids = {
        store.log(run, tmp_path / "run").run_id,
        store.log(msgspec.structs.replace(run, header=later), tmp_path / "other").run_id,
    }
    assert len(ids) == 2


@installed
def test_a_run_that_was_deleted_in_mlflow_is_logged_anew(store: Store, tmp_path: Path) -> None:
    first = store.log(of(), tmp_path / "run")
    store.client.delete_run(first.run_id)
    again = store.log(of(), tmp_path / "run")
    assert again.done == "logged" and again.run_id != first.run_id
    parents = {one.data.tags.get("mlflow.parentRunId") for id, one in store.runs().items() if id}
    assert parents == {again.run_id}


@installed
def test_a_database_serves_as_well_and_the_experiment_may_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sqlalchemy", reason="databases take more than the extra `mlflow`")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    uri = tracking.check(f"sqlite:///{tmp_path}/runs.db")
    run = of()
    folder = write_run(tmp_path / "run", run)
    found = [tracking.log(uri, folder, *chosen(run), {}) for _ in range(2)]
    assert [one.done for one in found] == ["logged", "unchanged"]
    assert {one.experiment for one in found} == {"mine"}


# ---------------------------------------------------------------- what goes wrong


def failing(uri: str, tmp_path: Path) -> str:
    """Log to where it cannot be; return the one line that says why."""
    with pytest.raises(PerftoolError) as error:
        tracking.log(tracking.check(uri), write_run(tmp_path / "run", three()), *chosen(three()), {})
    line = str(error.value)
    assert "\n" not in line and len(line) < 500
    return line


@installed
def test_a_server_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    line = failing(f"http://user:secret@127.0.0.1:{port}", tmp_path)
    assert line == f"--mlflow http://***@127.0.0.1:{port}: Connection refused"
    assert time.monotonic() - began < 15


@installed
def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        line = failing(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
    assert "timed out" in line
    assert time.monotonic() - began < 15
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "1", "what the user set"


@installed
def test_nobody_waits_for_minutes() -> None:
    tracking.check("http://127.0.0.1")
    seconds, retries = (int(os.environ[f"MLFLOW_HTTP_REQUEST_{name}"]) for name in ("TIMEOUT", "MAX_RETRIES"))
    assert seconds * (1 + retries) <= 30


@installed
@pytest.mark.parametrize("uri", ["htp://nowhere", "sqlite://nowhere/x", "sqlite:///{folder}/file/runs.db"])
def test_a_place_that_is_none_is_one_line(uri: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    uri = uri.format(folder=tmp_path)
    line = failing(uri, tmp_path)
    assert line.startswith(f"--mlflow {uri}: ")
    assert uri != "htp://nowhere" or "expected a server (http://" in line


def test_what_is_no_uri_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "runs.db").write_text("")
    for uri, said in (("", "expected"), ("http://[::1", "IPv6"), (str(tmp_path / "runs.db"), "sqlite:///")):
        with pytest.raises(UsageError, match=said) as error:
            tracking.check(uri)
        assert str(error.value).startswith("--mlflow")


@installed
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in failing(str(tmp_path / "file" / "below"), tmp_path)


def test_without_mlflow_the_user_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"pip install 'perftool\[mlflow\]'"):
        tracking.check(str(tmp_path))


# ---------------------------------------------------------------- what leaves the machine

ROOT = Path(__file__).parents[2]
#: Notes where a process connects to, and whose address it asks for, from its start on.
WATCHED = """
import os, sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        with open(os.environ["WATCHED"], "a") as log:
            log.write(f"{event} {arguments[1:]}\\n")
sys.addaudithook(hook)
"""


@installed
def test_nothing_is_reported_and_nothing_left_in_the_home_folder(tmp_path: Path) -> None:
    """The real command, without the variables by which MLflow would know of a test."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(WATCHED)
    folder, home, watched = write_run(tmp_path / "run", three()), tmp_path / "home", tmp_path / "watched"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "WATCHED": str(watched),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{tmp_path / 'path'}{os.pathsep}{ROOT}",
    }
    command = [sys.executable, "-m", "perftool", "report", str(folder), "--mlflow", str(tmp_path / "kept")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "what MLflow says on its own is not shown"
    assert not watched.exists(), watched.read_text()
    assert not [path for path in home.rglob("*") if "mlflow" in path.name.lower()]
