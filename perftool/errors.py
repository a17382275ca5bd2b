"""The exception tree of perftool; each class carries the exit code that the command ends with.

    PerftoolError                1  internal error, or a job that failed in its child
    ├── UsageError               2  the command line asks for something that makes no sense
    ├── InputError               3  a file, a profile or a model cannot be used as given
    ├── NothingPassesError       4  no measured configuration passes the limits
    ├── DeviceMissingError       5  a device, or its driver, is not on this machine
    ├── ResumeRefusedError       6  the run belongs to another model, profile or host
    ├── RegressionError          7  a run is worse than the one it is compared with, by more than the bound
    ├── ClaimError               8  a bundle's claim was measured again, and not confirmed
    ├── DisagreementError        9  two models differ by more than the bound
    ├── UndecidedError          10  a bundle's claim was measured again, too disturbed to decide on it
    └── InterruptedRunError    130  stopped by the user; what was measured is kept

An error's text is one line: what is wrong, where, what to do; `one_line` and `last_line` make one of what a
library says in several. Nothing here prints or exits: `cli.main` catches these once.
"""

from typing import ClassVar


class PerftoolError(Exception):
    """Tell the user, in one line, what went wrong and what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(PerftoolError):
    """Refuse a command line."""

    exit_code = 2


class InputError(PerftoolError):
    """Refuse an input: a file, a profile, a data set, a model."""

    exit_code = 3


class NothingPassesError(PerftoolError):
    """Say that no configuration passes the limits."""

    exit_code = 4


class DeviceMissingError(PerftoolError):
    """Say that a device cannot be used here, and what would have to be installed."""

    exit_code = 5


class ResumeRefusedError(PerftoolError):
    """Refuse to continue a run, or to share one, and say what differs."""

    exit_code = 6


class RegressionError(PerftoolError):
    """Say that a run is worse than the baseline run by more than the threshold."""

    exit_code = 7


class ClaimError(PerftoolError):
    """Say that what a bundle claims was measured again, and is not what is found here."""

    exit_code = 8


class DisagreementError(PerftoolError):
    """Say that two models differ by more than the bound allows."""

    exit_code = 9


class UndecidedError(PerftoolError):
    """Say that what was measured again decides nothing on what a bundle claims; to be tried again."""

    exit_code = 10


class InterruptedRunError(PerftoolError):
    """Report that the user stopped the run."""

    exit_code = 130


def one_line(error: BaseException) -> str:
    """Return all that an error says, on one line; its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def last_line(error: BaseException | str) -> str:
    """Return the last line of a runtime's error that says something, without its full stop."""
    lines = [line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
