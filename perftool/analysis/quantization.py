"""What quantizing a model came to: the types behind its report, filled from records.

No I/O, no runtime: `sweep.quantizing` does the work.
"""

from collections.abc import Collection, Mapping
from typing import Literal

from msgspec import Struct

from perftool.analysis.limits import images_needed
from perftool.analysis.result import AccuracyResult
from perftool.analysis.stats import Estimate
from perftool.record import Described, LayerError, Ranked

Method = Literal["plain", "ranked", "nncf"]

#: Layers that NNCF quantizes: those that multiply by weights.
_WEIGHTED = frozenset({"Convolution", "GroupConvolution", "MatMul"})


class LayerReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One layer that multiplies by weights: its precision, the error that int8 adds, and why.

    Errors are noise-to-signal ratios as in `record.LayerError`; None where the layer was never quantized.
    """

    name: str
    type: str
    precision: Literal["int8", "float"]
    flops_share: float
    own_error: float | None
    error_at_output: float | None
    reason: str


class Trial(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One try at a bound: how many layers were kept in floating point, and what it cost in accuracy.

    `images` were run for it. Where these are not all, but those alone whose class plain INT8 changes, the
    drop takes the others as unchanged, and `accuracy` is None: only a screening.
    """

    kept: int
    images: int
    drop_pp: float
    accuracy: AccuracyResult | None
    passes: bool


class Speed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The quantized model's throughput over a float variant's, paired by round; above 1 it is faster."""

    against: str
    ratio: Estimate


class QuantizationReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was quantized, what it cost, and what it gained.

    `inferences` counts images run through a model, calibration and speed apart. `speed` is empty where it
    could not be measured, `executed` then unknown; `accuracy` is None where no bound was given.
    """

    output: str
    method: Method
    device: str
    calibration_images: int
    layers: tuple[LayerReport, ...]
    max_drop_pp: float | None
    reference: AccuracyResult | None
    plain: AccuracyResult | None
    accuracy: AccuracyResult | None
    trials: tuple[Trial, ...]
    inferences: int
    seconds: float
    peak_rss_bytes: int
    file_bytes: int
    executed: str
    speed: tuple[Speed, ...]
    warnings: tuple[str, ...]

    @property
    def kept(self) -> int:
        """Count the layers that are left in floating point."""
        return sum(layer.precision == "float" for layer in self.layers)


def layer_reports(described: Described, ranked: Ranked, kept: Mapping[str, str]) -> tuple[LayerReport, ...]:
    """Report every layer with weights, quantized or not, the largest error at the output first.

    `ranked` is of the plainly quantized model; `kept` gives the reason for each layer taken back from it.
    """
    errors: dict[str, LayerError] = {layer.name: layer for layer in ranked.layers}
    total = max(1, described.flops)
    found = []
    for layer in described.layers:
        error = errors.get(layer.name)
        if layer.type not in _WEIGHTED and error is None:
            continue
        quantized = error is not None and layer.name not in kept
        reason = "" if quantized else kept.get(layer.name, "not quantized: ignored, or not supported by NNCF")
        found.append(
            LayerReport(
                name=layer.name,
                type=layer.type,
                precision="int8" if quantized else "float",
                flops_share=layer.flops / total,
                own_error=error.own if error else None,
                error_at_output=error.at_output if error else None,
                reason=reason,
            )
        )
    return tuple(sorted(found, key=lambda one: -(one.error_at_output or 0.0)))


def bound_warnings(accuracy: AccuracyResult, max_drop_pp: float, *, searched: bool) -> tuple[str, ...]:
    """Say how sure it is that a drop is within its bound, and what the search has done to it."""
    told = []
    low, high = accuracy.drop_low, accuracy.drop_high
    if low is not None and high is not None and low < max_drop_pp < high:
        needs = images_needed(accuracy, max_drop_pp)
        told.append(
            f"uncertain: the drop's interval, {low:+.2f} to {high:+.2f} pp, crosses the bound of "
            f"{max_drop_pp:g} pp" + (f"; to settle it takes {needs}" if needs else "")
        )
    if searched:
        told.append(
            "the layers were chosen by these images, so the drop on them is a little optimistic: confirm it "
            "on others with perftool accuracy"
        )
    return tuple(told)


def speed_warnings(speed: Collection[Speed]) -> tuple[str, ...]:
    """Warn where the quantized model is slower than a float variant, or not surely faster."""
    told = []
    for one in speed:
        ratio = one.ratio
        if ratio.high is not None and ratio.high < 1:
            told.append(
                f"INT8 is SLOWER than {one.against} on this device: {ratio.point:.2f} of its throughput "
                f"({ratio.low:.2f} to {ratio.high:.2f}); ship {one.against} instead"
            )
        elif ratio.low is None or ratio.low <= 1:
            told.append(
                f"INT8 is not surely faster than {one.against} on this device: {ratio.point:.2f} of its "
                "throughput"
            )
    return tuple(told)
