"""The machine's identity and conditions, read off the real one."""

import time

import msgspec
import psutil

from perftool.bench import host
from perftool.memory import peak_rss_bytes


def test_identity_is_the_same_when_read_again() -> None:
    assert host.identity() == host.identity()


def test_identity_says_something_about_every_field() -> None:
    found = host.identity()
    assert all(getattr(found, name) != "" for name in found.__struct_fields__)
    assert 1 <= found.cores_usable <= found.cores_logical
    assert found.openvino != "unknown"
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_own_work_is_no_other_load() -> None:
    before = host.snapshot()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pass
    after = host.snapshot()
    assert after.own_s - before.own_s > 0.1
    found = host.conditions(before, after)
    assert found.other_load is not None
    assert 0 <= found.other_load <= 1


def test_conditions_of_no_time_are_unknown() -> None:
    now = host.snapshot()
    assert host.conditions(now, now).other_load is None


def test_peak_memory_belongs_to_this_program() -> None:
    assert peak_rss_bytes() >= psutil.Process().memory_info().rss * 0.9
    assert peak_rss_bytes() < host.memory_limit()
