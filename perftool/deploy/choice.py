"""What is deployed, and what files it becomes: the values that every format is made of.

Values only. `cli.choosing` gathers a Choice from a run, `cli.writing` writes what a format exports.
"""

import re

from msgspec import Struct

from perftool.analysis.result import ConfigurationResult, RunInfo
from perftool.errors import InputError
from perftool.journal import ModelIdentity
from perftool.machine import HostInfo
from perftool.record import Port
from perftool.spec import Configuration, Geometry

#: The model's files, under the names that all formats give them.
MODEL = "model.xml"
WEIGHTS = "model.bin"
LABELS = "labels.txt"


class Copy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that is copied as it is: where it lies, and its SHA-256 and size."""

    source: str
    sha256: str
    bytes: int


class Exported(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a format makes of a choice: {relative path: content}, and what it cannot say, a sentence each."""

    files: dict[str, bytes | Copy]
    notes: tuple[str, ...]


class Choice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration of a run, and all that is known of it.

    `xml` and `bin` are the model at the batch that the format wants, `input` and `output` its ports at
    batch 1. `default_precision` is what its device runs an FP32 file in when nobody says, None where that is
    not known. `confirmed` holds the figures that it was confirmed with, in fresh rounds after it was chosen;
    None where it was not. `geometry` is how the run's images were cut; `labels` names the classes from the
    first on, and is empty where nobody knows them.
    """

    run: RunInfo
    host: HostInfo
    model: ModelIdentity
    licence: str | None
    configuration: Configuration
    result: ConfigurationResult
    confirmed: ConfigurationResult | None
    default_precision: str | None
    input: Port
    output: Port
    xml: Copy
    bin: Copy
    geometry: Geometry
    labels: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the model's name as a folder's and a server's: letters, digits, dots, dashes, 100 at most.

        It is none of the names that files have which lie beside that folder.
        """
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.model.name).strip("-.")[:100].rstrip("-.") or "model"
        return f"{name}-model" if name.lower().endswith(".json") else name

    @property
    def requests(self) -> int:
        """Return the requests in flight that the figures were measured with."""
        return self.result.requests or 1

    @property
    def asked_precision(self) -> str | None:
        """Return the inference precision that the configuration forces; None where it is left to OpenVINO."""
        return self.result.properties.get("INFERENCE_PRECISION_HINT")

    @property
    def weights(self) -> str:
        """Say whose weights the model has."""
        if self.model.reference:
            return "perftool's reference weights, which are made for its synthetic images"
        return "the published weights" if self.model.published else "weights of the user's own"


def served(choice: Choice, server: str) -> str:
    """Say what a server leaves to its clients, and what the figures do not hold."""
    return (
        f"{server} serves the model alone: clients send images cut and resized as the run's were "
        f"({choice.geometry}); what network and server add to latency was not measured"
    )


def model_files(choice: Choice, folder: str = "") -> dict[str, bytes | Copy]:
    """Return the model's two files, in a folder of the export."""
    return {f"{folder}{MODEL}": choice.xml, f"{folder}{WEIGHTS}": choice.bin}


def label_file(choice: Choice) -> tuple[dict[str, bytes | Copy], tuple[str, ...]]:
    """Return the labels, one class per line, or a note that they are not known.

    Raises InputError for a name that is more than a line to any of the programs that may read the file.
    """
    if not choice.labels:
        return {}, (f"no {LABELS}: perftool does not know this model's class names; classes are numbers",)
    for number, label in enumerate(choice.labels):
        if (wrong := _no_line(label)) is not None:
            raise InputError(
                f"class {number} is named {label!a}, {wrong}, which {LABELS} cannot hold: "
                "rename its folder in the data set"
            )
    return {LABELS: "".join(f"{label}\n" for label in choice.labels).encode()}, ()


def _no_line(label: str) -> str | None:
    """Say why a class's name is not one line of text; None where it is."""
    if label.splitlines() != [label]:
        return "with a line's end in it" if label else "with nothing"
    try:
        label.encode()
    except UnicodeEncodeError:
        return "in no UTF-8"
    return None
