"""Data for other tools: what was measured comes back as it was, whole, and harms no spreadsheet."""

import csv
import io
import tracemalloc
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import Measured, compiled, forty, nine, three, visited
from typer.testing import CliRunner
from written import chosen, write_run

from perftool.analysis.metrics import METRICS, objective_metric
from perftool.analysis.stability import recommend
from perftool.analysis.summary import summarize
from perftool.cli import data as writing
from perftool.cli.main import app
from perftool.errors import InputError, PerftoolError, UsageError
from perftool.journal import JOURNAL, Entry, Focused, Run
from perftool.machine import Conditions
from perftool.record import Offered, Visited
from perftool.render.csv_file import inert, write_csv
from perftool.render.data import configurations
from perftool.render.parquet_file import ROW_GROUP, write_parquet
from perftool.render.samples import SAMPLES, samples
from perftool.render.table import Column, DataTable, Value, dictionary
from perftool.spec import Closed, Limits, Open
from perftool.sweep.store import read, stream

parquet = pytest.mark.skipif(
    find_spec("pyarrow") is None, reason="pyarrow is not installed: pip install 'perftool[parquet]'"
)
FORMATS = ("csv", pytest.param("parquet", marks=parquet))
Row = dict[str, Any]


def written(table: DataTable, format: str) -> bytes:
    sink = io.BytesIO()
    (write_csv if format == "csv" else write_parquet)(table, sink)
    assert not sink.closed
    return sink.getvalue()


def rows_of(content: bytes, format: str, columns: tuple[Column, ...]) -> list[Row]:
    """Read a file back as a user would: Parquet is typed, in CSV each column is read by its kind."""
    if format == "parquet":
        import pyarrow.parquet

        found: list[Row] = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
        return found
    kinds = {column.name: column.kind for column in columns}
    lines = csv.DictReader(io.StringIO(content.decode(), newline=""))
    assert lines.fieldnames == [column.name for column in columns]
    return [{name: typed(text, kinds[name]) for name, text in row.items()} for row in lines]


def typed(text: str, kind: str) -> Value:
    if text == "":
        return None
    match kind:
        case "text":
            return text.removeprefix("'")
        case "whole":
            return int(text)
        case "flag":
            return {"true": True, "false": False}[text]
    return float(text)


def table_rows(table: DataTable) -> list[Row]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for block in table.blocks for row in zip(*block, strict=True)]


# ---------------------------------------------------------------- configurations


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("make", [nine, three, forty])
def test_every_figure_comes_back_as_the_summary_has_it(make: Callable[[], Run], format: str) -> None:
    summary, recommendation = chosen(make())
    table = configurations(summary, recommendation)
    rows = rows_of(written(table, format), format, table.columns)
    everything = (*summary.configurations, *summary.baselines)
    assert [row["configuration"] for row in rows] == [one.id for one in everything]
    for row, one in zip(rows, everything, strict=True):
        for name, metric in METRICS.items():
            estimate = metric.read(one)
            assert row[name] == (estimate.point if estimate else None)
            if metric.spread:
                ends = (estimate.low, estimate.high) if estimate else (None, None)
                assert (row[f"{name}_low"], row[f"{name}_high"]) == ends
            else:
                assert f"{name}_low" not in row
        assert (row["status"], row["reason"], row["batch"]) == (one.status, one.reason, one.batch)
        assert row["executed_precision"] == one.executed_precision
        assert msgspec.json.decode(row["properties"] or "{}") == one.properties
        assert (row["run"], row["model"]) == (summary.run.id, summary.run.model)


def test_the_choice_and_what_became_of_the_others_are_told() -> None:
    summary, recommendation = chosen(nine())
    rows = {row["configuration"]: row for row in table_rows(configurations(summary, recommendation))}
    assert [id for id, row in rows.items() if row["chosen"]] == [recommendation.id]
    assert {id for id, row in rows.items() if row["pareto"]} == set(recommendation.pareto)
    assert {id for id, row in rows.items() if row["tied"]} == set(recommendation.tied)
    rejected = {one.id: one.reason for one in recommendation.rejected}
    assert rejected and all(rows[id]["rejected"] == reason for id, reason in rejected.items())
    roles = {id: row["role"] for id, row in rows.items()}
    assert {id for id, role in roles.items() if role == "baseline"} == {one.id for one in summary.baselines}


