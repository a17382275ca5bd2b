"""Ask a device what it supports. Runs in a child: a driver may crash here."""

from typing import Any

import openvino as ov

from perftool.bench import host
from perftool.bench.devices import advice, hardware, missing
from perftool.errors import last_line
from perftool.machine import Device, DeviceFound, DeviceMissing


def probe(device: str) -> Device:
    """Describe a device; a virtual one by the hardware behind it."""
    core = ov.Core()
    names = hardware(device, tuple(core.available_devices))
    try:
        core.compile_model(_identity(), device)
    except RuntimeError as error:
        return missing(device, str(error)) or DeviceMissing(
            name=device, reason=f"it compiles nothing: {last_line(error)}", advice=advice(device)
        )
    found = [_hardware(core, name) for name in names]
    alone = len(found) == 1
    settable = set.intersection(*(set(each.properties) for each in found))
    return DeviceFound(
        name=device,
        full_name=" + ".join(each.full_name for each in found),
        capabilities=tuple(sorted(set.intersection(*(set(each.capabilities) for each in found)))),
        streams=found[0].streams if alone else None,
        properties=tuple(sorted(settable)),
        choices=tuple(sorted(settable & host.core_choices())),
    )


def available() -> tuple[str, ...]:
    """List the hardware devices that answer."""
    return tuple(ov.Core().available_devices)


def _hardware(core: ov.Core, name: str) -> DeviceFound:
    supported: dict[str, str] = core.get_property(name, "SUPPORTED_PROPERTIES")
    streams: Any = core.get_property(name, "RANGE_FOR_STREAMS") if "RANGE_FOR_STREAMS" in supported else None
    return DeviceFound(
        name=name,
        full_name=str(core.get_property(name, "FULL_DEVICE_NAME")),
        capabilities=tuple(core.get_property(name, "OPTIMIZATION_CAPABILITIES")),
        streams=(int(streams[0]), int(streams[1])) if streams else None,
        properties=tuple(sorted(key for key, access in supported.items() if access == "RW")),
    )


def _identity() -> ov.Model:
    """Make the smallest model: what a device that compiles at all can compile."""
    from openvino import opset13 as ops

    data = ops.parameter([1, 8], ov.Type.f32, name="data")
    return ov.Model([ops.relu(data)], [data], "identity")
