"""What `perftool accuracy` says that a precision ran in: what its kernels did, not what was asked."""

import io

import pytest
from journals import HOST, evaluated
from msgspec import structs
from rich.console import Console

from perftool.cli.accuracy import Evaluations, accuracy_view
from perftool.journal import FORMAT, Header, ModelIdentity
from perftool.record import Executed
from perftool.render.accuracy import accuracy_table
from perftool.spec import Grid, Profile, ReferenceModel

HEADER = Header(
    format=FORMAT,
    created_ns=0,
    profile=Profile(name="test", grids=(Grid(),)),
    model=ModelIdentity(
        name="googlenet-v4-tf",
        source=ReferenceModel(name="googlenet-v4-tf"),
        digest="ab" * 32,
        reference=True,
        published=False,
    ),
    host=HOST,
)
FLOAT = Executed(precision="f32", flops=100, kernels=10)


@pytest.mark.parametrize(
    ("executed", "said"),
    [
        ((structs.replace(FLOAT, precision="int8", flops=900), FLOAT), "int8"),
        ((FLOAT,), "f32"),
        ((), "unknown"),
    ],
)
def test_it_runs_in_what_most_operations_ran_in(executed: tuple[Executed, ...], said: str) -> None:
    found = [
        structs.replace(evaluated("fp32", "f32", 160), executed=(FLOAT,)),
        structs.replace(evaluated("int8", "f32", 158), executed=executed),
    ]
    view = accuracy_view(
        HEADER, Evaluations(found, tuple(map(str, range(200))), frozenset({"FP32", "INT8"}), one_file=False)
    )
    text = io.StringIO()
    Console(file=text, width=100, no_color=True, color_system=None).print(accuracy_table(view))
    (line,) = (line for line in text.getvalue().splitlines() if line.split()[:1] == ["INT8"])
    assert line.split()[1] == said
    assert view.results[1].inference_precision == "f32", "what the device resolved is in the JSON too"
