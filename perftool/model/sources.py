"""Get a model from where it comes from, at the batch that is wanted.

Runs in a child process. A model is one image input and one classification output; anything else is refused
here, in one line. Which model a source is, by content, says `model.identity`; conversion between conventions
is not done here.
"""

from pathlib import Path
from typing import Any, Final

import openvino as ov

from perftool.errors import InputError
from perftool.model.identity import check_name, companions
from perftool.model.images import image_size, layout, static_shape
from perftool.spec import Convention, ModelFile, ModelSource, ReferenceModel, WeightedModel

#: Element types that an image can be fed as.
IMAGE_TYPES: Final = ("f32", "f16", "u8")


def load(source: ModelSource, batch: int) -> ov.Model:
    """Build or read a model and give it a batch; built-in models come in the converted convention.

    Raises InputError for files that are missing or no models, and for models that are no image classifiers
    or do not take the batch.
    """
    if isinstance(source, ModelFile):
        return rebatch(read(source.path), batch)
    return build(source, convention="converted", batch=batch)


def build(source: ReferenceModel | WeightedModel, *, convention: Convention, batch: int) -> ov.Model:
    """Build a built-in model from its reference weights or a file's.

    Raises InputError for an unknown name and for weights that do not fit.
    """
    check_name(source.name)
    # Its graph and weights are not needed where models come from files.
    from perftool.model import inception_v4

    if isinstance(source, WeightedModel):
        weights = inception_v4.load_weights(source.weights)
        return inception_v4.build(weights, convention=convention, batch=batch, origin=source.weights)
    from perftool.model.reference import reference_weights

    return inception_v4.build(reference_weights(), convention=convention, batch=batch)


def read(path: str | Path) -> ov.Model:
    """Read a model file of any format that the runtime knows, as it is.

    Raises InputError with the path and what the runtime said last.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        model = ov.Core().read_model(path)
    except RuntimeError as error:
        raise InputError(f"{path}: {_why_unreadable(path, str(error))}") from error
    check_classifier(model, str(path))
    return model


def check_classifier(model: ov.Model, name: str) -> None:
    """Raise InputError unless the model has exactly one image input and one classification output."""
    if len(model.inputs) != 1:
        raise InputError(f"{name}: {_listed(model.inputs, 'input')}; perftool wants one image")
    if len(model.outputs) != 1:
        raise InputError(f"{name}: {_listed(model.outputs, 'output')}; perftool wants one, class scores")
    entry, exit_ = model.inputs[0], model.outputs[0]
    if layout(static_shape(entry)) is None:
        raise InputError(f"{name}: its input {_port(entry)} is no batch of 3-channel images")
    try:
        image_size(entry)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    if entry.get_element_type().get_type_name() not in IMAGE_TYPES:
        raise InputError(f"{name}: its input {_port(entry)} is none of the types {', '.join(IMAGE_TYPES)}")
    if classes(exit_) is None:
        raise InputError(f"{name}: its output {_port(exit_)} is no batch of class scores")


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
            reason = _last_line(str(error))
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
    return f"cannot be read: {_last_line(message)}"


def _last_line(message: str) -> str:
    """Return the last line of a runtime's message that says something."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else "the runtime gives no reason"


def _listed(ports: list[Any], kind: str) -> str:
    if not ports:
        return f"no {kind}"
    return f"{len(ports)} {kind}s: {', '.join(map(_port, ports))}"


def _port(port: Any) -> str:
    names = sorted(port.get_names())
    shape = str(port.get_partial_shape())
    return f"{names[0] if names else 'without a name'} {port.get_element_type().get_type_name()}{shape}"
