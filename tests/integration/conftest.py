"""A tiny real model, images that it is always right about in FP32, and a finished sweep of it."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from tiny import tiny_model, write_tiny_model
from tiny_profile import PROFILE

from perftool.bench.isolate import ask_once
from perftool.job import MeasurePeaks, Probe
from perftool.machine import DeviceFound
from perftool.record import PeaksMeasured, Probed
from perftool.spec import Policy
from perftool.sweep.locks import hold
from perftool.sweep.peaks import keep, path_of

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
def no_duel() -> Iterator[None]:
    """Measure on the device meanwhile, so that commands leave their duel of half a minute out."""
    with hold(("CPU",)):
        yield


@pytest.fixture(scope="session")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> PeaksMeasured:
    """Return what the CPU can do at most, as far as half a second shows."""
    log = tmp_path_factory.mktemp("peaks") / "log"
    measured = ask_once(MeasurePeaks(device="CPU", seconds=0.5), log, 180)
    assert isinstance(measured, PeaksMeasured), measured
    return measured


@pytest.fixture(scope="session")
def known_peaks(
    peaks: PeaksMeasured, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Know what the CPU can do at most, so that no command measures it for a quarter of a minute.

    Also where that is disturbed by tests in another process, so that no command would keep it.
    """
    log = tmp_path_factory.mktemp("known_peaks") / "log"
    probed = ask_once(Probe(devices=("CPU",)), log, 60)
    assert isinstance(probed, Probed), probed
    (cpu,) = probed.devices
    assert isinstance(cpu, DeviceFound)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", environment["XDG_CACHE_HOME"])
        keep(path_of(cpu, Policy().peak_seconds), peaks)


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
