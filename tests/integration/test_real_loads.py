"""The repaired Inception v4 on real images under every load: the real command on the real model."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from perftool.record import Offered, Visited
from perftool.spec import EndToEnd
from perftool.sweep.store import read

pytestmark = pytest.mark.real_data

Command = Callable[..., "subprocess.CompletedProcess[str]"]

PROFILE = """
name = "real-loads"
search = "grid"
loads = ["closed", "end_to_end"]

[[grids]]
precisions = ["FP32"]
streams = [1]

[policy]
rounds = 1
visit_seconds = 1.0
warmup_ceiling_seconds = 2.0
extra_visits = 6
layer_seconds = 0
peak_seconds = 0

[accuracy]
dataset = { calibration = 1, evaluation = 8 }
"""


@pytest.fixture(scope="module")
def model(real_data: Path) -> tuple[object, ...]:
    weights = real_data / "inception_v4" / "weights_fp16.npz"
    return ("googlenet-v4-tf", "--weights", weights, "--dataset", real_data / "images")


def test_an_application_gets_most_of_what_inference_alone_gives(
    perftool: Command, model: tuple[object, ...], tmp_path: Path
) -> None:
    (tmp_path / "profile.toml").write_text(PROFILE)
    done = perftool(
        "sweep", *model, "--profile", tmp_path / "profile.toml", "--out", tmp_path / "run", "--json"
    )
    assert done.returncode == 0, done.stderr
    visits = [entry.record for entry in read(tmp_path / "run").entries if isinstance(entry.record, Visited)]
    # Each once, and again where something disturbed it.
    assert len({visit.configuration for visit in visits if isinstance(visit.load, EndToEnd)}) == 3
    (result,) = json.loads(done.stdout)["configurations"]
    assert result["end_to_end_fps"]["point"] > 0
    assert 0.2 < result["end_to_end_ratio"]["point"] < 2, "a JPEG decodes in a small part of an inference"
    assert result["compile_rss_mb"] > 300 and 300 < result["load_rss_mb"] < 2000


def test_a_low_rate_is_served_and_its_latency_is_that_of_a_request_alone(
    perftool: Command, model: tuple[object, ...], tmp_path: Path
) -> None:
    done = perftool(
        *("load", *model, "--precision", "FP32", "--rate", 1, "--seconds", 12, "--constant"),
        *("--out", tmp_path / "run", "--json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (point,) = found["points"]
    assert point["refused"] is None and point["n"] >= 11
    (offered,) = (
        entry.record for entry in read(tmp_path / "run").entries if isinstance(entry.record, Offered)
    )
    alone_ms = 1000 / found["closed_fps"]["point"]
    assert 0.5 * alone_ms < point["latency_ms"]["p50"]["point"] < 3 * alone_ms
    assert max(offered.lags_ns) <= max(offered.latencies_ns)
