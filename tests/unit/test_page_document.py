"""The page as a file: whole, alone, and obeying no foreign name."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from journals import EVALUATIONS, Journal, Measured, nine, three
from msgspec import structs
from profiled import profiled
from tangled import tangled
from typer.testing import CliRunner
from written import write_run

from perftool.analysis.choose import choose
from perftool.analysis.result import Recommendation, Summary
from perftool.analysis.stability import recommend
from perftool.analysis.summary import summarize
from perftool.cli.main import app
from perftool.render.numbers import chance
from perftool.render.page.content import content_of
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


def read(summary: Summary) -> tuple[str, Reader]:
    text = page(summary, choose(summary, "throughput", Limits())).decode()
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
        run=structs.replace(summary.run, id=HOSTILE, model=HOSTILE, accuracy_of=HOSTILE, warnings=(HOSTILE,)),
        host=structs.replace(summary.host, cpu=HOSTILE, isa=(HOSTILE,)),
    )
    text, reader = read(profiled(summary, HOSTILE))
    assert [tag for tag, _ in reader.elements if tag in ("script", "img")] == ["script"] * (2 + len(SCRIPTS))
    assert json.loads(reader.data)["layers"][0]["layers"][0]["name"] == f"{HOSTILE}_0"
    shown = re.search(r"<h1>(.*?)</h1>", text, re.DOTALL)
    assert shown is not None and html.unescape(shown[1]) == HOSTILE


def test_no_control_character_comes_into_the_page_and_names_stay_equal() -> None:
    odd = "\u202ename\x1b[31m\nend"
    summary = summarize(Journal((Measured(), Measured(precision="INT8", fps=30)), EVALUATIONS).run())
    summary = structs.replace(
        summary,
        run=structs.replace(summary.run, id=odd, model=odd, warnings=(odd,)),
        configurations=tuple(structs.replace(one, id=one.id + odd) for one in summary.configurations),
        series={id + odd: found for id, found in summary.series.items()},
    )
    text, reader = read(profiled(summary, odd))
    assert [char for char in text.partition("<script>")[0] if not char.isprintable() and char != "\n"] == []
    content = json.loads(reader.data)
    assert "\\u001b" not in reader.data and "\\n" not in reader.data and "\u202e" not in reader.data
    ids = set(content["rows"]["id"])
    assert {content["chosen"], *content["foreseen"]["ids"]} <= ids
    assert {one["id"] for one in (*content["layers"], *content["placed"])} <= ids


def test_it_calls_the_run_by_its_folder_s_name_however_the_path_is_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "runs" / "a run", three())
    monkeypatch.chdir(folder)
    pages = []
    for spelt in (str(folder), "../a run", "."):
        assert CliRunner().invoke(app, ["report", spelt]).exit_code == 0
        pages.append((folder / "report.html").read_text())
    assert len(set(pages)) == 1 and str(tmp_path) not in pages[0]
    reader = Reader()
    reader.feed(pages[0])
    assert json.loads(reader.data)["run"] == "a run"


def test_a_chance_is_never_written_as_none() -> None:
    assert [chance(value) for value in (0.0, 0.00099, 0.001, 0.0312, 1.0)] == [
        *("<0.001", "<0.001", "0.001", "0.031", "1.000")
    ]
    summary = summarize(nine())
    sure = tuple(
        structs.replace(one, accuracy=one.accuracy and structs.replace(one.accuracy, p_value=1e-9))
        for one in summary.configurations
    )
    text, _ = read(structs.replace(summary, configurations=sure))
    assert "&lt;0.001" in text and ">0.000<" not in text


def test_the_card_has_what_takes_statistics() -> None:
    summary = summarize(nine())
    found = recommend(summary, "throughput", Limits(accuracy_drop_pp=1.3))
    content = content_of(summary, found)
    assert content.card.measure == "as fast as"
    (need,) = content.card.needs[:1]
    assert need.metric == "top1_drop" and need.text.endswith("200 so far")
    first = len(summary.configurations)
    assert content.card.held.rows == (first, first + 1)
    exact = tuple(one.throughput_fps.point for one in summary.baselines if one.throughput_fps)
    assert content.card.held.columns["throughput"] == exact
    assert any(text.endswith("which executed in bf16") for text in content.card.named.values())


def test_a_line_on_relaxing_a_limit_has_the_interval_of_the_gain() -> None:
    summary = summarize(nine())
    content = content_of(summary, recommend(summary, "throughput", Limits(accuracy_drop_pp=0.2)))
    assert re.search(r"wins, \d\.\d\dx \(\d\.\d\dx to \d\.\d\dx\) as fast as", content.card.relaxing or "")
    weighed = recommend(summary, {"throughput": 1.0, "peak_rss": 0.3}, Limits())
    assert content_of(summary, weighed).card.measure == "the score of"


def test_rows_tell_the_reference_the_visits_and_the_device() -> None:
    measured = (Measured(), Measured(precision="INT8", fps=30, device="GPU", rounds=1))
    rows = content_of(*_chosen(Journal(measured, EVALUATIONS))).rows
    assert rows.reference == (True, False)
    assert rows.visits == (6, 1)
    assert rows.name == ("FP32 b1 s1 on CPU", "INT8 b1 s1 on GPU")


def _chosen(journal: Journal) -> tuple[Summary, Recommendation]:
    summary = summarize(journal.run())
    return summary, choose(summary, "throughput", Limits())
