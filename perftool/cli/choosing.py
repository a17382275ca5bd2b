"""Gather what an export is made of: one configuration of a run, its figures, its model file."""

from pathlib import Path

from perftool.analysis.choose import choose
from perftool.analysis.evidence import plan_of
from perftool.analysis.result import ConfigurationResult, Summary
from perftool.analysis.summary import summarize
from perftool.cli.folder import sized
from perftool.cli.jobs import run_job
from perftool.cli.options import run_folder
from perftool.cli.outcome import insist
from perftool.deploy.choice import MODEL, WEIGHTS, Choice, Copy
from perftool.errors import InputError, UsageError
from perftool.images.dataset import class_names
from perftool.images.labels import WITH_BACKGROUND
from perftool.images.textures import CLASS_NAMES, FIRST_LABEL
from perftool.job import Inspect, Rewrite
from perftool.journal import Header, ModelIdentity, Run
from perftool.model.entries import Meta, verified
from perftool.published.catalogue import known, names
from perftool.record import Inspected, Prepared, Written
from perftool.spec import Dataset, Geometry, Profile
from perftool.sweep.preparing import model_path
from perftool.sweep.store import read

#: The licence of the reference weights, which are perftool's own.
_OWN_LICENCE = "Apache-2.0"


def gather(folder: Path, configuration: str | None, work: Path, *, rebatched: bool) -> Choice:
    """Return a configuration of a run, the recommended one where none is named, ready to be exported.

    The model is brought to its batch in the folder `work`, unless `rebatched` is False. Raises UsageError
    for an unknown id, NothingPassesError where nothing is recommended, InputError for what was not measured
    and for a model file that is no longer in the cache.
    """
    folder = run_folder(folder)
    run = read(folder)
    summary = summarize(run, name=folder.resolve().name)
    result, confirmed = _result(summary, run.header.profile, configuration)
    made = {one.id: one for one in plan_of(run).configurations}[result.id]
    xml, bin = _model_file(run, made.weight_format, folder)
    ports = run_job(Inspect(path=xml.source), Inspected)
    if rebatched and made.batch != 1:
        job = Rewrite(source=xml.source, batch=made.batch, output=str(work / MODEL))
        written = Path(run_job(job, Written).path)
        xml, bin = sized(written), sized(written.with_suffix(".bin"))
    model = run.header.model
    return Choice(
        run=summary.run,
        host=summary.host,
        model=model,
        licence=licence(model),
        configuration=made,
        result=result,
        confirmed=confirmed,
        default_precision=default_precision(summary, made.device),
        input=ports.input,
        output=ports.output,
        xml=xml,
        bin=bin,
        geometry=_geometry(run.header.profile),
        labels=labels(run.header, ports.output.shape[-1]),
    )


def _result(
    summary: Summary, profile: Profile, wanted: str | None
) -> tuple[ConfigurationResult, ConfigurationResult | None]:
    """Find the configuration that was named, or else the one that is recommended.

    The second is what fresh rounds showed of it, where they confirm it.
    """
    everything = {one.id: one for one in (*summary.configurations, *summary.baselines)}
    recommendation = choose(summary, profile.objective, profile.limits)
    if wanted is None:
        insist(summary, recommendation)
        assert recommendation.id is not None
        wanted = recommendation.id
    if wanted not in everything:
        raise UsageError(f"--config: the run has no {wanted!r}; it has {', '.join(everything) or 'none'}")
    result = everything[wanted]
    if result.status != "ok":
        raise InputError(f"{wanted} cannot be exported: {result.reason or result.status}")
    holds = recommendation.confirmation is not None and recommendation.confirmation.holds
    return result, summary.again[wanted].results[wanted] if holds and wanted == recommendation.id else None


def _model_file(run: Run, weight_format: str, folder: Path) -> tuple[Copy, Copy]:
    """Return the model file in the cache and its weights, checked by what the cache knows of them.

    What was measured is what the cache was written with: the journal holds its key and size, the entry its
    parts' SHA-256. Raises InputError, saying how to make the file again, where it is not there or not that.
    """
    found = [
        entry.record
        for entry in run.entries
        if isinstance(entry.record, Prepared) and entry.record.weight_format == weight_format
    ]
    again = f"perftool sweep --resume {folder} prepares it again"
    if not found:
        raise InputError(f"{folder}: the run has no {weight_format} model file; {again}")
    path = model_path(found[-1])
    if not path.exists():
        raise InputError(f"{path}: the run's {weight_format} model is not in the cache any more; {again}")
    meta = verified(path.parent)
    if meta is None or not _was_measured(meta, found[-1]):
        raise InputError(
            f"{path.parent}: the run's {weight_format} model is damaged in the cache, and not what was "
            f"measured: {again}"
        )
    xml, bin = (
        Copy(source=str(path.with_name(name)), sha256=meta.parts[name].sha256, bytes=meta.parts[name].bytes)
        for name in (MODEL, WEIGHTS)
    )
    return xml, bin


def _was_measured(meta: Meta, prepared: Prepared) -> bool:
    """Tell whether an entry is the one that a journal names, by its key and size."""
    size = sum(part.bytes for part in meta.parts.values())
    return meta.ingredients.key == prepared.key and size == prepared.file_bytes


def licence(model: ModelIdentity) -> str | None:
    """Return the licence of a model's weights; None where perftool does not know it."""
    if model.reference:
        return _OWN_LICENCE
    return known(model.name).licence if model.published and model.name in names() else None


def default_precision(summary: Summary, device: str) -> str | None:
    """Return what a device runs an FP32 file in when nobody says: as a baseline did, or by its instructions.

    None where neither tells.
    """
    for baseline in summary.baselines:
        if baseline.device == device and baseline.executed_precision in ("f32", "bf16", "f16"):
            return baseline.executed_precision
    isa = {name.lower() for name in summary.host.isa}
    if device != "CPU" or not any(name.startswith("avx") for name in isa):
        return None
    return "bf16" if isa & {"avx512_bf16", "amx_bf16"} else "f32"


def _geometry(profile: Profile) -> Geometry:
    """Return how the run's images were cut; the built-in ones are only resized."""
    return profile.images.geometry if isinstance(profile.images, Dataset) else "resize"


def labels(header: Header, classes: int) -> tuple[str, ...]:
    """Return the names of a model's classes from class 0 on, of which there are `classes`; none if unknown.

    Known are those of the reference weights, and those of a data set with a folder named after each class,
    where they are as many as the model has, the background apart.
    """
    if header.model.reference:
        return ("background",) * FIRST_LABEL + CLASS_NAMES
    images = header.profile.images
    if not isinstance(images, Dataset) or images.labels is not None:
        return ()
    names = class_names(images.directory)
    if len(names) == WITH_BACKGROUND - 1 and classes == WITH_BACKGROUND:
        return ("background", *names)
    return names if len(names) == classes else ()
