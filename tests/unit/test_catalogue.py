"""The catalogue says what is published about a model, recognises its files, and is read strictly."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from archive_server import KNOWN, NAME, published, write_catalogue

from perftool.errors import InputError
from perftool.model.identity import BUILT_IN
from perftool.published import catalogue
from perftool.spec import Feeding

INPUT, OUTPUT = "input", "InceptionV4/Logits/Predictions"


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a catalogue of the user's."""
    path = tmp_path / "other.toml"
    monkeypatch.setenv(catalogue.VARIABLE, str(path))
    return path


def test_it_knows_the_published_facts() -> None:
    known = catalogue.known(NAME)
    assert (known.published.top1, known.published.top5, known.published.images) == (80.21, 95.2, 50_000)
    assert (known.classes, known.geometry) == (1001, "central-crop")
    assert known.archive.bytes == 171_177_982
    assert known.archive.sha384.startswith("97765872563bf059") and len(known.archive.sha384) == 96
    assert known.archive.file_name == "inception_v4_2016_09_09.tar.gz"
    assert [url.split("/")[2] for url in known.archive.urls] == [
        "download.tensorflow.org",
        "storage.openvinotoolkit.org",
    ]


def test_every_model_that_perftool_builds_is_known() -> None:
    assert set(BUILT_IN) <= set(catalogue.names())


def test_the_feeding_is_the_original_convention() -> None:
    assert catalogue.known(NAME).feeding == Feeding(mean=(127.5,), scale=(127.5,), color="RGB", layout="NHWC")


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"unknown model 'resnet'; known are googlenet-v4-tf$"):
        catalogue.known("resnet")


@pytest.mark.parametrize("batch", [1, 4, -1])
@pytest.mark.parametrize("ending", ["", ":0"])
def test_a_file_is_recognised_by_its_ports(batch: int, ending: str) -> None:
    found = catalogue.recognise(INPUT + ending, (batch, 299, 299, 3), OUTPUT + ending)
    assert found == catalogue.known(NAME)


@pytest.mark.parametrize(
    ("name", "shape", "output"),
    [
        ("data", (1, 299, 299, 3), OUTPUT),
        (INPUT, (1, 3, 299, 299), OUTPUT),
        (INPUT, (1, 224, 224, 3), OUTPUT),
        (INPUT, (1, -1, -1, 3), OUTPUT),
        (INPUT, (299, 299, 3), OUTPUT),
        (INPUT, (), OUTPUT),
        (INPUT, (1, 299, 299, 3), "InceptionV4/Logits/Logits"),
    ],
)
def test_any_other_file_is_not_recognised(name: str, shape: tuple[int, ...], output: str) -> None:
    assert catalogue.recognise(name, shape, output) is None


def test_a_catalogue_of_the_users_adds_to_the_built_in(other: Path) -> None:
    model = msgspec.structs.replace(published(b"x", "http://a.example/x.tar.gz"), name="mine")
    write_catalogue(other, model)
    assert catalogue.names() == ("mine", NAME)
    assert catalogue.known("mine") == model
    assert catalogue.known(NAME) == KNOWN
    with pytest.raises(InputError, match=f"known are mine, {NAME}"):
        catalogue.known("another")


def test_a_model_of_the_users_takes_the_place_of_the_built_in_of_its_name(other: Path) -> None:
    model = published(b"x", "http://a.example/x.tar.gz")
    write_catalogue(other, model)
    assert catalogue.names() == (NAME,)
    assert catalogue.known(NAME) == model


def test_a_convention_of_the_users_is_recognised_before_the_built_in(other: Path) -> None:
    model = msgspec.structs.replace(published(b"x", "http://a.example/x.tar.gz"), name="mine")
    write_catalogue(other, model)
    assert catalogue.recognise(INPUT, (1, 299, 299, 3), OUTPUT) == model


def test_pixels_as_they_are_state_no_mean_and_no_scale() -> None:
    known = catalogue.known(NAME)
    original = msgspec.structs.replace(known.original, mean=0.0, scale=1.0)
    feeding = msgspec.structs.replace(known, original=original).feeding
    assert feeding == Feeding(color="RGB", layout="NHWC")


def refusal(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        catalogue.names()
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")
    return str(raised.value)


def test_a_catalogue_is_read_strictly(other: Path) -> None:
    good = write_catalogue(other, published(b"x", "http://a.example/x.tar.gz")).read_text()
    assert "unknown field `colour`" in refusal(other, good.replace("color =", "colour ="))
    assert "$.models[0].classes" in refusal(other, good.replace("classes = 1001", 'classes = "many"'))
    assert "$.models[0].name" in refusal(other, good.replace(f'"{NAME}"', '"../elsewhere"'))
    assert "$.models[0].archive.urls" in refusal(other, good.replace("http://a", "file://a"))
    assert "$.models[0].archive.sha384" in refusal(other, good.replace("sha384 = ", "sha384 = 'AB' # "))
    assert "line 2" in refusal(other, "\nmodels = 1 2")
    double = msgspec.structs.replace(published(b"x", "http://a.example/x.tar.gz"))
    assert f"more than one model is named {NAME}" in refusal(
        other, write_catalogue(other, double, double).read_text()
    )


def test_a_missing_catalogue_is_named(other: Path) -> None:
    with pytest.raises(InputError, match=r"other\.toml: the catalogue cannot be read: No such file"):
        catalogue.names()


def test_the_catalogue_is_runtime_free() -> None:
    code = (
        "import sys; from perftool.published.catalogue import names; names(); "
        "assert not {'openvino', 'nncf', 'cv2', 'numpy', 'httpx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
