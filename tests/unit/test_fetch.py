"""Fetching, against a real server that does what servers do wrong."""

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from archive_server import NAME, WEIGHTS, Offer, Site, archive, closed_url, published, serve, tar_gz

from perftool.cli.fetch import progress_text
from perftool.errors import InputError, PerftoolError
from perftool.published.catalogue import Known
from perftool.published.download import Patience
from perftool.published.fetch import PART, Brought, fetch
from perftool.published.fetched import Fetched
from perftool.record import Progress

BODY = archive(300_000, **{"readme.txt": b"read me"})
HALF = 150_000
QUICK = Patience(timeout_s=0.5, tries=3, pause_s=0.01)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach this machine directly, whatever is set for others."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def site() -> Iterator[Site]:
    """Run a server."""
    with serve() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where a model's files go, which does not exist yet."""
    return tmp_path / "fetched" / NAME


def bring(model: Known, folder: Path, offered: Path | None = None) -> Brought:
    return fetch(model, folder, lambda _: None, patience=QUICK, offered=offered)


def refused(model: Known, folder: Path, offered: Path | None = None) -> str:
    """Return the one line that a fetch fails with; nothing is left that could be taken for fetched."""
    with pytest.raises(PerftoolError) as raised:
        bring(model, folder, offered)
    assert "\n" not in str(raised.value)
    assert not (folder / "fetched.json").exists()
    assert not (folder / "files").exists()
    assert not list(folder.glob(".extracting-*"))
    return str(raised.value)


def is_whole(brought: Brought, folder: Path) -> None:
    """Check that files, record and folder are what a fetch promises, and that nothing else is left."""
    with tarfile.open(fileobj=io.BytesIO(BODY)) as tar:
        contents = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert Path(brought.weights).read_bytes() == contents[WEIGHTS]
    assert {path.name: path.read_bytes() for path in (folder / "files").iterdir()} == contents
    record = msgspec.json.decode((folder / "fetched.json").read_bytes(), type=Fetched)
    assert record == brought.record
    assert record.sha384 == hashlib.sha384(BODY).hexdigest()
    assert {file.path: (file.bytes, file.sha256) for file in record.files} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()
    }
    assert {path.name for path in folder.iterdir()} <= {"files", "fetched.json", ".lock"}


# ---------------------------------------------------------------- settings of the environment


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        (
            "ALL_PROXY",
            "socks5://me:secret@127.0.0.1:1",
            "ALL_PROXY: cannot be used: a proxy that speaks socks",
        ),
        ("HTTP_PROXY", "ftp://x", "HTTP_PROXY: cannot be used: a proxy is http://host:port"),
        ("https_proxy", "gopher://x", "https_proxy: cannot be used: a proxy is http://host:port"),
        ("NO_PROXY", "[::1", "NO_PROXY: cannot be used: a proxy is http://host:port, NO_PROXY hosts"),
        (
            "SSL_CERT_FILE",
            "/nonexistent",
            "SSL_CERT_FILE: the certificates in it cannot be read: No such file",
        ),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE: the certificates in it cannot be read: "),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    setting: str, value: str, expected: str, site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(setting, value)
    said = refused(published(BODY, site.offer(Offer(BODY))), folder)
    assert said.startswith(expected) and "secret" not in said


@pytest.mark.parametrize("proxy", ["http://[", "host:99999", "127.0.0.1:1"])
def test_a_proxy_that_does_not_answer_is_a_source_that_cannot_be_reached(
    proxy: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    assert "cannot be reached" in refused(published(BODY, "http://a.invalid/a.tar.gz"), folder)


# ---------------------------------------------------------------- what goes right


def test_a_fetch_leaves_the_files_and_their_record(site: Site, folder: Path) -> None:
    url = site.offer(Offer(BODY))
    seen: list[Progress] = []
    brought = fetch(published(BODY, url), folder, seen.append, patience=QUICK)
    is_whole(brought, folder)
    assert brought.new and brought.record.source == url and not brought.failures
    assert [asked.range for asked in site.asked] == [None]
    steps = [step.done for step in seen if step.stage.startswith("fetching")]
    assert steps == sorted(steps) and steps[-1] == len(BODY) == seen[0].total


def test_what_is_there_is_checked_and_not_fetched_again(site: Site, folder: Path) -> None:
    model = published(BODY, site.offer(Offer(BODY)))
    bring(model, folder)
    again = bring(model, folder)
    assert not again.new and len(site.asked) == 1
    is_whole(again, folder)


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "record"])
def test_damage_is_repaired(site: Site, folder: Path, harm: str) -> None:
    model = published(BODY, site.offer(Offer(BODY)))
    weights = Path(bring(model, folder).weights)
    content = bytearray(weights.read_bytes())
    if harm == "flip":
        content[7] ^= 1
        weights.write_bytes(content)
    elif harm == "cut":
        weights.write_bytes(content[:-1])
    elif harm == "remove":
        weights.unlink()
    else:
        (folder / "fetched.json").write_text("{")
    again = bring(model, folder)
    assert again.new and len(site.asked) == 2
    if harm != "record":
        assert again.repaired is not None and again.repaired.startswith(WEIGHTS)
    is_whole(again, folder)


