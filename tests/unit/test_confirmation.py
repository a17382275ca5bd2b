"""Whether what is recommended is measured again, and what that does to the choice and to the claim."""

from statistics import fmean

import msgspec
import pytest
from choices import choice as exported
from journals import BASELINES, SECOND, Journal, Measured, changed, compiled, visited

from perftool.analysis.choose import choose
from perftool.analysis.effort import extra_visits
from perftool.analysis.foresee import foresee
from perftool.analysis.foreseen import Fresh
from perftool.analysis.result import Recommendation, Summary
from perftool.analysis.summary import summarize
from perftool.deploy.bundle import claim
from perftool.journal import Allowed, Drop, Entry, Finished, Focused, Raced, Record, Run, Started
from perftool.record import Failed, Visited
from perftool.render.tables import choice_lines, legend
from perftool.spec import Bound, Closed, Limits, Objective, Policy, Sync
from perftool.sweep.focus import next_focus
from perftool.sweep.pace import compiles_left, seconds_left
from perftool.sweep.remaining import next_incarnation, remaining
from perftool.sweep.rounds import VisitLeft

NONE = Limits(accuracy_drop_pp=None)
BEST = Measured(precision="INT8", streams=2, fps=33.0, memory_mb=260)
SECOND_BEST = Measured(precision="INT8", fps=31.5, memory_mb=225)
THIRD = Measured(precision="INT8", batch=4, fps=30.0, memory_mb=330)
FOURTH = Measured(precision="BF16", fps=28.0, memory_mb=480)
FLOAT = Measured(precision="FP32", fps=8.5, memory_mb=480)
FIELD = (*BASELINES, BEST, SECOND_BEST, THIRD, FLOAT)
KNOWN = {one.id: one for one in (*FIELD, FOURTH)}


def selected(*measured: Measured, limits: Limits = NONE, **fields: object) -> Run:
    """Return a run whose rounds are done, and nothing more."""
    policy = fields.pop("policy", Policy())
    return Journal(measured or FIELD, finished=False).run(limits=limits, policy=policy, **fields)


def with_records(run: Run, *records: Record) -> Run:
    entries = tuple(Entry(at_ns=SECOND * 10**10, record=record) for record in records)
    return msgspec.structs.replace(run, entries=(*run.entries, *entries))


def again(run: Run, left: VisitLeft, fps: float, warm: dict[str, int], **fields: object) -> Run:
    """Make a visit that is left; in a new process where the one that is there is of another generation."""
    one = changed(KNOWN[left.configuration.id], **fields)
    if warm.get(one.id) != left.generation:
        warm[one.id] = left.generation
        run = with_records(run, compiled(one, next_incarnation(run.entries, one.id)))
    requests = 1 if left.load == Sync() else one.streams
    visit = visited(one, left.round, left.position, fps, requests, sync=left.load == Sync())
    incarnation = next_incarnation(run.entries, one.id) - 1
    return with_records(run, msgspec.structs.replace(visit, incarnation=incarnation))


def confirmed(run: Run, speeds: dict[str, float], *, visits: int = 1000, **fields: object) -> Run:
    """Do what is left and what is asked for, each configuration at its own or a given speed.

    Rounds wobble together by a lot, configurations by little. Stops after a number of visits.
    """
    warm: dict[str, int] = {}
    while True:
        left = remaining(run).rounds
        if not left:
            focus = next_focus(run)
            if focus is None:
                return with_records(run, Finished())
            run = with_records(run, focus)
            continue
        for visit in left[0]:
            if not visits:
                return run
            visits -= 1
            id = visit.configuration.id
            wobble = (1 + 0.2 * (visit.round % 3)) * (1 + 0.004 * ((visit.round * 7 + len(id)) % 5))
            run = again(run, visit, speeds.get(id, KNOWN[id].fps) * wobble, warm, **fields)


def focused(run: Run) -> list[Focused]:
    return [entry.record for entry in run.entries if isinstance(entry.record, Focused)]


def recommended(run: Run) -> Recommendation:
    return choose(summarize(run), run.header.profile.objective, run.header.profile.limits)


def why(found: Recommendation, id: str) -> str:
    return next(one.reason for one in found.rejected if one.id == id)


# ---------------------------------------------------------------- which rounds, of what


def test_the_choice_its_runner_up_both_baselines_and_the_best_in_f32_get_fresh_rounds() -> None:
    run = confirmed(selected(), {})
    made = focused(run)
    assert [one.round for one in made] == [6, 7, 8, 9, 10, 11]
    assert {one.purpose for one in made} == {"confirm"}
    assert {one.load for one in made} == {Closed()}
    (ids,) = {one.configurations for one in made}
    assert ids == (BEST.id, SECOND_BEST.id, BASELINES[0].id, BASELINES[1].id, FLOAT.id)
    assert recommended(run).runner_up == SECOND_BEST.id
    assert extra_visits(run) == 0, "they come out of no budget"


