"""What the page tells is what a reader needs: whose point, how sure, what would change the choice."""

from typing import Any

import pytest
from journals import BASELINES, EVALUATIONS, NINE, Journal, Measured, changed, nine
from msgspec import structs
from opening import Show, chosen, opened, row_of, settled
from profiled import profiled

from perftool.analysis.leader import ratio_of
from perftool.analysis.metrics import THROUGHPUT
from perftool.analysis.result import Again, Dropped, Summary
from perftool.analysis.stability import recommend
from perftool.analysis.summary import summarize
from perftool.spec import Bound, Limits

POINTS = """id => document.getElementById(id).data.filter(one => one.customdata).flatMap(one =>
  one.customdata.map((row, at) => [perftool.content.rows.id[row], {
    symbol: [].concat(one.marker.symbol)[Math.min(at, [].concat(one.marker.symbol).length - 1)],
    colour: one.marker.color, opacity: one.opacity ?? 1, text: one.text[at],
    frame: one.marker.line.color }]))"""
RACED = "after 2 rounds: 0.50x; drop 0.5 pp > 0.2 pp"
NAMES = "id => document.getElementById(id).data.map(one => one.name)"


def points(page: Any, id: str) -> dict[str, dict[str, Any]]:
    return dict(page.evaluate(POINTS, id))


def raced() -> Summary:
    """Return nine, of which the BF16s were dropped; they miss a limit of 0.2 pp on the drop too."""
    summary = summarize(nine())
    return structs.replace(
        summary,
        configurations=tuple(
            structs.replace(one, dropped=Dropped(by="cpu-int8-b1-s2", reason=RACED))
            if one.precision == "BF16"
            else one
            for one in summary.configurations
        ),
    )


def two_devices() -> Summary:
    """Return nine on a CPU and on a faster GPU, with profiles and rooflines of both."""
    more = tuple(changed(one, device="GPU", fps=1.5 * one.fps) for one in NINE)
    summary = profiled(summarize(Journal((*NINE, *more), EVALUATIONS).run()))
    best = next(one for one in summary.configurations if one.id == "gpu-int8-b1-s2")
    (profile,), (roof,) = summary.layers, summary.rooflines
    return structs.replace(
        summary,
        layers=(profile, structs.replace(profile, id=best.id, device="GPU")),
        rooflines=(roof, structs.replace(roof, device="GPU")),
    )


# ---------------------------------------------------------------- the charts


def test_every_configuration_has_the_sign_of_its_precision_under_the_roofline_too(show: Show) -> None:
    page = opened(show, profiled(summarize(nine())))
    for chart in ("roofline-chart", "tradeoff-chart", "accuracy-chart"):
        found = points(page, chart)
        assert found["cpu-int8-b1-s1"]["symbol"] == "square", chart
        assert found["cpu-fp32-b1-s1"]["symbol"] == "circle", chart
        assert found["cpu-bf16-b1-s1"]["colour"] != found["cpu-int8-b1-s1"]["colour"], chart
    assert {"FP32", "FP16", "BF16", "INT8"} <= set(page.evaluate(NAMES, "roofline-chart"))


def test_hollow_is_dropped_in_every_chart_and_pale_is_what_does_not_pass(show: Show) -> None:
    page = opened(show, profiled(raced()), Limits(accuracy_drop_pp=0.2))
    for chart in ("roofline-chart", "tradeoff-chart", "accuracy-chart"):
        found = points(page, chart)
        hollow = {id for id, one in found.items() if "-open" in one["symbol"]}
        assert hollow == {id for id in found if "bf16" in id}, chart
        assert min(one["opacity"] for one in found.values()) >= 0.5, "pale is still seen"
    assert points(page, "tradeoff-chart")["cpu-bf16-b1-s1"]["opacity"] < 1
    assert points(page, "tradeoff-chart")["cpu-fp32-b1-s1"]["opacity"] == 1


