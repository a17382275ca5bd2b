"""A choice for OpenVINO Model Server: its model repository, and the config.json that serves it.

Every compile property goes into plugin_config. The keys and rules are those of the server's published schema
(model_server, docs/parameters.md); what it would refuse is refused here.
"""

from typing import Any

import msgspec

from perftool.deploy.choice import Choice, Exported, model_files, served
from perftool.errors import InputError

CONFIG = "config.json"

#: The keys that a model's config may have.
KEYS = frozenset(
    (
        *("name", "base_path", "batch_size", "graph_path", "subconfig", "model_version_policy", "shape"),
        *("layout", "nireq", "target_device", "allow_cache", "plugin_config", "custom_loader_options"),
    )
)


def export(choice: Choice) -> Exported:
    """Return the repository; raise InputError for a choice that the server would not take."""
    files = {CONFIG: config(choice, choice.name), **model_files(choice, f"{choice.name}/1/")}
    return Exported(files=files, notes=(served(choice, "OVMS"),))


def config(choice: Choice, base_path: str) -> bytes:
    """Return config.json; a relative `base_path` is read from the folder that the file lies in.

    Raises InputError for a choice that the server would not take.
    """
    model: dict[str, Any] = {
        "name": choice.name,
        "base_path": base_path,
        "target_device": choice.configuration.device,
        "batch_size": choice.configuration.batch,
        "nireq": choice.requests,
        "plugin_config": choice.result.properties,
    }
    check(model, choice.result.streams)
    value = {"model_config_list": [{"config": model}]}
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def check(model: dict[str, Any], streams: int | None) -> None:
    """Raise InputError unless a model's config keeps the server's rules; `streams` is what was resolved."""
    if unknown := sorted(model.keys() - KEYS):
        raise InputError(f"OVMS knows no {', '.join(unknown)} in a model's config")
    properties = model.get("plugin_config", {})
    if "NUM_STREAMS" in properties and "PERFORMANCE_HINT" in properties:
        raise InputError("OVMS takes NUM_STREAMS or PERFORMANCE_HINT, not both")
    if streams is not None and model.get("nireq", streams) < streams:
        raise InputError(
            f"OVMS takes no fewer requests than streams, and this choice has {model['nireq']} for {streams}; "
            "choose another configuration, or another format"
        )
