"""Exports are written whole or not at all, and replace nothing but exports, as they were written."""

import os
from pathlib import Path

import msgspec
import pytest
from choices import choice

from perftool.cli.folder import check_folder, sized, workplace, write_folder
from perftool.deploy import benchmark_app, bundle, openvino, ovms, triton
from perftool.deploy.choice import Choice, Copy, Exported
from perftool.deploy.manifest import Listing, listed
from perftool.errors import InputError, PerftoolError, UsageError

FORMATS = ("openvino", "benchmark_app", "ovms", "triton", "bundle")


@pytest.fixture
def chosen(tmp_path: Path) -> Choice:
    """Return a choice whose model files are there, though no model."""
    (tmp_path / "cache").mkdir()
    for name in ("model.xml", "model.bin"):
        (tmp_path / "cache" / name).write_bytes(name.encode() * 100)
    xml, bin = (sized(tmp_path / "cache" / f"model.{suffix}") for suffix in ("xml", "bin"))
    return msgspec.structs.replace(choice(), xml=xml, bin=bin)


def exported(chosen: Choice, format: str) -> Exported:
    if format == "bundle":
        return bundle.export(chosen)
    makers = {"openvino": openvino, "benchmark_app": benchmark_app, "ovms": ovms, "triton": triton}
    made: Exported = makers[format].export(chosen)
    return listed(made)


def write(target: Path, chosen: Choice, format: str = "openvino", *, force: bool = False) -> None:
    check_folder(target, force=force)
    with workplace(target) as work:
        write_folder(target, exported(chosen, format).files, work, force=force)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return all that lies in a folder; folders and links have no content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def files(folder: Path) -> set[str]:
    return {name for name, content in contents(folder).items() if content is not None}


@pytest.mark.parametrize("before", FORMATS)
def test_an_export_as_it_was_written_is_replaced(chosen: Choice, tmp_path: Path, before: str) -> None:
    target = tmp_path / "d"
    write(target, chosen, before)
    with pytest.raises(UsageError, match="holds files already"):
        write(target, chosen)
    write(target, chosen, "triton", force=True)
    assert contents(target).keys() >= {"export.json", "googlenet-v4-tf/config.pbtxt"}
    assert "manifest.json" not in contents(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "d"]


def test_what_was_taken_away_from_an_export_does_not_keep_it(chosen: Choice, tmp_path: Path) -> None:
    write(tmp_path / "d", chosen)
    (tmp_path / "d" / "labels.txt").unlink()
    write(tmp_path / "d", chosen, force=True)
    assert (tmp_path / "d" / "labels.txt").exists()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "mine", ["mine/README.md", "mine.json", "sub/model.xml", "a/run.py", "empty/", "link", "1/model.bin"]
)
def test_files_of_the_users_own_are_named_and_stay_whatever_their_names(
    chosen: Choice, tmp_path: Path, format: str, mine: str
) -> None:
    target = tmp_path / "d"
    write(target, chosen, format)
    path = target / mine
    path.parent.mkdir(exist_ok=True)
    if mine.endswith("/"):
        path.mkdir()
    elif mine == "link":
        path.symlink_to(tmp_path)
    else:
        path.write_text("years of work")
    before = contents(target)
    with pytest.raises(UsageError, match=f"d: not replaced, since .*{mine.rstrip('/')}"):
        write(target, chosen, force=True)
    assert contents(target) == before


@pytest.mark.parametrize("format", FORMATS)
def test_every_file_that_was_changed_is_named_and_stays(chosen: Choice, tmp_path: Path, format: str) -> None:
    target = tmp_path / "d"
    write(target, chosen, format)
    for name in files(target) - {"export.json", "manifest.json"}:
        whole = (target / name).read_bytes()
        for spoilt in (whole + b"\n", bytes([whole[0] ^ 1]) + whole[1:]):
            (target / name).write_bytes(spoilt)
            with pytest.raises(UsageError, match=f"not replaced, since {name} was changed"):
                write(target, chosen, force=True)
            assert (target / name).read_bytes() == spoilt
        (target / name).write_bytes(whole)


@pytest.mark.parametrize(
    "mine",
    [
        {"README.md": "mine"},
        {"run.py": "mine", "config.json": "{}", "model.xml": "<net/>"},
        {"manifest.json": "{}", "README.md": "a browser extension"},
        {"export.json": '{"format": 1, "files": {}, "mine": 1}'},
        {"export.json": "[" * 100_000},
        {"export.json": '{"format": 1, "files": {"../cache/model.xml": {"sha256": "", "bytes": 1}}}'},
    ],
)
def test_a_folder_that_no_export_wrote_is_not_replaced(
    chosen: Choice, tmp_path: Path, mine: dict[str, str]
) -> None:
    target = tmp_path / "d"
    target.mkdir()
    for name, text in mine.items():
        (target / name).write_text(text)
    before = contents(target)
    with pytest.raises(UsageError, match="not replaced, since it"):
        write(target, chosen, force=True)
    assert contents(target) == before


