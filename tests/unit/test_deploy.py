"""What every format writes: whole against goldens, and read back by strict readers.

After a wanted change write the goldens anew: the test names the file that differs, and its text is what
`shown` returns.
"""

import ast
import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
from choices import choice, one
from journals import EVALUATIONS, NINE, Journal, Measured
from markdown_it import MarkdownIt
from pbtxt import parse

from perftool.deploy import benchmark_app, bundle, openvino, ovms, triton
from perftool.deploy.choice import Copy, Exported
from perftool.deploy.manifest import MANIFEST, Manifest
from perftool.errors import InputError
from perftool.record import Port

GOLDENS = Path(__file__).parent / "goldens" / "deploy"


def shown(exported: Exported) -> str:
    """Show all files of an export one after the other, and what it says beside them."""
    parts = [f"note: {note}\n" for note in exported.notes]
    for name, content in sorted(exported.files.items()):
        text = f"(copy of {content.source})\n" if isinstance(content, Copy) else content.decode()
        parts.append(f"======== {name}\n{text}")
    return "".join(parts)


@pytest.mark.parametrize(
    ("name", "exported"),
    [
        ("openvino-int8.txt", openvino.export(choice())),
        ("openvino-resize-crop.txt", openvino.export(choice("cpu-int8-b4-s1", geometry="resize-crop"))),
        ("openvino-resize.txt", openvino.export(choice(geometry="resize", labels=()))),
        ("benchmark_app-int8.txt", benchmark_app.export(choice())),
        ("benchmark_app-hint.txt", benchmark_app.export(choice("cpu-baseline-throughput"))),
        ("ovms-int8.txt", ovms.export(choice("cpu-int8-b4-s1"))),
        ("ovms-hint.txt", ovms.export(choice("cpu-baseline-latency"))),
        ("triton-int8.txt", triton.export(choice("cpu-int8-b4-s1"))),
        ("triton-bf16.txt", triton.export(choice("cpu-bf16-b1-s2"))),
        ("triton-hint.txt", triton.export(choice("cpu-baseline-throughput"))),
        ("bundle-int8.txt", bundle.export(choice())),
        ("bundle-fp32.txt", bundle.export(choice("cpu-fp32-b1-s1", labels=(), licence=None))),
    ],
)
def test_goldens(name: str, exported: Exported) -> None:
    assert shown(exported) == (GOLDENS / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------- openvino


@pytest.mark.parametrize("geometry", ["central-crop", "resize-crop", "resize"])
def test_the_program_is_short_python_without_perftool(geometry: Any) -> None:
    text = text_of(openvino.export(choice(geometry=geometry)), "run.py")
    tree = ast.parse(text)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"json", "sys", "cv2", "numpy", "openvino"}
    assert len([line for line in text.splitlines() if line]) <= 30


def test_compile_json_holds_what_was_compiled_and_nothing_of_the_measuring_machine() -> None:
    value = json.loads(text_of(openvino.export(choice()), "compile.json"))
    assert value["device"] == "CPU"
    assert value["properties"] == choice().result.properties
    assert "CACHE_DIR" not in value["properties"]


def test_images_of_8_bits_with_channels_last_are_fed_as_rgb() -> None:
    port = Port(name="input", element="u8", shape=(1, 224, 192, 3))
    text = text_of(openvino.export(choice(input=port, geometry="resize")), "run.py")
    assert "(192, 224)" in text and "image[:, :, ::-1]" in text and "np.uint8" in text


def test_unknown_labels_are_left_out_and_that_is_said() -> None:
    exported = openvino.export(choice(labels=()))
    assert "labels.txt" not in exported.files
    assert any("labels.txt" in note for note in exported.notes)


@pytest.mark.parametrize(
    "name",
    [*(f"b{end}c" for end in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), "b\r\nc", "b\n", "\n", "", "b\udce4c"],
)
@pytest.mark.parametrize("export", [openvino.export, bundle.export])
def test_a_class_name_that_would_shift_the_labels_below_it_is_refused(name: str, export: Any) -> None:
    with pytest.raises(InputError, match=r"class 1 is named .* rename its folder") as caught:
        export(choice(labels=("background", name, "second")))
    assert len(str(caught.value).splitlines()) == 1 and str(caught.value).isascii()


