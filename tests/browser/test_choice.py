"""The page chooses as perftool does: the same limits give the same choice, for the same reasons."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journals import nine
from msgspec import structs
from tangled import OBJECTIVES, as_bounds, random_limits, served, tangled

from perftool.analysis.choose import choose
from perftool.analysis.result import Summary
from perftool.analysis.summary import summarize
from perftool.analysis.wishes import parse_bound
from perftool.spec import Limits, Objective
from perftool.sweep.profile import rewished
from perftool.sweep.store import read

Show = Callable[..., Any]
EXAMPLE = Path(__file__).parents[2] / "reports" / "example"

CHOOSE = """list => list.map(bounds => {
  const { foreseen } = perftool.content;
  const found = perftool.choose(foreseen, bounds);
  perftool.bounds = bounds;
  const id = row => row === null || row === undefined ? null : foreseen.ids[row];
  const nothing = found.chosen === null;
  return {
    id: id(found.chosen), leader: id(found.leader), runner_up: id(found.runnerUp),
    refused: [...found.refused.keys()].map(id),
    tied: nothing ? [] : found.tied.filter(row => row !== found.chosen).map(id).sort(),
    unconfirmed: nothing ? null : perftool.whyUnconfirmed(found),
    warnings: nothing ? [] : perftool.warningsOf(found),
    why: nothing ? "" : perftool.whyChosen(found),
    passing: found.passes.filter(Boolean).length,
  };
})"""


REASONS = """bounds => {
  const { foreseen } = perftool.content;
  perftool.bounds = bounds;
  const found = perftool.choose(foreseen, bounds);
  perftool.found = found;
  const { rows } = perftool.content;
  const reasons = rows.id.map((id, row) => [id, rows.baseline[row] ? "" : perftool.whyRow(row)]);
  return Object.fromEntries(reasons.filter(([, why]) => why !== ""));
}"""


def agree(page: Any, summary: Summary, objective: Objective, asked: list[Limits]) -> set[str | None]:
    """Ask the page and perftool for the same; return the choices."""
    told = page.evaluate(CHOOSE, [as_bounds(limits) for limits in asked])
    for limits, found in zip(asked, told, strict=True):
        expected = choose(summary, objective, limits)
        assert found["id"] == expected.id, limits
        assert found["leader"] == expected.leader, limits
        assert found["runner_up"] == expected.runner_up, limits
        assert sorted(found["refused"]) == sorted(one.id for one in expected.refused), limits
        assert found["tied"] == sorted(expected.tied), limits
        assert found["unconfirmed"] == expected.unconfirmed, limits
        warned = [text for text in expected.warnings if told_elsewhere(text) is None]
        assert found["warnings"] == warned, limits
        if expected.id is not None:
            # The page gives the figures beside the sentence, and who is undecided after it.
            assert expected.reason.startswith(found["why"].split(";")[0]), (found["why"], expected.reason)
            assert ("undecided" in found["why"]) == ("undecided" in expected.reason)
    return {found["id"] for found in told}


def told_elsewhere(warning: str) -> str | None:
    """Return where the page tells a warning that is not among a choice's own; None for those."""
    if warning.startswith("not confirmed: "):
        return "the badge"
    in_full = warning.startswith("the limit on") or " hint passes the limits and " in warning
    return "the recommendation in full" if in_full else None


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_the_page_chooses_as_perftool_does(show: Show, objective: Objective) -> None:
    refused = confirmed = 0
    chosen: set[str | None] = set()
    for seed in range(5):
        summary = tangled(seed, objective)
        own = Limits()
        page = show(summary, choose(summary, objective, own))
        asked = random_limits(summary, seed, 100, own)
        chosen |= agree(page, summary, objective, asked)
        found = [choose(summary, objective, limits) for limits in asked]
        refused += sum(bool(one.refused) for one in found)
        confirmed += sum(one.confirmation is not None and one.unconfirmed is None for one in found)
    assert len(chosen) > 10 and None in chosen
    if objective in ("throughput", "latency", "efficiency"):
        assert refused > 5 and confirmed > 5, "fresh rounds turned some down, and confirmed some"


def test_at_another_percentile_and_without_labels_too(show: Show) -> None:
    summary = tangled(7, "latency", labelled=False)
    own = Limits(percentile=90, latency_ms=500.0, accuracy_drop_pp=1.0)
    page = show(summary, choose(summary, "latency", own))
    agree(page, summary, "latency", random_limits(summary, 7, 100, own))


