"""Look at an IR's ports, and write one again at another batch.

Runs in a child process. Nothing but shapes is changed: weights and element types stay as they are.
"""

from typing import Any

import openvino as ov

from perftool.images.sets import static_shape
from perftool.job import Inspect, Rewrite
from perftool.model.sources import read, rebatch
from perftool.model.writing import check_target, write_model
from perftool.record import Inspected, Port, Written


def inspect(job: Inspect) -> Inspected:
    """Read a model's ports; raise InputError where it is no image classifier."""
    model = read(job.path)
    return Inspected(input=_port(model.inputs[0]), output=_port(model.outputs[0]))


def rewrite(job: Rewrite) -> Written:
    """Write a model at another batch; raise InputError where it cannot be reshaped, or not be written."""
    target = check_target(job.output)
    model: ov.Model = rebatch(read(job.source), job.batch)
    return Written(path=str(write_model(model, target)))


def _port(port: Any) -> Port:
    """Name a port as servers do: by its tensor, or by its node where that has no name."""
    names = sorted(port.get_names())
    return Port(
        name=names[0] if names else port.get_node().get_friendly_name(),
        element=port.get_element_type().get_type_name(),
        shape=static_shape(port),
    )