def test_the_best_in_f32_gets_fresh_rounds_though_a_race_dropped_it() -> None:
    """No rival any more, and the claim is over it all the same."""
    drop = Drop(configuration=FLOAT.id, by=BEST.id, reason="dropped after 1 round: far slower")
    run = confirmed(with_records(selected(), Raced(round=0, drops=(drop,), front=())), {})
    found = recommended(run)
    assert why(found, FLOAT.id) == drop.reason
    (gain,) = (one for one in found.gain if one.over == FLOAT.id)
    assert gain.rounds == 6 and gain.low is not None and gain.point == pytest.approx(33 / 8.5, rel=0.015)
    assert not [text for text in found.warnings if "no gain over" in text]


def test_a_runner_up_that_is_as_good_as_the_leader_comes_before_a_faster_one_that_is_beaten() -> None:
    """The only one undecided against the leader is slower by its median than one that is beaten."""
    shaky = changed(SECOND_BEST, fps=31.0, factors=(1.1, 1.09, 0.8, 0.8, 1.1, 0.85))
    run = selected(*BASELINES, BEST, changed(THIRD, fps=32.0, wobble=0.001), shaky, FLOAT)
    summary = summarize(run)
    speed = {one.id: one.throughput_fps.point for one in summary.configurations if one.throughput_fps}
    found = choose(summary, "throughput", NONE)
    assert speed[THIRD.id] > speed[shaky.id]
    assert found.undecided == (shaky.id,)
    assert found.runner_up == shaky.id


def test_fresh_rounds_have_fresh_processes_from_the_first_on_and_from_the_middle_on() -> None:
    run = selected()
    visits = []
    warm: dict[str, int] = {}
    while (focus := next_focus(run)) is not None:
        run = with_records(run, focus)
        (left,) = remaining(run).rounds
        visits += left
        for visit in left:
            run = again(run, visit, 10.0, warm)
    assert [{one.generation for one in visits if one.round == round} for round in range(6, 12)] == [
        *([{-1}] * 3),
        *([{-2}] * 3),
    ]
    assert all(one.confirms for one in visits)
    orders = {tuple(one.configuration.id for one in visits if one.round == round) for round in range(6, 12)}
    assert len(orders) > 3, "each round has an order of its own"


def test_fresh_processes_are_not_those_of_extra_rounds_nor_of_another_choice() -> None:
    extra = Focused(round=20, purpose="decide", load=Closed(), configurations=(BEST.id,), questions=("?",))
    run = with_records(selected(), extra, visited(BEST, 20, 0, 33.0, 2, sync=False))
    focus = next_focus(run)
    assert focus is not None and focus.round == 21
    (left,) = remaining(with_records(run, focus)).rounds
    assert {one.generation for one in left} == {-1}
    lucky = confirmed(selected(), {BEST.id: 25.0})
    rounds = {one.round: one.configurations[0] for one in focused(lucky)}
    assert [rounds[round] for round in (6, 11, 12, 17)] == [BEST.id, BEST.id, SECOND_BEST.id, SECOND_BEST.id]
    seen = {
        (one.round, one.incarnation)
        for one in (entry.record for entry in lucky.entries if isinstance(entry.record, Visited))
        if one.configuration == SECOND_BEST.id and one.round >= 6
    }
    assert {incarnation for _, incarnation in seen} == {2, 3, 4, 5}


def test_what_is_measured_between_fresh_rounds_shares_no_process_with_them() -> None:
    """The user stops after three fresh rounds and allows extra visits: those come before the other three."""
    run = confirmed(selected(), {}, visits=15)
    extra = Focused(round=10, purpose="decide", load=Closed(), configurations=(BEST.id,), questions=("?",))
    run = confirmed(with_records(run, extra), {})
    fresh = {one.round for one in focused(run) if one.purpose == "confirm"}
    served: dict[int, set[bool]] = {}
    for visit in (entry.record for entry in run.entries if isinstance(entry.record, Visited)):
        if visit.configuration == BEST.id:
            served.setdefault(visit.incarnation, set()).add(visit.round in fresh)
    assert all(len(purposes) == 1 for purposes in served.values()), served


@pytest.mark.parametrize("policy", [Policy(rounds=5), Policy(confirm_rounds=0)])
def test_quick_looks_and_those_who_do_not_want_it_confirm_nothing(policy: Policy) -> None:
    run = selected(*(changed(one, rounds=policy.rounds) for one in FIELD), policy=policy)
    assert next_focus(run) is None
    found = recommended(with_records(run, Finished()))
    assert found.confirmation is None
    assert found.unconfirmed in (
        "a quick look of 5 rounds; runs of 6 and more are confirmed",
        "the profile asks for no fresh rounds",
    )


