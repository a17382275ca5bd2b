"""A child's life: `python -m perftool.bench.worker --jobs FD --answers FD`.

Reads jobs from one pipe, a JSON line each, and writes answers (and progress) to another; standard output
and error belong to the runtimes that print there. It dies with its parent, also in the middle of a
compile, and is the first to go when the machine runs out of memory. Heavy imports happen in `jobs`.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from perftool.bench.failures import failure
from perftool.errors import PerftoolError
from perftool.job import Job
from perftool.record import Answer, Progress
from perftool.telemetry import silence

if TYPE_CHECKING:
    from perftool.bench.jobs import Bench

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent goes, whatever it is doing then (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def go_first_when_memory_is_short() -> None:
    """Offer this process to the kernel's out-of-memory killer before any other."""
    with contextlib.suppress(OSError):  # No /proc, or one that a container locks.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


class Wire:
    """The pipe to the parent."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._encoder = msgspec.json.Encoder()

    def send(self, message: Answer | Progress) -> None:
        """Write one message."""
        self._answers.write(self._encoder.encode(message) + b"\n")
        self._answers.flush()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell how far a long job is."""
        self.send(Progress(stage=stage, done=done, total=total))


def serve(jobs: BinaryIO, wire: Wire) -> None:
    """Carry jobs out until the pipe closes."""
    from perftool.bench.jobs import Bench

    bench = Bench(wire.progress)
    decoder: msgspec.json.Decoder[Job] = msgspec.json.Decoder(Job)
    for line in jobs:
        job = decoder.decode(line)
        wire.send(answer(bench, job))


def answer(bench: "Bench", job: Job) -> Answer:
    """Do a job; what it raises becomes a record, with the traceback in the child's output."""
    try:
        return bench.do(job)
    except Exception as error:
        if not isinstance(error, PerftoolError):
            traceback.print_exception(error)
        return failure(job, bench.compiled, error)


def main() -> None:
    """Run a worker on the two pipes that its parent passed."""
    parser = argparse.ArgumentParser(prog="perftool.bench.worker")
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--answers", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    go_first_when_memory_is_short()
    silence()
    with os.fdopen(arguments.jobs, "rb") as jobs, os.fdopen(arguments.answers, "wb") as answers:
        serve(jobs, Wire(answers))


if __name__ == "__main__":
    main()
