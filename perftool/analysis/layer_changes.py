"""Two layer profiles side by side: which layers gained, which did not, and what only one of them has.

Pure. Layers are matched by the layers of the model that they stand for, since each precision fuses them in
its own way; what stands for none, such as a change of precision, is listed apart.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from perftool.analysis.layers import LayerGroup, LayerProfile, LayerRow
from perftool.analysis.stats import Estimate, ratio_of_independent

#: A layer gained, or lost, when the interval of its ratio lies beyond this band around 1, and tied within.
BAND: Final = 0.02

Verdict = Literal["gained", "lost", "tied", "undecided"]


class LayerChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same layers of the model in two profiles, and how many times faster the first is.

    `name` is the first of them, `layers` how many nodes of the first profile stand for them, `others` of the
    second; times are of one inference, `saved_us` the second's less the first's. `verdict` is what the
    ratio's interval tells, "undecided" where it tells nothing or something else took a share of the machine.
    """

    name: str
    type: str
    block: str
    layers: int
    others: int
    precision: str
    other_precision: str
    time_us: float
    other_us: float
    saved_us: float
    ratio: Estimate | None
    verdict: Verdict


class GroupChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block of the network in two profiles; None where one has no such block."""

    name: str
    time_us: float | None
    other_us: float | None
    ratio: Estimate | None


class ProfilesCompared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two profiles compared: the first against the second. `ratio` is of the latencies without counters.

    It is None where a latency was too short to tell, and so is `sum_ratio`, of the layers' sums. `layers` are
    the matched layers, what saved most first. `gained` and `lost` count those whose ratio's interval lies
    beyond 2 % of 1, `tied` those whose interval lies within; none are where `disturbed`. Both profiles come
    from one process: intervals hold what varies within it, not what varies from process to process.
    `only` and `other_only` are the nodes that stand for no layer that the other profile has, by type;
    `too_short` and `other_too_short` those whose layers are there, and too short to show in the other.
    """

    id: str
    other: str
    ratio: Estimate | None
    sum_ratio: Estimate | None
    layers: tuple[LayerChange, ...]
    by_block: tuple[GroupChange, ...]
    gained: int
    lost: int
    only: tuple[LayerGroup, ...]
    other_only: tuple[LayerGroup, ...]
    tied: int = 0
    disturbed: bool = False
    too_short: tuple[LayerGroup, ...] = ()
    other_too_short: tuple[LayerGroup, ...] = ()


def against(one: LayerProfile, other: LayerProfile) -> ProfilesCompared:
    """Compare a profile with another of the same model.

    Each node's time is counted once: nodes of both profiles that share a layer of the model, directly or
    through others, are compared together. The profiles' blocks must have been cut together
    (`layers.layer_profiles`).
    """
    matched, alone, other_alone = _matched(one.layers, other.layers)
    disturbed = one.disturbed or other.disturbed
    changes = sorted((_change(pair, disturbed) for pair in matched), key=lambda change: -change.saved_us)
    verdicts = Counter(change.verdict for change in changes)
    alone, too_short = _apart(alone, other.too_short)
    other_alone, other_too_short = _apart(other_alone, one.too_short)
    return ProfilesCompared(
        id=one.id,
        other=other.id,
        ratio=_ratio(other.plain_ms, one.plain_ms),
        sum_ratio=_ratio(other.sum_ms, one.sum_ms),
        layers=tuple(changes),
        by_block=_blocks(one, other),
        gained=verdicts["gained"],
        lost=verdicts["lost"],
        only=_by_type(alone),
        other_only=_by_type(other_alone),
        tied=verdicts["tied"],
        disturbed=disturbed,
        too_short=_by_type(too_short),
        other_too_short=_by_type(other_too_short),
    )


def _apart(rows: Sequence[LayerRow], unseen: Sequence[str]) -> tuple[list[LayerRow], list[LayerRow]]:
    """Part nodes without a partner into those that have none, and those whose partner did not show."""
    names = frozenset(unseen)
    hidden = [row for row in rows if not row.transition and not names.isdisjoint(row.originals)]
    return [row for row in rows if row not in hidden], hidden


