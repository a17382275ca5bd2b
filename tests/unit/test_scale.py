"""The made-up journals of the scale benchmark are journals, and their reports come whole."""

from pathlib import Path

import pytest

from benchmarks.large_runs import write_journal
from benchmarks.scale import SMALL
from perftool.analysis.stability import recommend
from perftool.analysis.summary import summarize
from perftool.record import Visited
from perftool.render.report import report_files
from perftool.sweep.store import read


@pytest.mark.parametrize("raced", [True, False], ids=["race", "grid"])
def test_a_made_up_journal_is_read_chosen_from_and_reported(tmp_path: Path, raced: bool) -> None:
    visits = write_journal(tmp_path, SMALL, raced=raced)
    run = read(tmp_path)
    assert sum(isinstance(entry.record, Visited) for entry in run.entries) == visits
    summary = summarize(run, name="scale")
    found = recommend(summary, run.header.profile.objective, run.header.profile.limits)
    assert found.id is not None
    assert any(one.dropped for one in summary.configurations) == raced
    files = report_files(summary, found)
    assert {"report.html", "report.txt", "results.json"} <= set(files)