def test_the_program_parts_labels_by_line_feeds_alone(tmp_path: Path) -> None:
    """Whatever a label holds, the next one stays that of the next class."""
    text = text_of(openvino.export(choice()), "run.py")
    (line,) = (line for line in text.splitlines() if line.startswith("names = "))
    names = ("\x1fone", "two\x85half", "three\u2028half", "four\rhalf", "ü", " six ")
    (tmp_path / "labels.txt").write_bytes("".join(f"{name}\n" for name in names).encode())
    found: dict[str, Any] = {"labels": tmp_path / "labels.txt"}
    exec(line, found)
    assert tuple(found["names"][: len(names)]) == names


# ---------------------------------------------------------------- benchmark_app


def test_benchmark_app_gets_the_batch_the_requests_and_no_hint_beside_stated_properties() -> None:
    exported = benchmark_app.export(choice("cpu-int8-b4-s1"))
    words = shlex.split(text_of(exported, "command.txt"))
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert words[0] == "benchmark_app" and options["-m"] in exported.files
    assert (options["-b"], options["-nireq"], options["-hint"], options["-api"]) == ("4", "1", "none", "sync")
    config = json.loads(text_of(exported, options["-load_config"]))
    assert config == {"CPU": choice("cpu-int8-b4-s1").result.properties}


def test_a_hint_goes_into_the_file_and_leaves_the_requests_to_the_device() -> None:
    exported = benchmark_app.export(choice("cpu-baseline-throughput"))
    words = shlex.split(text_of(exported, "command.txt"))
    assert "-nireq" not in words and "-hint" not in words
    assert json.loads(text_of(exported, "load_config.json")) == {"CPU": {"PERFORMANCE_HINT": "THROUGHPUT"}}


# ---------------------------------------------------------------- OVMS


def read_ovms(text: str) -> dict[str, Any]:
    """Read a config.json as strictly as the server's schema does; return the one model's config."""
    value = json.loads(text)
    assert value.keys() == {"model_config_list"}
    (entry,) = value["model_config_list"]
    assert entry.keys() == {"config"}
    config: dict[str, Any] = entry["config"]
    kinds = {
        "name": str,
        "base_path": str,
        "target_device": str,
        "batch_size": int,
        "nireq": int,
        "plugin_config": dict,
    }
    assert config.keys() <= kinds.keys()
    assert {"name", "base_path"} <= config.keys()
    for key, found in config.items():
        assert type(found) is kinds[key], key
    properties = config["plugin_config"]
    assert all(isinstance(found, str) for found in properties.values())
    assert not {"NUM_STREAMS", "PERFORMANCE_HINT"} <= properties.keys()
    assert config["nireq"] >= int(properties.get("NUM_STREAMS", 1))
    return config


@pytest.mark.parametrize("id", ["cpu-int8-b4-s1", "cpu-bf16-b1-s2", "cpu-fp32-b1-s1", "cpu-baseline-latency"])
def test_ovms_gets_every_property_and_a_repository(id: str) -> None:
    exported = ovms.export(choice(id))
    config = read_ovms(text_of(exported, "config.json"))
    assert config["plugin_config"] == choice(id).result.properties
    assert f"{config['base_path']}/1/model.xml" in exported.files
    assert f"{config['base_path']}/1/model.bin" in exported.files
    assert config["batch_size"] == choice(id).configuration.batch


@pytest.mark.parametrize(
    ("change", "streams", "words"),
    [
        ({"mean": [1.0]}, 1, "mean"),
        ({"plugin_config": {"NUM_STREAMS": "2", "PERFORMANCE_HINT": "LATENCY"}}, 2, "not both"),
        ({"nireq": 1}, 2, "1 for 2"),
    ],
)
def test_what_ovms_would_refuse_is_refused(change: dict[str, Any], streams: int, words: str) -> None:
    model = {"name": "m", "base_path": "m", "nireq": 2, "plugin_config": {}}
    ovms.check(model, 2)
    with pytest.raises(InputError, match=words):
        ovms.check({**model, **change}, streams)


# ---------------------------------------------------------------- Triton


def test_triton_says_all_that_it_can() -> None:
    config = parse(text_of(triton.export(choice("cpu-bf16-b1-s2")), "googlenet-v4-tf/config.pbtxt"))
    assert config["name"] == "googlenet-v4-tf" and config["backend"] == "openvino"
    assert config["parameters"] == {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "2", "HINT_BF16": "YES"}
    assert config["instance_group"] == [{"count": 2, "kind": "KIND_CPU"}]
    assert config["input"] == [{"name": "data", "data_type": "TYPE_FP32", "dims": [1, 3, 299, 299]}]
    assert config["max_batch_size"] == 0


