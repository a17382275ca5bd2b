"""Races and searches by proposals on the real runtime: what is dropped, visited, and measured once."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded import records

from perftool.journal import Proposed, Raced, Twin
from perftool.record import Visited
from perftool.sweep.store import read

Command = Callable[..., "subprocess.CompletedProcess[str]"]

RACE = """
name = "tiny-race"
search = "race"

[[grids]]
precisions = ["FP32"]
batches = [1, 32]
streams = [1, 2, "auto"]

[policy]
rounds = 6
visit_seconds = 0.1
scout_seconds = 0.02
warmup_ceiling_seconds = 0.1
extra_visits = 0
confirm_rounds = 0
layer_seconds = 0
peak_seconds = 0

[limits]
accuracy_drop_pp = inf
"""


def test_a_race_drops_with_reasons_and_measures_what_is_the_same_once(
    perftool: Command, tiny: Path, tmp_path: Path
) -> None:
    profile = tmp_path / "race.toml"
    profile.write_text(RACE)
    folder = tmp_path / "run"
    made = perftool("sweep", tiny, "--profile", profile, "--out", folder, "--evaluation-images", 4, "--json")
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)
    run = read(folder)
    assert [raced.round for raced in records(run, Raced)] == [0, 1, 2, 3, 4]
    shown = {one["id"]: one for one in document["configurations"]}
    for raced in records(run, Raced):
        for drop in raced.drops:
            assert shown[drop.configuration]["dropped"] == {"by": drop.by, "reason": drop.reason}
            rounds = {v.round for v in records(run, Visited) if v.configuration == drop.configuration}
            assert max(rounds) == raced.round
    twins = records(run, Twin)
    assert twins, '"auto" streams compile to a number that the grid has too'
    for twin in twins:
        assert shown[twin.configuration]["status"] == "skipped"
        assert twin.of in shown[twin.configuration]["reason"]
        assert not [v for v in records(run, Visited) if v.configuration == twin.configuration]
    windows = {round: [v.window_ns for v in records(run, Visited) if v.round == round] for round in (0, 5)}
    assert min(windows[0]) < 0.1e9 <= max(windows[5])
    chosen = shown[document["recommendation"]["id"]]
    assert chosen["dropped"] is None
    assert chosen["visits"] >= 6


def test_a_search_by_proposals_visits_what_it_proposes_beginning_with_the_hints(
    perftool: Command, here: Command, tiny: Path, tmp_path: Path
) -> None:
    pytest.importorskip("optuna", reason="the extra `search` is not installed")
    profile = tmp_path / "race.toml"
    profile.write_text(RACE)
    folder = tmp_path / "run"
    options = ("--search", "tpe", "--trials", 2, "--rounds", 1, "--evaluation-images", 4)
    made = perftool("sweep", tiny, "--profile", profile, "--out", folder, *options)
    assert made.returncode == 0, made.stderr
    run = read(folder)
    proposed = records(run, Proposed)
    assert [one.source for one in proposed][:1] == ["hint"]
    visited = {one.configuration for one in records(run, Visited)}
    twins = {one.configuration for one in records(run, Twin)}
    asked = {one.configuration for one in proposed}
    assert len(asked - twins) == 2
    assert visited - {"cpu-baseline-latency", "cpu-baseline-throughput"} == asked - twins
    table = here("show", folder)
    assert f"not among the {len(asked)} configurations that the search" in " ".join(table.stdout.split())
