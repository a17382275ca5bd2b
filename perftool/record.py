"""What happened: the answers of children.

A record holds what was observed, never a statistic: `analysis` computes those when they are looked at.

Values only, as in `spec`. Times are integer nanoseconds, sizes are bytes.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from perftool.machine import Conditions, Device
from perftool.spec import ClosedLoad, Configuration, Open, Precision, WeightFormat


class Probed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="probed"):
    """The answer to Probe."""

    devices: tuple[Device, ...]


class LayerCost(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One layer's cost. FLOPs by the published convention (2 per multiply-add), MACs as multiply-adds."""

    name: str
    type: str
    output_shape: tuple[int, ...]
    flops: int
    macs: int
    parameters: int
    activation_bytes: int


class Described(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="described"):
    """The answer to Describe: a model's complexity at its own batch.

    `parameters` counts every weight and bias, `convention_parameters` as the Open Model Zoo publishes it.
    `activation_bytes` sums all layer outputs, `peak_activation_bytes` is the most alive at once. `fed` says
    how its source wants its images, "" where that was not asked; `output_shape` is () where not fixed.
    """

    name: str
    origin: str
    fed: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    batch: int
    flops: int
    macs: int
    parameters: int
    convention_parameters: int
    activation_bytes: int
    peak_activation_bytes: int
    layers: tuple[LayerCost, ...]


class Written(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="written"):
    """The answer to Build, Freeze, Revert and Rewrite: a model file."""

    path: str


class Port(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input or output of a model: its name, element type (f32, u8, …) and shape."""

    name: str
    element: str
    shape: tuple[int, ...]


class Inspected(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="inspected"):
    """The answer to Inspect: a classifier's image input, and its class scores."""

    input: Port
    output: Port


class Converted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="converted"):
    """The answer to Convert: an IR, its ports, and how its source wanted its images.

    `assumed` tells that nobody stated the latter and no known model was recognised: the source was taken as
    it is.
    """

    path: str
    input: str
    output: str
    fed: str
    assumed: bool


class Verified(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="verified"):
    """The answer to Verify: how far two models' class probabilities are apart on the same images.

    `first_fed` and `second_fed` say how each wanted its images, `first_scores` and `second_scores` how its
    output was read as probabilities; `same_top1` counts images.
    """

    images: int
    max_difference: float
    mean_difference: float
    same_top1: int
    first_fed: str
    second_fed: str
    first_scores: str
    second_scores: str


class Prepared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="prepared"):
    """The answer to Prepare: a model file in the cache, and what making it took.

    `comes_quantized` tells that the source is quantized already, and so the same file in every format; None
    in an old journal.
    """

    weight_format: WeightFormat
    path: str
    key: str
    cached: bool
    duration_ns: int
    file_bytes: int
    calibration_images: int
    peak_rss_bytes: int
    comes_quantized: bool | None


