"""What a run amounts to: the types behind the JSON of `sweep`, `show` and `recommend`.

Field names are the JSON's keys, and the JSON is `msgspec.json.encode` of a Document. Values only: `summary`
fills them, `choose` decides on them, `render` shows them. None of it is ever stored as truth.
"""

from typing import Literal

from msgspec import Struct

from perftool.analysis.layers import LayerProfile
from perftool.analysis.roofline import Placed, Roofline
from perftool.analysis.stats import Estimate, Trend
from perftool.machine import HostInfo
from perftool.spec import Arrivals, Limits, Objective, Precision

Status = Literal["ok", "failed", "skipped"]


class Requested(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was asked of OpenVINO; None where it was left to OpenVINO."""

    inference_precision: str | None = None
    streams: int | None = None
    threads: int | None = None
    requests: int | None = None
    pinning: bool | None = None
    hint: str | None = None


class Latency(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Latency of one request, that is of one whole batch, in milliseconds.

    A percentile is None where the `n` samples cannot carry it.
    """

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    mean: float
    n: int


class LatencyIntervals(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The percentiles of a Latency with their 95 % intervals over visits."""

    p50: Estimate | None
    p90: Estimate | None
    p95: Estimate | None
    p99: Estimate | None


#: Why a rate gives no figure. An "overloaded" one misses every bound; a "late" one answers nothing.
Refusal = Literal["late", "overloaded"]


class RatePoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One configuration at one offered rate, in images per second; latency in ms, of a request (a batch).

    `served_fps` runs from the first to the last completion of the requests that arrived in the windows. `n`
    counts those requests, `visits` what the intervals are over, `disturbed` the windows under foreign load.
    `lag_ms` is the 99th percentile of how late the generator itself was, which the latencies contain.
    `refused` says why there is no latency.
    """

    rate_fps: float
    arrivals: Arrivals
    served_fps: float | None
    latency_ms: LatencyIntervals
    n: int
    visits: int
    disturbed: int
    lag_ms: float
    refusal: Refusal | None
    refused: str | None

    def percentile(self, percentile: int) -> Estimate | None:
        """Return a percentile (50, 90, 95 or 99); None where it is refused or the samples are too few."""
        found: Estimate | None = getattr(self.latency_ms, f"p{percentile}")
        return found


class AccuracyResult(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accuracy in percent, and the paired change against the FP32 file in f32; a positive drop is a loss.

    `top1` and `top5` are None without labels. The drop's fields are None without labels or reference,
    `agreement` (same top-1 class as the reference) without reference.
    """

    top1: float | None
    top5: float | None
    images: int
    drop_pp: float | None
    drop_low: float | None
    drop_high: float | None
    gained: int | None
    lost: int | None
    p_value: float | None
    agreement: float | None


class Dropped(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a race measured a configuration no further, and why. `by` is what beat it."""

    by: str
    reason: str


class ConfigurationResult(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One configuration, as measured. Figures are None where nothing was measured.

    `streams`, `threads` and `requests` are what OpenVINO resolved. `throughput_fps` and `latency_ms` come
    from the same closed load; with one request in flight it serves as `latency_sync_ms` too. `visits`,
    `disturbed` and `outliers` count visits under the closed load.

    `end_to_end_ratio` is what reading, decoding and preprocessing inside the clock leave of the throughput.
    `peak_rss_mb` is the most that was ever held; `compile_rss_mb` while compiling, `load_rss_mb` during
    visits. `energy_j` is joules per image. `drift_inside` is the latency of the second half of a visit over
    that of its first. `open` is the latency at each offered rate. `of_limit` is the throughput in percent of
    what its kernels could do at most on this device, None where nobody measured that.
    """

    id: str
    device: str
    precision: Precision | Literal["default"]
    executed_precision: str | None
    executed_share: float | None
    batch: int
    streams: int | None
    threads: int | None
    requests: int | None
    requested: Requested
    throughput_fps: Estimate | None
    latency_ms: Latency | None
    latency_sync_ms: Latency | None
    latency_intervals_ms: LatencyIntervals | None
    latency_sync_intervals_ms: LatencyIntervals | None
    end_to_end_fps: Estimate | None
    end_to_end_ratio: Estimate | None
    latency_end_to_end_ms: Latency | None
    peak_rss_mb: float | None
    compile_rss_mb: float | None
    load_rss_mb: float | None
    energy_j: Estimate | None
    compile_ms: float | None
    first_inference_ms: float | None
    visits: int
    disturbed: int
    incarnations: int
    outliers: int
    drift_inside: Estimate | None
    open: tuple[RatePoint, ...]
    accuracy: AccuracyResult | None
    properties: dict[str, str]
    status: Status
    reason: str | None
    dropped: Dropped | None
    warnings: tuple[str, ...]
    of_limit: Estimate | None = None


class RunInfo(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The run itself. `noise_cv` is the coefficient of variation of the canary's throughput.

    `measuring_share` is the part of `wall_seconds` that lay inside measuring windows; `wall_seconds` runs
    from the first to the last compile or visit, pauses between sessions left out. `drift` is the change of
    the canary's throughput from the first round to the last, as its trend has it. `extra_visits` were made
    of the `extra_visits_allowed` beyond the rounds. `confirm_rounds` are those that a choice is to be
    confirmed in, 0 where the run carries no intervals that could.
    """

    id: str
    created: str
    model: str
    model_digest: str
    reference: bool
    accuracy_of: str | None
    profile: str
    objective: Objective
    rounds: int
    rounds_planned: int
    confirm_rounds: int
    complete: bool
    canary: str | None
    noise_cv: float | None
    drift: Trend | None
    extra_visits: int
    extra_visits_allowed: int
    wall_seconds: float
    measuring_share: float | None
    warnings: tuple[str, ...]


class Series(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration's figures by round, for pairing: what the JSON leaves out.

    `latency_ms` is the median under the closed load, `energy_j` joules per image, `of_limit` percent of the
    limit. `quantiles_ms` are those of all requests under the closed load, at `stats.SHARES`, None where
    there are too few requests to carry one; empty where they carry none. `disturbed` are the rounds in which
    a visit that speaks was.
    """

    throughput_fps: dict[int, float]
    latency_ms: dict[int, float]
    latency_sync_ms: dict[int, float]
    end_to_end_fps: dict[int, float] = {}
    energy_j: dict[int, float] = {}
    of_limit: dict[int, float] = {}
    quantiles_ms: tuple[float | None, ...] = ()
    disturbed: frozenset[int] = frozenset()


class Again(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the fresh rounds hold that confirm one choice, and nothing else; keyed by configuration id.

    Of all their `visits` so many were `disturbed`. `named` is what the last of them was to visit,
    empty for all.
    """

    visits: int
    disturbed: int
    results: dict[str, ConfigurationResult]
    series: dict[str, Series]
    named: tuple[str, ...] = ()


class Summary(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, looked at with today's statistics. `series` is keyed by configuration id.

    `again` is what was measured a second time to confirm a choice, keyed by that choice, in the order in
    which they were confirmed; no other figure has a part in it. `completing` are the rounds that were added
    because planned ones did not hold everything; they were asked for by no look at the figures. `layers` are
    the layer profiles that were made, `rooflines` the devices' peaks, and `placed` the configurations under
    them.
    """

    run: RunInfo
    host: HostInfo
    configurations: tuple[ConfigurationResult, ...]
    baselines: tuple[ConfigurationResult, ...]
    series: dict[str, Series]
    again: dict[str, Again]
    completing: frozenset[int] = frozenset()
    layers: tuple[LayerProfile, ...] = ()
    rooflines: tuple[Roofline, ...] = ()
    placed: tuple[Placed, ...] = ()


class Gain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many times better the choice is, from ratios paired inside rounds. Above 1 the choice is better.

    `executed_precision` is what the other ran in, `source` which rounds the ratios are of. `figure` is what
    the other had in those under the objective, None of the rounds that all figures of the run are of, and
    where the objective is a score.
    """

    over: str
    what: str
    executed_precision: str | None
    point: float
    low: float | None
    high: float | None
    rounds: int
    source: Literal["fresh rounds", "rounds"] = "rounds"
    figure: Estimate | None = None


class Confirmation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choice measured again, in fresh rounds that had no part in choosing it.

    `processes` is the fewest that any of those compared was seen in. The figures of the choice itself are
    those of these rounds, None under a load that they do not have. `change` is its figure under the objective
    over the one that it was chosen by. `reasons` say what speaks against it; `disturbed` says that other load
    took part of the machine in too many of the visits for them to decide anything. It holds where neither is
    so, and the rounds carry an interval, over the runner-up too.
    """

    rounds: int
    processes: int
    runner_up: Gain | None
    baselines: tuple[Gain, ...]
    best_in_f32: Gain | None
    throughput_fps: Estimate | None
    latency_ms: LatencyIntervals | None
    latency_sync_ms: LatencyIntervals | None
    change: Estimate | None
    reasons: tuple[str, ...]
    disturbed: str | None
    holds: bool


class Rejected(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A candidate that was not chosen, and why."""

    id: str
    reason: str


class Uncertain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit that the point estimate decides, but the interval does not. `needs` is what would settle it."""

    id: str
    limit: str
    needs: str | None


class NearMiss(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A candidate that nearly kept the limits.

    `excess` is its largest miss relative to the limit, None where a value could not be measured.
    """

    id: str
    reason: str
    excess: float | None


class Switch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of one limit or weight that would change the choice: the nearest of its kind.

    `now` is the limit or weight today, None where the metric has no limit. At `then` itself, or just beyond
    it (`tighten`, below or above it), `id` wins. `gain` is how many times better than today's choice it is by
    the objective, None for a weight, which changes the objective. `text` tells all of it in a sentence.
    """

    metric: str
    change: Literal["relax", "tighten", "weigh more", "weigh less"]
    now: float | None
    then: float
    id: str
    gain: float | None
    text: str


class Recommendation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The choice. `id` is None where nothing passes; then `nearest` names up to three near misses.

    `properties` are ready for `compile_model`. `tied` and `undecided` are ids, against the leader `leader`;
    `uncertain` covers every candidate, the choice's own first. `open` says what more measuring would settle,
    `stability` which other limits or weights would change the choice.

    `runner_up` is the best of the others that pass. `claim` says how much better the choice is, and whether
    that was confirmed; `unconfirmed` says why not. `refused` came before it, and fresh rounds did not confirm
    them. `gain` is from the confirmation where there is one, else from what the choice was made by, and so
    are the figures in `reason`.
    """

    id: str | None
    leader: str | None
    runner_up: str | None
    objective: Objective
    limits: Limits
    reason: str
    claim: str | None
    gain: tuple[Gain, ...]
    confirmation: Confirmation | None
    unconfirmed: str | None
    refused: tuple[Rejected, ...]
    properties: dict[str, str]
    rejected: tuple[Rejected, ...]
    tied: tuple[str, ...]
    undecided: tuple[str, ...]
    uncertain: tuple[Uncertain, ...]
    pareto: tuple[str, ...]
    open: tuple[str, ...]
    warnings: tuple[str, ...]
    nearest: tuple[NearMiss, ...]
    stability: tuple[Switch, ...] = ()


class Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON of a run: everything of a Summary but its series, and the recommendation."""

    run: RunInfo
    host: HostInfo
    configurations: tuple[ConfigurationResult, ...]
    baselines: tuple[ConfigurationResult, ...]
    recommendation: Recommendation
    layers: tuple[LayerProfile, ...] = ()
    rooflines: tuple[Roofline, ...] = ()
    placed: tuple[Placed, ...] = ()


def document(summary: Summary, recommendation: Recommendation) -> Document:
    """Return what the JSON of a run shows."""
    return Document(
        run=summary.run,
        host=summary.host,
        configurations=summary.configurations,
        baselines=summary.baselines,
        recommendation=recommendation,
        layers=summary.layers,
        rooflines=summary.rooflines,
        placed=summary.placed,
    )
