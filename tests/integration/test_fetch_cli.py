"""`perftool model fetch` and what it changes, through the real command against a real server."""

import hashlib
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archive_server import (
    NAME,
    WEIGHTS,
    Offer,
    Site,
    archive,
    closed_url,
    published,
    serve,
    tar_gz,
    wait_until_larger,
    write_catalogue,
)
from outcome import one_line

BODY = archive(300_000)
HALF = 150_000
SLOWLY = 100_000.0

Done = subprocess.CompletedProcess[str]


class Place:
    """A user's cache and catalogue, and the real command in it."""

    def __init__(self, root: Path) -> None:
        self.catalogue = root / "catalogue.toml"
        self.folder = root / "cache" / "perftool" / "fetched" / NAME
        self.part = self.folder / "archive.part"
        self.weights = self.folder / "files" / WEIGHTS
        self.environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(root / "cache"),
            "PERFTOOL_CATALOGUE": str(self.catalogue),
            "NO_COLOR": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def know(self, *urls: str, body: bytes = BODY) -> None:
        write_catalogue(self.catalogue, published(body, *urls))

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "perftool", "model", *map(str, arguments)]

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command("fetch", NAME, *arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, limit: Callable[[], None] | None = None) -> Done:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=limit,
        )

    def fetch(self, *arguments: object, limit: Callable[[], None] | None = None) -> Done:
        return self.run("fetch", NAME, *arguments, limit=limit)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty cache."""
    return Place(tmp_path)


@pytest.fixture
def site() -> Iterator[Site]:
    """Run a server."""
    with serve() as running:
        yield running


def failed(done: Done, code: int) -> str:
    """Return the one line on standard error of a command that ended with this code, and said nothing else."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return one_line(done)


def test_a_fetch_and_the_next_one(place: Place, site: Site) -> None:
    place.know(site.offer(Offer(BODY)))
    done = place.fetch()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{place.weights}: 0.3 MB, size and SHA-384 checked, from {site.url()}\n"
    again = place.fetch()
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"{place.weights}: is there already, and whole (0.3 MB), from {site.url()}\n"
    place.weights.write_bytes(b"damaged")
    mended = place.fetch()
    assert mended.returncode == 0
    assert f"what was there was damaged: {WEIGHTS} has 7 bytes, not 300,000" in mended.stdout


def test_json_tells_the_record(place: Place, site: Site) -> None:
    place.know(site.offer(Offer(BODY)))
    told = json.loads(place.fetch("--json").stdout)
    assert told["weights"] == str(place.weights) and told["new"] is True
    assert told["record"] == json.loads((place.folder / "fetched.json").read_text())
    assert told["record"]["files"] == [
        {
            "path": WEIGHTS,
            "bytes": 300_000,
            "sha256": hashlib.sha256(place.weights.read_bytes()).hexdigest(),
        }
    ]


def test_a_killed_fetch_goes_on(place: Place, site: Site) -> None:
    offer = Offer(BODY, bytes_per_second=SLOWLY)
    place.know(site.offer(offer))
    running = place.start()
    wait_until_larger(place.part, 60_000)
    running.kill()
    running.communicate(timeout=30)
    come = place.part.stat().st_size
    assert 60_000 < come < len(BODY)
    offer.bytes_per_second = None
    done = place.fetch()
    assert done.returncode == 0, done.stderr
    assert site.asked[-1].range == f"bytes={come}-"
    assert site.asked[-1].sent == len(BODY) - come
    assert place.weights.stat().st_size == 300_000


def test_an_interrupted_fetch_keeps_what_has_come(place: Place, site: Site) -> None:
    offer = Offer(BODY, bytes_per_second=SLOWLY)
    place.know(site.offer(offer))
    running = place.start()
    wait_until_larger(place.part, 60_000)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    come = place.part.stat().st_size
    assert (running.returncode, out) == (130, "")
    assert err == (
        f"perftool: stopped; {come:,} of {len(BODY):,} bytes are kept: perftool model fetch {NAME} goes on "
        "from there\n"
    )
    offer.bytes_per_second = None
    assert place.fetch().returncode == 0
    assert site.asked[-1].range == f"bytes={come}-"


def test_two_commands_at_once_download_once(place: Place, site: Site) -> None:
    place.know(site.offer(Offer(BODY, bytes_per_second=SLOWLY * 2)))
    both = [place.start() for _ in range(2)]
    said = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert len(site.asked) == 1
    assert sum("is there already" in line for line in said) == 1


def test_a_terminal_sees_progress_and_a_pipe_does_not(place: Place, site: Site) -> None:
    place.know(site.offer(Offer(BODY, bytes_per_second=SLOWLY)))
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            place.command("fetch", NAME),
            env=place.environment,
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=60,
            check=True,
        )
        shown = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "fetching from 127.0.0.1: 0.2 of 0.3 MB, 0.1 MB/s, 1 s left" in shown
    assert shown.endswith("\r\x1b[2K")
    assert done.stdout.count(b"\n") == 1


