"""`perftool show`: a run's table, whenever it was made."""

from perftool.cli import options


def show(run: options.RunFolder, json: options.Json = False) -> None:
    """Show what a run measured, and its recommendation."""
    from perftool.cli.outcome import look, show_all

    summary, recommendation = look(run)
    show_all(summary, recommendation, json=json)
