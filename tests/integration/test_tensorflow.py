"""TensorFlow checkpoints by both roads, frozen graph and perftool's own, against TensorFlow's own answers.

What TensorFlow answers comes from a forward pass written out in `plain_inception_v4`, eagerly run, which
knows nothing of perftool's table of layers; the frozen graph (TensorFlow ops) and the built one (OpenVINO
ops) are two readings of that table.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import openvino as ov
import plain_inception_v4 as plain
import pytest
from numpy.typing import NDArray

from perftool.errors import InputError
from perftool.job import Freeze
from perftool.model import sources
from perftool.model.inception.inception_v4 import OUTPUT, check_weights, variable_shapes
from perftool.model.inception.inception_v4_tensorflow import build_graph
from perftool.model.inception.reference import reference_images
from perftool.model.inception.tensorflow_graph import freeze
from perftool.model.inception.tensorflow_runtime import import_tensorflow
from perftool.model.inception.weights import load_weights
from perftool.spec import WeightedModel

pytestmark = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install 'perftool[tensorflow]'"
)

MODEL = "googlenet-v4-tf"
BOUND = 1e-4
"""Largest difference of a probability; a mistake in one layer moves some by hundredths."""
IMAGES = 4
LAST_BETA = "InceptionV4/Mixed_7d/Branch_3/Conv2d_0b_1x1/BatchNorm/beta"
F32 = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 2}
Version = Literal["V1", "V2"]
Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A set of weights, images, what TensorFlow makes of them, and the weights as checkpoints."""

    weights: Weights
    normalized: plain.Floats
    """RGB, -1..1, NHWC: as the original convention wants it."""
    probabilities: plain.Floats
    checkpoint: Callable[[Version], Path]

    @property
    def pixels(self) -> plain.Floats:
        """The images as the converted convention wants them: BGR, 0..255, NCHW."""
        return np.ascontiguousarray((self.normalized * 127.5 + 127.5)[..., ::-1].transpose(0, 3, 1, 2))


@pytest.fixture(scope="module")
def tf() -> Any:
    """TensorFlow, as perftool imports it."""
    return import_tensorflow("this test")


