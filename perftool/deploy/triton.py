"""A choice for Triton Inference Server's OpenVINO backend: its model repository with config.pbtxt.

The backend takes few properties (openvino_backend, README.md). What it cannot say and what would change which
precision runs is refused; the rest stands in the file as a comment, and in the notes. A request carries the
model's whole batch: with a batch dimension of its own Triton would reshape the model.
"""

import re

from perftool.deploy.choice import Choice, Exported, model_files, served
from perftool.errors import InputError
from perftool.record import Port

CONFIG = "config.pbtxt"

_TYPES = {
    "f32": "TYPE_FP32",
    "f16": "TYPE_FP16",
    "u8": "TYPE_UINT8",
    "i8": "TYPE_INT8",
    "i32": "TYPE_INT32",
    "i64": "TYPE_INT64",
}
_SAID = ("NUM_STREAMS", "INFERENCE_NUM_THREADS", "PERFORMANCE_HINT")
_PRECISION = "INFERENCE_PRECISION_HINT"


def export(choice: Choice) -> Exported:
    """Return the repository; raise InputError for a choice that would run in another precision there."""
    folder = f"{choice.name}/"
    files = {f"{folder}{CONFIG}": config(choice), **model_files(choice, f"{folder}1/")}
    return Exported(files=files, notes=notes(choice))


def notes(choice: Choice) -> tuple[str, ...]:
    """Say what config.pbtxt cannot, one sentence each."""
    unsaid = {
        name: value for name, value in choice.result.properties.items() if name not in (*_SAID, _PRECISION)
    }
    said = [f"Triton cannot state {name}={value}: left to OpenVINO" for name, value in unsaid.items()]
    if precision := _unsaid_precision(choice):
        said.append(precision)
    return (*said, *_batch(choice), served(choice, "Triton"))


def config(choice: Choice) -> bytes:
    """Return config.pbtxt; raise InputError for a choice that would run in another precision there."""
    _refuse_another_precision(choice)
    batch = choice.configuration.batch
    lines = [
        *(f"# {' '.join(note.split())}" for note in notes(choice)),
        f"name: {_quoted(choice.name)}",
        'backend: "openvino"',
        "max_batch_size: 0",
        _port("input", choice.input, batch),
        _port("output", choice.output, batch),
        f"instance_group [ {{ count: {choice.requests} kind: KIND_CPU }} ]",
        *(_parameter(name, value) for name, value in _parameters(choice).items()),
    ]
    return ("\n".join(lines) + "\n").encode()


def _parameters(choice: Choice) -> dict[str, str]:
    """Return what the backend can be told. Streams left to OpenVINO are stated as what it made of them."""
    stated = {name: value for name, value in choice.result.properties.items() if name in _SAID}
    if "NUM_STREAMS" in stated and choice.result.streams is not None:
        stated["NUM_STREAMS"] = str(choice.result.streams)
    if choice.asked_precision == "bf16":
        stated["HINT_BF16"] = "YES"
    if choice.configuration.device != "CPU":
        stated["TARGET_DEVICE"] = choice.configuration.device
    return stated


def _refuse_another_precision(choice: Choice) -> None:
    """Refuse a float choice whose precision Triton cannot force, where the device's own is another."""
    asked, default = choice.asked_precision, choice.default_precision
    if asked in (None, "bf16") or default in (None, asked):
        return
    if choice.result.executed_precision == asked:
        raise InputError(
            f"Triton cannot force {asked}: {choice.configuration.id} would run in {default} on a machine "
            "like the measured one, with other speed and accuracy; export a configuration that runs in "
            f"{default}, or another format"
        )


def _unsaid_precision(choice: Choice) -> str | None:
    """Say what becomes of a precision that Triton cannot force."""
    asked, default = choice.asked_precision, choice.default_precision
    if asked in (None, "bf16"):
        return None
    what = f"Triton cannot state {_PRECISION}={asked}"
    if default == asked:
        return f"{what}: the measured device runs in it by itself, another one may not"
    if default is None:
        return f"{what}: which precision the device takes instead is not known; check it"
    return (
        f"{what}: what is not quantized runs in {default} on a machine like the measured one; "
        "speed and accuracy there were not measured"
    )


def _batch(choice: Choice) -> tuple[str, ...]:
    batch = choice.configuration.batch
    return (f"Triton: every request carries exactly {batch} images",) if batch > 1 else ()


def _port(kind: str, port: Port, batch: int) -> str:
    if port.element not in _TYPES:
        raise InputError(f"Triton: the model's {kind} is of type {port.element}, which is not exported")
    shape = ", ".join(map(str, (batch, *port.shape[1:])))
    return f"{kind} [ {{ name: {_quoted(port.name)} data_type: {_TYPES[port.element]} dims: [ {shape} ] }} ]"


def _parameter(name: str, value: str) -> str:
    return f"parameters {{ key: {_quoted(name)} value: {{ string_value: {_quoted(value)} }} }}"


def _quoted(text: str) -> str:
    """Quote text as protobuf's text format wants it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\{ord(found[0]):03o}", escaped) + '"'
