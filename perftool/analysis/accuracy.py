"""Compare what each variant said about every image with what the reference said.

The reference is the FP32 file executed in f32. Changes are paired by image, so only evaluations of the same
image set are compared.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from perftool.analysis.result import AccuracyResult
from perftool.analysis.stats import paired_change
from perftool.record import Compiled, Evaluated, Prepared
from perftool.spec import Configuration, Explicit


def reference_of(evaluations: Sequence[Evaluated]) -> Evaluated | None:
    """Return the evaluation that all others are compared with: the FP32 file in f32, on the CPU if there."""
    found = [one for one in evaluations if one.weight_format == "fp32" and one.inference_precision == "f32"]
    found.sort(key=lambda one: (one.device != "CPU", one.precision != "FP32"))
    return found[0] if found else None


def evaluation_of(
    configuration: Configuration,
    compiled: Compiled | None,
    executed_precision: str | None,
    evaluations: Sequence[Evaluated],
) -> Evaluated | None:
    """Find the evaluation that speaks for a configuration: same file, device and inference precision.

    The inference precision is what the compiled model resolved to. A virtual device may not tell: then what
    its kernels executed decides, then what was asked, then the precision's name.
    """
    same = [
        one
        for one in evaluations
        if one.weight_format == configuration.weight_format and one.device == configuration.device
    ]
    resolved = compiled.resolved.get("INFERENCE_PRECISION_HINT") if compiled else None
    if resolved is not None and resolved != "dynamic":
        return next((one for one in same if one.inference_precision == resolved), None)
    setting = configuration.setting
    asked = setting.inference_precision if isinstance(setting, Explicit) else None
    for precision in (executed_precision, asked):
        for one in same:
            if precision is not None and one.inference_precision == precision:
                return one
    return next((one for one in same if one.precision == configuration.precision), None)


def one_file(prepared: Iterable[object]) -> bool:
    """Tell from a run's records whether its model came quantized: the same file in every format then."""
    return any(isinstance(one, Prepared) and bool(one.comes_quantized) for one in prepared)


def compare(evaluated: Evaluated, reference: Evaluated | None, *, one_file: bool = False) -> AccuracyResult:
    """Return the accuracy of an evaluation, and its paired change against the reference.

    `one_file`: every format is the same file, so in one inference precision on one device nothing can differ.
    """
    images = len(evaluated.top5)
    hits = _hits(evaluated)
    comparable = reference is not None and reference.images == evaluated.images
    agreement = drop = low = high = p_value = None
    gained = lost = None
    if comparable and reference is not None and images:
        same = sum(a[:1] == b[:1] for a, b in zip(evaluated.top5, reference.top5, strict=True))
        agreement = 100 * same / images
        before = _hits(reference)
        if hits is not None and before is not None:
            gained = sum(now and not then for now, then in zip(hits, before, strict=True))
            lost = sum(then and not now for now, then in zip(hits, before, strict=True))
            change = paired_change(gained, lost, images)
            drop, low, high, p_value = change.drop_pp, change.low_pp, change.high_pp, change.p_value
            if evaluated is reference or (
                one_file and not gained and not lost and _runs_as(evaluated) == _runs_as(reference)
            ):
                low = high = 0.0
    return AccuracyResult(
        top1=100 * sum(hits) / images if hits is not None and images else None,
        top5=_top5(evaluated),
        images=images,
        drop_pp=drop,
        drop_low=low,
        drop_high=high,
        gained=gained,
        lost=lost,
        p_value=p_value,
        agreement=agreement,
    )


def _runs_as(evaluated: Evaluated) -> tuple[str, str]:
    return evaluated.device, evaluated.inference_precision


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image whose likeliest class a variant changed; without labels `label` and `kind` are None.

    "gained" and "lost" are right now, and right before; "other" is wrong both times, in another class.
    """

    image: str
    label: int | None
    reference: int
    variant: int
    kind: Literal["gained", "lost", "other"] | None


def changes(evaluated: Evaluated, reference: Evaluated, names: Sequence[str]) -> tuple[Change, ...]:
    """List the images whose likeliest class differs from the reference's, lost ones first.

    `names` are those of all images of the set, in their order. Evaluations of different images have nothing
    to be listed.
    """
    if evaluated.images != reference.images or evaluated.left_out != reference.left_out:
        return ()
    left_out = set(reference.left_out)
    names = [name for name in names if name not in left_out]
    labels = evaluated.labels or (None,) * len(names)
    found = [
        Change(image=name, label=label, reference=then[0], variant=now[0], kind=_kind(label, then[0], now[0]))
        for name, label, then, now in zip(names, labels, reference.top5, evaluated.top5, strict=True)
        if then[0] != now[0]
    ]
    order = ("lost", "gained", "other", None)
    return tuple(sorted(found, key=lambda change: order.index(change.kind)))


def _kind(label: int | None, then: int, now: int) -> Literal["gained", "lost", "other"] | None:
    if label is None:
        return None
    return "lost" if then == label else "gained" if now == label else "other"


def _hits(evaluated: Evaluated) -> list[bool] | None:
    """Tell for each image whether the likeliest class is its label; None without labels."""
    if len(evaluated.labels) != len(evaluated.top5):
        return None
    return [
        bool(top) and top[0] == label for top, label in zip(evaluated.top5, evaluated.labels, strict=True)
    ]


def _top5(evaluated: Evaluated) -> float | None:
    if not evaluated.top5 or len(evaluated.labels) != len(evaluated.top5):
        return None
    hits = sum(label in top for top, label in zip(evaluated.top5, evaluated.labels, strict=True))
    return 100 * hits / len(evaluated.top5)
