"""Read a config.pbtxt strictly: protobuf's text format, and only what Triton's OpenVINO backend knows."""

import re
from typing import Any

_TOKEN = re.compile(r'\s+|#[^\n]*|"(?:[^"\\\n]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*|-?\d+|[{}\[\]:,]')

#: The fields of each message that a model's configuration may have, and whether they may be repeated.
_FIELDS: dict[str, dict[str, str]] = {
    "": {
        "name": "string",
        "backend": "string",
        "max_batch_size": "int",
        "input": "[tensor]",
        "output": "[tensor]",
        "instance_group": "[group]",
        "parameters": "*parameter",
    },
    "tensor": {"name": "string", "data_type": "enum", "dims": "[int]"},
    "group": {"count": "int", "kind": "enum"},
    "parameter": {"key": "string", "value": "value"},
    "value": {"string_value": "string"},
}
_PARAMETERS = {
    *("NUM_STREAMS", "INFERENCE_NUM_THREADS", "PERFORMANCE_HINT", "COMPILATION_NUM_THREADS", "HINT_BF16"),
    *("TARGET_DEVICE", "CPU_EXTENSION_PATH", "SKIP_OV_DYNAMIC_BATCHSIZE", "ENABLE_BATCH_PADDING"),
    "RESHAPE_IO_LAYERS",
}
_ENUMS = {
    *("TYPE_FP32", "TYPE_FP16", "TYPE_UINT8", "TYPE_INT8", "TYPE_INT32", "TYPE_INT64"),
    *("KIND_CPU", "KIND_AUTO"),
}


def parse(text: str) -> dict[str, Any]:
    """Return a configuration; fail on anything that is not one."""
    tokens = _tokens(text)
    found = _message(tokens, "", end=None)
    assert {"name", "backend", "input", "output"} <= found.keys()
    found["parameters"] = {one["key"]: one["value"]["string_value"] for one in found.get("parameters", [])}
    assert found["parameters"].keys() <= _PARAMETERS, found["parameters"]
    assert found["parameters"].get("HINT_BF16", "YES") == "YES"
    return found


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match, f"not protobuf text: {text[at : at + 40]!r}"
        at = match.end()
        if not match[0].isspace() and not match[0].startswith("#"):
            tokens.append(match[0])
    return tokens[::-1]


def _message(tokens: list[str], kind: str, end: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while tokens and tokens[-1] != end:
        name = tokens.pop()
        assert name in _FIELDS[kind], f"{kind or 'the configuration'} has no {name}"
        field = _FIELDS[kind][name]
        if tokens[-1] == ":":
            tokens.pop()
        else:
            assert field.lstrip("*[").rstrip("]") in _FIELDS, f"{name} needs a colon"
        value = _list(tokens, field[1:-1]) if field[0] == "[" else _value(tokens, field.lstrip("*"))
        if field[0] == "*":
            found.setdefault(name, []).append(value)
        else:
            assert name not in found, f"{name} twice"
            found[name] = value
    if end is not None:
        assert tokens and tokens.pop() == end
    return found


def _list(tokens: list[str], kind: str) -> list[Any]:
    assert tokens.pop() == "["
    values = [_value(tokens, kind)]
    while tokens[-1] == ",":
        tokens.pop()
        values.append(_value(tokens, kind))
    assert tokens.pop() == "]"
    return values


def _value(tokens: list[str], kind: str) -> Any:
    token = tokens.pop()
    if kind in _FIELDS:
        assert token == "{"
        return _message(tokens, kind, "}")
    if kind == "int":
        return int(token)
    if kind == "enum":
        assert token in _ENUMS, token
        return token
    assert token.startswith('"')
    return token[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
