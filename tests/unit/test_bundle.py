"""A bundle is read strictly, before anything of it is run: each thing that is wrong is one line in words."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from choices import choice

from perftool.cli.bundle import read_bundle, read_export
from perftool.cli.folder import sized, workplace, write_folder
from perftool.cli.verify_bundle import verify
from perftool.deploy import bundle, ovms
from perftool.deploy.manifest import listed
from perftool.errors import InputError

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a bundle as `perftool export` writes it, of a model that is none."""
    for name in ("model.xml", "model.bin"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    chosen = msgspec.structs.replace(
        choice(), xml=sized(tmp_path / "model.xml"), bin=sized(tmp_path / "model.bin")
    )
    target = tmp_path / "bundle"
    with workplace(target) as work:
        write_folder(target, bundle.export(chosen).files, work)
    return target


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_bundle(folder)
    said = str(caught.value)
    assert len(said.splitlines()) == 1 and str(folder) in said
    return said


def refusal_of(folder: Path, change: Change) -> str:
    value = json.loads((folder / "manifest.json").read_bytes())
    change(value)
    (folder / "manifest.json").write_text(json.dumps(value))
    return refusal(folder)


def test_what_export_wrote_is_read(folder: Path) -> None:
    assert read_bundle(folder).configuration == choice().configuration


def test_a_manifest_that_is_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    said: list[str] = []
    asking = threading.Thread(target=lambda: said.append(refusal(folder)), daemon=True)
    asking.start()
    asking.join(timeout=20)
    assert said and "manifest.json: is no plain file" in said[0]


@pytest.mark.parametrize("kind", ["link", "dangling", "loop", "folder", "device"])
def test_a_manifest_that_is_no_plain_file_is_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    path = folder / "manifest.json"
    path.rename(tmp_path / "elsewhere.json")
    if kind == "folder":
        path.mkdir()
    else:
        places = {
            "link": tmp_path / "elsewhere.json",
            "dangling": "nowhere",
            "loop": path,
            "device": "/dev/zero",
        }
        path.symlink_to(places[kind])
    assert "is no plain file" in refusal(folder)


@pytest.mark.parametrize("figure", ["throughput_fps", "p50", "p90", "p95", "p99"])
@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        ({"point": 0}, "of 0, which nothing can have"),
        ({"point": -1.0, "low": -1.0, "high": 2.0}, "of -1, which nothing can have"),
        ({"point": 5, "low": 0, "high": 6}, "of 0, which nothing can have"),
        ({"point": 1e-320}, "of 9.99989e-321, which nothing can have"),
        ({"point": 1e300, "high": 1e301}, "of 1e+300, which nothing can have"),
        ({"point": 100, "low": 300, "high": 400}, "outside of its own interval (300.0 to 400.0)"),
        ({"point": 100, "low": 90, "high": 95}, "outside of its own interval (90.0 to 95.0)"),
        ({"point": 100, "low": None, "high": 95}, "outside of its own interval"),
    ],
)
def test_figures_that_nothing_can_have_are_refused_before_anything_is_measured(
    folder: Path, figure: str, estimate: dict[str, Any], words: str
) -> None:
    def change(manifest: dict[str, Any]) -> None:
        claim = manifest["claim"]
        place = claim if figure == "throughput_fps" else claim["latency_ms"]
        place[figure] = {"low": None, "high": None} | estimate

    said = refusal_of(folder, change)
    assert words in said
    assert ("claims a throughput" if figure == "throughput_fps" else f"claims a latency, {figure},") in said
    assert said.endswith("- at `$.claim`")


