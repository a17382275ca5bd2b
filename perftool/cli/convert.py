"""`perftool model convert`: an IR that takes BGR images, 0..255, from any model."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from perftool.cli import feeding, options


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A model file (ONNX, frozen graph, SavedModel, TFLite, Paddle, IR), a TensorFlow checkpoint,"
            " or a built-in model's name."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The IR file to write (.xml, with .bin).")],
    mean: feeding.Mean = None,
    scale: feeding.Scale = None,
    color: feeding.Color = None,
    layout: feeding.Layout = None,
    input_shape: feeding.InputShape = None,
    weights: options.Weights = None,
    json: options.Json = False,
) -> None:
    """Write a model as an IR that takes BGR images, 0..255, with normalization inside."""
    from perftool.cli.jobs import run_job
    from perftool.cli.output import print_json
    from perftool.job import Convert
    from perftool.model.identity import parse_source
    from perftool.record import Converted

    stated = feeding.read_feeding(mean, scale, color, layout, input_shape)
    model = feeding.fed(parse_source(source, str(weights) if weights else None), stated)
    done = run_job(Convert(model=model, output=str(output.absolute())), Converted, "converting")
    if json:
        print_json(done)
    else:
        sys.stdout.write(f"{output}: {done.input} -> {done.output}\nfrom {source}: {done.fed}\n")
    if done.assumed:
        sys.stderr.write(
            f"perftool: taken as it is: {done.fed}; state --mean, --scale or --color if it wants "
            "anything else\n"
        )
