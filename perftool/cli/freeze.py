"""`perftool model freeze`: a TensorFlow checkpoint as a frozen graph."""

from pathlib import Path
from typing import Annotated

import typer


def freeze(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="A TensorFlow checkpoint: a file (version 1), or a prefix with .index and .data (2).",
            metavar="CKPT",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The frozen graph to write (.pb).", show_default=False)
    ],
    model: Annotated[str, typer.Option("--model", help="The built-in model that it is of.")] = (
        "googlenet-v4-tf"
    ),
) -> None:
    """Freeze a TensorFlow checkpoint of a built-in model, in the original convention.

    Takes TensorFlow: pip install 'perftool[tensorflow]'. OpenVINO reads the file; to measure a checkpoint or
    to make an IR of it (`--weights CKPT`) it need not be frozen first.
    """
    import sys

    from perftool.cli.jobs import run_job
    from perftool.job import Freeze
    from perftool.record import Written

    job = Freeze(
        name=model,
        checkpoint=str(checkpoint.expanduser().absolute()),
        output=str(output.expanduser().absolute()),
    )
    sys.stdout.write(f"{run_job(job, Written).path}\n")