def test_the_budget_is_spent_before_anything_is_confirmed() -> None:
    shaky = changed(BEST, factors=(1.0, 1.1, 0.85, 1.04, 0.9, 1.02))
    run = selected(*BASELINES, shaky, SECOND_BEST, FLOAT, policy=Policy(extra_visits=6))
    purposes = [one.purpose for one in focused(confirmed(run, {}))]
    assert purposes == ["decide"] * 3 + ["confirm"] * 6


def test_what_was_stopped_half_way_goes_on_with_the_visits_that_it_would_have_made() -> None:
    whole = confirmed(selected(), {})
    stopped = with_records(confirmed(selected(), {}, visits=17), Started(pid=2))
    resumed = confirmed(stopped, {})

    def order(run: Run) -> list[tuple[int, int, str]]:
        visits = (entry.record for entry in run.entries if isinstance(entry.record, Visited))
        return [(one.round, one.position, one.configuration) for one in visits]

    assert order(resumed)[: len(order(whole))] == order(whole)
    assert focused(resumed)[:6] == focused(whole)
    assert len(focused(resumed)) == 7, "the round that the stop cut is two, and neither holds all"
    assert [one.generation for one in remaining(stopped).rounds[0]] == [-2] * len(
        remaining(stopped).rounds[0]
    )
    assert recommended(stopped).confirmation is None
    assert recommended(stopped).unconfirmed == (
        "3 of its 6 fresh rounds made; perftool sweep --resume makes them"
    )


def test_under_the_latency_objective_fresh_rounds_have_its_load() -> None:
    field = tuple(changed(one, sync=one.hint is not None or one.streams > 1) for one in FIELD)
    run = selected(*field, objective="latency")
    focus = next_focus(run)
    assert focus is not None and focus.load == Sync()
    (left,) = remaining(with_records(run, focus)).rounds
    alone = {one.configuration.id: one.load for one in left}
    assert alone[SECOND_BEST.id] == Closed() and alone[BASELINES[1].id] == Sync()
    found = recommended(confirmed(run, {}))
    assert found.confirmation is not None and found.confirmation.holds
    assert found.confirmation.latency_sync_ms is not None


# ---------------------------------------------------------------- the claim


def test_the_claim_is_the_second_measurement() -> None:
    """The choice was lucky by a tenth when it was chosen: the claim is what it does when measured again."""
    lucky = changed(BEST, fps=36.0)
    run = confirmed(selected(*BASELINES, lucky, SECOND_BEST, FLOAT), {})
    found = recommended(run)
    assert found.id == BEST.id and found.confirmation is not None and found.confirmation.holds
    assert [(one.over, one.what, one.executed_precision) for one in found.gain] == [
        ("cpu-baseline-latency", "FP32 under the LATENCY hint", "bf16"),
        ("cpu-baseline-throughput", "FP32 under the THROUGHPUT hint", "bf16"),
        (FLOAT.id, "the best in f32", "f32"),
    ]
    for gain, expected in zip(found.gain, (33 / 16.5, 33 / 17.2, 33 / 8.5), strict=True):
        assert gain.rounds == 6 and gain.low is not None and gain.high is not None
        assert gain.low <= gain.point <= gain.high
        assert gain.point == pytest.approx(expected, rel=0.015), "not that of the rounds it was chosen by"
    assert found.unconfirmed is None
    assert found.claim is not None
    assert "FP32 under the THROUGHPUT hint, which executed in bf16 (" in found.claim
    assert found.claim.endswith("95 % intervals, confirmed in 6 fresh rounds, 2 processes each")
    runner_up = found.confirmation.runner_up
    assert runner_up is not None and runner_up.over == SECOND_BEST.id
    assert runner_up.point == pytest.approx(33 / 31.5, rel=0.015)
    assert (found.confirmation.rounds, found.confirmation.processes) == (6, 2)


def test_ratios_are_paired_inside_fresh_rounds_alone() -> None:
    """Rounds differ by 40 %, configurations inside them by 2: unpaired, no interval is so narrow."""
    found = recommended(confirmed(selected(), {}))
    assert found.confirmation is not None and found.confirmation.throughput_fps is not None
    own = found.confirmation.throughput_fps
    assert own.low is not None and own.high is not None and own.high / own.low > 1.3
    for gain in found.gain:
        assert gain.low is not None and gain.high is not None and gain.high / gain.low < 1.03


