"""What a device's peaks allow a layer: the roofline of one node. Pure; docs/roofline.md explains it."""

from perftool.analysis.roofline import Roofline, ceiling_of
from perftool.record import LayerTime


def ceiling(precision: str, roofline: Roofline | None) -> float | None:
    """Return the most operations per nanosecond that were seen in a precision."""
    found = ceiling_of(roofline, precision) if roofline else None
    return found.gflops.point if found else None


def least_ns(layer: LayerTime, requests: int, roofline: Roofline | None) -> float | None:
    """Return the least time that the peaks allow a layer, while `requests` of its kind share the device.

    The larger of what its operations and what its bytes take at the peaks; None where one is not known.
    """
    if roofline is None or not (layer.flops or layer.bytes):
        return None
    computing = computing_ns(layer, requests, roofline)
    if layer.flops and computing is None:
        return None
    return max(computing or 0.0, requests * layer.bytes / roofline.bandwidth_gb_s.point)


def computing_ns(layer: LayerTime, requests: int, roofline: Roofline | None) -> float | None:
    """Return the part of that which its operations take; None without operations, or without their peak."""
    best = ceiling(layer.precision, roofline)
    return requests * layer.flops / best if layer.flops and best else None
