"""Write a model from wherever it comes as an IR that takes what perftool feeds.

Runs in a child process. Reading a source and building its feeding in is `sources`' work; nothing is quantized
or made smaller here, and nothing is measured: `bench.verify` compares what came out with what went in.
"""

from typing import Any

from perftool.images.sets import layout, static_shape
from perftool.job import Convert
from perftool.model.feeding import usual_color
from perftool.model.sources import load_with_feeding
from perftool.model.writing import check_target, write_model
from perftool.record import Converted


def convert(job: Convert) -> Converted:
    """Write a source's IR, at batch 1, weights in full precision; say what it takes and gives.

    Raises InputError for a source that cannot be read or is fed in a way that makes no sense, and for a
    target that cannot be written.
    """
    target = check_target(job.output)
    source = load_with_feeding(job.model, 1)
    path = write_model(source.model, target)
    return Converted(
        path=str(path),
        input=_takes(source.model.inputs[0]),
        output=_port(source.model.outputs[0]),
        fed=source.fed,
        assumed=source.assumed,
    )


def _takes(port: Any) -> str:
    """Write what an input takes: `data f32 [1,3,299,299] NCHW, BGR 0..255`."""
    found = layout(static_shape(port)) or "NCHW"
    element = port.get_element_type().get_type_name()
    return f"{_port(port, element)} {found}, {usual_color(port, found)} 0..255"


def _port(port: Any, element: str = "") -> str:
    """Write a port's name, its element type if given, and its shape; without a name it goes by its node's."""
    names = sorted(port.get_names()) or [port.get_node().get_friendly_name()]
    shape = f"[{','.join(map(str, static_shape(port)))}]"
    return " ".join(part for part in (names[0], element, shape) if part)
