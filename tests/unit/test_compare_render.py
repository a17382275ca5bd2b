"""Comparisons as tables, Markdown and JUnit: whole against goldens, valid, and nothing in a name obeyed.

After a wanted change write the goldens anew: what differs is what `table`, `markdown` and `junit` return.
"""

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from journals import BASELINES, EVALUATIONS, NINE, Journal, Measured, changed, evaluated
from looks import look, nine_look, with_header
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from perftool.analysis.compare import compare, metrics_of
from perftool.analysis.compared import Compared
from perftool.analysis.matching import Look
from perftool.render.compare import compared_view
from perftool.render.compare_markdown import code, markdown, text
from perftool.render.junit import junit

GOLDENS = Path(__file__).parent / "goldens"
HOSTILE = '</name>"&[red]x[/red] `|` \x1b[2J@everyone <img src=x> #1'


def compared(before: Look, *now: Look, threshold: float | None = 0.03) -> Compared:
    rows = metrics_of(before.run.header.profile, ())
    return Compared(
        threshold=threshold,
        comparisons=tuple(compare(before, one, rows, threshold=threshold) for one in now),
    )


def table(found: Compared) -> str:
    shown = io.StringIO()
    console = Console(file=shown, width=100, no_color=True, color_system=None)
    console.print(*compared_view(found))
    return "\n".join(line.rstrip() for line in shown.getvalue().splitlines()) + "\n"


def worse() -> Compared:
    """Compare a run with one in which something of every kind happened."""
    measured = [
        changed(one, fps=one.fps * {"cpu-int8-b1-s2": 0.7, "cpu-fp32-b1-s1": 1.3}.get(one.id, 0.99))
        for one in NINE
        if one.id != "cpu-bf16-b4-s1"
    ]
    measured[3] = changed(measured[3], rounds=0, failed="the child was killed")
    measured[-1] = changed(measured[-1], rounds=4, memory_mb=500)
    measured.append(Measured(precision="INT8", batch=8, fps=31.0))
    evaluations = (*EVALUATIONS[:3], evaluated("int8", "f32", 120))
    now = with_header(
        look(Journal(tuple(measured), evaluations).run(), "branch"), host={"openvino": "2026.5"}
    )
    return compared(nine_look("main"), now)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("compare.txt", table(worse())),
        ("compare.md", markdown(worse())),
        ("compare.xml", junit(worse())),
    ],
)
def test_goldens(name: str, shown: str) -> None:
    assert shown == (GOLDENS / name).read_text(encoding="utf-8")


def test_a_hundred_columns_are_enough() -> None:
    long = (Measured(device="BATCH:CPU(4),A-VERY-LONG-DEVICE-NAME"), *BASELINES)
    one = look(Journal(long, EVALUATIONS).run(), "a-run-with-a-long-name")
    for shown in (table(worse()), table(compared(one, one))):
        assert max(cell_len(line) for line in shown.splitlines()) <= 100
        assert "…" not in shown


def test_not_comparable_is_said_first() -> None:
    found = compared(nine_look("a"), with_header(nine_look("b"), host={"cpu": "Another"}))
    head = table(found).split("throughput, images/s")[0]
    assert "not comparable: cpu was Example CPU @ 2.0 GHz, is Another" in head
    assert markdown(found).splitlines()[2].startswith("**not comparable")


def test_each_further_run_is_compared_with_the_first() -> None:
    shown = table(compared(nine_look("a"), nine_look("b"), nine_look("c")))
    assert "b against a" in shown and "c against a" in shown


def test_junit_counts_its_cases_and_names_every_configuration() -> None:
    root = ElementTree.fromstring(junit(worse()))
    assert root.tag == "testsuites"
    for suite in root:
        cases = suite.findall("testcase")
        assert suite.get("tests") == str(len(cases)) and cases
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
        for case in cases:
            assert case.get("name") and case.get("classname")
            assert [child.tag for child in case] in (
                *([], ["system-out"], ["failure"], ["skipped"]),
                *(["failure", "system-out"], ["skipped", "system-out"]),
            )
    names = {suite.get("name", "").rpartition(": ")[2]: suite for suite in root}
    assert list(names) == [
        *("measured", "all configurations", "throughput", "latency_p50", "latency_p95", "peak_rss", "top1")
    ]
    failed = [
        case.get("name") for case in root.iterfind("testsuite/testcase") if case.find("failure") is not None
    ]
    assert failed.count("cpu-int8-b1-s2") >= 2
    assert int(root.get("failures", "")) == len(failed) == len(worse().comparisons[0].regressions)


def test_without_a_threshold_nothing_is_a_failure() -> None:
    before, now = nine_look("a"), nine_look("b", {"cpu-int8-b1-s2": 0.5})
    found = compared(before, now, threshold=None)
    assert "<failure" not in junit(found)
    assert "worse" in table(found) and "regression of more" not in table(found)


def test_what_failed_is_no_success_in_junit_without_a_threshold_either() -> None:
    killed = tuple(
        changed(one, rounds=0, failed="killed") if one.id == "cpu-fp32-b1-s2" else one for one in NINE
    )
    now = look(Journal(killed, EVALUATIONS).run(), "b")
    for threshold, tag in ((None, "skipped"), (0.03, "failure")):
        root = ElementTree.fromstring(junit(compared(nine_look("a"), now, threshold=threshold)))
        (case,) = root.iterfind("testsuite[@name='b against a: measured']/testcase[@name='cpu-fp32-b1-s2']")
        (said,) = case
        assert (said.tag, (said.get("message") or "").removeprefix("failed: ")) == (
            tag,
            "compile failed: killed",
        )


