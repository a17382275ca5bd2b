"""Fixtures for all tests: the command, and the real data where it is."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perftool.cli.main import main
from perftool.published.catalogue import VARIABLE

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_developers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's catalogue and cache out of every test, and of what a test starts.

    Of the session, so that it comes before every other fixture, whatever that one's scope.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE, raising=False)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("developer")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """Hear Ctrl-C in what tests start, also where they run in the background, where shells turn it off."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which nothing of the user's cache is used or touched."""
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def perftool(environment: dict[str, str]) -> Command:
    """Run the real command in a process of its own; return its output and exit code."""

    def run(*arguments: object, timeout: float = 300.0) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "perftool", *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def here(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run the command in this process; return its output and exit code.

    For what measures nothing, as whatever reads a finished run: a process of its own takes most of a second
    to start, and there are scores of such commands. Children are processes of their own here too.
    """

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        capfd.readouterr()
        code: object = 0
        command = ["perftool", *map(str, arguments)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", command)
            for name in ("XDG_CACHE_HOME", "NO_COLOR"):
                patch.setenv(name, environment[name])
            try:
                main()
            except SystemExit as end:
                code = end.code
        said, told = capfd.readouterr()
        assert isinstance(code, int), code
        return subprocess.CompletedProcess(command, code, said, told)

    return run


@pytest.fixture
def refused(here: Command) -> Command:
    """Run a command that is refused, most often before there is anything to do, in this process."""
    return here


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real weights and images; skip where it is not."""
    folder = os.environ.get("PERFTOOL_REAL_DATA")
    if not folder:
        pytest.skip("PERFTOOL_REAL_DATA is not set: no real weights and images here")
    return Path(folder)
