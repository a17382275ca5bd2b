"""Profiles: the shipped ones, faults in the words of the file's author, overriding, writing back."""

import json
import math
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perftool.errors import InputError, UsageError
from perftool.spec import (
    Accuracy,
    Bound,
    Builtin,
    Dataset,
    Grid,
    ImageCounts,
    Limits,
    ModelFile,
    Policy,
    Profile,
    ReferenceModel,
    WeightedModel,
)
from perftool.sweep.profile import load_profile, override, rewished, schema_text, shipped, to_toml

FOLDER = Path(__file__).parents[2] / "profiles"
HEAD = 'name = "mine"\n'
GRID = "[[grids]]\n"


def fault(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "my.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as caught:
        load_profile(str(path))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_the_shipped_profiles_are_these() -> None:
    assert shipped() == ("full", "latency", "quick", "serving", "throughput", "wide")
    for name in shipped():
        assert load_profile(name).name == name


def test_quick_is_the_plan_that_fits_five_minutes() -> None:
    quick = load_profile("quick")
    assert quick.grids == (
        Grid(precisions=("FP32", "FP16", "BF16", "INT8"), batches=(1,), streams=(1, 2)),
        Grid(precisions=("BF16", "INT8"), batches=(4,), streams=(1,)),
    )
    assert (quick.policy.rounds, quick.policy.incarnations, quick.policy.visit_seconds) == (6, 2, 1.5)
    assert quick.accuracy.synthetic == ImageCounts(calibration=32, evaluation=200)


def test_shipped_profiles_name_their_schema() -> None:
    for path in FOLDER.glob("*.toml"):
        assert path.read_text().startswith("#:schema ./profile.schema.json\n")


def test_the_schema_is_not_stale() -> None:
    again = (
        'python -c "from pathlib import Path; from perftool.sweep.profile import schema_text; '
        "Path('profiles/profile.schema.json').write_text(schema_text())\""
    )
    assert (FOLDER / "profile.schema.json").read_text() == schema_text(), f"make it again: {again}"


def test_the_schema_knows_the_fields() -> None:
    schema = json.loads(schema_text())
    assert set(schema["$defs"]["Profile"]["properties"]) == set(Profile.__struct_fields__)


def test_profiles_of_an_installed_package_are_found(tmp_path: Path) -> None:
    package = tmp_path / "perftool"
    source = FOLDER.parent / "perftool"
    parts = [source, source / "sweep", source / "analysis"]
    for path in [path for part in parts for path in part.glob("*.py")]:
        copy = package / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (package / "profiles").mkdir()
    (package / "profiles" / "only.toml").write_text(HEAD + GRID)
    code = "from perftool.sweep.profile import *; assert shipped() == ('only',); load_profile('only')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"quik: no such profile file, .*\(full, .*\), did you mean quick\?"):
        load_profile("quik")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("batches = [1, 0]", "grids[0].batches[1]: expected an integer >= 1, got 0"),
        ("batches = [2.5]", "grids[0].batches[0]: expected an integer >= 1, got 2.5"),
        ("batches = 1", "grids[0].batches: expected a list, each entry an integer >= 1, got 1"),
        ("batches = []", "grids[0].batches: expected at least one entry, got an empty list"),
        ("batchs = [1]", "grids[0].batchs: unknown field; did you mean batches?"),
        (
            "xyz = 1",
            "grids[0].xyz: unknown field; known here are devices, precisions, batches, "
            "streams, threads, requests, pinning, hyper_threading, core_types, rest_precisions",
        ),
        (
            'precisions = ["FP31"]',
            'grids[0].precisions[0]: expected one of "BF16", "FP16", "FP32", "INT8", got "FP31"',
        ),
        ("streams = [true]", 'grids[0].streams[0]: expected an integer >= 1 or "auto", got true'),
        ("pinning = [1]", "grids[0].pinning[0]: expected true or false, got 1"),
        ('pinning = ["yes"]', 'grids[0].pinning[0]: expected true or false, got "yes"'),
        ('hyper_threading = ["on"]', 'grids[0].hyper_threading[0]: expected true, false or "auto", got "on"'),
        ('streams = ["all"]', 'grids[0].streams[0]: expected an integer >= 1 or "auto", got "all"'),
        ("streams = [0]", 'grids[0].streams[0]: expected an integer >= 1 or "auto", got 0'),
        ("devices = [1979-05-27]", "grids[0].devices[0]: expected a string, got 1979-05-27"),
        ("[policy]\nrounds = 'six'", 'policy.rounds: expected an integer >= 1, got "six"'),
        ("[policy]\nmemory_share = 2", "policy.memory_share: expected a number > 0 and <= 1, got 2"),
        ("[policy]\nroundz = 3", "policy.roundz: unknown field; did you mean rounds?"),
        ("[limits]\nlatency_ms = 0", "limits.latency_ms: expected a number > 0, got 0"),
        (
            '[[limits.bounds]]\nmetric = "peak_rs"\nway = "<="\nvalue = 1',
            "limits.bounds[0]: peak_rs: no such metric; did you mean peak_rss?",
        ),
        (
            '[[limits.bounds]]\nmetric = "peak_rss"\nway = ">="\nvalue = 1',
            "limits.bounds[0]: peak_rss >= 1: of peak_rss lower is better, so its limit is written <=",
        ),
        (
            '[[limits.bounds]]\nmetric = "peak_rss"\nway = "<"\nvalue = 1',
            'limits.bounds[0].way: expected one of "<=", ">=", got "<"',
        ),
        ("[limits]\nlatency_ms = nan", "limits.latency_ms: expected a finite number, got nan"),
        ("[limits]\npercentile = 51", "limits.percentile: expected one of 50, 90, 95, 99, got 51"),
        (
            "[policy]\nrounds = 99999999999999999999",
            "policy.rounds: expected a number of at most 64 bits, got 99999999999999999999",
        ),
        (
            '[model]\ntype = "onnx"',
            'model.type: expected one of "reference", "weights", "file", got "onnx"',
        ),
        ('[model]\ntype = "file"', "model.path: missing; expected a string"),
        (
            '[model]\npath = "a.onnx"',
            'model.type: missing; expected one of "reference", "weights", "file"',
        ),
        (
            '[model]\ntype = "file"\npath = "a.onnx"\nname = "a"',
            "model.name: unknown field; known here are type, path, feeding",
        ),
        ('[images]\ntype = "dataset"\ndirectory = 3', "images.directory: expected a string, got 3"),
    ],
)
def test_a_fault_names_the_field_and_what_is_expected(tmp_path: Path, body: str, expected: str) -> None:
    assert fault(tmp_path, HEAD + GRID + body + "\n") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GRID, "name: missing; expected a string"),
        (HEAD, "grids: missing; expected a list, each entry a table"),
        (HEAD + "grids = []", "grids: expected at least one entry, got an empty list"),
        (
            'model = "a"\n' + HEAD + GRID,
            'model: expected a table with type one of "reference", "weights", "file", got "a"',
        ),
        ("seed = -1\n" + HEAD + GRID, "seed: expected an integer >= 0, got -1"),
        ("loads = []\n" + HEAD + GRID, "loads: expected at least one entry, got an empty list"),
        (
            'objective = "fast"\n' + HEAD + GRID,
            'objective: expected one of "efficiency", "latency", "rate", "throughput" or a table, '
            'each entry a number, got "fast"',
        ),
        (
            'objective = { throughput = "a" }\n' + HEAD + GRID,
            'objective.throughput: expected a number, got "a"',
        ),
        (
            "objective = { latency_p50 = 1, throughput = false }\n" + HEAD + GRID,
            "objective.throughput: expected a number, got false",
        ),
        (
            "objective = { throughput = 1, latency_p50 = -1 }\n" + HEAD + GRID,
            "objective: latency_p50: expected a weight above zero, got -1",
        ),
        (HEAD + "seed = = 3\n", "line 2, column 8: Invalid value"),
        (HEAD + "\nseed", "line 3: Expected '=' after a key in a key/value pair"),
        (HEAD.encode() + b"description = '\xff'", "line 2: not UTF-8, which TOML is written in"),
    ],
)
def test_a_fault_at_the_top(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert fault(tmp_path, text) == expected


def test_a_folder_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_profile(str(tmp_path))


def test_inf_lifts_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(HEAD + GRID + "[limits]\naccuracy_drop_pp = inf\nlatency_ms = inf\n")
    assert load_profile(str(path)).limits == Limits(accuracy_drop_pp=None)


# ---------------------------------------------------------------- overriding


def test_nothing_given_changes_nothing() -> None:
    for name in shipped():
        assert override(load_profile(name)) == load_profile(name)


def test_lists_are_replaced_in_every_grid_and_the_rest_stays() -> None:
    quick = load_profile("quick")
    changed = override(quick, devices=("CPU", "GPU"), batches=[2], streams=["auto", 3], threads=[1])
    assert [grid.precisions for grid in changed.grids] == [grid.precisions for grid in quick.grids]
    for grid in changed.grids:
        assert (grid.devices, grid.batches) == (("CPU", "GPU"), (2,))
        assert (grid.streams, grid.threads) == (("auto", 3), (1,))
    assert msgspec.structs.replace(changed, grids=quick.grids) == quick


def test_single_fields_are_replaced() -> None:
    source = Dataset(directory="images")
    changed = override(
        load_profile("quick"),
        model=ModelFile(path="net.onnx"),
        images=source,
        loads=["sync"],
        rounds=3,
        incarnations=1,
        visit_seconds=0.5,
        objective="latency",
        latency_ms=30,
        percentile=95,
        accuracy_drop_pp=math.inf,
        memory_mb=500,
        calibration_images=8,
        seed=7,
    )
    assert (changed.model, changed.images) == (ModelFile(path="net.onnx"), source)
    assert (changed.loads, changed.objective, changed.seed) == (("sync",), "latency", 7)
    assert changed.policy == Policy(rounds=3, incarnations=1, visit_seconds=0.5, extra_visits=24)
    assert changed.limits == Limits(latency_ms=30.0, percentile=95, accuracy_drop_pp=None, memory_mb=500.0)
    assert changed.accuracy == Accuracy(
        synthetic=ImageCounts(calibration=8, evaluation=200),
        dataset=ImageCounts(calibration=8, evaluation=1000),
    )


def test_a_wrong_option_is_named() -> None:
    quick = load_profile("quick")
    with pytest.raises(UsageError, match=r"^batches\[1\]: expected an integer >= 1, got 0$"):
        override(quick, batches=(1, 0))
    with pytest.raises(UsageError, match=r"^rounds: expected an integer >= 1, got 0$"):
        override(quick, rounds=0)
    with pytest.raises(UsageError, match=r"^evaluation_images: expected an integer >= 1, got -4$"):
        override(quick, evaluation_images=-4)
    with pytest.raises(UsageError, match=r'^precisions\[0\]: expected one of .*, got "FP8"$'):
        override(quick, precisions=("FP8",))
    with pytest.raises(UsageError, match=r"^streams: expected at least one entry"):
        override(quick, streams=())


def bound(metric: str, value: float, way: str = "<=") -> Bound:
    return Bound(metric=metric, way=way, value=value)


def test_a_limit_replaces_those_on_its_metric_and_leaves_the_others() -> None:
    own = msgspec.structs.replace(
        load_profile("quick"),
        limits=Limits(latency_ms=30, percentile=95, memory_mb=500, bounds=(bound("compile", 900),)),
    )
    tighter = override(own, bounds=(bound("latency_p95", 20), bound("throughput", 9, ">=")))
    assert tighter.limits == Limits(
        percentile=95,
        memory_mb=500,
        bounds=(bound("compile", 900), bound("latency_p95", 20), bound("throughput", 9, ">=")),
    )
    assert override(tighter, latency_ms=40).limits.latency_ms == 40
    assert bound("latency_p95", 20) not in override(tighter, latency_ms=40).limits.bounds
    lifted = override(tighter, bounds=(bound("peak_rss", math.inf), bound("compile", math.inf)))
    assert lifted.limits.memory_mb is None
    assert [one.metric for one in lifted.limits.bounds] == ["latency_p95", "throughput"]
    both = override(own, memory_mb=400, bounds=(bound("peak_rss", 450),)).limits
    assert (both.memory_mb, both.bounds[-1]) == (400, bound("peak_rss", 450)), "the stricter is held"


def test_what_is_weighed_or_limited_is_measured() -> None:
    quick = load_profile("quick")
    assert override(quick, objective={"throughput": 1.0, "latency_sync": 0.5}).loads == ("closed", "sync")
    assert override(quick, bounds=(bound("end_to_end_ratio", 0.9, ">="),)).loads == ("closed", "end_to_end")
    assert override(quick, objective={"throughput": 1.0}).loads == quick.loads


def test_choosing_again_keeps_a_runs_own_wishes_but_those_that_are_given() -> None:
    serving = override(load_profile("serving"), slo_ms=50, percentile=99)
    assert rewished(serving) == serving
    assert rewished(serving, memory_mb=300).limits == msgspec.structs.replace(serving.limits, memory_mb=300)
    other = rewished(serving, objective="throughput")
    assert (other.objective, other.limits.slo_ms) == ("throughput", None)
    with pytest.raises(UsageError, match="--objective rate goes with --slo-ms"):
        rewished(load_profile("quick"), objective="rate")


# ---------------------------------------------------------------- writing back

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
count = st.integers(1, 10**6)
positive = st.floats(1e-6, 1e9)
optional_text = st.none() | text
numbers = st.lists(count | st.just("auto"), min_size=1, max_size=3).map(tuple)
image_counts = st.builds(ImageCounts, calibration=count, evaluation=count)
profile_values = st.builds(
    Profile,
    name=text,
    description=text,
    model=st.builds(ReferenceModel, name=text)
    | st.builds(WeightedModel, name=text, weights=text)
    | st.builds(ModelFile, path=text),
    images=st.builds(Builtin)
    | st.builds(Dataset, directory=text, labels=optional_text, calibration=optional_text),
    grids=st.lists(
        st.builds(
            Grid,
            devices=st.lists(text, min_size=1, max_size=2).map(tuple),
            precisions=st.lists(st.sampled_from(["FP32", "BF16"]), min_size=1, max_size=2).map(tuple),
            batches=st.lists(count, min_size=1, max_size=3).map(tuple),
            streams=numbers,
            threads=numbers,
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    loads=st.sampled_from([("closed",), ("sync",), ("sync", "closed")]),
    policy=st.builds(
        Policy,
        rounds=count,
        incarnations=count,
        visit_seconds=positive,
        memory_share=st.floats(1e-6, 1.0),
    ),
    accuracy=st.builds(Accuracy, synthetic=image_counts, dataset=image_counts),
    objective=st.sampled_from(["throughput", "latency", "efficiency"])
    | st.dictionaries(st.sampled_from(["throughput", "latency_p50", "peak_rss"]), positive, min_size=1),
    limits=st.builds(
        Limits,
        latency_ms=st.none() | positive,
        percentile=st.sampled_from([50, 90, 95, 99]),
        accuracy_drop_pp=st.none() | st.floats(-100, 100),
        memory_mb=st.none() | positive,
        bounds=st.lists(
            st.builds(Bound, metric=st.just("latency_p90"), way=st.just("<="), value=positive)
            | st.builds(Bound, metric=st.just("throughput"), way=st.just(">="), value=positive),
            max_size=2,
        ).map(tuple),
    ),
    seed=st.integers(0, 2**63 - 1),
)


def test_a_null_character_in_a_path_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('name = "n"\n[[grids]]\n[model]\ntype = "file"\npath = "~\\u0000/m.xml"\n')
    with pytest.raises(InputError, match=r"p\.toml: .*no path holds a null character"):
        load_profile(str(path))


@settings(deadline=None)
@given(profile_values)
def test_what_is_written_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, profile: Profile
) -> None:
    path = tmp_path_factory.mktemp("profile") / "profile.toml"
    path.write_bytes(to_toml(profile).encode())
    read = load_profile(str(path))
    assert msgspec.structs.replace(read, model=profile.model, images=profile.images) == profile
    path.write_bytes(to_toml(read).encode())
    assert load_profile(str(path)) == read


def test_a_profile_names_its_files_from_its_own_folder(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\n[[grids]]\n[model]\ntype = "file"\npath = "model.xml"\n'
        '[images]\ntype = "dataset"\ndirectory = "images"\n'
    )
    read = load_profile(str(path))
    assert read.model == ModelFile(path=str(tmp_path / "model.xml"))
    assert read.images == Dataset(directory=str(tmp_path / "images"))