def test_another_archive_in_the_catalogue_is_fetched_anew(site: Site, folder: Path) -> None:
    old = archive()
    bring(published(old, site.offer(Offer(old), "/old.tar.gz")), folder)
    is_whole(bring(published(BODY, site.offer(Offer(BODY))), folder), folder)


def test_a_server_that_moved_is_followed(site: Site, folder: Path) -> None:
    there = site.offer(Offer(BODY), "/there.tar.gz")
    moved = site.offer(Offer(b"", status=302, moved_to=there))
    assert bring(published(BODY, moved), folder).record.source == moved


def test_an_archive_that_is_called_an_encoding_stays_as_it_is(site: Site, folder: Path) -> None:
    is_whole(bring(published(BODY, site.offer(Offer(BODY, encoding="gzip"))), folder), folder)


# ---------------------------------------------------------------- broken off, and gone on with


def broken_part(site: Site, folder: Path, offer: Offer) -> Known:
    """Leave half an archive behind: the only source breaks off, and then answers nothing more."""
    model = published(BODY, site.offer(offer))
    offer.breaks_at, offer.faults = HALF, 1
    one_try = Patience(timeout_s=0.5, tries=1, pause_s=0.01)
    with pytest.raises(PerftoolError, match=r"broke off \(150,000 of "):
        fetch(model, folder, lambda _: None, patience=one_try)
    assert (folder / PART).stat().st_size == HALF
    return model


def test_a_broken_download_goes_on_where_it_ended(site: Site, folder: Path) -> None:
    model = broken_part(site, folder, Offer(BODY))
    is_whole(bring(model, folder), folder)
    first, second = site.asked
    assert (first.range, first.sent) == (None, HALF)
    assert (second.range, second.if_range) == (f"bytes={HALF}-", '"one"')
    assert second.sent == len(BODY) - HALF


def test_a_broken_download_goes_on_at_once(site: Site, folder: Path) -> None:
    model = published(BODY, site.offer(Offer(BODY, breaks_at=HALF, faults=1)))
    is_whole(bring(model, folder), folder)
    assert [asked.range for asked in site.asked] == [None, f"bytes={HALF}-"]


def test_a_mirror_goes_on_with_what_the_first_began(site: Site, folder: Path) -> None:
    first = site.offer(Offer(BODY, breaks_at=HALF, ranges=True), "/first.tar.gz")
    mirror = site.offer(Offer(BODY, etag='"another"'), "/mirror.tar.gz")
    brought = bring(published(BODY, first, mirror), folder)
    is_whole(brought, folder)
    assert brought.record.source == mirror
    assert brought.failures == (f"{first}: broke off (150,000 of {len(BODY):,} bytes have come)",)
    assert (site.asked[-1].range, site.asked[-1].if_range) == (f"bytes={HALF}-", None)
    assert site.asked[-1].sent == len(BODY) - HALF


def test_a_server_without_ranges_sends_all_again(site: Site, folder: Path) -> None:
    model = broken_part(site, folder, Offer(BODY, ranges=False))
    is_whole(bring(model, folder), folder)
    assert site.asked[-1].range == f"bytes={HALF}-"
    assert site.asked[-1].sent == len(BODY)


def test_another_version_on_the_server_is_not_mixed_in(site: Site, folder: Path) -> None:
    other = bytes(byte ^ 255 for byte in BODY)
    model = broken_part(site, folder, Offer(other))
    site.offer(Offer(BODY, etag='"two"'))
    is_whole(bring(model, folder), folder)
    assert site.asked[-1].sent == len(BODY)


