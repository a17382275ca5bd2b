"""What a search by proposals visits, and in which order."""

import math
import random
from importlib.util import find_spec

import pytest
from journals import HOST, SECOND, Journal, Measured

from perftool.analysis.summary import summarize
from perftool.errors import UsageError
from perftool.journal import FORMAT, Entry, Header, ModelIdentity, Planned, Proposed, Record, Run, Twin
from perftool.machine import Conditions
from perftool.record import Compiled, Failed, Visited
from perftool.spec import (
    Closed,
    Configuration,
    Explicit,
    Grid,
    Hint,
    Limits,
    Objective,
    Policy,
    Profile,
    ReferenceModel,
)
from perftool.sweep import proposing
from perftool.sweep.proposing import MISS_COSTS, STARTUP, Proposal, Proposer, rebuild, scores_of
from perftool.sweep.space import dimensions

optuna = pytest.mark.skipif(
    find_spec("optuna") is None, reason="Optuna is not installed: pip install 'perftool[search]'"
)
RUNS_IN = {"FP32": "f32", "BF16": "bf16", "INT8": "f32"}


def configuration(
    precision: str, batch: int, streams: int, each: int = 1, pinning: bool = True
) -> Configuration:
    return Configuration(
        id=f"{precision.lower()}-b{batch}-s{streams}-r{each}{'' if pinning else '-loose'}",
        device="CPU",
        precision=precision,
        batch=batch,
        setting=Explicit(
            inference_precision=RUNS_IN[precision], streams=streams, threads=32, pinning=pinning
        ),
        requests=streams * each,
    )


def space(*, batches: tuple[int, ...] = (1, 2, 4, 8)) -> tuple[Configuration, ...]:
    """Return a space with a hole: no batch above 2 with 16 streams."""
    return tuple(
        configuration(precision, batch, streams, each, pinning)
        for precision in ("FP32", "BF16", "INT8")
        for batch in batches
        for streams in (1, 2, 4, 8, 16)
        for each in (1, 2)
        for pinning in (True, False)
        if batch <= 2 or streams < 16
    )


