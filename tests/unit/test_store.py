"""The journal: one fsynced line per record, one writer, and a reader that survives every kind of end."""

import json
import os
import signal
import subprocess
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perftool.errors import InputError, PerftoolError, ResumeRefusedError, UsageError
from perftool.journal import FORMAT, Entry, Header, ModelIdentity, Record, Run, Started
from perftool.machine import Conditions, HostInfo
from perftool.record import Compiled, Failed, Visited
from perftool.spec import Closed, Grid, Policy, Profile, ReferenceModel
from perftool.sweep import lines as journal_lines
from perftool.sweep import store
from perftool.sweep.store import (
    Journal,
    check_same,
    create,
    read,
    read_profile,
    resume,
    resume_differences,
    stream,
)

HOST = HostInfo(
    cpu="a CPU", isa=("avx2",), cores_usable=2, cores_physical=2, cores_logical=2, smt="off",
    memory_bytes=8 * 10**9, virtualisation="none", governor="unknown", turbo="unknown", kernel="6.1",
    python="3.11", openvino="2026.4.1", nncf="3.4.0", perftool="0.1.0",
)  # fmt: skip
PROFILE = Profile(name="test", grids=(Grid(),))
MODEL = ModelIdentity(
    name="m", source=ReferenceModel(name="m"), digest="0" * 64, reference=True, published=False
)
HEADER = Header(format=FORMAT, created_ns=1, profile=PROFILE, model=MODEL, host=HOST)

#: Appends for ever; what a test then does to it is real.
WRITER = """
import sys
from pathlib import Path
from perftool.record import Failed
from perftool.sweep.store import resume
journal, run = resume(Path(sys.argv[1]))
number = len(run.entries)
while True:
    journal.append(Failed(subject=str(number), stage="visit", kind="error", reason="x" * 20_000))
    number += 1
    sys.stdout.write("appended\\n")
    sys.stdout.flush()
"""


def written(folder: Path, *records: Record) -> bytes:
    with create(folder, HEADER) as journal:
        for record in records:
            journal.append(record)
    return (folder / store.JOURNAL).read_bytes()


def records(run: Run) -> list[Record]:
    return [entry.record for entry in run.entries]