def test_a_part_of_other_content_costs_one_more_download(site: Site, folder: Path) -> None:
    other = bytes(byte ^ 255 for byte in BODY)
    model = broken_part(site, folder, Offer(other, etag=None))
    site.offer(Offer(BODY, etag=None))
    is_whole(bring(model, folder), folder)
    assert [asked.range for asked in site.asked[1:]] == [f"bytes={HALF}-", None]


def test_a_whole_part_needs_no_server(site: Site, folder: Path) -> None:
    model = broken_part(site, folder, Offer(BODY))
    (folder / PART).write_bytes(BODY)
    is_whole(bring(model, folder), folder)
    assert len(site.asked) == 1


def test_a_part_of_another_archive_is_left_aside(site: Site, folder: Path) -> None:
    old = archive()
    offer = Offer(old, breaks_at=HALF, faults=3)
    refused(published(old, site.offer(offer)), folder)
    is_whole(bring(published(BODY, site.offer(Offer(BODY))), folder), folder)
    assert [asked.range for asked in site.asked[3:]] == [None], "it is not even asked to be gone on with"


def test_a_server_that_breaks_off_again_and_again_gets_there(site: Site, folder: Path) -> None:
    body = archive(7 << 20)
    brought = bring(published(body, site.offer(Offer(body, breaks_after=3 << 19))), folder)
    assert brought.new and len(site.asked) == 5 > QUICK.tries


def test_a_server_that_never_gets_further_is_given_up(site: Site, folder: Path) -> None:
    body = archive(7 << 20)
    line = refused(published(body, site.offer(Offer(body, ranges=False, breaks_after=3 << 19))), folder)
    assert "broke off (1,572,864 of 7," in line
    assert len(site.asked) <= QUICK.tries + 1


# ---------------------------------------------------------------- sources that do not have it


def other_than(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]


def test_a_wrong_checksum_is_not_believed(site: Site, folder: Path) -> None:
    wrong = site.offer(Offer(other_than(BODY)), "/wrong.tar.gz")
    good = site.offer(Offer(BODY), "/good.tar.gz")
    brought = bring(published(BODY, wrong, good), folder)
    is_whole(brought, folder)
    expected, found = hashlib.sha384(BODY).hexdigest(), hashlib.sha384(other_than(BODY)).hexdigest()
    assert brought.failures == (f"{wrong}: has the SHA-384 {found}, not {expected}",)
    assert site.asked[-1].range is None, "nothing of the wrong file is kept"


def test_wrong_checksums_everywhere_are_all_named(site: Site, folder: Path) -> None:
    urls = [site.offer(Offer(other_than(BODY)), path) for path in ("/a.tar.gz", "/b.tar.gz")]
    line = refused(published(BODY, *urls), folder)
    found = hashlib.sha384(other_than(BODY)).hexdigest()
    for url in urls:
        assert f"{url}: has the SHA-384 {found}, not {hashlib.sha384(BODY).hexdigest()}" in line
    assert not (folder / PART).exists()


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("change", [1000, -1000])
def test_a_wrong_size_is_not_believed(site: Site, folder: Path, announced: bool, change: int) -> None:
    body = BODY + bytes(change) if change > 0 else BODY[:change]
    wrong = site.offer(Offer(body, announce_length=announced), "/wrong.tar.gz")
    line = refused(published(BODY, wrong), folder)
    assert f"{wrong}: " in line and f"{len(BODY):,}" in line
    if announced:
        assert f"has {len(body):,} bytes, not {len(BODY):,}" in line
        assert [asked.range for asked in site.asked] == [None], "asking again would not help"
    assert not (folder / PART).exists()
    good = site.offer(Offer(BODY), "/good.tar.gz")
    is_whole(bring(published(BODY, wrong, good), folder), folder)


def test_an_endless_answer_is_not_awaited(site: Site, folder: Path) -> None:
    endless = site.offer(Offer(BODY + bytes(60_000_000), announce_length=False))
    line = refused(published(BODY, endless), folder)
    assert f"{endless}: sends more than the {len(BODY):,} bytes" in line
    assert site.asked[0].sent < 30_000_000


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final_for_its_source(site: Site, folder: Path, status: int) -> None:
    gone = site.offer(Offer(BODY, status=status), "/gone.tar.gz")
    brought = bring(published(BODY, gone, site.offer(Offer(BODY))), folder)
    is_whole(brought, folder)
    assert len(site.asked) == 2
    assert brought.failures[0].startswith(f"{gone}: answers {status} ")


