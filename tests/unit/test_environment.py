"""Tests see nothing of the developer's own catalogue and cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from perftool.cache import cache_folder, evaluations_folder, fetched_folder
from perftool.published.catalogue import VARIABLE

HERE = Path(__file__)


def test_the_caches_are_the_sessions_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert VARIABLE not in os.environ
    for folder in (cache_folder(), evaluations_folder(), fetched_folder()):
        assert folder.is_relative_to(tmp_path_factory.getbasetemp())


@pytest.mark.skipif("PERFTOOL_TESTED" in os.environ, reason="is the run that the other test starts")
def test_what_the_developer_has_set_changes_no_test(tmp_path: Path) -> None:
    """Run these tests, and those of the catalogue, as a developer with settings of his own would."""
    tests = [str(HERE), str(HERE.with_name("test_catalogue.py"))]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        env={
            **os.environ,
            VARIABLE: str(tmp_path / "nowhere.toml"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "PERFTOOL_TESTED": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert not (tmp_path / "cache").exists()
