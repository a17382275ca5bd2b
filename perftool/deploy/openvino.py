"""A choice for OpenVINO's own API: the model, what to hand to `compile_model`, a program that uses both.

The program needs openvino, numpy and OpenCV, and no perftool. How many requests an application keeps in
flight is no property of a compiled model, so that stands in the program's head.
"""

import msgspec

from perftool.deploy.choice import MODEL, Choice, Exported, label_file, model_files
from perftool.spec import Geometry

COMPILE = "compile.json"
PROGRAM = "run.py"

_HEAD = '''\
"""Classify an image: python run.py IMAGE. Measured with {requests} in flight, batch {batch}."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import openvino as ov

if len(sys.argv) != 2 or (image := cv2.imread(sys.argv[1])) is None:
    sys.exit("usage: python run.py IMAGE, one that OpenCV reads")
here = Path(__file__).resolve().parent
how = json.loads((here / "{compile}").read_text("utf-8"))
model = ov.Core().compile_model(here / "{model}", how["device"], how["properties"])
'''

#: How each geometry cuts an image; as `images.sets.preprocess` does.
_CUTS: dict[Geometry, str] = {
    "central-crop": """\
rows, columns = (max(1, int(side * 0.875)) for side in image.shape[:2])
top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
image = image[top : top + rows, left : left + columns]
image = cv2.resize(image, ({width}, {height}), interpolation=cv2.INTER_LINEAR)
""",
    "resize-crop": """\
rows, columns = image.shape[:2]
if rows * {wide} <= columns * {high}:
    size = {high} * columns // rows, {high}
else:
    size = {wide}, {wide} * rows // columns
image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
top, left = round((image.shape[0] - {height}) / 2), round((image.shape[1] - {width}) / 2)
image = image[top : top + {height}, left : left + {width}]
""",
    "resize": """\
image = cv2.resize(image, ({width}, {height}), interpolation=cv2.INTER_LINEAR)
""",
}

_TAIL = """\
batch = np.repeat({laid_out}[np.newaxis], {batch}, axis=0).astype(np.{element})
scores = model(batch)[0][0].reshape(-1)
labels = here / "labels.txt"
names = labels.read_bytes().decode().split("\\n") if labels.exists() else []
for index in scores.argsort()[::-1][:5]:
    print(f"{{index:5d}} {{scores[index]:.4f}} {{names[index] if index < len(names) else ''}}".rstrip())
"""

_ELEMENTS = {"f32": "float32", "f16": "float16", "u8": "uint8"}

#: What resize-crop scales to, by what it keeps of that; as `images.sets.SCALED`.
_SCALED = (256, 224)


def export(choice: Choice) -> Exported:
    """Return the model, compile.json, run.py, and labels.txt where the classes' names are known."""
    labels, unknown = label_file(choice)
    files = {
        **model_files(choice),
        COMPILE: compile_json(choice),
        PROGRAM: program(choice, MODEL),
        **labels,
    }
    return Exported(files=files, notes=(*notes(choice), *unknown))


def notes(choice: Choice) -> tuple[str, ...]:
    """Say what these files leave to the application."""
    if choice.requests == 1 and choice.configuration.batch == 1:
        return ()
    return (
        f"run.py classifies one image at a time; the throughput was measured with {_requests(choice)} in "
        f"flight (AsyncInferQueue), each of {choice.configuration.batch} "
        f"image{'s' if choice.configuration.batch > 1 else ''}",
    )


def compile_json(choice: Choice) -> bytes:
    """Return the device and the properties, as `compile_model` takes them."""
    value = {"device": choice.configuration.device, "properties": choice.result.properties}
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def program(choice: Choice, model: str) -> bytes:
    """Return the program; `model` is where it finds the model file, from its own folder."""
    channels_first = choice.input.shape[1] == 3
    height, width = choice.input.shape[2:] if channels_first else choice.input.shape[1:3]
    high, wide = (round(side * _SCALED[0] / _SCALED[1]) for side in (height, width))
    # As `images.sets.to_input`: NHWC inputs of 8 bits come from TFLite, whose models are made for RGB.
    last = "image[:, :, ::-1]" if choice.input.element == "u8" else "image"
    batch = choice.configuration.batch
    head = _HEAD.format(requests=_requests(choice), batch=batch, compile=COMPILE, model=model)
    cut = _CUTS[choice.geometry].format(height=height, width=width, high=high, wide=wide)
    tail = _TAIL.format(
        laid_out="image.transpose(2, 0, 1)" if channels_first else last,
        batch=batch,
        element=_ELEMENTS[choice.input.element],
    )
    return (head + cut + tail).encode()


def _requests(choice: Choice) -> str:
    return f"{choice.requests} request{'s' if choice.requests > 1 else ''}"
