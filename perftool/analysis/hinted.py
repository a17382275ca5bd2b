"""Say where OpenVINO's own hint, with nothing else set, beats the choice and keeps the limits as well.

A baseline is no candidate: what it resolves to depends on the machine, so it is not what one ships. But what
it resolved to here can be swept, and a choice that is surely worse is not to be recommended without a word.
"""

from collections.abc import Iterable, Iterator

from perftool.analysis.digits import times
from perftool.analysis.leader import BAND
from perftool.analysis.limits import judge
from perftool.analysis.metric import Metric
from perftool.analysis.result import ConfigurationResult, Gain, Summary
from perftool.analysis.stats import Estimate
from perftool.spec import Limits


def better_hints(summary: Summary, metric: Metric, judged: Limits, gains: Iterable[Gain]) -> Iterator[str]:
    """Say which baselines keep the limits by their point estimates, and are surely better than the choice.

    `gains` are how many times better the choice is than each.
    """
    baselines = {one.id: one for one in summary.baselines}
    for gain in gains:
        one = baselines.get(gain.over)
        if one is None or gain.low is None or gain.high is None or gain.high >= 1 or gain.point >= 1 - BAND:
            continue
        if judge(one, judged).reasons:
            continue
        ratio = times(Estimate(point=1 / gain.point, low=1 / gain.high, high=1 / gain.low))
        fast = metric.name == "throughput" or metric.name.startswith("latency")
        what = "faster" if fast else f"better in {metric.label}"
        yield (
            f"the {one.requested.hint} hint passes the limits and is surely {what}, {ratio}: sweep what it "
            f"resolves to ({_resolved(one)})"
        )


def _resolved(one: ConfigurationResult) -> str:
    """Tell a baseline's resolved settings as a profile has them."""
    told = [("streams", one.streams), ("requests", one.requests), ("threads", one.threads)]
    parts = [f"{name} {value}" for name, value in told if value is not None]
    if one.executed_precision is not None:
        parts.append(f"runs in {one.executed_precision}")
    return ", ".join(parts)