def test_numbers_that_are_none_are_refused(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    for number in ("NaN", "Infinity", "1e999", "null", '"33"', "1" * 400):
        value = json.loads(text)
        value["claim"]["throughput_fps"]["point"] = 123456.5
        (folder / "manifest.json").write_text(json.dumps(value).replace("123456.5", number))
        assert "not a bundle's manifest" in refusal(folder)


def test_a_claim_may_have_no_interval_and_no_latency(folder: Path) -> None:
    value = json.loads((folder / "manifest.json").read_bytes())
    value["claim"]["throughput_fps"] |= {"low": None, "high": None}
    value["claim"]["latency_ms"] = None
    (folder / "manifest.json").write_text(json.dumps(value))
    assert read_bundle(folder).claim.latency_ms is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/passwd", "leads out of the folder: it begins with /"),
        ("../x", "leads out of the folder, by .."),
        ("a/../b", "leads out of the folder, by .."),
        ("a//b", "a part that is empty or a single dot"),
        ("", "a part that is empty or a single dot"),
        ("./a", "a part that is empty or a single dot"),
        ("a\\b", "holds a backslash"),
        ("a\nb", "cannot be shown"),
        ("a\x00b", "cannot be shown"),
    ],
)
def test_what_is_wrong_with_a_path_is_said_in_words(folder: Path, path: str, words: str) -> None:
    before = (folder / "manifest.json").read_bytes()
    file = {"sha256": "00" * 32, "bytes": 1}
    for change in (
        lambda manifest: manifest["files"].update({path: file}),
        lambda manifest: manifest["model"].update(file=path),
    ):
        said = refusal_of(folder, change)
        assert words in said and "regex" not in said and "^" not in said
        (folder / "manifest.json").write_bytes(before)


def test_a_foreign_files_name_stays_on_one_line(folder: Path) -> None:
    (folder / "x\n\x1b[31mperftool: all is well").touch()
    assert "x\ufffd\ufffd[31mperftool: all is well: is not in manifest.json" in refusal(folder)


def test_what_is_wrong_with_a_hash_is_said_in_words(folder: Path) -> None:
    said = refusal_of(folder, lambda manifest: manifest["files"]["run.py"].update(sha256="AB" * 32))
    assert "64 digits" in said and "regex" not in said and "$.files" in said


def test_a_manifest_that_is_nested_without_end_or_enormous_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"[" * 1_000_000)
    assert "nested too deeply" in refusal(folder)
    with (folder / "manifest.json").open("wb") as stream:
        stream.truncate(20_000_000_000)
    assert "20000 MB" in refusal(folder)


# ---------------------------------------------------------------- exports that are no bundles


@pytest.fixture
def plain_export(folder: Path, tmp_path: Path) -> Path:
    """Return an export for OVMS."""
    chosen = msgspec.structs.replace(
        choice(), xml=sized(tmp_path / "model.xml"), bin=sized(tmp_path / "model.bin")
    )
    target = tmp_path / "ovms"
    with workplace(target) as work:
        write_folder(target, listed(ovms.export(chosen)).files, work)
    return target


def test_an_export_without_a_claim_is_checked_file_by_file(
    plain_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_export(plain_export) == 3
    verify(plain_export)
    assert "3 files, each as it was exported; only bundles have a claim" in capsys.readouterr().out
    verify(plain_export, json=True)
    assert json.loads(capsys.readouterr().out) == {"verdict": "no claim", "files": 3}


def test_what_is_not_as_it_was_exported_is_named(plain_export: Path) -> None:
    def says(words: str) -> None:
        with pytest.raises(InputError, match=words):
            verify(plain_export)

    (plain_export / "more.txt").touch()
    says("more.txt: is not in export.json")
    (plain_export / "more.txt").unlink()
    config = (plain_export / "config.json").read_bytes()
    (plain_export / "config.json").write_bytes(config.replace(b"1", b"2"))
    says("config.json: was changed")
    (plain_export / "config.json").unlink()
    says("config.json: is missing")
    (plain_export / "export.json").write_text("{")
    says("export.json: not an export's list")


def test_a_bundle_is_no_export_without_a_claim(folder: Path) -> None:
    assert read_export(folder) is None
    (folder / "export.json").write_text('{"format": 1, "files": {}}')
    assert "export.json: is not in manifest.json" in refusal(folder)
