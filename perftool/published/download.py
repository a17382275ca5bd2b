"""Download a known model's archive into a part file, from the first source that has it.

A part file outlives its process, and the next download goes on where it ends (HTTP Range). What has come is
believed only when size and SHA-384 are the catalogue's. Nothing is extracted here. Runtime-free.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from perftool.errors import InputError, PerftoolError, one_line
from perftool.published.catalogue import Archive, Known
from perftool.record import Progress
from perftool.spec import Count, Positive

Watch = Callable[[Progress], None]

#: A try that has brought this much more than any before it is not held against its source.
_WORTH_IT: Final = 1 << 20
#: Answers after which another try makes sense; any other refusal is final.
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


#: The settings that httpx makes a client of.
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Patience(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to wait for a silent server, how often to try each, and how long to pause before the second.

    Each further pause is twice as long. Times in seconds.
    """

    timeout_s: Positive = 30.0
    tries: Count = 3
    pause_s: Positive = 0.5


class Downloaded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an archive came from in the end, and why not from the sources before that, a line for each."""

    url: str
    failures: tuple[str, ...]


class _Begun(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Beside a part file: of which archive, from where, and how that server names this version of it."""

    sha384: str
    url: str
    version: str | None


class _SourceError(Exception):
    """Say why a source is given up."""


class _BrokenOffError(Exception):
    """Say why a try ended early."""


def download(model: Known, part: Path, watch: Watch, patience: Patience) -> Downloaded:
    """Fill the part file with the catalogue's archive, and check it.

    A part file of the same archive is gone on with, whole or not. Raises PerftoolError, on one line, with
    what was wrong with each source and how to go without them; InputError for a proxy or certificates of the
    environment that cannot be used; OSError is the disk's.
    """
    archive = model.archive
    begun = _begun(part)
    if begun and begun.sha384 != archive.sha384:
        discard(part)
    if begun and _size(part) == archive.bytes and check(part, archive) is None:
        return Downloaded(url=begun.url, failures=())
    failures: list[str] = []
    with _client(patience) as client:
        for url in archive.urls:
            try:
                _download_from(url, client, archive, part, watch, patience)
            except _SourceError as failure:
                failures.append(f"{url}: {failure}")
            else:
                return Downloaded(url=url, failures=tuple(failures))
    raise PerftoolError(f"{model.name} cannot be fetched: {'; '.join(failures)}. {by_hand(model)}")


def by_hand(model: Known) -> str:
    """Say how to go without a download."""
    archive = model.archive
    return (
        f"Or download it by hand ({archive.bytes:,} bytes, SHA-384 {archive.sha384}) and take it with: "
        f"perftool model fetch {model.name} --from {archive.file_name}"
    )


def check(file: Path, archive: Archive) -> str | None:
    """Say how a file differs from the catalogue's archive, expected and found; None if it does not."""
    if (size := file.stat().st_size) != archive.bytes:
        return f"has {size:,} bytes, not {archive.bytes:,}"
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha384").hexdigest()
    return None if found == archive.sha384 else f"has the SHA-384 {found}, not {archive.sha384}"


