"""Read and write the lines of a journal: whole ones, of this format or an older one, that make sense.

A visit's samples are many, and are held as an array of 64-bit integers. Files and locks are `store`'s.
"""

from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from perftool.errors import InputError
from perftool.journal import FORMAT, Entry, Header, Record
from perftool.record import Offered, Visited

_Row = TypeVar("_Row", Header, Entry)


def intact(path: Path) -> Iterator[bytes]:
    """Give a journal's lines one by one, without their ends and without a torn last one."""
    held: bytes | None = None
    alone = True
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                if held is not None:
                    yield held
                    alone = False
                held = line[:-1]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    # The last line may be torn although it has an end; a header that is, is an error of its own.
    if held is not None and (alone or _is_json(held)):
        yield held


def _is_json(line: bytes) -> bool:
    """Tell a line that was written whole from the remains of one."""
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def format_of(path: Path, line: bytes) -> int:
    """Return the format that a journal's header states."""
    try:
        header = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: line 1: not a journal's header: {error}") from None
    number = header.get("format")
    if header.get("type") != "header" or not isinstance(number, int):
        raise InputError(f"{path}: line 1: not a journal's header")
    if number > FORMAT:
        raise InputError(
            f"{path}: written by a newer perftool (journal format {number}, this one reads up to {FORMAT}): "
            "update perftool to read it"
        )
    return number


def read_entry(path: Path, at: int, line: bytes, number: int) -> Entry:
    """Read a line after the first of a journal of a format; raise InputError that names file and line."""
    try:
        entry = compact(decode(path, at, line, number, Entry))
    except OverflowError:
        raise InputError(f"{path}: line {at}: a latency does not fit into 64 bits") from None
    if (impossible := _impossible(entry.record)) is not None:
        raise InputError(
            f"{path}: line {at}: {impossible}: nothing takes no time, so this line is damaged and the run "
            "cannot be trusted"
        )
    return entry


def _impossible(record: Record) -> str | None:
    """Name a time of a visit that no clock can have shown; every figure divides by these."""
    if not isinstance(record, Visited | Offered):
        return None
    for name, times in (
        ("latencies_ns", record.latencies_ns),
        ("warmup_ns", record.warmup_ns),
        ("window_ns", (record.window_ns,)),
    ):
        if times and (least := min(times)) <= 0:
            return f"{name} of {record.configuration} holds {least}"
    return None


def compact(entry: Entry) -> Entry:
    """Keep a visit's samples as an array: a long run has millions, and as an int each takes forty bytes."""
    if not isinstance(entry.record, Visited):
        return entry
    samples = array("q", entry.record.latencies_ns)
    return replace(entry, record=replace(entry.record, latencies_ns=samples))


def decode(path: Path, at: int, line: bytes, number: int, kind: type[_Row]) -> _Row:
    """Read a line as what it is in this format; raise InputError that names file and line."""
    try:
        if number == FORMAT:
            return msgspec.json.decode(line, type=kind)
        return msgspec.convert(_migrated(msgspec.json.decode(line), number), kind)
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError) as error:
        raise InputError(f"{path}: line {at}: {error}") from None


def _migrated(line: dict[str, Any], number: int) -> dict[str, Any]:
    """Bring a line of an older format to this one, format by format."""
    for old in range(number, FORMAT):
        if old not in MIGRATIONS:
            raise LookupError(f"journal format {old} cannot be read any more")
        line = MIGRATIONS[old](line)
    return {**line, "format": FORMAT} if line.get("type") == "header" else line


def write(row: Header | Entry) -> bytes:
    """Return a row as a line of the journal; what msgspec does not know is an array of samples."""
    return msgspec.json.encode(row, enc_hook=list) + b"\n"


# ---------------------------------------------------------------- older formats


def _from_1(line: dict[str, Any]) -> dict[str, Any]:
    """Say that format 1 knew nothing of memory by phase, of how a warm-up ended, nor of energy."""
    record = line.get("record", {})
    match record.get("type"):
        case "compiled":
            record["compile_rss_bytes"] = None
        case "visited":
            record["steady"] = record["load_rss_bytes"] = None
            record["conditions"]["energy_j"] = None
    return line


def _from_2(line: dict[str, Any]) -> dict[str, Any]:
    """Say that format 2 refused what it could not read, and knew neither published nor quantized sources."""
    if line.get("type") == "header":
        line["model"]["published"] = False
    record = line.get("record", {})
    match record.get("type"):
        case "prepared":
            record["comes_quantized"] = None
        case "evaluated":
            record |= {"label_note": "", "left_out": [], "faults": None, "reused": 0}
    return line


def _from_3(line: dict[str, Any]) -> dict[str, Any]:
    """Say that format 4 only added: a run of format 3 that is resumed is searched as today's runs are."""
    return line


def _from_4(line: dict[str, Any]) -> dict[str, Any]:
    """Say that format 5 only added: times of layers, peaks of devices, and a field that may be missing."""
    return line


def _from_5(line: dict[str, Any]) -> dict[str, Any]:
    """Say that format 6 only added: what the kernels of an evaluation ran in, and rounds that complete."""
    return line


#: From an old format to the next: takes a line (header or entry) as plain values, returns it one format
#: newer. The header's number is set by the reader.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _from_1,
    2: _from_2,
    3: _from_3,
    4: _from_4,
    5: _from_5,
}