def test_what_was_not_measured_is_there_with_its_reason_and_no_figures() -> None:
    rows = {row["configuration"]: row for row in table_rows(configurations(*chosen(three())))}
    failed, skipped = rows["cpu-bf16-b1-s1"], rows["cpu-bf16-b1-s8"]
    assert (failed["status"], skipped["status"]) == ("failed", "skipped")
    assert "the child was killed" in failed["reason"] and skipped["reason"] == "CPU has 1 to 2 streams"
    for row in (failed, skipped):
        assert row["throughput"] is None and row["streams"] is None


def test_the_objective_has_a_column_where_no_metric_is_it() -> None:
    run = nine()
    summary = summarize(run)
    weighed = recommend(summary, {"throughput": 1.0, "peak_rss": 0.5}, Limits())
    rows = table_rows(configurations(summary, weighed))
    metric = objective_metric(weighed.objective, weighed.limits, summary)
    assert [row["score"] for row in rows[:-2]] == [metric.value(one) for one in summary.configurations]
    assert {"score_low", "score_high"} <= set(rows[0])
    assert "score" not in table_rows(configurations(*chosen(run)))[0]


def test_every_column_has_a_meaning_and_figures_have_their_unit() -> None:
    tables = [configurations(*chosen(nine())), samples(summarize(nine()), ())]
    told = table_rows(dictionary(tables))
    assert len(told) == sum(len(table.columns) for table in tables)
    assert all(row["meaning"] and row["kind"] for row in told)
    units = {row["column"]: row["unit"] for row in told if row["table"] == "configurations"}
    assert all(units[name] == metric.unit for name, metric in METRICS.items())
    assert units["latency_p95_high"] == "ms"


@parquet
def test_parquet_carries_types_units_and_whose_it_is() -> None:
    import pyarrow.parquet

    summary, recommendation = chosen(nine())
    content = written(configurations(summary, recommendation), "parquet")
    schema = pyarrow.parquet.read_schema(io.BytesIO(content))
    assert schema.field("peak_rss").metadata[b"unit"] == b"MB"
    assert str(schema.field("throughput").type) == "double" and str(schema.field("batch").type) == "int64"
    assert str(schema.field("chosen").type) == "bool"
    assert schema.metadata[b"perftool.run"] == summary.run.id.encode()
    assert schema.metadata[b"perftool.model_digest"] == b"ab" * 32


# ---------------------------------------------------------------- samples


def offered(round: int) -> Offered:
    return Offered(
        configuration="cpu-fp32-b1-s1",
        incarnation=0,
        round=round,
        position=1,
        load=Open(rate_fps=12.5),
        batch=1,
        requests=2,
        warmup_ns=(5,),
        arrivals_ns=(0, 70, 150),
        latencies_ns=(40, 90, 50),
        lags_ns=(1, 0, 2),
        unserved=1,
        window_ns=200,
        load_rss_bytes=None,
        peak_rss_bytes=1,
        conditions=Conditions(other_load=0.4, steal=None, frequency_mhz=None, energy_j=None),
    )


def with_extra_rounds() -> Run:
    """Return a run with a baseline, a sync load, an open load, and rounds of each purpose."""
    run = three()
    one = Measured(precision="FP32", fps=8.4, completions=5)
    later: list[Any] = [offered(2)]
    for round, purpose in ((6, "decide"), (7, "carry"), (8, "confirm")):
        later.append(
            Focused(
                round=round, purpose=purpose, load=Closed(), configurations=(one.id,), questions=("which?",)
            )
        )
        later.append(compiled(one, incarnation=2))
        later.append(visited(one, round, 0, 8.4, 1, sync=False))
    entries = (*run.entries[:-1], *(Entry(at_ns=1, record=record) for record in later), run.entries[-1])
    return msgspec.structs.replace(run, entries=entries)


@pytest.mark.parametrize("format", FORMATS)
def test_every_sample_comes_back_as_it_was_measured(tmp_path: Path, format: str) -> None:
    run = with_extra_rounds()
    table = samples(summarize(run), stream(write_run(tmp_path, run)))
    rows = rows_of(written(table, format), format, SAMPLES)
    bursts = [entry.record for entry in run.entries if isinstance(entry.record, Visited | Offered)]
    assert len(rows) == sum(len(burst.latencies_ns) for burst in bursts)
    for number, burst in enumerate(bursts):
        mine = [row for row in rows if row["visit"] == number]
        assert tuple(row["latency_ns"] for row in mine) == burst.latencies_ns
        assert [row["index"] for row in mine] == list(range(len(mine)))
        for row in mine:
            assert row["configuration"] == burst.configuration
            assert (row["round"], row["position"]) == (burst.round, burst.position)
            assert (row["incarnation"], row["window_ns"]) == (burst.incarnation, burst.window_ns)
            assert (row["batch"], row["requests"]) == (burst.batch, burst.requests)