def one_line(error: pytest.ExceptionInfo[PerftoolError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- making, reading, going on


def test_a_run_folder_holds_journal_profile_and_host(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "run"
    entry: Entry
    with create(folder, HEADER) as journal:
        entry = journal.append(Started(pid=1))
    assert read(folder) == Run(header=HEADER, entries=(entry,))
    assert read(folder / store.JOURNAL) == read(folder)
    assert read_profile(folder) == read_profile(folder / store.JOURNAL) == PROFILE
    assert msgspec.json.decode((folder / store.HOST).read_bytes(), type=HostInfo) == HOST
    assert not list(folder.glob("*.new"))


def test_every_record_is_one_line_at_once(tmp_path: Path) -> None:
    with create(tmp_path, HEADER) as journal:
        before = time.time_ns()
        for pid in range(3):
            journal.append(Started(pid=pid))
            lines = (tmp_path / store.JOURNAL).read_bytes().splitlines()
            assert len(lines) == pid + 2
            assert json.loads(lines[-1])["record"] == {"type": "started", "pid": pid}
        assert before <= read(tmp_path).entries[0].at_ns <= time.time_ns()


def test_a_folder_that_holds_a_run_is_refused(tmp_path: Path) -> None:
    content = written(tmp_path, Started(pid=1))
    with pytest.raises(ResumeRefusedError) as error:
        create(tmp_path, HEADER)
    assert one_line(error).startswith(f"{tmp_path} holds a run already: continue it with --resume")
    assert (tmp_path / store.JOURNAL).read_bytes() == content
    with resume(tmp_path)[0]:
        pass


def test_a_folder_with_other_files_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match=r"holds cat\.jpg and is no run; choose an empty or a new folder$"):
        create(tmp_path, HEADER)
    assert not (tmp_path / "profile.toml").exists()


def test_what_a_killed_start_left_is_no_obstacle(tmp_path: Path) -> None:
    for name in ("profile.toml", "host.json", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    create(tmp_path, HEADER).close()
    assert read(tmp_path).entries == ()


def test_a_start_that_was_cut_short_can_be_made_again(tmp_path: Path) -> None:
    (tmp_path / store.PROFILE).write_text("half")
    (tmp_path / f"{store.JOURNAL}.new").write_text("half")
    written(tmp_path)
    assert read(tmp_path) == Run(header=HEADER, entries=())


def test_a_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    written(tmp_path, Started(pid=1))
    journal, run = resume(tmp_path)
    assert records(run) == [Started(pid=1)]
    with journal:
        journal.append(Started(pid=2))
    assert records(read(tmp_path)) == [Started(pid=1), Started(pid=2)]


@pytest.mark.parametrize("use", [read, resume])
def test_where_no_run_is(tmp_path: Path, use: Any) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError) as error:
            use(folder)
        assert one_line(error) == f"{folder}: holds no run (journal.jsonl is not there)"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make this run folder: Not a directory"):
        create(tmp_path / "file" / "run", HEADER)


# ---------------------------------------------------------------- one writer


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with create(tmp_path, HEADER) as journal:
        with pytest.raises(ResumeRefusedError) as error:
            resume(tmp_path)
        assert one_line(error) == f"another process is measuring into {tmp_path}"
        with pytest.raises(ResumeRefusedError, match="another process"):
            create(tmp_path, HEADER)
        journal.append(Started(pid=1))
    assert records(read(tmp_path)) == [Started(pid=1)]
    journal.close()


def test_a_failed_start_lets_go_of_the_lock(tmp_path: Path) -> None:
    (tmp_path / store.JOURNAL).write_text("nonsense\n")
    for _ in range(2):
        with pytest.raises(InputError, match="line 1"):
            resume(tmp_path)


# ---------------------------------------------------------------- ends of every kind


@settings(deadline=None)
@given(st.data())
def test_cut_at_any_byte_it_reads_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("run")
    failure = Failed(subject="ä\n", stage="visit", kind="crash", reason="killed", output_tail="…\x00")
    content = written(folder, Started(pid=1), failure, Started(pid=3))
    whole = read(folder)
    length = data.draw(st.integers(0, len(content)))
    (folder / store.JOURNAL).write_bytes(content[:length])
    complete = content[:length].count(b"\n")
    if complete == 0:
        with pytest.raises(InputError, match=r"line 1: the header is torn"):
            read(folder)
        return
    assert read(folder) == Run(header=HEADER, entries=whole.entries[: complete - 1])
    journal, run = resume(folder)
    assert run == Run(header=HEADER, entries=whole.entries[: complete - 1])
    with journal:
        entry = journal.append(Started(pid=4))
    assert read(folder).entries == (*run.entries, entry)


@pytest.mark.parametrize("rest", [b'{"at_ns":1,"rec\n', b"\0\0\0\0\n", b"\xff\n", b"{}}\nhalf"])
def test_a_garbled_last_line_is_dropped_and_cut_off(tmp_path: Path, rest: bytes) -> None:
    content = written(tmp_path, Started(pid=1))
    (tmp_path / store.JOURNAL).write_bytes(content + rest)
    assert records(read(tmp_path)) == [Started(pid=1)]
    assert (tmp_path / store.JOURNAL).read_bytes() == content + rest, "reading changes nothing"
    with resume(tmp_path)[0]:
        pass
    assert (tmp_path / store.JOURNAL).read_bytes() == content


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"half", "malformed"),
        (b'{"at_ns":1,"record":{"type":"started","pid":"x"}}', "Expected `int`, got `str`"),
        (b'{"at_ns":1,"record":{"type":"stopped"}}', "Invalid value 'stopped'"),
        (b'{"at_ns":1,"record":{"type":"\xff"}}', "can't decode"),
        (b"", "truncated"),
    ],
)
def test_another_unreadable_line_is_an_error_that_names_it(tmp_path: Path, bad: bytes, reason: str) -> None:
    first, *rest = written(tmp_path, Started(pid=1), Started(pid=2)).splitlines(keepends=True)
    (tmp_path / store.JOURNAL).write_bytes(b"".join([first, rest[0], bad + b"\n", rest[1]]))
    for use in (read, resume):
        with pytest.raises(InputError, match=reason) as error:
            use(tmp_path)
        assert one_line(error).startswith(f"{tmp_path / store.JOURNAL}: line 3: ")