def test_a_baseline_that_misses_a_limit_is_shown_so(show: Show) -> None:
    page = opened(show, summarize(nine()), Limits(accuracy_drop_pp=0.2, memory_mb=500))
    found = points(page, "tradeoff-chart")
    assert found["cpu-baseline-latency"]["opacity"] < 1
    assert "drop 0.5 pp > 0.2 pp" in row_of(page, "cpu-baseline-latency").inner_text()
    assert "memory 520 MB > 500 MB" in row_of(page, "cpu-baseline-throughput").inner_text()
    page.select_option("#table-state", "passing")
    assert "baseline" not in page.inner_text("#table-body")
    page.click("#limits-none")
    settled(page)
    assert "cpu-baseline-latency" in page.inner_text("#table-body")


def test_points_under_one_another_name_one_another(show: Show) -> None:
    page = opened(show, summarize(nine()))
    assert "also here: cpu-fp16-b1-s1" in points(page, "tradeoff-chart")["cpu-fp32-b1-s1"]["text"]


def test_the_choice_the_baselines_and_the_front_have_names(show: Show) -> None:
    page = opened(show, summarize(nine()))
    labels = page.evaluate(
        "document.getElementById('tradeoff-chart').data.find(one => one.name === 'labels').text"
    )
    assert {"INT8 b1 s2", "LATENCY hint", "THROUGHPUT hint", "INT8 b1 s1"} <= {
        part for label in labels for part in label.split(", ")
    }


def test_the_front_of_what_passes_moves_with_the_limits(show: Show) -> None:
    page = opened(show, summarize(nine()))
    line = "document.getElementById('tradeoff-chart').data[1]"
    ids = "perftool.frontNow(perftool.found).map(row => perftool.content.rows.id[row])"
    assert page.evaluate(ids) == ["cpu-int8-b1-s2", "cpu-int8-b1-s1"]
    page.fill("#limit-number-top1_drop", "0.6")
    chosen(page)
    found = page.evaluate(ids)
    assert found[0] == "cpu-bf16-b1-s2" and not any("int8" in id for id in found)
    assert page.evaluate(f"[{line}.name, {line}.x.length]") == ["front of what passes", len(found)]


def test_the_colours_of_the_heat_map_begin_at_zero(show: Show) -> None:
    page = opened(show, summarize(nine()))
    axis = page.evaluate(
        "(({ cmin, cmax }) => [cmin, cmax])(document.getElementById('heat-chart')._fullLayout.coloraxis)"
    )
    assert axis[0] == 0 and axis[1] == pytest.approx(32.3, rel=0.05)


def test_two_devices_are_told_apart_and_what_is_shown_is_the_choice_s(show: Show) -> None:
    page = opened(show, two_devices(), Limits(accuracy_drop_pp=None))
    assert chosen(page) == "gpu-int8-b1-s2"
    assert page.locator("#layers-profile option:checked").inner_text() == "gpu-int8-b1-s2 on GPU"
    assert page.locator("#roofline-device option:checked").inner_text() == "GPU"
    assert "choice" in page.evaluate(NAMES, "roofline-chart"), "its ring"
    for chart in ("tradeoff-chart", "distributions-chart"):
        names = [name for name in page.evaluate(NAMES, chart) if name.startswith(("INT8", "LATENCY"))]
        assert names and all(" on GPU" in name or " on CPU" in name for name in names), chart
    found = points(page, "tradeoff-chart")
    assert found["cpu-int8-b1-s1"]["frame"] != found["gpu-int8-b1-s1"]["frame"]
    page.select_option("#roofline-device", "0")
    page.fill("#limit-number-peak_rss", "230")
    assert chosen(page) == "gpu-int8-b1-s1"
    assert page.input_value("#roofline-device") == "0", "what the reader took stays"


