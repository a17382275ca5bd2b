"""When a race decides, what its records do to what is left, and what a report says of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from journals import BASELINES, EVALUATIONS, Journal, Measured, compiled, visited
from msgspec import structs

from perftool.analysis.choose import choose
from perftool.analysis.effort import open_questions, short_of_samples
from perftool.analysis.leader import ratio_of
from perftool.analysis.metrics import THROUGHPUT
from perftool.analysis.summary import summarize
from perftool.errors import UsageError
from perftool.journal import Drop, Entry, Focused, Planned, Proposed, Raced, Record, Run, Started, Twin
from perftool.record import Compiled, Failed, Visited
from perftool.spec import Bound, Closed, EndToEnd, Limits, Policy, Profile
from perftool.sweep.focus import _has_visits, next_focus
from perftool.sweep.pace import seconds_left
from perftool.sweep.remaining import remaining
from perftool.sweep.searching import (
    check_measurable,
    check_searchable,
    decide,
    race_due,
    race_seconds,
    readmitted,
    twin,
)

FAST = Measured(precision="INT8", streams=2, fps=60.0, memory_mb=250)
LEAN = Measured(precision="INT8", streams=1, fps=50.0, memory_mb=240)
SLOW = Measured(precision="FP32", streams=2, fps=12.0, memory_mb=500)
SLOWER = Measured(precision="FP32", streams=1, fps=11.0, memory_mb=490)
ALL = (FAST, LEAN, SLOW, SLOWER, *BASELINES)
UNLIMITED = Limits(accuracy_drop_pp=None)


def after(rounds: int, *, search: str = "race", planned_rounds: int = 6, limits: Limits = UNLIMITED) -> Run:
    """Return a run that has made so many whole rounds of ALL."""
    measured = tuple(replace(one, rounds=rounds) for one in ALL)
    journal = Journal(measured, evaluations=EVALUATIONS, finished=False)
    return journal.run(search=search, policy=Policy(rounds=planned_rounds), limits=limits)


def with_record(run: Run, *records: Record) -> Run:
    last = run.entries[-1].at_ns
    more = tuple(Entry(at_ns=last + at + 1, record=record) for at, record in enumerate(records))
    return structs.replace(run, entries=(*run.entries, *more))


def test_a_race_decides_between_rounds_only() -> None:
    run = after(1)
    assert race_due(run, remaining(run).rounds) == 0
    decided = with_record(run, Raced(round=0, drops=(), front=()))
    assert race_due(decided, remaining(decided).rounds) is None
    begun = structs.replace(run, entries=(*run.entries, *after(2).entries[-1:]))
    assert race_due(begun, remaining(begun).rounds) is None


def test_nothing_races_in_a_grid_a_quick_look_or_before_the_first_round() -> None:
    for run in (after(1, search="grid"), after(1, planned_rounds=4), after(0), after(6)):
        assert race_due(run, remaining(run).rounds) is None


def test_what_is_far_behind_in_everything_is_dropped_with_its_reason() -> None:
    raced = decide(after(1), 0)
    assert {one.configuration for one in raced.drops} == {SLOW.id, SLOWER.id}
    assert raced.drops[0].by == FAST.id
    assert raced.drops[0].reason == (
        f"dropped after 1 round: 0.20x the throughput of {FAST.id}, "
        "and no better in latency, accuracy or memory"
    )


def test_a_disturbed_visit_drops_nothing() -> None:
    disturbed = replace(SLOW, rounds=1, other_load=0.5)
    others = tuple(replace(one, rounds=1) for one in ALL if one is not SLOW)
    journal = Journal((disturbed, *others), evaluations=EVALUATIONS, finished=False)
    run = journal.run(limits=UNLIMITED)
    assert {one.configuration for one in decide(run, 0).drops} == {SLOWER.id}


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_a_machine_that_is_never_quiet_drops_nothing(rounds: int) -> None:
    everywhere = tuple(replace(one, rounds=rounds, other_load=0.5) for one in ALL)
    run = Journal(everywhere, evaluations=EVALUATIONS, finished=False).run(limits=UNLIMITED)
    raced = decide(run, rounds - 1)
    assert (raced.drops, raced.front) == ((), ())


def test_what_only_disturbed_visits_are_slower_than_is_not_dropped_by_them() -> None:
    """The fastest was never seen undisturbed: it beats nobody, and is not beaten."""
    others = tuple(replace(one, rounds=2) for one in (SLOW, SLOWER, *BASELINES))
    fastest = replace(FAST, rounds=2, other_load=0.5)
    run = Journal((fastest, *others), evaluations=EVALUATIONS, finished=False).run(limits=UNLIMITED)
    assert decide(run, 1).drops == ()


def test_a_dropped_configuration_has_no_visits_left_and_the_baselines_stay() -> None:
    run = after(1)
    run = with_record(run, decide(run, 0))
    left = {visit.configuration.id for visits in remaining(run).rounds for visit in visits}
    assert left == {FAST.id, LEAN.id, *(one.id for one in BASELINES)}


def test_the_fast_one_that_misses_the_accuracy_limit_drops_nothing_that_keeps_it() -> None:
    raced = decide(after(1, limits=Limits(accuracy_drop_pp=0.5)), 0)
    assert {one.configuration for one in raced.drops} == set()


def test_scouts_are_short_and_so_are_visits_for_the_front_alone() -> None:
    run = after(1)
    first, *later = remaining(run).rounds
    assert {race_seconds(run, visit) for visit in first} == {0.5}
    run = with_record(run, Raced(round=1, drops=(), front=(LEAN.id,)))
    short = {visit.configuration.id for visit in later[1] if race_seconds(run, visit) == 0.5}
    assert short == {LEAN.id, *(one.id for one in BASELINES)}
    long = {visit.configuration.id for visit in later[1] if race_seconds(run, visit) is None}
    assert long == {FAST.id, SLOW.id, SLOWER.id}
    assert {race_seconds(after(1, search="grid"), visit) for visit in first} == {None}
    ids = tuple(one.id for one in ALL)
    for purpose, lengths in (("complete", {0.5, None}), ("decide", {None})):
        focus = Focused(round=6, purpose=purpose, load=Closed(), configurations=ids, questions=("?",))
        added = with_record(run, focus)
        visits = [visit for left in remaining(added).rounds for visit in left if visit.round == 6]
        assert {race_seconds(added, visit) for visit in visits} == lengths


@pytest.mark.parametrize(("many", "seconds"), [(8, None), (16, 1.0), (20, 0.8), (32, 0.5), (100, 0.5)])
def test_the_fewer_may_win_the_longer_each_is_visited(many: int, seconds: float | None) -> None:
    winning = tuple(Measured(precision="INT8", batch=batch, rounds=2) for batch in range(1, many + 1))
    run = Journal((*winning, *(replace(one, rounds=2) for one in BASELINES)), finished=False).run()
    visits = [visit for visit in remaining(run).rounds[0] if not visit.configuration.baseline]
    assert {race_seconds(run, visit) for visit in visits} == {seconds}


def raced_and_finished() -> Run:
    """Return a run in which the FP32 configurations were dropped after the first round."""
    run = after(6)
    raced = decide(after(1), 0)
    out = {one.configuration for one in raced.drops}
    kept = tuple(
        entry
        for entry in run.entries
        if not (
            isinstance(entry.record, Visited | Compiled)
            and entry.record.configuration in out
            and (not isinstance(entry.record, Visited) or entry.record.round > 0)
            and (not isinstance(entry.record, Compiled) or entry.record.incarnation > 0)
        )
    )
    return with_record(structs.replace(run, entries=kept), raced)


def test_a_dropped_configuration_is_told_with_its_reason_and_is_no_open_decision() -> None:
    summary = summarize(raced_and_finished())
    slow = next(one for one in summary.configurations if one.id == SLOW.id)
    assert slow.dropped is not None
    assert slow.dropped.by == FAST.id
    assert slow.visits == 1
    assert not any("visits that an interval takes" in text for text in slow.warnings)
    found = choose(summary, "throughput", UNLIMITED)
    assert found.id == FAST.id
    assert {one.id: one.reason for one in found.rejected}[SLOW.id] == slow.dropped.reason
    assert SLOW.id not in found.undecided
    assert summary.run.rounds == 6
    assert SLOW.id not in short_of_samples(summary, Limits(latency_ms=50.0, percentile=99))


def test_under_other_limits_a_dropped_configuration_is_a_candidate_again() -> None:
    summary = summarize(raced_and_finished())
    found = choose(summary, "throughput", Limits(accuracy_drop_pp=0.5))
    assert found.id in (SLOW.id, SLOWER.id)


def test_what_compiles_to_the_same_is_one_configuration() -> None:
    run = after(1)
    made = next(e.record for e in run.entries if isinstance(e.record, Compiled))
    other = structs.replace(FAST.configuration, id="cpu-int8-b1-sauto")
    planned = next(e.record for e in run.entries if isinstance(e.record, Planned))
    run = with_record(run, structs.replace(planned, configurations=(*planned.configurations, other)))
    same = structs.replace(compiled(FAST), configuration=other.id)
    assert twin(run, other, same) == Twin(configuration=other.id, of=FAST.id)
    hinted = structs.replace(same, resolved={**same.resolved, "PERFORMANCE_HINT": "THROUGHPUT"})
    assert twin(run, other, hinted) == Twin(configuration=other.id, of=FAST.id)
    for changed in (
        structs.replace(same, requests=made.requests + 1),
        structs.replace(same, resolved={**same.resolved, "NUM_STREAMS": "7"}),
    ):
        assert twin(run, other, changed) is None
    assert twin(run, structs.replace(other, batch=2), same) is None
    assert twin(run, BASELINES[0].configuration, same) is None
    unvisited = tuple(e for e in run.entries if not isinstance(e.record, Visited))
    assert twin(structs.replace(run, entries=unvisited), other, same) is None
    seen = next(e.record for e in run.entries if isinstance(e.record, Visited))
    assert twin(with_record(run, structs.replace(seen, configuration=other.id)), other, same) is None


def test_a_twin_is_not_visited_and_says_where_it_is_measured() -> None:
    run = with_record(after(1), Twin(configuration=LEAN.id, of=FAST.id))
    assert LEAN.id not in {one.configuration.id for visits in remaining(run).rounds for one in visits}
    bare = structs.replace(
        run, entries=tuple(e for e in run.entries if getattr(e.record, "configuration", "") != LEAN.id)
    )
    bare = with_record(bare, Twin(configuration=LEAN.id, of=FAST.id))
    lean = next(one for one in summarize(bare).configurations if one.id == LEAN.id)
    assert lean.status == "skipped"
    assert lean.reason == f"compiles to the same properties as {FAST.id}, and is measured there"


def test_a_search_by_proposals_visits_what_was_proposed_and_the_baselines() -> None:
    run = with_record(after(0, search="tpe"), Proposed(configuration=LEAN.id, source="random"))
    left = {visit.configuration.id for visits in remaining(run).rounds for visit in visits}
    assert left == {LEAN.id, *(one.id for one in BASELINES)}
    fast = next(one for one in summarize(run).configurations if one.id == FAST.id)
    assert fast.reason == "not among the 1 configurations that the search visited"


def finished_race(*failed: Measured, limits: Limits = UNLIMITED) -> Run:
    """Return a run whose race dropped the FP32 configurations, and then lost what beat them."""
    run = raced_and_finished()
    run = structs.replace(run, header=structs.replace(run.header, profile=profile_with(run, limits)))
    lost = [
        Failed(subject=one.id, stage="visit", kind="crashed", reason="gone") for one in failed for _ in (1, 2)
    ]
    return with_record(run, *lost)


def profile_with(run: Run, limits: Limits) -> Profile:
    return structs.replace(run.header.profile, limits=limits)


def test_what_was_dropped_for_the_sake_of_a_lost_one_is_taken_up_again() -> None:
    assert readmitted(raced_and_finished()) is None
    run = finished_race(FAST, LEAN)
    again = readmitted(run)
    assert again is not None
    assert set(again.configurations) == {SLOW.id, SLOWER.id}
    run = with_record(run, again)
    assert readmitted(run) is None
    assert remaining(run).rounds == (), "what it would be compared with is past"
    slow = next(one for one in summarize(run).configurations if one.id == SLOW.id)
    assert slow.dropped is None


#: The speed of a machine that slowed down since the first rounds.
SLOWED = 0.88


def goes_on(run: Run, speed: float, field: tuple[Measured, ...]) -> Run:
    """Make what is left, and what is asked for next, at a speed of the machine; nothing is dropped now."""
    known = {one.id: one for one in field}
    while True:
        left = remaining(run).rounds
        if not left:
            more = readmitted(run) or next_focus(run)
            if more is None:
                return run
            run = with_record(run, more)
            continue
        for visit in left[0]:
            one = known[visit.configuration.id]
            fps = one.fps * speed * (1 + 0.004 * ((visit.round * 7 + one.batch) % 5))
            run = with_record(run, visited(one, visit.round, visit.position, fps, one.streams, sync=False))


def test_what_is_taken_up_again_is_compared_in_rounds_of_its_own() -> None:
    """Better by 5 % than what is left, it loses to nothing that was measured while the machine was faster."""
    winner = Measured(precision="INT8", streams=2, fps=62.0)
    left = Measured(precision="INT8", fps=30.0, memory_mb=200)
    better = Measured(precision="INT8", batch=4, fps=31.5, rounds=2)
    policy = Policy(rounds=10, extra_visits=0, confirm_rounds=0)
    field = tuple(replace(one, rounds=10) for one in (*BASELINES, winner, left))
    made = Journal((*field, better), EVALUATIONS, machine=(1.0,), finished=False)
    run = made.run(policy=policy, limits=UNLIMITED)
    drop = Drop(configuration=better.id, by=winner.id, reason="slower")
    lost = [Failed(subject=winner.id, stage="visit", kind="crashed", reason="gone") for _ in (1, 2)]
    run = goes_on(with_record(run, Raced(round=1, drops=(drop,), front=()), *lost), SLOWED, (*field, better))
    added = [entry.record for entry in run.entries if isinstance(entry.record, Focused)]
    assert [(one.round, one.purpose) for one in added] == [(round, "complete") for round in range(10, 18)]
    assert {one.configurations for one in added} == {(*(one.id for one in (*BASELINES, left, better)),)}
    summary = summarize(run)
    ratio, rounds = ratio_of(summary, THROUGHPUT, better.id, left.id)
    assert rounds == 10 and ratio is not None and ratio.low is not None and ratio.low > 1.03
    assert choose(summary, "throughput", UNLIMITED).id == better.id


def test_a_round_that_a_stop_cut_is_not_paired_across_it_and_another_is_added() -> None:
    ahead, behind = (Measured(precision="INT8", streams=2, fps=31.0), Measured(precision="INT8", fps=30.0))
    made = Journal((ahead, behind), EVALUATIONS, machine=(1.0,), finished=False)
    run = made.run(search="grid", policy=Policy(extra_visits=0, confirm_rounds=0), limits=UNLIMITED)
    run = with_record(structs.replace(run, entries=run.entries[:-1]), Started(pid=2))
    assert [visit.configuration.id for visit in remaining(run).rounds[0]] == [behind.id], "what is left of it"
    run = goes_on(run, SLOWED, (ahead, behind))
    summary = summarize(run)
    shared = summary.series[ahead.id].throughput_fps.keys() & summary.series[behind.id].throughput_fps.keys()
    assert shared == {0, 1, 2, 3, 4, 6}
    assert summary.run.rounds == 6
    ratio, _ = ratio_of(summary, THROUGHPUT, ahead.id, behind.id)
    assert ratio is not None and ratio.high is not None and ratio.high < 1.08, "a first look, at 95 %"
    assert next_focus(with_record(run, Started(pid=3))) is None, "a stop between rounds cuts none"


def test_the_time_left_has_the_rounds_in_it_that_are_added() -> None:
    run = after(6)
    cut = structs.replace(
        run,
        entries=(
            *run.entries[:-1],
            Entry(at_ns=run.entries[-1].at_ns, record=Started(pid=2)),
            run.entries[-1],
        ),
    )
    assert seconds_left(cut) > seconds_left(run)


def test_what_was_dropped_by_one_that_misses_a_limit_in_the_end_is_taken_up_again() -> None:
    run = finished_race(limits=Limits(accuracy_drop_pp=0.5))
    again = readmitted(run)
    assert again is not None
    assert set(again.configurations) == {SLOW.id, SLOWER.id}


def test_an_extra_round_always_has_visits_left() -> None:
    for run in (finished_race(FAST, LEAN), finished_race(limits=Limits(accuracy_drop_pp=0.5)), after(6)):
        run = structs.replace(
            run,
            header=structs.replace(
                run.header,
                profile=structs.replace(run.header.profile, policy=Policy(rounds=6, extra_visits=20)),
            ),
        )
        if (again := readmitted(run)) is not None:
            run = with_record(run, again)
        if remaining(run).nothing and (focus := next_focus(run)) is not None:
            assert remaining(with_record(run, focus)).rounds


def test_what_a_race_dropped_is_no_open_decision_though_its_limit_is() -> None:
    """It was dropped after six visits, as many as carry an interval, and that crosses the limit."""
    shaky = Measured(
        precision="INT8", streams=2, fps=30.0, factors=(1.0, 1.3, 0.8, 1.1, 0.75, 1.0, 1.02, 0.98)
    )
    steady = Measured(precision="INT8", fps=29.9, rounds=8)
    limits = Limits(accuracy_drop_pp=None, latency_ms=68.0)
    for rounds in (8, 7):
        field = (replace(shaky, rounds=rounds), steady)
        journal = Journal(field, evaluations=EVALUATIONS, machine=(1.0,), finished=False)
        run = journal.run(policy=Policy(rounds=8, extra_visits=24, confirm_rounds=0), limits=limits)
        asked = {one.configurations for one in open_questions(summarize(run), "throughput", limits)}
        assert (shaky.id,) in asked
    drop = Drop(configuration=shaky.id, by=steady.id, reason="slower")
    run = with_record(run, Raced(round=6, drops=(drop,), front=()))
    assert open_questions(summarize(run), "throughput", limits) == ()
    assert next_focus(run) is None


def test_an_extra_round_that_visits_nothing_is_not_asked_for() -> None:
    """Whatever asks for it: repeated without a visit it would be asked for again, and fill the journal."""
    run = after(6)
    focus = Focused(round=6, purpose="decide", load=Closed(), configurations=(FAST.id,), questions=("?",))
    assert _has_visits(run, focus)
    drop = Drop(configuration=FAST.id, by=LEAN.id, reason="slower")
    assert not _has_visits(with_record(run, Raced(round=5, drops=(drop,), front=())), focus)


def test_weights_on_what_visits_do_not_repeat_drop_nothing() -> None:
    run = after(1)
    profile = structs.replace(run.header.profile, objective={"peak_rss": 1.0})
    raced = decide(structs.replace(run, header=structs.replace(run.header, profile=profile)), 0)
    assert raced.drops == ()
    assert raced.front == ()


@pytest.mark.parametrize(("left", "dropped"), [(0.9, True), (0.6, False), (0.39, False)])
def test_a_limit_on_what_is_left_end_to_end_is_not_kept_surely_after_one_round(
    left: float, dropped: bool
) -> None:
    """Neither is it missed: what is a little to this or that side of it may be on the other in the end."""
    limit = Bound(metric="end_to_end_ratio", way=">=", value=0.4)
    run = after(1, limits=Limits(accuracy_drop_pp=None, bounds=(limit,)))
    for one, share in ((FAST, left), (SLOW, 0.401)):
        visit = visited(one, 0, 0, one.fps * share, one.streams, sync=False)
        run = with_record(run, structs.replace(visit, load=EndToEnd()))
    assert (SLOW.id in {one.configuration for one in decide(run, 0).drops}) == dropped


def test_what_was_dropped_is_not_on_the_front() -> None:
    summary = summarize(raced_and_finished())
    assert SLOW.id not in choose(summary, "throughput", UNLIMITED).pareto


@pytest.mark.parametrize(("source", "warned"), [("hint", True), ("random", True), ("model", False)])
def test_a_search_that_ended_before_its_model_proposed_says_so(source: str, warned: bool) -> None:
    run = with_record(after(1, search="tpe"), Proposed(configuration=FAST.id, source=source))
    said = [text for text in summarize(run).run.warnings if "none of the 1 proposals is the model's" in text]
    assert bool(said) == warned


def test_what_takes_energy_counters_is_refused_where_there_are_none(tmp_path: Path) -> None:
    profile = after(0).header.profile
    check_measurable(profile, tmp_path)
    said = r"^the objective efficiency takes .* none to read \(no counters shown\)"
    for objective in ("efficiency", {"throughput": 1.0, "efficiency": 1.0}):
        with pytest.raises(UsageError, match=said):
            check_measurable(structs.replace(profile, objective=objective), tmp_path)
    limits = Limits(bounds=(Bound(metric="energy", way="<=", value=2.0),))
    with pytest.raises(UsageError, match=r"^a limit on energy takes .* counters"):
        check_measurable(structs.replace(profile, limits=limits), tmp_path)
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("energy_uj", "5"), ("max_energy_range_uj", "9")):
        (zone / name).write_text(f"{text}\n")
    check_measurable(structs.replace(profile, objective="efficiency"), tmp_path)


def test_proposals_are_refused_where_no_visit_can_be_scored() -> None:
    pytest.importorskip("optuna", reason="the extra `search` is not installed")
    profile = after(0, search="tpe").header.profile
    check_searchable(profile)
    with pytest.raises(UsageError, match="takes an objective that every visit shows"):
        check_searchable(structs.replace(profile, objective={"peak_rss": 1.0}))
