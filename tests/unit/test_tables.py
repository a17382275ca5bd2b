"""Tables: whole against goldens, no line wider than the terminal, nothing cut, nothing obeyed.

After a wanted change write the goldens anew: `python -m pytest tests/unit/test_tables.py` names the file
that differs, and its text is what `shown` returns.
"""

import io
import re
from pathlib import Path

import msgspec
import pytest
from journals import BASELINES, EVALUATIONS, Journal, Measured, changed, forty, nine, three
from rich.cells import cell_len
from rich.console import Console

from perftool.analysis.metrics import LATENCY_SYNC, THROUGHPUT
from perftool.analysis.stability import recommend
from perftool.analysis.stats import Estimate
from perftool.analysis.summary import summarize
from perftool.journal import Run
from perftool.render.numbers import plain, with_interval
from perftool.render.tables import best_first, recommendation_view, run_view
from perftool.spec import Bound, Limits, Objective

GOLDENS = Path(__file__).parent / "goldens"


def shown(
    run: Run, objective: Objective = "throughput", limits: Limits | None = None, width: int = 100
) -> str:
    """Print a run's tables and all reasons as a terminal of a width without colours would show them."""
    summary = summarize(run, name="a-run")
    recommendation = recommend(summary, objective, limits or Limits())
    text = io.StringIO()
    console = Console(file=text, width=100, no_color=True, color_system=None)
    console.print(*run_view(summary, recommendation))
    console.print(*recommendation_view(summary, recommendation))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nine.txt", shown(nine())),
        ("nine_latency.txt", shown(nine(), "latency", Limits(latency_ms=100, memory_mb=500))),
        ("three_nothing_passes.txt", shown(three(), limits=Limits(latency_ms=30))),
    ],
)
def test_goldens(name: str, text: str) -> None:
    assert text == (GOLDENS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "objective", ["throughput", "latency", "efficiency", {"throughput": 1.0, "latency_p50": 0.5}]
)
@pytest.mark.parametrize("run", [three(), nine(), forty()], ids=["three", "nine", "forty"])
def test_a_hundred_columns_are_enough(run: Run, objective: Objective) -> None:
    text = shown(run, objective)
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    assert "…" not in text
    for configuration in summarize(run).configurations:
        assert configuration.id in text


def test_a_long_name_is_folded_not_cut() -> None:
    measured = (Measured(device="BATCH:CPU(4),A-VERY-LONG-DEVICE-NAME", sync=True), *BASELINES)
    text = shown(Journal(measured, EVALUATIONS).run())
    assert "…" not in text
    assert max(cell_len(line) for line in text.splitlines()) <= 100


def test_rows_are_sorted_by_the_objective_and_marked() -> None:
    lines = shown(nine()).splitlines()
    rows = [line for line in lines if line[3:7] == "cpu-" and "%" in line]
    assert rows[0].startswith(">* cpu-int8-b1-s2 ")
    assert [row[3:17] for row in rows[:3]] == ["cpu-int8-b1-s2", "cpu-int8-b4-s1", "cpu-int8-b1-s1"]
    assert [row.split()[0] for row in rows[-2:]] == ["cpu-baseline-throughput", "cpu-baseline-latency"]
    summary = summarize(nine())
    latency = best_first(summary.configurations, LATENCY_SYNC)
    assert latency[0].id == "cpu-int8-b1-s1" and latency[-1].latency_sync_ms is None
    assert best_first(summary.configurations, THROUGHPUT)[0].id == "cpu-int8-b1-s2"


def test_what_was_asked_is_told_whole_however_long_it_is() -> None:
    bounds = tuple(
        Bound(metric=name, way=way, value=100.5)
        for name, way in (("compile_rss", "<="), ("latency_sync_p95", "<="), ("efficiency", ">="))
    )
    weights: Objective = {"throughput": 1.0, "latency_p50": 0.5, "first_inference": 0.25}
    text = " ".join(shown(nine(), weights, Limits(latency_ms=90, bounds=bounds)).replace("│", " ").split())
    assert (
        "asked: throughput=1,latency_p50=0.5,first_inference=0.25, p50 <= 90 ms, drop <= 1 pp, "
        "compile_rss <= 100.5 MB, latency_sync_p95 <= 100.5 ms, efficiency >= 100.5 images/J"
    ) in text


