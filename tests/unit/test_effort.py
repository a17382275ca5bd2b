"""Extra effort: what it is spent on, how much of it, and when it ends. Synthetic journals, nothing runs."""

import msgspec
import pytest
from journals import SECOND, Journal, Measured, changed, visited

from perftool.analysis.choose import choose
from perftool.analysis.effort import (
    extra_visits,
    extra_visits_allowed,
    open_questions,
    percentile_allowed,
    repeats,
    repeats_left,
)
from perftool.analysis.leader import AGAIN_TAKES, ratio_of
from perftool.analysis.metrics import THROUGHPUT
from perftool.analysis.summary import summarize
from perftool.journal import Allowed, Entry, Focused, Run
from perftool.record import Failed, Offered, Visited
from perftool.spec import Closed, Limits, Open, Policy, Sync
from perftool.sweep.focus import next_focus
from perftool.sweep.remaining import remaining
from perftool.sweep.rounds import VisitLeft

NO_LIMITS = Limits(accuracy_drop_pp=None)
WOBBLING = Measured(precision="INT8", streams=2, fps=30.0, factors=(1.0, 1.1, 0.9, 1.04, 0.95, 1.02))
RIVAL = Measured(precision="INT8", streams=1, fps=29.5)
BEATEN = Measured(precision="FP32", fps=8.0)


def policy(**fields: object) -> Policy:
    return Policy(rounds=6, confirm_rounds=0, **fields)


def journal(*measured: Measured, extra: int = 20, limits: Limits = NO_LIMITS, **fields: object) -> Run:
    made = Journal(measured, finished=False)
    return made.run(policy=policy(extra_visits=extra, **fields), limits=limits)


def with_records(run: Run, *records: object) -> Run:
    entries = tuple(Entry(at_ns=SECOND * 10**10, record=record) for record in records)
    return msgspec.structs.replace(run, entries=(*run.entries, *entries))


def visit(one: Measured, round: int, fps: float, other_load: float | None = None) -> Visited:
    loaded = changed(one, other_load=other_load)
    return visited(loaded, round, 0, fps, one.streams, sync=False)


def followed(run: Run, focus: Focused, fps: dict[str, float]) -> Run:
    """Do what a focus asks for: each of its configurations at a given throughput."""
    known = {one.id: one for one in (WOBBLING, RIVAL, BEATEN)}
    visits = [visit(known[id], focus.round, fps[id]) for id in focus.configurations]
    return with_records(run, focus, *visits)


def test_the_undecided_get_the_next_round_and_the_beaten_do_not() -> None:
    focus = next_focus(journal(WOBBLING, RIVAL, BEATEN))
    assert focus is not None
    assert focus.round == 6
    assert focus.purpose == "decide"
    assert focus.load == Closed()
    assert set(focus.configurations) == {WOBBLING.id, RIVAL.id}
    (question,) = focus.questions
    assert set(question.split(" against ")) == {WOBBLING.id, RIVAL.id}


def test_nothing_is_asked_where_everything_is_clear_or_nothing_was_allowed() -> None:
    assert next_focus(journal(changed(WOBBLING, factors=(1.0,)), BEATEN)) is None
    assert next_focus(journal(WOBBLING, RIVAL, extra=0)) is None
    assert next_focus(journal(WOBBLING, RIVAL, extra=1)) is None, "one visit compares nothing"


def test_the_budget_ends_the_effort_and_the_report_says_what_stayed_open() -> None:
    run = journal(WOBBLING, RIVAL, BEATEN, extra=7)
    seen = []
    while (focus := next_focus(run)) is not None:
        seen.append(focus.round)
        wobble = 1.1 if focus.round % 2 else 0.9
        run = followed(run, focus, {WOBBLING.id: 30.0 * wobble, RIVAL.id: 29.5})
    assert seen == [6, 7, 8], "two visits a round out of seven"
    assert extra_visits(run) == 6
    summary = summarize(run)
    assert (summary.run.extra_visits, summary.run.extra_visits_allowed) == (6, 7)
    found = choose(summary, "throughput", NO_LIMITS)
    assert found.open and RIVAL.id in found.open[0]


