"""Whose weights a model has: fetched, given as a checkpoint, published or not."""

from pathlib import Path

import msgspec
import pytest
from archive_server import NAME, WEIGHTS, archive, published, write_catalogue

from perftool.cache import fetched_folder
from perftool.errors import InputError, UsageError
from perftool.model.identity import identity, parse_source, weights_said
from perftool.published import catalogue
from perftool.published.catalogue import Original
from perftool.published.fetch import fetch
from perftool.published.fetched import fetched_weights
from perftool.spec import Feeding, ModelFile, ReferenceModel, WeightedModel

BODY = archive()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a cache of the test's own, and a catalogue whose archive is small."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = published(BODY, "http://a.example/a.tar.gz")
    monkeypatch.setenv(catalogue.VARIABLE, str(write_catalogue(tmp_path / "c.toml", model)))
    monkeypatch.chdir(tmp_path)


def fetched(tmp_path: Path) -> Path:
    (tmp_path / "a.tar.gz").write_bytes(BODY)
    folder = fetched_folder() / NAME
    return Path(fetch(catalogue.known(NAME), folder, lambda _: None, offered=tmp_path / "a.tar.gz").weights)


def test_a_bare_name_means_the_fetched_weights(tmp_path: Path) -> None:
    assert parse_source(NAME) == ReferenceModel(name=NAME)
    weights = fetched(tmp_path)
    assert parse_source(NAME) == WeightedModel(name=NAME, weights=str(weights))
    assert parse_source(NAME, "reference") == ReferenceModel(name=NAME)
    assert parse_source(NAME, "mine.npz") == WeightedModel(name=NAME, weights=str(tmp_path / "mine.npz"))


def is_refused(why: str) -> None:
    """Check that the name is refused with the way out, which is open, and never means other weights."""
    way_out = rf"; fetch it again \(perftool model fetch {NAME}\), or name --weights reference$"
    with pytest.raises(InputError, match=why + way_out):
        parse_source(NAME)
    assert parse_source(NAME, "reference") == ReferenceModel(name=NAME)


def test_weights_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    weights = fetched(tmp_path)
    assert fetched_weights(NAME) == weights
    weights.write_bytes(weights.read_bytes()[:-1])
    is_refused(r"inception_v4\.ckpt has 299,999 bytes, not 300,000")
    weights.unlink()
    is_refused(r"inception_v4\.ckpt is missing")
    fetched(tmp_path)
    assert parse_source(NAME) == WeightedModel(name=NAME, weights=str(weights))


def test_a_record_that_is_damaged_or_of_another_archive_is_refused(tmp_path: Path) -> None:
    weights = fetched(tmp_path)
    record = fetched_folder() / NAME / "fetched.json"
    whole = record.read_bytes()
    record.write_bytes(whole[:-20])
    is_refused("its record is damaged, or not of the catalogue's archive")
    record.write_bytes(whole)
    assert parse_source(NAME) == WeightedModel(name=NAME, weights=str(weights))
    write_catalogue(tmp_path / "c.toml", published(archive(), "http://a.example/a.tar.gz"))
    is_refused("its record is damaged, or not of the catalogue's archive")
    assert not identity(WeightedModel(name=NAME, weights=str(weights))).published


def test_whose_weights_a_name_means_is_said(tmp_path: Path) -> None:
    assert weights_said(parse_source(NAME)) == "reference weights"
    assert weights_said(parse_source(NAME, "folder/mine.npz")) == "weights of mine.npz"
    fetched(tmp_path)
    assert weights_said(parse_source(NAME)) == "the fetched weights"
    assert weights_said(parse_source("m.onnx")) == ""


# ---------------------------------------------------------------- models that perftool does not build