def test_triton_carries_the_batch_in_its_shapes() -> None:
    config = parse(text_of(triton.export(choice("cpu-int8-b4-s1")), "googlenet-v4-tf/config.pbtxt"))
    assert config["input"][0]["dims"] == [4, 3, 299, 299]
    assert config["output"][0]["dims"] == [4, 1001]


def test_triton_refuses_f32_where_the_device_takes_bf16() -> None:
    with pytest.raises(InputError, match="cannot force f32: cpu-fp32-b1-s1 would run in bf16"):
        triton.export(choice("cpu-fp32-b1-s1"))
    with pytest.raises(InputError, match="cannot force f32"):
        triton.export(choice("cpu-fp16-b1-s1"))


@pytest.mark.parametrize(
    ("id", "default", "words"),
    [
        ("cpu-fp32-b1-s1", "f32", "another one may not"),
        ("cpu-fp32-b1-s1", None, "is not known"),
        ("cpu-int8-b1-s2", "bf16", "what is not quantized runs in bf16"),
    ],
)
def test_what_triton_cannot_say_stands_in_the_file_and_in_the_notes(
    id: str, default: str | None, words: str
) -> None:
    exported = triton.export(choice(id, default_precision=default))
    text = text_of(exported, "googlenet-v4-tf/config.pbtxt")
    comments = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("#")]
    assert tuple(comments) == exported.notes
    assert any(words in note for note in exported.notes)


def test_every_property_is_said_to_triton_or_said_to_be_lost() -> None:
    properties = {"ENABLE_CPU_PINNING": "YES", "SCHEDULING_CORE_TYPE": "PCORE_ONLY", "NUM_STREAMS": "2"}
    lost = msgspec.structs.replace(
        choice(), result=msgspec.structs.replace(choice().result, properties=properties)
    )
    text = " ".join(triton.export(lost).notes)
    assert "ENABLE_CPU_PINNING=YES" in text and "SCHEDULING_CORE_TYPE=PCORE_ONLY" in text


def test_names_are_quoted_for_protobuf() -> None:
    port = Port(name='a "b"\\c', element="f32", shape=(1, 3, 8, 8))
    exported = triton.export(choice(input=port))
    config = parse(text_of(exported, "googlenet-v4-tf/config.pbtxt"))
    assert config["input"][0]["name"] == 'a "b"\\c'


# ---------------------------------------------------------------- the bundle


def test_the_manifest_names_every_other_file_with_its_hash_and_size() -> None:
    exported = bundle.export(choice())
    manifest = manifest_of(exported)
    assert manifest.files.keys() == exported.files.keys() - {MANIFEST}
    for name, stated in manifest.files.items():
        content = exported.files[name]
        if isinstance(content, Copy):
            assert (stated.sha256, stated.bytes) == (content.sha256, content.bytes)
        else:
            assert (stated.sha256, stated.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert manifest.model.file in exported.files


def test_the_manifest_claims_what_the_run_measured_and_says_of_what() -> None:
    manifest = manifest_of(bundle.export(choice()))
    result = choice().result
    assert manifest.claim.throughput_fps == result.throughput_fps
    assert manifest.claim.latency_ms == result.latency_intervals_ms
    assert manifest.claim.accuracy == result.accuracy
    assert manifest.claim.executed_precision == "int8"
    assert "reference weights" in manifest.model.weights
    assert manifest.claim.accuracy_of == "reference weights on synthetic images"
    assert manifest.host == choice().host and manifest.model.digest == "ab" * 32


def test_a_bundle_leaves_out_what_a_server_cannot_carry_and_says_so() -> None:
    exported = bundle.export(choice("cpu-fp32-b1-s1"))
    assert not any(name.endswith("config.pbtxt") for name in exported.files)
    assert any("no config.pbtxt: Triton cannot force f32" in note for note in exported.notes)
    assert "no config.pbtxt" in text_of(exported, "README.md")
    assert "config.json" in exported.files


@pytest.mark.parametrize(
    "foreign",
    [
        "x\n\n## Fake\n<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        "`code` ``` and <b>",
        "[a](http://elsewhere) ![b](http://elsewhere)",
        "```\r\n# x",
        "*x* __y__ \\` & &lt; | ~~z~~",
        "`",
        " x ",
        "x\u2028# y",
        "",
    ],
)
def test_names_in_a_bundles_readme_are_shown_as_they_are_and_are_no_markup(foreign: str) -> None:
    port = Port(name=foreign, element="f32", shape=(1, 3, 299, 299))
    named = choice(run=Journal(NINE, EVALUATIONS, name=foreign).run(), input=port, licence=foreign)
    named = msgspec.structs.replace(
        named,
        run=msgspec.structs.replace(
            named.run, id=foreign, accuracy_of=f"weights on the images in {foreign}/"
        ),
        host=msgspec.structs.replace(named.host, cpu=foreign),
    )
    tokens = MarkdownIt("commonmark", {"html": True}).parse(text_of(bundle.export(named), "README.md"))
    inline = [child for token in tokens for child in token.children or ()]
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", "h2", "h2"]
    kinds = {token.type for token in (*tokens, *inline)}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "fence", "code_block"}
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in foreign) or "(no name)"
    # The model, the processor, the run and the input.
    assert [child.content for child in inline if child.type == "code_inline"].count(shown) == 4


