"""Whole sweeps, twice over: are the figures the same, and is the choice?

Each is the real command in a process of its own, into a folder under build/. Runs that are complete are not
made again, and one that was stopped is resumed.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from benchmarks.options import RAW, Options
from benchmarks.progress import say
from benchmarks.tables import header, listed, row
from perftool.analysis.evidence import by_round, filed, gather, plan_of, throughput_fps
from perftool.analysis.stats import MIN_VISITS, Estimate, median_estimate, ratio_of_independent
from perftool.bench.host import identity
from perftool.journal import JOURNAL, Finished
from perftool.sweep.store import read

TITLE = "Repeatability of a sweep"
QUESTION = (
    "Does the same sweep give the same again? Whole runs of `perftool sweep` with the quick profile, in "
    "pairs. For each pair: how many configurations have an interval of the ratio of their throughputs, "
    "run to run, that covers 1 (the ratio of two medians from independent runs: see the honesty of the "
    "intervals, *recovery*); and whether the choices agree: they are the same, or each run called the "
    "other's choice tied or undecided. Every run has a seed of its own, so that rounds run in another "
    "order: with one seed for all, what a configuration suffers from its neighbours in the order would be "
    "the same in both runs and pass for agreement. Aim: 95 % cover 1, and all choices agree."
)
PAIRS = 3
FIRST_SEED = 20160223
#: A smoke run: as few configurations as make a choice, visits as short as they get.
SMOKE = (
    "--precision",
    "INT8",
    "--batch",
    "1",
    "--streams",
    "1,2",
    "--visit-seconds",
    "0.2",
    "--max-accuracy-drop",
    "100",
)
NOTHING_PASSES = 4


class Choice(Struct, frozen=True):
    """What a run's results.json says of its choice; other fields are not read."""

    id: str | None
    leader: str | None
    tied: tuple[str, ...]
    undecided: tuple[str, ...]

    def allows(self, other: str | None) -> bool:
        """Tell whether this run chose the other's choice too, or called it tied or undecided."""
        return other == self.id or other in (self.leader, *self.tied, *self.undecided)


class Results(Struct, frozen=True):
    """The part of results.json that is read."""

    recommendation: Choice


def run(options: Options) -> Iterator[str]:
    """Make the sweeps that are not there yet; yield a row for each pair of them."""
    pairs = 1 if options.quick else PAIRS
    folder = RAW / ("repeatability-quick" if options.quick else "repeatability")
    if options.forgets:
        shutil.rmtree(folder, ignore_errors=True)
    runs = [folder / f"run-{number + 1}" for number in range(2 * pairs)]
    for number, one in enumerate(runs):
        complete(one, FIRST_SEED + number, SMOKE if options.quick else ())
    yield from header("pair", "ratios that cover 1", "median ratio", "furthest", "choices", "agree")
    covering = total = agreeing = 0
    missed: list[str] = []
    for number in range(pairs):
        one, other = runs[2 * number : 2 * number + 2]
        found = ratios(one, other)
        held = [id for id, ratio in found.items() if covers_one(ratio)]
        missed += [f"{id} {shown(ratio)}" for id, ratio in found.items() if id not in held]
        alike, choices = compared(choice(one), choice(other))
        covering, total, agreeing = covering + len(held), total + len(found), agreeing + alike
        points = [ratio.point for ratio in found.values()]
        yield row(
            f"{number + 1}",
            f"{len(held)} of {len(found)}",
            f"{median(points):.3f}",
            f"{max(points, key=lambda point: abs(point - 1)):.3f}",
            choices,
            "yes" if alike else "no",
        )
    yield ""
    yield (
        f"{covering} of {total} ratios cover 1 ({100 * covering / total:.0f} %); "
        f"choices agree in {agreeing} of {pairs} pairs."
    )
    yield ""
    yield f"Not covering: {listed(missed)}. Seeds {FIRST_SEED} to {FIRST_SEED + 2 * pairs - 1}."


# ---------------------------------------------------------------- runs


def complete(folder: Path, seed: int, options: tuple[str, ...]) -> None:
    """Run the real command, unless that was done; resume what was stopped."""
    if not is_complete(folder):
        say(f"repeatability: {folder.name}, seed {seed}")
        begun = (folder / JOURNAL).exists()
        what = ("--resume", str(folder)) if begun else ("--out", str(folder), "--seed", str(seed), *options)
        command = [sys.executable, "-m", "perftool", "sweep", *what]
        done = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        if done not in (0, NOTHING_PASSES):
            raise SystemExit(f"perftool sweep ended with exit code {done}; run this again to resume {folder}")
    if not (folder / "results.json").exists():
        subprocess.run(
            [sys.executable, "-m", "perftool", "report", str(folder)], stdout=subprocess.DEVNULL, check=True
        )


def is_complete(folder: Path) -> bool:
    """Tell whether a folder holds a run that did everything it planned; raise SystemExit if not of here."""
    if not (folder / JOURNAL).exists():
        return False
    run = read(folder)
    if run.header.host != identity():
        raise SystemExit(f"{folder}: a run on another machine, or with other versions; --anew forgets it")
    return bool(run.entries) and isinstance(run.entries[-1].record, Finished)


def choice(folder: Path) -> Choice:
    """Read what a run recommends."""
    return msgspec.json.decode((folder / "results.json").read_bytes(), type=Results).recommendation


def throughputs(folder: Path) -> dict[str, list[float]]:
    """Return each configuration's throughput, one figure for each round, where they carry an interval."""
    run = read(folder)
    files = filed(run)
    found = {
        one.id: list(by_round(gather(files, one).closed, throughput_fps).values())
        for one in plan_of(run).configurations
    }
    return {id: values for id, values in found.items() if len(values) >= MIN_VISITS}


# ---------------------------------------------------------------- pairs of runs


def ratios(one: Path, other: Path) -> dict[str, Estimate]:
    """Return each configuration's ratio of throughputs, the second run over the first."""
    first, second = throughputs(one), throughputs(other)
    return {
        id: ratio_of_independent(median_estimate(second[id]), median_estimate(first[id]))
        for id in first
        if id in second
    }


def compared(one: Choice, other: Choice) -> tuple[bool, str]:
    """Tell whether two choices agree, and what they are."""
    if one.id == other.id:
        return True, one.id or "none"
    return one.allows(other.id) and other.allows(one.id), f"{one.id or 'none'}, {other.id or 'none'}"


def covers_one(ratio: Estimate) -> bool:
    """Tell whether an interval covers 1."""
    return ratio.low is not None and ratio.high is not None and ratio.low <= 1 <= ratio.high


def shown(ratio: Estimate) -> str:
    """Return an interval's ends."""
    return f"({ratio.low:.3f} to {ratio.high:.3f})"
