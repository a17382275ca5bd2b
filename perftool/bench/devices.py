"""Device names: which hardware stands behind one, and what to install where it is missing.

Runtime-free: the parent plans with it, children explain with it.
"""

import re
from collections.abc import Sequence

from perftool.errors import last_line
from perftool.machine import DeviceMissing

VIRTUAL = ("AUTO", "HETERO", "MULTI", "BATCH")

ADVICE = {
    "GPU": "install the Intel GPU driver with OpenCL (packages ocl-icd-libopencl1 and intel-opencl-icd), "
    "then see that /dev/dri is readable",
    "NPU": "install the Intel NPU driver (packages intel-level-zero-npu and intel-driver-compiler-npu), "
    "then see that /dev/accel is readable",
}

#: What the runtime says, beside a library that cannot be loaded, when a device is not there.
SIGNS = (
    "as device id",
    "No device with",
    "Can not find",
    "No available devices",
    "Failed to create plugin",
)


def hardware(device: str, available: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the hardware devices behind a device name.

    `MULTI:CPU,GPU` is CPU and GPU, `BATCH:CPU(4)` is CPU, `AUTO` every available device, `AUTO:-GPU` all of
    those but GPU; `GPU.1` is itself, `GPU.0` another name of GPU.
    """
    kind, _, rest = device.partition(":")
    if kind not in VIRTUAL:
        return (device.removesuffix(".0"),)
    names = [name.partition("(")[0].strip().removesuffix(".0") for name in rest.split(",") if name.strip()]
    excluded = {name[1:] for name in names if name.startswith("-")}
    chosen = [name for name in names if not name.startswith("-")] or [
        name.removesuffix(".0") for name in available
    ]
    return tuple(dict.fromkeys(name for name in chosen if name not in excluded))


def uncounted(device: str) -> str | None:
    """Say why the layers of a device cannot be timed, None where they can.

    A virtual device hands requests on: whose counters it would show, and of which part, is not defined.
    """
    if device.partition(":")[0] not in VIRTUAL:
        return None
    return f"{device} hands requests on to other devices and has no counters of its own: name one (CPU)"


def batch_size(device: str) -> int | None:
    """Return the batch that a BATCH device collects, None for any other and where it chooses itself."""
    found = re.fullmatch(r"BATCH:[^()]+\((\d+)\)", device)
    return max(1, int(found.group(1))) if found else None


def advice(device: str) -> str:
    """Say what to install for a device."""
    kinds = [name.partition(".")[0] for name in hardware(device)]
    return next((ADVICE[kind] for kind in kinds if kind in ADVICE), "see `perftool devices` for what is here")


def missing(device: str, error: str) -> DeviceMissing | None:
    """Read a runtime's error as a missing device or driver; None when it is something else."""
    if match := re.search(r"([\w.+-]+\.so[\w.]*): cannot open shared object file", error):
        reason = f"no driver: {match.group(1)} cannot be loaded"
    elif "is not registered in the OpenVINO Runtime" in error:
        reason = "no such device is known to OpenVINO"
    elif any(sign in error for sign in SIGNS):
        reason = last_line(error)
    else:
        return None
    return DeviceMissing(name=device, reason=reason, advice=advice(device))
