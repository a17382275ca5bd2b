"""What a device's peaks allow a layer: the roofline of one node. Pure; docs/roofline.md explains it."""

from perftool.analysis.roofline import Roofline, ceiling_of
from perftool.analysis.stats import Estimate
from perftool.record import LayerTime


def computing_ns(layer: LayerTime, requests: int, roofline: Roofline | None) -> Estimate | None:
    """Return the least time that a layer's operations take, while `requests` of its kind share the device.

    None without operations, or where no kernel was measured in its precision.
    """
    found = ceiling_of(roofline, layer.precision) if roofline else None
    return _taken(requests * layer.flops, found.gflops) if layer.flops and found else None


def least_ns(layer: LayerTime, requests: int, roofline: Roofline | None) -> Estimate | None:
    """Return the least time that the peaks allow a layer, while `requests` of its kind share the device.

    The larger of what its operations and what its bytes take at the peaks; None where one is not known.
    """
    if roofline is None or not (layer.flops or layer.bytes):
        return None
    computing = computing_ns(layer, requests, roofline)
    if layer.flops and computing is None:
        return None
    moving = _taken(requests * layer.bytes, roofline.bandwidth_gb_s)
    return moving if computing is None else _longer(computing, moving)


def _taken(work: int, rate: Estimate) -> Estimate:
    """Return how long work takes at a rate, in nanoseconds; the highest rate gives the lower end."""
    return Estimate(
        point=work / rate.point,
        low=work / rate.high if rate.high else None,
        high=work / rate.low if rate.low else None,
    )


def _longer(one: Estimate, other: Estimate) -> Estimate:
    def end(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else max(a, b)

    return Estimate(
        point=max(one.point, other.point), low=end(one.low, other.low), high=end(one.high, other.high)
    )