def test_the_column_of_the_objective_and_what_would_change_the_choice_are_shown() -> None:
    weighted = shown(nine(), {"throughput": 1.0, "latency_p50": 0.5})
    assert "Pareto front: nothing is better in score, p50, drop and memory at once" in weighted
    assert "score: throughput=1,latency_p50=0.5, in times that of cpu-baseline-throughput" in weighted
    assert " 2.068 " in next(line for line in weighted.splitlines() if line.startswith(">* cpu-int8-b1-s1"))
    assert "with a weight of latency_p50 below " in weighted
    tail = shown(nine(), "latency", Limits(percentile=95))
    assert "alone p95" in tail and "recommendation: latency p95, drop <= 1 pp" in tail
    plain_run = shown(nine(), limits=Limits(accuracy_drop_pp=0.5))
    assert "relaxing top1_drop from 0.5 to 1 pp: cpu-int8-b1-s2 wins (1.9" in plain_run


def test_markup_and_control_characters_in_names_are_shown_not_obeyed() -> None:
    hostile = "[red]m[/red]\x1b[2J\nmodel"
    journal = Journal((Measured(),), name=hostile)
    failed = Measured(precision="INT8", rounds=0, failed="[/bold] \x1b]0;title\x07 [link=x]y")
    text = shown(journal.run()) + shown(Journal((Measured(), failed)).run())
    assert "\x1b" not in text and "\x07" not in text
    assert "[red]m[/red]" in text and "[/bold]" in text and "[link=x]y" in text


def test_what_is_not_as_asked_is_marked_and_explained() -> None:
    text = shown(Journal((Measured(precision="BF16", executed="f32"), Measured())).run())
    assert "f32 98% !" in text
    assert "! cpu-bf16-b1-s1: ran in f32, not bf16" in text


def test_few_visits_have_no_interval_and_an_interrupted_run_says_so() -> None:
    text = shown(Journal((changed(BASELINES[0], rounds=2), Measured(rounds=2)), finished=False).run())
    assert "2 of 6 rounds" in text and "interrupted" in text
    first = "unfinished: perftool sweep --resume RUN measures the rest"
    assert text.startswith(first) and text.count(first) == 2  # Before the tables, and before the choice.
    assert "! all: 2 of the 6 visits that an interval takes" in text
    line = next(line for line in text.splitlines() if "cpu-fp32-b1-s1" in line)
    assert "±" not in line


def test_unlabelled_images_show_agreement() -> None:
    unlabelled = tuple(msgspec.structs.replace(one, labels=()) for one in EVALUATIONS)
    text = shown(Journal((Measured(precision="INT8"),), unlabelled).run())
    assert "agrees" in text and "98.0" in text and "top-1" not in text
    assert "was not judged" in text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        ((33.04, 31.9, 34.5), "33.0 ±1.3"),
        ((8.412, 8.3, 8.54), "8.41 ±0.12"),
        ((850.2, 817, 883), "850 ±33"),
        ((1.0, None, None), "1.0"),
        ((0.0, 0.0, 0.0), "0.0"),
        ((-0.001, -1.0, 1.0), "0.0 ±1.0"),
        ((-0.5, -1.5, 0.5), "-0.5 ±1.0"),
        ((5.0, 4.9999, 5.0001), "5.00 ±0.00"),
    ],
)
def test_digits_follow_the_interval(estimate: tuple[float, float | None, float | None], text: str) -> None:
    point, low, high = estimate
    assert with_interval(Estimate(point=point, low=low, high=high), 1) == text


def test_plain_text_stays() -> None:
    assert plain("Straße 100 % ±") == "Straße 100 % ±"


def test_a_percentile_without_an_upper_end_is_marked_as_one_that_may_be_more() -> None:
    """Visits differ by far more than requests inside them."""
    shaky = Measured(precision="INT8", fps=30.0, completions=40, factors=(1.0, 0.5, 1.0, 0.8, 1.0, 0.6))
    text = shown(Journal((shaky, *BASELINES), EVALUATIONS).run(), limits=Limits(accuracy_drop_pp=None))
    row = next(line for line in text.splitlines() if line.startswith(">* cpu-int8-b1-s1"))
    assert re.search(r" \d\d\.\d\+ ", row)
    assert "+ after a percentile: it may be more" in text
    assert "+ after a percentile" not in shown(Journal((Measured(completions=10),)).run())


def test_a_run_that_measured_nothing_yet_leaves_no_sentence_half_said() -> None:
    text = shown(Journal((Measured(rounds=0),), finished=False).run())
    assert "no visit yet" in text
    assert "of 0 visits" not in text and "nothing is better in" not in text
    assert text.startswith("unfinished: ")


def test_a_finished_run_is_not_called_unfinished() -> None:
    assert "unfinished" not in shown(nine())