def smooth(one: Configuration) -> float:
    """Return a score with one summit, away from the edges."""
    setting = one.setting
    assert isinstance(setting, Explicit) and isinstance(one.requests, int)
    assert isinstance(setting.streams, int)
    return (
        {"FP32": 0.0, "BF16": 0.7, "INT8": 1.3}[one.precision]
        - 0.30 * abs(math.log2(setting.streams) - 3)
        - 0.15 * abs(math.log2(one.batch) - 1)
        - 0.05 * (one.requests // setting.streams - 1)
        - 0.03 * setting.pinning
    )


def search(
    configurations: tuple[Configuration, ...], seed: int, trials: int, seeds: tuple[str, ...] = ()
) -> list[Proposal]:
    """Return all proposals of a search in which each is told before the next is made."""
    known = {one.id: one for one in configurations}
    proposer = Proposer(configurations, seed, trials)
    proposer.seed_with(seeds)
    made: list[Proposal] = []
    while proposal := proposer.propose():
        made.append(proposal)
        proposer.tell(proposal.configuration, smooth(known[proposal.configuration]))
    return made


# ---------------------------------------------------------------- the space


def test_dimensions_are_the_fields_that_differ() -> None:
    found = {one.name: (one.levels, one.ordered) for one in dimensions(space())}
    assert found == {
        "precision": (3, False),
        "pinning": (2, False),
        "batch": (4, True),
        "streams": (5, True),
        "requests": (2, True),
    }


def test_a_field_that_follows_from_another_is_no_dimension_and_one_that_does_not_is() -> None:
    rest = configuration("INT8", 1, 1)
    setting = Explicit(inference_precision="bf16", streams=1, threads=32)
    mixed = Configuration(id="rest", device="CPU", precision="INT8", batch=1, setting=setting, requests=1)
    assert "inference_precision" in {one.name for one in dimensions((rest, mixed))}
    assert "inference_precision" not in {one.name for one in dimensions(space())}


def test_auto_comes_after_the_numbers() -> None:
    left = Configuration(
        id="auto",
        device="CPU",
        precision="FP32",
        batch=1,
        setting=Explicit(inference_precision="f32", streams="auto", threads=32),
        requests="auto",
    )
    streams = next(
        one
        for one in dimensions((left, *(configuration("FP32", 1, s) for s in (4, 2))))
        if one.name == "streams"
    )
    assert streams.places.tolist() == [2, 1, 0]


# ---------------------------------------------------------------- proposals


@optuna
def test_seeds_come_first_then_random_ones_then_the_models() -> None:
    seeds = ("int8-b1-s16-r1", "fp32-b1-s1-r1")
    made = search(space(), 1, 30, seeds)
    assert [one.configuration for one in made[:2]] == list(seeds)
    assert [one.source for one in made] == ["hint"] * 2 + ["random"] * (STARTUP - 2) + ["model"] * (
        30 - STARTUP
    )


@optuna
def test_every_configuration_is_proposed_once_and_none_twice() -> None:
    configurations = space(batches=(1, 4))
    made = search(configurations, 2, 10_000)
    assert sorted(one.configuration for one in made) == sorted(one.id for one in configurations)


@optuna
@pytest.mark.parametrize("count", [1, 2])
def test_the_smallest_spaces_are_searched_too(count: int) -> None:
    assert len(search(space()[:count], 3, 100)) == count


@optuna
def test_no_more_are_proposed_than_were_asked_for() -> None:
    assert len(search(space(), 4, 7)) == 7


@optuna
def test_the_seed_decides() -> None:
    assert search(space(), 5, 40) == search(space(), 5, 40)
    assert search(space(), 5, 40) != search(space(), 6, 40)
    assert len(search(space(), -1, 15)) == 15


@optuna
def test_one_that_failed_is_not_proposed_again_and_stops_nothing() -> None:
    configurations = space(batches=(1,))
    proposer = Proposer(configurations, 7, 1000)
    made = []
    while proposal := proposer.propose():
        made.append(proposal.configuration)
        proposer.tell(proposal.configuration, None)
    assert sorted(made) == sorted(one.id for one in configurations)


@optuna
def test_the_top_percent_is_found_in_far_fewer_trials_than_at_random() -> None:
    """Of 2,700 configurations a random search needs about 70 draws to meet one of the top 1 %."""
    configurations = tuple(
        configuration(precision, batch, streams, each, pinning)
        for precision in ("FP32", "BF16", "INT8")
        for batch in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
        for streams in (1, 2, 3, 4, 6, 8, 12, 16, 32)
        for each in (1, 2, 3, 4, 5)
        for pinning in (True, False)
    )
    scores = {one.id: smooth(one) for one in configurations}
    good = sorted(scores.values())[-len(scores) // 100]

    def first(order: list[str]) -> int:
        return next((n for n, id in enumerate(order, 1) if scores[id] >= good), len(order) + 1)

    found = [first([one.configuration for one in search(configurations, seed, 100)]) for seed in range(12)]
    ids = [one.id for one in configurations]
    chance = [first(random.Random(seed).sample(ids, 400)) for seed in range(200)]
    assert sorted(found)[5] < sorted(chance)[100] * 0.65, (sorted(found), sorted(chance)[100])
    assert max(found) < 90, found


# ---------------------------------------------------------------- rebuilt from a journal


def run_of(configurations: tuple[Configuration, ...], records: list[Record], trials: int = 100) -> Run:
    baselines = tuple(
        Configuration(
            id=f"cpu-baseline-{mode.lower()}",
            device="CPU",
            precision="default",
            batch=1,
            setting=Hint(mode=mode),
            requests="auto",
            baseline=True,
        )
        for mode in ("LATENCY", "THROUGHPUT")
    )
    planned = Planned(
        configurations=(*configurations, *baselines), left_out=(), devices=(), canary="cpu-baseline-latency"
    )
    header = Header(
        format=FORMAT,
        created_ns=0,
        profile=Profile(name="test", grids=(Grid(),), search="tpe", policy=Policy(trials=trials)),
        model=ModelIdentity(
            name="m",
            source=ReferenceModel(name="googlenet-v4-tf"),
            digest="",
            reference=True,
            published=False,
        ),
        host=HOST,
    )
    return Run(header=header, entries=tuple(Entry(at_ns=0, record=one) for one in (planned, *records)))


def compiled(hint: str, streams: int, requests: int) -> Compiled:
    return Compiled(
        configuration=f"cpu-baseline-{hint}",
        incarnation=0,
        pid=1,
        requested={},
        resolved={},
        streams=streams,
        threads=32,
        requests=requests,
        executed=(),
        compile_ns=1,
        first_inference_ns=1,
        loaded_from_cache=False,
        compile_rss_bytes=1,
        peak_rss_bytes=1,
    )


def visited(id: str) -> Visited:
    return Visited(
        configuration=id,
        incarnation=0,
        round=0,
        position=0,
        load=Closed(),
        batch=1,
        requests=1,
        warmup_ns=(),
        steady=True,
        latencies_ns=(1,),
        window_ns=SECOND,
        load_rss_bytes=1,
        peak_rss_bytes=1,
        conditions=Conditions(other_load=None, steal=None, frequency_mhz=None, energy_j=None),
    )


def failed(id: str) -> Failed:
    return Failed(subject=id, stage="compile", kind="error", reason="no")


HINTS: list[Record] = [compiled("latency", 1, 1), compiled("throughput", 8, 8)]


@optuna
def test_the_hints_own_configurations_come_first_in_each_precision() -> None:
    proposer = rebuild(run_of(space(), HINTS), {})
    made = [proposer.propose() for _ in range(7)]
    assert [one.source for one in made if one] == ["hint"] * 6 + ["random"]
    assert {one.configuration for one in made[:6] if one} == {
        f"{precision}-b1-s{streams}-r1" for precision in ("fp32", "bf16", "int8") for streams in (1, 8)
    }


@optuna
def test_a_search_that_is_rebuilt_at_any_point_goes_on_as_it_would_have() -> None:
    configurations = space()
    scores = {one.id: smooth(one) for one in configurations}
    bad = {one.id for one in configurations if one.batch == 8 and one.precision == "INT8"}
    twins = {one.id: one.id.removesuffix("-loose") for one in configurations if one.batch == 2}
    whole = rebuild(run_of(configurations, HINTS, 60), scores)
    records = list(HINTS)
    sources = []
    while True:
        proposal = rebuild(run_of(configurations, records, 60), scores).propose()
        assert proposal == whole.propose()
        if proposal is None:
            break
        id, source = proposal
        sources.append(source)
        records.append(Proposed(configuration=id, source=source))
        if id in bad:
            records += [failed(id), failed(id)]
            whole.tell(id, None)
        elif id in twins and id.endswith("-loose") and visited(twins[id]) in records:
            records.append(Twin(configuration=id, of=twins[id]))
            whole.take_twin(id, scores[twins[id]])
        else:
            records += [visited(id), visited(id)]
            whole.tell(id, scores[id])
    assert len([one for one in records if isinstance(one, Visited)]) / 2 <= 60
    assert {"hint", "random", "model"} == set(sources)


@optuna
def test_a_twin_takes_none_of_the_trials_and_what_fails_once_may_still_be_visited() -> None:
    first, second, third = space()[:3]
    records: list[Record] = [
        Proposed(configuration=first.id, source="random"),
        failed(first.id),
        visited(first.id),
        Proposed(configuration=second.id, source="random"),
        Twin(configuration=second.id, of=first.id),
    ]
    proposer = rebuild(run_of((first, second, third), records, trials=2), {first.id: 1.0})
    assert proposer.propose() == Proposal(third.id, "random")
    assert proposer.propose() is None


@optuna
def test_what_cannot_be_prepared_is_not_proposed() -> None:
    records: list[Record] = [Failed(subject="int8", stage="prepare", kind="error", reason="no")]
    proposer = rebuild(run_of(space(batches=(1,)), records), {})
    made = [proposal.configuration for proposal in iter(proposer.propose, None) if proposal]
    assert len(made) == 40 and not any(id.startswith("int8") for id in made)


def test_a_missed_limit_costs_more_than_the_objective_can_make_up_for() -> None:
    """The latencies of the journal are 1 / throughput: 100, 50 and 20 ms."""
    measured = tuple(
        Measured(precision, fps=fps, wobble=0.0)
        for precision, fps in (("FP32", 10.0), ("BF16", 20.0), ("INT8", 50.0))
    )
    summary = summarize(Journal(measured, machine=(1.0,)).run())

    def ranking(objective: Objective, limits: Limits) -> list[str]:
        found = scores_of(summary, objective, limits)
        return sorted(found, key=lambda id: found[id], reverse=True)

    fast, middle, slow = "cpu-int8-b1-s1", "cpu-bf16-b1-s1", "cpu-fp32-b1-s1"
    free = Limits(accuracy_drop_pp=None)
    assert ranking("throughput", free) == [fast, middle, slow]
    found = scores_of(summary, "throughput", free)
    assert found[fast] - found[slow] == pytest.approx(math.log(5.0), abs=0.01)
    assert ranking("throughput", Limits(accuracy_drop_pp=None, latency_ms=30.0)) == [fast, middle, slow]
    assert ranking("throughput", Limits(accuracy_drop_pp=1.0)) == [fast, middle, slow]
    bounded = scores_of(summary, "throughput", Limits(accuracy_drop_pp=None, latency_ms=40.0))
    assert bounded[middle] == pytest.approx(math.log(20.0) - MISS_COSTS * 0.25, abs=0.1)
    assert bounded[slow] == pytest.approx(math.log(10.0) - MISS_COSTS * 1.5, abs=0.3)


def test_without_optuna_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UsageError, match=r"--search tpe takes Optuna: pip install 'perftool\[search\]'"):
        proposing.import_optuna()
