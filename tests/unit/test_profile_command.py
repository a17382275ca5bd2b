"""`perftool profile` refuses before it measures anything, and names what the user typed."""

import os
from pathlib import Path

import pytest
from journals import Journal, Measured
from typer.testing import CliRunner

from perftool.cli.main import app
from perftool.errors import InputError, PerftoolError, UsageError
from perftool.record import Failed
from perftool.spec import Grid, ModelFile, Profile, ReferenceModel
from perftool.sweep.preparing import Watcher
from perftool.sweep.profiling import profile_planned, refusal


def refused(*arguments: str) -> str:
    """Return what the command is refused with; nothing that measures is reached."""
    found = CliRunner().invoke(app, ["profile", "googlenet-v4-tf", *arguments]).exception
    assert isinstance(found, UsageError), found
    return str(found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--precision", "INT9"), "--precision: expected one of"),
        (("--against", "INT9"), "--against: expected one of"),
        (("--batch", "0"), "--batch: expected an integer >= 1"),
        (("--batch", "1,2"), "--batch: one configuration is profiled"),
        (("--streams", "x"), "--streams: expected"),
        (("--threads", "0"), "--threads: expected"),
    ],
)
def test_errors_name_the_option_and_no_field_of_a_profile(arguments: tuple[str, ...], said: str) -> None:
    message = refused(*arguments)
    assert message.startswith(said)
    assert "[0]" not in message and "[1]" not in message


@pytest.mark.parametrize("name", ["file", "file/below", "file/a/b"])
def test_a_file_where_the_folder_would_be_is_found_out_first(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    message = refused("--to", str(tmp_path / name))
    assert f"{tmp_path / 'file'} is a file; name a folder" in message
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_to_is_found_out_first(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o500)
    if os.access(shut, os.W_OK):
        pytest.skip("this user may write everywhere")
    assert "cannot be written to" in refused("--to", str(shut / "profile"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--batch", "1"), "--batch: the configuration that --config names has its own"),
        (("--calibration-images", "8"), "--calibration-images: the configuration"),
        (("--precision", "FP32"), "--precision: the configuration"),
    ],
)
def test_a_configuration_of_a_run_has_its_own_options(arguments: tuple[str, ...], said: str) -> None:
    assert refused("--config", "cpu-fp32-b1-s1", *arguments).startswith(said)


def test_a_configuration_that_the_run_does_not_have_is_refused_with_what_it_has() -> None:
    run = Journal(measured=(Measured(),)).run()
    with pytest.raises(UsageError, match=r"--config: the run has no 'x'; it has .*cpu-"):
        profile_planned(run, "x", 1.0, unwatched())
    virtual = Measured(device="AUTO")
    run = Journal(measured=(virtual,)).run()
    with pytest.raises(UsageError, match="AUTO hands requests on"):
        profile_planned(run, virtual.id, 1.0, unwatched())


def unwatched() -> Watcher:
    return Watcher(status=lambda _: None, appended=lambda _: None, opened=lambda *_: None)


def test_a_model_that_is_refused_is_named_as_the_user_named_it() -> None:
    file = Profile(name="profile", grids=(Grid(),), model=ModelFile(path="quant.tflite"))
    lost = Failed(
        subject="cpu-fp32-b4-s1",
        stage="layers",
        kind="bad_input",
        reason="model TensorFlow_Lite_Frontend_IR cannot be reshaped to batch 4: because",
    )
    found = refusal(lost, file, 4)
    assert isinstance(found, InputError)
    assert str(found).startswith("quant.tflite: model TensorFlow_Lite_Frontend_IR cannot be reshaped")
    assert "--batch 1" in str(found) and "--batch" not in str(refusal(lost, file, 1))
    built_in = Profile(name="profile", grids=(Grid(),), model=ReferenceModel(name="googlenet-v4-tf"))
    assert str(refusal(lost, built_in, 4)) == lost.reason
    crashed = Failed(subject="cpu-fp32-b4-s1", stage="layers", kind="crash", reason="killed by SIGILL")
    assert not isinstance(refusal(crashed, file, 4), InputError)
    assert isinstance(refusal(crashed, file, 4), PerftoolError)