def test_what_was_looked_at_again_takes_a_wider_interval_in_the_effort_and_in_the_report() -> None:
    behind = changed(RIVAL, fps=28.0, wobble=0.001)
    ahead = changed(WOBBLING, factors=(1.0, 1.001))
    once = summarize(journal(ahead, behind))
    assert open_questions(once, "throughput", NO_LIMITS) == ()
    assert choose(once, "throughput", NO_LIMITS).undecided == ()

    def again(rounds: int) -> Run:
        run = journal(changed(ahead, rounds=rounds), changed(behind, rounds=rounds))
        ids = (ahead.id, behind.id)
        return with_records(
            run, Focused(round=6, purpose="decide", load=Closed(), configurations=ids, questions=("?",))
        )

    first, _ = ratio_of(once, THROUGHPUT, behind.id, ahead.id)
    for rounds in (7, 8):
        few = summarize(again(rounds))
        assert ratio_of(few, THROUGHPUT, behind.id, ahead.id) == (first, 6), "8 rounds carry 99.2 % at most"
        assert open_questions(few, "throughput", NO_LIMITS) == ()
        assert choose(few, "throughput", NO_LIMITS).undecided == ()
    nine = summarize(again(9))
    wider, rounds = ratio_of(nine, THROUGHPUT, behind.id, ahead.id)
    assert first is not None and wider is not None and rounds == AGAIN_TAKES == 9
    assert wider.low is not None and first.low is not None and wider.low < first.low
    assert open_questions(nine, "throughput", NO_LIMITS) == ()
    assert choose(nine, "throughput", NO_LIMITS).undecided == ()


@pytest.mark.parametrize(("extra", "asked"), [(5, None), (6, 2), (8, 2), (9, 3)])
def test_extra_rounds_are_made_where_the_budget_reaches_those_that_tell_something(
    extra: int, asked: int | None
) -> None:
    """It takes three rounds more; of two comparisons the closer one is asked for first."""
    third = changed(WOBBLING, precision="BF16", fps=29.0)
    focus = next_focus(journal(WOBBLING, RIVAL, third, extra=extra))
    assert (focus and len(focus.configurations)) == asked


def test_a_latency_limit_that_its_interval_crosses_is_asked_for_where_it_matters() -> None:
    shaky = changed(WOBBLING, factors=(1.0, 1.3, 0.8, 1.1, 0.75, 1.0))
    p50 = summarize(journal(shaky, BEATEN)).configurations[0].latency_intervals_ms
    assert p50 is not None and p50.p50 is not None and p50.p50.low is not None and p50.p50.high is not None
    limits = Limits(accuracy_drop_pp=None, latency_ms=p50.p50.point + 0.5)
    assert p50.p50.low < limits.latency_ms < p50.p50.high
    focus = next_focus(journal(shaky, BEATEN, limits=limits))
    assert focus is not None
    assert focus.configurations == (shaky.id,)
    assert focus.questions == (f"whether {shaky.id} keeps the latency limit",)
    memory = msgspec.structs.replace(limits, memory_mb=1.0)
    assert next_focus(journal(shaky, BEATEN, limits=memory)) is None, "it fails by its memory anyway"


def test_a_percentile_is_carried_whatever_the_budget_where_the_user_allows_it() -> None:
    limits = Limits(accuracy_drop_pp=None, latency_ms=1000.0, percentile=99)
    run = journal(changed(WOBBLING, completions=40), extra=0, limits=limits)
    assert next_focus(run) is None
    found = choose(summarize(run), "throughput", limits)
    assert found.id is None
    assert found.nearest[0].reason == "p99 not measurable: 240 of 662 samples"
    assert found.open == (
        "p99 takes 662 samples of each configuration, which 1 have not yet: about 1 min more "
        "(`sweep --resume RUN --carry-percentile` makes them)",
    )
    allowed = with_records(run, Allowed(extra_visits=0, carry_percentile=True))
    assert percentile_allowed(allowed) and not percentile_allowed(run)
    rounds = 0
    while (focus := next_focus(allowed)) is not None:
        assert focus.purpose == "carry"
        allowed = followed(allowed, focus, {WOBBLING.id: 30.0})
        rounds += 1
    assert rounds == 11, "240 + 11 x 40 = 680 samples"
    assert extra_visits(allowed) == 0
    assert choose(summarize(allowed), "throughput", limits).id == WOBBLING.id


