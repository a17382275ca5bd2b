"""Build a Choice to export, from a synthetic run."""

from journals import EVALUATIONS, NINE, Journal, Measured

from perftool.analysis.evidence import plan_of
from perftool.analysis.summary import summarize
from perftool.deploy.choice import Choice, Copy
from perftool.journal import Run
from perftool.record import Port
from perftool.spec import Geometry


def choice(
    id: str = "cpu-int8-b1-s2",
    *,
    run: Run | None = None,
    default_precision: str | None = "bf16",
    geometry: Geometry = "central-crop",
    labels: tuple[str, ...] = ("background", "first", "second"),
    input: Port | None = None,
    licence: str | None = "Apache-2.0",
) -> Choice:
    """Choose a configuration of a run like the default sweep's."""
    run = run or Journal(NINE, EVALUATIONS).run()
    summary = summarize(run, name="a-run")
    return Choice(
        run=summary.run,
        host=summary.host,
        model=run.header.model,
        licence=licence,
        configuration={one.id: one for one in plan_of(run).configurations}[id],
        result={one.id: one for one in (*summary.configurations, *summary.baselines)}[id],
        confirmed=summary.again[id].results[id] if id in summary.again else None,
        default_precision=default_precision,
        input=input or Port(name="data", element="f32", shape=(1, 3, 299, 299)),
        output=Port(name="scores", element="f32", shape=(1, 1001)),
        xml=Copy(source="/cache/model.xml", sha256="11" * 32, bytes=1000),
        bin=Copy(source="/cache/model.bin", sha256="22" * 32, bytes=42_000_000),
        geometry=geometry,
        labels=labels,
    )


def one(measured: Measured, **options: object) -> Choice:
    """Choose the one configuration of a run."""
    run = Journal((measured,), EVALUATIONS).run()
    return choice(measured.id, run=run, **options)  # type: ignore[arg-type]
