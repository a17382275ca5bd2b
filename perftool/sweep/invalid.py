"""Say in one line which field of a TOML document is wrong, what is expected there, and what was found.

msgspec finds the fault; this puts it into the words of the file's author. Reads no file and raises nothing.
"""

import difflib
import json
import re
from typing import Any

import msgspec
from msgspec import inspect


def explain(error: msgspec.ValidationError, data: object, target: type) -> tuple[str, str]:
    """Return the path of the field at fault, as TOML writes it, and what is wrong with it.

    `data` is what was to become a `target`, and did not because of `error`.
    """
    text = str(error)
    at = re.search(r" - at `\$(.*?)`$", text)
    tokens = re.findall(r"\w+", at[1]) if at else []
    kind, value = _walk(inspect.type_info(target), data, tokens)
    path = at[1].removeprefix(".") if at else ""
    if path.endswith("[...]") and isinstance(value, dict):
        return _entry(path.removesuffix("[...]"), value)
    if unknown := re.search(r"unknown field `(.*?)`(?: - at|$)", text):
        return _join(path, unknown[1]), f"unknown field; {_nearest(unknown[1], _fields(kind, value))}"
    if missing := re.search(r"missing required field `(.*?)`", text):
        expected = _expected(_walk(kind, value, [missing[1]])[0])
        return _join(path, missing[1]), f"missing; expected {expected}"
    return path, f"expected {_expected(kind)}, got {found(value)}"


def _entry(path: str, table: dict[str, Any]) -> tuple[str, str]:
    """Return the entry at fault of a table of numbers, of which msgspec names the table alone."""
    name, value = next(
        (name, value)
        for name, value in table.items()
        if isinstance(value, bool) or not isinstance(value, int | float)
    )
    return _join(path, name), f"expected a number, got {found(value)}"


def nearest(name: str, known: list[str]) -> str | None:
    """Return the known name that a mistyped one was probably meant to be."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def found(value: object) -> str:
    """Return a value as TOML would show it, in short."""
    if isinstance(value, bool | str):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 60 else f"{text[:56]}..."
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    return str(value)


def _walk(kind: inspect.Type, value: object, tokens: list[str]) -> tuple[inspect.Type, object]:
    """Follow a path through the type and the data at once; return what stands at its end."""
    for token in tokens:
        kind = _chosen(kind, value)
        if isinstance(kind, inspect.StructType | inspect.UnionType):
            kind = _field(kind, token)
            value = value.get(token) if isinstance(value, dict) else None
        elif isinstance(kind, inspect.VarTupleType):
            kind = kind.item_type
            value = value[int(token)] if isinstance(value, list | tuple) else None
    return kind, value


def _chosen(kind: inspect.Type, value: object) -> inspect.Type:
    """Return the member of a union that a value is meant for: by its tag, or the one list there is."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    for member in kind.types:
        if isinstance(member, inspect.StructType):
            tagged = isinstance(value, dict) and value.get(str(member.tag_field)) == member.tag
            if tagged or member.tag is None:
                return member
        if isinstance(member, inspect.VarTupleType) and isinstance(value, list | tuple):
            return member
    return kind


def _field(kind: inspect.StructType | inspect.UnionType, name: str) -> inspect.Type:
    """Return the type of a struct's field; a tag's type is the choice between the tags."""
    structs = [kind] if isinstance(kind, inspect.StructType) else _structs(kind)
    for struct in structs:
        for field in struct.fields:
            if field.encode_name == name:
                return field.type
    return inspect.LiteralType(values=tuple(str(struct.tag) for struct in structs if struct.tag))


def _structs(kind: inspect.UnionType) -> list[inspect.StructType]:
    return [member for member in kind.types if isinstance(member, inspect.StructType)]


def _fields(kind: inspect.Type, value: object) -> list[str]:
    """Return the field names that a table may have."""
    chosen = _chosen(kind, value)
    if not isinstance(chosen, inspect.StructType):
        return []
    tag = [chosen.tag_field] if chosen.tag_field else []
    return [*tag, *(field.encode_name for field in chosen.fields)]


def _nearest(name: str, known: list[str]) -> str:
    close = nearest(name, known)
    return f"did you mean {close}?" if close else f"known here are {', '.join(known)}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _expected(kind: inspect.Type) -> str:
    """Return in words what a type takes."""
    match kind:
        case inspect.IntType():
            return "an integer" + _bounds(kind)
        case inspect.FloatType():
            return "a number" + _bounds(kind)
        case inspect.StrType():
            return "a string"
        case inspect.BoolType():
            return _or(["true", "false"])
        case inspect.LiteralType():
            return _one_of(kind.values)
        case inspect.VarTupleType():
            return f"a list, each entry {_expected(kind.item_type)}"
        case inspect.StructType():
            return "a table"
        case inspect.DictType():
            return f"a table, each entry {_expected(kind.value_type)}"
        case inspect.UnionType():
            tags = [str(struct.tag) for struct in _structs(kind) if struct.tag]
            if tags:
                return f"a table with type {_one_of(tags)}"
            members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
            return _or([word for member in members for word in _choices(member)])
        case _:
            return "another kind of value"


def _choices(kind: inspect.Type) -> list[str]:
    """Return in words each thing that a member of a union takes."""
    return ["true", "false"] if isinstance(kind, inspect.BoolType) else [_expected(kind)]


def _or(words: list[str]) -> str:
    return " or ".join(each for each in (", ".join(words[:-1]), words[-1]) if each)


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    pairs: tuple[tuple[str, Any], ...] = ((">", kind.gt), (">=", kind.ge), ("<", kind.lt), ("<=", kind.le))
    limits = [f"{sign} {limit:g}" for sign, limit in pairs if limit is not None]
    return f" {' and '.join(limits)}" if limits else ""


def _one_of(values: Any) -> str:
    shown = [found(value) for value in values]
    return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"
