"""What is foreseen of every choice that limits could lead to: the types that a page is written from.

`foresee` fills them; a page only filters by them.
"""

from msgspec import Struct

from perftool.analysis.result import Gain
from perftool.analysis.stats import Estimate


class Control(Struct, frozen=True, kw_only=True):
    """A metric that a limit can be put on, and where limits on it can lie.

    A limit at one of the `stops`, from the strictest to the loosest, lets one more figure pass than at the
    one before; between them nothing changes. `own` is the run's own limit. `usual` ones are shown at first.
    """

    metric: str
    label: str
    called: str
    unit: str
    way: str
    digits: int
    positive: bool
    spread: bool
    stops: tuple[float, ...]
    own: float | None
    usual: bool


class Lead(Struct, frozen=True, kw_only=True):
    """How candidates stand against one that could lead, by their numbers.

    `kinds` has a letter for each candidate from number `start` on, with a count behind one that comes several
    times in a row: w for worse, t for tied, u for undecided, b for better. Those that are left out at its end
    are worse. Whoever comes before `start` cannot pass
    while this one leads. `better` are the b's, the best ratio first.
    """

    start: int
    kinds: str
    better: tuple[int, ...]


class Fresh(Struct, frozen=True, kw_only=True):
    """What fresh rounds say of a candidate that they were made for.

    They refuse it where one of `beaten_by` passes too, or where one of its fresh `figures`, by metric,
    misses its limit. `shared` counts the fresh rounds that others were measured in as well; `why` says why
    they do not count (yet), None where they do. `gains` are how many times better it was there than each of
    those others, `seen` its own figures with their intervals, by metric. `warnings` are what a reader is to
    be told of them.
    """

    candidate: int
    rounds: int
    processes: int
    beaten_by: tuple[int, ...]
    figures: dict[str, float]
    shared: dict[str, int]
    gains: dict[str, Gain]
    seen: dict[str, Estimate]
    why: str | None
    warnings: tuple[str, ...]


class Unconfirmed(Struct, frozen=True, kw_only=True):
    """Why a choice without fresh rounds is not confirmed.

    `never` where none could be for this run and objective; else `exhausted` once `choices` were refused, as
    many as are tried less those that were lost; else `elsewhere`, which names the last of `again` that was
    not refused; else `not_made`.
    """

    never: str | None
    exhausted: str
    elsewhere: str
    not_made: str
    choices: int
    again: tuple[str, ...]


class Foreseen(Struct, frozen=True, kw_only=True):
    """All that choosing under other limits takes, of the candidates `ids`, the best by the objective first.

    `simple` ranks them by simplicity, equals alike; `order` by simplicity and then by id. `beaten_by` is the
    candidate that a race says beat each, as `candidates.Candidates` has it. `columns` holds the figures of
    each control's metric. `leads` is keyed by the number of
    whoever could lead; None where there are too many to be foreseen. `gains` are those of whoever could be
    chosen, and `unknown` says which of its gains are not known. `missing` says, by the metric of a control,
    why a candidate has no figure of it. Both are numbers of `sentences`.
    """

    ids: tuple[str, ...]
    simple: tuple[int, ...]
    order: tuple[int, ...]
    beaten_by: tuple[int, ...]
    columns: dict[str, tuple[float | None, ...]]
    controls: tuple[Control, ...]
    leads: dict[str, Lead] | None
    fresh: tuple[Fresh, ...]
    unconfirmed: Unconfirmed
    gains: dict[str, tuple[Gain, ...]]
    unknown: dict[str, tuple[int, ...]]
    missing: dict[str, dict[str, int]]
    sentences: tuple[str, ...]
