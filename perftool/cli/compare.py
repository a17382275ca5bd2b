"""`perftool compare`: what changed from one run to others, and whether it is a regression."""

import math
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options
from perftool.errors import InputError, RegressionError, UsageError

if TYPE_CHECKING:
    from perftool.analysis.compared import Compared, Comparison

#: How many regressions the error's one line names.
_NAMED = 3


class Format(StrEnum):
    """How a comparison is written."""

    table = "table"
    json = "json"
    markdown = "markdown"
    junit = "junit"


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Runs' folders; each is compared with the first, the baseline.", metavar="RUN_A RUN_B"
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="A metric to compare (repeatable). Default: the objective's, throughput, latency_p50, "
            "latency_p95, peak_rss and top1.",
        ),
    ] = None,
    fail_on_regression: Annotated[
        str | None,
        typer.Option(
            "--fail-on-regression",
            help="End with exit code 7 where a figure is surely worse, and by more than this, as in 3%.",
            metavar="PERCENT",
        ),
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", help="How to write it; markdown is made for pull requests.")
    ] = Format.table,
    json: options.Json = False,
) -> None:
    """Compare runs: what is surely better or worse.

    Configurations are matched by what they are, and what the hint baselines changed by is taken out as the
    machine's.
    """
    threshold = None if fail_on_regression is None else _threshold(fail_on_regression)
    if json and format not in (Format.table, Format.json):
        raise UsageError(f"--json and --format {format.value}: give one")
    if len(runs) < 2:
        raise UsageError("a comparison takes two runs or more: perftool compare BASELINE RUN")
    found = _compared(runs, metric or (), threshold)
    if threshold is not None:
        _insist(found)
    _show(found, Format.json if json else format)
    regressions = [text for one in found.comparisons for text in one.regressions]
    if regressions:
        more = f"; and {len(regressions) - _NAMED} more" if len(regressions) > _NAMED else ""
        count = f"{len(regressions)} regression{'' if len(regressions) == 1 else 's'}"
        raise RegressionError(
            f"{count} of more than {fail_on_regression}: {'; '.join(regressions[:_NAMED])}{more}"
        )


def _threshold(text: str) -> float:
    """Read a share in percent."""
    try:
        if not text.strip().endswith("%"):
            raise ValueError
        percent = float(text.strip().removesuffix("%"))
        if not (math.isfinite(percent) and 0 <= percent < 100):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--fail-on-regression: {text}: expected a share in percent from 0% to below 100%, as in 3%"
        ) from None
    return percent / 100


def _compared(runs: list[Path], metric: "list[str] | tuple[()]", threshold: float | None) -> "Compared":
    from msgspec import structs

    from perftool.analysis import compare as comparing
    from perftool.analysis.compared import Compared
    from perftool.cli.runs import look_at, names_of
    from perftool.sweep.store import resume_differences

    looks = [look_at(folder, name) for folder, name in zip(runs, names_of(runs), strict=True)]
    before = looks[0].run.header
    try:
        rows = comparing.metrics_of(before.profile, metric)
    except InputError as error:
        raise UsageError(f"--metric: {error}") from None
    return Compared(
        threshold=threshold,
        comparisons=tuple(
            comparing.compare(
                looks[0],
                now,
                rows,
                threshold=threshold,
                profile_differences=resume_differences(
                    before,
                    structs.replace(now.run.header.profile, seed=before.profile.seed),  # Meant to differ.
                    before.model,
                    before.host,
                ),
            )
            for now in looks[1:]
        ),
    )


def _insist(found: "Compared") -> None:
    """Refuse to call it no regression where none could have been found."""
    for one in found.comparisons:
        if one.incomparable:
            raise UsageError(
                f"--fail-on-regression: {one.run.id} and {one.baseline.id} cannot be compared: "
                f"{'; '.join(one.incomparable)}; compare runs of one model made on one machine"
            )
        if not _judged(one):
            raise InputError(
                f"--fail-on-regression: nothing of {one.run.id} can be judged against {one.baseline.id}: "
                f"{_first_reason(one)}"
            )
        _insist_on_accuracy(one)


def _insist_on_accuracy(one: "Comparison") -> None:
    """Refuse to call accuracies unchanged where the baseline run has some, and none can be held against them.

    What is worse all the same is said first.
    """
    had = [each for each in one.accuracy if each.before is not None]
    if had and not one.regressions and all(each.verdict == "not compared" for each in had):
        reasons = "; ".join(dict.fromkeys(each.reason for each in had if each.reason is not None))
        raise InputError(
            f"--fail-on-regression: no top-1 of {one.run.id} can be judged against {one.baseline.id}: "
            f"{reasons}; evaluate the same images in both runs, or name the metrics to compare by --metric"
        )


def _judged(one: "Comparison") -> bool:
    """Tell whether a regression would have been found: any figure of visits is judged, if asked for."""
    shifts = [shift for each in one.configurations for shift in each.shifts if not each.control]
    if one.regressions or any(shift.p_value is not None for shift in shifts):
        return True
    if any(shift.verdict == "not compared" for shift in shifts):
        return False
    return any(each.verdict != "not compared" for each in one.accuracy) or bool(shifts or one.common)


def _first_reason(one: "Comparison") -> str:
    if not one.configurations:
        return "no configuration was measured in both"
    reasons = [shift.reason for each in one.configurations for shift in each.shifts if not each.control]
    reasons += [each.reason for each in one.accuracy]
    return next(filter(None, reasons), "no figure is in both")


def _show(found: "Compared", format: Format) -> None:
    from perftool.cli.output import print_json, print_rich

    match format:
        case Format.json:
            print_json(found)
        case Format.markdown:
            from perftool.render.compare_markdown import markdown

            sys.stdout.write(markdown(found))
        case Format.junit:
            from perftool.render.junit import junit

            sys.stdout.write(junit(found))
        case Format.table:
            from perftool.render.compare import compared_view

            print_rich(*compared_view(found))
