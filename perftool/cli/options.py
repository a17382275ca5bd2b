"""Options that several commands share, and reading lists of values."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perftool.errors import InputError, UsageError

if TYPE_CHECKING:
    from perftool.spec import Bound, Objective


class SearchName(StrEnum):
    """How a space is searched."""

    race = "race"
    grid = "grid"
    tpe = "tpe"


class PreprocessName(StrEnum):
    """The presets of `model.presets`, by name."""

    central_crop = "central-crop"
    imagenet = "imagenet"
    resize_crop = "resize-crop"
    resize = "resize"


class Percentile(StrEnum):
    """The percentiles that a latency limit may be put on."""

    p50 = "50"
    p90 = "90"
    p95 = "95"
    p99 = "99"


Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="TF-slim variables (.npz), a TensorFlow checkpoint, or `reference`. "
        "Default: the fetched ones, or else the reference weights.",
    ),
]
DatasetDir = Annotated[
    Path | None, typer.Option("--dataset", help="A folder of images.", show_default="built-in")
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Its label file: `file class` per line, or CSV. Default: its val.txt or labels.csv.",
    ),
]
CalibrationDir = Annotated[
    Path | None,
    typer.Option("--calibration", help="A folder of images for INT8. Default: a part of the data set."),
]
Preprocess = Annotated[
    PreprocessName | None,
    typer.Option("--preprocess", help="How images are cut and normalized. Default: as the model wants it."),
]
CalibrationImages = Annotated[
    int | None, typer.Option("--calibration-images", min=1, help="How many images calibrate INT8.")
]
EvaluationImages = Annotated[
    int | None, typer.Option("--evaluation-images", min=1, help="How many images at most evaluate accuracy.")
]
ObjectiveOption = Annotated[
    str | None,
    typer.Option(
        "--objective",
        help="What to be best at: throughput, latency (of a single request, at --percentile), rate, "
        "efficiency (images per joule), or weights of metrics, as in throughput=1,latency_p50=0.5.",
    ),
]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        help="A limit on any metric, in its unit or one given, as in 'latency_p95 <= 30ms', "
        "'top1_drop <= 0.5pp', 'throughput >= 20' (repeatable; inf: none).",
    ),
]
MaxLatency = Annotated[
    float | None, typer.Option("--max-latency-ms", help="Limit on the latency of a request, in ms.")
]
PercentileOption = Annotated[
    Percentile | None,
    typer.Option(
        "--percentile",
        help="The percentile of those latencies, and of the objective latency. Default: the profile's.",
    ),
]
SloMs = Annotated[
    float | None,
    typer.Option(
        "--slo-ms",
        help="Be best at the rate whose latency, under open load, holds this bound in ms.",
    ),
]
MaxDrop = Annotated[
    float | None,
    typer.Option("--max-accuracy-drop", help="Limit on the loss of top-1, in percentage points (inf: none)."),
]
MaxMemory = Annotated[
    float | None, typer.Option("--max-memory-mb", help="Limit on the peak RSS, in MB (10^6).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunFolder = Annotated[Path, typer.Argument(help="A run's folder.", metavar="RUN")]


def objective_of(objective: str | None, slo_ms: float | None) -> "Objective | None":
    """Return the objective that the options name; a bound under open load is the rate's."""
    from perftool.analysis.wishes import parse_objective

    try:
        found = None if objective is None else parse_objective(objective)
    except InputError as error:
        raise UsageError(f"--objective: {error}") from None
    if slo_ms is None:
        return found
    if found not in (None, "rate"):
        raise UsageError(f"--slo-ms is what the objective rate compares, not {objective}: give one")
    return "rate"


def bounds_of(limits: Sequence[str] | None) -> "tuple[Bound, ...] | None":
    """Read the limits on metrics; None where there are none."""
    from perftool.analysis.wishes import parse_bound

    try:
        return tuple(parse_bound(text) for text in limits) if limits else None
    except InputError as error:
        raise UsageError(f"--limit: {error}") from None


def limits_of(
    max_latency_ms: float | None,
    slo_ms: float | None,
    percentile: Percentile | None,
    max_accuracy_drop: float | None,
    max_memory_mb: float | None,
    limit: Sequence[str] | None,
) -> dict[str, Any]:
    """Return the options that limit a choice, by the names that `sweep.profile` has for them."""
    return {
        "latency_ms": max_latency_ms,
        "slo_ms": slo_ms,
        "percentile": int(percentile.value) if percentile else None,
        "accuracy_drop_pp": max_accuracy_drop,
        "memory_mb": max_memory_mb,
        "bounds": bounds_of(limit),
    }


def run_folder(path: Path) -> Path:
    """Return a run's folder, given that or the journal in it; anything else is refused where it is read."""
    from perftool.journal import JOURNAL

    return path.parent if path.name == JOURNAL and path.is_file() else path


def default_folder(model: str, kind: str = "") -> Path:
    """Return reports/<time>-<kind><model>, in the folder that the command is run from."""
    import re
    import time

    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(model).stem).strip("-.") or "model"
    return Path("reports") / f"{time.strftime('%Y%m%d-%H%M%S')}-{kind}{safe}"


def words(values: Sequence[str] | None) -> list[str] | None:
    """Split option values at commas: `--batch 1,4 --batch 8` is 1, 4, 8; None when there are none."""
    if not values:
        return None
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def numbers(values: Sequence[str] | None) -> list[int | str] | None:
    """Read option values as whole numbers; what is none stays a word, for the profile's check to refuse."""
    found = words(values)
    if found is None:
        return None
    return [int(word) if word.isascii() and word.isdigit() and len(word) < 19 else word for word in found]
