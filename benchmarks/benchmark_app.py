"""Run OpenVINO's benchmark_app once, and read what it resolved and measured."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from perftool.record import Compiled
from perftool.spec import Configuration, Explicit

#: What must resolve alike on both sides, by the names that both give it.
SAME = (
    "NUM_STREAMS",
    "INFERENCE_NUM_THREADS",
    "INFERENCE_PRECISION_HINT",
    "PERFORMANCE_HINT",
    "EXECUTION_MODE_HINT",
    "ENABLE_CPU_PINNING",
    "ENABLE_HYPER_THREADING",
    "SCHEDULING_CORE_TYPE",
)
_WORDS = {
    "True": "YES",
    "False": "NO",
    "<Type: 'float32'>": "f32",
    "<Type: 'bfloat16'>": "bf16",
    "<Type: 'float16'>": "f16",
}
#: How long it may take beyond its measuring: importing, reading, compiling, one inference.
STALL_SECONDS = 180.0


class Measured(Struct, frozen=True, kw_only=True):
    """One run: the figures as they were reported, and what it says it resolved."""

    iterations: int
    duration_ms: float
    median_ms: float
    resolved: dict[str, str]


class ReportedError(Exception):
    """benchmark_app failed, or measured something else than it was asked for."""


def measure(model: Path, configuration: Configuration, seconds: int) -> Measured:
    """Measure a configuration for so many seconds; raise ReportedError where it does something else.

    One request goes by the synchronous API, as perftool's single caller does: `infer()` after `infer()`.
    More go by AsyncInferQueue, as perftool's do. `-ip f32` keeps the model's own input type, which would
    become u8 with a conversion in front otherwise.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "benchmark_app"),
                *stated(model, configuration, seconds),
                *("-report_type", "no_counters", "-json_stats", "true", "-report_folder", folder),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds + STALL_SECONDS,
        )
        report = Path(folder) / "benchmark_report.json"
        # It ends with 0 after an error too; only a whole report says that it measured.
        if not report.exists() or "throughput" not in report.read_text():
            raise ReportedError(f"benchmark_app failed: {done.stdout[-2000:]}")
        return read(msgspec.json.decode(report.read_bytes()), done.stdout, configuration)


def stated(model: Path, configuration: Configuration, seconds: int) -> list[str]:
    """Return the options that say the same as a configuration."""
    setting = configuration.setting
    assert isinstance(setting, Explicit)
    options = {
        "-m": str(model),
        "-d": configuration.device,
        "-hint": "none",
        "-api": "sync" if configuration.requests == 1 else "async",
        "-nireq": configuration.requests,
        "-b": configuration.batch,
        "-ip": "f32",
        "-infer_precision": setting.inference_precision,
        "-nstreams": setting.streams,
        "-nthreads": setting.threads,
        "-pin": "YES" if setting.pinning else "NO",
        "-t": seconds,
    }
    return [str(part) for pair in options.items() for part in pair]


def read(report: Mapping[str, Any], output: str, configuration: Configuration) -> Measured:
    """Read a report and the properties in the output; raise ReportedError for another batch or requests."""
    setup, results = report["configuration_setup"], report["execution_results"]
    asked = (str(configuration.batch), str(configuration.requests))
    got = (setup["batch size"], setup["number of parallel infer requests"])
    if asked != got:
        raise ReportedError(f"asked for batch and requests {asked}, benchmark_app took {got}")
    found = dict(re.findall(r"^\[ INFO \] {3}([A-Z_]+): (.*)$", output, flags=re.MULTILINE))
    return Measured(
        iterations=int(results["total number of iterations"]),
        duration_ms=float(results["total execution time (ms)"]),
        median_ms=float(results["latency (ms)"]),
        resolved={name: word(found[name]) for name in SAME if name in found},
    )


def word(text: str) -> str:
    """Return a property's value as perftool writes it."""
    plain = _WORDS.get(text, text)
    return plain.partition(".")[2] if plain.startswith(("ExecutionMode.", "SchedulingCoreType.")) else plain


def check_same(compiled: Compiled, measured: Measured) -> None:
    """Raise ReportedError unless both sides resolved the same properties, and all of them are known."""
    ours = {name: compiled.resolved.get(name, "not told") for name in SAME}
    theirs = {name: measured.resolved.get(name, "not told") for name in SAME}
    different = [f"{name} {ours[name]} and {theirs[name]}" for name in SAME if ours[name] != theirs[name]]
    if different:
        raise ReportedError(
            f"{compiled.configuration}: perftool and benchmark_app resolved {'; '.join(different)}"
        )
