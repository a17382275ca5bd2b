"""`perftool export`: a configuration of a run as the files that deploy it."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options

if TYPE_CHECKING:
    from perftool.deploy.choice import Choice, Exported


class Format(StrEnum):
    """What deploys it."""

    openvino = "openvino"
    ovms = "ovms"
    triton = "triton"
    benchmark_app = "benchmark_app"
    bundle = "bundle"


def export(
    run: options.RunFolder,
    to: Annotated[Path, typer.Option("--to", help="The folder to write.", metavar="DIR")],
    format: Annotated[
        Format, typer.Option("--format", "-f", help="What deploys it; bundle is all of them, to be verified.")
    ],
    config: Annotated[
        str | None,
        typer.Option("--config", help="A configuration's id. Default: the recommended one.", metavar="ID"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
    json: options.Json = False,
) -> None:
    """Write a configuration as the files that deploy it, and say what they cannot."""
    from perftool.cli.choosing import gather
    from perftool.cli.folder import check_folder, workplace, write_folder

    target = to.absolute()
    check_folder(target, force=force)
    with workplace(target) as work:
        choice = gather(run, config, work, rebatched=format is not Format.benchmark_app)
        exported = _exported(choice, format)
        check_folder(target, force=force)
        write_folder(target, exported.files, work)
    _tell(to, choice, exported, json=json)


def _exported(choice: "Choice", format: Format) -> "Exported":
    from perftool.deploy import benchmark_app, bundle, openvino, ovms, triton

    match format:
        case Format.openvino:
            return openvino.export(choice)
        case Format.ovms:
            return ovms.export(choice)
        case Format.triton:
            return triton.export(choice)
        case Format.benchmark_app:
            return benchmark_app.export(choice)
        case Format.bundle:
            return bundle.export(choice)


def _tell(to: Path, choice: "Choice", exported: "Exported", *, json: bool) -> None:
    """Say what was written, and what the files cannot say."""
    from perftool.cli.output import print_json

    if json:
        print_json(
            {
                "configuration": choice.configuration.id,
                "folder": str(to),
                "files": sorted(exported.files),
                "notes": exported.notes,
            }
        )
        return
    sys.stdout.write(f"{choice.configuration.id} of {choice.run.id}, in {to}:\n")
    for name in sorted(exported.files):
        sys.stdout.write(f"  {name}\n")
    for note in exported.notes:
        sys.stdout.write(f"note: {note}\n")
