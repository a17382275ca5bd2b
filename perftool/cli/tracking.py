"""Log a run to MLflow: one run for the whole, and nested in it one for each configuration that was tried.

What is logged says `render.tracked`. A run that was logged before is found by its tag and brought up to date,
never logged beside itself; where nothing changed, nothing is done. MLflow is an extra: it is imported when it
is asked for, with its telemetry off, and what it says on its own is not shown.
"""

import hashlib
import logging
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from perftool.analysis.result import Recommendation, Summary
from perftool.errors import PerftoolError, UsageError, one_line
from perftool.render.tracked import PREFIX, Tracked, TrackedRun, is_ours, tracked
from perftool.sweep.profile import to_toml
from perftool.sweep.store import read
from perftool.telemetry import silence

#: The tags by which a run, and each of its configurations, is found again; and what was logged of it.
RUN: Final = f"{PREFIX}run"
CONFIGURATION: Final = f"{PREFIX}configuration"
DIGEST: Final = f"{PREFIX}digest"
_PARENT: Final = "mlflow.parentRunId"
#: The experiment, where MLflow's own variable names none.
_EXPERIMENT: Final = ("MLFLOW_EXPERIMENT_NAME", "perftool")
#: A server that does not answer is given up after some 20 seconds, not minutes, and nothing is printed. What
#: the user set stays.
_SETTINGS: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
}
_PAGE: Final = "report.html"
_LONGEST_REASON: Final = 300
_EXPECTED: Final = "expected a server (http://…), a database (sqlite:///…), or a folder"


class Logged(NamedTuple):
    """Which of MLflow's runs a run is now, and what was done to it."""

    run_id: str
    experiment: str
    done: Literal["logged", "updated", "unchanged"]


def check(uri: str) -> str:
    """Return a tracking URI as MLflow takes it, before anything is written; a path becomes one.

    Raises UsageError without MLflow, for what is no URI, and for a file: databases have a scheme.
    """
    try:
        scheme = urlsplit(uri).scheme
    except ValueError as error:
        raise UsageError(f"--mlflow {uri}: {error}; {_EXPECTED}") from None
    if not uri.strip():
        raise UsageError(f"--mlflow: {_EXPECTED}")
    if not scheme:
        path = Path(uri).absolute()
        if path.exists() and not path.is_dir():
            raise UsageError(f"--mlflow {uri}: is a file; a database is written sqlite:///{path}")
        if "." in uri.strip(".") and os.sep not in uri and not path.exists():
            raise UsageError(f"--mlflow {uri}: a server is written http://{uri}, a new folder .{os.sep}{uri}")
        uri, scheme = path.as_uri(), "file"
    if scheme == "file":
        # MLflow keeps to folders for those who ask it to.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    _import_mlflow()
    return uri


def log(
    uri: str, folder: Path, summary: Summary, recommendation: Recommendation, files: Mapping[str, Path]
) -> Logged:
    """Log the run in a folder, as summed up, to where a URI leads that `check` has returned.

    `files` are those of its report, by their place among the artifacts; its profile joins them. Raises
    PerftoolError, in one line, where MLflow or its server refuses or does not answer; what was logged until
    then is completed when the run is logged again.
    """
    mlflow = _import_mlflow()
    run = read(folder)
    what, profile = tracked(run, summary, recommendation), to_toml(run.header.profile)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _log(mlflow, mlflow.MlflowClient(tracking_uri=uri), what, files, profile)
    except Exception as error:  # Its stores raise whatever the libraries below them do.
        raise PerftoolError(f"--mlflow {_shown(uri)}: {_why(error, uri)}") from None


def _import_mlflow() -> Any:
    """Return the module `mlflow`, quiet and impatient; raises UsageError where it is not installed."""
    silence()
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "mlflow":
            raise UsageError("--mlflow takes MLflow: pip install 'perftool[mlflow]'") from None
        raise UsageError(f"--mlflow takes MLflow, which cannot be loaded here ({error})") from error
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def _log(mlflow: Any, client: Any, what: Tracked, files: Mapping[str, Path], profile: str) -> Logged:
    experiment = os.environ.get(*_EXPERIMENT)
    found = client.get_experiment_by_name(experiment)
    place = found.experiment_id if found else client.create_experiment(experiment)
    known = dict(_known(client, place, what.key))
    digest = _digest(what, files, profile)
    before = known.get("")
    if before is not None and before.data.tags.get(DIGEST) == digest:
        return Logged(before.info.run_id, experiment, "unchanged")
    store = _Store(mlflow, client, place, what)
    whole = store.bring(before, what.whole, {})
    for id, one in what.configurations.items():
        store.bring(known.get(id), one, {CONFIGURATION: id, _PARENT: whole})
    for name, path in files.items():
        client.log_artifact(whole, str(path), str(Path(name).parent) if "/" in name else None)
    client.log_text(whole, profile, "profile.toml")
    # Last: whatever was interrupted before this is logged again.
    client.set_tag(whole, DIGEST, digest)
    return Logged(whole, experiment, "logged" if before is None else "updated")


