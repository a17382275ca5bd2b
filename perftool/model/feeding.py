"""Build into a model how it wants its images, so that it takes what perftool feeds: BGR, 0..255.

Runs in a child process. What comes out has the converted convention, an input of [batch, 3, height, width] in
float32: normalization, the order of the channels and of the axes are inside, by OpenVINO's own
PrePostProcessor. Where the first layer is a convolution, the reversal of the channels goes into its kernel at
once; what is left of the axes' order and of the normalization the runtime removes or fuses when it compiles,
as it does for the built-in model. Which feeding a model has is not found out here (`model.sources`).
"""

from typing import Any

import openvino as ov
from openvino.preprocess import ColorFormat, PrePostProcessor

from perftool.errors import InputError, last_line
from perftool.images.sets import Layout, layout, static_shape
from perftool.model.convention import OPTIONS, Fault, fault, numbers, values_said
from perftool.spec import Feeding


def check(feeding: Feeding, origin: str) -> None:
    """Raise InputError, naming the origin and the option, for a feeding that makes no sense."""
    if found := fault(feeding):
        raise _refused(found, origin)


def fix_shape(model: ov.Model, shape: tuple[int, ...], origin: str) -> None:
    """Give a model of one input the shape that its file leaves open, in place; without one, a batch of 1.

    Raises InputError for a shape that the model cannot take, or that contradicts a size which is fixed (the
    batch may always be another).
    """
    port = model.inputs[0]
    found = port.get_partial_shape()
    if not shape:
        if found.rank.is_dynamic or len(found) != 4 or not found[0].is_dynamic:
            return
        found[0] = ov.Dimension(1)
        _reshape(model, found, f"{origin}: cannot be given a batch of 1")
        return
    wanted = ov.PartialShape(list(shape))
    if not found.rank.is_dynamic:
        if len(found) == len(shape):
            found[0] = ov.Dimension(shape[0])
        if not found.compatible(wanted):
            contradicted = f"{numbers(shape)} contradicts its input's {port.get_partial_shape()}"
            raise _refused(Fault("shape", contradicted), origin)
    _reshape(model, wanted, f"{origin}: {OPTIONS['shape']} {numbers(shape)} does not fit")


def build_in(model: ov.Model, feeding: Feeding, origin: str) -> tuple[ov.Model, str]:
    """Return the model with its feeding built in, and how it wanted its images, in words.

    The model has one input of 4 dimensions. A colour that is not stated is BGR, except that inputs of 8 bits
    with channels last are RGB, as in `images.to_input`. Raises InputError for a layout that contradicts the
    input, and for mean or scale on an input of 8 bits: that takes pixels, and what turns them into numbers is
    already inside.
    """
    port = model.inputs[0]
    stated = _layout(port, feeding, origin)
    element = port.get_element_type()
    if element == ov.Type.u8 and (feeding.mean or feeding.scale):
        field = "mean" if feeding.mean else "scale"
        problem = "its input takes 8-bit pixels, 0..255, and is normalized inside; leave it out"
        raise _refused(Fault(field, problem), origin)
    color = feeding.color or usual_color(port, stated)
    processor = PrePostProcessor(model)
    image = processor.input()
    image.tensor().set_element_type(ov.Type.f32).set_layout(ov.Layout("NCHW"))
    image.tensor().set_color_format(ColorFormat.BGR)
    image.model().set_layout(ov.Layout(stated))
    # The order of the steps: mean and scale are by channel, in the order that the model wants.
    if color == "RGB":
        image.preprocess().convert_color(ColorFormat.RGB)
    if feeding.mean:
        image.preprocess().mean(list(feeding.mean * (3 // len(feeding.mean))))
    if feeding.scale:
        image.preprocess().scale(list(feeding.scale * (3 // len(feeding.scale))))
    fed = f"{stated} {element.get_type_name()}, {values_said(color, feeding)}"
    try:
        return processor.build(), fed
    except RuntimeError as error:
        raise InputError(f"{origin}: its feeding cannot be built in: {last_line(error)}") from error


def taken_as_it_is(port: Any) -> str:
    """Say how an input port is fed that nothing was built into: its layout, its type, BGR or RGB."""
    found: Layout = layout(static_shape(port)) or "NCHW"
    return f"{found} {port.get_element_type().get_type_name()}, {usual_color(port, found)} 0..255"


def usual_color(port: Any, found: Layout) -> str:
    """Return the order of the channels that perftool feeds a port (see `images.to_input`)."""
    return "RGB" if found == "NHWC" and port.get_element_type() == ov.Type.u8 else "BGR"


def _layout(port: Any, feeding: Feeding, origin: str) -> Layout:
    """Return where the channels are: as stated, else as the shape says."""
    shape = static_shape(port)
    found = layout(shape)
    if found is None:
        raise InputError(f"{origin}: its input {port.get_partial_shape()} is no batch of 3-channel images")
    stated = feeding.layout or found
    if shape[stated.index("C")] != 3:
        problem = f"{stated} contradicts its input's {port.get_partial_shape()}, which is {found}"
        raise _refused(Fault("layout", problem), origin)
    return stated


def _reshape(model: ov.Model, shape: ov.PartialShape, failing: str) -> None:
    try:
        model.reshape({model.inputs[0]: shape})
    except RuntimeError as error:
        raise InputError(f"{failing}: {last_line(error)}") from error


def _refused(found: Fault, origin: str) -> InputError:
    return InputError(f"{origin}: {found}")
