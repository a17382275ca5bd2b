"""`perftool export`: a configuration of a run as the files that deploy it."""

import os
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


def _folder(text: str) -> Path:
    """Read the folder to write; an empty word, as an unset variable leaves, is none."""
    from perftool.errors import UsageError

    if not text:
        raise UsageError("--to: names no folder; the working directory is --to .")
    return Path(text)


def export(
    run: options.RunFolder,
    to: Annotated[Path, typer.Option("--to", help="The folder to write.", metavar="DIR", parser=_folder)],
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

    target = Path(os.path.abspath(to))
    check_folder(target, force=force)
    with workplace(target) as work:
        choice = gather(run, config, work, rebatched=format is not Format.benchmark_app)
        exported = _exported(choice, format)
        write_folder(target, exported.files, work, force=force)
    _tell(to, choice, exported, json=json)


def _exported(choice: "Choice", format: Format) -> "Exported":
    from perftool.deploy import benchmark_app, bundle, openvino, ovms, triton
    from perftool.deploy.manifest import listed

    match format:
        case Format.openvino:
            return listed(openvino.export(choice))
        case Format.ovms:
            return listed(ovms.export(choice))
        case Format.triton:
            return listed(triton.export(choice))
        case Format.benchmark_app:
            return listed(benchmark_app.export(choice))
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
