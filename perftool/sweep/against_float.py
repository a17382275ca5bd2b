"""Measure an INT8 model against the float variants that a device has: is it faster here at all?"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from perftool.analysis.quantization import Speed
from perftool.bench import host
from perftool.bench.isolate import ask_once, expect
from perftool.errors import ResumeRefusedError
from perftool.job import Compile
from perftool.machine import DeviceFound
from perftool.record import Compiled
from perftool.spec import Configuration, Explicit, Images, Precision
from perftool.sweep.duel import STALL_SECONDS, Contender, duel
from perftool.sweep.locks import hold
from perftool.sweep.plan import inference_precision, resolve_threads


class Compared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In which precisions a model is executed, how fast, and what kept that from being measured."""

    executed: str
    speed: tuple[Speed, ...] = ()
    notes: tuple[str, ...] = ()


def against_float(
    device: DeviceFound,
    full: str,
    int8: str,
    inputs: Images,
    folder: Path,
    progress: Callable[[int, int], None],
) -> Compared:
    """Compare the file `int8` with the float file `full` in every precision of the device.

    At batch 1 with one stream. While another run measures on the device only what is executed is told.
    """
    floats: list[Precision] = [
        one for one in ("FP32", "FP16", "BF16") if one == "FP32" or one in device.capabilities
    ]
    contenders = [_contender(device, "INT8", int8), *(_contender(device, one, full) for one in floats)]
    progress(0, 1)
    try:
        with hold((device.name,)):
            found = duel(contenders, inputs, folder, lambda _: None, progress)
    except ResumeRefusedError as busy:
        job = Compile(
            configuration=contenders[0].configuration, model_path=int8, inputs=inputs, incarnation=0
        )
        compiled = expect(ask_once(job, folder / "compile.log", STALL_SECONDS), Compiled)
        return Compared(executed=_said(compiled), notes=(f"its speed was not compared: {busy}",))
    pairs = zip(floats, found.ratios, strict=True)
    return Compared(
        executed=_said(found.compiled), speed=tuple(Speed(against=one, ratio=ratio) for one, ratio in pairs)
    )


def explicit(device: DeviceFound, precision: Precision, streams: int | Literal["auto"]) -> Explicit:
    """Return the setting that a precision is run in on a device, on all cores."""
    return Explicit(
        inference_precision=inference_precision(precision, device.capabilities),
        streams=streams,
        threads=resolve_threads(host.identity()),
    )


def _said(compiled: Compiled) -> str:
    total = sum(one.flops for one in compiled.executed) or 1
    return ", ".join(f"{one.precision} {one.flops / total:.0%}" for one in compiled.executed) or "unknown"


def _contender(device: DeviceFound, precision: Precision, path: str) -> Contender:
    return Contender(
        configuration=Configuration(
            id=precision,
            device=device.name,
            precision=precision,
            batch=1,
            setting=explicit(device, precision, 1),
            requests=1,
        ),
        model_path=path,
    )
