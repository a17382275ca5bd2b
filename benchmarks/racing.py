"""A real space measured whole, once with long visits, and raced five times: what does a race save, and lose?

Each run is the real command in a process of its own, into a folder under build/. Runs that are complete are
not made again, and one that was stopped is resumed. What the races and the exhaustive run chose is measured
once more, side by side, in many alternating visits: else the exhaustive run's own luck would be the judge.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.options import RAW, Options
from benchmarks.racing_plot import Spent, draw
from benchmarks.repeatability import choice, complete
from benchmarks.tables import header, row
from perftool.analysis.evidence import plan_of
from perftool.analysis.leader import standing
from perftool.analysis.result import ConfigurationResult, Summary
from perftool.analysis.stats import Estimate, paired_ratio
from perftool.analysis.summary import summarize
from perftool.journal import Run
from perftool.record import Visited
from perftool.spec import Configuration, Grid, Limits, Policy, Profile
from perftool.sweep.profile import to_toml
from perftool.sweep.store import read

TITLE = "A race against measuring everything"
QUESTION = (
    "Does a race find what measuring everything finds, and at what cost? The space: FP32, BF16 and INT8, "
    "batches of 1, 2 and 4, one and two streams, one and two requests for each, pinned threads or not. "
    "Measured whole once (six rounds, windows of 3 s), then raced from scratch five times by the rules of a "
    "sweep (windows of 2 s, of 0.5 s for scouts), each with a seed of its own. Objective throughput, no "
    "limits; without the confirmation, which costs both alike. Measuring time is that of windows and "
    "warm-ups. What was chosen is then measured side by side in 40 rounds: the regret is what a race's "
    "choice is slower by than the exhaustive run's, there. Aim: 15 % of the measuring time or less, and a "
    "regret of at most 1 %, or tied, each time."
)
RACES = 5
FIRST_SEED = 20160223
SPACE = Grid(
    precisions=("FP32", "BF16", "INT8"),
    batches=(1, 2, 4),
    streams=(1, 2),
    requests=(1, 2),
    pinning=(True, False),
)
SMOKE = Grid(precisions=("INT8",), batches=(1,), streams=(1, 2), pinning=(True, False))
LONG_SECONDS = 3.0
#: A window longer than this many times what was asked had to wait for its completions.
COMPLETIONS_BIND = 1.15
#: What a race may spend on what its rounds leave open.
EXTRA_VISITS = 24
REFEREE_ROUNDS = 40
REFEREE_SECONDS = 1.0
AIM_SHARE = 0.15
AIM_REGRET = 0.01


def run(options: Options) -> Iterator[str]:
    """Make the runs that are not there yet; yield a row for each race."""
    folder = RAW / ("racing-quick" if options.quick else "racing")
    if options.forgets:
        shutil.rmtree(folder, ignore_errors=True)
    races = 1 if options.quick else RACES
    whole = _made(folder / "exhaustive", _profile("grid", options), FIRST_SEED)
    raced = [
        _made(folder / f"race-{number + 1}", _profile("race", options), FIRST_SEED + 1 + number)
        for number in range(races)
    ]
    chosen = [_choice(one) for one in (whole, *raced)]
    referee = _referee(folder, read(whole), tuple(dict.fromkeys(chosen)), options)
    yield from _table(whole, raced, chosen, referee)
    if not options.quick:
        yield from ("", f"![Where the time went]({_picture(whole, raced, chosen)})")


def _table(whole: Path, raced: list[Path], chosen: list[str], referee: Summary | None) -> Iterator[str]:
    everything = measuring_seconds(read(whole))
    total = sum(everything.values())
    yield from header(
        "run",
        "measuring, s",
        "of exhaustive",
        "wall, s",
        "visited to the end",
        "chose",
        "regret (95 %)",
        "aim",
    )
    wall = summarize(read(whole)).run.wall_seconds
    yield row("exhaustive", f"{total:.0f}", "1", f"{wall:.0f}", f"{len(everything)}", chosen[0], "", "")
    shares, kept = [], 0
    for folder, id in zip(raced, chosen[1:], strict=True):
        run = read(folder)
        summary = summarize(run)
        seconds = sum(measuring_seconds(run).values())
        shares.append(seconds / total)
        ratio = None if id == chosen[0] else _ratio(referee, id, chosen[0])
        held = shares[-1] <= AIM_SHARE and _as_good(ratio)
        kept += held
        left = sum(one.status == "ok" and one.dropped is None for one in summary.configurations)
        cells = (f"{seconds:.0f}", f"{shares[-1]:.1%}", f"{summary.run.wall_seconds:.0f}", f"{left}", id)
        yield row(folder.name, *cells, _regret(ratio), "kept" if held else "missed")
    yield ""
    space = plan_of(read(whole)).configurations
    points = sum(not one.baseline for one in space)
    equal = sum(measuring_seconds(read(whole), Policy().visit_seconds / LONG_SECONDS).values())
    yield (
        f"{points} configurations; the races took {median(shares):.1%} of the exhaustive run's time "
        f"(median; {min(shares):.1%} to {max(shares):.1%}); the aim was kept in {kept} of {len(raced)}. "
        f"Had its windows been as short as a race's, the share would be {median(shares) * total / equal:.1%}."
    )


def measuring_seconds(run: Run, shorter: float = 1.0) -> dict[str, float]:
    """Return how long each configuration was measured: windows and warm-ups, compiling apart.

    With `shorter` as if windows had been that much shorter, but those that their completions made long.
    """
    baselines = {one.id for one in plan_of(run).configurations if one.baseline}
    seconds: dict[str, float] = {}
    for entry in run.entries:
        visit = entry.record
        if isinstance(visit, Visited) and visit.configuration not in baselines:
            # Requests in flight overlap: a warm-up lasts as long as one of them was busy.
            bound = visit.window_ns > COMPLETIONS_BIND * LONG_SECONDS * 1e9
            window_ns = visit.window_ns * (1.0 if bound else shorter)
            spent = window_ns + sum(visit.warmup_ns) / visit.requests
            seconds[visit.configuration] = seconds.get(visit.configuration, 0.0) + spent / 1e9
    return seconds


def _choice(folder: Path) -> str:
    found = choice(folder).id
    assert found is not None, "without limits something is always chosen"
    return found


def _ratio(referee: Summary | None, one: str, other: str) -> Estimate | None:
    """Return the paired ratio of two throughputs in the referee's run."""
    assert referee is not None, "two different choices are measured side by side"
    series = referee.series
    return paired_ratio(series[one].throughput_fps, series[other].throughput_fps)