def test_a_whole_last_line_of_the_wrong_kind_is_not_taken_for_torn(tmp_path: Path) -> None:
    content = written(tmp_path, Started(pid=1))
    (tmp_path / store.JOURNAL).write_bytes(content + b'{"at_ns":1}\n')
    with pytest.raises(InputError, match="line 3: Object missing required field `record`"):
        read(tmp_path)


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    for content in (b"{}\n", b"[1]\n", b"\xff\n", b"name\n"):
        (tmp_path / store.JOURNAL).write_bytes(content)
        with pytest.raises(InputError, match="line 1: not a journal's header"):
            read(tmp_path)


def test_a_writer_killed_while_it_appends_leaves_a_readable_run(tmp_path: Path) -> None:
    written(tmp_path)
    known = 0
    for patience in (1, 5, 9):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout
            for _ in range(patience):
                assert child.stdout.readline() == "appended\n"
            child.send_signal(signal.SIGKILL)
        known += patience
        found = records(read(tmp_path))
        assert len(found) >= known
        assert [record.subject for record in found if isinstance(record, Failed)] == [
            str(number) for number in range(len(found))
        ]
        known = len(found)


LIMITED = """
import resource, sys
from pathlib import Path
from perftool.errors import PerftoolError
from perftool.journal import Started
from perftool.record import Failed
from perftool.sweep.store import read, resume
folder = Path(sys.argv[1])
journal, run = resume(folder)
path = folder / "journal.jsonl"
size = path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        journal.append(Failed(subject="big", stage="visit", kind="error", reason="x" * 1000))
    except PerftoolError as error:
        assert "journal.jsonl: cannot be written: File too large" in str(error), error
        assert chr(10) not in str(error)
    else:
        raise AssertionError("the disk took it")
    assert path.stat().st_size == size
    assert len(read(folder).entries) == 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(Started(pid=2))
"""


def test_a_disk_that_refuses_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    written(tmp_path, Started(pid=1))
    subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], check=True)
    assert records(read(tmp_path)) == [Started(pid=1), Started(pid=2)]


def test_half_a_line_left_by_an_interrupt_is_cut_off_by_the_next(tmp_path: Path) -> None:
    with create(tmp_path, HEADER) as journal:
        with (tmp_path / store.JOURNAL).open("ab") as file:
            file.write(b'{"at_ns":1,"rec')
        journal.append(Started(pid=1))
    assert records(read(tmp_path)) == [Started(pid=1)]


def test_a_journal_that_someone_shortened_is_not_padded(tmp_path: Path) -> None:
    with create(tmp_path, HEADER) as journal:
        journal.append(Started(pid=1))
        path = tmp_path / store.JOURNAL
        content = path.read_bytes()
        path.write_bytes(content[:-5])
        with pytest.raises(PerftoolError, match="was shortened by another program"):
            journal.append(Started(pid=2))
        assert path.read_bytes() == content[:-5]


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    journal: Journal = create(tmp_path, HEADER)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    journal.close()
    journal.close()
    if before:
        assert len(os.listdir("/proc/self/fd")) < before


# ---------------------------------------------------------------- formats


def with_format(folder: Path, number: int) -> None:
    path = folder / store.JOURNAL
    header, *rest = path.read_bytes().splitlines()
    changed = json.loads(header) | {"format": number}
    path.write_bytes(b"\n".join([json.dumps(changed).encode(), *rest]) + b"\n")


