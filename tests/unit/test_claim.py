"""Whether a claim is called confirmed, better, worse, not decided or not comparable."""

import io

import msgspec
import pytest
from journals import HOST, Measured, compiled, visited
from rich.console import Console

from perftool.analysis.claim import Figures, check, figures, host_differences, property_differences
from perftool.analysis.result import LatencyIntervals
from perftool.analysis.stats import Estimate
from perftool.cli.verify_bundle import decide
from perftool.errors import ClaimError, UndecidedError
from perftool.record import Visited
from perftool.render.claim import claim_view

ONE = Measured(precision="INT8", streams=2, fps=33.0)


def around(point: float, spread: float = 0.02) -> Estimate:
    return Estimate(point=point, low=point * (1 - spread), high=point * (1 + spread))


def claims(fps: Estimate, p50: Estimate | None = None, executed: str | None = "int8") -> Figures:
    latency = LatencyIntervals(p50=p50, p90=None, p95=None, p99=None) if p50 else None
    return Figures(throughput_fps=fps, latency_ms=latency, executed_precision=executed)


def verdict(claimed: Figures, measured: Figures) -> str:
    return check(claimed, measured, (), visits()).verdict


def visits(count: int = 8) -> list[Visited]:
    """Return visits in rounds of their own, whose speeds differ a little."""
    return [visited(ONE, turn, 0, 33.0 * (1 + 0.004 * turn), 2, sync=False) for turn in range(count)]


@pytest.mark.parametrize(
    ("claimed", "measured", "expected"),
    [
        (around(33), around(33), "confirmed"),
        (around(33), around(32), "confirmed"),
        (around(33), around(33 * 1.04, 0.002), "confirmed"),
        (around(33, 0.002), around(33 * 0.97, 0.002), "confirmed"),
        (around(33), around(33 * 0.9), "worse"),
        (around(33, 0.002), around(33 * 0.945, 0.002), "worse"),
        (around(33), around(33 * 1.1), "better"),
        (around(33, 0.5), around(20), "confirmed"),
        (Estimate(point=33, low=None, high=None), around(33 * 0.9), "worse"),
        (Estimate(point=33, low=None, high=None), around(33.3), "confirmed"),
    ],
)
def test_throughput_decides_by_the_ratio_and_its_interval(
    claimed: Estimate, measured: Estimate, expected: str
) -> None:
    assert verdict(claims(claimed), claims(measured)) == expected


def test_a_slower_median_latency_is_worse_and_a_faster_one_no_better_claim() -> None:
    assert verdict(claims(around(33), around(60)), claims(around(33), around(70))) == "worse"
    assert verdict(claims(around(33), around(60)), claims(around(33), around(40))) == "confirmed"
    # A percentile that the samples do not carry is not held against anybody.
    assert verdict(claims(around(33), around(60)), claims(around(33))) == "confirmed"


def test_the_reason_names_both_figures_and_the_ratio() -> None:
    checked = check(claims(around(33)), claims(around(16.5)), (), visits())
    (reason,) = checked.reasons
    assert "33 images/s claimed, 16.5 measured: 0.50x (0.49x to 0.51x)" in reason


def test_a_confirmed_claim_says_how_much_worse_it_may_be() -> None:
    both = around(60)
    checked = check(claims(around(33, 0.3), both), claims(around(30), both), (), visits())
    assert checked.verdict == "confirmed"
    assert [line.partition(" may be ")[0] for line in checked.open] == ["throughput"]
    assert check(claims(around(33), both), claims(around(33), both), (), visits()).open == ()


def test_a_latency_that_was_not_compared_is_said() -> None:
    both = around(60)
    for claimed, measured, words in (
        (None, both, "none is claimed"),
        (both, None, "too little was measured"),
    ):
        checked = check(claims(around(33), claimed), claims(around(33), measured), (), visits())
        assert checked.verdict == "confirmed"
        (said,) = checked.open
        assert said.startswith("latency was not compared: ") and words in said


def test_another_executed_precision_is_worse_whatever_the_speed() -> None:
    checked = check(claims(around(33)), claims(around(40), executed="f32"), (), visits())
    assert checked.verdict == "worse"
    assert checked.reasons == ("it ran in f32, not in int8",)


def test_another_machine_confirms_nothing_and_refuses_nothing() -> None:
    for measured in (around(33), around(3), around(330)):
        checked = check(claims(around(33)), claims(measured), ("cpu was A, is B",), visits())
        assert checked.verdict == "not comparable"
        assert checked.compared[0].measured == measured


