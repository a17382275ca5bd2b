"""Keep a run on disk: a folder with the journal, the resolved profile and the host's identity.

The journal is one JSON line per record, appended and fsynced, under a lock that the writer holds for its
life; the first line is a header. Nothing else writes it. What the records mean is not known here, but
that a visit's samples are many: entries that come from here hold them as `lines` reads them.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from filelock import FileLock, Timeout

from perftool.errors import InputError, PerftoolError, ResumeRefusedError, UsageError
from perftool.journal import FORMAT, JOURNAL, Entry, Header, ModelIdentity, Record, Run
from perftool.machine import HostInfo
from perftool.spec import Profile
from perftool.sweep import lines
from perftool.sweep.profile import load_profile, to_toml

PROFILE = "profile.toml"
HOST = "host.json"
LOCK = "journal.lock"
#: What a file is called in addition while it is written.
_FRESH = ".new"


class Journal:
    """The one writer of a run's journal. Made by `create` and `resume`; closing it lets go of the lock."""

    def __init__(self, folder: Path, lock: FileLock, size: int) -> None:
        """Open the journal of a folder whose lock is held, and cut off what follows its good bytes."""
        self.folder = folder
        self._path = folder / JOURNAL
        self._lock = lock
        self._size = size
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._cut()
        except OSError as error:
            raise PerftoolError(_refused(self._path, error)) from None

    def append(self, record: Record) -> Entry:
        """Append a record as one line and wait until the disk has it.

        When the disk refuses, the journal stays as it was before, and PerftoolError says why.
        """
        entry = lines.compact(Entry(at_ns=time.time_ns(), record=record))
        line = lines.write(entry)
        try:
            # What an earlier failure, or an interrupt, left half written must not come before this line.
            self._cut()
            _write(self._descriptor, line)
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):  # Else a reader drops the torn line, and the next append cuts it off.
                self._cut()
            raise PerftoolError(_refused(self._path, error)) from None
        self._size += len(line)
        return entry

    def close(self) -> None:
        """Close the journal and let go of its lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._lock.release()

    def _cut(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size < self._size:
            raise PerftoolError(f"{self._path}: was shortened by another program; nothing more is written")
        if size > self._size:
            os.ftruncate(self._descriptor, self._size)

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the journal."""
        self.close()


def check_free(folder: Path) -> None:
    """Raise ResumeRefusedError for a folder that holds a run, UsageError for one that holds other files.

    What a run writes before its journal may be there: a start that was killed left it.
    """
    if (folder / JOURNAL).exists():
        raise ResumeRefusedError(
            f"{folder} holds a run already: continue it with --resume {folder}, or choose another folder"
        )
    if not folder.is_dir():
        return  # `create` says what is wrong with what is there instead.
    try:
        held = sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None
    foreign = [name for name in held if name.removesuffix(_FRESH) not in (JOURNAL, PROFILE, HOST, LOCK)]
    if foreign:
        raise UsageError(f"{folder}: holds {foreign[0]} and is no run; choose an empty or a new folder")


def create(folder: Path, header: Header) -> Journal:
    """Start a run in a folder, which is made where needed, and return its journal.

    Raises ResumeRefusedError when the folder holds a run already or another process writes there, UsageError
    when it holds other files.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this run folder: {error.strerror}") from None
    lock = _locked(folder)
    try:
        check_free(folder)
        host = msgspec.json.format(msgspec.json.encode(header.host), indent=2) + b"\n"
        _replace(folder / PROFILE, to_toml(header.profile).encode())
        _replace(folder / HOST, host)
        # Last and at once, so that a journal that exists has its header.
        first = lines.write(header)
        _replace(folder / JOURNAL, first)
        return Journal(folder, lock, len(first))
    except BaseException:
        lock.release()
        raise


def resume(folder: Path) -> tuple[Journal, Run]:
    """Take up a run: return its journal, cut off a torn last line and migrated to this format, and the run.

    Raises ResumeRefusedError when another process writes there, InputError when the journal is unreadable.
    """
    path = _journal(folder)
    lock = _locked(path.parent)
    try:
        run, size, older = _read(path)
        if older:
            rows: list[Header | Entry] = [run.header, *run.entries]
            content = b"".join(map(lines.write, rows))
            _replace(path, content)
            size = len(content)
        return Journal(path.parent, lock, size), run
    except BaseException:
        lock.release()
        raise


def read(folder: Path) -> Run:
    """Read a run from its folder, or from its journal file; a torn last line is dropped.

    Raises InputError that names file and line. Reading needs no lock, so a running sweep can be looked at.
    """
    return _read(_journal(folder))[0]


def stream(folder: Path) -> Iterator[Entry]:
    """Give a run's entries one by one, as `read` has them, and hold no more than one: for long runs."""
    path = _journal(folder)
    number = 0
    for at, line in enumerate(lines.intact(path), start=1):
        if at == 1:
            number = lines.format_of(path, line)
        else:
            yield lines.read_entry(path, at, line, number)


