"""`perftool profile`: where one configuration's time goes, layer by layer, and what could be tried."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from perftool.analysis.layer_report import LayerReport, LayerSamples
    from perftool.spec import Profile
    from perftool.sweep.preparing import Watcher


def profile(
    ctx: typer.Context,
    model: Annotated[
        str, typer.Argument(help="A known model's name, or a model file; with --config, a run's folder.")
    ] = "googlenet-v4-tf",
    precision: Annotated[str, typer.Option(help="FP32, FP16, BF16 or INT8.")] = "FP32",
    against: Annotated[
        str | None, typer.Option("--against", help="A second precision, to compare layer by layer with.")
    ] = None,
    device: Annotated[str, typer.Option("--device", "-d", help="The device to profile on.")] = "CPU",
    batch: Annotated[str, typer.Option(help="The batch size.")] = "1",
    streams: Annotated[str, typer.Option(help="Streams, or auto.")] = "1",
    threads: Annotated[str, typer.Option(help="Threads, or auto.")] = "auto",
    requests: Annotated[
        int | None, typer.Option(min=1, help="Requests in flight. Default: one per stream.")
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", help="How long to count, and to run as long without counters.")
    ] = 4.0,
    config: Annotated[
        str | None,
        typer.Option("--config", help="Profile this configuration of a run, by its id.", metavar="ID"),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many layers to show.")] = 15,
    weights: options.Weights = None,
    dataset: options.DatasetDir = None,
    labels: options.Labels = None,
    calibration: options.CalibrationDir = None,
    calibration_images: options.CalibrationImages = None,
    preprocess: options.Preprocess = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Write profile.json, profile.txt, samples.json and plots into this folder."
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Time every layer of one configuration; say what it runs in, what it costs, and what could be tried."""
    import math
    import sys

    from perftool.cli.images import image_source
    from perftool.cli.output import print_json, print_rich
    from perftool.errors import UsageError
    from perftool.model.identity import parse_source
    from perftool.model.presets import preprocessed
    from perftool.render.layers import layers_view
    from perftool.spec import Builtin
    from perftool.sweep.profile import override
    from perftool.sweep.profiling import profile_layers, profile_planned
    from perftool.sweep.store import read

    if not (math.isfinite(seconds) and seconds > 0):
        raise UsageError(f"--seconds: expected a number > 0, got {seconds:g}")
    if against == precision:
        raise UsageError(f"--against {against}: is what --precision asks for; name another")
    _refuse_file(to)
    if config is not None:
        _refuse_own(ctx)
        found = _watched(lambda watcher: profile_planned(read(Path(model)), config, seconds, watcher))
    else:
        source = parse_source(model, str(weights) if weights else None)
        source, images = preprocessed(source, image_source(dataset, labels, calibration), preprocess)
        try:
            asked = override(
                _one_cell(),
                model=source,
                images=images or Builtin(),
                devices=[device],
                precisions=[precision] if against is None else [precision, against],
                batches=options.numbers([batch]),  # type: ignore[arg-type]
                streams=options.numbers([streams]),
                threads=options.numbers([threads]),
                calibration_images=calibration_images,
            )
        except UsageError as error:
            raise UsageError(_by_option(str(error))) from None
        _one_of_each(asked)
        found = _watched(lambda watcher: profile_layers(asked, requests, seconds, watcher))
    report = found.report()
    if json:
        print_json(report)
    else:
        print_rich(*layers_view(report, top))
    for path in _written(to, found, report):
        sys.stderr.write(f"wrote {path}\n")


def _watched(sample: "Callable[[Watcher], LayerSamples]") -> "LayerSamples":
    """Show how far the measuring is; Ctrl-C ends it in a sentence."""
    from perftool.cli.watching import watching
    from perftool.errors import InterruptedRunError

    try:
        with watching() as watcher:
            return sample(watcher)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "stopped; prepared models and measured peaks are kept, and nothing else was written"
        ) from None


#: What a configuration of a run has of its own, by parameter.
_OWN = (
    *("precision", "against", "device", "batch", "streams", "threads", "requests", "weights"),
    *("dataset", "labels", "calibration", "calibration_images", "preprocess"),
)


def _refuse_own(ctx: typer.Context) -> None:
    """Raise UsageError where an option says otherwise than the configuration that --config names."""
    from perftool.errors import UsageError

    for name in _OWN:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option}: the configuration that --config names has its own; leave {option} out"
            )


def _one_cell() -> "Profile":
    """Return a profile of one configuration, which `override` fills in; else it is that of a quick sweep.

    So INT8 is calibrated as there, and is found in the cache.
    """
    import msgspec

    from perftool.spec import Grid
    from perftool.sweep.profile import load_profile

    return msgspec.structs.replace(load_profile("quick"), name="profile", grids=(Grid(),))


#: What a user calls the fields of a profile that `override` and `_one_of_each` speak of.
_OPTIONS = {
    "devices": "--device",
    "precisions[0]": "--precision",
    "precisions[1]": "--against",
    "batches": "--batch",
    "streams": "--streams",
    "threads": "--threads",
}


def _by_option(message: str) -> str:
    """Name the option that a message is about, in place of the profile's field: each takes one value."""
    field, found, said = message.partition(": ")
    option = _OPTIONS.get(field) or _OPTIONS.get(field.removesuffix("[0]"))
    return f"{option}: {said}" if found and option else message


def _one_of_each(profile: "Profile") -> None:
    """Raise UsageError where an option names several values: one configuration is profiled."""
    from perftool.errors import UsageError

    grid = profile.grids[0]
    for name in ("devices", "batches", "streams", "threads"):
        if len(getattr(grid, name)) > 1:
            raise UsageError(f"{_OPTIONS[name]}: one configuration is profiled, so give one value")


def _refuse_file(to: Path | None) -> None:
    """Raise UsageError where no folder can be: that is found out before measuring, not after."""
    from perftool.errors import UsageError

    if to is None:
        return
    for path in (to, *to.parents):
        if path.exists():
            if not path.is_dir():
                raise UsageError(f"--to {to}: {path} is a file; name a folder")
            if not os.access(path, os.W_OK | os.X_OK):
                raise UsageError(f"--to {to}: {path} cannot be written to; name another folder")
            return


def _written(to: Path | None, samples: "LayerSamples", report: "LayerReport") -> list[Path]:
    """Write a report's files, where they are asked for."""
    if to is None:
        return []
    from perftool.cli.writing import write_files
    from perftool.render.layer_files import layers_files

    return write_files(to, layers_files(report, samples))
