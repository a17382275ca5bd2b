"""Warm children: compiled configurations that wait, blocked, for their next visit.

As many stay as memory allows; the least recently used goes first. One child works at a time.
"""

from pathlib import Path

from perftool.bench.isolate import Child, Watch


class WarmChildren:
    """The children of a sweep by configuration, within `budget_bytes` of resident memory together."""

    def __init__(self, logs: Path, budget_bytes: int, watch: Watch) -> None:
        self._logs = logs
        self._budget = budget_bytes
        self._watch = watch
        self._children: dict[str, Child] = {}
        self._generations: dict[str, int] = {}

    def warm(self, configuration: str, generation: int) -> Child | None:
        """Return the child that has a configuration compiled, unless it is lost or of another generation."""
        child = self._children.get(configuration)
        if child is None:
            return None
        if not child.alive or self._generations[configuration] != generation:
            self.drop(configuration)
            return None
        self._children[configuration] = self._children.pop(configuration)
        return child

    def spawn(self, configuration: str, generation: int) -> Child:
        """Start a child for a configuration, which still has to compile it."""
        self.drop(configuration)
        self._logs.mkdir(exist_ok=True)
        child = Child(self._logs / f"{configuration}.log", self._watch)
        self._children[configuration] = child
        self._generations[configuration] = generation
        return child

    def drop(self, configuration: str) -> None:
        """End a configuration's child, if it has one."""
        if child := self._children.pop(configuration, None):
            child.close()

    def make_room(self) -> None:
        """End the least recently used children until the others fit the budget; the last one stays."""
        sizes = {name: child.rss_bytes() for name, child in self._children.items()}
        for name in list(self._children)[:-1]:
            if sum(sizes.values()) <= self._budget:
                return
            del sizes[name]
            self.drop(name)

    def close(self) -> None:
        """End all children."""
        for name in list(self._children):
            self.drop(name)
