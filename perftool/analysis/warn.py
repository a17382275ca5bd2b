"""Say what a reader of a run's figures should know before trusting them: one sentence each."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import structs

from perftool.analysis.evidence import Evidence, disturbed
from perftool.analysis.result import Series
from perftool.analysis.stats import MIN_VISITS, Estimate, Trend, paired_ratio, trend
from perftool.journal import Header, Planned, Proposed, Run, Surveyed
from perftool.machine import FOREIGN_LOAD, DeviceMissing, HostInfo
from perftool.record import Compiled, Evaluated, Failed, Prepared, Visited
from perftool.spec import Configuration, Explicit, ModelFile

#: A canary that varies more than this makes small differences hard to see.
NOISY = 0.05
#: What is said first of a run that is not finished, whatever it shows.
UNFINISHED = "unfinished: perftool sweep --resume RUN measures the rest, and what is said here may change"
#: Drifts smaller than this are not worth a warning, however sure they are.
DRIFT = 0.05
DRIFT_INSIDE = 0.02
#: A trend as clear as this, or clearer, comes by chance once in so many configurations.
_TREND_P = 0.01
_CANARY_P = 0.05


def configuration_warnings(
    configuration: Configuration,
    found: Evidence,
    speeds: Sequence[float],
    inside: Estimate | None,
    *,
    dropped: bool,
) -> tuple[str, ...]:
    """Return what is odd about a measured configuration.

    `speeds` are its visits' throughputs, `inside` is the drift inside its visits. What a race `dropped` has
    few visits, and nobody wonders.
    """
    compiled = found.compiled
    told = [
        *_not_as_asked(configuration, compiled),
        *(f"{one.stage} failed once: {one.reason}" for one in found.failed),
    ]
    if compiled and all(one.loaded_from_cache for one in compiled):
        told.append("every compile came from a cache, so its time is not a cold one")
    if len(found.closed) < MIN_VISITS and not dropped:
        told.append(f"{len(found.closed)} of the {MIN_VISITS} visits that an interval takes")
    told += [*_disturbed(found.visits), *_unsteady(found.visits)]
    if inside and _apart(inside) and abs(inside.point - 1) > DRIFT_INSIDE:
        change = f"{inside.point - 1:+.0%}"
        told.append(f"latency drifts inside a visit: {change} from the first half to the second")
    over = trend(speeds)
    if over and over.p_value <= _TREND_P and abs(over.change) > DRIFT:
        told.append(f"throughput drifted by {over.change:+.0%} from the first visit to the last")
    return tuple(told)


def slower_than_float(
    configurations: Sequence[Configuration], series: Mapping[str, Series]
) -> dict[str, tuple[str, ...]]:
    """Warn of each INT8 configuration that is slower than the same one of a float precision.

    The same: device, batch, requests, and a setting that differs in nothing but precision. Ratios are paired
    by round, and an interval that reaches 1 is no warning.
    """
    found: dict[str, tuple[str, ...]] = {}
    floats: dict[tuple[object, ...], list[Configuration]] = {}
    for one in configurations:
        if one.precision in ("FP32", "FP16", "BF16"):
            floats.setdefault(_set_up(one), []).append(one)
    for one in configurations:
        if one.precision == "INT8":
            told = []
            for other in floats.get(_set_up(one), []):
                ratio = paired_ratio(series[one.id].throughput_fps, series[other.id].throughput_fps)
                if ratio is not None and ratio.high is not None and ratio.high < 1:
                    told.append(
                        f"slower than {other.precision}: {ratio.point:.2f} of its throughput "
                        f"({ratio.low:.2f} to {ratio.high:.2f})"
                    )
            found[one.id] = tuple(told)
    return found


def _set_up(configuration: Configuration) -> tuple[object, ...]:
    """Return what a configuration is, precision apart."""
    setting = configuration.setting
    if isinstance(setting, Explicit):
        setting = structs.replace(setting, inference_precision="f32")
    return (configuration.device, configuration.batch, configuration.requests, setting)


def _apart(ratio: Estimate) -> bool:
    """Tell whether a ratio's interval leaves out 1."""
    return ratio.low is not None and ratio.high is not None and not ratio.low <= 1 <= ratio.high


def _not_as_asked(configuration: Configuration, compiled: Sequence[Compiled]) -> list[str]:
    """Compare what was requested with what was resolved and executed."""
    setting = configuration.setting
    if not compiled or not isinstance(setting, Explicit):
        return []
    last = compiled[-1]
    found = []
    wanted = "int8" if configuration.precision == "INT8" else setting.inference_precision
    if last.executed:
        most = max(last.executed, key=lambda one: (one.flops, one.kernels)).precision
        if most != wanted:
            found.append(f"ran in {most}, not {wanted}")
    if isinstance(setting.streams, int) and last.streams not in (None, setting.streams):
        found.append(f"requested {setting.streams} streams, got {last.streams}")
    if last.threads not in (None, setting.threads):
        found.append(f"requested {setting.threads} threads, got {last.threads}")
    return found


