"""Read runs that are held against each other: shared by compare and history."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perftool.cli.options import run_folder

if TYPE_CHECKING:
    from perftool.analysis.matching import Look


def look_at(folder: Path, name: str) -> "Look":
    """Read a run, and choose by its own objective and limits; raise InputError where it is none."""
    from perftool.analysis.choose import choose
    from perftool.analysis.matching import Look
    from perftool.analysis.summary import summarize
    from perftool.sweep.store import read

    run = read(run_folder(folder))
    summary = summarize(run, name=name)
    profile = run.header.profile
    return Look(run=run, summary=summary, choice=choose(summary, profile.objective, profile.limits).id)


def names_of(folders: Sequence[Path]) -> list[str]:
    """Return what each run is called: its folder's name, its whole path where several share that."""
    names = [run_folder(folder).resolve().name for folder in folders]
    return [
        str(run_folder(folder)) if names.count(name) > 1 else name
        for folder, name in zip(folders, names, strict=True)
    ]
