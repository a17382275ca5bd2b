"""Join a running sweep to the display on the terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import msgspec

from perftool.analysis.effort import percentile_allowed
from perftool.analysis.evidence import throughput_fps
from perftool.analysis.limits import carrying
from perftool.analysis.searched import unproposed
from perftool.analysis.summary import summarize
from perftool.analysis.warn import feeding_unstated
from perftool.journal import Entry, Focused, Raced, Run, Surveyed
from perftool.record import Failed, Visited
from perftool.render.live import LiveDisplay, Scene
from perftool.spec import Closed
from perftool.sweep.pace import seconds_left, share_done
from perftool.sweep.preparing import Status, Watcher
from perftool.sweep.remaining import left_behind, planned

#: What more rounds than the profile's are for.
_WHY_MORE = {
    "decide": "still open, so extra rounds",
    "carry": "still open, so extra rounds",
    "confirm": "confirming",
    "complete": "rounds to make up",
}


class _Follower:
    """Keeps what the display shows up to date with the run."""

    def __init__(self, display: LiveDisplay) -> None:
        self._display = display
        self._run: Run | None = None
        self._speeds: dict[str, list[float]] = {}
        self._asked: frozenset[str] = frozenset()
        self._warned = False
        self._job = ("", "")
        self._job_began, self._job_from = 0.0, 0
        self._scene = Scene(
            stage="probe", subject="", part=None, share=0.0, seconds_left=None, best=None, failures=0
        )

    def status(self, status: Status) -> None:
        self._show(stage=status.stage, subject=status.subject, part=status.part)
        if self._run is None and status.part is not None:
            self._show_part(status)

    def _show_part(self, status: Status) -> None:
        """Outside a sweep the one job that runs is the whole: show its share, and the time it has left."""
        assert status.part is not None
        done, total = status.part
        job = (status.stage, status.subject)
        if job != self._job:
            self._job, self._job_began, self._job_from = job, time.monotonic(), done
        fresh, spent = done - self._job_from, time.monotonic() - self._job_began
        left = spent * (total - done) / fresh if fresh > 0 and total > done else None
        self._show(share=done / total if total else 0.0, seconds_left=left)

    def opened(self, folder: Path, run: Run) -> None:
        self._run = run
        self._display.say(f"run folder: {folder}")
        if (unstated := feeding_unstated(run.header)) is not None:  # A sweep always evaluates.
            self._display.say(f"warning: {unstated}")
        for entry in run.entries:
            self._count(entry)

    def appended(self, entry: Entry) -> None:
        if self._run is None:
            return
        self._run = msgspec.structs.replace(self._run, entries=(*self._run.entries, entry))
        self._count(entry)
        if isinstance(entry.record, Failed):
            self._display.say(f"failed: {entry.record.subject}: {entry.record.reason}")
            self._show(failures=self._scene.failures + 1)
        if isinstance(entry.record, Surveyed):
            for one in entry.record.findings:
                if one.status == "warning":
                    self._display.say(f"warning: {one.name}: {one.found}; {one.advice}")
        if isinstance(entry.record, Raced):
            self._tell_of_drops(entry.record)
        if isinstance(entry.record, Focused) and frozenset(entry.record.configurations) != self._asked:
            self._asked = frozenset(entry.record.configurations)
            why = _WHY_MORE[entry.record.purpose]
            self._display.say(f"{why}: {'; '.join(entry.record.questions)}")
        if isinstance(entry.record, Visited) and entry.record.round == 1 and not self._warned:
            self._warn_of_short_samples()
        if planned(self._run) is not None:
            left = seconds_left(self._run)
            self._show(share=share_done(self._run, left), seconds_left=left, best=self._best())

    def _tell_of_drops(self, raced: Raced) -> None:
        """Say after a round how many configurations the race goes on with."""
        assert self._run is not None
        plan = planned(self._run)
        if raced.drops and plan is not None:
            gone = left_behind(entry.record for entry in self._run.entries)
            explicit = {one.id for one in plan.configurations if not one.baseline}
            left = explicit - gone - unproposed(self._run, plan)
            front = f", {len(raced.front)} of them for the Pareto front alone" if raced.front else ""
            many = "" if len(raced.drops) == 1 else "s"
            self._display.say(
                f"after round {raced.round + 1} the race drops {len(raced.drops)} configuration{many}: "
                f"{len(left)} go on{front}"
            )

    def _warn_of_short_samples(self) -> None:
        """After the first round, say how long it takes until the samples carry a limit's percentile."""
        assert self._run is not None
        self._warned = True
        profile = self._run.header.profile
        if not percentile_allowed(self._run) and profile.limits.latency_ms is not None:
            for text in carrying(summarize(self._run), profile.limits):
                self._display.say(text)

    def _count(self, entry: Entry) -> None:
        visit = entry.record
        if isinstance(visit, Visited) and isinstance(visit.load, Closed):
            self._speeds.setdefault(visit.configuration, []).append(throughput_fps(visit))

    def _best(self) -> str | None:
        if not self._speeds:
            return None
        name, speeds = max(self._speeds.items(), key=lambda pair: median(pair[1]))
        return f"{name}, {median(speeds):.1f} images/s"

    def _show(self, **changes: object) -> None:
        self._scene = msgspec.structs.replace(self._scene, **changes)
        self._display.show(self._scene)


@contextmanager
def watching() -> Iterator[Watcher]:
    """Show a sweep on standard error while the block runs."""
    with LiveDisplay() as display:
        follower = _Follower(display)
        yield Watcher(status=follower.status, appended=follower.appended, opened=follower.opened)