@pytest.mark.parametrize(
    ("field", "value", "differs"),
    [
        ("cpu", "Another CPU", True),
        ("cores_usable", 4, True),
        ("isa", ("AVX2",), True),
        ("openvino", "2027.0", True),
        ("smt", "off", True),
        ("kernel", "7.0", False),
        ("memory_bytes", 1, False),
        ("perftool", "9", False),
    ],
)
def test_what_makes_another_machine(field: str, value: object, differs: bool) -> None:
    other = msgspec.structs.replace(HOST, **{field: value})
    found = host_differences(HOST, other)
    assert bool(found) == differs
    assert all(line.startswith(f"{field} was ") for line in found)


def test_other_properties_are_said() -> None:
    assert property_differences({"A": "1", "B": "2"}, {"A": "1", "B": "3", "C": "4"}) == (
        "B was 2, is 3",
        "C was not set, is 4",
    )


def test_figures_are_medians_over_visits_and_what_carried_most_of_the_work() -> None:
    found = figures(compiled(ONE), visits())
    assert found.throughput_fps.low is not None
    assert found.throughput_fps.point == pytest.approx(33.0 * (1 + 0.004 * 3.5), rel=1e-6)
    assert found.executed_precision == "int8"
    assert found.latency_ms is not None and found.latency_ms.p50 is not None


def test_a_disturbed_visit_that_was_repeated_does_not_speak() -> None:
    slow = Measured(precision="INT8", streams=2, other_load=0.5)
    made = [*visits(6), visited(slow, 0, 0, 1.0, 2, sync=False)]
    checked = check(claims(around(33)), figures(compiled(ONE), made), (), made)
    assert (checked.visits, checked.disturbed) == (6, 0)


# ---------------------------------------------------------------- while other load runs


def loaded(disturbed: int, fps: float = 16.5, rounds: int = 8) -> list[Visited]:
    """Return visits of as many rounds, the first of them disturbed in both attempts."""
    slow = Measured(precision="INT8", streams=2, fps=fps, other_load=0.5)
    twice = [visited(slow, turn, place, fps, 2, sync=False) for turn in range(disturbed) for place in (0, 1)]
    return [*twice, *(visited(ONE, turn, 0, 33.0, 2, sync=False) for turn in range(disturbed, rounds))]


def held(claimed: Figures, made: list[Visited]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    checked = check(claimed, figures(compiled(ONE), made), (), made)
    return checked.verdict, checked.reasons, checked.open


def test_slower_visits_that_were_all_disturbed_refuse_nothing() -> None:
    verdict, reasons, unsaid = held(claims(around(33)), loaded(8))
    assert (verdict, reasons) == ("not decided", ())
    assert "33 images/s claimed, 16.5 measured" in unsaid[0]


def test_a_claim_that_is_reached_in_spite_of_other_load_is_reached() -> None:
    assert held(claims(around(33)), loaded(8, fps=32.9))[0] == "confirmed"
    assert held(claims(around(16)), loaded(8, fps=33))[0] == "better"


def test_an_interval_that_other_load_made_wide_confirms_nothing() -> None:
    wide = claims(around(36, 0.5))
    assert held(wide, loaded(4, fps=20))[0] == "not decided"
    assert held(wide, loaded(0))[0] == "confirmed"


def test_enough_visits_without_other_load_decide_alone() -> None:
    made = loaded(2)
    assert held(claims(around(33)), made)[0] == "confirmed"
    assert held(claims(around(66)), made)[0] == "worse"
    assert held(claims(around(66)), loaded(3))[0] == "not decided"
    checked = check(claims(around(33)), figures(compiled(ONE), made), (), made)
    assert (checked.visits, checked.disturbed) == (6, 0)


def test_another_precision_is_another_one_under_any_load() -> None:
    verdict, reasons, _ = held(claims(around(33), executed="f32"), loaded(8))
    assert (verdict, reasons) == ("worse", ("it ran in int8, not in f32",))


def test_what_is_not_decided_has_an_exit_code_of_its_own_and_says_why() -> None:
    made = loaded(8)
    with pytest.raises(
        UndecidedError, match=r"not decided: 16 of 16 visits disturbed.*33 images/s"
    ) as caught:
        decide(check(claims(around(33)), figures(compiled(ONE), made), (), made))
    assert caught.value.exit_code == 10
    with pytest.raises(ClaimError):
        decide(check(claims(around(66)), figures(compiled(ONE), loaded(0)), (), loaded(0)))
    decide(check(claims(around(33)), figures(compiled(ONE), loaded(0)), (), loaded(0)))


def test_what_is_not_decided_is_shown_as_open_and_no_figure_has_a_verdict() -> None:
    made = loaded(8)
    checked = check(claims(around(33)), figures(compiled(ONE), made), (), made)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(*claim_view(checked, "cpu-int8-b1-s2", 9))
    text = console.export_text()
    assert "not decided: less than what is claimed" in text and "open: throughput 33" in text
    assert "worse" not in text and "not confirmed" not in text
