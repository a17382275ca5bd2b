"""A sweep while it runs: overall progress, time left, what is running, the best so far.

On a terminal one display that is redrawn, at most once a second; elsewhere a line per event. Goes to
standard error, since standard output belongs to the results.
"""

import sys
import time
from types import TracebackType
from typing import Self

from msgspec import Struct
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

VERBS = {
    "probe": "looking at",
    "peaks": "measuring the peaks of",
    "prepare": "preparing",
    "rank": "ranking",
    "evaluate": "accuracy of",
    "measure": "measuring",
    "confirm": "confirming the choice, measuring",
    "layers": "timing the layers of",
}


#: The display shares the cores with what is measured: it is redrawn at most this often for the same subject.
REDRAW_SECONDS = 1.0


class Scene(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the display shows. `share` is 0 to 1; `seconds_left` is None where nothing is known yet."""

    stage: str
    subject: str
    part: tuple[int, int] | None
    share: float
    seconds_left: float | None
    best: str | None
    failures: int


def _doing(scene: Scene) -> str:
    """Say what is being done; before anything has a name, that it begins."""
    return f"{VERBS.get(scene.stage, scene.stage)} {scene.subject}" if scene.subject else "starting"


def duration(seconds: float) -> str:
    """Write a duration as people say it."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class LiveDisplay:
    """Show scenes as they come. A context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._started = time.monotonic()
        self._said: tuple[str, str] | None = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        if self._terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            self._live.stop()

    def show(self, scene: Scene) -> None:
        """Show a scene."""
        if self._terminal:
            now = time.monotonic()
            if (scene.stage, scene.subject) == self._said and now - self._drawn < REDRAW_SECONDS:
                return
            self._said, self._drawn = (scene.stage, scene.subject), now
            self._live.update(self._panel(scene), refresh=True)
        elif (scene.stage, scene.subject) != self._said:
            self._said = (scene.stage, scene.subject)
            left = f", {duration(scene.seconds_left)} left" if scene.seconds_left is not None else ""
            sys.stderr.write(f"[{scene.share:4.0%}{left}] {_doing(scene)}\n")
            sys.stderr.flush()

    def say(self, text: str) -> None:
        """Say a line that stays."""
        self._console.print(Text(text))

    def _panel(self, scene: Scene) -> Group:
        bar = Table.grid(padding=(0, 1))
        left = f"{duration(scene.seconds_left)} left" if scene.seconds_left is not None else ""
        bar.add_row(
            ProgressBar(total=1.0, completed=scene.share, width=40),
            f"{scene.share:.0%}",
            f"{duration(time.monotonic() - self._started)} so far",
            left,
        )
        part = f" ({scene.part[0]} of {scene.part[1]})" if scene.part else ""
        lines = [Text(f"{_doing(scene)}{part}")]
        if scene.best:
            lines.append(Text(f"best so far: {scene.best}"))
        if scene.failures:
            lines.append(Text(f"{scene.failures} failed; the reasons follow at the end"))
        return Group(bar, *lines)