def test_control_characters_cannot_leave_a_string_of_config_pbtxt() -> None:
    port = Port(name='in"\n\rput\x00\t', element="f32", shape=(1, 3, 8, 8))
    text = text_of(triton.export(choice(input=port)), "googlenet-v4-tf/config.pbtxt")
    assert r'"in\"\n\015put\000\011"' in text
    assert all(letter.isprintable() for letter in text if letter != "\n")


def test_the_parts_of_a_bundle_find_the_model() -> None:
    exported = bundle.export(choice())
    model = manifest_of(exported).model.file
    assert f'"{model}"' in text_of(exported, "run.py")
    assert f"../{model}" in text_of(exported, "benchmark_app/command.txt")
    config = read_ovms(text_of(exported, "config.json"))
    assert f"{config['base_path']}/1/model.xml" == model


@pytest.mark.parametrize("name", ["config.json", "export.json", "x" * 300, "." * 99 + "x." + "y" * 300])
@pytest.mark.parametrize("format", [ovms, triton])
def test_a_models_folder_has_a_name_that_is_free_and_not_too_long(name: str, format: Any) -> None:
    model = msgspec.structs.replace(choice().model, name=name)
    exported = format.export(msgspec.structs.replace(choice(), model=model))
    folders = {path.split("/")[0] for path in exported.files if "/" in path}
    assert len(folders) == 1 and not folders & {*exported.files, "export.json"}
    assert all(len(part) <= 110 for path in exported.files for part in path.split("/"))


@pytest.mark.parametrize("name", ["../../etc", "a b/c", "..", "модель", ""])
def test_a_models_name_cannot_lead_out_of_the_folder(name: str) -> None:
    model = msgspec.structs.replace(choice().model, name=name)
    exported = bundle.export(msgspec.structs.replace(choice(), model=model))
    for path in exported.files:
        assert ".." not in path.split("/") and not path.startswith("/") and "" not in path.split("/")
    assert manifest_of(exported).model.name == name


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "a//b", ".", "..", "a/", "", "a\\b", "a/./b"]
)
def test_a_manifest_with_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    value = msgspec.to_builtins(manifest_of(bundle.export(choice())))
    value["files"][path] = {"sha256": "00" * 32, "bytes": 1}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(value), type=Manifest)


def test_what_was_not_measured_claims_nothing() -> None:
    failed = msgspec.structs.replace(
        choice(), result=msgspec.structs.replace(choice().result, throughput_fps=None)
    )
    with pytest.raises(InputError, match="nothing to claim"):
        bundle.export(failed)


def test_one_configuration_alone_can_be_exported() -> None:
    exported = bundle.export(one(Measured(precision="INT8", streams=2)))
    assert manifest_of(exported).claim.throughput_fps.point > 0


def text_of(exported: Exported, name: str) -> str:
    content = exported.files[name]
    assert isinstance(content, bytes)
    return content.decode()


def manifest_of(exported: Exported) -> Manifest:
    return msgspec.json.decode(text_of(exported, MANIFEST), type=Manifest)
