"""A choice for OpenVINO's benchmark_app: its -load_config file, and the command line that goes with it.

The model stays at batch 1, since benchmark_app sets the batch itself. What it measures is inference alone, on
inputs that it makes up, by its own rules.
"""

import shlex

import msgspec

from perftool.deploy.choice import MODEL, Choice, Exported, model_files
from perftool.spec import Hint

CONFIG = "load_config.json"
COMMAND = "command.txt"
#: For how long it measures, in seconds.
SECONDS = 30


def export(choice: Choice) -> Exported:
    """Return the model, load_config.json, and the command line, which is run from the export's folder."""
    files = {**model_files(choice), CONFIG: load_config(choice), COMMAND: command(choice, MODEL)}
    return Exported(files=files, notes=notes())


def notes() -> tuple[str, ...]:
    """Say what benchmark_app does not measure."""
    return (
        "benchmark_app measures inference alone, on inputs that it makes up: no accuracy, no preprocessing",
    )


def load_config(choice: Choice) -> bytes:
    """Return what `-load_config` reads: the properties under the device."""
    value = {choice.configuration.device: choice.result.properties}
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def command(choice: Choice, model: str) -> bytes:
    """Return the command line that measures what perftool measured; `model` is the path of the model file.

    Without `-hint none` benchmark_app would add the THROUGHPUT hint to stated properties. A hint stands in
    the file, and takes no -nireq: benchmark_app would hand that to the device, which plans its streams by it.
    `-ip` keeps the model's own input type; one request goes by the synchronous API, as perftool's does.
    """
    hinted = isinstance(choice.configuration.setting, Hint)
    options = {
        "-m": model,
        "-d": choice.configuration.device,
        "-load_config": CONFIG,
        "-b": choice.configuration.batch,
        "-ip": choice.input.element,
        "-api": "sync" if choice.requests == 1 else "async",
        **({} if hinted else {"-hint": "none", "-nireq": choice.requests}),
        "-t": SECONDS,
    }
    words = ["benchmark_app", *(str(part) for pair in options.items() for part in pair)]
    return f"{shlex.join(words)}\n".encode()
