"""Say why a configuration was chosen, or was not, and what more measuring would settle: sentences."""

from collections.abc import Sequence

from perftool.analysis import metrics
from perftool.analysis.digits import with_ends
from perftool.analysis.leader import AGAIN_TAKES, BAND, Standing
from perftool.analysis.limits import visits_needed
from perftool.analysis.metric import Metric
from perftool.analysis.result import (
    ConfigurationResult,
    Summary,
)
from perftool.analysis.stats import MIN_VISITS
from perftool.spec import Limits


def why_not(
    result: ConfigurationResult,
    chosen: ConfigurationResult,
    leader: ConfigurationResult,
    found: Standing | None,
    tied: bool,
) -> str:
    if tied or found is None:
        return f"tied with {chosen.id}, {_more_complex(result, chosen)}"
    ratio = found.ratio
    if ratio is None:
        return f"undecided against {leader.id}: no round has both"
    if found.kind == "worse":
        return f"beaten by {leader.id} ({ratio.point:.2f}x)"
    if ratio.low is None or ratio.high is None:
        takes = "without an interval"
        if found.rounds:
            rounds = f"in {found.rounds} round{'s' if found.rounds != 1 else ''}"
            few = (
                f"an interval takes {MIN_VISITS}" if found.rounds < MIN_VISITS else "too few for an interval"
            )
            takes = f"{rounds}, {few}"
        return f"undecided against {leader.id}: {ratio.point:.2f}x {takes}"
    return f"undecided against {leader.id}: {ratio.low:.2f}x to {ratio.high:.2f}x"


def still_open(
    metric: Metric, leader: ConfigurationResult, standings: dict[str, Standing]
) -> tuple[str, ...]:
    """Say what more measuring would settle, and how much of it."""
    found: list[str] = []
    few = [
        id
        for id, one in standings.items()
        if one.kind == "undecided" and (one.ratio is None or one.ratio.low is None)
    ]
    if few:
        most = max(standings[id].rounds for id in few)
        takes = "more arrivals at each rate give one" if metric.name == "rate" else "more rounds give one"
        if once := [part.called for part in (metric, *metric.parts) if not part.spread]:
            takes = f"{' and '.join(once)} never has one"
        if 0 < most < MIN_VISITS:
            takes = f"that takes {MIN_VISITS} rounds that both were visited in"
        comparisons = f"{len(few)} comparison{'s' if len(few) > 1 else ''} with {leader.id}"
        found.append(f"{comparisons} without an interval: {takes}")
    for id, one in standings.items():
        ratio = one.ratio
        if one.kind != "undecided" or ratio is None or ratio.low is None or ratio.high is None:
            continue
        gap = abs(ratio.point - 1)
        reach = max(ratio.high - ratio.point, ratio.point - ratio.low)
        rounds = visits_needed(one.rounds, reach, max(gap, BAND - gap))
        if rounds:
            rounds = max(rounds, one.rounds + 1, AGAIN_TAKES)
            found.append(f"{id} against {leader.id}: about {rounds} rounds would decide, {one.rounds} so far")
    return tuple(found)


def why_chosen(
    metric: Metric,
    chosen: ConfigurationResult,
    leader: ConfigurationResult,
    passing: int,
    tied: Sequence[ConfigurationResult],
    undecided: Sequence[str],
    fresh: ConfigurationResult | None = None,
) -> str:
    """Tell in one sentence why this one, with its figures: of its `fresh` rounds, where it has some.

    A score has none of those: it is in times of what the baseline had when the choice was made.
    """
    superlative = ("highest " if metric.better == "higher" else "lowest ") + metric.label.partition(", p50")[
        0
    ]
    among = "the only configuration that passes" if passing == 1 else f"of the {passing} that pass"
    if chosen is leader:
        why = (among if passing == 1 else f"{superlative} {among}") + _no_simpler(chosen, tied)
    else:
        why = (
            f"tied within {BAND:.0%} with {leader.id}, the {superlative} {among}, "
            f"and simpler ({_more_complex(leader, chosen)} there)"
        )
    shown = (metric, metrics.THROUGHPUT, metrics.LATENCY[50], metrics.DROP)
    figures = [
        f"{'' if each is metrics.THROUGHPUT else each.called + ' '}"
        f"{with_ends(estimate, each.digits, each.unit)}"
        for each in (shown if fresh is None else [one for one in shown if not one.parts])
        if (estimate := each.read(fresh or chosen)) is not None
    ]
    source = ": " if fresh is None else "; in its fresh rounds "
    text = f"{why}{source}{', '.join(dict.fromkeys(figures))}"
    if undecided and chosen is leader:
        others = undecided[0] if len(undecided) == 1 else f"{len(undecided)} others"
        text += f"; undecided against {others}, so the better point estimate wins"
    return text


def _no_simpler(chosen: ConfigurationResult, tied: Sequence[ConfigurationResult]) -> str:
    """Say what a leader that is the choice is tied with; it may be the leader by chance."""
    others = [one for one in tied if one is not chosen]
    if not others:
        return ""
    if len(others) > 1:
        return f"; tied within {BAND:.0%} with {len(others)} others, none of them simpler"
    more = _more_complex(others[0], chosen)
    which = more if more == "no simpler" else f"not simpler ({more} there)"
    return f"; tied within {BAND:.0%} with {others[0].id}, which is {which}"


def why_unknown(summary: Summary, metric: Metric, limits: Limits) -> str | None:
    """Say that no configuration has the objective's figure, where that is so: no limit is to blame then."""
    measured = [one for one in summary.configurations if one.status == "ok"]
    if any(metric.value(one) is not None for one in measured):
        return None
    whys = {metrics.why_missing(metric, one, limits) for one in measured}
    if whys == {"energy not measured"}:
        return "energy was measured for none of them, since the machine showed no counters"
    return None


def _more_complex(result: ConfigurationResult, chosen: ConfigurationResult) -> str:
    for what, mine, its in zip(
        ("more streams", "a larger batch", "more requests in flight", "more memory"),
        complexity(result),
        complexity(chosen),
        strict=True,
    ):
        if mine != its:
            return what
    return "no simpler"


def complexity(result: ConfigurationResult) -> tuple[float, float, float, float]:
    """Order by simplicity: fewer streams, smaller batch, fewer requests, less memory; unknown comes last.

    Of memory two digits count: a megabyte makes nothing simpler.
    """
    unknown = float("inf")
    return (
        unknown if result.streams is None else result.streams,
        result.batch,
        unknown if result.requests is None else result.requests,
        unknown if result.peak_rss_mb is None else float(f"{result.peak_rss_mb:.2g}"),
    )
