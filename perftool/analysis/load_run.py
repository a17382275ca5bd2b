"""Look at a run of `perftool load`: one configuration under open load, as its JSON shows it.

Pure: a journal in, figures out. Field names are the JSON's keys.
"""

from datetime import UTC, datetime

from msgspec import Struct

from perftool.analysis import stats
from perftool.analysis.evidence import filed, gather, median_latency_ms, plan_of, throughput_fps
from perftool.analysis.open_load import rate_points
from perftool.analysis.rate_bound import RateUnderBound, rate_under_bound
from perftool.analysis.result import RatePoint
from perftool.analysis.stats import Estimate
from perftool.journal import Run
from perftool.machine import HostInfo
from perftool.record import Compiled
from perftool.spec import Configuration


class LoadRun(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One configuration under open load.

    `closed_fps` is its throughput in the closed loop, the most that it can serve; `alone_ms` the median
    latency of a request alone, None where it was not measured. `bound_ms` and `answer` are None where no
    bound was given.
    """

    id: str
    created: str
    model: str
    model_digest: str
    reference: bool
    host: HostInfo
    configuration: Configuration
    compiled: Compiled
    closed_fps: Estimate | None
    alone_ms: float | None
    percentile: int
    bound_ms: float | None
    points: tuple[RatePoint, ...]
    answer: RateUnderBound | None


def load_run(run: Run, name: str) -> LoadRun | None:
    """Return what a run amounts to, however far it came; None where nothing was compiled."""
    plan = plan_of(run)
    compiled = [entry.record for entry in run.entries if isinstance(entry.record, Compiled)]
    if not plan.configurations or not compiled:
        return None
    configuration, limits = plan.configurations[0], run.header.profile.limits
    found = gather(filed(run), configuration)
    closed = (
        stats.median_estimate([throughput_fps(visit) for visit in found.closed]) if found.closed else None
    )
    points = rate_points(found.offered, closed.point if closed else None)
    alone = (
        stats.median_estimate([median_latency_ms(visit) for visit in found.sync]).point
        if found.sync
        else None
    )
    created = datetime.fromtimestamp(run.header.created_ns // 10**9, tz=UTC)
    return LoadRun(
        id=name,
        created=created.isoformat(),
        model=run.header.model.name,
        model_digest=run.header.model.digest,
        reference=run.header.model.reference,
        host=run.header.host,
        configuration=configuration,
        compiled=compiled[-1],
        closed_fps=closed,
        alone_ms=alone,
        percentile=limits.percentile,
        bound_ms=limits.slo_ms,
        points=points,
        answer=_answer(points, limits.percentile, limits.slo_ms, alone),
    )


def _answer(
    points: tuple[RatePoint, ...], percentile: int, bound_ms: float | None, alone_ms: float | None
) -> RateUnderBound | None:
    """Return the rate under the bound; none can keep what a request alone misses."""
    if bound_ms is None:
        return None
    answer = rate_under_bound(points, percentile, bound_ms)
    if points or alone_ms is None or alone_ms <= bound_ms:
        return answer
    return RateUnderBound(
        percentile=percentile,
        bound_ms=bound_ms,
        rate=None,
        holds_fps=None,
        reason=f"even a request alone misses the bound: p50 is {alone_ms:.4g} ms, above {bound_ms:.4g} ms",
    )
