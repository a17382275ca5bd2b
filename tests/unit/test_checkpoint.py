"""Which files are a TensorFlow checkpoint; what inference needs of its variables; what the parent may import.

TensorFlow itself is in tests/integration/test_tensorflow.py.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perftool.errors import InputError
from perftool.model.inception.checkpoint import TABLE_MAGIC, checkpoint_name, require_checkpoint
from perftool.model.inception.variables import check_shapes, is_training_only

SHARDS = ("model.ckpt.data-00000-of-00002", "model.ckpt.data-00001-of-00002")


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    """The prefix of a checkpoint of two shards."""
    for name in ("model.ckpt.index", *SHARDS):
        (tmp_path / name).write_bytes(b"content" + TABLE_MAGIC)
    return tmp_path / "model.ckpt"


@pytest.mark.parametrize("given", ["model.ckpt", "model.ckpt.index", *SHARDS])
def test_any_file_of_a_prefix_names_it(version_2: Path, given: str) -> None:
    assert checkpoint_name(version_2.with_name(given)) == version_2


def test_a_prefix_that_lost_its_index_is_still_a_checkpoint(version_2: Path) -> None:
    """So the error is about what is missing, and not that there is no such file."""
    version_2.with_name("model.ckpt.index").unlink()
    assert checkpoint_name(version_2) == version_2


def test_another_prefix_is_not_that_one(version_2: Path) -> None:
    assert checkpoint_name(version_2.with_name("model")) is None
    assert checkpoint_name(version_2.with_name("model.ckpt-1")) is None
    assert checkpoint_name(version_2.with_name("model.ckpt.meta")) is None


@pytest.mark.parametrize(
    ("name", "content", "is_checkpoint"),
    [
        ("weights", b"content" + TABLE_MAGIC, True),
        ("model.ckpt-1000", b"damaged", True),
        ("model.ckpt", b"", True),
        ("model.ckpt", b"PK\x03\x04 an archive, whatever its name", False),
        ("weights.npz", b"PK\x03\x04", False),
        ("weights.bin", b"anything", False),
        ("weights.bin", b"", False),
    ],
)
def test_one_file_is_a_checkpoint_by_its_end_or_its_name(
    tmp_path: Path, name: str, content: bytes, is_checkpoint: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert checkpoint_name(path) == (path if is_checkpoint else None)


def test_what_is_no_checkpoint_is_refused_in_a_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    for path, why in (
        (tmp_path / "gone.ckpt", "no such file, nor checkpoint of that prefix"),
        (tmp_path / "gone" / "gone.ckpt", "no such file"),
        (tmp_path / "w.npz", "not a TensorFlow checkpoint"),
        (tmp_path, "not a TensorFlow checkpoint"),
        (Path("/"), "not a TensorFlow checkpoint"),
    ):
        with pytest.raises(InputError) as caught:
            require_checkpoint(path)
        assert str(caught.value).startswith(f"{path}: {why}") and "\n" not in str(caught.value)


def test_up_to_twenty_variables_are_all_named() -> None:
    shapes = {f"layer_{number}/weights": (number,) for number in range(1, 31)}
    names = list(shapes)
    found = {name: shapes[name] for name in names[20:]} | {names[29]: (1, 2), "global_step": ()}
    with pytest.raises(InputError) as caught:
        check_shapes(found, shapes, "x.ckpt")
    assert str(caught.value) == (
        f"x.ckpt: 30 variables wanted; 20 missing: {', '.join(names[:20])};"
        " 1 misshapen: layer_30/weights is 1x2, not 30"
    )
    with pytest.raises(InputError, match=r"21 missing: layer_1/.* layer_20/weights and 1 more;"):
        check_shapes({name: shapes[name] for name in names[21:29]} | {names[29]: (1,)}, shapes, "x.ckpt")
    check_shapes(shapes, shapes, "x.ckpt")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("global_step", True),
        ("InceptionV4/AuxLogits/Aux_logits/weights", True),
        ("InceptionV4/Conv2d_1a_3x3/weights/RMSProp_1", True),
        ("InceptionV4/Conv2d_1a_3x3/weights", False),
        ("InceptionV4/Conv2d_1a_3x3/BatchNorm/gamma", False),
    ],
)
def test_what_serves_training_alone(name: str, expected: bool) -> None:
    assert is_training_only(name) is expected


def test_the_network_and_where_its_weights_lie_are_known_without_a_runtime() -> None:
    code = (
        "import sys; from perftool.model.inception import checkpoint, inception_v4, variables;"
        " assert len(inception_v4.variable_shapes()) == 598;"
        " sys.exit(' '.join({'openvino', 'nncf', 'tensorflow', 'cv2'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
