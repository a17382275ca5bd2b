"""What a run's journal holds, by kind."""

from typing import Any

from perftool.journal import Run


def records(run: Run, kind: type[Any]) -> list[Any]:
    return [entry.record for entry in run.entries if isinstance(entry.record, kind)]
