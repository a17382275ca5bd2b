"""A tiny real model, images that it is always right about in FP32, and a finished sweep of it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from tiny import tiny_model, write_tiny_model
from tiny_profile import PROFILE

from perftool.cli.main import main
from perftool.sweep.locks import hold

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a tiny model file."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.xml")


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 40 images with a val.txt that agrees with the tiny model in f32."""
    folder = tmp_path_factory.mktemp("images")
    compiled = ov.Core().compile_model(tiny_model(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    rng = np.random.Generator(np.random.Philox(5))
    lines = []
    for number in range(40):
        small = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = cv2.resize(small, (40, 40), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number:02d}.png"), image)
        crop = cv2.resize(image[2:37, 2:37], (32, 32), interpolation=cv2.INTER_LINEAR)
        scores = compiled(crop.transpose(2, 0, 1)[np.newaxis].astype(np.float32))[0]
        lines.append(f"{number:02d}.png {int(scores.argmax())}\n")
    (folder / "val.txt").write_text("".join(lines))
    return folder


@pytest.fixture
def refused(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run the command in this process; return its output and exit code.

    For what is refused before there is anything to do: a process of its own takes most of a second to start,
    and there are scores of refusals.
    """

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        capfd.readouterr()
        code: object = 0
        command = ["perftool", *map(str, arguments)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", command)
            for name in ("XDG_CACHE_HOME", "NO_COLOR"):
                patch.setenv(name, environment[name])
            try:
                main()
            except SystemExit as end:
                code = end.code
        said, told = capfd.readouterr()
        assert isinstance(code, int), code
        return subprocess.CompletedProcess(command, code, said, told)

    return run


@pytest.fixture
def no_duel() -> Iterator[None]:
    """Measure on the device meanwhile, so that commands leave their duel of half a minute out."""
    with hold(("CPU",)):
        yield


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "tiny.toml"
    path.write_text(PROFILE)
    return path


@pytest.fixture(scope="session")
def finished(
    perftool: Command, tiny: Path, labelled: Path, profile: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """Return the folder of a whole sweep, and what the command printed."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    done = perftool(
        "sweep", tiny, "--profile", profile, "--dataset", labelled, "--out", folder, "--max-accuracy-drop", 50
    )
    return folder, done