# ---------------------------------------------------------------- what fails, and what is said then


def test_a_mirror_helps_and_is_named(place: Place, site: Site) -> None:
    place.know(site.url("/gone.tar.gz"), site.offer(Offer(BODY)))
    done = place.fetch()
    assert done.returncode == 0
    assert f"from {site.url()}, after {site.url('/gone.tar.gz')}: answers 404 Not Found" in done.stdout


def test_offline(place: Place) -> None:
    urls = closed_url(), closed_url()
    place.know(*urls)
    line = failed(place.fetch(), 1)
    assert line == (
        f"perftool: {NAME} cannot be fetched: {urls[0]}: cannot be reached (Connection refused); "
        f"{urls[1]}: cannot be reached (Connection refused). Or download it by hand ({len(BODY):,} bytes, "
        f"SHA-384 {hashlib.sha384(BODY).hexdigest()}) and take it with: perftool model fetch {NAME} "
        "--from a.tar.gz"
    )


def test_a_name_that_does_not_resolve(place: Place) -> None:
    place.know("http://perftool.invalid/a.tar.gz")
    assert "http://perftool.invalid/a.tar.gz: cannot be reached (" in failed(place.fetch(), 1)


def test_a_stalled_server(place: Place, site: Site) -> None:
    place.know(site.offer(Offer(BODY, stalls_at=HALF)))
    line = failed(place.fetch("--timeout", 0.3), 1)
    assert f"says nothing for 0.3 s (150,000 of {len(BODY):,} bytes have come)" in line


def test_a_wrong_checksum(place: Place, site: Site) -> None:
    other = bytes([BODY[0] ^ 1]) + BODY[1:]
    place.know(site.offer(Offer(other)))
    line = failed(place.fetch(), 1)
    assert f"{site.url()}: has the SHA-384 {hashlib.sha384(other).hexdigest()}, not " in line
    assert not place.part.exists()


def test_a_wrong_size(place: Place, site: Site) -> None:
    place.know(site.offer(Offer(BODY + b"x")))
    assert f"has {len(BODY) + 1:,} bytes, not {len(BODY):,}" in failed(place.fetch(), 1)


def test_a_dangerous_archive(place: Place, site: Site) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    body = tar_gz([link], [b""])
    place.know(site.offer(Offer(body)), body=body)
    line = failed(place.fetch(), 3)
    assert "refused, since 'link' in it is a link to '/etc/passwd'; nothing was extracted" in line


def test_an_own_file(place: Place, tmp_path: Path) -> None:
    place.know(closed_url())
    own = tmp_path / "own.tar.gz"
    assert failed(place.fetch("--from", own), 3) == f"perftool: {own}: no such file"
    own.write_bytes(BODY[:-1])
    assert f"{own}: is not {NAME}'s a.tar.gz: has " in failed(place.fetch("--from", own), 3)
    own.write_bytes(BODY)
    done = place.fetch("--from", own)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"from {own}\n")
    assert place.weights.exists() and own.exists()


@pytest.mark.parametrize("room", [100_000, 250_000])
def test_no_room(place: Place, site: Site, room: int) -> None:
    place.know(site.offer(Offer(BODY)))
    line = failed(place.fetch(limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))), 1)
    assert f"{place.folder}: cannot be written: File too large; what has come is kept" in line
    assert place.part.stat().st_size <= room
    done = place.fetch()
    assert done.returncode == 0
    assert site.asked[-1].range is not None


def test_no_room_to_extract(place: Place, site: Site) -> None:
    body = tar_gz([tarfile.TarInfo(WEIGHTS)], [bytes(300_000)])
    place.know(site.offer(Offer(body)), body=body)
    line = failed(place.fetch(limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))), 1)
    assert "cannot be written: File too large" in line
    assert {path.name for path in place.folder.iterdir()} <= {"archive.part", "archive.part.json", ".lock"}
    assert place.fetch().returncode == 0
    assert len(site.asked) == 1, "the whole part was kept"


def test_an_unknown_name_and_a_broken_catalogue(place: Place) -> None:
    place.know(closed_url())
    assert failed(place.run("fetch", "resnet"), 3).endswith("unknown model 'resnet'; known are " + NAME)
    place.catalogue.write_text("models = 3")
    assert f"{place.catalogue}: not a catalogue of models: " in failed(place.fetch(), 3)


def test_what_was_fetched_is_what_the_name_means(place: Place, tmp_path: Path) -> None:
    """The archive's content is no checkpoint here, which the child that reads it says, naming its path."""
    place.know(closed_url())
    own = tmp_path / "own.tar.gz"
    own.write_bytes(BODY)
    assert place.fetch("--from", own).returncode == 0
    line = one_line(place.run("info", NAME))
    assert str(place.weights) in line
    assert place.run("info", NAME, "--weights", "reference", "--json").returncode == 0
