"""What is kept of an evaluation that is stopped."""

from pathlib import Path

import pytest

from perftool.bench.evaluations import Seen, kept
from perftool.errors import PerftoolError

CAT = Seen(top=(281, 285), found=())
GREY = Seen(top=(7,), found=("greyscale",))
DAMAGED = Seen(top=(), found=("corrupt",))


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    with kept(tmp_path, "key") as first:
        assert first.seen == []
        first.add([CAT, GREY])
        first.add([DAMAGED])
    with kept(tmp_path, "key") as again:
        assert again.seen == [CAT, GREY, DAMAGED]
    with kept(tmp_path, "other") as other:
        assert other.seen == []


@pytest.mark.parametrize("torn", [b'[[1,2],["gre', b"\0\0\0\0", b"[[1],[]]", b'{"top":[1]}\n'])
def test_a_torn_end_is_dropped_and_written_over(tmp_path: Path, torn: bytes) -> None:
    with kept(tmp_path, "key") as first:
        first.add([CAT])
    with (tmp_path / "key.jsonl").open("ab") as file:
        file.write(torn)
    with kept(tmp_path, "key") as again:
        assert again.seen == [CAT]
        again.add([GREY])
    with kept(tmp_path, "key") as last:
        assert last.seen == [CAT, GREY]


def test_two_at_once_do_not_write_into_each_other(tmp_path: Path) -> None:
    with kept(tmp_path, "key") as first:
        first.add([CAT])
        with kept(tmp_path, "key") as second:
            assert second.seen == []
            second.add([GREY])
        first.add([DAMAGED])
    with kept(tmp_path, "key") as again:
        assert again.seen == [CAT, DAMAGED]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PerftoolError, match="cannot be written"), kept(tmp_path / "file" / "below", "key"):
        raise AssertionError("nothing is evaluated")
