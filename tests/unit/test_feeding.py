"""What a feeding may say, and that what it says happens inside the model, once and in the right order."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as ops

from perftool.cli.feeding import fed, read_feeding
from perftool.errors import InputError, UsageError
from perftool.model import sources
from perftool.model.feeding import build_in
from perftool.model.inception import inception_v4_openvino
from perftool.model.inception.inception_v4 import variable_shapes
from perftool.spec import Feeding, ModelFile, ReferenceModel

MEAN = (10.0, 60.0, 200.0)
SCALE = (20.0, 50.0, 90.0)


def pictured(shape: tuple[int, ...] = (1, 3, 6, 8), element: Any = np.float32) -> ov.Model:
    """Make a model whose nine scores are the mean of each channel over thirds of the width, as it is fed."""
    data = ops.parameter(list(shape), element, name="image")
    data.output(0).get_tensor().set_names({"image"})
    node: Any = ops.convert(data, "f32")
    if shape[-1] == 3:
        node = ops.transpose(node, np.array([0, 3, 1, 2]))
    starts = [ops.constant(np.array([0, 0, 0, start])) for start in (0, 3, 6)]
    ends = [ops.constant(np.array([9, 9, 9, end])) for end in (3, 6, 8)]
    step = ops.constant(np.array([1, 1, 1, 1]))
    thirds = [ops.slice(node, start, end, step) for start, end in zip(starts, ends, strict=True)]
    means = [ops.reduce_mean(third, np.array([2, 3]), False) for third in thirds]
    return ov.Model([ops.result(ops.concat(means, 1))], [data], "pictured")


def run(model: ov.Model, image: NDArray[Any]) -> NDArray[Any]:
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(image)[0])


@pytest.fixture
def bgr() -> NDArray[np.float32]:
    """An image as perftool feeds it: [1, 3, height, width], BGR, 0..255."""
    rng = np.random.Generator(np.random.Philox(1))
    return rng.integers(0, 256, (1, 3, 6, 8)).astype(np.float32)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["BGR", "RGB", None])
@pytest.mark.parametrize("mean", [(), (127.5,), MEAN])
@pytest.mark.parametrize("scale", [(), (127.5,), SCALE])
def test_the_model_sees_what_it_is_said_to_want(
    bgr: NDArray[np.float32], layout: Any, color: Any, mean: tuple[float, ...], scale: tuple[float, ...]
) -> None:
    wanted = bgr[:, ::-1] if color == "RGB" else bgr
    wanted = (wanted - np.reshape(mean or 0, (-1, 1, 1))) / np.reshape(scale or 1, (-1, 1, 1))
    wanted = wanted.astype(np.float32)
    shape = (1, 3, 6, 8) if layout == "NCHW" else (1, 6, 8, 3)
    expected = run(pictured(shape), wanted if layout == "NCHW" else wanted.transpose(0, 2, 3, 1))
    feeding = Feeding(mean=mean, scale=scale, color=color, layout=layout)
    model, _ = build_in(pictured(shape), feeding, "m")
    assert list(model.inputs[0].get_shape()) == [1, 3, 6, 8]
    assert model.inputs[0].get_element_type() == ov.Type.f32
    assert np.allclose(run(model, bgr), expected, atol=1e-4)


def test_eight_bit_models_take_colour_and_layout(bgr: NDArray[np.float32]) -> None:
    shape, pixels = (1, 6, 8, 3), bgr.astype(np.uint8).transpose(0, 2, 3, 1)
    plain, reversed_ = (run(pictured(shape, np.uint8), np.ascontiguousarray(one)) for one in _both(pixels))
    for color, expected in (("BGR", plain), ("RGB", reversed_), (None, reversed_)):
        feeding = Feeding(color=color, layout="NHWC")  # type: ignore[arg-type]
        model, words = build_in(pictured(shape, np.uint8), feeding, "m")
        assert np.allclose(run(model, bgr), expected)
        assert words == f"NHWC u8, {color or 'RGB'} 0..255"


def _both(pixels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return pixels, pixels[..., ::-1]


@pytest.mark.parametrize(("field", "option"), [("mean", "--mean"), ("scale", "--scale")])
def test_eight_bit_models_take_no_normalization(field: str, option: str) -> None:
    with pytest.raises(InputError, match=f"^m: {option}: its input takes 8-bit pixels"):
        build_in(pictured((1, 6, 8, 3), np.uint8), Feeding(**{field: (127.5,)}), "m")  # type: ignore[arg-type]


def test_a_layout_that_contradicts_the_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"^m: --layout: NHWC contradicts .*\[1,3,6,8\], which is NCHW"):
        build_in(pictured(), Feeding(layout="NHWC"), "m")


def test_normalization_and_reversal_add_no_kernel_of_their_own() -> None:
    """The original Inception v4, fed so, runs the very kernels of the converted one that is built in."""
    weights = _cheap_weights()
    feeding = Feeding(mean=(127.5,), scale=(127.5,), color="RGB", layout="NHWC")
    original = inception_v4_openvino.build(weights, convention="original")
    model, words = build_in(original, feeding, "m")
    assert words == "NHWC f32, RGB, (x - 127.5) / 127.5"
    assert _kernels(model) == _kernels(inception_v4_openvino.build(weights))


def _cheap_weights() -> dict[str, NDArray[np.float32]]:
    return {
        name: np.full(shape, 0.001, np.float32) + (name.endswith("variance"))
        for name, shape in variable_shapes().items()
    }


def _kernels(model: ov.Model) -> list[tuple[str, str]]:
    """List what a compiled model executes: the type and the primitive of each step, constants apart."""
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    info = [op.get_rt_info() for op in compiled.get_runtime_model().get_ordered_ops()]
    kinds = [(one["layerType"].value, one["primitiveType"].value) for one in info]
    return sorted(kind for kind in kinds if kind[0] not in ("Const", "Reshape"))


# ---------------------------------------------------------------- from files


def save(model: ov.Model, path: Path) -> Path:
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def load(path: Path, **fields: Any) -> sources.Loaded:
    return sources.load_with_feeding(ModelFile(path=str(path), feeding=Feeding(**fields)), 1)


def test_a_file_is_fed_as_stated_and_taken_as_it_is_otherwise(tmp_path: Path) -> None:
    path = save(pictured((1, 6, 8, 3)), tmp_path / "m.xml")
    stated = load(path, color="RGB", scale=(255.0,))
    assert (stated.fed, stated.assumed) == ("NHWC f32, RGB, x / 255", False)
    assert list(stated.model.inputs[0].get_shape()) == [1, 3, 6, 8]
    found = load(path)
    assert (found.fed, found.assumed) == ("NHWC f32, BGR 0..255", True)
    assert list(found.model.inputs[0].get_shape()) == [1, 6, 8, 3]


def test_a_known_model_is_recognised_by_its_ports(tmp_path: Path) -> None:
    weights = _cheap_weights()
    path = save(inception_v4_openvino.build(weights, convention="original"), tmp_path / "m.xml")
    found = load(path)
    assert found.fed == "NHWC f32, RGB, (x - 127.5) / 127.5 (recognised as googlenet-v4-tf)"
    assert not found.assumed
    entry, exit_ = found.model.inputs[0], found.model.outputs[0]
    assert (entry.get_names(), list(entry.get_shape())) == ({"data"}, [1, 3, 299, 299])
    assert entry.get_node().get_friendly_name() == "data"
    assert exit_.get_names() == {"InceptionV4/Logits/Predictions"}
    stated = load(path, color="RGB", mean=(0.0,))
    assert stated.fed == "NHWC f32, RGB, (x - 0)"


def test_the_converted_form_is_no_original(tmp_path: Path) -> None:
    path = save(inception_v4_openvino.build(_cheap_weights()), tmp_path / "m.xml")
    found = load(path)
    assert found.fed == "NCHW f32, BGR 0..255"
    assert found.assumed


@pytest.mark.parametrize(
    "left_open",
    [[-1, 3, -1, -1], [1, 3, -1, 8], [-1, -1, -1, -1], None],
    ids=["sizes", "height", "all", "rank"],
)
def test_a_shape_fixes_what_the_file_leaves_open(tmp_path: Path, left_open: list[int] | None) -> None:
    shape = ov.PartialShape.dynamic() if left_open is None else ov.PartialShape(left_open)
    data = ops.parameter(shape, np.float32, name="image")
    mean = ops.reduce_mean(data, np.array([2, 3]), False)
    path = save(ov.Model([ops.result(mean)], [data], "open"), tmp_path / "m.xml")
    with pytest.raises(InputError, match="--input-shape"):
        load(path)
    found = load(path, shape=(1, 3, 6, 8))
    assert list(found.model.inputs[0].get_shape()) == [1, 3, 6, 8]
    assert found.assumed


def test_a_shape_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    path = save(pictured(), tmp_path / "m.xml")
    with pytest.raises(InputError, match=r"--input-shape: 1,3,9,9 contradicts its input's \[1,3,6,8\]"):
        load(path, shape=(1, 3, 9, 9))


def test_an_open_batch_becomes_the_batch_that_is_wanted(tmp_path: Path) -> None:
    path = save(pictured((-1, 6, 8, 3)), tmp_path / "m.xml")
    source = ModelFile(path=str(path), feeding=Feeding(color="RGB"))
    assert list(sources.load(source, 1).outputs[0].get_shape()) == [1, 9]
    assert list(sources.load(source, 4).inputs[0].get_shape()) == [4, 3, 6, 8]


def test_what_makes_no_sense_is_refused_also_from_a_profile(tmp_path: Path) -> None:
    path = save(pictured(), tmp_path / "m.xml")
    with pytest.raises(InputError, match=r"m\.xml: --scale: 0; values are divided by it"):
        load(path, scale=(0.0,))


# ---------------------------------------------------------------- as options


def test_options_are_read() -> None:
    assert read_feeding(None, None, None, None, None) == Feeding()
    found = read_feeding("123.675,116.28, 103.53", "58", "RGB", "NCHW", "1,3,224,224")
    assert found.mean == (123.675, 116.28, 103.53)
    assert found.scale == (58.0,)
    assert found.shape == (1, 3, 224, 224)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": "0"}, "--scale: 0"),
        ({"scale": "1,0,1"}, "--scale: 0"),
        ({"mean": "1,2"}, "--mean: 2 values"),
        ({"mean": "nan"}, "--mean: nan is not finite"),
        ({"mean": "grey"}, "--mean: 'grey' is no number"),
        ({"mean": ""}, "--mean: '' is no number"),
        ({"input_shape": "3,224,224"}, "--input-shape: 3,224,224 has 3 sizes"),
        ({"input_shape": "1,4,224,224"}, "--input-shape: 1,4,224,224 has its 3 channels neither"),
        ({"input_shape": "1,3,224,-1"}, "--input-shape: 1,3,224,-1: sizes are whole numbers"),
        ({"input_shape": "1e30,3,4,4"}, "--input-shape: 1e30,3,4,4: sizes are whole numbers"),
        (
            {"input_shape": "2147483648,3,4,4"},
            "--input-shape: 2147483648,3,4,4: sizes are whole numbers from 1 to 2147483647",
        ),
        ({"input_shape": f"{'9' * 5000},3,4,4"}, f"--input-shape: {'9' * 60}: sizes are whole numbers"),
        ({"input_shape": "1,3,4,"}, "--input-shape: 1,3,4,: sizes are whole numbers"),
        ({"input_shape": ""}, "--input-shape: : sizes are whole numbers"),
        ({"input_shape": "1,3,224,2.5"}, "--input-shape: 1,3,224,2.5: sizes are whole numbers"),
        (
            {"layout": "NHWC", "input_shape": "1,3,224,224"},
            "--layout: NHWC contradicts the shape 1,3,224,224",
        ),
    ],
)
def test_bad_options_get_one_line_with_their_name(options: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = dict.fromkeys(("mean", "scale", "color", "layout", "input_shape")) | options
    with pytest.raises(UsageError) as raised:
        read_feeding(**given)
    assert str(raised.value).startswith(words)
    assert "\n" not in str(raised.value)


def test_a_built_in_model_needs_no_telling() -> None:
    name = ReferenceModel(name="googlenet-v4-tf")
    assert fed(name, Feeding()) == name
    with pytest.raises(UsageError, match="go with a model file; perftool builds googlenet-v4-tf itself"):
        fed(name, Feeding(color="RGB"))
    assert fed(ModelFile(path="m.onnx"), Feeding(color="RGB")) == ModelFile(
        path="m.onnx", feeding=Feeding(color="RGB")
    )
