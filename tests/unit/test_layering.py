"""Which configurations of a run have their layers timed: the choice and the best in f32, each once."""

import msgspec
from journals import Journal, Measured
from layered import node, timed

from perftool.analysis.summary import summarize
from perftool.journal import ATTEMPTS, Finished, Record, Run, Started
from perftool.record import Failed, LayersTimed
from perftool.spec import Limits, Policy
from perftool.sweep.layering import layers_due, layers_to_come
from perftool.sweep.pace import seconds_left

INT8, F32 = Measured(precision="INT8", fps=30.0), Measured(precision="FP32", fps=8.0)
ANY_ACCURACY = Limits(accuracy_drop_pp=None)


def measured(*configurations: Measured, policy: Policy | None = None) -> Run:
    return Journal(measured=configurations, finished=False).run(
        limits=ANY_ACCURACY, policy=policy or Policy()
    )


def after(run: Run, *more: Record) -> Run:
    last = run.entries[-1]
    added = tuple(msgspec.structs.replace(last, record=record) for record in more)
    return msgspec.structs.replace(run, entries=(*run.entries, *added))


def due(run: Run) -> list[str]:
    return [one.id for one in layers_due(run)]


def layers_of(one: Measured) -> LayersTimed:
    record = timed(node("net/a", *[100.0] * 6, flops=1000), node("net/b", *[50.0] * 6, flops=1000))
    return msgspec.structs.replace(record, configuration=one.configuration)


def lost(one: Measured) -> Failed:
    return Failed(subject=one.id, stage="layers", kind="error", reason="it did not work")


def test_the_choice_and_the_best_in_f32_are_timed() -> None:
    run = measured(INT8, F32, Measured(precision="BF16", fps=15.0))
    assert due(run) == [INT8.id, F32.id]
    assert due(after(run, layers_of(INT8))) == [F32.id]
    assert due(after(run, layers_of(INT8), layers_of(F32))) == []


def test_the_best_in_f32_that_is_the_choice_is_timed_once() -> None:
    assert due(measured(F32)) == [F32.id]


def test_the_best_in_f32_is_that_of_the_choices_device() -> None:
    elsewhere = Measured(precision="FP32", fps=20.0, device="GPU")
    assert due(measured(INT8, F32, elsewhere)) == [INT8.id, F32.id]


def test_a_virtual_device_has_no_layers_to_time() -> None:
    assert due(measured(Measured(precision="INT8", fps=30.0, device="AUTO"))) == []


def test_none_is_timed_where_nobody_wants_it_or_nothing_is_chosen() -> None:
    assert due(measured(INT8, F32, policy=Policy(layer_seconds=0))) == []
    run = Journal(measured=(INT8, F32), finished=False).run(limits=Limits(memory_mb=1.0))
    assert due(run) == []


def test_a_failure_is_tried_again_by_a_resumed_run_only_and_then_given_up() -> None:
    run = after(measured(INT8, F32), lost(INT8))
    assert due(run) == [F32.id]
    run = after(run, Started(pid=2))
    assert due(run) == [INT8.id, F32.id]
    for _ in range(ATTEMPTS - 1):
        run = after(run, lost(INT8), Started(pid=3))
    assert due(run) == [F32.id]


def test_a_failure_does_not_count_against_the_configuration() -> None:
    before, run = measured(INT8, F32), after(measured(INT8, F32), lost(INT8), lost(INT8))
    one, other = (
        next(result for result in summarize(each).configurations if result.id == INT8.id)
        for each in (before, run)
    )
    assert other.status == "ok"
    assert msgspec.structs.replace(other, warnings=()) == msgspec.structs.replace(one, warnings=())


def test_a_summary_shows_what_was_timed() -> None:
    run = after(measured(INT8, F32), layers_of(INT8), layers_of(F32))
    assert [one.id for one in summarize(run).layers] == [INT8.id, F32.id]
    assert summarize(measured(INT8, F32)).layers == ()


def test_time_left_counts_what_is_still_to_be_timed() -> None:
    run, without = measured(INT8, F32), measured(INT8, F32, policy=Policy(layer_seconds=0))
    assert layers_to_come(run) == 2 and layers_to_come(without) == 0
    assert seconds_left(run) > seconds_left(without) + 2 * 2 * Policy().layer_seconds
    timed_once = after(run, layers_of(INT8))
    assert layers_to_come(timed_once) == 1
    assert layers_to_come(after(timed_once, layers_of(F32))) == 0
    assert layers_to_come(after(timed_once, Finished())) == 0
