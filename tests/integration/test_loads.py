"""Every load, the extra effort and the choice by rate, with the real command, children and runtime."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from outcome import one_line
from recorded import records

from perftool.journal import Allowed, Finished, Focused, Surveyed
from perftool.record import Compiled, Offered, Visited
from perftool.spec import Closed, EndToEnd
from perftool.sweep.store import read

Command = Callable[..., "subprocess.CompletedProcess[str]"]

PROFILE = """
name = "tiny"
search = "grid"
loads = ["closed", "end_to_end", "open"]

[[grids]]
precisions = ["FP32", "INT8"]
streams = [2]

[policy]
rounds = 6
visit_seconds = 0.05
warmup_ceiling_seconds = 0.2
extra_visits = 8
confirm_rounds = 0
layer_seconds = 0
peak_seconds = 0
open_shares = [0.005, 0.01]
open_arrivals = 25

[accuracy]
dataset = { calibration = 8, evaluation = 32 }

[limits]
accuracy_drop_pp = inf
"""

#: Few samples in a visit, so that a percentile takes several.
FEW_SAMPLES = """
name = "few-samples"
search = "grid"

[[grids]]
precisions = ["FP32"]
streams = [1]

[policy]
rounds = 1
visit_seconds = 0.0001
warmup_ceiling_seconds = 0.1
confirm_rounds = 0
layer_seconds = 0
peak_seconds = 0
"""


@pytest.fixture(scope="module")
def swept(
    perftool: Command, tiny: Path, labelled: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    folder = tmp_path_factory.mktemp("loads")
    (folder / "profile.toml").write_text(PROFILE)
    run = folder / "run"
    done = perftool("sweep", tiny, "--profile", folder / "profile.toml", "--dataset", labelled, "--out", run)
    assert done.returncode == 0, done.stderr
    return run, done


def test_the_machine_is_surveyed_before_anything_is_measured(
    swept: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    kinds = [type(entry.record) for entry in read(swept[0]).entries]
    assert kinds.index(Surveyed) < kinds.index(Visited)
    (survey,) = records(read(swept[0]), Surveyed)
    assert {"governor", "steal", "other load", "CPU quota"} <= {one.name for one in survey.findings}


def test_end_to_end_is_inference_and_more(swept: tuple[Path, "subprocess.CompletedProcess[str]"]) -> None:
    visits = records(read(swept[0]), Visited)
    for name in {one.configuration for one in visits}:
        whole, alone = (
            median(
                latency
                for one in visits
                if one.configuration == name and isinstance(one.load, load)
                for latency in one.latencies_ns
            )
            for load in (EndToEnd, Closed)
        )
        assert whole > alone, "decoding a PNG takes longer than this model"
    document = json.loads((swept[0] / "results.json").read_text())
    for one in document["configurations"]:
        assert one["end_to_end_fps"]["point"] < one["throughput_fps"]["point"]
        assert 0 < one["end_to_end_ratio"]["point"] < 1
    assert "end to end" in swept[1].stdout


def test_memory_is_told_by_phase_and_warm_ups_by_how_they_ended(
    swept: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    run = read(swept[0])
    for compiled in records(run, Compiled):
        assert compiled.compile_rss_bytes is not None
        assert 20e6 < compiled.compile_rss_bytes <= compiled.peak_rss_bytes
    for visit in records(run, Visited):
        assert visit.load_rss_bytes is not None
        assert 20e6 < visit.load_rss_bytes <= visit.peak_rss_bytes
        assert visit.steady is not None


def test_open_load_is_offered_at_shares_of_the_throughput_and_charges_from_the_arrival(
    swept: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    offered = records(read(swept[0]), Offered)
    ids = {one.configuration for one in records(read(swept[0]), Visited)}
    rates = {(one.configuration, one.load.rate_fps) for one in offered}
    assert len(rates) == 2 * len(ids)
    made = [(one.configuration, one.load, one.round) for one in offered]
    assert len(set(made)) == 6 * len(rates)
    assert len(made) - len(set(made)) <= 4, "only disturbed ones are repeated, by half of the budget"
    for one in offered:
        assert len(one.latencies_ns) + one.unserved >= 25
        assert len(one.arrivals_ns) == len(one.latencies_ns) == len(one.lags_ns)
        assert all(lag <= latency for lag, latency in zip(one.lags_ns, one.latencies_ns, strict=True))
        assert list(one.arrivals_ns) == sorted(one.arrivals_ns)
    for one in json.loads((swept[0] / "results.json").read_text())["configurations"]:
        assert [point["n"] >= 150 for point in one["open"]] == [True, True]


def test_recommend_ranks_by_the_rate_under_a_bound(
    swept: tuple[Path, "subprocess.CompletedProcess[str]"], here: Command
) -> None:
    generous = here(
        *("recommend", swept[0], "--slo-ms", 10_000, "--percentile", 95),
        *("--max-accuracy-drop", "inf", "--json"),
    )
    assert generous.returncode == 0, generous.stderr
    found = json.loads(generous.stdout)["recommendation"]
    assert found["objective"] == "rate"
    assert "rate that holds p95 <= 10000 ms" in found["reason"]
    tight = here("recommend", swept[0], "--slo-ms", 0.0001, "--max-accuracy-drop", "inf")
    assert tight.returncode == 4
    assert "misses the bound" in one_line(tight)
    rare = here("recommend", swept[0], "--slo-ms", 10, "--percentile", 99, "--max-accuracy-drop", "inf")
    assert rare.returncode == 4
    assert "p99 not measurable" in one_line(rare)


def test_a_finished_run_takes_more_effort_when_the_user_allows_it(
    swept: tuple[Path, "subprocess.CompletedProcess[str]"], perftool: Command
) -> None:
    before = read(swept[0])
    done = perftool("sweep", "--resume", swept[0], "--extra-visits", 6)
    assert done.returncode == 0, done.stderr
    after = read(swept[0])
    assert after.entries[: len(before.entries)] == before.entries
    assert [(one.extra_visits, one.carry_percentile) for one in records(after, Allowed)] == [(6, False)]
    assert isinstance(after.entries[-1].record, Finished)
    confirming = {one.round for one in records(after, Focused) if one.purpose == "confirm"}
    old, now = (
        [one for one in records(run, Visited) if one.round not in confirming] for run in (before, after)
    )
    more = len(now) - len(old)
    new = [one for one in records(after, Focused)[len(records(before, Focused)) :] if one.purpose == "decide"]
    asked = sum(len(one.configurations) for one in new)
    assert asked <= more <= 14, "what was left of 8, and 6 more; a disturbed visit is made twice"
    document = json.loads((swept[0] / "results.json").read_text())
    assert document["run"]["extra_visits_allowed"] == 14
    spent = document["run"]["extra_visits"]
    assert spent > 12 or not document["recommendation"]["undecided"], "spent, or nothing is open"


def test_a_percentile_is_carried_when_asked_for(
    perftool: Command, tiny: Path, labelled: Path, tmp_path: Path
) -> None:
    (tmp_path / "profile.toml").write_text(FEW_SAMPLES)
    options = ("--profile", tmp_path / "profile.toml", "--dataset", labelled, "--calibration-images", 8)
    options += ("--max-latency-ms", 1000, "--percentile", 90)
    short = perftool("sweep", tiny, *options, "--out", tmp_path / "run")
    assert short.returncode == 4
    assert "p90 not measurable: " in one_line(short)
    assert "p90 takes 64 samples of each configuration" in short.stdout
    done = perftool("sweep", "--resume", tmp_path / "run", "--carry-percentile", "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["configurations"]
    assert result["latency_ms"]["n"] >= 64
    assert result["latency_ms"]["p90"] is not None


def test_the_rate_needs_its_bound(here: Command, tiny: Path, tmp_path: Path) -> None:
    done = here("sweep", tiny, "--objective", "rate", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "slo_ms" in one_line(done)
    both = here("recommend", tmp_path, "--objective", "latency", "--slo-ms", 10)
    assert both.returncode == 2
    assert "--slo-ms" in one_line(both)
