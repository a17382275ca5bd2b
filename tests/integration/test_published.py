"""The road of a known model: fetched weights become what its name means, beside what was published."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from archive_server import NAME, published, write_catalogue
from outcome import one_line
from tiny import write_tiny_model

from perftool.model.inception.reference import reference_weights
from perftool.published.catalogue import Original, known

IMAGES = 3


def archived(weights: dict[str, Any], name: str) -> bytes:
    """Pack weights as an archive, hardly compressed."""
    npz, packed = io.BytesIO(), io.BytesIO()
    np.savez(npz, **weights)
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo(name)
        member.size = len(npz.getvalue())
        tar.addfile(member, io.BytesIO(npz.getvalue()))
    return packed.getvalue()


def archived_file(model: Path) -> bytes:
    """Pack an IR as an archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path in (model, model.with_suffix(".bin")):
            tar.add(path, path.name)
    return packed.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive, the catalogue that knows it, and a few images."""
    folder = tmp_path_factory.mktemp("published")
    weights = {
        name: array.astype(np.float16) if array.ndim == 4 else array
        for name, array in reference_weights().items()
    }
    body = archived(weights, "weights.npz")
    (folder / "archive.tar.gz").write_bytes(body)
    model = published(body, "http://127.0.0.1:9/archive.tar.gz", weights="weights.npz")
    body = archived_file(write_tiny_model(folder / "net.xml"))
    (folder / "tiny.tar.gz").write_bytes(body)
    original = Original(
        input="x", shape=(1, 3, 32, 32), output="y", layout="NCHW", color="RGB", mean=0.0, scale=1.0
    )
    tiny = published(body, "http://127.0.0.1:9/tiny.tar.gz", weights="net.xml")
    tiny = msgspec.structs.replace(tiny, name="tiny", original=original)
    write_catalogue(folder / "catalogue.toml", model, tiny)
    (folder / "images").mkdir()
    rng = np.random.default_rng(1)
    lines = []
    for number in range(IMAGES):
        cv2.imwrite(
            str(folder / "images" / f"{number}.jpg"), rng.integers(0, 256, (99, 99, 3), dtype=np.uint8)
        )
        lines.append(f"{number}.jpg {number}\n")
    (folder / "images" / "val.txt").write_text("".join(lines))
    return folder


def environment(place: Path) -> dict[str, str]:
    return {
        **os.environ,
        "XDG_CACHE_HOME": str(place / "cache"),
        "PERFTOOL_CATALOGUE": str(place / "catalogue.toml"),
    }


def perftool(place: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "perftool", *map(str, arguments)],
        env=environment(place),
        capture_output=True,
        text=True,
        check=True,
    )


def accuracy(place: Path, *arguments: object) -> dict[str, Any]:
    data = ("--dataset", place / "images", "--calibration-images", 1, "--precision", "FP32", "--json")
    found: dict[str, Any] = json.loads(perftool(place, "accuracy", *arguments, *data).stdout)
    return found


def test_fetched_weights_stand_beside_what_was_published(place: Path) -> None:
    """That the weights' content decides is for the tests of `model.identity` to show."""
    before = accuracy(place, NAME)
    assert before["published"] is None and before["accuracy_of"].startswith("reference weights")
    perftool(place, "model", "fetch", NAME, "--from", place / "archive.tar.gz")
    after = accuracy(place, NAME)
    expected = known(NAME).published
    assert after["published"] == {
        "top1": expected.top1, "top5": expected.top5, "images": expected.images, "on": expected.dataset,
    }  # fmt: skip
    assert (expected.top1, expected.top5) == (80.21, 95.20)
    assert after["accuracy_of"].startswith("the published weights")
    assert accuracy(place, NAME, "--weights", "reference")["published"] is None
    shown = perftool(
        place,
        "accuracy",
        NAME,
        "--dataset",
        place / "images",
        "--calibration-images",
        1,
        "--precision",
        "FP32",
    ).stdout
    assert "80.21" in shown and "95.20" in shown and "50000 images of ImageNet validation" in shown


def test_a_known_model_that_comes_as_a_file_is_fed_as_the_catalogue_says(place: Path) -> None:
    missing = subprocess.run(
        [sys.executable, "-m", "perftool", "accuracy", "tiny", "--json"],
        env=environment(place),
        capture_output=True,
        text=True,
        check=False,
    )
    assert missing.returncode == 3
    assert one_line(missing) == "perftool: tiny was not fetched yet: perftool model fetch tiny"
    perftool(place, "model", "fetch", "tiny", "--from", place / "tiny.tar.gz")
    found = accuracy(place, "tiny")
    assert found["accuracy_of"].startswith("the published weights")
    assert found["published"]["top1"] == known(NAME).published.top1
    said = perftool(place, "model", "convert", "tiny", "-o", place / "converted.xml").stdout
    assert "from tiny: NCHW f32, RGB 0..255" in said