def test_a_busy_server_is_tried_again(site: Site, folder: Path) -> None:
    busy = site.offer(Offer(BODY, status=503))
    line = refused(published(BODY, busy), folder)
    assert len(site.asked) == QUICK.tries
    assert f"{busy}: answers 503 Service Unavailable" in line


def test_a_stalled_server_is_given_up(site: Site, folder: Path) -> None:
    stalled = site.offer(Offer(BODY, stalls_at=HALF), "/stalled.tar.gz")
    line = refused(published(BODY, stalled), folder)
    assert f"{stalled}: says nothing for 0.5 s (150,000 of {len(BODY):,} bytes have come)" in line
    assert (folder / PART).stat().st_size == HALF
    brought = bring(published(BODY, stalled, site.offer(Offer(BODY))), folder)
    is_whole(brought, folder)


def test_offline_says_how_to_go_without(folder: Path) -> None:
    urls = closed_url(), closed_url()
    line = refused(published(BODY, *urls), folder)
    for url in urls:
        assert f"{url}: cannot be reached (Connection refused)" in line
    assert f"{len(BODY):,} bytes" in line and hashlib.sha384(BODY).hexdigest() in line
    assert f"perftool model fetch {NAME} --from a.tar.gz" in line


# ---------------------------------------------------------------- a file that the user has


def test_a_file_is_taken_and_stays(tmp_path: Path, folder: Path) -> None:
    own = tmp_path / "own.tar.gz"
    own.write_bytes(BODY)
    brought = bring(published(BODY, closed_url()), folder, own)
    is_whole(brought, folder)
    assert brought.record.source == str(own)
    assert own.read_bytes() == BODY


def test_a_wrong_file_is_refused_saying_what_differs(tmp_path: Path, folder: Path) -> None:
    model = published(BODY, closed_url())
    own = tmp_path / "own.tar.gz"
    assert refused(model, folder, own) == f"{own}: no such file"
    own.write_bytes(BODY[:-1])
    line = refused(model, folder, own)
    assert line == f"{own}: is not {NAME}'s a.tar.gz: has {len(BODY) - 1:,} bytes, not {len(BODY):,}"
    own.write_bytes(other_than(BODY))
    line = refused(model, folder, own)
    assert hashlib.sha384(other_than(BODY)).hexdigest() in line and model.archive.sha384 in line
    assert refused(model, folder, tmp_path).startswith(f"{tmp_path}: ")


def test_a_wrong_file_is_refused_although_all_is_there(tmp_path: Path, folder: Path) -> None:
    own = tmp_path / "own.tar.gz"
    own.write_bytes(BODY)
    model = published(BODY, closed_url())
    is_whole(bring(model, folder, own), folder)
    own.write_bytes(other_than(BODY))
    with pytest.raises(InputError, match="SHA-384"):
        bring(model, folder, own)
    is_whole(bring(model, folder), folder)


# ---------------------------------------------------------------- archives that are not to be trusted


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (member("link", tarfile.SYMTYPE, "/etc/passwd"), "is a link to '/etc/passwd'"),
        (member("link", tarfile.SYMTYPE, WEIGHTS), "is a link to 'inception_v4.ckpt'"),
        (member("link", tarfile.LNKTYPE, WEIGHTS), "is a link to 'inception_v4.ckpt'"),
        (member("/tmp/absolute"), "is an absolute path"),
        (member("../outside"), "leads out of its folder"),
        (member("below/../../outside"), "leads out of its folder"),
        (member("C:\\outside"), "is an absolute path, or another system's"),
        (member("null", tarfile.CHRTYPE), "is neither a file nor a folder"),
        (member("pipe", tarfile.FIFOTYPE), "is neither a file nor a folder"),
        (member(WEIGHTS), "stands there twice"),
        (member(f"./{WEIGHTS}"), "stands there twice"),
    ],
)
def test_a_dangerous_archive_is_refused_whole(
    tmp_path: Path, folder: Path, bad: tarfile.TarInfo, why: str
) -> None:
    own = tmp_path / "own.tar.gz"
    own.write_bytes(tar_gz([member(WEIGHTS), bad], [b"weights", b""]))
    line = refused(published(own.read_bytes(), closed_url()), folder, own)
    assert why in line and repr(bad.name) in line and str(own) in line
    assert {path.name for path in tmp_path.iterdir()} == {"own.tar.gz", "fetched"}
    assert {path.name for path in folder.iterdir()} <= {".lock"}


