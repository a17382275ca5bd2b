"""The page as a file: whole, alone, and obeying no foreign name."""

import html
import json
import re
from html.parser import HTMLParser

from journals import EVALUATIONS, Journal, Measured, nine, three
from msgspec import structs
from profiled import profiled
from tangled import tangled

from perftool.analysis.choose import choose
from perftool.analysis.result import Summary
from perftool.analysis.summary import summarize
from perftool.render.page.document import SCRIPTS, page
from perftool.spec import Limits

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}"


class Reader(HTMLParser):
    """Collect elements with their attributes, and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.data = ""
        self._in_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_data = tag == "script" and dict(attrs).get("id") == "content"

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data
        else:
            self.texts.append(data)


def read(summary: Summary, run: str = "reports/a-run") -> tuple[str, Reader]:
    text = page(summary, choose(summary, "throughput", Limits()), run).decode()
    reader = Reader()
    reader.feed(text)
    return text, reader


def test_it_asks_for_nothing_and_forbids_itself_to() -> None:
    text, reader = read(summarize(nine()))
    for tag, attributes in reader.elements:
        assert tag not in ("link", "img", "iframe"), tag
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert "default-src 'none'" in text


def test_the_same_run_gives_the_same_page() -> None:
    assert read(summarize(three()))[0] == read(summarize(three()))[0]


def test_the_data_are_whole_and_their_numbers_exact() -> None:
    summary = tangled(1)
    _, reader = read(summary)
    content = json.loads(reader.data)
    known = {one.id: one for one in summary.configurations}
    foreseen = content["foreseen"]
    for id, value in zip(foreseen["ids"], foreseen["columns"]["throughput"], strict=True):
        estimate = known[id].throughput_fps
        assert estimate is not None and value == estimate.point
    assert content["chosen"] == choose(summary, "throughput", Limits()).id
    assert [content["rows"]["id"][row] for row in content["candidates"]] == foreseen["ids"]


def test_what_failed_and_what_was_left_out_is_there_with_its_reason() -> None:
    text, _ = read(summarize(three()))
    assert "the child was killed" in text and "CPU has 1 to 2 streams" in text


def test_no_name_becomes_an_element() -> None:
    measured = (
        Measured(),
        Measured(precision="INT8", fps=30),
        Measured(precision="BF16", rounds=0, failed=HOSTILE),
    )
    summary = summarize(Journal(measured, EVALUATIONS, name=HOSTILE).run())
    summary = structs.replace(
        summary,
        run=structs.replace(summary.run, model=HOSTILE, accuracy_of=HOSTILE, warnings=(HOSTILE,)),
        host=structs.replace(summary.host, cpu=HOSTILE, isa=(HOSTILE,)),
    )
    text, reader = read(profiled(summary, HOSTILE), run=HOSTILE)
    assert [tag for tag, _ in reader.elements if tag in ("script", "img")] == ["script"] * (2 + len(SCRIPTS))
    assert json.loads(reader.data)["layers"][0]["layers"][0]["name"] == f"{HOSTILE}_0"
    shown = re.search(r"<h1>(.*?)</h1>", text, re.DOTALL)
    assert shown is not None and html.unescape(shown[1]) == HOSTILE