def test_samples_tell_what_they_are_samples_of() -> None:
    run = with_extra_rounds()
    rows = table_rows(samples(summarize(run), run.entries))
    assert {row["purpose"] for row in rows if row["round"] < 6} == {"round"}
    told = {row["round"]: row["purpose"] for row in rows if row["round"] >= 6}
    assert told == {6: "decide", 7: "carry", 8: "confirm"}
    assert {row["load"] for row in rows} == {"closed", "sync", "open"}
    assert {row["configuration"] for row in rows if row["role"] == "baseline"} == {"cpu-baseline-latency"}
    open_load = [row for row in rows if row["load"] == "open"]
    assert [row["arrival_ns"] for row in open_load] == [0, 70, 150]
    assert [row["lag_ns"] for row in open_load] == [1, 0, 2]
    assert {row["rate_fps"] for row in open_load} == {12.5}
    assert [row["disturbed"] for row in open_load] == [True] * 3
    others = [row for row in rows if row["load"] != "open"]
    assert not any(row["disturbed"] or row["rate_fps"] is not None or row["lag_ns"] for row in others)


def long_run(visits: int, completions: int) -> Iterator[Entry]:
    one = Measured(completions=completions)
    for number in range(visits):
        yield Entry(at_ns=number, record=visited(one, number, 0, 1000.0, 1, sync=False))


@pytest.mark.parametrize("format", FORMATS)
def test_a_long_run_is_copied_visit_by_visit(tmp_path: Path, format: str) -> None:
    """Samples are never held all at once: ten times as many take no more memory."""
    run = three()
    summary = summarize(run)
    most = []
    for visits in (5, 50):
        path = tmp_path / str(visits)
        write_run(path, msgspec.structs.replace(run, entries=()))
        with (path / JOURNAL).open("ab") as journal:
            for entry in long_run(visits, completions=500):
                journal.write(msgspec.json.encode(entry) + b"\n")
        with (path / "samples").open("wb") as sink:
            tracemalloc.start()
            try:
                (write_csv if format == "csv" else write_parquet)(samples(summary, stream(path)), sink)
                most.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
    assert most[1] < 1.5 * most[0] + 5e5


@parquet
def test_rows_are_gathered_into_row_groups() -> None:
    import pyarrow.parquet

    content = written(samples(summarize(three()), long_run(300, completions=1000)), "parquet")
    file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
    groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert groups == [ROW_GROUP] * 3


# ---------------------------------------------------------------- any table, any text


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
HOSTILE = st.builds(
    str.__add__, st.sampled_from(["=", "+", "-", "@", "\t=", " +", "\uff1d", "'", "\r", "\0-"]), TEXTS
)
KINDS = {
    "text": (TEXTS | HOSTILE).filter(bool),
    "whole": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False),
    "flag": st.booleans(),
}


@st.composite
def tables(draw: st.DrawFn) -> DataTable:
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4))
    sizes = draw(st.lists(st.integers(0, 3), max_size=3))
    columns = tuple(
        Column(name=f"{kind} {number}", kind=kind, meaning="anything")  # type: ignore[arg-type]
        for number, kind in enumerate(kinds)
    )
    blocks = [
        [draw(st.lists(st.none() | KINDS[kind], min_size=size, max_size=size)) for kind in kinds]
        for size in sizes
    ]
    return DataTable(name="any", columns=columns, blocks=blocks, about={})


@pytest.mark.parametrize("format", FORMATS)
@settings(deadline=None)
@given(table=tables())
def test_any_table_is_read_as_it_was_written(format: str, table: DataTable) -> None:
    rows = rows_of(written(table, format), format, table.columns)
    assert [list(row.values()) for row in rows] == [list(row.values()) for row in table_rows(table)]