def test_the_figures_that_are_told_are_of_the_rounds_that_the_ratios_are_of() -> None:
    """All are slower when measured again: the baselines too, so that the ratios stay."""
    run = confirmed(selected(), {one.id: one.fps * 0.7 for one in FIELD})
    found = recommended(run)
    again = summarize(run).again[BEST.id].results
    own, its = again[BEST.id].throughput_fps, again[BASELINES[0].id].throughput_fps
    assert own is not None and own.point < 0.8 * BEST.fps * 1.2 and its is not None
    assert found.reason.startswith(
        f"highest throughput of the 4 that pass; in its fresh rounds {own.point:.1f} images/s ("
    )
    assert {gain.source for gain in found.gain} == {"fresh rounds"} and found.gain[0].figure == its
    text = "\n".join(line.plain for line in choice_lines(summarize(run), found))
    said = (
        "confirmed in 6 fresh rounds, 2 processes each",
        f", which executed in bf16: {its.point:.1f} images/s",
    )
    assert all(one in text for one in said)
    assert "the box has figures of its fresh rounds" in legend(summarize(run), found).plain
    for line in text.splitlines():
        if "FP32 under the LATENCY hint" in line:
            assert float(line.partition("x")[0]) == pytest.approx(own.point / its.point, rel=0.02)


def test_without_fresh_rounds_the_figures_are_those_that_it_was_chosen_by() -> None:
    found = recommended(with_records(selected(), Finished()))
    assert found.reason.startswith("highest throughput of the 4 that pass: 3")
    assert {(gain.source, gain.figure) for gain in found.gain} == {("rounds", None)}


def test_figures_to_choose_by_do_not_know_what_was_measured_again() -> None:
    run = selected()
    slow = {one.id: 1.0 for one in FIELD}

    def figures(found: Summary) -> object:
        return found.configurations, found.baselines, found.series, found.run.noise_cv, found.run.rounds

    before = figures(summarize(run))
    assert figures(summarize(confirmed(run, slow, memory_mb=9000.0))) == before
    assert figures(summarize(confirmed(run, slow, visits=13, memory_mb=9000.0))) == before


def test_a_process_that_came_to_no_fresh_visit_does_not_count_either() -> None:
    run = selected()
    focus = next_focus(run)
    assert focus is not None
    lost = with_records(run, focus, compiled(changed(BEST, memory_mb=9000.0), 2))
    assert summarize(lost).configurations == summarize(run).configurations


def test_a_drop_since_it_was_chosen_is_told_and_replaces_nothing() -> None:
    steady = tuple(changed(one, factors=(1.0,)) for one in FIELD)
    run = Journal(steady, machine=(1.0,), finished=False).run(limits=NONE, policy=Policy())
    warm: dict[str, int] = {}
    while (focus := next_focus(run)) is not None:
        run = with_records(run, focus)
        for visit in remaining(run).rounds[0]:
            run = again(run, visit, 0.88 * KNOWN[visit.configuration.id].fps, warm)
    found = recommended(run)
    assert found.id == BEST.id and found.confirmation is not None and found.confirmation.holds
    assert found.warnings == (
        "in the fresh rounds its throughput was 12% less than when it was chosen (12% to 12%)",
    )


@pytest.mark.parametrize(("speeds", "told"), [((0.9,) * 6, True), ((1.0, 0.7, 0.9, 1.2, 0.75, 0.85), False)])
def test_how_sure_a_drop_of_a_score_is_the_fresh_rounds_say(speeds: tuple[float, ...], told: bool) -> None:
    """The rounds that it was chosen by are steady: were the interval theirs, any drop would be sure."""
    steady = tuple(changed(one, factors=(1.0,)) for one in FIELD)
    weights = {"throughput": 1.0, "latency_p50": 0.5}
    journal = Journal(steady, machine=(1.0,), finished=False)
    run = journal.run(limits=NONE, policy=Policy(), objective=weights)
    warm: dict[str, int] = {}
    while (focus := next_focus(run)) is not None:
        run = with_records(run, focus)
        for visit in remaining(run).rounds[0]:
            fps = speeds[visit.round % 6] * KNOWN[visit.configuration.id].fps
            run = again(run, visit, fps, warm)
    found = recommended(run)
    assert found.confirmation is not None and found.confirmation.holds
    change = found.confirmation.change
    assert change is not None and change.low is not None and change.high is not None
    assert change.point == pytest.approx(0.9, rel=0.05)
    assert change.low == pytest.approx(min(speeds), rel=0.05) and change.high >= max(speeds) * 0.95
    assert (len(found.warnings) == 1) == told


def test_disturbed_fresh_rounds_confirm_nothing_and_refuse_nothing() -> None:
    for speeds in ({}, {BEST.id: 29.3}):
        run = confirmed(selected(), speeds, other_load=0.3)
        found = recommended(run)
        assert found.id == BEST.id and found.refused == () and len(focused(run)) == 6
        assert found.confirmation is not None and not found.confirmation.holds
        assert found.unconfirmed == found.confirmation.disturbed
        assert found.unconfirmed is not None and found.unconfirmed.startswith(
            "disturbed: other load took part of the machine in 30 of 30 visits in the fresh rounds"
        )
        assert found.claim is not None and found.claim.endswith(f"not confirmed: {found.unconfirmed}")
        assert [gain.rounds for gain in found.gain] == [6, 6, 6], "those of the fresh rounds, as they are"
        fresh = foreseen(summarize(run), found)
        assert (fresh.why, fresh.beaten_by, fresh.warnings) == (found.unconfirmed, (), found.warnings)