def test_a_newer_format_is_refused_in_a_sentence(tmp_path: Path) -> None:
    written(tmp_path, Started(pid=1))
    with_format(tmp_path, FORMAT + 1)
    for use in (read, resume):
        with pytest.raises(InputError) as error:
            use(tmp_path)
        assert one_line(error) == (
            f"{tmp_path / store.JOURNAL}: written by a newer perftool (journal format {FORMAT + 1}, this one "
            f"reads up to {FORMAT}): update perftool to read it"
        )


def test_an_older_format_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(line: dict[str, Any]) -> dict[str, Any]:
        record = line.get("record", {})
        return line | {"record": {"type": "started", "pid": record["id"]}} if "id" in record else line

    def nest(line: dict[str, Any]) -> dict[str, Any]:
        if line.get("type") == "header":
            return line
        return {"at_ns": line["at"], "record": {"type": line["type"], "id": line["id"]}}

    written(tmp_path)
    with (tmp_path / store.JOURNAL).open("ab") as file:
        file.write(b'{"at":5,"type":"started","id":7}\n{"at":6,"ty')
    with_format(tmp_path, FORMAT - 2)
    path = tmp_path / store.JOURNAL
    path.write_bytes(path.read_bytes()[:-1])  # The torn line has no newline, as before.
    monkeypatch.setattr(journal_lines, "MIGRATIONS", {FORMAT - 2: nest, FORMAT - 1: rename})
    expected = Run(header=HEADER, entries=(Entry(at_ns=5, record=Started(pid=7)),))
    assert read(tmp_path) == expected
    journal, run = resume(tmp_path)
    assert run == expected
    with journal:
        journal.append(Started(pid=8))
    monkeypatch.setattr(journal_lines, "MIGRATIONS", {})
    assert records(read(tmp_path)) == [Started(pid=7), Started(pid=8)]


def test_the_first_format_did_not_tell_memory_by_phase_nor_energy(tmp_path: Path) -> None:
    written(tmp_path)
    lines = (
        {
            "at_ns": 5,
            "record": {
                "type": "compiled", "configuration": "c", "incarnation": 0, "pid": 1, "requested": {},
                "resolved": {}, "streams": 1, "threads": 1, "requests": 1, "executed": [], "compile_ns": 1,
                "first_inference_ns": 2, "loaded_from_cache": False, "peak_rss_bytes": 3,
            },
        },
        {
            "at_ns": 6,
            "record": {
                "type": "visited", "configuration": "c", "incarnation": 0, "round": 0, "position": 0,
                "load": {"type": "closed"}, "batch": 1, "requests": 1, "warmup_ns": [9], "latencies_ns": [8],
                "window_ns": 8, "peak_rss_bytes": 4,
                "conditions": {"other_load": 0.1, "steal": None, "frequency_mhz": None},
            },
        },
    )  # fmt: skip
    with (tmp_path / store.JOURNAL).open("ab") as file:
        file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    with_format(tmp_path, 1)
    compiled, visited = records(read(tmp_path))
    assert isinstance(compiled, Compiled) and isinstance(visited, Visited)
    assert (compiled.compile_rss_bytes, compiled.peak_rss_bytes) == (None, 3)
    assert (visited.steady, visited.load_rss_bytes, visited.peak_rss_bytes) == (None, None, 4)
    assert visited.conditions.energy_j is None


def visited(*latencies_ns: int) -> Visited:
    return Visited(
        configuration="c", incarnation=0, round=0, position=0, load=Closed(), batch=1, requests=1,
        warmup_ns=(9,), steady=True, latencies_ns=latencies_ns, window_ns=8, load_rss_bytes=3,
        peak_rss_bytes=4,
        conditions=Conditions(other_load=0.1, steal=None, frequency_mhz=None, energy_j=None),
    )  # fmt: skip


def rows(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / store.JOURNAL).read_bytes().splitlines()]


