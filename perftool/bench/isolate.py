"""The parent's side of a child: spawn it, ask it, time it out, and turn whatever happens into a record.

The parent sleeps while a child works. A child that crashes, hangs or is killed costs one job: the answer
is a Failed record with the reason and the end of the child's output. Imports no runtime.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
import psutil

from perftool.bench.failures import Kind, failed
from perftool.bench.host import oom_kills
from perftool.errors import DeviceMissingError, InputError, PerftoolError
from perftool.job import Compile, Job
from perftool.record import Answer, Failed, Progress

#: How much of a child's output a failure keeps, in bytes.
TAIL_BYTES = 2000
#: How long a child whose pipe has closed may take to end by itself.
LAST_WORDS_SECONDS = 1.0
#: How often the parent looks up while a child works, in seconds: at most once a second.
TICK_SECONDS = 1.0


#: Called about once a second while a child works (None), and with every progress that it tells.
Watch = Callable[[Progress | None], None]

Wanted = TypeVar("Wanted", bound=Answer)


def quiet(progress: Progress | None) -> None:
    """Watch nothing."""


class Child:
    """A worker process that serves job after job until it is closed or lost.

    `output` is the file that takes the child's standard output and error.
    """

    def __init__(self, output: Path, watch: Watch = quiet) -> None:
        jobs_read, jobs_write = os.pipe()
        answers_read, answers_write = os.pipe()
        self._output = output
        self._watch = watch
        self._kills_before = oom_kills()
        self._compiled = ""
        with output.open("ab") as out:
            self._output_from = out.tell()
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # What lies in the folder that the command is run from is no module of ours.
                    "-m",
                    "perftool.bench.worker",
                    f"--jobs={jobs_read}",
                    f"--answers={answers_write}",
                    f"--parent={os.getpid()}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=(jobs_read, answers_write),
                start_new_session=True,
            )
        os.close(jobs_read)
        os.close(answers_write)
        os.set_blocking(jobs_write, False)
        self._jobs = os.fdopen(jobs_write, "wb", buffering=0)
        self._answers = os.fdopen(answers_read, "rb", buffering=0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)
        self._pending = b""
        self._decoder: msgspec.json.Decoder[Answer | Progress] = msgspec.json.Decoder(Answer | Progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Tell whether the child can take another job."""
        return not self._jobs.closed and self._process.poll() is None

    def rss_bytes(self) -> int:
        """Return how much memory the child holds now; 0 once it is gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return int(psutil.Process(self.pid).memory_info().rss)
        return 0

    def ask(self, job: Job, stall_seconds: float) -> Answer:
        """Have the child do one job, and return its answer; a lost child answers with Failed.

        `stall_seconds` bounds the time without an answer and without progress.
        """
        if isinstance(job, Compile):
            self._compiled = job.configuration.id
        if not self.alive:
            return self._lost(job)
        deadline = time.monotonic() + stall_seconds
        try:
            if not self._send(_encoded(job), deadline):
                return self._timed_out(job, stall_seconds)
        except BrokenPipeError:
            return self._lost(job)
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return self._timed_out(job, stall_seconds)
            if not self._selector.select(min(remaining, TICK_SECONDS)):
                self._watch(None)
                continue
            chunk = os.read(self._answers.fileno(), 1 << 20)
            if not chunk:
                return self._lost(job)
            *lines, self._pending = (self._pending + chunk).split(b"\n")
            for line in lines:
                message = self._decoder.decode(line)
                if not isinstance(message, Progress):
                    return message if not isinstance(message, Failed) else self._with_tail(message)
                deadline = time.monotonic() + stall_seconds
                self._watch(message)

    def _send(self, message: bytes, deadline: float) -> bool:
        """Write a message as fast as the child reads; tell whether it took all of it before the deadline."""
        with selectors.DefaultSelector() as writable:
            writable.register(self._jobs, selectors.EVENT_WRITE)
            while message:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                if writable.select(min(remaining, TICK_SECONDS)):
                    message = message[os.write(self._jobs.fileno(), message) :]
        return True

    def close(self) -> None:
        """End the child, at once."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        self._jobs.close()
        self._answers.close()

    def _timed_out(self, job: Job, seconds: float) -> Failed:
        self.close()
        return self._failed(job, "timeout", f"no answer within {seconds:g} s; the child was killed")

    def _lost(self, job: Job) -> Failed:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_WORDS_SECONDS)  # Its pipe closes first: how it ended is its own to say.
        self.close()
        code = self._process.returncode
        if code < 0:
            name = signal.Signals(-code).name
            if code == -signal.SIGKILL and oom_kills() != self._kills_before:
                return self._failed(job, "out_of_memory", "the kernel killed the child for want of memory")
            return self._failed(job, "crash", f"the child was killed by {name}")
        return self._failed(job, "crash", f"the child ended with exit code {code}")

    def _failed(self, job: Job, kind: Kind, reason: str) -> Failed:
        return self._with_tail(failed(job, self._compiled, kind, reason))

    def _with_tail(self, failed: Failed) -> Failed:
        with self._output.open("rb") as output:
            output.seek(0, os.SEEK_END)
            output.seek(max(self._output_from, output.tell() - TAIL_BYTES))
            tail = output.read().decode(errors="replace").strip()
        return msgspec.structs.replace(failed, output_tail=tail)


def _encoded(job: Job) -> bytes:
    """Write a job as a line; raise InputError for a path that no JSON can hold."""
    try:
        return msgspec.json.encode(job) + b"\n"
    except UnicodeEncodeError as error:
        raise InputError(f"{error.object!r}: perftool takes no file names that are not UTF-8") from None


def ask_once(job: Job, output: Path, stall_seconds: float, watch: Watch = quiet) -> Answer:
    """Run one job in a child of its own."""
    with Child(output, watch) as child:
        return child.ask(job, stall_seconds)


def refuse(failed: Failed) -> PerftoolError:
    """Return the error that a failed job ends a command with."""
    match failed.kind:
        case "bad_input":
            return InputError(failed.reason)
        case "device_missing":
            return DeviceMissingError(failed.reason)
    tail = f" (its output ended with: {failed.output_tail.splitlines()[-1]})" if failed.output_tail else ""
    return PerftoolError(f"{failed.stage} {failed.subject}: {failed.reason}{tail}")


def expect(answer: Answer, kind: type[Wanted]) -> Wanted:
    """Return the answer if it is of the kind that was asked for; raise what went wrong otherwise."""
    if isinstance(answer, Failed):
        raise refuse(answer)
    if not isinstance(answer, kind):
        raise PerftoolError(f"a child answered with {type(answer).__name__.lower()}")
    return answer