def foreseen(summary: Summary, found: Recommendation) -> Fresh:
    """Return what the page is told of the fresh rounds of a choice."""
    seen = foresee(summary, found)
    return next(one for one in seen.fresh if seen.ids[one.candidate] == found.id)


def disturbing(run: Run, ids: set[str], rounds: set[int]) -> Run:
    """Let other load disturb some fresh visits."""

    def under(record: Record) -> Record:
        if not isinstance(record, Visited) or record.configuration not in ids or record.round not in rounds:
            return record
        loaded = msgspec.structs.replace(record.conditions, other_load=0.3)
        return msgspec.structs.replace(record, conditions=loaded)

    entries = (msgspec.structs.replace(one, record=under(one.record)) for one in run.entries)
    return msgspec.structs.replace(run, entries=tuple(entries))


def test_one_of_those_compared_that_was_mostly_disturbed_is_enough() -> None:
    run = confirmed(selected(), {})
    found = recommended(disturbing(run, {SECOND_BEST.id}, {6, 7, 8}))
    assert found.unconfirmed is not None and f"in 3 of 6 visits of {SECOND_BEST.id} in" in found.unconfirmed


def test_few_disturbed_fresh_visits_are_told_and_confirm_all_the_same() -> None:
    found = recommended(disturbing(confirmed(selected(), {}), {one.id for one in FIELD}, {6, 7}))
    assert found.confirmation is not None and found.confirmation.holds and found.unconfirmed is None
    assert found.warnings == ("10 of 30 visits in the fresh rounds were disturbed",)


