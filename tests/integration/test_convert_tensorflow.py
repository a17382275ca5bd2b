"""What TensorFlow leaves behind, converted: frozen graph, SavedModel and checkpoint become the same model."""

import json
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from perftool.model.inception.inception_v4 import OUTPUT
from perftool.model.inception.reference import reference_weights

pytestmark = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install 'perftool[tensorflow]'"
)

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the reference weights as a checkpoint, and as a SavedModel of other port names."""
    from perftool.model.inception.inception_v4_tensorflow import build_graph
    from perftool.model.inception.tensorflow_runtime import import_tensorflow

    folder = tmp_path_factory.mktemp("tensorflow")
    v1 = import_tensorflow("this test").compat.v1
    graph = build_graph(import_tensorflow("this test"))
    weights = reference_weights()
    with v1.Session(graph=graph) as session, graph.as_default():
        saver = v1.train.Saver()
        for variable in v1.global_variables():
            variable.load(weights[variable.op.name], session)
        saver.save(session, str(folder / "model.ckpt"), write_meta_graph=False, write_state=False)
        ports = [graph.get_tensor_by_name(f"{name}:0") for name in ("input", OUTPUT)]
        v1.saved_model.simple_save(session, str(folder / "saved"), {"images": ports[0]}, {"scores": ports[1]})
    return folder


def test_all_roads_give_the_built_in_model(perftool: Command, left_behind: Path, tmp_path: Path) -> None:
    frozen = tmp_path / "frozen.pb"
    done = perftool("model", "freeze", left_behind / "model.ckpt", "-o", frozen)
    assert done.returncode == 0, done.stderr
    sources = {
        frozen: "(recognised as googlenet-v4-tf)",
        left_behind / "saved": "(recognised as googlenet-v4-tf)",
        left_behind / "model.ckpt": "(built in, weights of model.ckpt)",
    }
    for source, said in sources.items():
        target = tmp_path / "model.xml"
        done = perftool("model", "convert", source, "-o", target)
        assert done.returncode == 0, done.stderr
        assert f"{target}: data f32 [1,3,299,299] NCHW, BGR 0..255 -> {OUTPUT} [1,1001]\n" in done.stdout
        assert said in done.stdout
        assert not done.stderr
        against = ("googlenet-v4-tf", "--weights", "reference", "--images", 2, "--json")
        compared = perftool("model", "verify", target, *against)
        assert compared.returncode == 0, compared.stderr
        assert json.loads(compared.stdout)["max_difference"] < 1e-4
