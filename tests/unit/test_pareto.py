"""The front: worked by hand, and by property."""

from hypothesis import given
from hypothesis import strategies as st
from journals import Journal, Measured, nine

from perftool.analysis.metrics import LATENCY, MEMORY, THROUGHPUT
from perftool.analysis.pareto import dominates, front
from perftool.analysis.summary import summarize

POINTS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))


def test_front_of_throughput_and_latency() -> None:
    summary = summarize(nine())
    assert front(summary.configurations) == ("cpu-int8-b1-s2", "cpu-int8-b1-s1")


def test_more_metrics_keep_more() -> None:
    measured = (Measured(precision="INT8", fps=30, memory_mb=500), Measured(precision="FP16", memory_mb=100))
    results = summarize(Journal(measured).run()).configurations
    assert front(results) == ("cpu-int8-b1-s1",)
    assert front(results, (THROUGHPUT, LATENCY[50], MEMORY)) == ("cpu-int8-b1-s1", "cpu-fp16-b1-s1")


def test_equals_are_both_on_the_front_and_the_unmeasured_are_not() -> None:
    measured = (
        Measured(precision="FP32", factors=(1.0,)),
        Measured(precision="FP16", factors=(1.0,)),
        Measured(precision="INT8", fps=99, completions=1),
        Measured(precision="BF16", rounds=0, failed="no"),
    )
    assert front(summarize(Journal(measured).run()).configurations) == ("cpu-fp16-b1-s1", "cpu-fp32-b1-s1")


@given(POINTS, POINTS, POINTS)
def test_dominance_is_a_strict_order(
    a: tuple[int, int, int], b: tuple[int, int, int], c: tuple[int, int, int]
) -> None:
    assert not dominates(a, a)
    assert not (dominates(a, b) and dominates(b, a))
    if dominates(a, b) and dominates(b, c):
        assert dominates(a, c)
