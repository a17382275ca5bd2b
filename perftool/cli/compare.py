"""`perftool compare`: what changed from one run to others, and whether it is a regression."""

import math
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options
from perftool.errors import InputError, PerftoolError, RegressionError, UsageError

if TYPE_CHECKING:
    from perftool.analysis.compared import Compared, Comparison
    from perftool.analysis.matching import Look

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
            help="Runs' folders; each is compared with the first, the baseline. Several runs of a side, made "
            "in turns with those of the other, are joined by commas: A1,A2 B1,B2.",
            metavar="RUN_A RUN_B",
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
    if json and format not in (Format.table, Format.json):
        raise UsageError(f"--json and --format {format.value}: give one")
    try:
        threshold = None if fail_on_regression is None else _threshold(fail_on_regression)
        if len(runs) < 2:
            raise UsageError("a comparison takes two runs or more: perftool compare BASELINE RUN")
        found = _compared([_side(one) for one in runs], metric or (), threshold)
    except PerftoolError as error:
        if format is Format.junit:
            _show_refused(error)
        raise
    refusal = None if threshold is None else _refusal(found)
    _show(found, Format.json if json else format, refusal)
    regressions = [text for one in found.comparisons for text in one.regressions]
    if regressions and not isinstance(refusal, UsageError):
        more = f"; and {len(regressions) - _NAMED} more" if len(regressions) > _NAMED else ""
        count = f"{len(regressions)} regression{'' if len(regressions) == 1 else 's'}"
        raise RegressionError(
            f"{count} of more than {fail_on_regression}: {'; '.join(regressions[:_NAMED])}{more}"
        )
    if refusal is not None:
        raise refusal


def _side(path: Path) -> list[Path]:
    """Split a side into its runs at commas; a path that exists is taken as it is."""
    if path.exists():
        return [path]
    return [Path(one) for one in str(path).split(",") if one] or [path]


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


def _compared(
    sides: list[list[Path]], metric: "list[str] | tuple[()]", threshold: float | None
) -> "Compared":
    from perftool.analysis import compare as comparing
    from perftool.analysis.compared import Compared
    from perftool.cli.runs import look_at, names_of

    if uneven := [side for side in sides if len(side) != len(sides[0])]:
        raise UsageError(
            f"{','.join(map(str, uneven[0]))}: {_runs(len(uneven[0]))} against {_runs(len(sides[0]))}: give "
            "as many on each side, in the order in which they were made in turns"
        )
    folders = [folder for side in sides for folder in side]
    looks = [look_at(folder, name) for folder, name in zip(folders, names_of(folders), strict=True)]
    _refuse_copies(looks)
    size = len(sides[0])
    grouped = [looks[first : first + size] for first in range(0, len(looks), size)]
    profile = looks[0].run.header.profile
    try:
        rows = comparing.metrics_of(profile, metric)
    except InputError as error:
        raise UsageError(f"--metric: {error}") from None
    return Compared(
        threshold=threshold,
        comparisons=tuple(
            comparing.compare_sides(
                grouped[0],
                now,
                rows,
                threshold=threshold,
                profile_differences=_profile_differences(grouped[0][0], now[0]),
                optional=comparing.optional_of(profile, metric),
            )
            for now in grouped[1:]
        ),
    )


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _refuse_copies(looks: "list[Look]") -> None:
    """Refuse to hold a run against itself: what is the same journal has no difference to be found."""
    for number, look in enumerate(looks):
        for other in looks[:number]:
            if look.run == other.run:
                raise UsageError(
                    f"{other.summary.run.id} and {look.summary.run.id} are the same run: one journal, to "
                    "the last record; compare two runs"
                )


def _profile_differences(before: "Look", now: "Look") -> tuple[str, ...]:
    from msgspec import structs

    from perftool.sweep.store import resume_differences

    header = before.run.header
    return tuple(
        resume_differences(
            header,
            structs.replace(now.run.header.profile, seed=header.profile.seed),  # Meant to differ.
            header.model,
            header.host,
        )
    )


def _refusal(found: "Compared") -> PerftoolError | None:
    """Return why it cannot be called no regression: none could have been found, or not everywhere."""
    from perftool.render.compare import said_of_lost

    for one in found.comparisons:
        if one.incomparable:
            return UsageError(
                f"--fail-on-regression: {one.run.id} and {one.baseline.id} cannot be compared: "
                f"{'; '.join(one.incomparable)}; compare runs of one model made on one machine"
            )
    for one in found.comparisons:
        if gone := said_of_lost(one, meant=False):
            return InputError(f"--fail-on-regression: {gone}")
        if not _judged(one):
            return InputError(
                f"--fail-on-regression: nothing of {one.run.id} can be judged against {one.baseline.id}: "
                f"{_first_reason(one)}"
            )
    return None


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


def _show(found: "Compared", format: Format, refusal: PerftoolError | None) -> None:
    from perftool.cli.output import print_json, print_rich

    match format:
        case Format.json:
            print_json(found)
        case Format.markdown:
            from perftool.render.compare_markdown import markdown

            sys.stdout.write(markdown(found))
        case Format.junit:
            from perftool.render.junit import junit

            _write_xml(junit(found, None if refusal is None else str(refusal)))
        case Format.table:
            from perftool.render.compare import compared_view

            print_rich(*compared_view(found))


def _show_refused(error: PerftoolError) -> None:
    """Write the document that a CI server waits for, though nothing was compared."""
    from perftool.analysis.compared import Compared
    from perftool.render.junit import junit

    _write_xml(junit(Compared(threshold=None, comparisons=()), str(error)))


def _write_xml(document: str) -> None:
    """Write a document that says it is UTF-8 as that, whatever the encoding of standard output."""
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(document)
        return
    binary.write(document.encode())
    binary.flush()
