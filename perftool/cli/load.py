"""`perftool load`: latency under requests that arrive at a given rate, and the rate that a bound allows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options
from perftool.cli.model import Model

if TYPE_CHECKING:
    from perftool.analysis.load_run import LoadRun
    from perftool.spec import Dataset, Profile
    from perftool.sweep.loading import LoadWatcher
    from perftool.sweep.rates import Forecast, Question


def load(
    model: Model = "googlenet-v4-tf",
    rate: Annotated[
        list[float] | None,
        typer.Option(
            "--rate", help="Images per second to offer (repeatable). Default: a curve, or --search."
        ),
    ] = None,
    constant: Annotated[
        bool, typer.Option("--constant", help="Even gaps between arrivals instead of Poisson's.")
    ] = False,
    slo_ms: Annotated[
        float | None, typer.Option("--slo-ms", help="The bound on the latency of a request, in ms.")
    ] = None,
    percentile: Annotated[
        options.Percentile, typer.Option("--percentile", help="The percentile that the bound is on.")
    ] = options.Percentile.p99,
    search: Annotated[
        bool,
        typer.Option("--search", help="Find the highest rate that keeps the bound; --slo-ms alone does so."),
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            help="Least length of a rate's window. Default: as the percentile's samples take, at least 10.",
        ),
    ] = None,
    precision: Annotated[str, typer.Option(help="FP32, FP16, BF16 or INT8.")] = "FP32",
    device: Annotated[str, typer.Option("--device", "-d", help="The device to measure on.")] = "CPU",
    batch: Annotated[str, typer.Option(help="The batch size; the images of a batch arrive together.")] = "1",
    streams: Annotated[str, typer.Option(help="Streams, or auto.")] = "1",
    threads: Annotated[str, typer.Option(help="Threads, or auto.")] = "auto",
    requests: Annotated[
        int | None, typer.Option(min=1, help="Requests in flight at the most. Default: one per stream.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the arrivals and splits.")] = None,
    weights: options.Weights = None,
    dataset: options.DatasetDir = None,
    labels: options.Labels = None,
    calibration: options.CalibrationDir = None,
    preprocess: options.Preprocess = None,
    calibration_images: options.CalibrationImages = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder. Default: reports/TIME-load-MODEL.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure one configuration under open load: latency at given rates, or the rate under a bound."""
    from perftool.cli.images import image_source
    from perftool.errors import (
        InterruptedRunError,
        NothingPassesError,
        PerftoolError,
        ResumeRefusedError,
        UsageError,
    )
    from perftool.model.identity import parse_source
    from perftool.model.presets import preprocessed
    from perftool.sweep.loading import load as run_load
    from perftool.sweep.profile import override

    question = _question(rate, constant, slo_ms, search, seconds, requests)
    source = parse_source(model, str(weights) if weights else None)
    source, images = preprocessed(source, image_source(dataset, labels, calibration), preprocess)
    profile = override(
        _one_cell(slo_ms, int(percentile.value), images),
        model=source,
        devices=[device],
        precisions=[precision],
        batches=options.numbers([batch]),  # type: ignore[arg-type]
        streams=options.numbers([streams]),
        threads=options.numbers([threads]),
        calibration_images=calibration_images,
        seed=seed,
    )
    _one_of_each(profile)
    folder = out or options.default_folder(model, "load-")
    try:
        with _watching() as watcher:
            run_load(profile, question, folder, watcher)
    except KeyboardInterrupt:
        kept = f"; what was measured is kept in {folder}" if _show(folder, json=json) else ""
        raise InterruptedRunError(f"stopped{kept}") from None
    except (UsageError, ResumeRefusedError):
        raise
    except PerftoolError:
        _show(folder, json=json)
        raise
    found = _show(folder, json=json)
    if found and found.answer and found.answer.holds_fps is None:
        raise NothingPassesError(found.answer.reason)


