"""What is kept of an evaluation that is stopped."""

from pathlib import Path

import msgspec
import pytest

from perftool.bench.evaluations import Seen, kept, key
from perftool.errors import InputError, PerftoolError
from perftool.job import Evaluate
from perftool.spec import Explicit, SyntheticImages

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


def test_the_key_covers_what_the_classes_depend_on(tmp_path: Path) -> None:
    for name, weights in (("m", b"weights"), ("n", b"others")):
        (tmp_path / f"{name}.xml").write_bytes(b"graph")
        (tmp_path / f"{name}.bin").write_bytes(weights)
    setting = Explicit(inference_precision="f32", streams=1, threads=2)
    job = Evaluate(
        model_path=str(tmp_path / "m.xml"), weight_format="fp32", device="CPU", precision="FP32",
        setting=setting, images=SyntheticImages(part="evaluation", count=1), labelled=True, cache="",
    )  # fmt: skip
    replace = msgspec.structs.replace
    keys = [
        key(job, "images", "a CPU"),
        key(job, "other images", "a CPU"),
        key(job, "images", "another CPU, driver 2"),
        key(replace(job, device="GPU"), "images", "a CPU"),
        key(replace(job, setting=replace(setting, inference_precision="bf16")), "images", "a CPU"),
        key(replace(job, model_path=str(tmp_path / "n.xml")), "images", "a CPU"),
    ]
    assert len(set(keys)) == len(keys)
    assert key(replace(job, labelled=False, weight_format="int8"), "images", "a CPU") == keys[0], (
        "the same file asked for under another name gives the same classes"
    )


def test_a_model_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    job = Evaluate(
        model_path=str(tmp_path / "m.xml"), weight_format="fp32", device="CPU", precision="FP32",
        setting=Explicit(inference_precision="f32", streams=1, threads=2),
        images=SyntheticImages(part="evaluation", count=1), labelled=True, cache="",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"m\.xml: cannot be read"):
        key(job, "images", "a CPU")