class LayerError(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What quantizing one layer does. Errors are ratios: energy of the error over the output's energy.

    `own` is the layer's alone, from exact inputs; `share` is how much of it reaches the output, to
    first order (or, past ops that cannot be reversed, by the energy of what it is joined with on the way; it
    can exceed 1); `at_output` is their product.
    """

    name: str
    type: str
    own: float
    share: float

    @property
    def at_output(self) -> float:
        """Return the error that the layer adds at the model's output."""
        return self.own * self.share


class Ranked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ranked"):
    """The answer to Rank: every quantized layer, the worst first."""

    layers: tuple[LayerError, ...]
    images: int
    duration_ns: int


class Controlled(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="controlled"):
    """The answer to ControlAccuracy.

    `inferences` counts the images run through a model, calibration apart; `quantized` are the layers
    that stayed quantized.
    """

    path: str
    inferences: int
    quantized: tuple[str, ...]
    duration_ns: int
    peak_rss_bytes: int


class Executed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of the model ran in one precision, as read off the kernels' names.

    `bytes` is what its kernels read and write at the least: inputs, weights and outputs, once each. None in
    an old journal.
    """

    precision: str
    flops: int
    kernels: int
    bytes: int | None = None


class Compiled(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="compiled"):
    """An incarnation: one process in which a configuration was compiled.

    `compile_rss_bytes` is the most memory held while compiling; None where an old journal does not tell it
    from the rest. `peak_rss_bytes` is the most held until after the first inference.
    """

    configuration: str
    incarnation: int
    pid: int
    requested: dict[str, str]
    resolved: dict[str, str]
    streams: int | None
    threads: int | None
    requests: int
    executed: tuple[Executed, ...]
    compile_ns: int
    first_inference_ns: int
    loaded_from_cache: bool
    compile_rss_bytes: int | None
    peak_rss_bytes: int


class Visited(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="visited", gc=False):
    """One burst of measuring. Latencies are per request, that is per whole batch, in order of completion.

    The window opens on a completion and closes on a completion; `latencies_ns` are those that completed
    after it opened. `warmup_ns` came before; `steady` tells whether it ended because the series was steady,
    and not at the ceiling. `load_rss_bytes` is the most memory held during this visit,
    `peak_rss_bytes` since the process began to compile; None in `steady` and `load_rss_bytes` is an old
    journal's, or a kernel's that does not tell.
    """

    configuration: str
    incarnation: int
    round: int
    position: int
    load: ClosedLoad
    batch: int
    requests: int
    warmup_ns: tuple[int, ...]
    steady: bool | None
    latencies_ns: Sequence[int]
    window_ns: int
    load_rss_bytes: int | None
    peak_rss_bytes: int
    conditions: Conditions


class Offered(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="offered"):
    """One burst of open load. All times of a request count from when it was to arrive.

    `arrivals_ns` are the intended arrivals inside the window, from its opening; `latencies_ns` run from there
    to the completion, in the same order; `lags_ns` is the part of each that the generator itself was late,
    not counting the wait for a free request. `unserved` arrivals were given up, since the backlog had grown
    beyond all bounds. `warmup_ns` are the latencies of the arrivals before the window.
    """

    configuration: str
    incarnation: int
    round: int
    position: int
    load: Open
    batch: int
    requests: int
    warmup_ns: tuple[int, ...]
    arrivals_ns: tuple[int, ...]
    latencies_ns: tuple[int, ...]
    lags_ns: tuple[int, ...]
    unserved: int
    window_ns: int
    load_rss_bytes: int | None
    peak_rss_bytes: int
    conditions: Conditions


class ImageFaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many images of a set were not plain colour images, by kind.

    Missing, corrupt and truncated ones are left out of every figure. The others are read: grey is spread over
    three channels, CMYK converted, 16 bits become 8, and an EXIF rotation is obeyed.
    """

    missing: int = 0
    corrupt: int = 0
    truncated: int = 0
    greyscale: int = 0
    cmyk: int = 0
    sixteen_bit: int = 0
    rotated: int = 0


class Evaluated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="evaluated"):
    """The classes that one variant gave for every image; labels already shifted by `label_offset`, which
    `label_note` explains.

    Without labels `labels` is empty. `top5` holds class indices, the likeliest first. `images` is the
    digest of the image set: deltas are paired, so only records of the same set are compared. `left_out` are
    the files that could not be read, which `labels` and `top5` leave out; `faults` is None in an old journal.
    `reused` images were classified before, by an evaluation that was stopped or is repeated; `duration_ns` is
    that of the others. `inference_precision` is what the device resolved, `executed` what the kernels ran in;
    empty where nothing tells, and in an old journal.
    """

    precision: Precision | Literal["default"]
    weight_format: WeightFormat
    device: str
    inference_precision: str
    images: str
    label_offset: int
    label_note: str
    labels: tuple[int, ...]
    top5: tuple[tuple[int, ...], ...]
    left_out: tuple[str, ...]
    faults: ImageFaults | None
    reused: int
    duration_ns: int
    executed: tuple[Executed, ...] = ()


