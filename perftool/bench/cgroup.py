"""The control groups that this process is in, and what they allow it.

Looks below the usual mount points under /sys/fs/cgroup, versions 1 and 2. Says nothing about affinity, which
the kernel tells directly. A limit that is not set is infinite; one that cannot be read is None.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

UNLIMITED = math.inf

MOUNT = "sys/fs/cgroup"


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return how many cores' time may be used: the smallest quota of the group and its ancestors."""
    return _smallest(root, "cpu", _cpu_v2, _cpu_v1)


def memory_limit(root: Path = Path("/")) -> float | None:
    """Return how many bytes may be used: the smallest limit of the group and its ancestors."""
    return _smallest(
        root,
        "memory",
        lambda folder: _number(folder / "memory.max"),
        lambda folder: _number(folder / "memory.limit_in_bytes"),
    )


def memory_left(root: Path = Path("/")) -> float | None:
    """Return how many bytes may still be used, by the group or ancestor that is nearest its limit.

    File pages that nobody has touched for a while count as free, since the kernel drops them before it kills.
    """
    return _smallest(
        root,
        "memory",
        lambda folder: _left(folder, "memory.max", "memory.current", "inactive_file"),
        lambda folder: _left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )


def _smallest(
    root: Path,
    controller: str,
    v2: Callable[[Path], float | None],
    v1: Callable[[Path], float | None],
) -> float | None:
    """Return the smallest limit of all groups around this process; None where one of them cannot be read."""
    limits = [v2(folder) for folder in _folders_v2(root)]
    limits += [v1(folder) for folder in _folders_v1(root, controller)]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known and len(known) == len(limits) else None


def _folders_v2(root: Path) -> Iterator[Path]:
    """Yield the folders of the unified hierarchy; beside version 1 it is mounted one level deeper."""
    unified = root / MOUNT / "unified"
    for controllers, path in _groups(root):
        if not controllers:
            yield from _visible(unified if unified.is_dir() else root / MOUNT, path)


def _folders_v1(root: Path, controller: str) -> Iterator[Path]:
    """Yield a controller's folders in version 1, where `cpu,cpuacct` may be mounted under either name."""
    for controllers, path in _groups(root):
        if controller in controllers.split(","):
            together = root / MOUNT / controllers
            yield from _visible(together if together.is_dir() else root / MOUNT / controller, path)


def _groups(root: Path) -> list[tuple[str, str]]:
    """Return the process's groups as (controllers, path); version 2 names no controllers."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    fields = (line.split(":", 2) for line in lines)
    return [(parts[1], parts[2]) for parts in fields if len(parts) == 3]


def _visible(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folders from a mount point down to a group, as far as they can be seen from here.

    In a container the path may be the host's, while the mount point already is the container's own group.
    A path that climbs out of the namespace ("/../x") shows nothing below the mount point.
    """
    folder = mount
    if folder.is_dir():
        yield folder
    for part in path.split("/"):
        folder = folder / part
        if part == ".." or not folder.is_dir():
            return
        if part:
            yield folder


def _cpu_v2(folder: Path) -> float | None:
    """Read `cpu.max`: microseconds and their period, or "max" and its period."""
    found = _words(folder / "cpu.max")
    if not found or found[0] == "max":
        return UNLIMITED if found is not None else None
    return _ratio(found[0], found[1] if len(found) > 1 else "")


def _cpu_v1(folder: Path) -> float | None:
    quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
    if quota is None or period is None:
        return None
    if not quota or quota[0] == "-1":
        return UNLIMITED
    return _ratio(quota[0], period[0] if period else "")


def _ratio(quota: str, period: str) -> float | None:
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None


def _left(folder: Path, limit_name: str, used_name: str, droppable: str) -> float | None:
    limit = _number(folder / limit_name)
    if limit is None or limit == UNLIMITED:
        return limit
    used = _number(folder / used_name)
    if used is None or used == UNLIMITED:
        return None
    words = _words(folder / "memory.stat") or []
    counts = dict(zip(words[::2], words[1::2], strict=False))
    dropped = counts.get(droppable, "0")
    return max(0.0, limit - used + (int(dropped) if dropped.isdecimal() else 0))


def _number(path: Path) -> float | None:
    """Read a limit in bytes: infinite where there is none, None where it cannot be read."""
    found = _words(path)
    if not found or found[0] == "max":
        return UNLIMITED if found is not None else None
    return float(found[0]) if found[0].isdecimal() else None


def _words(path: Path) -> list[str] | None:
    """Return a file's words: none where there is no such file, as at a root, None where it is unreadable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return []
    except OSError:
        return None