def verdict_of(ratio: Estimate | None) -> Verdict:
    """Return what the interval of a ratio tells: `gained` where it surely is more than 2 % above 1."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return "undecided"
    if ratio.low > 1 + BAND:
        return "gained"
    if ratio.high < 1 - BAND:
        return "lost"
    return "tied" if ratio.low >= 1 - BAND and ratio.high <= 1 + BAND else "undecided"


class _Pair(NamedTuple):
    """Nodes of the two profiles that stand for the same layers of the model."""

    mine: list[LayerRow]
    its: list[LayerRow]


def _matched(
    ones: Sequence[LayerRow], others: Sequence[LayerRow]
) -> tuple[list[_Pair], list[LayerRow], list[LayerRow]]:
    """Put together the nodes that share layers of the model; return them, and what has no partner."""
    from scipy.sparse import coo_array  # Only who compares waits for the import.
    from scipy.sparse.csgraph import connected_components

    mine, its = _owners(ones), _owners(others)
    edges = {(mine[name], len(ones) + its[name]) for name in mine.keys() & its.keys()}
    size = len(ones) + len(others)
    rows, columns = [one for one, _ in edges], [other for _, other in edges]
    graph = coo_array(([1] * len(edges), (rows, columns)), shape=(size, size))
    labels = connected_components(graph, directed=False)[1]
    joined = {number for edge in edges for number in edge}
    pairs: dict[int, _Pair] = {}
    for number in sorted(joined):
        pair = pairs.setdefault(int(labels[number]), _Pair([], []))
        if number < len(ones):
            pair.mine.append(ones[number])
        else:
            pair.its.append(others[number - len(ones)])
    return (
        list(pairs.values()),
        [row for number, row in enumerate(ones) if number not in joined],
        [row for number, row in enumerate(others, start=len(ones)) if number not in joined],
    )


def _owners(rows: Sequence[LayerRow]) -> dict[str, int]:
    """Return the node that each layer of the model belongs to: the first that names it, transitions apart."""
    found: dict[str, int] = {}
    for number, row in enumerate(rows):
        if not row.transition:
            for name in row.originals:
                found.setdefault(name, number)
    return found


def _change(pair: _Pair, disturbed: bool) -> LayerChange:
    time, other = _added(pair.mine), _added(pair.its)
    ratio = _ratio(other, time)
    first = pair.mine[0]
    costliest = max(pair.mine, key=lambda row: row.time_us.point)
    theirs = max(pair.its, key=lambda row: row.time_us.point)
    return LayerChange(
        name=first.originals[0],
        type=costliest.type,
        block=first.block,
        layers=len(pair.mine),
        others=len(pair.its),
        precision=costliest.precision,
        other_precision=theirs.precision,
        time_us=time.point,
        other_us=other.point,
        saved_us=other.point - time.point,
        ratio=ratio,
        verdict="undecided" if disturbed else verdict_of(ratio),
    )


def _added(rows: Sequence[LayerRow]) -> Estimate:
    """Add times up. So are the ends of their intervals, as what slows one node slows its neighbours."""
    lows, highs = [row.time_us.low for row in rows], [row.time_us.high for row in rows]
    known_low = [low for low in lows if low is not None]
    known_high = [high for high in highs if high is not None]
    whole = len(known_low) == len(rows) == len(known_high)
    return Estimate(
        point=sum(row.time_us.point for row in rows),
        low=sum(known_low) if whole else None,
        high=sum(known_high) if whole else None,
    )


def _blocks(one: LayerProfile, other: LayerProfile) -> tuple[GroupChange, ...]:
    """Compare the blocks, in the order of the first profile's costs; none where there is but one."""
    mine = {group.name: group.time_us for group in one.by_block}
    its = {group.name: group.time_us for group in other.by_block}
    if len({*mine, *its}) < 2:
        return ()  # The one is the whole network.
    found = []
    for name in dict.fromkeys([*mine, *its]):
        time, theirs = mine.get(name), its.get(name)
        found.append(
            GroupChange(
                name=name,
                time_us=time.point if time else None,
                other_us=theirs.point if theirs else None,
                ratio=_ratio(theirs, time) if time and theirs else None,
            )
        )
    return tuple(found)


def _ratio(other: Estimate, time: Estimate) -> Estimate | None:
    """Return how many times as long the other took; None where one of the two is too short to tell."""
    return ratio_of_independent(other, time) if time.point > 0 and other.point > 0 else None


def _by_type(rows: Sequence[LayerRow]) -> tuple[LayerGroup, ...]:
    """Take nodes of one type together, the costliest first."""
    types: dict[str, list[LayerRow]] = {}
    for row in rows:
        types.setdefault(row.type, []).append(row)
    groups = [
        LayerGroup(
            name=name,
            layers=len(members),
            time_us=_added(members),
            share=sum(row.share for row in members),
            gflops=None,
        )
        for name, members in types.items()
    ]
    return tuple(sorted(groups, key=lambda group: -group.time_us.point))
