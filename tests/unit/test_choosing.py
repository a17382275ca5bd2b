"""What an export is made of, as far as no model file is asked."""

from pathlib import Path

import msgspec
import pytest
from journals import BASELINES, EVALUATIONS, HOST, NINE, Journal, changed

from perftool.analysis.summary import summarize
from perftool.cli.choosing import default_precision, labels, licence
from perftool.images.textures import CLASS_NAMES
from perftool.journal import Header, ModelIdentity
from perftool.spec import Dataset, Grid, ModelFile, Profile, ReferenceModel, WeightedModel


def model(
    *, reference: bool = False, published: bool = False, name: str = "googlenet-v4-tf"
) -> ModelIdentity:
    sources = {
        (True, False): ReferenceModel(name=name),
        (False, True): WeightedModel(name=name, weights="/w.ckpt"),
        (False, False): ModelFile(path="/m.xml"),
    }
    return ModelIdentity(
        name=name,
        source=sources[reference, published],
        digest="00" * 32,
        reference=reference,
        published=published,
    )


def test_the_licence_is_named_only_where_it_is_known() -> None:
    assert licence(model(reference=True)) == "Apache-2.0"
    assert licence(model(published=True)) == "Apache-2.0"
    # The name alone says nothing of whose weights these are.
    assert licence(model()) is None


@pytest.mark.parametrize("executed", ["f32", "bf16"])
def test_what_a_device_runs_by_itself_is_read_off_the_baselines(executed: str) -> None:
    measured = (changed(BASELINES[0], executed=executed), *NINE[2:])
    summary = summarize(Journal(measured, EVALUATIONS).run())
    assert default_precision(summary, "CPU") == executed
    assert default_precision(summary, "GPU") is None


@pytest.mark.parametrize(
    ("isa", "device", "expected"),
    [
        (("avx2", "avx512f", "avx512_bf16"), "CPU", "bf16"),
        (("avx2", "avx512f"), "CPU", "f32"),
        (("asimd",), "CPU", None),
        (("avx2",), "AUTO:CPU,GPU", None),
    ],
)
def test_without_baselines_the_instruction_sets_tell(
    isa: tuple[str, ...], device: str, expected: str | None
) -> None:
    summary = summarize(Journal(NINE[2:], EVALUATIONS).run())
    host = msgspec.structs.replace(summary.host, isa=isa)
    assert default_precision(msgspec.structs.replace(summary, host=host), device) == expected


def header(directory: Path, *, label_file: str | None = None, reference: bool = False) -> Header:
    images = Dataset(directory=str(directory), labels=label_file)
    profile = Profile(name="test", grids=(Grid(),), images=images)
    return Header(format=4, created_ns=0, profile=profile, model=model(reference=reference), host=HOST)


def test_class_names_are_those_of_the_data_sets_folders_where_they_are_all_of_the_models(
    tmp_path: Path,
) -> None:
    for name in ("zebra", "ant", "cat"):
        (tmp_path / name).mkdir()
    assert labels(header(tmp_path), 3) == ("ant", "cat", "zebra")
    assert labels(header(tmp_path), 1001) == ()
    assert labels(header(tmp_path, label_file="val.txt"), 3) == ()
    assert labels(header(tmp_path / "gone"), 3) == ()
    assert labels(header(tmp_path, reference=True), 1001)[1:3] == CLASS_NAMES[:2]
    (tmp_path / "val.txt").write_text("ant/1.png 0\n")
    assert labels(header(tmp_path), 3) == ()


def test_folders_named_by_class_indices_name_no_classes(tmp_path: Path) -> None:
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
    assert labels(header(tmp_path), 2) == ()


def test_the_background_is_named_where_the_folders_leave_it_out(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"n{number:04d}").mkdir()
    assert labels(header(tmp_path), 1001)[:2] == ("background", "n0000")
