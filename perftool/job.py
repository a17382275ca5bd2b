"""What a child is asked: the jobs that `bench.worker` carries out.

Values only, as in `spec`. What a child answers is in `record`.
"""

from typing import Literal

from msgspec import Struct

from perftool.spec import (
    ClosedLoad,
    Configuration,
    Convention,
    Count,
    Images,
    ModelSource,
    Open,
    Positive,
    Precision,
    ReferenceModel,
    Setting,
    WeightedModel,
    WeightFormat,
)


class Probe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="probe"):
    """Ask what each device supports; without any named, each hardware device that answers."""

    devices: tuple[str, ...]


class Describe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="describe"):
    """Count a model's operations, parameters and activations."""

    model: ModelSource


class Build(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="build"):
    """Write a built-in model as an IR file."""

    model: ReferenceModel | WeightedModel
    convention: Convention
    batch: Count
    output: str


class Freeze(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="freeze"):
    """Turn a TensorFlow checkpoint of a built-in model into a frozen graph, in the original convention."""

    name: str
    checkpoint: str
    output: str


class Convert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="convert"):
    """Write a model as an IR file that takes BGR images, 0..255."""

    model: ModelSource
    output: str


class Verify(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="verify"):
    """Run the same images through two models, each fed by its own convention, in f32 on a device."""

    first: ModelSource
    second: ModelSource
    images: Images
    device: str


class Quantization(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How INT8 is made. `ignored` are layers that stay in floating point: names, or regular expressions.

    `target` is the device that NNCF makes its choices for.
    """

    calibration: Images
    preset: Literal["MIXED", "PERFORMANCE"] = "MIXED"
    fast_bias_correction: bool = True
    ignored: tuple[str, ...] = ()
    target: Literal["ANY", "CPU", "GPU", "NPU", "CPU_SPR"] = "ANY"


class Prepare(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="prepare"):
    """Make one model file, or find it in the cache. `quantization` is read for int8 alone."""

    model: ModelSource
    weight_format: WeightFormat
    quantization: Quantization
    cache: str


class Rank(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rank"):
    """Measure the error that each quantized layer adds, from one pass of images through the float model.

    The first `most` images that can be read are taken.
    """

    float_path: str
    int8_path: str
    images: Images
    most: Count


class Revert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="revert"):
    """Write an INT8 model with the named layers back in floating point."""

    float_path: str
    int8_path: str
    layers: tuple[str, ...]
    output: str


class Inspect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="inspect"):
    """Say what a model file takes and gives."""

    path: str


class Rewrite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rewrite"):
    """Write an IR again at another batch, with its weights and element types as they are."""

    source: str
    batch: Count
    output: str


class ControlAccuracy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="control"):
    """Have NNCF quantize within a bound on the loss of top-1, in percentage points, judged on the CPU."""

    float_path: str
    quantization: Quantization
    images: Images
    labelled: bool
    max_drop_pp: float
    output: str


class Compile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="compile"):
    """Compile a configuration in this process, which then serves its visits."""

    configuration: Configuration
    model_path: str
    inputs: Images
    incarnation: int


class Visit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="visit"):
    """Measure one burst of the compiled configuration."""

    load: ClosedLoad
    round: int
    position: int
    visit_seconds: Positive
    completions_per_request: Count
    warmup_ceiling_seconds: Positive


class Offer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="offer"):
    """Offer the compiled configuration requests at a rate; the window holds at least `arrivals` of them."""

    load: Open
    round: int
    position: int
    visit_seconds: Positive
    arrivals: Count
    warmup_ceiling_seconds: Positive


class Evaluate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="evaluate"):
    """Classify images: once per model file, device and resolved inference precision.

    `labelled` is false where the images' classes are not the model's: agreement is all that counts then.
    `cache` is the folder where the classes of each image are kept, so that an evaluation goes on where it was
    stopped.
    """

    model_path: str
    weight_format: WeightFormat
    device: str
    precision: Precision | Literal["default"]
    setting: Setting
    images: Images
    labelled: bool
    cache: str


class Beside(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another configuration, and its model, whose layers are timed in turns with a first one's."""

    configuration: Configuration
    model_path: str


class TimeLayers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="layers"):
    """Time each layer of a configuration, in a process of its own: the runtime's counters cost time.

    Requests run with counters and without them in turns, for about `seconds` each in all. Where there is a
    second configuration, it takes turns with the first, and the answer is LayersCompared.
    """

    configuration: Configuration
    model_path: str
    inputs: Images
    seconds: Positive
    beside: Beside | None = None


class MeasurePeaks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="peaks"):
    """Measure what a device can do at most: operations per second in each precision, bytes per second.

    The kernels share about `seconds` among them; compiling comes on top.
    """

    device: str
    seconds: Positive


Job = (
    Probe
    | Describe
    | Build
    | Freeze
    | Convert
    | Verify
    | Prepare
    | Rank
    | Revert
    | Inspect
    | Rewrite
    | ControlAccuracy
    | Compile
    | Visit
    | Offer
    | Evaluate
    | TimeLayers
    | MeasurePeaks
)
