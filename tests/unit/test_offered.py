"""Open load in a sweep: the choice by rate, its table and its picture. Synthetic journals, nothing runs."""

import io
import xml.etree.ElementTree as ElementTree

import msgspec
import pytest
from journals import SECOND, Journal, Measured
from queues import offered
from rich.console import Console

from perftool.analysis.choose import choose
from perftool.analysis.result import Recommendation
from perftool.analysis.summary import summarize
from perftool.journal import Entry, Run
from perftool.render.plots import draw
from perftool.render.tables import run_view
from perftool.spec import Limits

FAST = Measured(precision="INT8", streams=2, fps=30.0)
SLOW = Measured(precision="FP32", fps=8.0)
BOUND = Limits(slo_ms=100.0, percentile=95, accuracy_drop_pp=None)


def run(*, missing: str = "") -> Run:
    """Return a run in which latency at a share of the throughput is 40, 80 and 160 ms; slow is twice that.

    Each rate has six windows of 110 evenly spaced requests.
    """
    made = Journal((FAST, SLOW)).run()
    entries = []
    for one, factor in ((FAST, 1.0), (SLOW, 2.0)):
        if one.id == missing:
            continue
        for share, latency in ((0.5, 40.0), (0.7, 80.0), (0.9, 160.0)):
            spread = [0.1 * (37 * n % 11) for n in range(110)]
            window = offered([factor * latency + late for late in spread], rate=share * one.fps)
            window = msgspec.structs.replace(window, configuration=one.id)
            entries += [Entry(at_ns=SECOND * 10**10, record=window)] * 6
    return msgspec.structs.replace(made, entries=(*made.entries, *entries))


def recommended(run: Run, limits: Limits = BOUND) -> Recommendation:
    return choose(summarize(run), "rate", limits)


def shown(run: Run) -> str:
    summary = summarize(run)
    text = io.StringIO()
    console = Console(file=text, width=100, no_color=True, color_system=None)
    console.print(*run_view(summary, recommended(run)))
    return text.getvalue()


def test_the_rate_under_the_bound_decides() -> None:
    found = recommended(run())
    assert found.id == FAST.id
    assert found.reason.startswith("highest rate that holds p95 <= 100 ms of the 2 that pass: p95<=100ms 2")
    reasons = {one.id: one.reason for one in found.rejected}
    assert reasons[SLOW.id].startswith(f"beaten by {FAST.id} (0.")


def test_what_misses_at_every_rate_does_not_pass_and_says_so() -> None:
    found = recommended(run(), msgspec.structs.replace(BOUND, slo_ms=50.0))
    assert found.id == FAST.id
    (rejected,) = found.rejected
    assert rejected.reason.startswith("even the lowest rate tried, 4 images/s, misses the bound: p95 is 8")
    nothing = recommended(run(), msgspec.structs.replace(BOUND, slo_ms=1.0))
    assert nothing.id is None
    assert {miss.id for miss in nothing.nearest} == {FAST.id, SLOW.id}


def test_where_every_rate_holds_the_highest_stands_for_the_answer_and_nothing_is_decided() -> None:
    found = recommended(run(), msgspec.structs.replace(BOUND, slo_ms=1000.0))
    assert found.id == FAST.id
    assert found.undecided == (SLOW.id,)
    assert "p95<=1000ms 27.0 images/s or more" in found.reason
    (rejected,) = found.rejected
    assert rejected.reason == f"undecided against {FAST.id}: 0.27x without an interval"
    assert found.open[0].endswith("without an interval: more arrivals at each rate give one")


def test_a_configuration_that_was_not_offered_anything_has_no_rate() -> None:
    (rejected,) = recommended(run(missing=SLOW.id)).rejected
    assert rejected.reason == "no rate was tried"


def test_the_table_has_a_row_for_each_rate_and_the_column_of_the_objective() -> None:
    lines = shown(run()).splitlines()
    assert any("p95<=100ms" in line for line in lines)
    rows = [line for line in lines if line.startswith(("cpu-int8-b1-s2 ", "cpu-fp32-b1-s1 "))]
    offered_rows = [line for line in rows if "%" in line]
    assert len(offered_rows) == 6
    assert offered_rows[0].split()[1:3] == ["15", "50%"]
    assert "660 of 662" in offered_rows[0]
    assert max(len(line) for line in lines) <= 100
    assert "recommendation: rate, open-load p95 <= 100 ms" in shown(run())


def test_without_open_load_neither_table_nor_picture() -> None:
    plain = Journal((FAST, SLOW)).run()
    summary = summarize(plain)
    found = draw(summary, choose(summary, "throughput", Limits(accuracy_drop_pp=None)))
    assert not any(name.startswith("latency_rate") for name in found)


@pytest.mark.parametrize("objective", ["rate", "throughput"])
def test_the_picture_has_a_curve_for_each_configuration(objective: str) -> None:
    summary = summarize(run())
    limits = BOUND if objective == "rate" else Limits(accuracy_drop_pp=None)
    found = draw(summary, choose(summary, objective, limits))  # type: ignore[arg-type]
    assert found["latency_rate.png"].startswith(b"\x89PNG")
    svg = found["latency_rate.svg"].decode()
    ElementTree.fromstring(svg)
    for name in ("INT8 b1 s2", "FP32 b1 s1", "offered rate"):
        assert f"<!-- {name}" in svg
    assert ("bound: 100 ms" in svg) == (objective == "rate")