def _disturbed(visits: Sequence[Visited]) -> list[str]:
    """Count the visits that something else on the machine took time from, and those made good."""
    told = []
    for what, shares in (
        ("foreign load", [visit.conditions.other_load for visit in visits]),
        ("steal by the hypervisor", [visit.conditions.steal for visit in visits]),
    ):
        high = [share for share in shares if share is not None and share > FOREIGN_LOAD]
        if high:
            told.append(
                f"{len(high)} of {len(visits)} visits under {what}, up to {max(high):.0%} of the CPUs"
            )
    odd = [visit for visit in visits if disturbed(visit)]
    quiet = {(visit.load, visit.round) for visit in visits if not disturbed(visit)}
    if replaced := sum((visit.load, visit.round) in quiet for visit in odd):
        told.append(f"{replaced} of {len(odd)} disturbed visits were repeated, and do not count")
    return told


def _unsteady(visits: Sequence[Visited]) -> list[str]:
    """Count the visits whose warm-up met its ceiling before the series was steady."""
    count = sum(visit.steady is False for visit in visits)
    if not count:
        return []
    return [f"the warm-up of {count} of {len(visits)} visits met its ceiling before latency was steady"]


def run_warnings(run: Run, planned: Planned, noise: float | None, drift: Trend | None) -> tuple[str, ...]:
    """Return what is odd about a run as a whole."""
    found = []
    if _says_what_a_model_says(run, planned) and (unstated := feeding_unstated(run.header)) is not None:
        found.append(unstated)
    for device in planned.devices:
        if isinstance(device, DeviceMissing):
            found.append(f"{device.name} is not available: {device.reason}; {device.advice}")
    ids = {one.id for one in planned.configurations} | {one.configuration.id for one in planned.left_out}
    found.extend(_failed_besides(run, ids))
    if any(one.precision == "INT8" and "CPU" in one.device for one in planned.configurations):
        found.extend(_saturating(run.header.host))
    if noise is not None and noise > NOISY:
        found.append(
            f"the canary varied by {noise:.0%}: a noisy machine; more rounds would tighten the intervals"
        )
    if drift is not None and drift.p_value <= _CANARY_P and abs(drift.change) > DRIFT:
        found.append(
            f"the canary drifted by {drift.change:+.0%} from the first round to the last: the machine "
            "changed under the sweep; ratios inside rounds still hold"
        )
    found.extend(_drawn_alone(run, planned))
    found.extend(_surveyed(run))
    return tuple(found)


def feeding_unstated(header: Header) -> str | None:
    """Say that nobody stated how a model file takes its images; None where somebody did, or it is known.

    What a known model's file is recognised by, and what is built into a file, a run's header does not tell.
    """
    source = header.model.source
    if not isinstance(source, ModelFile) or source.feeding.states_values or header.model.published:
        return None
    return (
        f"nobody stated how {header.model.name} takes its images: it is fed as it is, BGR 0..255, unless it "
        "was recognised as a known model; where it wants anything else its accuracy and its INT8 calibration "
        "are wrong: --preprocess, or perftool model convert --mean --scale --color, states it"
    )


def _says_what_a_model_says(run: Run, planned: Planned) -> bool:
    """Tell whether images matter to a run: for accuracies, or for calibrating INT8."""
    return any(one.precision == "INT8" for one in planned.configurations) or any(
        isinstance(entry.record, Evaluated) for entry in run.entries
    )


def _drawn_alone(run: Run, planned: Planned) -> list[str]:
    """Warn of a search by proposals that ended before its model proposed anything, and left something out."""
    made = [entry.record for entry in run.entries if isinstance(entry.record, Proposed)]
    everything = sum(not one.baseline for one in planned.configurations)
    if not made or len(made) >= everything or any(one.source == "model" for one in made):
        return []
    return [
        f"none of the {len(made)} proposals is the model's: the first come from the hints and at random; "
        "more --trials, or --search race"
    ]


def _surveyed(run: Run) -> list[str]:
    """Return what a survey of the machine warned of, before the measuring or before a part of it."""
    found = {
        f"{one.name}: {one.found}" + (f"; {one.advice}" if one.advice else "")
        for entry in run.entries
        if isinstance(entry.record, Surveyed)
        for one in entry.record.findings
        if one.status == "warning"
    }
    return sorted(found)


def _saturating(host: HostInfo) -> list[str]:
    """Warn of x86 CPUs that add pairs of 8-bit products in 16 bits, which can saturate."""
    if "avx" not in host.isa or any("vnni" in name or name == "amx_int8" for name in host.isa):
        return []
    return [
        "this CPU has no VNNI: its 8-bit kernels may saturate, and are slower; INT8's accuracy and speed "
        "here say nothing about a CPU that has it"
    ]


def _failed_besides(run: Run, ids: set[str]) -> list[str]:
    """Report the failures of what is not a configuration, unless it was made good later."""
    open_failures: dict[tuple[str, str], Failed] = {}
    attempts: Counter[tuple[str, str]] = Counter()
    for entry in run.entries:
        match entry.record:
            case Failed() as record if record.subject not in ids:
                open_failures[record.stage, record.subject] = record
                attempts[record.stage, record.subject] += 1
            case Prepared() as record:
                open_failures.pop(("prepare", record.weight_format), None)
            case Evaluated() as record:
                subject = f"{record.weight_format} on {record.device} in {record.inference_precision}"
                open_failures.pop(("evaluate", subject), None)
    return [
        f"{record.stage} of {record.subject} failed"
        + (f" {attempts[key]} times" if attempts[key] > 1 else "")
        + f": {record.reason}"
        for key, record in open_failures.items()
    ]