def test_what_the_user_allows_when_resuming_comes_on_top() -> None:
    run = with_records(journal(WOBBLING, RIVAL, extra=3), Allowed(extra_visits=7, carry_percentile=False))
    assert extra_visits_allowed(run) == 10


def test_a_latency_objective_is_decided_under_the_load_that_it_is_read_from() -> None:
    """One request in flight is measured by the closed load; another configuration by the sync load too."""
    one = changed(RIVAL, fps=30.0, factors=WOBBLING.factors)
    two = changed(WOBBLING, fps=49.0, sync=True, factors=(1.0,))
    made = Journal((one, two), finished=False)
    run = made.run(policy=policy(extra_visits=8), limits=NO_LIMITS, objective="latency")
    focus = next_focus(run)
    assert focus is not None and focus.load == Sync()
    (left,) = remaining(with_records(run, focus)).rounds
    assert {visit.configuration.id: visit.load for visit in left} == {one.id: Closed(), two.id: Sync()}
    more = with_records(
        run,
        focus,
        visit(one, 6, 30.0),
        visited(two, 6, 0, 29.0, 1, sync=True),
    )
    series = summarize(more).series
    assert series[one.id].latency_sync_ms.keys() == series[two.id].latency_sync_ms.keys() == set(range(7))


def test_a_latency_limit_is_asked_under_the_closed_load_whatever_the_objective() -> None:
    shaky = changed(WOBBLING, sync=True, factors=(1.0, 1.3, 0.8, 1.1, 0.75, 1.0))
    plain = Journal((shaky,), finished=False).run(policy=policy(), limits=NO_LIMITS)
    interval = summarize(plain).configurations[0].latency_intervals_ms
    assert interval is not None and interval.p50 is not None
    limits = Limits(accuracy_drop_pp=None, latency_ms=interval.p50.point + 0.5)
    made = Journal((shaky,), finished=False)
    run = made.run(policy=policy(extra_visits=8), limits=limits, objective="latency")
    focus = next_focus(run)
    assert focus is not None and focus.load == Closed()


def test_a_visit_for_a_limit_alone_does_not_unsettle_a_comparison() -> None:
    behind = changed(RIVAL, fps=28.0, wobble=0.001)
    ahead = changed(WOBBLING, factors=(1.0, 1.001))
    alone = Focused(round=6, purpose="decide", load=Closed(), configurations=(behind.id,), questions=("?",))
    run = with_records(journal(ahead, behind), alone, visit(behind, 6, 28.0))
    assert choose(summarize(run), "throughput", NO_LIMITS).undecided == ()


def test_a_short_run_asks_for_nothing_of_a_limit_either() -> None:
    limits = Limits(accuracy_drop_pp=None, latency_ms=60.0)
    made = Journal((changed(WOBBLING, rounds=2),), finished=False)
    assert next_focus(made.run(policy=policy(extra_visits=8), limits=limits)) is None


def test_what_was_given_up_is_not_asked_for_again() -> None:
    limits = Limits(accuracy_drop_pp=None, latency_ms=1000.0, percentile=99)
    run = journal(WOBBLING, limits=limits, carry_percentile=True)
    assert next_focus(run) is not None
    lost = Failed(subject="int8", stage="prepare", kind="error", reason="disk full")
    assert next_focus(with_records(run, lost)) is None


