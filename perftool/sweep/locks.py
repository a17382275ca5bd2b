"""One lock per device on this machine: never two sweeps at once on a device, whoever started them.

The lock is the kernel's and dies with its process; the file that it is on stays. It does not keep programs
other than perftool off a device.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from perftool.bench.devices import hardware
from perftool.errors import PerftoolError, ResumeRefusedError

#: One place for all users and shells of a machine, hence not TMPDIR.
FOLDER = (Path(tempfile.gettempdir()) if sys.platform == "win32" else Path("/tmp")) / "perftool-locks"


#: What a device string without a list may use, when nobody says what the machine has.
KINDS = ("CPU", "GPU", "NPU")


@contextmanager
def hold(devices: Sequence[str], available: Sequence[str] = KINDS, folder: Path = FOLDER) -> Iterator[None]:
    """Hold every hardware device that the given devices involve, while the block runs.

    `available` are the machine's hardware devices, which AUTO without a list chooses among. Raises
    ResumeRefusedError when another sweep holds one of them.
    """
    wanted = sorted({name for device in devices for name in hardware(device, available)})
    with ExitStack() as held:
        for name in wanted:
            held.enter_context(_held(name, folder))
        yield


@contextmanager
def _held(name: str, folder: Path) -> Iterator[None]:
    """Hold one device; beside its lock stands who holds it."""
    safe = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in name)
    holder = folder / f"{safe}.pid"
    try:
        _make(folder)
        lock = FileLock(folder / f"{safe}.lock", timeout=0, mode=0o666, thread_local=False)
        lock.acquire()
    except Timeout:
        raise ResumeRefusedError(f"another sweep measures on {name} ({_pid(holder)})") from None
    except OSError as error:
        raise PerftoolError(f"cannot lock {name} in {folder}: {error.strerror}") from None
    try:
        _note(holder)
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _make(folder: Path) -> None:
    """Make the folder of the locks, for all users of the machine.

    Its mode has no sticky bit: under one, Linux (fs.protected_regular) refuses to open others' files.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)


def _note(holder: Path) -> None:
    """Write down this process for whoever is refused; a replaced file may belong to another user."""
    with suppress(OSError):
        holder.unlink(missing_ok=True)
        holder.write_text(f"{os.getpid()}\n", encoding="ascii")
        holder.chmod(0o644)


def _pid(holder: Path) -> str:
    try:
        return f"pid {int(holder.read_text(encoding='ascii'))}"
    except (OSError, ValueError):
        return "pid unknown"