@given(TEXTS | HOSTILE)
def test_no_text_begins_like_a_formula(text: str) -> None:
    shown = inert(text)
    assert not shown.strip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))  # noqa: RUF001
    assert shown in (text, f"'{text}")
    assert shown.removeprefix("'") == text, "one apostrophe taken away gives the text back"


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1", ";=1", 'a",=1'])
def test_a_hostile_model_name_is_a_text_and_negative_numbers_stay_numbers(name: str) -> None:
    run = nine()
    model = msgspec.structs.replace(run.header.model, name=name)
    run = msgspec.structs.replace(run, header=msgspec.structs.replace(run.header, model=model))
    table = configurations(*chosen(run))
    content = written(table, "csv").decode()
    (line,) = {row["model"] for row in csv.DictReader(io.StringIO(content, newline=""))}
    assert line in (f"'{name}", name) and line[0] not in "=+-@\t"
    assert f'"{line.replace(chr(34), chr(34) * 2)}"' in content, "quoted, so that no separator splits it"
    assert any(
        row["top1_drop_low"] < 0
        for row in rows_of(content.encode(), "csv", table.columns)
        if row["top1_drop"]
    )
    assert "'-" not in content.replace(f"'{name}", "")


def test_what_is_absent_is_an_empty_field_and_an_empty_text_is_not() -> None:
    columns = tuple(
        Column(name=f'a "{kind}"', kind=kind, meaning="") for kind in ("text", "whole", "number", "flag")
    )
    rows = [('b,"c"\nd', -1, 0.1, True), ("", 0, 1e-7, False), (None, None, None, None)]
    table = DataTable(name="t", columns=columns, blocks=(tuple(zip(*rows, strict=True)),), about={})
    assert written(table, "csv") == (
        b'"a ""text""","a ""whole""","a ""number""","a ""flag"""\n'
        b'"b,""c""\nd",-1,0.1,"true"\n'
        b'"",0,1e-07,"false"\n'
        b",,,\n"
    )


# ---------------------------------------------------------------- files


def test_the_command_writes_both_tables_in_each_format_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    folder = write_run(tmp_path / "run", three())
    done = CliRunner().invoke(
        app, ["report", str(folder), "--data", "csv", "--data", "parquet", "--data", "csv"]
    )
    assert done.exit_code == 0, done.output
    files = {path.name for path in (folder / "data").iterdir()}
    assert files == {
        *("configurations.csv", "samples.csv", "columns.csv", "configurations.parquet", "samples.parquet"),
    }
    said = [Path(line) for line in done.output.splitlines()]
    assert {path.name for path in said if path.parent.name == "data"} == files
    assert (folder / "results.json").exists()


def test_without_the_option_there_is_no_data(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", three())
    assert CliRunner().invoke(app, ["report", str(folder), "--to", str(tmp_path / "to")]).exit_code == 0
    assert not (tmp_path / "to" / "data").exists()


def test_a_journal_that_cannot_be_read_to_its_end_leaves_the_old_file(tmp_path: Path) -> None:
    folder = write_run(tmp_path, three())
    summary, recommendation = chosen(read(folder))
    writing.write_data(folder, folder, summary, recommendation, ["csv"])
    before = (folder / "data" / "samples.csv").read_bytes()
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    (folder / JOURNAL).write_bytes(b"".join([*lines[:-3], b"half\n", *lines[-3:]]))
    with pytest.raises(InputError, match=rf"{JOURNAL}: line {len(lines) - 2}: "):
        writing.write_data(folder, folder, summary, recommendation, ["csv"])
    assert (folder / "data" / "samples.csv").read_bytes() == before
    assert sorted(path.name for path in (folder / "data").iterdir()) == [
        *("columns.csv", "configurations.csv", "samples.csv"),
    ]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path, three())
    (folder / "data").write_text("a file")
    with pytest.raises(PerftoolError, match=r"data/configurations.csv: cannot be written: ") as error:
        writing.write_data(folder, folder, *chosen(read(folder)), ["csv"])
    assert "\n" not in str(error.value)


def test_without_pyarrow_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'perftool\[parquet\]'"):
        writing.check(["parquet"])
    writing.check(["csv"])


# ---------------------------------------------------------------- entry by entry


def test_a_run_is_streamed_as_it_is_read(tmp_path: Path) -> None:
    folder = write_run(tmp_path, nine())
    assert tuple(stream(folder)) == tuple(stream(folder / JOURNAL)) == read(folder).entries
    with (folder / JOURNAL).open("ab") as journal:
        journal.write(b'{"at_ns":1,"rec')
    assert tuple(stream(folder)) == read(folder).entries
    held = msgspec.json.encode(read(folder).entries, enc_hook=list)  # A visit's samples are an array.
    assert held == msgspec.json.encode(nine().entries)