def test_of_the_rate_under_a_bound(show: Show) -> None:
    own = Limits(slo_ms=300.0)
    chosen: set[str | None] = set()
    for seed in range(3):
        summary = served(seed)
        page = show(summary, choose(summary, "rate", own))
        chosen |= agree(page, summary, "rate", random_limits(summary, seed, 100, own))
    assert len(chosen) > 5


def test_of_a_run_of_hundreds(show: Show) -> None:
    summary = tangled(11, count=200)
    page = show(summary, choose(summary, "throughput", Limits()))
    agree(page, summary, "throughput", random_limits(summary, 11, 150, Limits()))


def test_fresh_rounds_that_were_disturbed_decide_nothing_on_the_page_either(show: Show) -> None:
    summary = tangled(0)
    again = {
        id: structs.replace(
            one,
            disturbed=one.visits,
            series={
                name: structs.replace(each, disturbed=frozenset(each.throughput_fps))
                for name, each in one.series.items()
            },
        )
        for id, one in summary.again.items()
    }
    summary = structs.replace(summary, again=again)
    page = show(summary, choose(summary, "throughput", Limits()))
    asked = random_limits(summary, 0, 100, Limits())
    agree(page, summary, "throughput", asked)
    found = [choose(summary, "throughput", limits) for limits in asked]
    assert any((one.unconfirmed or "").startswith("disturbed: ") for one in found)
    assert not any(one.refused for one in found)


def test_the_example_run_too(show: Show) -> None:
    run = read(EXAMPLE)
    summary = summarize(run, name="example")
    profile = run.header.profile
    page = show(summary, choose(summary, profile.objective, profile.limits), run="example")
    chosen = agree(page, summary, profile.objective, random_limits(summary, 1, 300, profile.limits))
    assert len(chosen) > 3


def test_the_command_that_is_shown_chooses_what_the_page_chose(show: Show) -> None:
    run = nine()
    summary = summarize(run)
    profile = run.header.profile
    page = show(summary, choose(summary, profile.objective, profile.limits), run="my runs/it's one")
    asked = [
        {},
        {"latency_p50": 40},
        {"peak_rss": 300.5, "top1_drop": 1},
        {"top1_drop": -0.5, "throughput": 20},
    ]
    for bounds in asked:
        command, id = page.evaluate(
            "bounds => { perftool.setBounds(bounds); perftool.update();"
            " const row = perftool.chosenRow;"
            " return [document.getElementById('choice-command').textContent,"
            " row === null ? null : perftool.content.rows.id[row]]; }",
            bounds,
        )
        words = shlex.split(command)
        assert words[:3] == ["perftool", "recommend", "my runs/it's one"]
        assert set(words[3::2]) <= {"--limit"}
        again = rewished(profile, bounds=tuple(map(parse_bound, words[4::2])))
        assert as_bounds(again.limits) == bounds
        assert choose(summary, again.objective, again.limits).id == id


def test_a_race_s_drops_count_under_the_run_s_own_objective_alone(show: Show) -> None:
    summary = tangled(4, "throughput")
    other = structs.replace(summary, again={})
    page = show(other, choose(other, "efficiency", Limits()))
    agree(page, other, "efficiency", random_limits(other, 4, 100, Limits()))


def test_every_candidate_s_reason_begins_as_perftool_s_does(show: Show) -> None:
    for seed in range(3):
        summary = tangled(seed)
        page = show(summary, choose(summary, "throughput", Limits()))
        for limits in random_limits(summary, seed, 25, Limits()):
            expected = {one.id: one.reason for one in choose(summary, "throughput", limits).rejected}
            told = page.evaluate(REASONS, as_bounds(limits))
            assert told.keys() == expected.keys()
            for id, reason in told.items():
                assert heads(expected[id]) & heads(reason), (id, expected[id], reason)


def heads(reason: str) -> set[str]:
    """Return the clauses of a reason, without the ratios that the page does not have, and the status of what
    was not measured, which the page names first.
    """
    bare = re.sub(r"^(failed|skipped): ", "", reason)
    return {re.split(r" \(|: (?!\d+ of)", clause)[0] for clause in bare.split("; ")}
