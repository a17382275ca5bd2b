"""Turn a run's records into a Summary (types in `analysis.result`): what was measured, with its intervals.

Decides nothing and formats nothing but warnings; `choose` decides.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from perftool.analysis import accuracy, stats
from perftool.analysis.evidence import (
    NS_PER_MS,
    Evidence,
    Files,
    by_round,
    disturbed,
    energy_per_image_j,
    filed,
    gather,
    gather_again,
    most_executed,
    plan_of,
    throughput_fps,
)
from perftool.analysis.headroom import Limited, rooflines_of, under
from perftool.analysis.latencies import Latencies, drift_inside, latencies_of, medians_by_round, percentiles
from perftool.analysis.layers import layer_profiles
from perftool.analysis.open_load import rate_points
from perftool.analysis.result import (
    AccuracyResult,
    Again,
    ConfigurationResult,
    Dropped,
    Requested,
    Series,
    Status,
    Summary,
)
from perftool.analysis.roofline import Placed, Roofline
from perftool.analysis.run_info import run_info
from perftool.analysis.searched import drops_of, unvisited
from perftool.analysis.stats import Estimate
from perftool.analysis.warn import configuration_warnings, slower_than_float
from perftool.journal import (
    ATTEMPTS,
    MEASURING,
    Focused,
    Run,
)
from perftool.record import Compiled, Evaluated, Visited
from perftool.spec import Closed, Configuration, Explicit

_BYTES_PER_MB = 1e6
#: Properties that belong to the measuring machine, not to a deployment.
_LOCAL_PROPERTIES = frozenset({"CACHE_DIR"})

_Compared = Sequence[tuple[Evaluated, AccuracyResult]]


def summarize(run: Run, *, name: str | None = None) -> Summary:
    """Summarize a run as far as it went; an interrupted one too. `name` is what the run is called.

    Without a name it is called by the time it was created and its model.
    """
    records = [entry.record for entry in run.entries]
    planned = plan_of(run)
    evaluations = [record for record in records if isinstance(record, Evaluated)]
    reference = accuracy.reference_of(evaluations)
    one_file = accuracy.one_file(records)
    compared = [(one, accuracy.compare(one, reference, one_file=one_file)) for one in evaluations]
    left_out = {one.configuration.id: one.reason for one in planned.left_out} | unvisited(run, planned)
    dropped = drops_of(records)
    results: list[tuple[Configuration, ConfigurationResult]] = []
    series: dict[str, Series] = {}
    placed: list[Placed] = []
    everything = (*planned.configurations, *(one.configuration for one in planned.left_out))
    files = filed(run)
    evidence = _gathered(files, everything)
    rooflines = rooflines_of(records)
    for configuration in everything:
        found = evidence[configuration.id]
        limited = _limited(configuration, found, left_out, compared, dropped.get(configuration.id), rooflines)
        results.append((configuration, limited.result))
        series[configuration.id] = limited.series
        placed += [limited.placed] if limited.placed else []
    slow = slower_than_float([one for one, _ in results], series)
    return Summary(
        run=run_info(run, name, planned, evidence),
        host=run.header.host,
        configurations=tuple(
            msgspec.structs.replace(result, warnings=(*result.warnings, *told))
            if (told := slow.get(one.id))
            else result
            for one, result in results
            if not one.baseline
        ),
        baselines=tuple(result for one, result in results if one.baseline),
        series=series,
        layers=layer_profiles(records, rooflines, run.header.host),
        again=_again(files, everything, compared, rooflines),
        completing=frozenset(
            one.round for one in records if isinstance(one, Focused) and one.purpose == "complete"
        ),
        rooflines=tuple(rooflines.values()),
        placed=tuple(placed),
    )


def _gathered(files: Files, everything: Sequence[Configuration]) -> dict[str, Evidence]:
    """Gather each configuration's evidence; of those that no child was asked for, once for each file.

    A space of thousands that a search visits a hundred of is looked at after every visit.
    """
    unasked: dict[str, Evidence] = {}
    found: dict[str, Evidence] = {}
    for one in everything:
        if one.id not in files.about and one.weight_format in unasked:
            found[one.id] = unasked[one.weight_format]
            continue
        found[one.id] = gather(files, one)
        if one.id not in files.about:
            unasked[one.weight_format] = found[one.id]
    return found


def _again(
    files: Files,
    everything: Sequence[Configuration],
    compared: _Compared,
    rooflines: Mapping[str, Roofline],
) -> dict[str, Again]:
    """Summarize what each confirmation measured, by the choice that it confirms."""
    found: dict[str, Again] = {}
    for id, rounds in files.confirming.items():
        named = {name for one in rounds for name in one.configurations}
        evidence = {one.id: (one, gather_again(files, one, rounds)) for one in everything if one.id in named}
        visits = [visit for _, seen in evidence.values() for visit in seen.visits]
        limited = {
            name: _limited(one, seen, {}, compared, None, rooflines) for name, (one, seen) in evidence.items()
        }
        found[id] = Again(
            visits=len(visits),
            disturbed=sum(map(disturbed, visits)),
            named=rounds[-1].configurations,
            results={name: one.result for name, one in limited.items()},
            series={name: one.series for name, one in limited.items()},
        )
    return found


# ---------------------------------------------------------------- one configuration


def _limited(
    configuration: Configuration,
    found: Evidence,
    left_out: dict[str, str],
    compared: _Compared,
    dropped: Dropped | None,
    rooflines: Mapping[str, Roofline],
) -> Limited:
    """Summarize one configuration, under its device's roofline."""
    timed = _timed(found)
    series = _series(found, timed)
    result = _result(configuration, found, timed, series, left_out, compared, dropped)
    return under(result, series, found, rooflines)