def known_file(tmp_path: Path, *members: str, own: str) -> None:
    """Know a model `tiny` besides the built-in one, of whose archive one member is the model."""
    body = archive(10, **{name: name.encode() for name in members})
    original = Original(
        input="x", shape=(1, 3, 8, 8), output="y", layout="NCHW", color="RGB", mean=1.0, scale=2.0
    )
    model = published(body, "http://a.example/a.tar.gz", weights=own)
    model = msgspec.structs.replace(model, name="tiny", original=original)
    write_catalogue(tmp_path / "c.toml", model)
    (tmp_path / "a.tar.gz").write_bytes(body)


def fetch_tiny(tmp_path: Path) -> Path:
    known = catalogue.known("tiny")
    fetch(known, fetched_folder() / "tiny", lambda _: None, offered=tmp_path / "a.tar.gz")
    return fetched_folder() / "tiny" / "files"


def test_a_known_model_that_is_not_built_is_its_fetched_file(tmp_path: Path) -> None:
    known_file(tmp_path, "net.xml", "net.bin", own="net.xml")
    with pytest.raises(InputError, match=r"^tiny was not fetched yet: perftool model fetch tiny$"):
        parse_source("tiny")
    files = fetch_tiny(tmp_path)
    (tmp_path / "tiny.index").write_bytes(b"a name is a name, whatever lies here")
    source = parse_source("tiny")
    feeding = Feeding(mean=(1.0,), scale=(2.0,), color="RGB", layout="NCHW")
    assert source == ModelFile(path=str(files / "net.xml"), feeding=feeding)
    assert (identity(source).name, identity(source).published) == ("tiny", True)
    assert parse_source(NAME) == ReferenceModel(name=NAME), "the built-in model is still known"
    with pytest.raises(UsageError, match="--weights go with a built-in model"):
        parse_source("tiny", "reference")
    (files / "net.bin").write_bytes(b"net.BIN")
    assert not identity(source).published, "the other half counts"
    (files / "net.bin").write_bytes(b"short")
    with pytest.raises(InputError, match=r"net\.bin has 5 bytes, .*\(perftool model fetch tiny\)$"):
        parse_source("tiny")


def test_an_archive_without_a_model_file_is_refused(tmp_path: Path) -> None:
    known_file(tmp_path, own=WEIGHTS)
    fetch_tiny(tmp_path)
    with pytest.raises(
        InputError, match=rf"does not build tiny, and {WEIGHTS} in its archive is no model file"
    ):
        parse_source("tiny")


# ---------------------------------------------------------------- content


def test_weights_are_published_by_content(tmp_path: Path) -> None:
    weights = fetched(tmp_path)
    copy = tmp_path / "renamed.ckpt"
    copy.write_bytes(weights.read_bytes())
    assert identity(parse_source(NAME)).published
    assert identity(parse_source(str(copy))).published
    assert not identity(ReferenceModel(name=NAME)).published
    assert not identity(ModelFile(path=str(copy))).published
    # One bit, at the same size: only the content tells.
    changed = bytearray(copy.read_bytes())
    changed[1000] ^= 1
    copy.write_bytes(changed)
    assert not identity(parse_source(str(copy))).published
    weights.write_bytes(changed)
    assert not identity(parse_source(NAME)).published


def test_nothing_is_published_without_a_fetch(tmp_path: Path) -> None:
    copy = tmp_path / "copy.ckpt"
    copy.write_bytes(fetched(tmp_path).read_bytes())
    (fetched_folder() / NAME / "fetched.json").unlink()
    assert not identity(parse_source(str(copy))).published


def test_a_published_checkpoint_of_several_files_counts_every_file(tmp_path: Path) -> None:
    files = {"m.ckpt.index": b"index", "m.ckpt.data-00000-of-00001": b"data"}
    body = archive(10, **files)
    model = published(body, "http://a.example/a.tar.gz", weights="m.ckpt")
    write_catalogue(tmp_path / "c.toml", model)
    (tmp_path / "a.tar.gz").write_bytes(body)
    fetch(model, fetched_folder() / NAME, lambda _: None, offered=tmp_path / "a.tar.gz")
    assert fetched_weights(NAME) == fetched_folder() / NAME / "files" / "m.ckpt"
    assert identity(parse_source(NAME)).published
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert identity(parse_source("m.ckpt.index")).published
    (tmp_path / "m.ckpt.data-00000-of-00001").write_bytes(b"DATA")
    assert not identity(parse_source("m.ckpt")).published