def discard(part: Path) -> None:
    """Remove a part file and what is known of it."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _client(patience: Patience) -> httpx.Client:
    """Make a client of the environment's proxies and certificates; InputError names what cannot be used.

    Only the name of a setting is shown, and what is wrong with it: a proxy's value may hold a password.
    """
    headers = {"Accept-Encoding": "identity"}
    try:
        return httpx.Client(follow_redirects=True, timeout=patience.timeout_s, headers=headers)
    except OSError as error:
        setting, reason = _certificates_setting(), error.strerror or _reason(error)
        raise InputError(f"{setting}: the certificates in it cannot be read: {reason}") from None
    except ImportError:
        wanted = "a proxy that speaks socks is not supported, one of http or https is"
        raise InputError(f"{_proxy_setting()}: cannot be used: {wanted}") from None
    except (ValueError, httpx.InvalidURL):
        wanted = "a proxy is http://host:port, NO_PROXY hosts between commas"
        raise InputError(f"{_proxy_setting()}: cannot be used: {wanted}") from None


def _certificates_setting() -> str:
    """Return the environment variable that certificates are read from, as httpx looks for it."""
    return next((name for name in _CERTIFICATES if os.environ.get(name)), "certifi")


def _proxy_setting() -> str:
    """Return the environment variable of which httpx can make no proxy."""
    for name in (form for one in _PROXIES for form in (one.lower(), one)):
        value = os.environ.get(name, "")
        try:
            httpx.HTTPTransport(proxy=value if "://" in value else f"http://{value}", verify=False).close()
        except (ImportError, ValueError, httpx.InvalidURL):
            return name
    return "NO_PROXY"


def _download_from(
    url: str, client: httpx.Client, archive: Archive, part: Path, watch: Watch, patience: Patience
) -> None:
    """Fill the part file from one source, in several tries; raise _SourceError when it is given up."""
    tries, furthest = 0, _size(part)
    while True:
        resumed = _size(part)
        try:
            if resumed < archive.bytes:
                _receive(url, client, archive, part, watch)
        except _BrokenOffError as broken:
            if _size(part) >= furthest + _WORTH_IT:
                tries, furthest = 0, _size(part)
            tries += 1
            if tries >= patience.tries:
                come = f" ({size:,} of {archive.bytes:,} bytes have come)" if (size := _size(part)) else ""
                raise _SourceError(f"{broken}{come}") from None
            time.sleep(patience.pause_s * 2 ** (tries - 1))
            continue
        wrong = check(part, archive)
        if wrong is None:
            return
        discard(part)
        # What was there before may be of another source, or another version: this one gets its own chance.
        if not resumed:
            raise _SourceError(wrong)


def _receive(url: str, client: httpx.Client, archive: Archive, part: Path, watch: Watch) -> None:
    """Ask for what is missing and append it; raise _BrokenOffError or _SourceError."""
    offset = _size(part)
    with _failures_named(client), client.stream("GET", url, headers=_range(url, part, offset)) as response:
        start = _start(response, archive, url, part, offset)
        if start == 0:
            version = _version(response.headers)
            begun = _Begun(sha384=archive.sha384, url=url, version=version)
            _note(part).write_bytes(msgspec.json.encode(begun))
        done = start
        stage = f"fetching from {urlsplit(url).hostname}"
        with part.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            for chunk in response.iter_raw():
                done += len(chunk)
                if done > archive.bytes:
                    break
                stream.write(chunk)
                watch(Progress(stage=stage, done=done, total=archive.bytes))
    if done > archive.bytes:
        discard(part)
        raise _SourceError(f"sends more than the {archive.bytes:,} bytes")
    if done < archive.bytes:
        raise _BrokenOffError("broke off")


def _range(url: str, part: Path, offset: int) -> dict[str, str]:
    """Return the headers that ask for the rest; of the server that began it, only of the same version."""
    if not offset:
        return {}
    begun = _begun(part)
    same = {"If-Range": begun.version} if begun and begun.version and begun.url == url else {}
    return {"Range": f"bytes={offset}-", **same}


def _start(response: httpx.Response, archive: Archive, url: str, part: Path, offset: int) -> int:
    """Return where in the archive an answer begins.

    Raises _SourceError for a refusal and for another size than the catalogue's, _BrokenOffError for what may
    pass.
    """
    status = response.status_code
    named = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if status in (206, 416):
        total = named[2] if named else "*"
    elif status == 200:
        total = response.headers.get("Content-Length", "*")
    elif status in _PASSING:
        raise _BrokenOffError(f"answers {status} {response.reason_phrase}".rstrip())
    else:
        raise _SourceError(f"answers {status} {response.reason_phrase}".rstrip())
    if total not in ("*", str(archive.bytes)):
        begun = _begun(part)
        if begun is None or begun.url == url:
            discard(part)
        raise _SourceError(f"has {int(total):,} bytes, not {archive.bytes:,}")
    if status == 200:
        return 0
    if status == 416 or named is None or named[1] != str(offset):
        discard(part)
        raise _BrokenOffError(
            f"answers {status} to a question for the bytes from {offset:,}, and not with them"
        )
    return offset


@contextmanager
def _failures_named(client: httpx.Client) -> Iterator[None]:
    """Turn what goes wrong on the net into _BrokenOffError, in a few words."""
    try:
        yield
    except httpx.TimeoutException:
        raise _BrokenOffError(f"says nothing for {client.timeout.read:g} s") from None
    except httpx.RemoteProtocolError:
        raise _BrokenOffError("broke off") from None
    except httpx.ReadError as error:
        raise _BrokenOffError(f"broke off ({_reason(error)})") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _BrokenOffError(f"cannot be reached ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    return re.sub(r"^\[Errno -?\d+\] ", "", one_line(error)) or type(error).__name__


def _version(headers: httpx.Headers) -> str | None:
    """Return what names a version of a file in If-Range: a strong ETag, or else its date."""
    tag: str = headers.get("ETag", "")
    date: str | None = headers.get("Last-Modified")
    return tag if tag.startswith('"') else date


def _begun(part: Path) -> _Begun | None:
    with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(_note(part).read_bytes(), type=_Begun)
    return None


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
