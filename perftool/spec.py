"""What to do: models, images, configurations, loads, profiles, and the jobs that a child runs.

Values only. Nothing here reads a file, asks a device or formats text; `sweep.profile` reads profiles,
`sweep.plan` expands them, `bench.worker` carries jobs out.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

# ---------------------------------------------------------------- what a model is and comes from

Precision = Literal["FP32", "FP16", "BF16", "INT8"]
InferencePrecision = Literal["f32", "f16", "bf16"]
WeightFormat = Literal["fp32", "fp16", "int8"]
Convention = Literal["original", "converted"]

#: The file that a precision is shipped as. BF16 is the FP32 file executed in bf16.
WEIGHT_FORMAT: dict[Precision, WeightFormat] = {
    "FP32": "fp32",
    "FP16": "fp16",
    "BF16": "fp32",
    "INT8": "int8",
}


class ReferenceModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="reference"):
    """A model that perftool builds, with its own seeded reference weights."""

    name: str


class WeightedModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="weights"):
    """A model that perftool builds from a file of weights (.npz of TF-slim variables)."""

    name: str
    weights: str


class ModelFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="file"):
    """A model file that OpenVINO reads: IR, ONNX, TFLite, a frozen graph, Paddle."""

    path: str


ModelSource = ReferenceModel | WeightedModel | ModelFile


class SyntheticImages(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="synthetic"):
    """The first `count` built-in images of one part; the parts never overlap."""

    part: Literal["calibration", "evaluation"]
    count: Annotated[int, Meta(ge=1)]


class ImageFiles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="files"):
    """Chosen files of a folder, with their classes as the label file gives them (none: unlabelled)."""

    directory: str
    files: tuple[str, ...]
    labels: tuple[int, ...]


Images = SyntheticImages | ImageFiles


# ---------------------------------------------------------------- what could be shipped


class Explicit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="explicit"):
    """Every performance property stated, none inherited. `streams` may be left to OpenVINO by "auto"."""

    inference_precision: InferencePrecision
    streams: Annotated[int, Meta(ge=1)] | Literal["auto"]
    threads: Annotated[int, Meta(ge=1)]
    pinning: bool = True


class Hint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hint"):
    """A performance hint and nothing else, as a user without perftool would set it."""

    mode: Literal["LATENCY", "THROUGHPUT"]


Setting = Explicit | Hint


class Configuration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What could be shipped: a variant on a device, its batch, its compile setting, its requests in flight.

    `precision` is "default" for the hint baselines, which leave the inference precision to OpenVINO.
    `requests` "auto" takes the compiled model's optimal number.
    """

    id: str
    device: str
    precision: Precision | Literal["default"]
    batch: Annotated[int, Meta(ge=1)]
    setting: Setting
    requests: Annotated[int, Meta(ge=1)] | Literal["auto"]
    baseline: bool = False

    @property
    def weight_format(self) -> WeightFormat:
        """Return the model file that this configuration runs."""
        return "fp32" if self.precision == "default" else WEIGHT_FORMAT[self.precision]


class Sync(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sync"):
    """One request in flight: latency as a single caller sees it."""


class Closed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="closed"):
    """The configuration's requests always in flight: throughput, and the latency under that load."""


class EndToEnd(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="end_to_end"):
    """As Closed, with reading, decoding and preprocessing of each image inside the clock."""


Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
Arrivals = Literal["poisson", "constant"]


class Open(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="open"):
    """Requests arrive at a rate of their own, whether or not the last one is done.

    `rate_fps` counts images per second; the images of one batch arrive together. `seed` draws the gaps of
    Poisson arrivals.
    """

    rate_fps: Positive
    arrivals: Arrivals = "poisson"
    seed: int = 0


#: The loads that keep a number of requests in flight, and so measure throughput.
ClosedLoad = Sync | Closed | EndToEnd
Load = ClosedLoad | Open


# ---------------------------------------------------------------- a sweep's profile (a TOML file)