class _Timed(NamedTuple):
    """The latencies of a configuration under each closed load."""

    closed: Latencies
    sync: Latencies
    end_to_end: Latencies


def _timed(found: Evidence) -> _Timed:
    closed = latencies_of(found.closed)
    sync = closed if found.sync is found.closed else latencies_of(found.sync)
    return _Timed(closed=closed, sync=sync, end_to_end=latencies_of(found.end_to_end))


def _series(found: Evidence, timed: _Timed) -> Series:
    return Series(
        throughput_fps=by_round(found.closed, throughput_fps),
        latency_ms=medians_by_round(timed.closed),
        latency_sync_ms=medians_by_round(timed.sync),
        end_to_end_fps=by_round(found.end_to_end, throughput_fps),
        energy_j=_energy_by_round(found.closed),
        quantiles_ms=stats.quantiles(timed.closed.pooled),
        disturbed=frozenset(
            visit.round for visit in (*found.closed, *found.sync, *found.end_to_end) if disturbed(visit)
        ),
    )


def _result(
    configuration: Configuration,
    found: Evidence,
    timed: _Timed,
    series: Series,
    left_out: dict[str, str],
    compared: _Compared,
    dropped: Dropped | None,
) -> ConfigurationResult:
    """Summarize one configuration."""
    last = found.compiled[-1] if found.compiled else None
    executed, share = most_executed(last.executed if last else ())
    status, reason = _status(configuration, found, left_out)
    under = [visit for visit in found.visits if isinstance(visit.load, Closed)]
    speeds = [throughput_fps(visit) for visit in found.closed]
    latency, intervals = percentiles(timed.closed)
    alone = (latency, intervals) if timed.sync is timed.closed else percentiles(timed.sync)
    latency_sync, sync_intervals = alone
    end_to_end = [throughput_fps(visit) for visit in found.end_to_end]
    inside = drift_inside(found.closed)
    cold = [one.compile_ns for one in found.compiled if not one.loaded_from_cache]
    return ConfigurationResult(
        id=configuration.id,
        device=configuration.device,
        precision=configuration.precision,
        executed_precision=executed,
        executed_share=share,
        batch=configuration.batch,
        streams=last.streams if last else None,
        threads=last.threads if last else None,
        requests=last.requests if last else None,
        requested=_requested(configuration, found.compiled[-1] if found.compiled else None),
        throughput_fps=stats.median_estimate(speeds) if speeds else None,
        latency_ms=latency,
        latency_sync_ms=latency_sync,
        latency_intervals_ms=intervals,
        latency_sync_intervals_ms=sync_intervals,
        end_to_end_fps=stats.median_estimate(end_to_end) if end_to_end else None,
        end_to_end_ratio=stats.paired_ratio(series.end_to_end_fps, series.throughput_fps),
        latency_end_to_end_ms=percentiles(timed.end_to_end)[0],
        peak_rss_mb=_most_mb(_peaks(found)),
        compile_rss_mb=_most_mb([one.compile_rss_bytes for one in found.compiled]),
        load_rss_mb=_most_mb(_under_load(found)),
        energy_j=_energy_j(found.closed),
        compile_ms=cold[0] / NS_PER_MS if cold else None,
        first_inference_ms=_first_inference_ms(found),
        visits=len(under),
        disturbed=sum(disturbed(visit) for visit in under),
        incarnations=len({one.incarnation for one in found.compiled}),
        outliers=stats.count_outliers(speeds),
        drift_inside=inside,
        open=rate_points(found.offered, median(speeds) if speeds else None),
        accuracy=_accuracy(configuration, last, executed, compared),
        properties=_properties(last),
        status=status,
        reason=reason,
        dropped=dropped,
        warnings=()
        if status != "ok"
        else configuration_warnings(configuration, found, speeds, inside, dropped=dropped is not None),
    )


