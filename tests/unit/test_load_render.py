"""Open load shown: the table's words, the picture's marks, nothing of nothing."""

import io
import xml.etree.ElementTree as ElementTree

import matplotlib
import msgspec
import pytest
from journals import HOST
from matplotlib.lines import Line2D
from queues import MS, offered, simulated, steady
from rich.console import Console

from perftool.analysis.load_run import LoadRun, load_run
from perftool.analysis.open_load import rate_points
from perftool.analysis.rate_bound import rate_under_bound
from perftool.cli.load import announcement
from perftool.journal import FORMAT, Entry, Header, ModelIdentity, Planned, Record, Run
from perftool.record import Compiled, Executed, Visited
from perftool.render.load_run import answer_line, load_files, load_view
from perftool.render.open_load import Curve, latency_against_rate
from perftool.render.plotting import STYLE
from perftool.spec import Closed, Configuration, Explicit, Grid, Limits, Profile, ReferenceModel
from perftool.sweep.rates import Forecast

ONE = Configuration(
    id="one",
    device="CPU",
    precision="INT8",
    batch=1,
    setting=Explicit(inference_precision="f32", streams=1, threads=1),
    requests=1,
)
COMPILED = Compiled(
    configuration="one",
    incarnation=0,
    pid=1,
    requested={},
    resolved={},
    streams=1,
    threads=1,
    requests=1,
    executed=(Executed(precision="int8", flops=1, kernels=1),),
    compile_ns=1,
    first_inference_ns=1,
    loaded_from_cache=False,
    compile_rss_bytes=None,
    peak_rss_bytes=1,
)
#: Even arrivals at half and at most of capacity, too many, and a generator that was late.
BURSTS = (
    offered([50.0] * 200, rate=10),
    offered([60.0 + n % 7 for n in range(100)], rate=15),
    simulated(steady(50 * MS, 1), rate=30, count=200, kind="constant"),
    simulated(steady(50 * MS, 1), rate=12, count=200, kind="constant", late_ns=9 * MS),
)


def visited() -> Visited:
    quiet = offered([1.0]).conditions
    return Visited(
        configuration="one",
        incarnation=0,
        round=0,
        position=0,
        load=Closed(),
        batch=1,
        requests=1,
        warmup_ns=(),
        steady=True,
        latencies_ns=(50 * MS,) * 20,
        window_ns=1000 * MS,
        load_rss_bytes=None,
        peak_rss_bytes=1,
        conditions=quiet,
    )


def journal(*records: Record, slo_ms: float | None = None) -> Run:
    profile = Profile(name="load", grids=(Grid(),), limits=Limits(slo_ms=slo_ms, percentile=90))
    source = ReferenceModel(name="googlenet-v4-tf")
    model = ModelIdentity(name="googlenet-v4-tf", source=source, digest="d", reference=True, published=False)
    header = Header(format=FORMAT, created_ns=0, profile=profile, model=model, host=HOST)
    planned = Planned(configurations=(ONE,), left_out=(), devices=(), canary="")
    return Run(header=header, entries=tuple(Entry(at_ns=0, record=one) for one in (planned, *records)))


def looked(*records: Record, slo_ms: float | None = None) -> LoadRun:
    found = load_run(journal(*records, slo_ms=slo_ms), "run")
    assert found is not None
    return found


def shown(run: LoadRun) -> str:
    text = io.StringIO()
    Console(file=text, width=100, no_color=True).print(*load_view(run))
    return text.getvalue()


def test_a_run_that_compiled_nothing_amounts_to_nothing() -> None:
    assert load_run(journal(), "run") is None


def test_the_table_has_figures_what_is_missing_and_why() -> None:
    text = shown(looked(COMPILED, *[visited()] * 6, *BURSTS))
    assert "closed loop: 20.00 images/s" in text
    cells = [line.split() for line in text.splitlines() if line.strip()]
    rows = {row[0]: row for row in reversed(cells)}
    assert rows["10"][1:4] == ["50%", "10", "50.0"]
    assert "200 of 662" in text
    assert rows["12"][3] == "late" and rows["30"][3] == "overloaded"
    assert "30 images/s: more than it can serve: 30 images/s arrive, " in text
    assert "12 images/s: the generator did not keep its schedule" in text


def test_foreign_load_is_told_with_the_rates_that_it_fell_on() -> None:
    busy = msgspec.structs.replace(BURSTS[0].conditions, other_load=0.3)
    disturbed = msgspec.structs.replace(BURSTS[0], conditions=busy)
    run = looked(COMPILED, *[visited()] * 6, disturbed, BURSTS[1])
    assert [point.rate_fps for point in run.points if point.disturbed] == [10]
    assert any(line.split()[:2] == ["10", "!"] for line in shown(run).splitlines())
    assert "!: other processes or the hypervisor took more than 10 % of the CPUs" in shown(run)