def _as_good(ratio: Estimate | None) -> bool:
    """Tell whether a choice is within 1 % of the other, or tied with it; None is the other itself."""
    if ratio is None:
        return True
    return ratio.point >= 1 - AIM_REGRET or standing(ratio, REFEREE_ROUNDS).kind == "tied"


def _regret(ratio: Estimate | None) -> str:
    if ratio is None:
        return "0 (the same)"
    ends = (1 - end for end in (ratio.high, ratio.low) if end is not None)
    return f"{1 - ratio.point:.1%} ({' to '.join(f'{end:.1%}' for end in ends)})"


# ---------------------------------------------------------------- runs


def _profile(search: str, options: Options) -> Profile:
    """Return what is swept: the space alone, chosen by throughput alone."""
    quick = {"visit_seconds": 0.2, "scout_seconds": 0.1} if options.quick else {}
    long = {"visit_seconds": LONG_SECONDS} if search == "grid" and not options.quick else {}
    extra = EXTRA_VISITS if search == "race" else 0
    policy = {"rounds": 6, "extra_visits": extra, "confirm_rounds": 0, **long, **quick}
    return Profile(
        name=f"racing-{search}",
        grids=(SMOKE if options.quick else SPACE,),
        search=search,  # type: ignore[arg-type]
        policy=msgspec.convert(policy, Policy),
        limits=Limits(accuracy_drop_pp=None),
    )


def _made(folder: Path, profile: Profile, seed: int) -> Path:
    """Make a run with the real command, unless it is there and complete."""
    file = folder.parent / f"{profile.name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(to_toml(profile), encoding="utf-8")
    complete(folder, seed, ("--profile", str(file)))
    return folder


def _referee(folder: Path, whole: Run, ids: tuple[str, ...], options: Options) -> Summary | None:
    """Measure the choices side by side; None where all chose the same."""
    if len(ids) == 1:
        return None
    planned = {one.id: one for one in plan_of(whole).configurations}
    rounds = 6 if options.quick else REFEREE_ROUNDS
    policy = Policy(
        rounds=rounds,
        incarnations=rounds // 6,
        visit_seconds=0.2 if options.quick else REFEREE_SECONDS,
        extra_visits=0,
        confirm_rounds=0,
    )
    profile = Profile(
        name="racing-referee",
        grids=tuple(_alone(planned[id]) for id in ids),
        search="grid",
        policy=policy,
        limits=Limits(accuracy_drop_pp=None),
    )
    return summarize(read(_made(folder / "referee", profile, FIRST_SEED)))


def _alone(one: Configuration) -> Grid:
    """Return a grid of one configuration."""
    setting = one.setting
    data = msgspec.to_builtins(setting)
    return Grid(
        devices=(one.device,),
        precisions=(one.precision,),  # type: ignore[arg-type]
        batches=(one.batch,),
        streams=(data["streams"],),
        requests=(int(one.requests) // int(data["streams"]),),
        pinning=(data["pinning"],),
    )


# ---------------------------------------------------------------- the picture


def _picture(whole: Path, raced: list[Path], chosen: list[str]) -> str:
    """Draw where the time went; return the picture's path from the page."""
    exhaustive = read(whole)
    results = sorted(
        (one for one in summarize(exhaustive).configurations if one.throughput_fps is not None),
        key=_throughput,
        reverse=True,
    )
    seconds = measuring_seconds(exhaustive)
    races = [measuring_seconds(read(folder)) for folder in raced]
    spent = [
        Spent(
            id=one.id,
            precision=str(one.precision),
            throughput_fps=one.throughput_fps,
            exhaustive_s=seconds.get(one.id, 0.0),
            race_s=median(race.get(one.id, 0.0) for race in races),
            chosen=chosen[1:].count(one.id),
        )
        for one in results
        if one.throughput_fps is not None
    ]
    return draw(spent, len(raced))


def _throughput(one: ConfigurationResult) -> float:
    return one.throughput_fps.point if one.throughput_fps else 0.0
