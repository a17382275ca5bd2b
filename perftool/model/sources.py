"""Get a model from where it comes from, at the batch that is wanted, fed as perftool feeds.

Runs in a child process. A model is one image input and one classification output; anything else is refused
here, in one line. Which model a source is, by content, says `model.identity`; how a feeding is built into a
model, `model.feeding`.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import openvino as ov

from perftool.errors import InputError, last_line
from perftool.images.sets import image_size, layout, static_shape
from perftool.model import feeding
from perftool.model.identity import check_name, companions, weights_said
from perftool.model.naming import restore_names
from perftool.published.catalogue import Known, known, names, recognise
from perftool.spec import Convention, ModelFile, ModelSource, ReferenceModel, WeightedModel

#: Element types that an image can be fed as.
IMAGE_TYPES: Final = ("f32", "f16", "u8")

#: Endings of files that are taken as they are read: an IR went through conversion, and OpenVINO's converter
#: takes neither Paddle's newer format nor a meta graph.
_NOT_CONVERTED: Final = (".xml", ".json", ".meta")

_OPEN_SHAPE: Final = "; `perftool model convert --input-shape` fixes what a file leaves open"

#: The input's name in the converted convention.
CONVERTED_INPUT: Final = "data"


class Loaded(NamedTuple):
    """A model as perftool feeds it, and how its source wanted its images, in words.

    `assumed` tells that nobody stated the latter and no known model was recognised.
    """

    model: ov.Model
    fed: str
    assumed: bool


def load(source: ModelSource, batch: int) -> ov.Model:
    """Build or read a model and give it a batch; built-in models come in the converted convention.

    A file's feeding is built in, the stated one or that of a known model in its original convention, so that
    what takes it stands for BGR, 0..255, in NCHW and float32. Any other file is taken as it is. Raises
    InputError for files that are missing or no models, for models that are no image classifiers or do not
    take the batch, and for a feeding that makes no sense or contradicts the file.
    """
    return load_with_feeding(source, batch).model


def load_with_feeding(source: ModelSource, batch: int) -> Loaded:
    """Load a model as `load` does, and say how its source wanted its images."""
    if not isinstance(source, ModelFile):
        model = build(source, convention="converted", batch=batch)
        return Loaded(
            model, f"{feeding.taken_as_it_is(model.inputs[0])} (built in, {weights_said(source)})", False
        )
    feeding.check(source.feeding, source.path)
    model = _open(source.path)
    _check_ports(model, source.path)
    feeding.fix_shape(model, source.feeding.shape, source.path)
    check_classifier(model, source.path)
    found = _fed(model, source)
    return found._replace(model=rebatch(found.model, batch))


def may_be_recognised(source: ModelSource) -> bool:
    """Tell whether the catalogue decides how a source is fed: it is a file, and nobody stated that."""
    return isinstance(source, ModelFile) and not source.feeding.states_values


def _fed(model: ov.Model, source: ModelFile) -> Loaded:
    """Build in the feeding that is stated, or that of a known model; else take the model as it is."""
    if not may_be_recognised(source):
        return Loaded(*feeding.build_in(model, source.feeding, source.path), False)
    if found := _recognised(model, Path(source.path)):
        model, fed = feeding.build_in(model, found.feeding, source.path)
        _rename(model.inputs[0], CONVERTED_INPUT)
        _rename(model.outputs[0], found.original.output)
        return Loaded(model, f"{fed} (recognised as {found.name})", False)
    return Loaded(model, feeding.taken_as_it_is(model.inputs[0]), True)


def _recognised(model: ov.Model, path: Path) -> Known | None:
    """Look for a known model by the names that a reader may have left to the ports.

    A SavedModel's input goes by what its signature calls it, and nothing is left of its name in the graph. So
    any will do, where the image goes straight into a convolution: nothing normalizes it on the way.
    """
    entry, exit_ = model.inputs[0], model.outputs[0]
    inputs = {*entry.get_names(), entry.get_node().get_friendly_name()}
    if path.is_dir() and _goes_into_a_convolution(entry):
        inputs |= {known(name).original.input for name in names()}
    outputs = {*exit_.get_names(), exit_.get_node().input_value(0).get_node().get_friendly_name()}
    shape = static_shape(entry)
    candidates = (recognise(one, shape, other) for one in sorted(inputs) for other in sorted(outputs))
    return next((model for model in candidates if model), None)


def _goes_into_a_convolution(port: Any) -> bool:
    readers = [target.get_node() for target in port.get_target_inputs()]
    if len(readers) == 1 and readers[0].get_type_name() == "Transpose":
        return _goes_into_a_convolution(readers[0].output(0))
    return bool(readers) and all(reader.get_type_name() == "Convolution" for reader in readers)


def _rename(port: Any, name: str) -> None:
    """Name a port; an input's node too, since that is what an IR shows."""
    port.get_tensor().set_names({name})
    node = port.get_node()
    if node.get_type_name() == "Parameter":
        node.set_friendly_name(name)