class Grid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block of configurations: every combination of its lists."""

    devices: tuple[str, ...] = ("CPU",)
    precisions: tuple[Precision, ...] = ("FP32", "FP16", "BF16", "INT8")
    batches: tuple[Count, ...] = (1,)
    streams: tuple[Count | Literal["auto"], ...] = (1,)
    threads: tuple[Count | Literal["auto"], ...] = ("auto",)


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a sweep measures. Durations in seconds.

    A visit's window lasts at least `visit_seconds` and at least `completions_per_request` completions for
    each request in flight. `incarnations` is in how many processes, one after the other, a configuration is
    seen. `memory_share` bounds the warm children together, as a share of the memory available at the start.

    `extra_visits` is a budget beyond the rounds, for repeating disturbed visits and for the configurations
    between which the rounds did not decide. `carry_percentile` goes on, whatever the budget, until the
    samples carry the percentile that the latency limit asks for.

    Open loads offer each of `open_shares` of the throughput that the rounds measured, once in every round.
    Their window holds `open_arrivals` requests; where the rate is the objective, as many as an interval takes
    but no longer than `open_seconds`.
    """

    rounds: Count = 6
    incarnations: Count = 2
    visit_seconds: Positive = 2.0
    completions_per_request: Count = 8
    warmup_ceiling_seconds: Positive = 4.0
    compile_timeout_seconds: Positive = 180.0
    visit_timeout_seconds: Positive = 120.0
    prepare_timeout_seconds: Positive = 1800.0
    memory_share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    extra_visits: Annotated[int, Meta(ge=0)] = 0
    carry_percentile: bool = False
    open_shares: tuple[Annotated[float, Meta(gt=0, lt=1)], ...] = (0.5, 0.7, 0.8, 0.9)
    open_arrivals: Count = 60
    open_seconds: Positive = 10.0


class ImageCounts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many images calibrate INT8, and how many at the most evaluate accuracy."""

    calibration: Count
    evaluation: Count


class Accuracy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Image counts for the built-in images, and for a data set of the user's."""

    synthetic: ImageCounts = ImageCounts(calibration=32, evaluation=200)
    dataset: ImageCounts = ImageCounts(calibration=64, evaluation=1000)


class Builtin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="builtin"):
    """Evaluate on the built-in synthetic images."""


class Dataset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="dataset"):
    """Evaluate on a folder of images. Without a `calibration` folder a seeded split of it calibrates."""

    directory: str
    labels: str | None = None
    calibration: str | None = None


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a choice must keep. `latency_ms` is the bound on the given percentile under the closed load.

    `slo_ms` bounds the same percentile under open load: not a limit on a configuration, but what defines
    the rate that the objective "rate" compares.
    """

    latency_ms: Positive | None = None
    slo_ms: Positive | None = None
    percentile: Literal[50, 90, 95, 99] = 50
    accuracy_drop_pp: float | None = 1.0
    memory_mb: Positive | None = None


Objective = Literal["throughput", "latency", "rate"]


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sweep, whole: what to measure, how, and how to choose."""

    name: str
    description: str = ""
    model: ModelSource = ReferenceModel(name="googlenet-v4-tf")
    images: Builtin | Dataset = Builtin()
    grids: tuple[Grid, ...]
    loads: tuple[Literal["closed", "sync", "end_to_end", "open"], ...] = ("closed",)
    policy: Policy = Policy()
    accuracy: Accuracy = Accuracy()
    objective: Objective = "throughput"
    limits: Limits = Limits()
    seed: int = 20160223


# ---------------------------------------------------------------- jobs that a child runs


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


class Quantization(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How INT8 is made."""

    calibration: Images
    preset: Literal["MIXED", "PERFORMANCE"] = "MIXED"
    fast_bias_correction: bool = True


class Prepare(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="prepare"):
    """Make one model file, or find it in the cache. `quantization` is read for int8 alone."""

    model: ModelSource
    weight_format: WeightFormat
    quantization: Quantization
    cache: str


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
    """

    model_path: str
    weight_format: WeightFormat
    device: str
    precision: Precision | Literal["default"]
    setting: Setting
    images: Images
    labelled: bool


Job = Probe | Describe | Build | Prepare | Compile | Visit | Offer | Evaluate
