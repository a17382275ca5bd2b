"""What a reader sets on the page: by keyboard, emptied again, sent as an address, on a phone and on paper."""

from typing import Any

import pytest
from journals import EVALUATIONS, Journal, Measured, forty, nine
from opening import Show, chosen, opened, settled
from profiled import profiled

from perftool.analysis.summary import summarize

HEADINGS = (
    "() => [...document.querySelectorAll('#table-head button')].filter(one => one.checkVisibility()).length"
)


def fragment(page: Any) -> str:
    settled(page)
    return str(page.evaluate("location.hash.slice(1)"))


# ---------------------------------------------------------------- limits


def test_a_limit_is_added_by_keyboard_alone(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.focus("#limit-more")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.locator(".limit").count() == 3, "walking through the list adds nothing"
    wanted = page.input_value("#limit-more")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    settled(page)
    assert page.is_checked(f"#limit-on-{wanted}")
    assert page.evaluate("document.activeElement.id") == f"limit-slider-{wanted}"


def test_an_emptied_number_switches_its_limit_off(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.fill("#limit-number-peak_rss", "225")
    assert chosen(page) == "cpu-int8-b1-s1"
    page.fill("#limit-number-peak_rss", "")
    assert chosen(page) == "cpu-int8-b1-s2"
    assert not page.is_checked("#limit-on-peak_rss")


def test_nonsense_does_not_stay_in_the_box_while_the_limit_before_it_acts(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.fill("#limit-number-peak_rss", "225")
    page.fill("#limit-number-peak_rss", "-3")
    page.locator("#limit-number-peak_rss").blur()
    assert chosen(page) == "cpu-int8-b1-s1"
    assert page.input_value("#limit-number-peak_rss") == "225"


# ---------------------------------------------------------------- the address


def test_limits_and_filters_are_in_the_address_and_come_back_from_it(show: Show) -> None:
    page = opened(show, summarize(nine()))
    assert fragment(page) == ""
    page.fill("#limit-number-peak_rss", "230")
    page.uncheck("#limit-on-top1_drop")
    page.select_option("#limit-more", "throughput")
    page.click("#limit-add")
    page.fill("#limit-number-throughput", "20")
    page.select_option("#table-state", "passing")
    page.fill("#table-search", "int8 s1")
    assert chosen(page) == "cpu-int8-b1-s1"
    sent = fragment(page)
    url = page.url.partition("#")[0]
    page.goto("about:blank")
    page.goto(f"{url}#{sent}")
    assert chosen(page) == "cpu-int8-b1-s1"
    assert page.input_value("#limit-number-throughput") == "20"
    assert not page.is_checked("#limit-on-top1_drop")
    assert page.input_value("#table-search") == "int8 s1"
    assert page.locator("#table-body th").all_inner_texts() == ["cpu-int8-b1-s1"]
    page.click("#limits-own")
    page.fill("#table-search", "")
    page.select_option("#table-state", "all")
    assert fragment(page) == "", "the run's own limits need no address"


def test_a_link_to_a_section_keeps_what_is_set(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.fill("#limit-number-peak_rss", "225")
    before = fragment(page)
    page.click("nav a[href='#table']")
    page.wait_for_function("location.hash.includes('=')")
    assert fragment(page) == before and chosen(page) == "cpu-int8-b1-s1"


@pytest.mark.parametrize(
    "hostile",
    [
        "peak_rss=<img src=x onerror=alert(1)>&find=<script>alert(2)</script>",
        "peak_rss=-5&top1_drop=Infinity&throughput=NaN&latency_p50=1e999",
        "__proto__=1&constructor=2&peak_rss.length=3&toString=4",
        "%E0%A4%A=%&show=nothing&precision=%00&=&&&",
        "find=" + "x" * 5000,
    ],
)
def test_a_hostile_address_is_harmless(show: Show, hostile: str) -> None:
    page = opened(show, summarize(nine()))
    url = page.url.partition("#")[0]
    page.goto("about:blank")
    page.goto(f"{url}#{hostile}")
    assert chosen(page) == "cpu-int8-b1-s2"
    assert page.evaluate("Object.keys(perftool.bounds)") == ["top1_drop"]
    assert page.locator("main img").count() == 0
    assert len(page.input_value("#table-search")) <= 200
    assert page.input_value("#table-state") == "all"


# ---------------------------------------------------------------- phones and paper


def test_on_a_phone_the_name_stays_and_throughput_and_reason_come_first(show: Show) -> None:
    page = opened(show, summarize(forty()), viewport={"width": 390, "height": 844}, is_mobile=True)
    keys = page.evaluate("[...document.querySelectorAll('#table-head button')].map(one => one.dataset.key)")
    assert keys[:3] == ["id", "throughput", "why"]
    place = "document.querySelector('#table-body th').getBoundingClientRect().left"
    page.evaluate("document.querySelector('#table .scroll').scrollLeft = 200")
    assert page.evaluate(place) == page.evaluate(
        "document.querySelector('#table .scroll').getBoundingClientRect().left"
    )


def test_on_a_phone_no_title_of_an_axis_is_cut(show: Show) -> None:
    page = opened(show, profiled(summarize(forty())), viewport={"width": 390, "height": 844}, is_mobile=True)
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.chart .xtitle, .chart .ytitle')].filter(title => {
          const own = title.getBoundingClientRect();
          const chart = title.closest('.chart').getBoundingClientRect();
          return own.left < chart.left - 1 || own.right > chart.right + 1;
        }).map(title => title.textContent)"""
    )
    assert cut == []


def test_a_printed_table_has_its_headings(show: Show) -> None:
    page = opened(show, summarize(nine()))
    page.emulate_media(media="print")
    assert page.evaluate(HEADINGS) > 5
    assert page.is_visible("#table-body th button"), "and the names, which are buttons too"
    assert not page.is_visible("#limits-own")


def test_on_paper_nothing_is_folded_and_all_points_are_told(show: Show) -> None:
    summary = profiled(summarize(forty()))
    page = opened(show, summary)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.locator("#roofline-words li").count() == len(summary.placed)
    assert page.inner_text("#roofline-more") == ""
    assert page.evaluate("document.documentElement.scrollWidth") <= 718, "not shrunk to fit the paper"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() == 2


def test_nothing_measured_has_no_limits_to_move(show: Show) -> None:
    page = opened(show, summarize(Journal((Measured(rounds=0, failed="killed"),), EVALUATIONS).run()))
    assert chosen(page) == "Nothing was measured: 1 failed"
    assert not page.is_visible("#limits")