def test_what_a_race_dropped_and_looks_better_in_fresh_rounds_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is in them as the best in f32."""
    lucky = Measured(precision="FP32", streams=2, fps=9.0, memory_mb=500)
    monkeypatch.setitem(KNOWN, lucky.id, lucky)
    drop = Drop(configuration=lucky.id, by=BEST.id, reason="dropped after 1 round: 0.50x")
    run = selected(*BASELINES, BEST, lucky, limits=NONE)
    found = recommended(confirmed(with_records(run, Raced(round=0, drops=(drop,), front=())), {lucky.id: 40}))
    (told,) = found.warnings
    assert told.startswith(
        f"{lucky.id}, which the race dropped, looks better in the fresh rounds: 1.21x (1.2"
    )


def test_another_choice_than_the_run_s_is_not_confirmed() -> None:
    summary = summarize(confirmed(selected(), {}))
    other = choose(summary, "throughput", Limits(accuracy_drop_pp=None, memory_mb=240))
    assert other.id == SECOND_BEST.id and other.confirmation is None
    assert other.unconfirmed == (
        f"the fresh rounds were for {BEST.id}, the choice under the run's objective and limits"
    )
    assert other.claim is not None and other.claim.endswith(f"not confirmed: {other.unconfirmed}")
    assert other.gain, "the gains are then those that it was chosen by"
    same = choose(summary, "throughput", Limits(accuracy_drop_pp=None, memory_mb=300))
    assert same.id == BEST.id and same.confirmation is not None, "what was measured holds under other limits"


def test_a_choice_whose_new_runner_up_was_not_in_its_fresh_rounds_is_not_confirmed() -> None:
    limits = Limits(accuracy_drop_pp=None, memory_mb=300)
    rival = changed(THIRD, fps=32.5, memory_mb=330)
    run = confirmed(selected(*BASELINES, BEST, SECOND_BEST, rival, FLOAT, limits=limits), {})
    own = recommended(run)
    assert own.runner_up == SECOND_BEST.id and own.confirmation is not None and own.confirmation.holds
    other = choose(summarize(run), "throughput", NONE)
    assert (other.id, other.runner_up) == (BEST.id, rival.id)
    assert other.confirmation is not None and not other.confirmation.holds
    assert other.confirmation.runner_up is None and other.confirmation.reasons == ()
    assert other.unconfirmed == f"its runner-up {rival.id} was not in the fresh rounds"
    assert other.claim is not None and other.claim.endswith(f"not confirmed: {other.unconfirmed}")
    assert exported(BEST.id, run=run).confirmed is not None, "that is under the run's own limits"


def test_the_only_one_that_passes_has_no_runner_up_to_be_confirmed_against() -> None:
    limits = Limits(accuracy_drop_pp=None, bounds=(Bound(metric="throughput", way=">=", value=32.0),))
    found = recommended(confirmed(selected(limits=limits), {}))
    assert (found.id, found.runner_up, found.unconfirmed) == (BEST.id, None, None)
    assert found.confirmation is not None and found.confirmation.holds


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ((), "the run was stopped before its fresh rounds; perftool sweep --resume makes them"),
        (
            (Finished(),),
            "it has no fresh rounds; perftool sweep --resume makes them for the run's own choice",
        ),
    ],
)
def test_a_run_without_fresh_rounds_says_so(last: tuple[Record, ...], said: str) -> None:
    assert recommended(with_records(selected(), *last)).unconfirmed == said


@pytest.mark.parametrize(
    ("objective", "limits", "said"),
    [
        (
            "latency",
            Limits(accuracy_drop_pp=None, percentile=90),
            "the latency of a single request, p90 is not ",
        ),
        (
            {"throughput": 1.0, "latency_sync": 0.5},
            NONE,
            "the score is not measured again: no single load has throughput and latency_sync",
        ),
        (
            {"throughput": 1.0, "latency_p90": 0.5},
            NONE,
            "the score is not measured again: latency_p90 has no figure in each round",
        ),
        (
            {"throughput": 1.0, "latency_p90": 0.5, "peak_rss": 0.1},
            NONE,
            "the score is not measured again: latency_p90 and peak_rss have no figures in each round",
        ),
    ],
)
def test_what_fresh_rounds_cannot_carry_is_said_and_no_resuming_is_promised(
    objective: Objective, limits: Limits, said: str
) -> None:
    field = tuple(changed(one, completions=80, sync=one.hint is not None or one.streams > 1) for one in FIELD)
    run = with_records(selected(*field, objective=objective, limits=limits), Finished())
    assert next_focus(run) is None
    found = recommended(run)
    assert found.id is not None and found.confirmation is None
    assert found.unconfirmed is not None and found.unconfirmed.startswith(said)
    assert "--resume" not in found.unconfirmed


# ---------------------------------------------------------------- refused, and replaced


def test_a_lucky_choice_is_replaced_and_the_next_is_confirmed_by_rounds_of_its_own() -> None:
    run = confirmed(selected(), {BEST.id: 29.3})
    found = recommended(run)
    assert found.id == SECOND_BEST.id
    assert why(found, BEST.id).startswith(f"not confirmed: in 6 fresh rounds 0.93x of {SECOND_BEST.id} (0.9")
    assert [one.id for one in found.refused] == [BEST.id]
    assert [one.configurations[:2] for one in focused(run)] == [
        *([(BEST.id, SECOND_BEST.id)] * 6),
        *([(SECOND_BEST.id, THIRD.id)] * 6),
    ]
    assert found.confirmation is not None and found.confirmation.holds and found.confirmation.rounds == 6
    assert found.gain[1].point == pytest.approx(31.5 / 17.2, rel=0.015)


def test_what_is_open_against_the_next_choice_gets_extra_rounds_after_a_refusal() -> None:
    """Nothing was open against the one that was refused; against the next one something is."""
    shaky = changed(SECOND_BEST, factors=(1.0, 1.02, 0.99, 1.03, 0.97, 1.01), fps=30.5)
    run = selected(*BASELINES, BEST, shaky, THIRD, FLOAT, policy=Policy(extra_visits=24))
    assert recommended(run).id == BEST.id and not recommended(run).open
    run = confirmed(run, {BEST.id: 25.0, THIRD.id: 30.2})
    asked = [one for one in focused(run) if one.purpose == "decide"]
    assert asked and asked[0].round == 12, "once the first choice was refused"
    assert set(asked[0].configurations) == {shaky.id, THIRD.id}


def test_a_choice_as_good_as_its_runner_up_is_kept() -> None:
    """The simplest of the tied is chosen though another is faster by less than counts: no luck in that."""
    near = changed(SECOND_BEST, fps=32.8, wobble=0.001)
    run = selected(*BASELINES, changed(BEST, wobble=0.001), near, FLOAT)
    found = recommended(run)
    assert (found.id, found.leader, found.runner_up) == (near.id, BEST.id, BEST.id)
    found = recommended(confirmed(run, {near.id: 32.8}))
    assert found.id == near.id and found.confirmation is not None and found.confirmation.runner_up is not None
    assert found.confirmation.holds


def test_a_choice_that_misses_a_limit_when_measured_again_is_replaced() -> None:
    p50 = 2 * 1000 / 33.0
    limits = Limits(accuracy_drop_pp=None, latency_ms=p50 * 1.15)
    run = confirmed(selected(limits=limits), {BEST.id: 33.0 * 0.7, SECOND_BEST.id: 31.5 * 0.7})
    found = recommended(run)
    assert found.id == SECOND_BEST.id
    assert why(found, BEST.id).startswith("not confirmed: in 6 fresh rounds p50 ")
    assert why(found, BEST.id).endswith(" ms > 69.6969697 ms")


def test_memory_is_judged_again_too() -> None:
    limits = Limits(accuracy_drop_pp=None, memory_mb=400)
    run = confirmed(selected(limits=limits), {}, memory_mb=410.0)
    found = recommended(run)
    assert found.id is None
    reasons = {miss.id: miss.reason for miss in found.nearest}
    assert reasons[BEST.id] == "not confirmed: in 6 fresh rounds memory 410 MB > 400 MB"
    assert len(focused(run)) == 18, "three choices, six rounds each"


def test_a_percentile_that_fresh_rounds_cannot_carry_refuses_nothing() -> None:
    limits = Limits(accuracy_drop_pp=None, latency_ms=1000, percentile=95)
    field = tuple(changed(one, completions=25) for one in FIELD)
    run = confirmed(selected(*field, limits=limits), {}, completions=10)
    found = recommended(run)
    assert found.id == BEST.id and found.confirmation is not None
    assert found.confirmation.holds
    assert found.confirmation.latency_ms is not None and found.confirmation.latency_ms.p95 is None


def test_nothing_is_judged_before_all_fresh_rounds_are_made() -> None:
    """A look after every round would refuse any choice before long."""
    limits = Limits(accuracy_drop_pp=None, memory_mb=400)
    run = confirmed(selected(limits=limits), {BEST.id: 20.0}, visits=28, memory_mb=410.0)
    found = recommended(run)
    assert found.id == BEST.id and found.confirmation is None


def test_a_choice_with_a_new_runner_up_is_judged_once_all_of_its_new_rounds_are_made() -> None:
    """Extra visits that the user allowed gave it another runner-up, and with that six rounds more.

    A look after each of them would find something against any choice before long.
    """
    run = confirmed(selected(), {})
    more: list[Record] = [Started(pid=2)]
    for round in range(12, 22):
        asked = Focused(
            round=round, purpose="decide", load=Closed(), configurations=(THIRD.id,), questions=("?",)
        )
        more += [asked, visited(THIRD, round, 0, 32.5, 1, sync=False)]
    run = with_records(run, *more)
    assert recommended(run).runner_up == THIRD.id and recommended(run).id == BEST.id
    stopped = confirmed(run, {THIRD.id: 40.0}, visits=2 * 5)
    assert recommended(stopped).id == BEST.id and recommended(stopped).confirmation is None
    assert recommended(stopped).unconfirmed == (
        "2 of its 6 fresh rounds made; perftool sweep --resume makes them"
    )
    assert why(recommended(confirmed(run, {THIRD.id: 40.0})), BEST.id).startswith(
        "not confirmed: in 12 fresh"
    )


def test_a_fresh_round_that_a_stop_cut_is_not_among_those_that_confirm() -> None:
    run = with_records(confirmed(selected(), {}, visits=17), Started(pid=2))
    run = confirmed(run, {})
    assert len(focused(run)) == 7
    found = recommended(run)
    assert found.confirmation is not None and found.confirmation.holds
    assert {one.rounds for one in (found.confirmation.runner_up, *found.confirmation.baselines) if one} == {6}


def test_after_three_choices_the_best_of_the_rest_is_recommended_with_a_warning() -> None:
    field = (*BASELINES, BEST, SECOND_BEST, THIRD, FOURTH, FLOAT)
    run = confirmed(selected(*field), {BEST.id: 20.0, SECOND_BEST.id: 21.0, THIRD.id: 22.0})
    assert [one.configurations[0] for one in focused(run)][::6] == [BEST.id, SECOND_BEST.id, THIRD.id]
    assert len(focused(run)) == 18
    found = recommended(run)
    assert found.id == FOURTH.id and found.confirmation is None
    assert found.warnings == (
        "not confirmed: 3 choices before it did not hold in fresh rounds, and no more are tried",
    )
    assert next_focus(with_records(run, Allowed(extra_visits=0, carry_percentile=False))) is None


def test_a_tried_choice_that_crashed_counts_among_those_that_did_not_hold() -> None:
    lucky = tuple(changed(one, fps=40.0 - at) for at, one in enumerate((BEST, SECOND_BEST, THIRD, FOURTH)))
    speeds = {BEST.id: 20.0, SECOND_BEST.id: 21.0, THIRD.id: 22.0}
    run = confirmed(selected(*BASELINES, *lucky, FLOAT), speeds, visits=2)
    crash = Failed(subject=BEST.id, stage="visit", kind="crashed", reason="gone")
    found = recommended(confirmed(with_records(run, crash, crash), speeds))
    assert [one.id for one in found.refused] == [SECOND_BEST.id, THIRD.id]
    assert found.id == FOURTH.id
    said = "3 choices before it did not hold in fresh rounds, and no more are tried"
    assert found.unconfirmed == said and f"not confirmed: {said}" in found.warnings


def test_a_choice_that_extra_visits_changed_gets_its_fresh_rounds_by_resuming() -> None:
    run = confirmed(selected(), {})
    more: list[Record] = [Started(pid=2)]
    for round in range(12, 22):
        ids = (BEST.id, SECOND_BEST.id)
        more.append(
            Focused(round=round, purpose="decide", load=Closed(), configurations=ids, questions=("?",))
        )
        more += [
            visited(KNOWN[id], round, 0, fps, 1, sync=False) for id, fps in zip(ids, (30, 36), strict=True)
        ]
    found = recommended(with_records(run, *more))
    assert found.id == SECOND_BEST.id
    assert found.unconfirmed == (
        f"the fresh rounds so far were for {BEST.id}; "
        "perftool sweep --resume makes those of the run's own choice"
    )
    assert recommended(confirmed(with_records(run, *more), {SECOND_BEST.id: 36.0})).unconfirmed is None


def without_energy(entry: Entry) -> Entry:
    """Take the joules of a baseline's visit away."""
    visit = entry.record
    if not isinstance(visit, Visited) or "baseline" not in visit.configuration:
        return entry
    conditions = msgspec.structs.replace(visit.conditions, energy_j=None)
    return msgspec.structs.replace(entry, record=msgspec.structs.replace(visit, conditions=conditions))


