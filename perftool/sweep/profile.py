"""Read, override and write profiles: the TOML files that say what a sweep measures.

Paths in a profile (of a model, weights, images) are taken from the working directory, like those of the
command line; nothing here opens them. TOML has no null: a limit that is lifted is written `inf`.
"""

import importlib.resources
import math
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

import perftool
from perftool.errors import InputError, UsageError
from perftool.spec import Bound, Builtin, Dataset, ModelSource, Objective, Profile
from perftool.sweep.invalid import explain, nearest

SUFFIX = ".toml"

_MOST = 2**63 - 1
_PATHS = ("directory", "labels", "calibration")
_Fault = tuple[str, str]


def load_profile(name_or_path: str) -> Profile:
    """Read a shipped profile by its name, or any by its path; a bare shipped name is never a path.

    Raises InputError with the file, the field's path and what is expected there.
    """
    folder = _folder()
    path = Path(name_or_path)
    if name_or_path in shipped():
        path = folder / f"{name_or_path}{SUFFIX}"
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise InputError(_unknown(name_or_path)) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line}: not UTF-8, which TOML is written in") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {_syntax(error, text)}") from None
    profile = _decode(data)
    if isinstance(profile, Profile):
        return _absolute(profile, path)
    raise InputError(f"{path}: {profile[0]}: {profile[1]}")


def _absolute(profile: Profile, source: Path) -> Profile:
    """Read a profile's relative paths from its own folder; a run then resumes from anywhere."""

    def full(path: str | None) -> str | None:
        if path is None:
            return None
        if "\0" in path:
            raise InputError(f"{source}: {path!r}: no path holds a null character")
        return os.path.abspath(source.parent / os.path.expanduser(path))

    data = msgspec.to_builtins(profile)
    for table, names in ((data["model"], ("path", "weights")), (data["images"], _PATHS)):
        table.update({name: full(table[name]) for name in names if name in table})
    return msgspec.convert(data, Profile)


def shipped() -> tuple[str, ...]:
    """Return the names of the profiles that come with perftool."""
    return tuple(sorted(path.stem for path in _folder().glob(f"*{SUFFIX}")))


def override(
    profile: Profile,
    *,
    model: ModelSource | None = None,
    images: Builtin | Dataset | None = None,
    devices: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    batches: Sequence[int] | None = None,
    streams: Sequence[int | str] | None = None,
    threads: Sequence[int | str] | None = None,
    loads: Sequence[str] | None = None,
    search: str | None = None,
    trials: int | None = None,
    rounds: int | None = None,
    incarnations: int | None = None,
    visit_seconds: float | None = None,
    extra_visits: int | None = None,
    carry_percentile: bool | None = None,
    objective: Objective | None = None,
    latency_ms: float | None = None,
    slo_ms: float | None = None,
    percentile: int | None = None,
    accuracy_drop_pp: float | None = None,
    memory_mb: float | None = None,
    bounds: Sequence[Bound] | None = None,
    calibration_images: int | None = None,
    evaluation_images: int | None = None,
    seed: int | None = None,
) -> Profile:
    """Replace single fields, as command line options do; None leaves a field, `inf` lifts a limit.

    Devices, precisions, batches, streams and threads are replaced in every grid, image counts for built-in
    images and data sets alike. A limit replaces those on the same metric, and leaves the others. Raises
    UsageError that names the option at fault.
    """
    data = msgspec.to_builtins(profile)
    lists = {
        "devices": devices,
        "precisions": precisions,
        "batches": batches,
        "streams": streams,
        "threads": threads,
    }
    for grid in data["grids"]:
        grid.update({name: list(value) for name, value in lists.items() if value is not None})
    for counts in data["accuracy"].values():
        counts.update(_given({"calibration": calibration_images, "evaluation": evaluation_images}))
    policy = {
        "trials": trials,
        "rounds": rounds,
        "incarnations": incarnations,
        "visit_seconds": visit_seconds,
        "extra_visits": extra_visits,
        "carry_percentile": carry_percentile,
    }
    limits = {
        "latency_ms": latency_ms,
        "slo_ms": slo_ms,
        "percentile": percentile,
        "accuracy_drop_pp": accuracy_drop_pp,
        "memory_mb": memory_mb,
    }
    from perftool.analysis.wishes import replaced  # SciPy comes with the metrics, and a journal takes none.

    data["policy"].update(_given(policy))
    own = replaced(
        profile.limits,
        bounds or (),
        latency=latency_ms is not None,
        drop=accuracy_drop_pp is not None,
        memory=memory_mb is not None,
        percentile=percentile,
    )
    data["limits"] = {**msgspec.to_builtins(own), **_given(limits)}
    data.update(_given({"objective": objective, "search": search, "seed": seed}))
    if loads is not None:
        data["loads"] = list(loads)
    for name, value in _given({"model": model, "images": images}).items():
        data[name] = msgspec.to_builtins(value)
    overridden = _decode(data)
    if isinstance(overridden, Profile):
        return overridden
    raise UsageError(f"{_option(overridden[0])}: {overridden[1]}")