def test_a_dangerous_download_does_not_stay(site: Site, folder: Path) -> None:
    body = tar_gz([member("../outside")], [b""])
    with pytest.raises(InputError, match="leads out of its folder"):
        bring(published(body, site.offer(Offer(body))), folder)
    assert not (folder / PART).exists()


def test_an_archive_with_folders_keeps_them(tmp_path: Path, folder: Path) -> None:
    own = tmp_path / "own.tar.gz"
    below = f"model/{WEIGHTS}"
    own.write_bytes(tar_gz([member("model", tarfile.DIRTYPE), member(below)], [b"", b"weights"]))
    brought = bring(published(own.read_bytes(), closed_url(), weights=below), folder, own)
    assert Path(brought.weights).read_bytes() == b"weights"
    assert [file.path for file in brought.record.files] == [below]


@pytest.mark.parametrize("kind", ["no gzip", "cut", "empty"])
def test_what_is_no_archive_is_refused(tmp_path: Path, folder: Path, kind: str) -> None:
    body = {"no gzip": b"hello", "cut": BODY[: len(BODY) // 2], "empty": b"\0"}[kind]
    own = tmp_path / "own.tar.gz"
    own.write_bytes(body)
    assert "not a readable .tar.gz" in refused(published(body, closed_url()), folder, own)


def test_an_archive_without_the_weights_is_refused(tmp_path: Path, folder: Path) -> None:
    own = tmp_path / "own.tar.gz"
    own.write_bytes(BODY)
    line = refused(published(BODY, closed_url(), weights="model.ckpt"), folder, own)
    assert line == f"{own}: holds no model.ckpt, but {WEIGHTS}, readme.txt"


# ---------------------------------------------------------------- the disk, and others at the same time


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full, a disk that is always full")
def test_a_full_disk_is_one_line(site: Site, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / PART).symlink_to("/dev/full")
    line = refused(published(BODY, site.offer(Offer(BODY)), site.offer(Offer(BODY), "/b.tar.gz")), folder)
    assert f"{folder}: cannot be written: No space left on device" in line
    assert len(site.asked) == 1, "another source would not help"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    line = refused(published(BODY, closed_url()), tmp_path / "file" / NAME)
    assert "cannot be written: " in line and str(tmp_path / "file") in line


def test_two_at_once_download_once(site: Site, folder: Path) -> None:
    model = published(BODY, site.offer(Offer(BODY, bytes_per_second=1e6)))
    brought: list[Brought] = []
    seen: list[str] = []

    def one() -> None:
        brought.append(fetch(model, folder, lambda step: seen.append(step.stage), patience=QUICK))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(result.new for result in brought) == [False, True]
    assert len(site.asked) == 1
    assert "waiting for another fetch" in seen
    is_whole(brought[0], folder)


def test_what_a_killed_fetch_was_extracting_is_cleared_away(site: Site, folder: Path) -> None:
    (folder / ".extracting-killed").mkdir(parents=True)
    (folder / ".extracting-killed" / "half").write_bytes(b"half")
    is_whole(bring(published(BODY, site.offer(Offer(BODY))), folder), folder)


# ---------------------------------------------------------------- the line of progress


def test_progress_is_told_in_bytes_speed_and_time_left() -> None:
    half = Progress(stage="fetching from a.example", done=50_000_000, total=170_000_000)
    assert progress_text(half, 20_000_000, 10) == (
        "fetching from a.example: 50.0 of 170.0 MB, 2.0 MB/s, 60 s left"
    )
    assert progress_text(half, 1_000_000, 10).endswith("0.1 MB/s, 20 min left")
    assert progress_text(half, 0, 0) == "fetching from a.example: 50.0 of 170.0 MB"
    assert progress_text(Progress(stage="extracting", done=0, total=0), 0, 5) == "extracting"
