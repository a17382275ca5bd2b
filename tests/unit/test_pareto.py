"""The front: worked by hand, and by property."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from journals import Journal, Measured, nine

from perftool.analysis.metrics import LATENCY, LATENCY_SYNC, MEMORY, THROUGHPUT
from perftool.analysis.pareto import compared, front, trade_off, undominated
from perftool.analysis.summary import summarize

POINTS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))


def test_front_of_throughput_and_latency() -> None:
    summary = summarize(nine())
    two = front(summary.configurations, (THROUGHPUT, LATENCY[50]))
    assert two == ("cpu-int8-b1-s2", "cpu-int8-b1-s1")


def test_the_front_of_all_four_keeps_what_loses_less_accuracy_or_takes_less_memory() -> None:
    summary = summarize(nine())
    assert [metric.name for metric in compared(summary.configurations)] == [
        *("throughput", "latency_p50", "top1_drop", "peak_rss")
    ]
    found = front(summary.configurations)
    # BF16 loses half of what INT8 does, and FP32 and FP16 nothing; of those FP16 takes the least memory.
    assert found == (
        *("cpu-int8-b1-s2", "cpu-int8-b1-s1", "cpu-bf16-b1-s2", "cpu-bf16-b1-s1"),
        *("cpu-fp32-b1-s2", "cpu-fp16-b1-s1"),
    )


def test_what_was_measured_for_none_is_no_respect_and_the_objective_comes_first() -> None:
    unlabelled = summarize(Journal((Measured(), Measured(precision="INT8"))).run()).configurations
    assert [metric.name for metric in compared(unlabelled)] == ["throughput", "latency_p50", "peak_rss"]
    names = ["latency_sync", "latency_p50", "top1_drop", "peak_rss"]
    assert [metric.name for metric in trade_off(LATENCY_SYNC)] == names
    assert [metric.name for metric in trade_off(LATENCY[50])] == names[1:]


def test_more_metrics_keep_more() -> None:
    measured = (Measured(precision="INT8", fps=30, memory_mb=500), Measured(precision="FP16", memory_mb=100))
    results = summarize(Journal(measured).run()).configurations
    assert front(results, (THROUGHPUT, LATENCY[50])) == ("cpu-int8-b1-s1",)
    assert front(results, (THROUGHPUT, LATENCY[50], MEMORY)) == ("cpu-int8-b1-s1", "cpu-fp16-b1-s1")


def test_equals_are_both_on_the_front_and_the_unmeasured_are_not() -> None:
    measured = (
        Measured(precision="FP32", factors=(1.0,)),
        Measured(precision="FP16", factors=(1.0,)),
        Measured(precision="INT8", fps=99, completions=1),
        Measured(precision="BF16", rounds=0, failed="no"),
    )
    assert front(summarize(Journal(measured).run()).configurations) == ("cpu-fp16-b1-s1", "cpu-fp32-b1-s1")


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Tell whether a is at least as large as b everywhere, and larger somewhere."""
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


@given(POINTS, POINTS, POINTS)
def test_dominance_is_a_strict_order(
    a: tuple[int, int, int], b: tuple[int, int, int], c: tuple[int, int, int]
) -> None:
    assert not dominates(a, a)
    assert not (dominates(a, b) and dominates(b, a))
    if dominates(a, b) and dominates(b, c):
        assert dominates(a, c)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=40))
def test_what_is_not_dominated_is_found_at_once(points: list[tuple[int, ...]]) -> None:
    rows = np.array(points, dtype=float).reshape(len(points), 3)
    expected = [not any(dominates(other, point) for other in points) for point in points]
    assert undominated(rows).tolist() == expected
