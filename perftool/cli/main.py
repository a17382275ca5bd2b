"""The perftool command: the table of its commands, and the one place where errors become exit codes.

Commands import what they need when they run, so that `perftool --help` is instant.
"""

import sys

import typer

from perftool.cli import (
    accuracy,
    compare,
    devices,
    doctor,
    export,
    history,
    load,
    model,
    profile,
    quantize,
    recommend,
    report,
    show,
    sweep,
    verify_bundle,
)
from perftool.cli.output import close_output, open_output
from perftool.errors import PerftoolError

app = typer.Typer(
    name="perftool",
    help="Which OpenVINO deployment configuration shall I ship, and how sure are you?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(sweep.sweep)
app.command()(load.load)
app.command()(profile.profile)
app.command()(show.show)
app.command()(recommend.recommend)
app.command()(report.report)
app.command()(compare.compare)
app.command()(history.history)
app.command()(export.export)
app.command()(verify_bundle.verify)
app.command()(accuracy.accuracy)
app.command()(quantize.quantize)
app.command()(devices.devices)
app.command()(doctor.doctor)
app.add_typer(model.app, name="model")


def main() -> None:
    """Run the command line; an error is one line on standard error and its documented exit code."""
    open_output()
    try:
        try:
            app()
        finally:
            close_output()
    except PerftoolError as error:
        sys.stderr.write(f"perftool: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"perftool: {what}{error.strerror or error}\n")
        sys.exit(PerftoolError.exit_code)
