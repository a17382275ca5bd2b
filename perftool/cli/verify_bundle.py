"""`perftool verify`: whether an export is whole, and a bundle's claim holds on this machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perftool.cli import options

if TYPE_CHECKING:
    from perftool.analysis.claim import Checked
    from perftool.deploy.manifest import Manifest
    from perftool.sweep.revisiting import Effort

#: How many distinct images the requests are pointed at in turn; a bundle brings none.
INPUTS = 8


def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.", metavar="BUNDLE")],
    visits: Annotated[
        int, typer.Option(min=6, help="Visits, each in a process of its own; an interval takes six.")
    ] = 8,
    visit_seconds: Annotated[float, typer.Option(min=0.05, help="Length of a measuring window.")] = 2.0,
    json: options.Json = False,
) -> None:
    """Check every file of a bundle, and measure its claim again here.

    An export of another format has no claim: its files are checked.
    """
    from perftool.cli.bundle import model_of, read_bundle, read_export
    from perftool.cli.output import print_json, print_rich
    from perftool.errors import InterruptedRunError
    from perftool.render.claim import claim_view
    from perftool.sweep.revisiting import Effort

    folder = bundle.absolute()
    if (files := read_export(folder)) is not None:
        _tell_whole(files, json=json)
        return
    manifest = read_bundle(folder)
    model = model_of(manifest, folder)
    try:
        checked = _measured(manifest, model, Effort(visits=visits, seconds=visit_seconds))
    except KeyboardInterrupt:
        raise InterruptedRunError("stopped; every file is as it was, the claim was not decided") from None
    if json:
        print_json(checked)
    else:
        print_rich(*claim_view(checked, manifest.configuration.id, len(manifest.files)))
    decide(checked)


def _tell_whole(files: int, *, json: bool) -> None:
    """Say that an export that claims nothing is as it was written."""
    from perftool.cli.output import print_json

    if json:
        print_json({"verdict": "no claim", "files": files})
    else:
        sys.stdout.write(f"{files} files, each as it was exported; only bundles have a claim to measure\n")


def decide(checked: "Checked") -> None:
    """Raise ClaimError for a claim that is refused, UndecidedError for one that nothing is known of."""
    from perftool.errors import ClaimError, UndecidedError
    from perftool.render.numbers import plain

    if checked.verdict == "worse":
        raise ClaimError(f"claim not confirmed: {plain('; '.join(checked.reasons))}")
    if checked.verdict == "not decided":
        raise UndecidedError(
            f"claim not decided: {checked.disturbed} of {checked.visits} visits disturbed by other load "
            f"({plain('; '.join(checked.open))}); repeat when it is gone, or with more --visits"
        )


def _measured(manifest: "Manifest", model: Path, effort: "Effort") -> "Checked":
    """Measure the claimed configuration, and hold the claim against that."""
    import tempfile

    from perftool.analysis.claim import Figures, check, figures, host_differences, property_differences
    from perftool.bench import host
    from perftool.bench.isolate import quiet
    from perftool.spec import SyntheticImages
    from perftool.sweep.duel import Contender
    from perftool.sweep.locks import hold
    from perftool.sweep.revisiting import revisit

    one = Contender(configuration=manifest.configuration, model_path=str(model))
    inputs = SyntheticImages(part="evaluation", count=INPUTS)
    with tempfile.TemporaryDirectory() as logs, hold((manifest.configuration.device,)):
        found = revisit(one, inputs, effort, Path(logs), quiet, _show)
    _show(0, 0)
    claimed = Figures(
        throughput_fps=manifest.claim.throughput_fps,
        latency_ms=manifest.claim.latency_ms,
        executed_precision=manifest.claim.executed_precision,
    )
    differences = (
        *host_differences(manifest.host, host.identity()),
        *property_differences(manifest.properties, found.compiled.requested),
    )
    return check(claimed, figures(found.compiled, found.visits), differences, found.visits)


def _show(done: int, total: int) -> None:
    """Show how far the visits are, on a terminal; nothing when there are none."""
    if sys.stderr.isatty():
        text = f"measuring: visit {done + 1} of {total}" if total else ""
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()
