"""A choice in every format at once, in one folder that can be checked and measured again where it arrives.

    manifest.json, README.md, labels.txt     what it is
    models/NAME/1/model.xml, model.bin       the model, once; both servers read it here
    models/NAME/config.pbtxt                 Triton, which takes all of models/ for its own
    config.json                              OpenVINO Model Server
    compile.json, run.py                     OpenVINO's own API
    benchmark_app/                           its configuration and command line

A server's format that cannot carry the choice is left out, and the notes say why.
"""

import msgspec

from perftool.analysis.result import ConfigurationResult
from perftool.analysis.stats import Estimate
from perftool.deploy import benchmark_app, openvino, ovms, triton
from perftool.deploy.choice import MODEL, Choice, Copy, Exported, label_file, model_files, served
from perftool.deploy.manifest import FORMAT, MANIFEST, Claim, Deployed, Manifest, Origin, described
from perftool.deploy.markdown import code, prose
from perftool.errors import InputError

README = "README.md"


def export(choice: Choice) -> Exported:
    """Return the whole bundle; raise InputError for a choice that has no figures to claim."""
    folder = f"{_home(choice)}/1/"
    for_servers, left_out = _for_servers(choice)
    labels, unknown = label_file(choice)
    notes = (*openvino.notes(choice), *benchmark_app.notes(), *left_out, *unknown, *_unconfirmed(choice))
    apart = "benchmark_app/"
    files: dict[str, bytes | Copy] = {
        **model_files(choice, folder),
        openvino.COMPILE: openvino.compile_json(choice),
        openvino.PROGRAM: openvino.program(choice, f"{folder}{MODEL}"),
        f"{apart}{benchmark_app.CONFIG}": benchmark_app.load_config(choice),
        f"{apart}{benchmark_app.COMMAND}": benchmark_app.command(choice, f"../{folder}{MODEL}"),
        **for_servers,
        **labels,
    }
    claimed = claim(choice)
    files[README] = _readme(choice, claimed, notes, files)
    manifest = _manifest(choice, claimed, notes, files)
    files[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    return Exported(files=files, notes=notes)


def _home(choice: Choice) -> str:
    """Return where the model's versions lie."""
    return f"models/{choice.name}"


def _for_servers(choice: Choice) -> tuple[dict[str, bytes | Copy], tuple[str, ...]]:
    """Return what each server reads beside the model, and what is said of it, or why it is left out."""
    files: dict[str, bytes | Copy] = {}
    notes: list[str] = []
    try:
        files[ovms.CONFIG] = ovms.config(choice, _home(choice))
        notes.append(served(choice, "OVMS"))
    except InputError as error:
        notes.append(f"no {ovms.CONFIG}: {error}")
    try:
        files[f"{_home(choice)}/{triton.CONFIG}"] = triton.config(choice)
        notes += triton.notes(choice)
    except InputError as error:
        notes.append(f"no {triton.CONFIG}: {error}")
    return files, tuple(notes)


def claim(choice: Choice) -> Claim:
    """Return what a choice claims; raise InputError where its throughput was not measured, or cannot be.

    The figures of fresh rounds are claimed where there are any: those that it was chosen by flatter it.
    """
    result = _claimed(choice)
    if result.throughput_fps is None:
        raise InputError(f"{result.id}: its throughput was not measured, so there is nothing to claim")
    try:
        return Claim(
            throughput_fps=result.throughput_fps,
            latency_ms=result.latency_intervals_ms,
            executed_precision=result.executed_precision,
            executed_share=result.executed_share,
            accuracy=choice.result.accuracy,
            accuracy_of=choice.run.accuracy_of,
            visits=result.visits,
        )
    except ValueError as error:
        raise InputError(f"{result.id}: {error}") from None


def _claimed(choice: Choice) -> ConfigurationResult:
    """Return the figures to claim; fresh rounds under another load than the closed one hold none."""
    confirmed = choice.confirmed
    return confirmed if confirmed is not None and confirmed.throughput_fps else choice.result


def _unconfirmed(choice: Choice) -> tuple[str, ...]:
    if _claimed(choice) is choice.confirmed:
        return ()
    return ("no fresh rounds confirmed the figures: they are those of the rounds that the run chose by",)


def _manifest(
    choice: Choice, claimed: Claim, notes: tuple[str, ...], files: dict[str, bytes | Copy]
) -> Manifest:
    return Manifest(
        format=FORMAT,
        model=Deployed(
            name=choice.model.name,
            digest=choice.model.digest,
            weights=choice.weights,
            licence=choice.licence,
            file=f"{_home(choice)}/1/{MODEL}",
        ),
        configuration=choice.configuration,
        properties=choice.result.properties,
        streams=choice.result.streams,
        threads=choice.result.threads,
        requests=choice.requests,
        geometry=choice.geometry,
        claim=claimed,
        run=Origin(id=choice.run.id, created=choice.run.created, profile=choice.run.profile),
        host=choice.host,
        notes=notes,
        files=described(files),
    )


# ---------------------------------------------------------------- for whoever deploys


def _readme(choice: Choice, claimed: Claim, notes: tuple[str, ...], files: dict[str, bytes | Copy]) -> bytes:
    """Write what this is, what it claims, and how each part is used."""
    host = choice.host
    licence = prose(choice.licence or "not known")
    lines = [
        f"# {code(choice.model.name)}, {code(choice.configuration.id)}",
        "",
        f"A classifier, written by `perftool export`: {choice.weights}, licence {licence}.",
        f"It takes {_input(choice)}; the run's images were cut by `{choice.geometry}`, as `run.py` does.",
        "",
        f"Measured on {code(host.cpu)}, {host.cores_usable} cores usable, with OpenVINO "
        f"{prose(host.openvino)}, by run {code(choice.run.id)}{_when(choice)}:",
        "",
        *_figures(claimed),
        "",
        "Figures belong to that machine. `perftool verify .` checks every file of this folder, and measures",
        "the claim again on the machine that it is run on.",
        "",
        "## What is here",
        "",
        *_parts(choice, files),
        "",
        "## What is not said, or was not measured",
        "",
        *(f"- {prose(note)}" for note in notes),
        "",
    ]
    return "\n".join(lines).encode()


def _when(choice: Choice) -> str:
    confirmed = choice.confirmed
    if confirmed is None or _claimed(choice) is not confirmed:
        return ""
    return f", in {confirmed.visits} fresh visits after it was chosen"


def _input(choice: Choice) -> str:
    shape = ", ".join(map(str, (choice.configuration.batch, *choice.input.shape[1:])))
    colour = "RGB" if choice.input.element == "u8" and choice.input.shape[1] != 3 else "BGR"
    return f"{colour} images, 0..255, as {code(choice.input.name)} {choice.input.element} [{shape}]"


def _figures(claimed: Claim) -> list[str]:
    latency, accuracy = claimed.latency_ms, claimed.accuracy
    rows = [f"- throughput {_figure(claimed.throughput_fps, 1)} images/s"]
    for name in ("p50", "p90", "p95", "p99"):
        estimate = getattr(latency, name) if latency else None
        if estimate is not None:
            rows.append(f"- latency of a request, {name}: {_figure(estimate, 2)} ms")
    if accuracy and accuracy.drop_pp is not None:
        drop = Estimate(point=accuracy.drop_pp, low=accuracy.drop_low, high=accuracy.drop_high)
        of = prose(claimed.accuracy_of or "")
        rows.append(f"- drop of top-1 {_figure(drop, 2)} points on {accuracy.images} images ({of})")
    else:
        rows.append("- accuracy was not measured against FP32")
    if claimed.executed_precision and claimed.executed_share is not None:
        rows.append(f"- {claimed.executed_share:.0%} of the operations ran in {claimed.executed_precision}")
    return rows


def _figure(estimate: Estimate, digits: int) -> str:
    text = f"{estimate.point:.{digits}f}"
    if estimate.low is None:
        return f"{text} (no interval)"
    if estimate.high is None:
        return f"{text} ({estimate.low:.{digits}f} or more)"
    return f"{text} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def _parts(choice: Choice, files: dict[str, bytes | Copy]) -> list[str]:
    home = _home(choice)
    said = {
        f"{home}/1/{MODEL}": "the model, its weights beside it",
        openvino.COMPILE: "the device and the properties for `compile_model`",
        openvino.PROGRAM: "classifies an image: `python run.py IMAGE` (openvino, numpy, OpenCV)",
        ovms.CONFIG: "OpenVINO Model Server: `ovms --config_path config.json --port 9000`",
        f"{home}/{triton.CONFIG}": "Triton: `tritonserver --model-repository models`",
        f"benchmark_app/{benchmark_app.COMMAND}": "benchmark_app's command line, run from its folder",
        "labels.txt": "the classes' names, one per line, from class 0 on",
        MANIFEST: "all of this for programs, with the SHA-256 and size of every file",
    }
    return [f"- `{path}`: {what}" for path, what in said.items() if path in files or path == MANIFEST]
