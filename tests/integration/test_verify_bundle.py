"""`perftool verify`: bundles untouched, tampered, incomplete, from elsewhere, and slower than they claim."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outcome import one_line

from perftool.sweep.locks import hold

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Finished = tuple[Path, "subprocess.CompletedProcess[str]"]

SHORT = ("--visits", 6, "--visit-seconds", 0.1)


@pytest.fixture(scope="module")
def exported(perftool: Command, finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "b"
    done = perftool("export", finished[0], "--to", folder, "-f", "bundle", "--config", "cpu-int8-b4-sauto")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    """Return a copy of a bundle, to be spoilt."""
    return Path(shutil.copytree(exported, tmp_path / "b"))


def claim(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a bundle says of itself; no file of it changes, so all its hashes stay right."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def scaled(factor: float, spread: float = 0.01) -> Callable[[dict[str, Any]], None]:
    """Return a change that scales what is claimed, faster where above 1, and sets how sure it is."""

    def change(manifest: dict[str, Any]) -> None:
        claimed = manifest["claim"]
        for estimate, by in ((claimed["throughput_fps"], factor), (claimed["latency_ms"]["p50"], 1 / factor)):
            point = estimate["point"] * by
            estimate.update(point=point, low=point / (1 + spread), high=point * (1 + spread))

    return change


def test_an_untouched_bundle_is_whole_and_measured_again(perftool: Command, exported: Path) -> None:
    """Its claim is that of a shared machine minutes ago: what is promised is a verdict, and its code."""
    done = perftool("verify", exported, *SHORT, "--json")
    assert "Traceback" not in done.stderr
    checked = json.loads(done.stdout)
    assert checked["differences"] == []
    assert checked["executed_claimed"] == checked["executed_measured"]
    verdicts = {"confirmed": 0, "better": 0, "worse": 8, "not decided": 10}
    assert done.returncode == verdicts[checked["verdict"]]
    throughput = checked["compared"][0]
    assert throughput["name"] == "throughput"
    assert (
        throughput["claimed"]
        == json.loads((exported / "manifest.json").read_text())["claim"]["throughput_fps"]
    )
    # Disturbed visits are made twice; where both were disturbed, both speak.
    assert 6 <= checked["visits"] <= 12 and checked["visits"] - 6 <= checked["disturbed"]
    assert throughput["measured"]["low"] is not None


def test_a_claim_that_what_is_measured_lies_in_is_confirmed(perftool: Command, bundle: Path) -> None:
    claim(bundle, scaled(1.0, spread=9.0))
    done = perftool("verify", bundle, *SHORT)
    assert done.returncode == 0, done.stderr
    assert "confirmed" in done.stdout and "files, each as its manifest says" in done.stdout


def test_a_claim_that_is_not_reached_ends_with_8_and_both_figures(perftool: Command, bundle: Path) -> None:
    claim(bundle, scaled(20.0))
    done = perftool("verify", bundle, *SHORT)
    if "of them disturbed" in done.stdout:
        assert done.returncode == 10, done.stdout
        assert "claim not decided: " in one_line(done) and "repeat" in one_line(done)
    else:
        assert done.returncode == 8, done.stdout
        assert "claim not confirmed: throughput" in one_line(done)
    assert "images/s claimed" in one_line(done) and "0.0" in one_line(done)


def test_what_was_measured_while_other_load_ran_refuses_no_claim(perftool: Command, bundle: Path) -> None:
    claim(bundle, scaled(20.0))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        done = perftool("verify", bundle, *SHORT, "--json")
    finally:
        for one in busy:
            one.kill()
            one.wait()
    checked = json.loads(done.stdout)
    assert (done.returncode, checked["verdict"], checked["reasons"]) == (10, "not decided", [])
    assert checked["disturbed"] > 0 and "images/s claimed" in checked["open"][0]
    assert "claim not decided: " in one_line(done)


def test_more_than_is_claimed_is_better(perftool: Command, bundle: Path) -> None:
    claim(bundle, scaled(0.05))
    done = perftool("verify", bundle, *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "better"


def test_a_claim_of_another_machine_is_neither_confirmed_nor_refused(perftool: Command, bundle: Path) -> None:
    claim(bundle, scaled(20.0))
    claim(bundle, lambda manifest: manifest["host"].update(cpu="Another CPU", cores_usable=64))
    done = perftool("verify", bundle, *SHORT)
    assert done.returncode == 0, done.stderr
    assert "not comparable" in done.stdout
    assert "cpu was Another CPU" in done.stdout and "cores_usable was 64" in done.stdout
    assert "confirmed:" not in done.stdout


def test_one_flipped_bit_is_found_in_every_file(refused: Command, bundle: Path) -> None:
    files = [path for path in sorted(bundle.rglob("*")) if path.is_file() and path.name != "manifest.json"]
    assert len(files) >= 9
    for path in files:
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        done = refused("verify", bundle, *SHORT)
        assert done.returncode == 3, path
        assert str(path) in one_line(done) and "was changed" in one_line(done)
        path.write_bytes(before)


def test_missing_extra_shortened_and_linked_files_are_named(refused: Command, bundle: Path) -> None:
    weights = next(bundle.rglob("model.bin"))
    whole = weights.read_bytes()

    def says(words: str) -> None:
        done = refused("verify", bundle, *SHORT)
        assert done.returncode == 3, done.stdout
        assert words in one_line(done)

    weights.unlink()
    says(f"{weights}: is missing")
    weights.write_bytes(whole[:-1])
    says(f"{weights}: was changed: {len(whole) - 1} bytes, not {len(whole)}")
    weights.unlink()
    weights.symlink_to("/dev/zero")
    says(f"{weights}: is no plain file")
    weights.unlink()
    weights.write_bytes(whole)
    (bundle / "extra.so").write_bytes(b"")
    says(f"{bundle / 'extra.so'}: is not in manifest.json")


def test_a_manifest_is_read_strictly(refused: Command, bundle: Path, tmp_path: Path) -> None:
    good = (bundle / "manifest.json").read_text()

    def says(text: str, words: str) -> None:
        (bundle / "manifest.json").write_text(text)
        done = refused("verify", bundle, *SHORT)
        assert done.returncode == 3, done.stdout
        assert words in one_line(done)

    def changed(change: Callable[[dict[str, Any]], object]) -> str:
        value = json.loads(good)
        change(value)
        return json.dumps(value)

    says(good[:100], "not a bundle's manifest")
    says("[]", "not a bundle's manifest")
    says(changed(lambda value: value.update(format=99)), "newer perftool")
    says(changed(lambda value: value.update(surprise=1)), "surprise")
    says(changed(lambda value: value["claim"].pop("visits")), "$.claim")
    says(
        changed(lambda value: value["claim"]["throughput_fps"].update(point=0.0)), "claims a throughput of 0"
    )
    outside = {"sha256": "00" * 32, "bytes": 1}
    says(changed(lambda value: value["files"].update({"../secret": outside})), "leads out of the folder")
    says(changed(lambda value: value["model"].update(file="compile.json")), "lack the model's")
    missing = refused("verify", tmp_path / "nothing")
    assert missing.returncode == 3 and "no bundle" in one_line(missing)


def test_a_device_that_is_being_measured_on_is_refused(perftool: Command, exported: Path) -> None:
    with hold(("CPU",)):
        done = perftool("verify", exported, *SHORT)
    assert done.returncode == 6
    assert "another sweep measures on CPU" in one_line(done)