@pytest.mark.parametrize("text", ["x.ckpt", "./x.ckpt", "folder/x.CKPT", "x.ckpt.index"])
def test_a_checkpoint_is_the_built_in_model_with_it(text: str, tmp_path: Path) -> None:
    expected = str(tmp_path / text).removesuffix(".index")
    assert parse_source(text) == WeightedModel(name=NAME, weights=expected)
    with pytest.raises(UsageError, match="--weights"):
        parse_source(text, "w.npz")


def test_a_prefix_with_an_index_beside_it_is_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt-1000.index").write_bytes(b"index")
    expected = WeightedModel(name=NAME, weights=str(tmp_path / "model.ckpt-1000"))
    assert parse_source("model.ckpt-1000") == expected
    assert parse_source(f".{'/'}model.ckpt-1000") == expected
    assert parse_source(NAME, "model.ckpt-1000.index") == expected
    (tmp_path / f"{NAME}.index").write_bytes(b"a name is a name all the same")
    assert parse_source(NAME) == ReferenceModel(name=NAME)


def test_a_graph_or_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    for name in ("g.meta", "g.index", "g.pb"):
        (tmp_path / name).write_bytes(b"x")
    assert isinstance(parse_source("g.meta"), ModelFile)
    assert isinstance(parse_source("g.pb"), ModelFile)
    (tmp_path / "saved.ckpt").mkdir()
    assert isinstance(parse_source("./saved.ckpt"), ModelFile)
    with pytest.raises(InputError, match="a folder, not weights; name the checkpoint in it"):
        identity(WeightedModel(name=NAME, weights=str(tmp_path / "saved.ckpt")))


def digest(weights: Path) -> str:
    return identity(WeightedModel(name=NAME, weights=str(weights))).digest


def test_a_checkpoints_identity_covers_its_index_and_every_shard(tmp_path: Path) -> None:
    prefix = tmp_path / "x.ckpt"
    parts = [tmp_path / f"x.ckpt.{end}" for end in ("index", "data-00000-of-00002", "data-00001-of-00002")]
    for number, part in enumerate(parts):
        part.write_bytes(bytes([number]))
    whole = digest(prefix)
    assert digest(parts[0]) == whole, "the prefix and the .index name the same"
    for part in parts:
        before = part.read_bytes()
        part.write_bytes(b"other")
        assert digest(prefix) != whole
        part.write_bytes(before)
    (tmp_path / "x.ckpt.data-00000-of-00009").write_bytes(b"left over from another save")
    (tmp_path / "x.ckpt.meta").write_bytes(b"a graph")
    assert digest(prefix) == whole
    parts[2].unlink()
    with pytest.raises(InputError, match=r"x\.ckpt: a checkpoint's \.index without all of its \.data- files"):
        digest(prefix)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.ckpt: no such file"):
        identity(parse_source("x.ckpt"))


def test_how_a_file_is_fed_counts(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"model")
    path = str(tmp_path / "m.onnx")
    feedings = [Feeding(), Feeding(mean=(127.5,)), Feeding(scale=(127.5,)), Feeding(color="RGB")]
    digests = [identity(ModelFile(path=path, feeding=feeding)).digest for feeding in feedings]
    assert len(set(digests)) == len(feedings)
    assert digests[0] == identity(ModelFile(path=path)).digest


def test_the_weights_of_the_archive_are_its_checkpoint(tmp_path: Path) -> None:
    assert fetched(tmp_path).name == WEIGHTS
