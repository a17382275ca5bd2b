"""`perftool recommend`: the run's own wishes, and each option in place of its own part of them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journals import nine

from perftool.cli.recommend import recommend
from perftool.errors import UsageError
from perftool.journal import Run
from perftool.spec import Bound, Limits, Objective

Command = Callable[..., "subprocess.CompletedProcess[str]"]
OWN = Limits(latency_ms=40, accuracy_drop_pp=None, bounds=(Bound(metric="peak_rss", way="<=", value=450),))


def written(folder: Path, run: Run, objective: Objective, limits: Limits) -> Path:
    """Write a run's journal, with its own objective and limits."""
    profile = msgspec.structs.replace(run.header.profile, objective=objective, limits=limits)
    header = msgspec.structs.replace(run.header, profile=profile)
    lines = [msgspec.json.encode(line) for line in (header, *run.entries)]
    (folder / "journal.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights: Objective = {"throughput": 1.0, "latency_p50": 0.2}
    return written(tmp_path_factory.mktemp("run"), nine(), weights, OWN)


def found(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode in (0, 4), done.stderr
    return json.loads(done.stdout)["recommendation"]


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_without_options_it_agrees_with_show(here: Command, own: Path) -> None:
    shown, chosen = found(here("show", own, "--json")), found(here("recommend", own, "--json"))
    assert shown == chosen
    assert chosen["objective"] == {"throughput": 1.0, "latency_p50": 0.2}
    assert chosen["limits"] == msgspec.to_builtins(OWN) | {"bounds": [msgspec.to_builtins(OWN.bounds[0])]}
    assert chosen["id"] == "cpu-int8-b1-s1"
    relax = next(
        one for one in chosen["stability"] if (one["metric"], one["change"]) == ("latency_p50", "relax")
    )
    assert relax["id"] == "cpu-int8-b1-s2" and relax["now"] == 40 and relax["then"] > 60
    assert f"relaxing latency_p50 from 40 to {relax['then']:g} ms" in here("recommend", own).stdout


def test_an_option_replaces_its_own_part_and_a_limit_adds(here: Command, own: Path) -> None:
    fast = found(
        here("recommend", own, "--objective", "throughput", "--limit", "latency_p50 <= 70ms", "--json")
    )
    assert fast["id"] == "cpu-int8-b1-s2"
    assert fast["limits"]["latency_ms"] is None and fast["limits"]["bounds"][0]["metric"] == "peak_rss"
    more = found(here("recommend", own, "--max-latency-ms", 200, "--limit", "top1_drop<=0.5", "--json"))
    assert more["limits"]["latency_ms"] == 200
    assert [one["metric"] for one in more["limits"]["bounds"]] == ["peak_rss", "top1_drop"]
    assert more["id"] == "cpu-fp16-b1-s1", "BF16 takes more memory than the run's own limit"
    lifted = found(here("recommend", own, "--limit", "peak_rss <= inf", "--max-latency-ms", "inf", "--json"))
    assert lifted["limits"]["bounds"] == [] and lifted["limits"]["latency_ms"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": ["latency_p59 <= 3"]}, "--limit: latency_p59: no such metric; did you mean latency_p"),
        ({"limit": ["throughput <= 3"]}, "--limit: throughput <= 3: of throughput higher is better"),
        (
            {"limit": ["peak_rss <= 3 pt"]},
            "--limit: 'peak_rss <= 3 pt': pt is no unit of peak_rss, which takes",
        ),
        ({"objective": "troughput"}, "--objective: 'troughput': did you mean throughput?"),
        ({"objective": "throughput=1,top1_drop=1"}, "--objective: top1_drop: can be zero or negative"),
        ({"objective": "rate"}, "--objective rate goes with --slo-ms"),
        (
            {"objective": "latency", "slo_ms": 3.0},
            "--slo-ms is what the objective rate compares, not latency",
        ),
        ({"max_memory_mb": -1.0}, "--max-memory-mb: -1 is not a positive number"),
        ({"max_accuracy_drop": float("nan")}, "--max-accuracy-drop: expected a number of percentage points"),
    ],
)
def test_a_mistake_names_its_option(own: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        recommend(own, **options)
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)


def test_a_sweep_reads_the_same_limits_and_a_resumed_one_takes_none(
    here: Command, own: Path, tmp_path: Path
) -> None:
    wrong = here("sweep", "--limit", "top1 <= 3", "--out", tmp_path / "run")
    assert "--limit: top1 <= 3: of top1 higher is better" in one_line(wrong)
    assert not (tmp_path / "run").exists()
    resumed = here("sweep", "--resume", own, "--limit", "top1 >= 3")
    assert "--resume takes the run's own model and profile" in one_line(resumed)