def test_a_baseline_without_the_figure_is_not_said_to_lack_fresh_rounds() -> None:
    field = tuple(changed(one, image_j=1.0) for one in FIELD)
    run = confirmed(selected(*field, objective="efficiency"), {}, image_j=1.0)
    assert len(recommended(run).gain) == 3
    found = recommended(msgspec.structs.replace(run, entries=tuple(map(without_energy, run.entries))))
    assert found.confirmation is not None
    assert [text for text in found.warnings if "no gain" in text] == [
        f"no gain over FP32 under the {one.hint} hint: energy not measured" for one in BASELINES
    ]


def test_rounds_too_few_for_an_interval_confirm_nothing() -> None:
    found = recommended(confirmed(selected(policy=Policy(confirm_rounds=3)), {}))
    assert found.confirmation is not None and not found.confirmation.holds
    assert found.unconfirmed == "3 fresh rounds, and an interval takes 6"


# ---------------------------------------------------------------- what else reads it


def test_the_time_left_has_the_fresh_rounds_in_it() -> None:
    run = selected()
    times = [entry.at_ns for entry in run.entries]
    visits = [
        (after.at_ns - before) / SECOND
        for before, after in zip(times, run.entries[1:], strict=False)
        if isinstance(after.record, Visited)
    ]
    fresh = 5 * (6 * fmean(visits) + 2 * 1.0)
    besides = seconds_left(selected(policy=Policy(confirm_rounds=0)))
    assert seconds_left(run) - besides == pytest.approx(fresh), "six rounds, two processes, five of each"
    focus = next_focus(run)
    assert focus is not None
    at_once = Entry(at_ns=times[-1], record=focus)
    begun = msgspec.structs.replace(run, entries=(*run.entries, at_once))
    assert seconds_left(begun) == pytest.approx(seconds_left(run))
    quick = tuple(changed(one, rounds=5) for one in FIELD)
    without = seconds_left(selected(*quick, policy=Policy(rounds=5, confirm_rounds=0)))
    assert seconds_left(selected(*quick, policy=Policy(rounds=5))) == pytest.approx(without)


