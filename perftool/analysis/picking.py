"""Pick the choice of those that pass: of the leader and its ties the simplest that fresh rounds hold up."""

from collections.abc import Sequence

from msgspec import Struct

from perftool.analysis import confirmation
from perftool.analysis.leader import Ratios, Standing, best, lead, ratio_of
from perftool.analysis.metric import Metric
from perftool.analysis.reasons import complexity
from perftool.analysis.result import ConfigurationResult, Confirmation, Summary
from perftool.spec import Limits


class Picked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the objective picks of those that keep the limits: the leader, its ties, the choice of them."""

    leader: ConfigurationResult
    standings: dict[str, Standing]
    tied: tuple[ConfigurationResult, ...]
    chosen: ConfigurationResult


class Settled(Struct, frozen=True, kw_only=True):
    """A choice, and what is known of it."""

    picked: Picked
    runner_up: str | None
    confirmation: Confirmation | None


def pick(
    summary: Summary, metric: Metric, passing: Sequence[ConfigurationResult], ratios: Ratios = ratio_of
) -> Picked:
    """Pick the choice of those that pass, of which there is at least one."""
    leader, standings = lead(summary, metric, passing, ratios)
    tied = [one for one in passing if one is leader or standings[one.id].kind == "tied"]
    chosen = min(tied, key=lambda one: (*complexity(one), one is not leader, one.id))
    return Picked(leader=leader, standings=standings, tied=tuple(tied), chosen=chosen)


def settle(
    summary: Summary, metric: Metric, judged: Limits, passing: Sequence[ConfigurationResult]
) -> tuple[Settled, str | None]:
    """Pick of those that pass, and hold the choice against its fresh rounds; tell why these refuse it."""
    picked = pick(summary, metric, passing)
    chosen, standings = picked.chosen, picked.standings
    others = [one for one in passing if one is not chosen]
    close = [one for one in others if one in picked.tied or standings[one.id].kind == "undecided"]
    runner_up = best(metric, close or others).id if others else None
    found = confirmation.confirm(summary, metric, judged, chosen, runner_up, [one.id for one in others])
    settled = Settled(picked=picked, runner_up=runner_up, confirmation=found)
    return settled, confirmation.refusal(found) if found is not None and found.reasons else None