def test_rates_have_no_exponent(show: Show) -> None:
    summary = profiled(summarize(nine()))
    (roof,) = summary.rooflines
    high = structs.replace(
        roof.ceilings[0], gflops=structs.replace(roof.ceilings[0].gflops, point=1959.6, high=2030.0)
    )
    page = opened(
        show,
        structs.replace(summary, rooflines=(structs.replace(roof, ceilings=(high, *roof.ceilings[1:])),)),
    )
    (name,) = [name for name in page.evaluate(NAMES, "roofline-chart") if name.startswith("int8")]
    assert name == "int8: 1960 (matmul)"
    assert "10^9 operations per second" in page.text_content("#roofline-chart")


# ---------------------------------------------------------------- the card


def test_the_card_says_what_a_faster_baseline_misses_and_what_would_change_the_choice(show: Show) -> None:
    limits = Limits(accuracy_drop_pp=0.2)
    summary = summarize(nine())
    page = opened(show, summary, limits)
    first = page.locator("#choice-gains li").first.inner_text()
    assert "as fast as FP32 under the LATENCY hint" in first
    assert first.endswith("but that misses a limit: drop 0.5 pp > 0.2 pp")
    own = recommend(summary, "throughput", limits)
    switch = next(one for one in own.stability if one.change == "relax")
    ratio, _ = ratio_of(summary, THROUGHPUT, switch.id, own.id or "")
    assert ratio is not None and ratio.low is not None
    told = page.inner_text("#choice-relaxing")
    assert (
        told.startswith("Relaxing top1_drop from 0.2") and f"{ratio.point:.2f}x ({ratio.low:.2f}x to" in told
    )
    page.fill("#limit-number-top1_drop", "0.3")
    settled(page)
    assert page.inner_text("#choice-relaxing") == "", "it holds for the run's own limits"


def test_a_tie_is_called_a_tie_where_the_leader_is_chosen_too(show: Show) -> None:
    fast = Measured(precision="INT8", fps=33.0, factors=(1.0,))
    equal = changed(fast, batch=4, fps=32.9)
    page = opened(show, summarize(Journal((*BASELINES, fast, equal), EVALUATIONS).run()))
    assert chosen(page) == "cpu-int8-b1-s1"
    assert "tied within 2% with cpu-int8-b4-s1" in page.inner_text("#choice-why")
    rival = page.locator("#choice-gains li").last.inner_text()
    assert "1.00x (" in rival and "the runner-up, cpu-int8-b4-s1 (tied)" in rival


def test_the_fresh_rounds_figures_and_the_runner_up_there_are_on_the_card(show: Show) -> None:
    summary = summarize(nine())
    everything = (*summary.configurations, *summary.baselines)
    again = Again(visits=66, disturbed=0, results={one.id: one for one in everything}, series=summary.series)
    page = opened(show, structs.replace(summary, again={"cpu-int8-b1-s2": again}))
    assert page.inner_text("#choice-fresh").startswith("There: throughput 3")
    assert "p50" in page.inner_text("#choice-fresh")
    rival = page.locator("#choice-gains li").last.inner_text()
    assert "the runner-up, cpu-int8-b4-s1, in the fresh rounds" in rival and "(1." in rival


def test_whatever_is_limited_has_a_tile_with_its_interval(show: Show) -> None:
    page = opened(
        show,
        summarize(nine()),
        Limits(percentile=90, latency_ms=90.0, bounds=(Bound(metric="compile_rss", way="<=", value=900),)),
    )
    tiles = page.locator(".tile").all_inner_texts()
    (tail,) = [text for text in tiles if text.startswith("p90")]
    assert " to " in tail
    assert any(text.startswith("memory while compiling") for text in tiles)
    page.select_option("#limit-more", "latency_p95")
    page.click("#limit-add")
    settled(page)
    assert any(text.startswith("p95") for text in page.locator(".tile").all_inner_texts())


def test_a_doubt_comes_with_what_would_settle_it(show: Show) -> None:
    page = opened(show, summarize(nine()), Limits(accuracy_drop_pp=1.3))
    assert "200 so far" in page.inner_text("#choice-notes")