def test_processes_to_come_are_counted_though_generations_were_skipped() -> None:
    """The runner-up had no visit in the extra rounds; its next process is one, not as many as it skipped."""
    extra = Focused(round=20, purpose="decide", load=Closed(), configurations=(BEST.id,), questions=("?",))
    run = with_records(selected(), extra, visited(BEST, 20, 0, 33.0, 2, sync=False))
    focus = next_focus(run)
    assert focus is not None
    run = with_records(run, focus)
    warm: dict[str, int] = {}
    first, *others = remaining(run).rounds[0]
    assert compiles_left(run, remaining(run)) == 5
    run = again(run, first, 10.0, warm)
    assert compiles_left(run, remaining(run)) == 4
    for visit in others:
        run = again(run, visit, 10.0, warm)
    focus = next_focus(run)
    assert focus is not None
    run = with_records(run, focus)
    assert compiles_left(run, remaining(run)) == 0, "the second fresh round has the processes of the first"
    assert compiles_left(with_records(run, Started(pid=2)), remaining(run)) == 5


def test_a_bundle_claims_what_was_confirmed() -> None:
    lucky = changed(BEST, fps=36.0)
    run = confirmed(selected(*BASELINES, lucky, SECOND_BEST, FLOAT), {})
    confirmation = recommended(run).confirmation
    assert confirmation is not None
    claimed = claim(exported(BEST.id, run=run))
    assert claimed.throughput_fps == confirmation.throughput_fps
    assert claimed.latency_ms == confirmation.latency_ms
    assert claimed.visits == 6
    other = exported(SECOND_BEST.id, run=run)
    assert other.confirmed is None and claim(other).throughput_fps == other.result.throughput_fps
