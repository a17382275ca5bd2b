"""Match the configurations of two runs by what they are, and say in what the runs differ."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct, structs

from perftool.analysis import claim
from perftool.analysis.compared import OnlyIn, Outcome, Side
from perftool.analysis.evidence import plan_of
from perftool.analysis.result import ConfigurationResult, Summary
from perftool.analysis.searched import unvisited
from perftool.analysis.sittings import Sittings
from perftool.journal import Header, Run, Started
from perftool.machine import HostInfo
from perftool.record import Visited
from perftool.spec import Configuration

#: In what hosts may not differ, if their figures are to be compared. OpenVINO may: it is what one compares.
HARDWARE = tuple(name for name in claim.IDENTITY if name != "openvino")


#: Runs whose shares of disturbed visits differ by more than this were not made under the same load.
UNEQUAL_LOAD = 0.5


class Look(Struct, frozen=True, kw_only=True):
    """A run as it is compared: its journal, what it amounts to, and what it recommends."""

    run: Run
    summary: Summary
    choice: str | None


class Matched(NamedTuple):
    """A configuration of both runs, with its figures in each."""

    configuration: Configuration
    before: ConfigurationResult
    now: ConfigurationResult


def anonymous(configuration: Configuration) -> Configuration:
    """Return what a configuration is, without its name."""
    return structs.replace(configuration, id="")


def match(before: Look, now: Look) -> tuple[tuple[Matched, ...], tuple[OnlyIn, ...]]:
    """Pair what the baseline run measured with what the run did; list what only one of them measured.

    A configuration that failed in the run is paired: it is worse than slow.
    """
    was, is_now = by_kind(before), by_kind(now)
    of_before, of_now = _outcomes(before), _outcomes(now)
    matched: list[Matched] = []
    only: list[OnlyIn] = []
    for kind, (configuration, mine) in was.items():
        its = is_now[kind][1] if kind in is_now else None
        if mine.status != "ok":
            continue
        if its is None or its.status == "skipped":
            only.append(OnlyIn(id=mine.id, run="baseline", reason=became(its), outcome=of_now(its)))
        else:
            matched.append(Matched(configuration, mine, its))
    for kind, (_, its) in is_now.items():
        other = was[kind][1] if kind in was else None
        if its.status == "ok" and (other is None or other.status != "ok"):
            only.append(OnlyIn(id=its.id, run="run", reason=became(other), outcome=of_before(other)))
    return tuple(matched), tuple(only)


def by_kind(look: Look) -> dict[Configuration, tuple[Configuration, ConfigurationResult]]:
    """Return every configuration of a run by what it is."""
    plan = plan_of(look.run)
    results = {one.id: one for one in (*look.summary.configurations, *look.summary.baselines)}
    everything = (*plan.configurations, *(one.configuration for one in plan.left_out))
    return {anonymous(one): (one, results[one.id]) for one in everything}


def became(other: ConfigurationResult | None) -> str:
    """Say what became of a configuration in a run that has no figures of it."""
    if other is None:
        return "not planned"
    return f"{other.status}: {other.reason}" if other.reason else other.status


def _outcomes(look: Look) -> Callable[[ConfigurationResult | None], Outcome]:
    """Return what classifies a configuration that a run has no figures of."""
    plan = plan_of(look.run)
    refused = {one.configuration.id for one in plan.left_out}
    elsewhere = unvisited(look.run, plan)

    def outcome(result: ConfigurationResult | None) -> Outcome:
        if result is None:
            return "not planned"
        if result.status == "failed":
            return "failed"
        if result.id in refused:
            return "refused"
        return "elsewhere" if result.id in elsewhere else "not measured"

    return outcome


def processes_of(run: Run) -> dict[str, dict[int, int]]:
    """Return in which process each configuration was in each round."""
    found: dict[str, dict[int, int]] = {}
    sittings = Sittings()
    for entry in run.entries:
        if isinstance(entry.record, Started):
            sittings.stop()
        elif isinstance(entry.record, Visited):
            key = sittings.key(entry.record.round)
            found.setdefault(entry.record.configuration, {})[key] = entry.record.incarnation
    return found


def side(look: Look) -> Side:
    """Return what a reader should know of a run before its figures."""
    run = look.summary.run
    everything = (*look.summary.configurations, *look.summary.baselines)
    return Side(
        id=run.id,
        created=run.created,
        model=run.model,
        model_digest=run.model_digest,
        profile=run.profile,
        openvino=look.summary.host.openvino,
        rounds=run.rounds,
        complete=run.complete,
        noise_cv=run.noise_cv,
        visits=sum(one.visits for one in everything),
        disturbed=sum(one.disturbed for one in everything),
        choice=look.choice,
    )


def side_of(looks: Sequence[Look]) -> Side:
    """Return what a reader should know of the runs that make a side, as of one."""
    sides = [side(look) for look in looks]
    noises = [one.noise_cv for one in sides if one.noise_cv is not None]
    choices = {one.choice for one in sides}
    return structs.replace(
        sides[0],
        id=", ".join(one.id for one in sides),
        rounds=sum(one.rounds for one in sides),
        complete=all(one.complete for one in sides),
        noise_cv=max(noises) if noises else None,
        visits=sum(one.visits for one in sides),
        disturbed=sum(one.disturbed for one in sides),
        choice=sides[0].choice if len(choices) == 1 else " or ".join(sorted(filter(None, choices))) or None,
        runs=len(sides),
    )


def unequally_loaded(before: Side, now: Side) -> bool:
    """Tell whether one of the runs alone was made beside other work.

    That slows configurations by unequal shares, so the control's change is not theirs.
    """
    shares = [one.disturbed / one.visits if one.visits else 0.0 for one in (before, now)]
    return abs(shares[0] - shares[1]) > UNEQUAL_LOAD


# ---------------------------------------------------------------- in what runs differ


def incomparable(before: Header, now: Header) -> tuple[str, ...]:
    """Say why the figures of two runs cannot be held against each other; nothing where they can.

    Another content under the same name does not: a new version of a model is what one compares.
    """
    told = []
    if before.model.name != now.model.name:
        told.append(f"model was {before.model.name}, is {now.model.name}")
    return (*told, *_differing(before.host, now.host, HARDWARE))


def differences(before: Header, now: Header) -> tuple[str, ...]:
    """Say in what two runs differ that may be compared: the model's content, and versions."""
    told = []
    if before.model.name == now.model.name and before.model.digest != now.model.digest:
        told.append(
            f"model {now.model.name} has another content: SHA-256 was {before.model.digest[:12]}…, "
            f"is {now.model.digest[:12]}…"
        )
    rest = [name for name in HostInfo.__struct_fields__ if name not in HARDWARE]
    return (*told, *_differing(before.host, now.host, rest))


def _differing(before: HostInfo, now: HostInfo, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"{name} was {_said(getattr(before, name))}, is {_said(getattr(now, name))}"
        for name in names
        if getattr(before, name) != getattr(now, name)
    )


def _said(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


#: What a configuration resolved to, by the name that a note has for it.
_RESOLVED: Mapping[str, Literal["executed_precision", "streams", "threads", "requests"]] = {
    "ran in": "executed_precision",
    "streams": "streams",
    "threads": "threads",
    "requests in flight": "requests",
}


def resolved_otherwise(before: ConfigurationResult, now: ConfigurationResult) -> tuple[str, ...]:
    """Say what OpenVINO made of the same configuration that it did not make before."""
    told = []
    for name, field in _RESOLVED.items():
        was, is_now = getattr(before, field), getattr(now, field)
        if was != is_now and None not in (was, is_now):
            told.append(f"{name} {was} before, {is_now} now")
    return tuple(told)
