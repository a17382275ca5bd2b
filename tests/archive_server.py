"""A real server on 127.0.0.1 that offers an archive, and what servers do wrong on demand."""

import hashlib
import io
import os
import re
import socket
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import tomli_w

from perftool.published.catalogue import BUILT_IN_FILE, Archive, Catalogue, Known

NAME = "googlenet-v4-tf"
WEIGHTS = "inception_v4.ckpt"
#: As the built-in catalogue has it, whatever the environment says.
KNOWN = next(
    model
    for model in msgspec.toml.decode(BUILT_IN_FILE.read_bytes(), type=Catalogue).models
    if model.name == NAME
)


@dataclass
class Offer:
    """What a path answers with. `breaks_at` and `stalls_at` count body bytes from its beginning.

    `breaks_after` counts those of one answer. Faults happen `faults` times, and no more after that.
    """

    body: bytes
    status: int = 200
    ranges: bool = True
    etag: str | None = '"one"'
    breaks_at: int | None = None
    breaks_after: int | None = None
    stalls_at: int | None = None
    faults: int = 1_000
    announce_length: bool = True
    bytes_per_second: float | None = None
    moved_to: str | None = None
    encoding: str | None = None


@dataclass
class Asked:
    """A request: its path, its Range and If-Range, and how many body bytes were sent for it."""

    path: str
    range: str | None
    if_range: str | None
    sent: int = 0


@dataclass
class Site:
    """A running server: what it offers, and what it was asked."""

    offers: dict[str, Offer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def url(self, path: str = "/a.tar.gz") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def offer(self, offer: Offer, path: str = "/a.tar.gz") -> str:
        self.offers[path] = offer
        return self.url(path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that were killed, or had enough."""


@contextmanager
def serve() -> Iterator[Site]:
    """Run a site in a thread."""
    site = Site()
    server = _Server(("127.0.0.1", 0), _handler(site))
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            offer = site.offers.get(self.path)
            asked = Asked(self.path, self.headers["Range"], self.headers["If-Range"])
            site.asked.append(asked)
            if offer is None or offer.status != 200:
                self.send_response(404 if offer is None else offer.status)
                if offer and offer.moved_to:
                    self.send_header("Location", offer.moved_to)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(offer, asked)

        def _send(self, offer: Offer, asked: Asked) -> None:
            size, start = len(offer.body), 0
            named = re.fullmatch(r"bytes=(\d+)-", asked.range or "")
            if named and offer.ranges and asked.if_range in (None, offer.etag):
                start = int(named[1])
                if start >= size:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{size}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            else:
                self.send_response(200)
            if offer.etag:
                self.send_header("ETag", offer.etag)
            if offer.encoding:
                self.send_header("Content-Encoding", offer.encoding)
            if offer.announce_length:
                self.send_header("Content-Length", str(size - start))
            else:
                self.close_connection = True
                self.send_header("Connection", "close")
            self.end_headers()
            self._send_body(offer, start, asked)

        def _send_body(self, offer: Offer, start: int, asked: Asked) -> None:
            faulty = offer.faults > 0
            end = len(offer.body)
            stop = offer.breaks_at if offer.breaks_at is not None else offer.stalls_at
            if offer.breaks_after is not None:
                stop = min(end, start + offer.breaks_after)
            if faulty and stop is not None:
                offer.faults -= 1
                end = max(start, stop)
            step = 1 << 14
            for at in range(start, end, step):
                piece = offer.body[at : min(at + step, end)]
                try:
                    self.wfile.write(piece)
                    self.wfile.flush()
                except OSError:
                    return
                asked.sent += len(piece)
                if offer.bytes_per_second and site.closing.wait(len(piece) / offer.bytes_per_second):
                    return
            if faulty and offer.stalls_at is not None:
                site.closing.wait()
            if end < len(offer.body):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_WR)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


def closed_url() -> str:
    """Return a URL at which nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/a.tar.gz"


def archive(size: int = 300_000, **more: bytes) -> bytes:
    """Make a .tar.gz of weights that do not compress, and of other files."""
    members = [tarfile.TarInfo(WEIGHTS), *map(tarfile.TarInfo, more)]
    return tar_gz(members, [os.urandom(size), *more.values()])


def tar_gz(members: Sequence[tarfile.TarInfo], contents: Sequence[bytes]) -> bytes:
    """Make a .tar.gz of any members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in zip(members, contents, strict=True):
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def published(body: bytes, *urls: str, weights: str = WEIGHTS) -> Known:
    """Return the known model, with another archive in the place of its own."""
    sha384 = hashlib.sha384(body).hexdigest()
    own = Archive(urls=urls, bytes=len(body), sha384=sha384, weights=weights)
    return msgspec.structs.replace(KNOWN, archive=own)


def write_catalogue(path: Path, *models: Known) -> Path:
    """Write a catalogue file."""
    path.write_text(tomli_w.dumps(msgspec.to_builtins(Catalogue(models=models))))
    return path


def wait_until_larger(path: Path, size: int, seconds: float = 30.0) -> None:
    """Wait until a file has more bytes than that."""
    end = time.monotonic() + seconds
    while not (path.exists() and path.stat().st_size > size):
        assert time.monotonic() < end, f"{path} has not grown beyond {size} bytes"
        time.sleep(0.01)