def test_not_comparable_runs_are_skipped_in_junit() -> None:
    found = compared(nine_look("a"), with_header(nine_look("b"), host={"cpu": "Another"}))
    root = ElementTree.fromstring(junit(found))
    messages = {
        one.get("message") for one in root.iterfind("testsuite[@name='b against a: throughput']//skipped")
    }
    assert messages == {"cpu was Example CPU @ 2.0 GHz, is Another"}


def test_nothing_in_a_name_is_obeyed() -> None:
    failed = changed(NINE[2], rounds=0, failed=HOSTILE)
    before = look(Journal(NINE, EVALUATIONS, name=HOSTILE).run(), HOSTILE)
    now = look(Journal((*BASELINES, failed), EVALUATIONS, name=HOSTILE).run(), f"{HOSTILE}\n2")
    found = compared(before, now)
    shown = table(found)
    assert "\x1b" not in shown and "[red]x[/red]" in shown
    root = ElementTree.fromstring(junit(found))
    assert any("[red]x[/red]" in (suite.get("name") or "") for suite in root)
    written = markdown(found)
    assert "<img" not in "".join(written.split("`")[::2])
    assert "\x1b" not in written and all("\n2" not in line for line in written.splitlines())


def test_markdown_is_escaped() -> None:
    assert (
        text("a|b <i>x</i> @me `c` _d_ [e](f)") == "a|b &lt;i\\>x&lt;/i\\> `@me` \\`c\\` \\_d\\_ \\[e\\](f)"
    )
    assert code("a`b|c\x07") == "`a'b|c\N{REPLACEMENT CHARACTER}`"


@pytest.mark.parametrize(
    "word",
    ["$x^2$", "see:https://x.example", "www.x.example", ":tada:", ":+1:", "GH-12", "(#12)", "a@b.example"],
)
def test_what_github_would_link_or_draw_goes_into_a_code_span(word: str) -> None:
    assert text(f"was _{word} is") == f"was `_{word}` is"


def test_times_and_names_stay_words() -> None:
    sentence = "made 2023-11-14T22:13:20+00:00, HETERO:CPU,GPU, 0.99x (0.90x to 1.09x) # and a:b"
    assert text(sentence) == sentence.replace("#", "\\#")


def test_bars_end_no_cell_and_show_no_backslash() -> None:
    """Read back as Markdown is read."""
    variant = "a|b fp32 on C\\|PU `|`"
    shift = msgspec.structs.replace(worse().comparisons[0].accuracy[0], variant=variant, reason="www.x|y")
    one = msgspec.structs.replace(worse().comparisons[0], accuracy=(shift,), notes=("www.x|y", "a|b"))
    one = msgspec.structs.replace(one, run=msgspec.structs.replace(one.run, id="c|d"))
    html = (
        MarkdownIt("commonmark")
        .enable("table")
        .render(markdown(Compared(threshold=0.03, comparisons=(one,))))
    )
    assert "<code>c|d</code>" in html
    assert "<li>note: <code>www.x|y</code></li>" in html and "<li>note: a|b</li>" in html
    assert "<td>a|b fp32 on C\\|PU `|`</td>" in html
    assert '<td style="text-align:right"><code>www.x|y</code></td>' in html


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head() -> None:
    widths: set[int] = set()
    for line in [*markdown(worse()).splitlines(), ""]:
        if line.startswith("|"):
            widths.add(line.replace("\\|", "").count("|"))
        elif widths:
            assert len(widths) == 1
            widths = set()


def many() -> tuple[Look, Look]:
    """Return two runs of 256 configurations, of which two are slower."""
    slower = {"cpu-int8-b1-s1", "cpu-int8-b32-s8"}
    sizes = [
        (batch, streams) for batch in (1, 2, 4, 8, 16, 32, 64, 128) for streams in (1, 2, 3, 4, 5, 6, 7, 8)
    ]
    both = []
    for factor in (1.0, 0.6):
        measured = [
            Measured(precision=precision, batch=batch, streams=streams, rounds=6)
            for precision in ("FP32", "FP16", "BF16", "INT8")
            for batch, streams in sizes
        ]
        measured = [changed(one, fps=one.fps * (factor if one.id in slower else 1.0)) for one in measured]
        both.append(look(Journal((*BASELINES, *measured), EVALUATIONS).run(), f"run-{factor}"))
    return both[0], both[1]


def test_markdown_is_no_longer_than_a_comment_may_be_and_says_what_it_leaves_out() -> None:
    before, now = many()
    one = compared(before, now)
    for found in (one, Compared(threshold=0.03, comparisons=(*one.comparisons, *one.comparisons))):
        shown = markdown(found)
        assert len(shown) < 60_000
        assert shown.count("<details>") == shown.count("</details>") == len(found.comparisons)
        for part in shown.split("### perftool: ")[1:]:
            moved = part.split("<details>")[0]
            assert moved.count("**worse: regression**") == 4, "what moved comes first, and whole"
            assert re.search(r"\*\*\d+ more lines are left out\*\*", part)
    assert "left out**" not in markdown(worse())
