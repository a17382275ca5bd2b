"""`perftool model`: count a model's cost, build a built-in one, convert and compare any."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from perftool.cli import convert, fetch, freeze, options, verify

app = typer.Typer(
    help="Look at models; build, convert and compare them.", no_args_is_help=True, rich_markup_mode=None
)

Model = Annotated[str, typer.Argument(help="A known model's name, or a model file.")]


@app.command()
def info(
    model: Model = "googlenet-v4-tf",
    weights: options.Weights = None,
    layers: Annotated[bool, typer.Option("--layers", help="Show a row per layer.")] = False,
    json: options.Json = False,
) -> None:
    """Count a model's GFLOPs, parameters and activation memory, at batch 1."""
    from perftool.cli.jobs import run_job
    from perftool.cli.output import print_json, print_rich
    from perftool.job import Describe
    from perftool.model.identity import parse_source, weights_said
    from perftool.record import Described
    from perftool.render.complexity import as_json, complexity_tables

    source = parse_source(model, str(weights) if weights else None)
    described = run_job(Describe(model=source), Described)
    said = weights_said(source)
    if json:
        print_json(as_json(described, said, layers=layers))
    else:
        print_rich(*complexity_tables(described, said, layers=layers))


@app.command()
def build(
    model: Annotated[str, typer.Argument(help="The built-in model's name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The IR file to write (.xml, with .bin).")],
    weights: options.Weights = None,
    convention: Annotated[
        Literal["original", "converted"],
        typer.Option(help="original: NHWC RGB, normalized; converted: NCHW BGR, 0..255."),
    ] = "converted",
    batch: Annotated[int, typer.Option(min=1, help="Images per inference.")] = 1,
) -> None:
    """Write a built-in model as an OpenVINO IR file."""
    import sys

    from perftool.cli.jobs import run_job
    from perftool.errors import UsageError
    from perftool.job import Build
    from perftool.model.identity import parse_source
    from perftool.record import Written
    from perftool.spec import ModelFile

    source = parse_source(model, str(weights) if weights else None)
    if isinstance(source, ModelFile):
        raise UsageError(f"{model} is a file already; build takes a built-in model's name")
    job = Build(model=source, convention=convention, batch=batch, output=str(output.absolute()))
    written = run_job(job, Written)
    sys.stdout.write(f"{Path(written.path)}\n")


app.command()(freeze.freeze)
app.command()(fetch.fetch)


app.command()(convert.convert)


app.command()(verify.verify)
