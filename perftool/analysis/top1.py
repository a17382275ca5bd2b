"""Compare what the same model file, as it runs on a device, said about the same images in two runs."""

from collections.abc import Sequence

from msgspec import structs

from perftool.analysis import accuracy
from perftool.analysis.compared import AccuracyShift
from perftool.journal import Run
from perftool.record import Compiled, Evaluated
from perftool.spec import Configuration


def accuracy_shifts(before: Sequence[Run], now: Sequence[Run]) -> tuple[AccuracyShift, ...]:
    """Compare every variant that either side evaluated; p-values are not adjusted, and nothing is judged.

    Of several runs of a side the first that evaluated a variant speaks. What one side alone evaluated is
    there too, with the reason: an accuracy that is gone must be seen to be.
    """
    was, is_now = _by_variant(before), _by_variant(now)
    return tuple(
        pair_evaluations(name, was[name], is_now[name])
        if name in was and name in is_now
        else _unpaired(name, was.get(name), is_now.get(name))
        for name in dict.fromkeys((*was, *is_now))
    )


def evaluation_in(run: Run, configuration: Configuration, executed: str | None) -> Evaluated | None:
    """Return the evaluation that speaks for a configuration of a run, which `executed` in this precision."""
    compiled = [
        entry.record
        for entry in run.entries
        if isinstance(entry.record, Compiled) and entry.record.configuration == configuration.id
    ]
    evaluations = [entry.record for entry in run.entries if isinstance(entry.record, Evaluated)]
    return accuracy.evaluation_of(configuration, compiled[-1] if compiled else None, executed, evaluations)


def _by_variant(runs: Sequence[Run]) -> dict[str, Evaluated]:
    """Return the evaluations by file, device and inference precision: of each run the last one."""
    found: dict[str, Evaluated] = {}
    for run in reversed(runs):
        evaluations = (entry.record for entry in run.entries if isinstance(entry.record, Evaluated))
        found |= {
            f"{one.weight_format} file in {one.inference_precision} on {one.device}": one
            for one in evaluations
        }
    return found


def _unpaired(variant: str, before: Evaluated | None, now: Evaluated | None) -> AccuracyShift:
    """Set the top-1 of two runs side by side, of which one may have none, without a verdict."""
    whose = "baseline run" if before is None else "run"
    last = now or before
    return AccuracyShift(
        variant=variant,
        before=accuracy.compare(before, None).top1 if before is not None else None,
        now=accuracy.compare(now, None).top1 if now is not None else None,
        images=len(last.top5) if last is not None else 0,
        changed=None,
        drop_pp=None,
        drop_low=None,
        drop_high=None,
        gained=None,
        lost=None,
        p_value=None,
        verdict="not compared",
        regression=False,
        reason=f"not evaluated in the {whose}" if before is None or now is None else _unlike(before, now),
    )


def pair_evaluations(variant: str, before: Evaluated, now: Evaluated) -> AccuracyShift:
    """Pair two evaluations by image, where they are of the same images; as `accuracy_shifts` in all else."""
    found = _unpaired(variant, before, now)
    if found.reason is not None:
        return found
    paired = accuracy.compare(now, before)
    changed = sum(a[:1] != b[:1] for a, b in zip(now.top5, before.top5, strict=True))
    if paired.drop_pp is None:
        return structs.replace(found, changed=changed, reason="the images have no labels")
    return structs.replace(
        found,
        changed=changed,
        drop_pp=paired.drop_pp,
        drop_low=paired.drop_low,
        drop_high=paired.drop_high,
        gained=paired.gained,
        lost=paired.lost,
        p_value=paired.p_value,
        verdict="undecided",
    )


def _unlike(before: Evaluated, now: Evaluated) -> str | None:
    """Say why two evaluations cannot be paired by image."""
    if before.images != now.images or before.left_out != now.left_out or len(before.top5) != len(now.top5):
        return "other images: nothing can be paired"
    if before.labels and now.labels and before.labels != now.labels:
        return "the same images under other labels"
    return "no image" if not now.top5 else None
