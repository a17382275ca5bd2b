"""Ask for rounds of everything that is still in, until as many were made at one time as were planned. Pure.

A round that a stop cut is two, of which neither holds all; and what a race takes up again is in none since it
was dropped. No visit is made under the number of a round that is past: it would be paired with visits of
another time. So rounds are added, and they come out of no budget.
"""

from perftool.analysis.evidence import confirm_rounds
from perftool.analysis.searched import unproposed
from perftool.analysis.sittings import round_of, seen
from perftool.journal import Focused, Run
from perftool.spec import Closed, Configuration
from perftool.sweep.plan import loads
from perftool.sweep.remaining import Remaining, left_behind, planned, remaining


def completing(run: Run, round: int) -> Focused | None:
    """Return a round of all that are still in; None where each was in enough of them together."""
    left = remaining(run)
    configurations, short = rounds_short(run, left)
    if not short or left.rounds:
        return None
    total = run.header.profile.policy.rounds
    return Focused(
        round=round,
        purpose="complete",
        load=Closed(),
        configurations=tuple(one.id for one in configurations),
        questions=(f"a stop, or what is taken up again, left fewer than {total} rounds that hold them all",),
    )


def rounds_short(run: Run, left: Remaining) -> tuple[tuple[Configuration, ...], int]:
    """Return what is still in, and how many rounds it takes yet until as many as planned hold all of it."""
    plan, profile = planned(run), run.header.profile
    if plan is None:
        return (), 0
    out = {one.configuration for one in left.given_up} | unproposed(run, plan)
    out |= left_behind(entry.record for entry in run.entries)
    configurations = tuple(one for one in plan.configurations if one.id not in out)
    fresh = {one.round for rounds in confirm_rounds(run).values() for one in rounds}
    made = seen(run.entries)
    wanted = [made.get((one.id, load), set()) for one in configurations for load in loads(one, profile)]
    whole = {key for key in set.intersection(*wanted) if round_of(key) not in fresh} if wanted else set()
    return configurations, max(0, profile.policy.rounds - len(whole)) if wanted else 0