def test_an_extra_round_that_was_interrupted_goes_on_where_it_was() -> None:
    run = journal(WOBBLING, RIVAL, BEATEN)
    focus = next_focus(run)
    assert focus is not None
    (whole,) = remaining(with_records(run, focus)).rounds
    assert len(whole) == 2
    first = visit(WOBBLING, 6, 30.0)
    (left,) = remaining(with_records(run, focus, first)).rounds
    assert [one.configuration.id for one in left] == [RIVAL.id]
    assert left[0].position == next(one.position for one in whole if one.configuration.id == RIVAL.id)


# ---------------------------------------------------------------- disturbed visits


def test_a_disturbed_visit_is_repeated_once_at_the_end_of_its_round() -> None:
    run = journal(WOBBLING, BEATEN)
    assert not remaining(run).rounds
    entries = list(run.entries)
    for number, entry in enumerate(entries):
        if isinstance(entry.record, Visited) and entry.record.round == 5:
            conditions = msgspec.structs.replace(entry.record.conditions, other_load=0.3)
            entries[number] = Entry(
                at_ns=entry.at_ns, record=msgspec.structs.replace(entry.record, conditions=conditions)
            )
    loaded = msgspec.structs.replace(run, entries=tuple(entries))
    left = remaining(loaded)
    assert [len(visits) for visits in left.rounds] == [2]
    assert {one.configuration.id for one in left.rounds[0]} == {WOBBLING.id, BEATEN.id}
    assert {one.round for one in left.rounds[0]} == {5}
    again = with_records(loaded, visit(WOBBLING, 5, 30.0), visit(BEATEN, 5, 8.0, other_load=0.4))
    assert not remaining(again).rounds, "once is enough, quiet or not"
    assert repeats(again) == extra_visits(again) == 2
    result = summarize(again).configurations[0]
    assert (result.visits, result.disturbed) == (7, 1)
    assert "1 of 1 disturbed visits were repeated, and do not count" in result.warnings
    assert summarize(again).series[WOBBLING.id].throughput_fps[5] == pytest.approx(30.0)
    both = summarize(again).series[BEATEN.id].throughput_fps[5]
    assert both != pytest.approx(8.0), "where all visits of a round were disturbed all of them speak"


def test_repeats_take_half_of_the_budget_at_most() -> None:
    ones = (WOBBLING, RIVAL, BEATEN, changed(BEATEN, streams=2))
    run = journal(*(changed(one, other_load=0.5) for one in ones), extra=6)
    assert repeats_left(run) == 3
    assert sum(len(visits) for visits in remaining(run).rounds) == 3
    assert repeats_left(journal(WOBBLING, extra=1)) == 0


def test_a_disturbed_visit_is_not_repeated_once_a_later_round_has_begun() -> None:
    loaded = tuple(changed(one, other_load=0.5) for one in (WOBBLING, BEATEN))
    run = journal(*loaded, extra=40)
    (last,) = remaining(run).rounds
    assert {one.round for one in last} == {5}


# ---------------------------------------------------------------- rounds of open load


def offered(left: VisitLeft) -> Offered:
    assert isinstance(left.load, Open)
    return Offered(
        configuration=left.configuration.id, incarnation=0, round=left.round, position=left.position,
        load=left.load, batch=1, requests=1, warmup_ns=(), arrivals_ns=(1, 2), latencies_ns=(5, 5),
        lags_ns=(0, 0), unserved=0, window_ns=10, load_rss_bytes=None, peak_rss_bytes=1,
        conditions=visit(WOBBLING, 0, 1.0).conditions,
    )  # fmt: skip


def test_open_load_offers_shares_of_what_the_rounds_measured() -> None:
    steady = changed(RIVAL, wobble=0.0)
    made = Journal((steady,), machine=(1.0,), finished=False)
    run = made.run(policy=policy(open_shares=(0.5, 0.8)), loads=("closed", "open"), limits=NO_LIMITS)
    left = remaining(run)
    assert [len(visits) for visits in left.rounds] == [2] * 6
    first = left.rounds[0]
    assert sorted(one.load.rate_fps for one in first if isinstance(one.load, Open)) == [14.8, 23.6]
    seeds = {one.load.seed for visits in left.rounds for one in visits if isinstance(one.load, Open)}
    assert len(seeds) == 6, "every round draws its own gaps, the same for all configurations"
    done = with_records(run, *(offered(one) for visits in left.rounds for one in visits))
    assert not remaining(done).rounds
    slower = with_records(run, visit(steady, 6, 10.0))
    assert remaining(slower).rounds == left.rounds, "extra rounds do not move the rates"


