"""What a reader does with the page: moves sliders, sorts, filters; by mouse, by keyboard, on a phone."""

import json
from typing import Any

import pytest
from journals import BASELINES, EVALUATIONS, Journal, Measured, changed, forty, nine, three
from msgspec import structs
from opening import Show, chosen, opened
from profiled import profiled
from tangled import tangled

from perftool.analysis import foresee
from perftool.analysis.choose import choose
from perftool.analysis.metrics import THROUGHPUT
from perftool.analysis.result import Again, ConfigurationResult
from perftool.analysis.summary import summarize
from perftool.render.numbers import figure
from perftool.render.page import content
from perftool.spec import Limits

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>%{x}$a$`\"'&lt;b&gt;\u2028"


# ---------------------------------------------------------------- choosing again


def test_it_opens_with_the_run_s_own_choice_and_its_reason(show: Show) -> None:
    summary = summarize(nine())
    page = opened(show, summary)
    assert chosen(page) == "cpu-int8-b1-s2"
    assert "INT8 on CPU, batch 1, 2 streams, 2 requests in flight" in page.inner_text("#choice-what")
    assert page.inner_text("#choice-why").startswith("highest throughput of the 9 that pass")
    assert "FP32 under the THROUGHPUT hint, which executed in bf16" in page.inner_text("#choice-gains")
    assert "NUM_STREAMS" in page.inner_text("#choice-compile")
    assert page.input_value("#limit-number-top1_drop") == "1"


def test_a_slider_moves_the_choice_the_mark_and_the_command(show: Show) -> None:
    page = opened(show, summarize(nine()))
    before = page.evaluate("perftool.chosenRow")
    page.evaluate(
        "const slider = document.getElementById('limit-slider-peak_rss'); slider.value = 0;"
        "slider.dispatchEvent(new Event('input', { bubbles: true }))"
    )
    assert chosen(page) == "cpu-int8-b1-s1", "the only one in 225 MB"
    assert page.is_checked("#limit-on-peak_rss")
    assert page.input_value("#limit-number-peak_rss") == "225"
    assert page.inner_text("#choice-command") == "perftool recommend a-run --limit 'peak_rss <= 225'"
    row = page.evaluate("perftool.chosenRow")
    assert row != before
    ring = page.evaluate(
        "document.getElementById('tradeoff-chart').data.find(trace => trace.name === 'choice').y[0]"
    )
    assert ring == page.evaluate(f"perftool.content.rows.figures.throughput.point[{row}]")
    assert page.inner_text("#table-body tr.chosen th") == "cpu-int8-b1-s1"


def test_a_number_is_a_limit_too_and_nonsense_is_refused_in_words(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.fill("#limit-number-latency_p50", "50.5")
    assert chosen(page) == "cpu-int8-b1-s1"
    page.fill("#limit-number-latency_p50", "-3")
    assert "a number above zero" in page.inner_text("#limit-rows")
    assert chosen(page) == "cpu-int8-b1-s1"
    page.uncheck("#limit-on-latency_p50")
    assert chosen(page) == "cpu-int8-b1-s2"
    assert page.inner_text("#choice-command") == "perftool recommend a-run"


def test_by_keyboard_a_slider_goes_from_figure_to_figure(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.focus("#limit-slider-peak_rss")
    seen = []
    for _ in range(7):
        page.keyboard.press("ArrowLeft")
        chosen(page)
        seen.append(page.input_value("#limit-number-peak_rss"))
    assert seen == ["520", "480", "430", "330", "260", "225", "225"]
    page.keyboard.press("ArrowRight")
    assert chosen(page) == "cpu-int8-b1-s2"


def test_where_nothing_passes_it_says_what_comes_nearest(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.fill("#limit-number-peak_rss", "200")
    assert chosen(page) == "Nothing passes these limits"
    assert "Nearest: cpu-int8-b1-s1, memory 225 MB > 200 MB." in page.inner_text("#choice-notes")
    page.click("#limits-own")
    assert chosen(page) == "cpu-int8-b1-s2"


def test_any_other_metric_can_be_limited(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.select_option("#limit-more", "throughput")
    page.click("#limit-add")
    page.fill("#limit-number-throughput", "31")
    assert chosen(page) == "cpu-int8-b1-s2"
    assert "--limit 'throughput >= 31'" in page.inner_text("#choice-command")
    page.click("#limits-none")
    chosen(page)
    assert "--limit 'top1_drop <= inf'" in page.inner_text("#choice-command")


def test_a_choice_whose_interval_crosses_a_limit_is_uncertain(show: Show) -> None:
    summary = summarize(nine())
    one = next(one for one in summary.configurations if one.id == "cpu-int8-b1-s2")
    assert one.latency_intervals_ms is not None and one.latency_intervals_ms.p50 is not None
    estimate = one.latency_intervals_ms.p50
    assert estimate.high is not None
    page = opened(show, summary)
    page.fill("#limit-number-latency_p50", str((estimate.point + estimate.high) / 2))
    assert chosen(page) == one.id
    assert "Uncertain: its interval crosses the limit, p50 <=" in page.inner_text("#choice-notes")


def test_a_confirmed_choice_comes_with_its_caveats_and_with_what_is_not_known(show: Show) -> None:
    first, second = BASELINES
    measured = (
        changed(first, rounds=0, failed="killed"),
        second,
        Measured(),
        Measured(precision="INT8", fps=30),
    )
    summary = summarize(Journal(measured, EVALUATIONS).run())
    best = "cpu-int8-b1-s1"
    again = Again(
        visits=24,
        disturbed=5,
        results={one.id: one for one in (*summary.configurations, *summary.baselines)},
        series=summary.series,
    )
    page = opened(show, structs.replace(summary, again={best: again}))
    assert chosen(page) == best
    assert "confirmed in 6 fresh rounds" in page.inner_text("#choice-confirmed")
    notes = page.inner_text("#choice-notes")
    assert f"No gain over FP32 under the {first.hint} hint: compile failed: killed." in notes
    assert "5 of 24 visits in the fresh rounds were disturbed." in notes


# ---------------------------------------------------------------- the table


def ids(page: Any) -> list[str]:
    return [cell.strip() for cell in page.locator("#table-body th").all_inner_texts()]


def test_the_table_sorts_by_any_column_both_ways(show: Show) -> None:
    summary = summarize(nine())
    page = opened(show, summary)
    button = page.locator("#table-head button", has_text="throughput")
    button.click()
    best = sorted(
        (*summary.configurations, *summary.baselines),
        key=lambda one: -(one.throughput_fps or 0).point,  # type: ignore[union-attr]
    )
    assert ids(page)[:5] == [one.id for one in best][:5]
    assert page.locator("#table-head th[aria-sort=descending]").count() == 1
    button = page.locator("#table-head button", has_text="throughput")
    button.press("Enter")
    assert ids(page)[-1] == best[0].id
    assert page.evaluate("document.activeElement.dataset.key") == "throughput"


def test_the_table_is_filtered_by_name_precision_and_state(show: Show) -> None:
    page = opened(show, summarize(three()))
    page.fill("#table-search", "INT8 s2")
    assert ids(page) == ["cpu-int8-b1-s2"]
    page.fill("#table-search", "")
    page.select_option("#table-state", "unmeasured")
    assert ids(page) == ["cpu-bf16-b1-s1", "cpu-bf16-b1-s8"]
    assert "the child was killed" in page.inner_text("#table-body")
    assert "the child was killed" in page.inner_text("#unmeasured")
    page.select_option("#table-state", "all")
    page.select_option("#table-precision", "FP32")
    assert ids(page) == ["cpu-fp32-b1-s1"]


def test_the_table_says_why_each_is_not_chosen_under_the_limits_now(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.fill("#limit-number-latency_p50", "40")
    chosen(page)
    row = page.locator("#table-body tr", has=page.get_by_role("rowheader", name="cpu-int8-b1-s2", exact=True))
    assert "ms > 40 ms" in row.inner_text()
    page.fill("#limit-number-latency_p50", "62")
    chosen(page)
    row = page.locator("#table-body tr", has=page.get_by_role("rowheader", name="cpu-bf16-b1-s1", exact=True))
    assert "beaten by cpu-int8-b1-s2" in row.inner_text()


def test_long_tables_come_in_pages(show: Show) -> None:
    page = opened(show, tangled(1, count=100))
    assert page.inner_text("#table-count") == "1 to 50 of 102"
    page.click("#table-on")
    page.click("#table-on")
    assert page.inner_text("#table-count") == "101 to 102 of 102"
    assert page.is_disabled("#table-on")


# ---------------------------------------------------------------- charts


def test_every_chart_that_has_something_to_show_is_there(show: Show) -> None:
    page = opened(show, profiled(summarize(forty())))
    for id in ("tradeoff", "heat", "distributions", "accuracy", "layers", "roofline"):
        assert page.locator(f"#{id}-chart .main-svg").count() > 0, id
        assert page.is_visible(f"#{id}")
    assert page.evaluate("document.getElementById('heat-chart').data.length") == 4
    told = page.inner_text("#layers-told")
    assert "without counters" in told and "layers added up" in told and "Warning" not in told


def test_a_layer_profile_made_beside_other_work_says_so(show: Show) -> None:
    summary = profiled(summarize(forty()))
    busy = structs.replace(summary.layers[0], disturbed=True)
    page = opened(show, structs.replace(summary, layers=(busy,)))
    assert "Warning: other programs" in page.inner_text("#layers-told")


def test_layers_lie_under_the_device_s_ceilings_by_what_all_requests_reach(show: Show) -> None:
    found = profiled(summarize(forty()))
    (first,) = found.layers
    more = structs.replace(first, id="another", layers=first.layers[:1])
    page = opened(show, structs.replace(found, layers=(first, more)))
    traces = page.evaluate(
        "document.getElementById('roofline-chart').data.map(({ name, y }) => ({ name, y: Array.from(y) }))"
    )
    rates = [row.device_gflops for row in first.layers if row.device_gflops]
    assert [one["y"] for one in traces if one["name"].startswith("layers of ")] == [rates], (
        "one profile's, all of them, and no other's"
    )


TRACES = (
    "id => document.getElementById(id).data.map(({ name, error_x, error_y }) => ({ name, error_x, error_y }))"
)


def test_the_profile_charts_have_intervals_as_the_pictures_have(show: Show) -> None:
    summary = profiled(summarize(forty()))
    page = opened(show, summary)
    (bars,) = page.evaluate(TRACES, "layers-chart")
    longest = max(row.time_us.point for row in summary.layers[0].layers)
    assert bars["error_x"]["array"][-1] == pytest.approx(0.05 * longest / 1000)
    assert page.inner_text("#layers-more").startswith("Lines are 95 % intervals.")
    points = [one for one in page.evaluate(TRACES, "roofline-chart") if one["error_y"]]
    bars = sorted(bar for one in points for bar in one["error_y"]["array"])
    rates = [one.gflops for one in summary.placed]
    assert bars == pytest.approx(sorted(one.high - one.point for one in rates))  # type: ignore[operator]
    bands = page.evaluate(
        "document.getElementById('roofline-chart').layout.shapes.map(({ y0, y1 }) => [y0, y1])"
    )
    assert bands == [[one.gflops.low, one.gflops.high] for one in summary.rooflines[0].ceilings]
    page.select_option("#layers-by", "by_type")
    (bars,) = page.evaluate(TRACES, "layers-chart")
    longest = max(group.time_us.point for group in summary.layers[0].by_type)
    assert bars["error_x"]["array"][-1] == pytest.approx(0.05 * longest / 1000)


def test_what_the_profile_charts_leave_out_is_counted(show: Show) -> None:
    summary = profiled(summarize(forty()))
    (profile,) = summary.layers
    blocks = tuple(structs.replace(profile.by_block[0], name=f"block {at}") for at in range(33))
    page = opened(show, structs.replace(summary, layers=(structs.replace(profile, by_block=blocks),)))
    assert page.inner_text("#layers-more").endswith("And 30 more, which are shorter; the table has all.")
    page.select_option("#layers-by", "by_block")
    assert page.inner_text("#layers-more").endswith("And 3 more, which are shorter.")
    told = page.locator("#roofline-words li").count()
    assert f"And {len(summary.placed) - told} more configurations" in page.inner_text("#roofline-more")


def test_a_roofline_says_that_its_lines_may_be_too_low(show: Show) -> None:
    summary = profiled(summarize(nine()))
    page = opened(show, summary)
    assert "the line is too low" in " ".join(page.inner_text("#roofline .note").split())
    assert "disturbed" not in page.inner_text("#roofline-told")
    (roof,) = summary.rooflines
    page = opened(show, structs.replace(summary, rooflines=(structs.replace(roof, disturbed=True),)))
    assert page.inner_text("#roofline-told").endswith(", disturbed: maybe too low.")


def test_the_trade_off_says_whose_bars_and_who_else_are_missing(show: Show) -> None:
    page = opened(show, summarize(nine()))
    assert page.inner_text("#tradeoff-drawn") == (
        "Bars are 95 % intervals over visits. On one another: cpu-fp32-b1-s1 and cpu-fp16-b1-s1."
    )
    measured = (
        *BASELINES,
        Measured(),
        Measured(streams=2),
        Measured(precision="INT8", fps=30, completions=1),
    )
    page = opened(show, summarize(Journal(measured, EVALUATIONS).run()))
    assert page.inner_text("#tradeoff-drawn").endswith("Not drawn, without a measurable p50: cpu-int8-b1-s1.")
    page.evaluate("perftool.MOST_BARS = 1; perftool.drawCharts()")
    assert "left out where a precision has more points than 1: FP32" in page.inner_text("#tradeoff-drawn")
    bars = [one for one in page.evaluate(TRACES, "tradeoff-chart") if one["name"] == "FP32"]
    assert bars
    assert all(not one.get("error_x") for one in bars)


def test_what_there_is_nothing_of_is_not_shown(show: Show) -> None:
    page = opened(show, summarize(Journal((Measured(rounds=0, failed="killed"),)).run()))
    for id in ("tradeoff", "heat", "distributions", "layers", "roofline"):
        assert not page.is_visible(f"#{id}")
    assert chosen(page) == "Nothing was measured: 1 failed"
    assert page.get_attribute("#choice-reasons a", "href") == "#unmeasured"
    assert "killed" in page.inner_text("#unmeasured")
    assert not page.is_visible("#limits"), "no limit could change anything"
    assert page.inner_text("#table-body td.wide") == "compile failed: killed", (
        "and it says once that it failed"
    )


def test_hostile_names_are_text_and_nothing_else(show: Show) -> None:
    def renamed(one: ConfigurationResult) -> ConfigurationResult:
        return structs.replace(
            one,
            id=one.id + HOSTILE,
            device="CPU" + HOSTILE,
            warnings=(HOSTILE,),
            properties={HOSTILE: HOSTILE},
        )

    measured = (
        *BASELINES,
        Measured(),
        Measured(precision="INT8", fps=30),
        Measured(precision="BF16", rounds=0, failed=HOSTILE),
    )
    plain = summarize(Journal(measured, EVALUATIONS, name=HOSTILE).run())
    summary = structs.replace(
        plain,
        run=structs.replace(plain.run, model=HOSTILE, warnings=(HOSTILE,), accuracy_of=HOSTILE),
        host=structs.replace(plain.host, cpu=HOSTILE, isa=(HOSTILE,)),
        configurations=tuple(map(renamed, plain.configurations)),
        baselines=tuple(map(renamed, plain.baselines)),
        series={id + HOSTILE: found for id, found in plain.series.items()},
    )
    page = opened(show, profiled(summary, HOSTILE), run=HOSTILE)
    assert "<script>alert(2)</script>" in chosen(page)
    assert page.locator("main img, main script, svg a, svg image[href^=http]").count() == 0
    assert "&lt;b&gt;" in page.text_content("#layers-chart"), "the end of a name, as it is written"
    page.evaluate("perftool.setBounds({ peak_rss: 1 })")
    chosen(page)


# ---------------------------------------------------------------- themes, phones, printing


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_reader_s_until_it_is_switched(show: Show, scheme: str) -> None:
    page = opened(show, summarize(nine()), color_scheme=scheme)
    paper = "getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(paper)
    assert (first == "rgb(255, 255, 255)") == (scheme == "light")
    page.click("#theme")
    assert page.evaluate(paper) != first
    ink = page.evaluate("getComputedStyle(document.querySelector('#tradeoff-chart .xtitle')).fill")
    assert ink == page.evaluate("getComputedStyle(document.body).color")


def test_on_a_phone_nothing_is_wider_than_the_screen(show: Show) -> None:
    page = opened(show, profiled(summarize(forty())), viewport={"width": 390, "height": 844}, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_everything_can_be_reached_by_keyboard(show: Show) -> None:
    page = opened(show, summarize(nine()))
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.dataset.key || ''"))
    wanted = {"theme", "limit-slider-latency_p50", "limit-number-peak_rss", "limit-more", "limits-own"}
    assert wanted | {"table-search", "table-state", "throughput", "why"} <= reached


def test_it_prints_in_ink_on_paper(show: Show) -> None:
    page = opened(show, summarize(nine()), color_scheme="dark")
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert not page.is_visible("nav") and page.is_visible("#choice-id")


def test_a_printed_table_says_where_it_ends(show: Show) -> None:
    page = opened(show, tangled(1, count=100))
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(ids(page)) == 102 and not page.is_visible("#table-printed")
    page.evaluate("perftool.ROWS_PRINTED = 20; dispatchEvent(new Event('beforeprint'))")
    assert len(ids(page)) == 20
    assert page.inner_text("#table-printed") == "20 of 102; results.json has all"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(ids(page)) == 50 and not page.is_visible("#table-printed")


def test_without_scripts_the_recommendation_is_still_there(show: Show) -> None:
    summary = summarize(nine())
    page = opened(show, summary, java_script_enabled=False)
    assert page.text_content("#choice-id") == "cpu-int8-b1-s2"
    assert "highest throughput of the 9 that pass" in page.text_content("#choice-full")


def test_figures_are_written_as_in_the_tables(show: Show) -> None:
    summary = summarize(nine())
    page = opened(show, summary)
    told = json.loads(
        page.evaluate(
            "JSON.stringify(perftool.content.rows.id.map((_, row) => perftool.figure('throughput', row)))"
        )
    )
    assert told == [figure(THROUGHPUT, one) for one in (*summary.configurations, *summary.baselines)]


def test_one_that_is_undecided_is_told_so(show: Show) -> None:
    fast = Measured(precision="INT8", streams=2, fps=33.0, factors=(1.0,))
    wobbly = changed(fast, streams=1, fps=32, factors=(1.1, 0.9, 1.05, 0.93, 1.0, 0.96))
    page = opened(show, summarize(Journal((fast, wobbly)).run()), Limits(accuracy_drop_pp=None))
    assert "undecided against cpu-int8-b1-s1, so the better point estimate wins" in page.inner_text(
        "#choice-why"
    )


# ---------------------------------------------------------------- very large runs


def test_of_too_many_points_those_that_matter_are_drawn_and_the_page_says_so(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "DRAWN", 20)
    summary = tangled(1, count=100)
    recommendation = choose(summary, "throughput", Limits())
    page = opened(show, summary)
    count = len(page.evaluate("perftool.content.foreseen.ids"))
    assert f"Of {count} configurations 20 are drawn" in " ".join(page.inner_text("#tradeoff .note").split())
    drawn = page.evaluate("perftool.content.drawn.map(row => perftool.content.rows.id[row])")
    assert len(drawn) == 20 and recommendation.id in drawn
    assert page.inner_text("#table-count") == "1 to 50 of 102"
    page.evaluate("perftool.setBounds({ peak_rss: 260 })")
    assert chosen(page) == choose(summary, "throughput", Limits(accuracy_drop_pp=None, memory_mb=260)).id


def test_where_too_much_would_have_to_be_foreseen_it_refers_to_the_command(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foresee, "MOST_STANDINGS", 1)
    page = opened(show, summarize(nine()))
    assert not page.is_visible("#limit-rows")
    assert "ask perftool recommend" in " ".join(page.inner_text("#limits").split())
    assert "highest throughput of the 9 that pass" in page.inner_text("#choice-full")
    assert page.locator("#tradeoff-chart .main-svg").count() > 0
    assert ids(page)[0] == "cpu-int8-b1-s2"


def test_where_nothing_is_foreseen_the_run_s_own_limits_still_tell_who_passes(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foresee, "MOST_STANDINGS", 1)
    page = opened(show, summarize(nine()), Limits(memory_mb=300))
    own = choose(summarize(nine()), "throughput", Limits(memory_mb=300))
    missed = {one.id for one in own.rejected if "memory" in one.reason}
    page.select_option("#table-state", "passing")
    passing = {one.id for one in summarize(nine()).configurations} - missed
    assert missed and set(ids(page)) - {one.id for one in summarize(nine()).baselines} == passing
    page.select_option("#table-state", "all")
    why = dict(zip(ids(page), page.locator("#table-body td.wide").all_inner_texts(), strict=True))
    assert why[own.id or ""] == ""
    assert all("memory" in why[id] for id in missed)
    pale = "document.getElementById('tradeoff-chart').data.map(one => one.opacity)"
    assert 0.6 in page.evaluate(pale) and 1 in page.evaluate(pale)