def test_samples_are_held_in_eight_bytes_each_and_written_as_they_were(tmp_path: Path) -> None:
    content = written(tmp_path, visited(7, 2**62, 5))
    assert b'"latencies_ns":[7,4611686018427387904,5]' in content
    with resume(tmp_path)[0] as journal:
        appended = journal.append(visited(1, 2))
    runs = [record.latencies_ns for record in records(read(tmp_path)) if isinstance(record, Visited)]
    assert [list(samples) for samples in runs] == [[7, 2**62, 5], [1, 2]]
    assert all(isinstance(samples, array) and samples.itemsize == 8 for samples in runs)
    assert appended == read(tmp_path).entries[-1]
    with_format(tmp_path, FORMAT - 1)
    before = rows(tmp_path)[1:]
    resume(tmp_path)[0].close()
    header, *after = rows(tmp_path)
    assert (header["format"], after) == (FORMAT, before)


def test_a_latency_that_no_clock_can_give_is_refused_by_its_line(tmp_path: Path) -> None:
    written(tmp_path, visited(5))
    journal = tmp_path / store.JOURNAL
    journal.write_bytes(journal.read_bytes().replace(b"[5]", b"[%d]" % 2**63))
    for use in (read, resume, lambda folder: list(stream(folder))):
        with pytest.raises(InputError) as error:
            use(tmp_path)
        assert one_line(error).endswith("journal.jsonl: line 2: a latency does not fit into 64 bits")


@pytest.mark.parametrize(
    ("was", "damaged", "said"),
    [
        (b'"latencies_ns":[7,9]', b'"latencies_ns":[7,0]', "latencies_ns of c holds 0"),
        (b'"latencies_ns":[7,9]', b'"latencies_ns":[-3,9]', "latencies_ns of c holds -3"),
        (b'"window_ns":8', b'"window_ns":0', "window_ns of c holds 0"),
        (b'"warmup_ns":[9]', b'"warmup_ns":[0]', "warmup_ns of c holds 0"),
    ],
)
def test_a_request_that_took_no_time_is_refused_by_its_line(
    tmp_path: Path, was: bytes, damaged: bytes, said: str
) -> None:
    written(tmp_path, visited(7, 9))
    journal = tmp_path / store.JOURNAL
    content = journal.read_bytes()
    assert was in content
    journal.write_bytes(content.replace(was, damaged))
    for use in (read, resume, lambda folder: list(stream(folder))):
        with pytest.raises(InputError) as error:
            use(tmp_path)
        assert f"journal.jsonl: line 2: {said}: nothing takes no time" in one_line(error)


def test_a_format_too_old_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    with_format(tmp_path, 0)
    with pytest.raises(InputError, match=r"line 1: .*journal format 0 cannot be read any more"):
        read(tmp_path)


# ---------------------------------------------------------------- is it the same run


def test_what_differs_is_said_one_by_one() -> None:
    assert resume_differences(HEADER, PROFILE, MODEL, HOST) == []
    check_same(HEADER, PROFILE, MODEL, HOST)
    profile = msgspec.structs.replace(PROFILE, policy=Policy(rounds=8), grids=(Grid(batches=(1, 2)), Grid()))
    model = msgspec.structs.replace(MODEL, digest="1" * 64)
    host = msgspec.structs.replace(HOST, openvino="2027.0", isa=("avx2", "avx512f"))
    sentences = resume_differences(HEADER, profile, model, host)
    assert sentences[0] == "profile.grids[0].batches was 1, is 1, 2"
    assert "profile.grids[1].devices was not set, is CPU" in sentences
    assert "profile.policy.rounds was 6, is 8" in sentences
    assert sentences[-3:] == [
        f"model.digest was {'0' * 64}, is {'1' * 64}",
        "host.isa was avx2, is avx2, avx512f",
        "host.openvino was 2026.4.1, is 2027.0",
    ]
    with pytest.raises(ResumeRefusedError) as error:
        check_same(HEADER, PROFILE, MODEL, host)
    assert one_line(error) == (
        "cannot continue this run: host.isa was avx2, is avx2, avx512f; host.openvino was 2026.4.1, is 2027.0"
    )