#: The types of nodes that only change how numbers are written or laid out.
REWRITING = frozenset({"Reorder", "Convert", "FakeQuantize", "Quantize"})
#: The types of nodes that do so where they do nothing else: fused elementwise operations.
_ELEMENTWISE = frozenset({"Subgraph", "Eltwise"})


class LayerTime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of the compiled graph, and how long it took: the mean over the inferences of each burst.

    `type` and `kernel` are the runtime's layerType and primitiveType, `precision` is read off the kernel;
    `originals` are the layers of the model that were fused into it. `flops` are counted as in `LayerCost`,
    `bytes` as in `Executed`; `reads` and `writes` are the element types of its first input and of its output.
    `times_ns` is empty for a node that the runtime removed or never ran, and for one that is too short for
    its counter to show anything.
    """

    name: str
    type: str
    kernel: str
    precision: str
    originals: tuple[str, ...]
    output_shape: tuple[int, ...]
    flops: int
    bytes: int
    times_ns: tuple[int, ...]
    reads: str = ""
    writes: str = ""

    @property
    def rewrites(self) -> bool:
        """Tell whether the node only changes the precision or the layout of numbers."""
        converts = self.type in _ELEMENTWISE and self.reads != self.writes
        return not self.flops and (self.type in REWRITING or converts)


class LayersTimed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="layers_timed"):
    """The answer to TimeLayers: nodes in the order of execution, of a whole batch.

    `plain_ns` are the latencies of requests without counters, `counted_ns` of those with them, measured in
    turns, in `bursts` of equal length each; `requests` were in flight at once: those of the configuration,
    but no more than run at once. `streams` and `threads` are what the runtime resolved. `tick_ns` is by how
    much a counter may show too little of one inference of one node.
    """

    configuration: Configuration
    weight_format: WeightFormat
    resolved: dict[str, str]
    streams: int | None
    threads: int | None
    requests: int
    plain_ns: tuple[int, ...]
    counted_ns: tuple[int, ...]
    layers: tuple[LayerTime, ...]
    conditions: Conditions
    bursts: int = 1
    tick_ns: int = 0


class LayersCompared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="layers_compared"):
    """The answer to TimeLayers of two configurations: timed in turns, in one process. In no journal."""

    first: LayersTimed
    second: LayersTimed


class Peak(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kernel repeated. `work` is operations (2 per multiply-add) in one repetition, of memory bytes.

    `precision` is what was asked for, `executed` what the kernel's name says it ran in, several joined by a
    plus; both are empty for memory. `times_ns` holds the repetitions of each burst, one after the other: in
    each, every request in flight was completed once. The work was spread over so many `streams`.
    """

    kernel: Literal["matmul", "convolution", "memory"]
    precision: str
    executed: str
    streams: int
    work: int
    times_ns: tuple[tuple[int, ...], ...]


class PeaksMeasured(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="peaks_measured"):
    """The answer to MeasurePeaks. `measured_ns` is when (Unix time): it may come from a cache."""

    device: str
    peaks: tuple[Peak, ...]
    measured_ns: int
    conditions: Conditions


#: What a child is asked, each by the tag of its job.
Stage = Literal[
    "probe",
    "describe",
    "build",
    "freeze",
    "convert",
    "verify",
    "prepare",
    "rank",
    "revert",
    "inspect",
    "rewrite",
    "control",
    "evaluate",
    "compile",
    "visit",
    "offer",
    "layers",
    "peaks",
]


class Failed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="failed"):
    """A job that its child did not finish. `subject` is a configuration's id, or what was being prepared."""

    subject: str
    stage: Stage
    kind: Literal["crash", "timeout", "out_of_memory", "error", "bad_input", "device_missing"]
    reason: str
    output_tail: str = ""


Answer = (
    Probed
    | Described
    | Written
    | Inspected
    | Converted
    | Verified
    | Prepared
    | Ranked
    | Controlled
    | Compiled
    | Visited
    | Offered
    | Evaluated
    | LayersTimed
    | LayersCompared
    | PeaksMeasured
    | Failed
)


class Progress(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="progress"):
    """How far a long job is. Travels over the pipe, never into a journal."""

    stage: str
    done: int
    total: int