def test_open_load_waits_for_the_rounds() -> None:
    made = Journal((changed(RIVAL, rounds=5),), finished=False)
    run = made.run(policy=policy(), loads=("closed", "open"), limits=NO_LIMITS)
    left = remaining(run)
    assert [[one.load for one in visits] for visits in left.rounds] == [[Closed()]]


def shares_of(run: Run) -> list[float]:
    return sorted(one.load.rate_fps for one in remaining(run).rounds[0] if isinstance(one.load, Open))


def open_run(*, other_load: float | None = None, **fields: object) -> Run:
    steady = changed(RIVAL, wobble=0.0, other_load=other_load)
    made = Journal((steady,), machine=(1.0,), finished=False)
    of = policy(open_shares=(0.5, 0.8), **fields)
    return made.run(policy=of, loads=("closed", "open"), limits=NO_LIMITS)


def test_open_load_is_offered_on_a_machine_that_is_never_quiet() -> None:
    assert shares_of(open_run(other_load=0.5)) == [14.8, 23.6]


def test_what_is_measured_after_the_first_offer_does_not_move_the_rates() -> None:
    run = open_run()
    first = remaining(run).rounds[0][0]
    begun = with_records(run, offered(first))
    later = with_records(begun, *(visit(RIVAL, 5, 10.0) for _ in range(9)))
    assert shares_of(later) == shares_of(begun) and len(remaining(later).rounds[0]) == 1


def test_open_load_has_processes_of_its_own() -> None:
    left = remaining(open_run())
    assert {one.generation for visits in left.rounds for one in visits} == {2, 3}


def test_a_percentile_of_open_load_is_carried_where_the_user_allows_it() -> None:
    run = open_run(open_arrivals=40)
    run = msgspec.structs.replace(
        run,
        header=msgspec.structs.replace(
            run.header, profile=msgspec.structs.replace(run.header.profile, objective="rate", limits=SLO)
        ),
    )
    visits = [one for left in remaining(run).rounds for one in left]
    long = tuple(range(40))
    done = with_records(
        run,
        *(
            msgspec.structs.replace(offered(one), arrivals_ns=long, latencies_ns=long, lags_ns=long)
            for one in visits
        ),
    )
    assert not remaining(done).rounds
    allowed = with_records(done, Allowed(extra_visits=0, carry_percentile=True))
    (more,) = remaining(allowed).rounds
    assert {one.round for one in more} == {6}
    assert all(one.arrivals >= 662 // 6 for one in more)
    said = choose(summarize(done), "rate", SLO).open
    assert any(
        text.startswith("p99 takes 662 samples of each configuration, which 1 have not") for text in said
    )


SLO = Limits(accuracy_drop_pp=None, slo_ms=100.0, percentile=99)


def test_where_the_rate_decides_a_window_holds_what_an_interval_takes_within_its_longest() -> None:
    run = open_run(open_seconds=5.0)
    profile = msgspec.structs.replace(
        run.header.profile, objective="rate", limits=msgspec.structs.replace(SLO, percentile=90)
    )
    run = msgspec.structs.replace(run, header=msgspec.structs.replace(run.header, profile=profile))
    visits = remaining(run).rounds[0]
    arrivals = {one.load.rate_fps: one.arrivals for one in visits if isinstance(one.load, Open)}
    # 64 samples at half load are worth a quarter: 64 x 1.6 x 4 / 6 windows = 69; at 0.8 it is 23.6 x 5 = 118.
    assert arrivals == {14.8: 69, 23.6: 118}
