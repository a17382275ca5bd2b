"""What this process holds in memory. Runtime-free."""

import contextlib
from pathlib import Path

import psutil


def peak_rss_bytes() -> int:
    """Return this process's largest resident size since it was executed.

    VmHWM belongs to this program alone; ru_maxrss would remember the parent's size across exec.
    """
    status = Path("/proc/self/status")
    for line in status.read_text(encoding="utf-8").splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)


def forget_peak() -> None:
    """Start the peak again from what is resident now, where the kernel lets a process do so."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