def test_without_anything_offered_the_closed_loop_is_shown() -> None:
    run = looked(COMPILED, *[visited()] * 6)
    assert "closed loop: 20.00 images/s" in shown(run)
    assert list(load_files(run)) == ["load.json", "load.txt"]


def test_the_answer_says_its_interval_or_that_it_has_none() -> None:
    answer = looked(COMPILED, *[visited()] * 6, *BURSTS[:2], slo_ms=62.0).answer
    assert answer is not None and answer.rate is not None
    assert answer_line(answer).startswith(f"up to {answer.rate.point:.2f} (")
    assert answer_line(answer).endswith("images/s keep p90 within 62 ms")
    bare = msgspec.structs.replace(answer.rate, low=None, high=None)
    assert "; interval unknown: too few requests" in answer_line(msgspec.structs.replace(answer, rate=bare))


def test_what_a_request_alone_misses_no_rate_keeps() -> None:
    answer = looked(COMPILED, *[visited()] * 6, slo_ms=20.0).answer
    assert answer is not None and answer.holds_fps is None
    assert answer.reason == "even a request alone misses the bound: p50 is 50 ms, above 20 ms"


def test_the_files_are_the_same_twice() -> None:
    run = looked(COMPILED, *[visited()] * 6, *BURSTS, slo_ms=62.0)
    files = load_files(run)
    assert list(files) == ["load.json", "load.txt", "plots/latency_rate.png", "plots/latency_rate.svg"]
    assert files == load_files(run)
    assert msgspec.json.decode(files["load.json"], type=LoadRun) == run
    assert ElementTree.fromstring(files["plots/latency_rate.svg"]).tag.endswith("svg")


def lines(curves: list[Curve], **options: object) -> tuple[list[Line2D], list[str]]:
    with matplotlib.rc_context(STYLE):
        figure = latency_against_rate(curves, title="title", **options)  # type: ignore[arg-type]
    assert figure is not None
    return figure.axes[0].get_lines(), [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_picture_marks_refusals_bound_and_answer() -> None:
    points = rate_points(BURSTS)
    answer = rate_under_bound(points, 90, 62.0)
    drawn, legend = lines([Curve("one", "INT8", points, 20.0, answer)], bound_ms=62.0)
    assert {"x", "v", "*"} <= {str(line.get_marker()) for line in drawn}
    for label in ("p50", "p90", "p95", "bound: 62 ms", "closed loop:\n20 images/s"):
        assert label in legend
    assert any(label.startswith("overloaded") for label in legend)
    assert any(label.startswith("p90 keeps the bound:\n") for label in legend)


def test_several_configurations_share_one_picture_of_one_percentile() -> None:
    points = rate_points(BURSTS[:2])
    curves = [Curve("a", "INT8", points), Curve("b", "INT8", points), Curve("c", "FP32", points)]
    drawn, legend = lines(curves, percentiles=(90,))
    assert legend[:3] == ["a", "b", "c"]
    looks = {(line.get_color(), str(line.get_linestyle())) for line in drawn if len(line.get_xdata()) == 2}  # type: ignore[arg-type]
    assert len(looks) >= 3


def test_of_nothing_there_is_no_picture() -> None:
    assert latency_against_rate([Curve("one", "INT8", ())], title="title") is None
    refused = rate_points(BURSTS[2:3])
    drawn, _ = lines([Curve("one", "INT8", refused)])
    assert drawn


@pytest.mark.parametrize(
    ("rates", "seconds", "arrivals", "search", "said"),
    [
        ((8.0,), (82.75,), 662, False, "p99 takes 662 arrivals: 1 min 23 s at 8 images/s"),
        ((8.0,), (12.5,), 1, False, "12 s at 8 images/s"),
        ((2.0, 8.0), (20.0, 10.0), 1, False, "30 s for 2 rates from 2 to 8 images/s"),
        (
            (4.0,),
            (30.0,),
            662,
            True,
            "p99 with an interval takes 662 arrivals: 30 s at 4 images/s, the first of 12 rates at most",
        ),
    ],
)
def test_the_announcement(
    rates: tuple[float, ...], seconds: tuple[float, ...], arrivals: int, search: bool, said: str
) -> None:
    ahead = Forecast(rates=rates, seconds=seconds, arrivals=arrivals, percentile=99, search=search)
    assert announcement(ahead) == said
