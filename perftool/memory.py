"""What this process holds in memory. Runtime-free."""

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


class Peak:
    """The most memory that this process held: between two looks, and since this was made.

    Where the kernel does not let a process start its peak again, nothing is known between looks.
    """

    def __init__(self) -> None:
        self._ever = 0
        self._resets = _forget()

    def since_last(self) -> int | None:
        """Return the peak since the last look, or since this was made; None where that is unknown."""
        if not self._resets:
            return None
        peak = peak_rss_bytes()
        self._ever = max(self._ever, peak)
        self._resets = _forget()
        return peak

    def ever(self) -> int:
        """Return the peak since this was made; since the process began, where no more is known."""
        return max(self._ever, peak_rss_bytes())


def _forget() -> bool:
    """Start the peak again from what is resident now; tell whether the kernel let us."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
