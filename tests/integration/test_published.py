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
import numpy as np
import pytest
from archive_server import NAME, published, write_catalogue

from perftool.model.inception.reference import reference_weights
from perftool.published.catalogue import known

IMAGES = 5


def archived(weights: dict[str, Any], name: str) -> bytes:
    """Pack weights as an archive, hardly compressed."""
    npz, packed = io.BytesIO(), io.BytesIO()
    np.savez(npz, **weights)
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo(name)
        member.size = len(npz.getvalue())
        tar.addfile(member, io.BytesIO(npz.getvalue()))
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
    write_catalogue(folder / "catalogue.toml", model)
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


def perftool(place: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "perftool", *map(str, arguments)],
        env={
            **os.environ,
            "XDG_CACHE_HOME": str(place / "cache"),
            "PERFTOOL_CATALOGUE": str(place / "catalogue.toml"),
        },
        capture_output=True,
        text=True,
        check=True,
    )


def accuracy(place: Path, *arguments: object) -> dict[str, Any]:
    data = ("--dataset", place / "images", "--calibration-images", 1, "--precision", "FP32", "--json")
    found: dict[str, Any] = json.loads(perftool(place, "accuracy", *arguments, *data).stdout)
    return found


def test_fetched_weights_stand_beside_what_was_published(place: Path, tmp_path: Path) -> None:
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
    weights = next((place / "cache" / "perftool" / "fetched" / NAME).rglob("weights.npz"))
    copy = tmp_path / "copy.npz"
    copy.write_bytes(weights.read_bytes())
    assert accuracy(place, NAME, "--weights", copy)["published"] is not None, "the content decides"
    with np.load(copy) as loaded:
        changed = dict(loaded)
    changed["InceptionV4/Logits/Logits/biases"] = changed["InceptionV4/Logits/Logits/biases"] + 1e-3
    np.savez(tmp_path / "changed.npz", **changed)
    assert accuracy(place, NAME, "--weights", tmp_path / "changed.npz")["published"] is None
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