def test_what_has_no_interval_does_not_look_exact(show: Show) -> None:
    once = (*BASELINES, *(Measured(precision="INT8", streams=s, fps=30 + s, rounds=1) for s in (1, 2)))
    page = opened(show, summarize(Journal(once, EVALUATIONS).run()))
    assert "no interval: 1 visit" in page.inner_text("#choice-figures")
    assert "32.0 ±?" in row_of(page, "cpu-int8-b1-s2").inner_text()
    assert "(no interval)" in page.inner_text("#choice-gains")
    page.check("#table-all")
    assert {"visits", "samples"} <= set(page.locator("#table-head th").all_inner_texts())


def test_one_end_of_an_interval_is_told_as_one(show: Show) -> None:
    page = opened(show, summarize(nine()))
    written = page.evaluate(
        "perftool.content.rows.figures.throughput.high[0] = null; perftool.figure('throughput', 0)"
    )
    assert written.endswith(" to ?)")


def test_the_reference_has_no_drop_to_estimate(show: Show) -> None:
    page = opened(show, summarize(nine()))
    assert "reference" in row_of(page, "cpu-fp32-b1-s1").inner_text()
    assert "reference" in page.inner_text("#accuracy tbody tr:first-child")


def test_what_was_dropped_and_misses_a_limit_tells_both(show: Show) -> None:
    page = opened(show, raced(), Limits(accuracy_drop_pp=0.2))
    told = row_of(page, "cpu-bf16-b1-s1").inner_text()
    assert told.endswith("after 2 rounds: 0.50x; drop 0.5 pp > 0.2 pp"), "and each once"
    page.fill("#limit-number-top1_drop", "0.3")
    settled(page)
    told = row_of(page, "cpu-bf16-b1-s1").inner_text()
    assert told.endswith("after 2 rounds: 0.50x; drop 0.5 pp > 0.3 pp"), "as the limit is now"


def test_accuracy_that_was_not_measured_is_told_on_the_card(show: Show) -> None:
    page = opened(show, summarize(Journal(NINE).run()))
    assert chosen(page) == "Nothing passes these limits"
    assert "Accuracy was not measured." in page.inner_text("#choice-why")


# ---------------------------------------------------------------- one configuration in full


def test_a_line_a_warning_and_a_point_open_their_configuration(show: Show) -> None:
    summary = summarize(nine())
    warned = structs.replace(summary.configurations[0], warnings=("it shook",))
    page = opened(show, structs.replace(summary, configurations=(warned, *summary.configurations[1:])))
    button = row_of(page, "cpu-int8-b1-s1").locator("th button")
    button.focus()
    page.keyboard.press("Enter")
    assert page.inner_text("#details-id") == "cpu-int8-b1-s1"
    assert "beaten by cpu-int8-b1-s2" in page.inner_text("#details-why")
    assert "NUM_STREAMS" in page.inner_text("#details-compile")
    figures = page.inner_text("#details-figures")
    assert "images/s (" in figures and "visits\n6" in figures and "samples of latency" in figures
    page.keyboard.press("Escape")
    assert not page.is_visible("#details")
    page.get_by_role("button", name="warnings of").focus()
    page.keyboard.press("Enter")
    assert "it shook" in page.inner_text("#details-warnings")
    page.click("#details-close")
    page.locator("#tradeoff-chart").scroll_into_view_if_needed()
    x, y = page.evaluate(
        "() => { const chart = document.getElementById('tradeoff-chart'); const row = perftool.chosenRow;"
        " const { xaxis, yaxis } = chart._fullLayout; const box = chart.getBoundingClientRect();"
        " const { figures } = perftool.content.rows;"
        " return [box.left + xaxis._offset + xaxis.d2p(figures.latency_p50.point[row]),"
        " box.top + yaxis._offset + yaxis.d2p(figures.throughput.point[row])]; }"
    )
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)
    assert page.inner_text("#details-id") == "cpu-int8-b1-s2"
    assert page.inner_text("#details-why") == "The choice."
