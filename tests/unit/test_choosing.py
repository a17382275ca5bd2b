"""What an export is made of, as far as no model file is asked."""

import msgspec
import pytest
from journals import BASELINES, EVALUATIONS, NINE, Journal, changed

from perftool.analysis.summary import summarize
from perftool.cli.choosing import default_precision, licence
from perftool.journal import ModelIdentity
from perftool.spec import ModelFile, ReferenceModel, WeightedModel


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
