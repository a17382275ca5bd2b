"""What to do: models, images, configurations, loads, profiles.

Values only. Nothing here reads a file, asks a device or formats text; `sweep.profile` reads profiles,
`sweep.plan` expands them, `job` says what a child is asked for them.
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
    """A model that perftool builds from TF-slim variables: an .npz, or a TensorFlow checkpoint (V1, V2)."""

    name: str
    weights: str


class Feeding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model file wants its images, where that is not BGR, 0..255, at the shape that the file states.

    It is built into the model when that is read: (x - mean) / scale by channel, in the order of `color`, the
    one that the file expects. `layout` says where its channels are when its shape does not; `shape`
    is the whole input shape of a file that leaves it open. Without any of these a known model's convention is
    recognised by its ports, and any other file is taken as it is.
    """

    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    color: Literal["BGR", "RGB"] | None = None
    layout: Literal["NCHW", "NHWC"] | None = None
    shape: tuple[Annotated[int, Meta(ge=1)], ...] = ()

    @property
    def states_values(self) -> bool:
        """Tell whether it says more than a shape, and so how the model wants an image's values."""
        return bool(self.mean or self.scale or self.color or self.layout)


class ModelFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="file"):
    """A model file that OpenVINO reads: IR, ONNX, TFLite, a frozen graph, a SavedModel, Paddle."""

    path: str
    feeding: Feeding = Feeding()


ModelSource = ReferenceModel | WeightedModel | ModelFile


class SyntheticImages(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="synthetic"):
    """The first `count` built-in images of one part, or those `chosen`; the parts never overlap."""

    part: Literal["calibration", "evaluation"]
    count: Annotated[int, Meta(ge=1)]
    chosen: tuple[int, ...] = ()

    @property
    def indices(self) -> tuple[int, ...]:
        """Return which images of the part these are."""
        return self.chosen or tuple(range(self.count))


#: How an image file is cut to a model's size. "central-crop" keeps the central 0.875 of height and of width;
#: "resize-crop" scales the shorter side to 256/224 of the model's size and crops the centre; "resize" crops
#: nothing.
Geometry = Literal["central-crop", "resize-crop", "resize"]


class ImageFiles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="files"):
    """Chosen files of a folder, with their classes as its labels give them (none: unlabelled).

    `classes` is how many classes the labels number, None where they do not say. `missing` counts files that
    were listed and are not there.
    """

    directory: str
    files: tuple[str, ...]
    labels: tuple[int, ...]
    classes: int | None = None
    missing: int = 0
    geometry: Geometry = "central-crop"


Images = SyntheticImages | ImageFiles


# ---------------------------------------------------------------- what could be shipped


#: Which cores of a hybrid CPU are used, as SCHEDULING_CORE_TYPE takes it.
CoreType = Literal["ANY_CORE", "PCORE_ONLY", "ECORE_ONLY"]


class Explicit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="explicit"):
    """Every performance property stated, none inherited. `streams` may be left to OpenVINO by "auto".

    `hyper_threading` and `core_type` say which of the cores carry the threads, where a CPU gives a choice;
    None where it gives none, or nobody asked.
    """

    inference_precision: InferencePrecision
    streams: Annotated[int, Meta(ge=1)] | Literal["auto"]
    threads: Annotated[int, Meta(ge=1)]
    pinning: bool = True
    hyper_threading: bool | None = None
    core_type: CoreType | None = None


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


#: How a space is searched. "race" drops what is beaten, "grid" measures everything alike, "tpe" visits only
#: what a model of the space (a tree-structured Parzen estimator) proposes.
Search = Literal["race", "grid", "tpe"]


class Grid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block of configurations: every combination of its lists.

    `requests` counts requests in flight for each stream. `rest_precisions` are what the layers of an INT8
    file that stay in floating point run in. Where a device has no such choice as `pinning`,
    `hyper_threading` or `core_types` give, they do not multiply its configurations.
    """

    devices: tuple[str, ...] = ("CPU",)
    precisions: tuple[Precision, ...] = ("FP32", "FP16", "BF16", "INT8")
    batches: tuple[Count, ...] = (1,)
    streams: tuple[Count | Literal["auto"], ...] = (1,)
    threads: tuple[Count | Literal["auto"], ...] = ("auto",)
    requests: tuple[Count, ...] = (1,)
    pinning: tuple[bool, ...] = (True,)
    hyper_threading: tuple[bool | Literal["auto"], ...] = ("auto",)
    core_types: tuple[CoreType | Literal["auto"], ...] = ("auto",)
    rest_precisions: tuple[InferencePrecision, ...] = ("f32",)


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

    A race's first two visits to a configuration, and later ones to what is kept for the Pareto front alone,
    are short: `scout_seconds` and `scout_completions` for each request; others are between those and the
    policy's, while there are many. "tpe" makes at most `trials` first
    visits. What is recommended is confirmed in `confirm_rounds` fresh rounds, if the rounds carry intervals.

    Last of all the layers of what is recommended, and of the best in f32, are timed for about
    `layer_seconds`, and as long without counters; 0 leaves that out.

    What each device can do at most is measured for about `peak_seconds` before the rounds, unless it is known
    from before; 0 leaves that out, and the percent of the limit with it.
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
    scout_seconds: Positive = 0.5
    scout_completions: Count = 2
    trials: Count = 200
    confirm_rounds: Annotated[int, Meta(ge=0)] = 6
    layer_seconds: Annotated[float, Meta(ge=0)] = 2.0
    peak_seconds: Annotated[float, Meta(ge=0)] = 10.0


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
    geometry: Geometry = "central-crop"


class Bound(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit on any row of the metrics table, in that row's own unit; `way` is which side of it passes."""

    metric: str
    way: Literal["<=", ">="]
    value: float


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a choice must keep. `latency_ms` is the bound on the given percentile under the closed load.

    `slo_ms` bounds the same percentile under open load: not a limit on a configuration, but what defines
    the rate that the objective "rate" compares. The objective "latency" looks at that percentile too.

    `latency_ms`, `accuracy_drop_pp` and `memory_mb` are short for `bounds` on latency_p<percentile>,
    top1_drop and peak_rss. Of several limits on one row the strictest is held.
    """

    latency_ms: Positive | None = None
    slo_ms: Positive | None = None
    percentile: Literal[50, 90, 95, 99] = 50
    accuracy_drop_pp: float | None = 1.0
    memory_mb: Positive | None = None
    bounds: tuple[Bound, ...] = ()


#: What a choice is to be best at; a table gives weights to metrics by their names, each above zero.
Objective = Literal["throughput", "latency", "rate", "efficiency"] | dict[str, float]


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sweep, whole: what to measure, how, and how to choose."""

    name: str
    description: str = ""
    model: ModelSource = ReferenceModel(name="googlenet-v4-tf")
    images: Builtin | Dataset = Builtin()
    grids: tuple[Grid, ...]
    search: Search = "race"
    loads: tuple[Literal["closed", "sync", "end_to_end", "open"], ...] = ("closed",)
    policy: Policy = Policy()
    accuracy: Accuracy = Accuracy()
    objective: Objective = "throughput"
    limits: Limits = Limits()
    seed: int = 20160223