@pytest.fixture(scope="module")
def case(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Random weights on synthetic images."""
    normalized = _normalize(np.stack([image for image, _ in reference_images("evaluation", 0, IMAGES)]))
    return _case(tf, plain.random_weights(tf, normalized, seed=2016), normalized, tmp_path_factory)


@pytest.fixture(scope="module")
def real_case(tf: Any, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The repaired Inception v4 on real images."""
    weights = load_weights(real_data / "inception_v4" / "weights_fp16.npz")
    return _case(tf, weights, _normalize(_real_images(real_data / "images")), tmp_path_factory)


def _case(tf: Any, weights: Weights, normalized: plain.Floats, places: pytest.TempPathFactory) -> Case:
    place = places.mktemp("case")
    return Case(
        weights=weights,
        normalized=normalized,
        probabilities=plain.probabilities(tf, weights, normalized),
        checkpoint=cache(lambda version: _write_trained(tf, weights, place, version)),
    )


def _normalize(images: NDArray[np.uint8]) -> plain.Floats:
    return (images.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)


def _real_images(folder: Path) -> NDArray[np.uint8]:
    names = [line.split()[0] for line in (folder / "val.txt").read_text().splitlines()[:IMAGES]]
    return np.stack([cv2.imread(str(folder / name))[..., ::-1] for name in names])


def _write_trained(tf: Any, weights: Weights, folder: Path, version: Version) -> Path:
    """Write weights as training does: beside an auxiliary head, a step, and the slots of an optimizer."""
    training = {
        "global_step": np.int64(7),
        "InceptionV4/AuxLogits/Aux_logits/weights": np.ones((3, 4), np.float32),
        "InceptionV4/Conv2d_1a_3x3/weights/Momentum": np.ones((3, 3, 3, 32), np.float32),
    }
    held = {name: np.asarray(array, np.float32) for name, array in weights.items()} | training
    path = folder / version / "model.ckpt"
    path.parent.mkdir()
    _write_checkpoint(tf, held, path, version)
    return path


def _write_checkpoint(tf: Any, held: Mapping[str, Any], path: Path, version: Version) -> None:
    """Have TensorFlow save variables of these names and values."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variables = [
            v1.get_variable(name, value.shape, value.dtype, v1.zeros_initializer(), use_resource=False)
            for name, value in held.items()
        ]
        # By one run: a session that is asked for one variable after the other takes half a minute.
        fed = {
            variable.initializer.inputs[1]: value
            for variable, value in zip(variables, held.values(), strict=True)
        }
        session.run([variable.initializer for variable in variables], fed)
        saver = v1.train.Saver(write_version=getattr(v1.train.SaverDef, version))
        saver.save(session, str(path), write_meta_graph=False, write_state=False)


@pytest.fixture(scope="module")
def frozen(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Freeze the random weights' checkpoint of version 1."""
    return _frozen(case.checkpoint("V1"), tmp_path_factory.mktemp("frozen") / "model.pb")


def _frozen(checkpoint: Path, output: Path) -> Path:
    assert freeze(Freeze(name=MODEL, checkpoint=str(checkpoint), output=str(output))).path == str(output)
    return output


@pytest.fixture(scope="module")
def saved(tf: Any, case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same graph as `tf.saved_model` writes it: its variables beside it, ports of other names."""
    folder = tmp_path_factory.mktemp("saved") / "saved"
    v1, graph = tf.compat.v1, build_graph(tf)
    with graph.as_default(), v1.Session(graph=graph) as session:
        v1.train.Saver().restore(session, str(case.checkpoint("V1")))
        ends = ({"images": "input:0"}, {"scores": f"{OUTPUT}:0"})
        inputs, outputs = ({key: graph.get_tensor_by_name(name) for key, name in end.items()} for end in ends)
        v1.saved_model.simple_save(session, str(folder), inputs, outputs)
    return folder


def _run(model: ov.Model, images: plain.Floats) -> plain.Floats:
    """Compile in f32 for all images at once, and run."""
    model.reshape(list(images.shape))
    return np.array(ov.Core().compile_model(model, "CPU", F32)(images)[0])


def _agree(found: plain.Floats, case: Case) -> None:
    """Check the bound, and that every image's best class is the same."""
    assert np.abs(found - case.probabilities).max() < BOUND
    assert (found.argmax(axis=1) == case.probabilities.argmax(axis=1)).all()


def _check_frozen(path: Path, case: Case) -> None:
    """Check what a frozen graph says of its ports, and its answers."""
    model = ov.Core().read_model(path)
    assert [port.get_any_name() for port in (*model.inputs, *model.outputs)] == ["input:0", f"{OUTPUT}:0"]
    assert model.input(0).partial_shape == ov.PartialShape([-1, 299, 299, 3])
    assert model.output(0).partial_shape == ov.PartialShape([-1, 1001])
    _agree(_run(model, case.normalized), case)


def _check_built(checkpoint: Path, case: Case) -> None:
    """Check the answers of what perftool builds from a checkpoint, in both conventions."""
    source = WeightedModel(name=MODEL, weights=str(checkpoint))
    _agree(_run(sources.build(source, convention="original", batch=IMAGES), case.normalized), case)
    _agree(_run(sources.build(source, convention="converted", batch=IMAGES), case.pixels), case)


def test_the_answers_are_worth_comparing(case: Case) -> None:
    """No softmax is saturated or flat, and every image gets an answer of its own."""
    best = case.probabilities.max(axis=1)
    assert best.max() < 0.99 and best.min() > 0.02
    for first in range(IMAGES):
        for second in range(first):
            assert np.abs(case.probabilities[first] - case.probabilities[second]).max() > 0.01


def test_a_checkpoint_frozen_answers_as_tensorflow(case: Case, frozen: Path) -> None:
    """So does one of version 2, since the same file is made of it."""
    _check_frozen(frozen, case)


def test_a_checkpoint_built_answers_as_tensorflow(case: Case) -> None:
    """So does one of version 1, since the same weights are read from it."""
    _check_built(case.checkpoint("V2"), case)


@pytest.mark.real_data
def test_real_weights_answer_as_in_tensorflow_by_both_roads(real_case: Case, tmp_path: Path) -> None:
    """As the version that is published; how either is read is the random weights' to show."""
    test_the_answers_are_worth_comparing(real_case)
    checkpoint = real_case.checkpoint("V1")
    _check_frozen(_frozen(checkpoint, tmp_path / "real.pb"), real_case)
    _check_built(checkpoint, real_case)


def test_the_frozen_graph_is_one_that_tensorflow_runs_too(tf: Any, case: Case, frozen: Path) -> None:
    definition = _read(tf, frozen)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            found = session.run(f"{OUTPUT}:0", {"input:0": case.normalized})
    _agree(found, case)


def test_a_saved_model_answers_as_tensorflow(case: Case, saved: Path) -> None:
    _agree(_run(ov.Core().read_model(saved), case.normalized), case)


def test_whatever_tensorflow_leaves_behind_is_converted_to_the_same_model(
    perftool: Any, case: Case, frozen: Path, saved: Path, tmp_path: Path
) -> None:
    """What comes out takes plain pixels, one image at a time."""
    sources = {
        frozen: "(recognised as googlenet-v4-tf)",
        saved: "(recognised as googlenet-v4-tf)",
        case.checkpoint("V2"): "(built in, weights of model.ckpt)",
    }
    target = tmp_path / "model.xml"
    for source, said in sources.items():
        done = perftool("model", "convert", source, "-o", target)
        assert done.returncode == 0, done.stderr
        assert f"{target}: data f32 [1,3,299,299] NCHW, BGR 0..255 -> {OUTPUT} [1,1001]\n" in done.stdout
        assert said in done.stdout
        assert not done.stderr
        compiled = ov.Core().compile_model(target, "CPU", F32)
        _agree(np.concatenate([np.array(compiled(image[None])[0]) for image in case.pixels]), case)


def _read(tf: Any, path: Path) -> Any:
    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString(path.read_bytes())
    return definition


def test_the_command_writes_the_same_file_from_either_version(
    tf: Any, perftool: Any, case: Case, frozen: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new folder" / "inception_v4.frozen.pb"
    done = perftool("model", "freeze", f"{case.checkpoint('V2')}.index", "-o", output)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{output}\n", "")
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    assert output.read_bytes() == frozen.read_bytes()
    kinds = {node.name: node.op for node in _read(tf, output).node}
    assert {kind for kind in kinds.values() if "Variable" in kind or "Restore" in kind} == set()
    scope = "InceptionV4/InceptionV4/Mixed_6b/Branch_1/Conv2d_0b_1x7"
    assert kinds[f"{scope}/Conv2D"] == "Conv2D"
    assert kinds[f"{scope}/BatchNorm/FusedBatchNormV3"] == "FusedBatchNormV3"
    assert kinds[f"{scope}/Relu"] == "Relu"
    assert kinds["InceptionV4/Mixed_6b/Branch_1/Conv2d_0b_1x7/weights"] == "Const"
    assert kinds["InceptionV4/Logits/Logits/MatMul"] == "MatMul"


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_a_checkpoint_holds_what_was_saved_and_training_is_left_aside(case: Case, version: Version) -> None:
    path = case.checkpoint(version)
    given = path if version == "V1" else path.with_name("model.ckpt.index")
    loaded = load_weights(given, variable_shapes())
    assert loaded.keys() == variable_shapes().keys()
    assert all((array == case.weights[name]).all() for name, array in loaded.items())
    check_weights(loaded, "checkpoint")


# ---------------------------------------------------------------- what is refused


@pytest.fixture(scope="module")
def zeros() -> dict[str, NDArray[np.float32]]:
    """All variables, all zero."""
    return {name: np.zeros(shape, np.float32) for name, shape in variable_shapes().items()}


def _freeze(checkpoint: Path, output: Path, name: str = MODEL) -> str:
    """Freeze what cannot be; return the one line that says why."""
    with pytest.raises(InputError) as caught:
        freeze(Freeze(name=name, checkpoint=str(checkpoint), output=str(output)))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_and_misshapen_variables_are_all_named(
    tf: Any, perftool: Any, zeros: Weights, tmp_path: Path
) -> None:
    betas = [name for name in zeros if name.endswith("/beta")][-12:]
    held = {name: array for name, array in zeros.items() if name not in betas}
    held["InceptionV4/Conv2d_1a_3x3/weights"] = np.zeros((3, 3, 32, 3), np.float32)
    _write_checkpoint(tf, held, tmp_path / "model.ckpt", "V2")
    output = tmp_path / "model.pb"
    output.write_text("what was there before")
    done = perftool("model", "freeze", tmp_path / "model.ckpt", "-o", output)
    assert done.returncode == 3 and done.stdout == ""
    assert done.stderr == (
        f"perftool: {tmp_path / 'model.ckpt'}: 598 variables wanted; 12 missing: {', '.join(betas)};"
        " 1 misshapen: InceptionV4/Conv2d_1a_3x3/weights is 3x3x32x3, not 3x3x3x32\n"
    )
    assert output.read_text() == "what was there before"


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_another_networks_checkpoint_is_counted_and_its_first_names_given(
    tf: Any, tmp_path: Path, version: Version
) -> None:
    _write_checkpoint(tf, {"ResNet/weights": np.zeros((2, 2))}, tmp_path / "model.ckpt", version)
    message = _freeze(tmp_path / "model.ckpt", tmp_path / "model.pb")
    assert "598 missing: InceptionV4/Conv2d_1a_3x3/weights, " in message
    assert "and 578 more; 1 surplus: ResNet/weights" in message
    assert not (tmp_path / "model.pb").exists()


def test_values_that_cannot_be_used_are_refused(tf: Any, zeros: Weights, tmp_path: Path) -> None:
    spoilt = dict(zeros) | {LAST_BETA: np.full(256, np.nan, np.float32)}
    _write_checkpoint(tf, spoilt, tmp_path / "nan.ckpt", "V2")
    message = _freeze(tmp_path / "nan.ckpt", tmp_path / "model.pb")
    assert f"1 with NaN or infinite values: {LAST_BETA}" in message
    double = dict(zeros) | {LAST_BETA: np.zeros(256)}
    _write_checkpoint(tf, double, tmp_path / "double.ckpt", "V2")
    message = _freeze(tmp_path / "double.ckpt", tmp_path / "model.pb")
    assert message.endswith(f"1 variables are not float32, as {LAST_BETA} is float64")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "model.pb"
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    (tmp_path / "w.txt").write_text("text")
    for name in ("w.npz", "w.txt"):
        assert f"{name}: not a TensorFlow checkpoint" in _freeze(tmp_path / name, output)
    assert "gone.ckpt: no such file" in _freeze(tmp_path / "gone.ckpt", output)
    assert "unknown model 'resnet'" in _freeze(tmp_path / "w.npz", output, "resnet")
    assert "must end in .pb" in _freeze(tmp_path / "w.npz", tmp_path / "model.xml")


def test_an_output_that_cannot_be_written_is_named(case: Case, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.pb").mkdir()
    checkpoint = case.checkpoint("V2")
    assert "folder.pb: cannot be written: it is a folder" in _freeze(checkpoint, tmp_path / "folder.pb")
    assert "file/model.pb: cannot be written: " in _freeze(checkpoint, tmp_path / "file" / "model.pb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.pb"]


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)


SHARD = "model.ckpt.data-00000-of-00001"


@pytest.mark.parametrize(
    ("version", "name", "spoil", "reason"),
    [
        ("V1", "model.ckpt", _shorten, "sstable"),
        ("V1", "model.ckpt", _flip, "saved tensor slices"),
        ("V1", "model.ckpt", lambda path: path.write_bytes(b""), "too short"),
        ("V1", "model.ckpt", lambda path: path.write_text("text" * 100), "not an sstable"),
        ("V2", "model.ckpt.index", _shorten, "sstable"),
        ("V2", "model.ckpt.index", Path.unlink, "model.ckpt"),
        ("V2", SHARD, Path.unlink, f"{SHARD}; No such file"),
        ("V2", SHARD, _shorten, "less bytes"),
        ("V2", SHARD, _flip, "Checksum does not match"),
    ],
)
def test_a_damaged_checkpoint_is_one_line(
    tf: Any, tmp_path: Path, version: Version, name: str, spoil: Callable[[Path], Any], reason: str
) -> None:
    path = tmp_path / "model.ckpt"
    _write_checkpoint(tf, {"a/w": np.arange(200, dtype=np.float32)}, path, version)
    assert load_weights(path)["a/w"][199] == 199
    spoil(tmp_path / name)
    with pytest.raises(InputError) as caught:
        load_weights(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: a checkpoint that cannot be read (")
    assert reason in message and "\n" not in message


def test_without_tensorflow_the_extra_is_named(tf: Any, environment: dict[str, str], tmp_path: Path) -> None:
    """The installed package is hidden by a folder in front of it on the path of real processes."""
    hidden = tmp_path / "path" / "tensorflow"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError('hidden', name='tensorflow')\n")
    path = os.pathsep.join([str(hidden.parent), *filter(None, [environment.get("PYTHONPATH")])])
    _write_checkpoint(tf, {"a/w": np.zeros(3)}, tmp_path / "model.ckpt", "V2")
    checkpoint, output = tmp_path / "model.ckpt", tmp_path / "model.pb"
    for arguments, purpose in (
        (["model", "freeze", checkpoint, "-o", output], "freezing"),
        (["model", "info", "--weights", checkpoint], "reading"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "perftool", *map(str, arguments)],
            env={**environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == (
            f"perftool: {checkpoint}: {purpose} a checkpoint takes TensorFlow, which is not installed:"
            " pip install 'perftool[tensorflow]'\n"
        )
    assert not output.exists()