def _question(
    rates: list[float] | None,
    constant: bool,
    slo_ms: float | None,
    search: bool,
    seconds: float | None,
    requests: int | None,
) -> "Question":
    """Check what no profile checks; raise UsageError."""
    import math

    from perftool.errors import UsageError
    from perftool.sweep.rates import Question

    given = [("--rate", rate) for rate in rates or ()] + [("--slo-ms", slo_ms), ("--seconds", seconds)]
    for name, value in given:
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError(f"{name}: expected a number > 0, got {value:g}")
    if search and slo_ms is None:
        raise UsageError("--search goes with --slo-ms: there is no rate to find without a bound")
    if search and rates:
        raise UsageError("--search finds its rates itself; leave out either it or --rate")
    return Question(
        rates=tuple(sorted(set(rates or ()))),
        search=slo_ms is not None and not rates,
        arrivals="constant" if constant else "poisson",
        requests=requests,
        seconds=seconds,
    )


def _one_cell(slo_ms: float | None, percentile: int, images: "Dataset | None") -> "Profile":
    """Return a profile of one configuration, which `override` fills in."""
    from perftool.spec import Builtin, Grid, Limits, Profile

    return Profile(
        name="load",
        description="one configuration under open load",
        images=images or Builtin(),
        grids=(Grid(),),
        limits=Limits(slo_ms=slo_ms, percentile=percentile),  # type: ignore[arg-type]
    )


def _one_of_each(profile: "Profile") -> None:
    """Raise UsageError where an option names several values: one configuration is measured."""
    from perftool.errors import UsageError

    grid = profile.grids[0]
    for name in grid.__struct_fields__:
        if len(getattr(grid, name)) > 1:
            raise UsageError(f"{name}: one configuration is measured, so give one value")


def _show(folder: Path, *, json: bool) -> "LoadRun | None":
    """Print what a run's journal amounts to, and write its report; nothing where nothing was compiled."""
    import sys

    from perftool.analysis.load_run import load_run
    from perftool.cli.output import print_json, print_rich
    from perftool.cli.writing import write_files
    from perftool.journal import JOURNAL
    from perftool.render.load_run import load_files, load_view
    from perftool.sweep.store import read

    if not (folder / JOURNAL).exists():
        return None
    found = load_run(read(folder), folder.resolve().name)
    if found is None:
        return None
    if json:
        print_json(found)
    else:
        print_rich(*load_view(found))
    for path in write_files(folder, load_files(found)):
        sys.stderr.write(f"wrote {path}\n")
    return found


@contextmanager
def _watching() -> "Iterator[LoadWatcher]":
    """Show a run on standard error while the block runs."""
    from perftool.journal import Entry, Run
    from perftool.render.live import LiveDisplay, Scene
    from perftool.sweep.loading import LoadWatcher
    from perftool.sweep.preparing import Status, Watcher

    def appended(entry: Entry) -> None:
        """Take no notice: a run of open load tells what it does by itself."""

    def opened(folder: Path, run: Run) -> None:
        """Take no notice."""

    with LiveDisplay() as display:

        def show(
            stage: str, subject: str, part: tuple[int, int] | None, gone: float, left: float | None
        ) -> None:
            share = 0.0 if left is None or gone + left <= 0 else gone / (gone + left)
            display.show(
                Scene(
                    stage=stage,
                    subject=subject,
                    part=part,
                    share=share,
                    seconds_left=left,
                    best=None,
                    failures=0,
                )
            )

        def status(status: Status) -> None:
            show(status.stage, status.subject, status.part, 0.0, None)

        yield LoadWatcher(
            stages=Watcher(status=status, appended=appended, opened=opened),
            say=display.say,
            forecast=lambda forecast: display.say(announcement(forecast)),
            doing=lambda subject, gone, left: show("measure", subject, None, gone, left),
        )


def announcement(forecast: "Forecast") -> str:
    """Say how long what is to come will take: `p99 takes 662 arrivals: 83 s at 8 images/s`."""
    from perftool.analysis.open_load import said
    from perftool.render.live import duration
    from perftool.sweep.rates import MOST_RATES

    rates, seconds = forecast.rates, forecast.seconds
    what = f"p{forecast.percentile}" + (" with an interval" if forecast.search else "")
    takes = f"{what} takes {forecast.arrivals} arrivals: " if forecast.arrivals > 1 else ""
    if len(rates) > 1:
        which = f"for {len(rates)} rates from {said(rates[0])} to {said(rates[-1])} images/s"
    else:
        which = f"at {said(rates[0])} images/s"
    more = f", the first of {MOST_RATES} rates at most" if forecast.search else ""
    return f"{takes}{duration(sum(seconds))} {which}{more}"