def _status(
    configuration: Configuration, found: Evidence, left_out: dict[str, str]
) -> tuple[Status, str | None]:
    lost = [one for one in found.failed if one.stage in MEASURING]
    if len(lost) >= ATTEMPTS:
        return "failed", f"given up: {lost[-1].stage} failed {len(lost)} times, last: {lost[-1].reason}"
    if found.closed:
        return "ok", None
    if found.failed:
        return "failed", f"{found.failed[-1].stage} failed: {found.failed[-1].reason}"
    return "skipped", left_out.get(configuration.id, "not measured yet")


def _requested(configuration: Configuration, compiled: Compiled | None) -> Requested:
    """Return what was asked; None for what the device does not let one ask."""

    def asked(name: str) -> bool:
        return compiled is None or name in compiled.requested

    setting = configuration.setting
    requests = None if configuration.requests == "auto" else configuration.requests
    if not isinstance(setting, Explicit):
        return Requested(requests=requests, hint=setting.mode)
    return Requested(
        inference_precision=setting.inference_precision if asked("INFERENCE_PRECISION_HINT") else None,
        streams=setting.streams if setting.streams != "auto" and asked("NUM_STREAMS") else None,
        threads=setting.threads if asked("INFERENCE_NUM_THREADS") else None,
        requests=requests,
        pinning=setting.pinning if asked("ENABLE_CPU_PINNING") else None,
    )


def _peaks(found: Evidence) -> list[int | None]:
    peaks = [one.peak_rss_bytes for one in found.compiled]
    peaks += [one.peak_rss_bytes for one in found.visits]
    return [*peaks, *(one.peak_rss_bytes for one in found.offered)]


def _under_load(found: Evidence) -> list[int | None]:
    return [
        *(one.load_rss_bytes for one in found.visits),
        *(one.load_rss_bytes for one in found.offered),
    ]


def _most_mb(sizes: Sequence[int | None]) -> float | None:
    """Return the largest of the sizes that are known: of memory, the figure to plan with."""
    known = [size for size in sizes if size is not None]
    return max(known) / _BYTES_PER_MB if known else None


def _energies_j(visits: Sequence[Visited]) -> list[tuple[int, float]]:
    """Return each visit's round and joules per image, where every visit knows them."""
    found = [(visit.round, energy_per_image_j(visit)) for visit in visits]
    known = [(round, joules) for round, joules in found if joules is not None]
    return known if len(known) == len(found) else []


def _energy_j(visits: Sequence[Visited]) -> Estimate | None:
    """Return the joules per image."""
    known = [joules for _, joules in _energies_j(visits)]
    return stats.median_estimate(known) if known else None


def _energy_by_round(visits: Sequence[Visited]) -> dict[int, float]:
    """Return the joules per image of each round; what drew nothing that the counter shows is left out."""
    return stats.by_round([(round, joules) for round, joules in _energies_j(visits) if joules > 0])


def _first_inference_ms(found: Evidence) -> float | None:
    times = [one.first_inference_ns / NS_PER_MS for one in found.compiled]
    return float(median(times)) if times else None


def _properties(compiled: Compiled | None) -> dict[str, str]:
    """Return what to hand to `compile_model` for this configuration."""
    if compiled is None:
        return {}
    return {name: value for name, value in compiled.requested.items() if name not in _LOCAL_PROPERTIES}


def _accuracy(
    configuration: Configuration,
    compiled: Compiled | None,
    executed: str | None,
    compared: _Compared,
) -> AccuracyResult | None:
    evaluated = accuracy.evaluation_of(configuration, compiled, executed, [one for one, _ in compared])
    return next((found for one, found in compared if one is evaluated), None)