def read_profile(folder: Path) -> Profile:
    """Read the profile that lies in a run's folder; someone may have edited it since the run was started."""
    return load_profile(str(_journal(folder).parent / PROFILE))


def resume_differences(header: Header, profile: Profile, model: ModelIdentity, host: HostInfo) -> list[str]:
    """Return a sentence for each way in which what is asked now differs from what a run was started with.

    Whether weights are known to be published ones depends on what was fetched here, and does not count.
    """
    model = msgspec.structs.replace(model, published=header.model.published)
    pairs: tuple[tuple[str, object, object], ...] = (
        ("profile", header.profile, profile),
        ("model", header.model, model),
        ("host", header.host, host),
    )
    sentences = []
    for name, before, now in pairs:
        old, new = _leaves(msgspec.to_builtins(before), name), _leaves(msgspec.to_builtins(now), name)
        sentences += [
            f"{path} was {_shown(old.get(path))}, is {_shown(new.get(path))}"
            for path in dict.fromkeys([*old, *new])
            if old.get(path) != new.get(path)
        ]
    return sentences


def check_same(header: Header, profile: Profile, model: ModelIdentity, host: HostInfo) -> None:
    """Raise ResumeRefusedError, saying what differs, unless profile, model and host are the run's own."""
    differences = resume_differences(header, profile, model, host)
    if differences:
        raise ResumeRefusedError(f"cannot continue this run: {'; '.join(differences)}")


def _journal(folder: Path) -> Path:
    path = folder / JOURNAL if folder.is_dir() else folder
    if not path.is_file():
        raise InputError(f"{folder}: holds no run ({JOURNAL} is not there)")
    return path


def _locked(folder: Path) -> FileLock:
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise ResumeRefusedError(f"another process is measuring into {folder}") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to: {error.strerror}") from None
    return lock


def _read(path: Path) -> tuple[Run, int, bool]:
    """Read a journal; return the run, the bytes that are intact, and whether it is of an older format."""
    rows = lines.intact(path)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{path}: line 1: the header is torn, so nothing of this run can be read")
    number = lines.format_of(path, first)
    header = lines.decode(path, 1, first, number, Header)
    size = len(first) + 1
    entries = []
    for at, line in enumerate(rows, start=2):
        entries.append(lines.read_entry(path, at, line, number))
        size += len(line) + 1
    return Run(header=header, entries=tuple(entries)), size, number < FORMAT


def _write(descriptor: int, content: bytes) -> None:
    """Write every byte; a disk that fills up takes a part first and refuses the rest."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _replace(path: Path, content: bytes) -> None:
    """Write a file at once: after a crash there is the old one, or the new one, whole."""
    fresh = path.with_name(f"{path.name}{_FRESH}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            _write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise PerftoolError(_refused(path, error)) from None


def _refused(path: Path, error: OSError) -> str:
    return f"{path}: cannot be written: {error.strerror}; what it held before is kept"


def _leaves(value: object, path: str) -> dict[str, object]:
    """Return every single value of a document under its path."""
    if isinstance(value, dict):
        members = [(f"{path}.{name}", member) for name, member in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(member, dict) for member in value):
        members = [(f"{path}[{index}]", member) for index, member in enumerate(value)]
    else:
        return {path: value}
    return {leaf: found for name, member in members for leaf, found in _leaves(member, name).items()}


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
