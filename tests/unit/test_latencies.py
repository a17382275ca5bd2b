"""Latencies that are sorted once say the same, to the last bit, as each figure worked out for itself."""

from array import array
from statistics import median

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from journals import nine

from perftool.analysis.latencies import NONE, drift_inside, latencies_of, medians_by_round, percentiles
from perftool.analysis.stats import percentile_estimate
from perftool.record import Visited

TEMPLATE = next(entry.record for entry in nine().entries if isinstance(entry.record, Visited))
#: Nanoseconds to hours, of a visit that holds something.
SAMPLES = st.lists(st.integers(1, 10**13), min_size=1, max_size=60)


def made(visits: list[list[int]]) -> list[Visited]:
    return [
        msgspec.structs.replace(TEMPLATE, round=number, latencies_ns=array("q", samples))
        for number, samples in enumerate(visits)
    ]


@given(st.lists(SAMPLES, min_size=1, max_size=9))
def test_every_figure_is_that_of_the_plain_samples(visits: list[list[int]]) -> None:
    found = latencies_of(made(visits))
    plain = [[value / 1e6 for value in visit] for visit in visits]
    assert medians_by_round(found) == {at: float(median(visit)) / 1e6 for at, visit in enumerate(visits)}
    assert found.mean == sum(sum(visit) for visit in plain) / sum(map(len, plain))
    latency, intervals = percentiles(found)
    assert latency is not None and intervals is not None
    assert latency.n == sum(map(len, visits))
    for percentile, point, interval in (
        (50, latency.p50, intervals.p50),
        (90, latency.p90, intervals.p90),
        (95, latency.p95, intervals.p95),
        (99, latency.p99, intervals.p99),
    ):
        alone = percentile_estimate(plain, percentile)
        assert interval == alone
        assert point == (alone.point if alone else None)


@given(SAMPLES)
def test_the_drift_inside_a_visit_is_that_of_its_halves_medians(samples: list[int]) -> None:
    found = drift_inside(made([samples]))
    half = len(samples) // 2
    if half == 0:
        assert found is None
    else:
        assert found is not None
        assert found.point == median(samples[-half:]) / median(samples[:half])


def test_without_visits_there_is_nothing() -> None:
    assert latencies_of(()) is NONE
    assert percentiles(NONE) == (None, None)
    assert medians_by_round(NONE) == {}
    assert drift_inside(()) is None