def build(source: ReferenceModel | WeightedModel, *, convention: Convention, batch: int) -> ov.Model:
    """Build a built-in model from its reference weights or a file's.

    Raises InputError for an unknown name and for weights that do not fit.
    """
    check_name(source.name)
    # Its graph and weights are not needed where models come from files.
    from perftool.model.inception import inception_v4_openvino

    if isinstance(source, WeightedModel):
        from perftool.model.inception.inception_v4 import variable_shapes
        from perftool.model.inception.weights import load_weights

        weights = load_weights(source.weights, variable_shapes())
        return inception_v4_openvino.build(weights, convention=convention, batch=batch, origin=source.weights)
    from perftool.model.inception.reference import reference_weights

    return inception_v4_openvino.build(reference_weights(), convention=convention, batch=batch)


def read(path: str | Path) -> ov.Model:
    """Read a model file of any format that the runtime knows, as it is.

    Raises InputError with the path and what the runtime said last.
    """
    model = _open(path)
    check_classifier(model, str(path))
    return model


def _open(path: str | Path) -> ov.Model:
    """Read a file; of another format than IR, with what conversion fuses (batch norm, transposes)."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        model = ov.Core().read_model(path)
        if path.suffix.lower() in _NOT_CONVERTED:
            return model
        converted = ov.convert_model(path)
        restore_names(converted, model)
        return converted
    except RuntimeError as error:
        raise InputError(f"{path}: {_why_unreadable(path, str(error))}") from error


def check_classifier(model: ov.Model, name: str) -> None:
    """Raise InputError unless the model has exactly one image input and one classification output."""
    _check_ports(model, name)
    entry, exit_ = model.inputs[0], model.outputs[0]
    if layout(static_shape(entry)) is None:
        hint = _OPEN_SHAPE if entry.get_partial_shape().is_dynamic else ""
        raise InputError(f"{name}: its input {_port(entry)} is no batch of 3-channel images{hint}")
    try:
        image_size(entry)
    except InputError as error:
        raise InputError(f"{name}: {error}{_OPEN_SHAPE}") from error
    if entry.get_element_type().get_type_name() not in IMAGE_TYPES:
        raise InputError(f"{name}: its input {_port(entry)} is none of the types {', '.join(IMAGE_TYPES)}")
    if classes(exit_) is None:
        raise InputError(f"{name}: its output {_port(exit_)} is no batch of class scores")


def _check_ports(model: ov.Model, name: str) -> None:
    """Raise InputError unless the model has one input and one output."""
    if len(model.inputs) != 1:
        raise InputError(f"{name}: {_listed(model.inputs, 'input')}; perftool wants one image")
    if len(model.outputs) != 1:
        raise InputError(f"{name}: {_listed(model.outputs, 'output')}; perftool wants one, class scores")


def classes(port: Any) -> int | None:
    """Count the classes that an output of [batch, classes] scores (1s may follow); None for any other."""
    shape = static_shape(port)
    if len(shape) < 2 or shape[1] < 2 or any(size != 1 for size in shape[2:]):
        return None
    return shape[1]


def rebatch(model: ov.Model, batch: int) -> ov.Model:
    """Reshape a model to a batch, in place, and return it.

    Raises InputError when the reshape fails, or leaves the output at another batch: some models have theirs
    written into a Reshape, and only some of those say so.
    """
    name = model.get_friendly_name()
    shape = model.inputs[0].get_partial_shape()
    if shape[0].is_dynamic or shape[0].get_length() != batch:
        shape[0] = ov.Dimension(batch)
        try:
            model.reshape({model.inputs[0]: shape})
        except RuntimeError as error:
            reason = last_line(error)
            raise InputError(f"model {name} cannot be reshaped to batch {batch}: {reason}") from error
    followed = static_shape(model.outputs[0])
    if not followed or followed[0] not in (-1, batch):
        raise InputError(
            f"model {name} cannot be reshaped to batch {batch}: "
            f"its output {_port(model.outputs[0])} does not follow"
        )
    return model


def is_quantized(model: ov.Model) -> bool:
    """Tell whether a model is quantized already: it has FakeQuantize, or weights stored in 8 bits."""
    for op in model.get_ops():
        kind = op.get_type_name()
        if kind in ("FakeQuantize", "FakeConvert", "QuantizeLinear", "DequantizeLinear"):
            return True
        if kind == "Constant" and op.get_element_type().get_type_name() == "i8" and len(op.get_shape()) > 1:
            return True
    return False


def _why_unreadable(path: Path, message: str) -> str:
    if path.suffix.lower() == ".xml" and "bin file" in message:
        weights = companions(path)[0]
        return f"{weights.name} is damaged" if weights.exists() else f"{weights.name} is missing beside it"
    if "Unable to read the model" in message:
        return "not a model that OpenVINO reads (IR, ONNX, TensorFlow, TFLite, Paddle), or a damaged one"
    return f"cannot be read: {last_line(message)}"


def _listed(ports: list[Any], kind: str) -> str:
    if not ports:
        return f"no {kind}"
    return f"{len(ports)} {kind}s: {', '.join(map(_port, ports))}"


def _port(port: Any) -> str:
    names = sorted(port.get_names())
    shape = str(port.get_partial_shape())
    return f"{names[0] if names else 'without a name'} {port.get_element_type().get_type_name()}{shape}"