def _known(client: Any, experiment: str, key: str) -> Iterator[tuple[str, Any]]:
    """Give what was logged of a run before: the whole as "", configurations by their ids."""
    page = None
    while True:
        found = client.search_runs(
            [experiment], filter_string=f"tags.`{RUN}` = '{key}'", max_results=1000, page_token=page
        )
        yield from ((run.data.tags.get(CONFIGURATION, ""), run) for run in found)
        page = found.token
        if not page:
            return


class _Store:
    """Where the runs of one run go."""

    def __init__(self, mlflow: Any, client: Any, experiment: str, what: Tracked) -> None:
        self._entities = mlflow.entities
        self._client = client
        self._experiment = experiment
        self._what = what

    def bring(self, before: Any, one: TrackedRun, identity: Mapping[str, str]) -> str:
        """Create a run, or bring the one from before up to date; return its id.

        A run is identified from its first moment on. Parameters never change. Of figures that are gone a NaN
        is left, since MLflow takes none away; what others logged or tagged stays.
        """
        identity = {RUN: self._what.key, **identity}
        run = before or self._client.create_run(
            self._experiment, start_time=self._what.began_ms, tags=identity, run_name=one.name
        )
        id: str = run.info.run_id
        held, tags = run.data, {**one.tags, **identity}
        for name in held.tags:
            if name.startswith(PREFIX) and name not in tags:
                self._client.delete_tag(id, name)
        now = time.time_ns() // 1_000_000
        make = self._entities
        self._client.log_batch(
            id,
            metrics=[make.Metric(*figure, now, 0) for figure in _changed(one.metrics, held.metrics)],
            params=[make.Param(*param) for param in one.params.items() if param[0] not in held.params],
            tags=[make.RunTag(*tag) for tag in tags.items() if held.tags.get(tag[0]) != tag[1]],
        )
        self._client.set_terminated(id, one.status, self._what.ended_ms)
        return id


def _changed(wanted: Mapping[str, float], held: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Give the figures that are new or other than before, and a NaN for each that is gone."""
    yield from ((name, value) for name, value in wanted.items() if held.get(name) != value)
    for name, value in held.items():
        if name not in wanted and is_ours(name) and not math.isnan(value):
            yield name, math.nan


def _digest(what: Tracked, files: Mapping[str, Path], profile: str) -> str:
    """Return the SHA-256 of all that is logged but the page.

    That shows what the others hold, and calls the run as it was called this time.
    """
    whole = hashlib.sha256(msgspec.json.encode((what, profile)))
    for name, path in sorted(files.items()):
        if name == _PAGE:
            continue
        with path.open("rb") as stream:
            whole.update(f"{name} {hashlib.file_digest(stream, 'sha256').hexdigest()}".encode())
    return whole.hexdigest()


# ---------------------------------------------------------------- what went wrong


def _shown(uri: str) -> str:
    """Return a URI without the password that may be in it."""
    secret = urlsplit(uri).netloc.rpartition("@")[0]
    return uri.replace(f"{secret}@", "***@", 1) if secret else uri


def _why(error: Exception, uri: str) -> str:
    """Return in one line why a run could not be logged: what the system said, where that is below it all."""
    root: BaseException = error
    while (below := root.__cause__ or root.__context__) is not None:
        root = below
    if isinstance(root, OSError):
        place = f"{root.filename}: " if root.filename else ""
        return place + (root.strerror or one_line(root))
    if isinstance(error, ModuleNotFoundError):
        return f"takes the package {error.name}, which the extra does not bring: pip install mlflow"
    if type(error).__name__.startswith("Unsupported"):
        return f"MLflow knows no such place; {_EXPECTED}"
    text = one_line(error)
    if secret := urlsplit(uri).netloc.rpartition("@")[0]:
        text = text.replace(secret, "***")
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
