"""Tell on standard error how far a benchmark is; results go to standard output."""

import sys
import time


def say(what: str) -> None:
    """Write one line of progress."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")
    sys.stderr.flush()