def rewished(profile: Profile, *, objective: Objective | None = None, **wishes: Any) -> Profile:
    """Replace the objective and limits of a run's profile, as `override` does, for choosing again.

    Another objective than the rate has no use for the rate's bound. Raises UsageError that names the option.
    """
    if objective is not None and objective != "rate":
        limits = msgspec.structs.replace(profile.limits, slo_ms=None)
        profile = msgspec.structs.replace(profile, objective=objective, limits=limits)
    elif (objective or profile.objective) == "rate" and _lifted(wishes.get("slo_ms"), profile.limits.slo_ms):
        raise UsageError("--objective rate goes with --slo-ms: the bound that the rate is to hold")
    return override(profile, objective=objective, **wishes)


def _lifted(given: float | None, own: float | None) -> bool:
    return given == math.inf or (given is None and own is None)


def to_toml(profile: Profile) -> str:
    """Write a profile whole, defaults included, so that `load_profile` reads an equal one."""
    data = msgspec.to_builtins(profile)
    if profile.limits.accuracy_drop_pp is None:
        data["limits"]["accuracy_drop_pp"] = math.inf
    return tomli_w.dumps(_without_null(data))


def schema() -> dict[str, Any]:
    """Return the JSON schema of a profile, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "perftool profile",
        **msgspec.json.schema(Profile),
    }


def schema_text() -> str:
    """Return what stands in profiles/profile.schema.json."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


def _folder() -> Path:
    """Return where the shipped profiles lie: in an installed package, or beside it in a source tree."""
    installed = importlib.resources.files(perftool) / "profiles"
    if isinstance(installed, Path) and installed.is_dir():
        return installed
    return Path(perftool.__file__).parent.parent / "profiles"


def _unknown(name: str) -> str:
    known = list(shipped())
    close = nearest(name, known)
    hint = f", did you mean {close}?" if close else ""
    return f"{name}: no such profile file, nor a shipped profile ({', '.join(known)}){hint}"


def _syntax(error: tomllib.TOMLDecodeError, text: str) -> str:
    """Return a syntax error with its line first; one at the end of the file has the last line."""
    message = str(error)
    place = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if place:
        return f"line {place[1]}, column {place[2]}: {message[: place.start()]}"
    last = len(text.rstrip().splitlines()) or 1
    return f"line {last}: {message.removesuffix(' (at end of document)')}"


def _decode(data: dict[str, Any]) -> Profile | _Fault:
    """Return a profile, or the path of the first field at fault and what is wrong with it."""
    limits = data.get("limits")
    if isinstance(limits, dict):
        lifted = {name: None if value == math.inf else value for name, value in limits.items()}
        data = {**data, "limits": lifted}
    for path, value in _numbers(data, ""):
        if isinstance(value, float) and not math.isfinite(value):
            return path, f"expected a finite number, got {value}"
        if abs(value) > _MOST:
            return path, f"expected a number of at most 64 bits, got {value}"
    try:
        profile = msgspec.convert(data, Profile)
    except msgspec.ValidationError as error:
        return explain(error, data, Profile)
    if profile.seed < 0:
        return "seed", f"expected an integer >= 0, got {profile.seed}"
    if profile.objective == "rate" and profile.limits.slo_ms is None:
        return "limits.slo_ms", 'missing; the objective "rate" compares the rates that hold this bound'
    return _wishes(profile) or _empty(profile) or _measuring(profile)


def _wishes(profile: Profile) -> _Fault | None:
    """Return the first limit or weight on a metric that makes no sense."""
    if not (isinstance(profile.objective, dict) or profile.limits.bounds):
        return None
    from perftool.analysis.wishes import checked_bound, checked_weights  # SciPy comes with the metrics.

    try:
        if isinstance(profile.objective, dict):
            checked_weights(profile.objective)
    except InputError as error:
        return "objective", str(error)
    for index, bound in enumerate(profile.limits.bounds):
        try:
            checked_bound(bound)
        except InputError as error:
            return f"limits.bounds[{index}]", str(error)
    return None


def _measuring(profile: Profile) -> Profile:
    """Add the loads that limits and weights are read from: what is asked about is measured."""
    if not (isinstance(profile.objective, dict) or profile.limits.bounds):
        return profile
    from perftool.analysis.wishes import loads_of

    wanted = loads_of(profile.objective, profile.limits)
    missing = tuple(load for load in wanted if load not in profile.loads)
    return msgspec.structs.replace(profile, loads=(*profile.loads, *missing)) if missing else profile


def _numbers(value: object, path: str) -> Iterator[tuple[str, int | float]]:
    """Yield every number of a document with its path."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _numbers(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            yield from _numbers(member, f"{path}[{index}]")
    elif isinstance(value, int | float):
        yield path, value


def _empty(profile: Profile) -> _Fault | None:
    """Return the first list that has no entry: nothing would be measured."""
    lists: list[tuple[str, Sequence[object]]] = [("grids", profile.grids), ("loads", profile.loads)]
    lists.append(("policy.open_shares", profile.policy.open_shares))
    for index, grid in enumerate(profile.grids):
        lists += [(f"grids[{index}].{name}", getattr(grid, name)) for name in grid.__struct_fields__]
    empty = next((path for path, entries in lists if not entries), None)
    return (empty, "expected at least one entry, got an empty list") if empty else None


def _option(path: str) -> str:
    """Return the option that a field of a profile is overridden by: `grids[0].batches[1]`, `batches[1]`."""
    name = re.sub(r"^(grids\[\d+\]|policy|limits)\.", "", path)
    counts = re.match(r"accuracy\.\w+\.(\w+)$", path)
    return f"{counts[1]}_images" if counts else name


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_null(member) if isinstance(member, dict) else member
        for name, member in value.items()
        if member is not None
    }
