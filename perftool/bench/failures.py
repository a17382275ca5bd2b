"""A job that went wrong, as a record. Runtime-free: both ends of the pipe use it."""

from typing import Literal, cast

from perftool.errors import DeviceMissingError, InputError, PerftoolError, last_line
from perftool.job import (
    Compile,
    Convert,
    Evaluate,
    Freeze,
    Inspect,
    Job,
    MeasurePeaks,
    Offer,
    Prepare,
    Probe,
    Rewrite,
    TimeLayers,
    Verify,
    Visit,
)
from perftool.record import Failed, Stage

Kind = Literal["crash", "timeout", "out_of_memory", "error", "bad_input", "device_missing"]


def subject(job: Job, compiled: str) -> str:
    """Name what a job is about; a visit is about what the child has compiled."""
    match job:
        case Compile() | TimeLayers():
            return job.configuration.id
        case Visit() | Offer():
            return compiled
        case Prepare():
            return job.weight_format
        case Evaluate():
            return f"{job.precision} on {job.device}"
        case MeasurePeaks():
            return job.device
        case Probe():
            return ", ".join(job.devices)
        case Freeze() | Convert() | Rewrite():
            return job.output
        case Inspect():
            return job.path
        case Verify():
            return "two models"
    return type(job).__name__.lower()


def failed(job: Job, compiled: str, kind: Kind, reason: str, output_tail: str = "") -> Failed:
    """Record that a job was not finished, and why."""
    return Failed(
        subject=subject(job, compiled),
        stage=cast(Stage, job.__struct_config__.tag),
        kind=kind,
        reason=reason,
        output_tail=output_tail,
    )


def failure(job: Job, compiled: str, error: BaseException) -> Failed:
    """Turn what a job raised into a record, in one line."""
    kind: Kind = "error"
    match error:
        case DeviceMissingError():
            kind = "device_missing"
        case InputError():
            kind = "bad_input"
        case MemoryError():
            kind = "out_of_memory"
    reason = last_line(error)
    if not isinstance(error, PerftoolError):
        reason = f"{type(error).__name__}: {reason}"
    return failed(job, compiled, kind, reason)