def test_a_file_that_comes_while_the_export_is_made_stays(chosen: Choice, tmp_path: Path) -> None:
    target = tmp_path / "d"
    write(target, chosen)
    with workplace(target) as work:
        (target / "thesis.txt").write_text("years of work")
        with pytest.raises(UsageError, match="thesis"):
            write_folder(target, exported(chosen, "ovms").files, work, force=True)
    assert (target / "thesis.txt").exists() and (target / "run.py").exists()


@pytest.mark.parametrize("force", [False, True])
def test_what_another_export_wrote_meanwhile_stays(chosen: Choice, tmp_path: Path, force: bool) -> None:
    target = tmp_path / "empty"
    target.mkdir()
    with workplace(target) as work:
        write(target, chosen)
        with pytest.raises(UsageError):
            write_folder(target, exported(chosen, "ovms").files, work, force=force)
    assert files(target) == set(exported(chosen, "openvino").files)


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_folder_is_filled_and_stays_the_same_folder(
    chosen: Choice, tmp_path: Path, format: str
) -> None:
    target = tmp_path / "d"
    target.mkdir(mode=0o700)
    before = target.stat()
    write(target, chosen, format)
    assert (target.stat().st_ino, target.stat().st_mode) == (before.st_ino, before.st_mode)
    assert files(target) == set(exported(chosen, format).files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "d"]


def test_an_empty_folder_stays_empty_where_the_export_fails(chosen: Choice, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    spoilt = msgspec.structs.replace(chosen, bin=msgspec.structs.replace(chosen.bin, sha256="00" * 32))
    with pytest.raises(InputError, match="changed while it was exported"):
        write(tmp_path / "d", spoilt)
    assert list((tmp_path / "d").iterdir()) == []


def test_what_a_killed_export_left_in_an_empty_folder_does_not_fill_it(
    chosen: Choice, tmp_path: Path
) -> None:
    (tmp_path / "d" / ".perftool-killed" / "fresh").mkdir(parents=True)
    write(tmp_path / "d", chosen)
    write(tmp_path / "d", chosen, "ovms", force=True)
    assert not (tmp_path / "d" / ".perftool-killed").exists()


def test_folders_above_are_made_last_and_not_left_behind(chosen: Choice, tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "c"
    gone = msgspec.structs.replace(chosen, xml=Copy(source=str(tmp_path / "no"), sha256="0" * 64, bytes=1))
    with pytest.raises(PerftoolError, match="cannot be written"):
        write(target, gone)
    with workplace(target):
        assert not (tmp_path / "a").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    write(target, chosen)
    assert (target / "run.py").exists() and [path.name for path in target.parent.iterdir()] == ["c"]
    with pytest.raises(UsageError, match=r"run\.py is no folder"):
        write(target / "run.py" / "d" / "e", chosen)


def test_the_working_directory_is_not_replaced(
    chosen: Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "d", chosen, "ovms")
    for inside in (tmp_path / "d", tmp_path / "d" / "googlenet-v4-tf"):
        monkeypatch.chdir(inside)
        with pytest.raises(UsageError, match="working directory"):
            write(tmp_path / "d", chosen, force=True)
        assert os.listdir(".")


@pytest.mark.parametrize("format", ["ovms", "triton"])
def test_a_servers_model_folder_holds_nothing_that_the_server_does_not_know(
    chosen: Choice, tmp_path: Path, format: str
) -> None:
    """Servers read the folders of models; of files beside those only that which they are told to."""
    write(tmp_path / "d", chosen, format)
    (model,) = (path for path in (tmp_path / "d").iterdir() if path.is_dir())
    beside = {path.name for path in (tmp_path / "d").iterdir()} - {model.name}
    assert beside == ({"export.json", "config.json"} if format == "ovms" else {"export.json"})
    known = {"1/model.xml", "1/model.bin", *(("config.pbtxt",) if format == "triton" else ())}
    assert files(model) == known
    listing = msgspec.json.decode((tmp_path / "d" / "export.json").read_bytes(), type=Listing)
    assert listing.files.keys() == {f"{model.name}/{name}" for name in known} | beside - {"export.json"}
