"""Do perftool's 95 % intervals hold 95 %? On simulated visits, of which the truth is known."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks import choosing, percentiles
from benchmarks.options import Options
from benchmarks.progress import say
from benchmarks.run_ratio import by_recovery, by_standard_errors
from benchmarks.simulated import NOISES, Array, Noise, drift, generator, medians, spiky, true_median
from benchmarks.stopping import KINDS, MOST_ROUNDS, paired_ratios, stop
from benchmarks.tables import header, row
from perftool.analysis.leader import LOOKED_AGAIN
from perftool.analysis.stats import MIN_VISITS, median_estimate, paired_ratio

TITLE = "Honesty of the intervals"
QUESTION = (
    "How often does an interval that is called a 95 % interval contain the truth? Thousands of simulated "
    "series of visits of known distribution, one-sided spiky noise among them, for the intervals that "
    "perftool prints over visits. Aim: 93 to 98 %; what lies outside is set in bold. Noises are of a "
    "visit's speed: *normal*: spread 5 %; *lognormal*: 20 %; *spiky*: 2 %, and 15 % of visits slower by a "
    "factor of 1 + an exponential of mean 0.3; *loaded*: 5 %, and 30 % of visits slower by 1 + an "
    "exponential of mean 0.2; *drift*: spiky, and the machine slows down by 10 % from the first to the "
    "last visit."
)
VISITS = (6, 10, 30)
TRIALS = 20_000
PERCENTILE_TRIALS = 4_000
AIM = (0.93, 0.98)
TRUTHS = (1.0, 1.02, 1.05)
#: How far processes of one configuration differ, where that is looked at.
LUCK = 0.02


def run(options: Options) -> Iterator[str]:
    """Yield the coverage of medians, ratios and percentiles, and what looking and choosing cost."""
    trials = 500 if options.quick else TRIALS
    for part in (of_medians, of_paired_ratios, of_runs):
        say(f"intervals: {part.__name__}")
        yield from part(trials)
        yield ""
    say("intervals: of_percentiles")
    yield from of_percentiles(100 if options.quick else PERCENTILE_TRIALS)
    yield ""
    say("intervals: of_stopping")
    yield from of_stopping(trials)
    yield ""
    say("intervals: of_choosing")
    yield from of_choosing(trials)


def percent(share: float) -> str:
    """Return a coverage in percent, in bold where it lies outside the aim."""
    text = f"{100 * share:.1f}"
    return text if AIM[0] <= share <= AIM[1] else f"**{text}**"


def coverage_header(what: str) -> Iterator[str]:
    """Yield the head of a table with a column for each number of visits."""
    return header(what, *(f"{visits} visits, %" for visits in VISITS))


# ---------------------------------------------------------------- medians over visits


def drifting(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw spiky visits of a machine that slows down along the last axis."""
    return spiky(rng, shape) * drift(shape[-1])


def drifting_at_any_time(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw spiky visits at random times of that slowing down: what a visit is distributed like."""
    return spiky(rng, shape) * (1 - 0.1 * rng.random(shape))


def of_medians(trials: int) -> Iterator[str]:
    """Yield how often `median_estimate` covers."""
    yield "### Medians over visits (`median_estimate`)"
    yield ""
    yield from coverage_header("noise")
    noises: list[tuple[str, Noise, Noise]] = [(name, noise, noise) for name, noise in NOISES.items()]
    noises.append(("drift", drifting, drifting_at_any_time))
    for name, noise, marginal in noises:
        truth = true_median(marginal, name)
        shares = [
            medians(noise(generator("medians", name, n), (trials, n))).covers(truth).mean() for n in VISITS
        ]
        yield row(name, *map(percent, shares))
    yield ""
    yield f"{trials:,} series for each figure; the truth of drift is the median over the whole time."


# ---------------------------------------------------------------- ratios inside rounds


class Pairing(NamedTuple):
    """Two configurations in the same rounds: their speeds, and the ratio's true median."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], tuple[Array, Array]]
    truth: float


def together(
    one: Noise, other: Noise, ratio: float, rng: np.random.Generator, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Draw both under what each round does to both (spiky), each with noise of its own."""
    common = spiky(rng, shape)
    return ratio * common * one(rng, shape), common * other(rng, shape)


def apart(ratio: float, rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Draw both on a machine that slows down by 10 %, each at a random place inside its round."""
    rounds = np.arange(shape[-1])
    one, other = ((1 - 0.1 * (rounds + rng.random(shape)) / shape[-1]) * spiky(rng, shape) for _ in range(2))
    return ratio * one, other


def pairings() -> Iterator[Pairing]:
    """Yield what is paired. With noises alike, the median of the ratio is the ratio itself, by symmetry."""
    for name, noise in NOISES.items():
        yield Pairing(f"{name}, common rounds", partial(together, noise, noise, 1.05), 1.05)
    mixed = partial(together, spiky, NOISES["normal"], 1.05)
    yield Pairing(
        "one spiky, one normal, common rounds",
        mixed,
        true_median(lambda rng, shape: np.divide(*mixed(rng, shape)), "mixed"),
    )
    yield Pairing("drift under both", partial(apart, 1.05), 1.05)


def of_paired_ratios(trials: int) -> Iterator[str]:
    """Yield how often `paired_ratio` covers."""
    yield "### Ratios paired inside rounds (`paired_ratio`)"
    yield ""
    yield from coverage_header("noise of each configuration")
    for pairing in pairings():
        shares = []
        for n in VISITS:
            one, other = pairing.draw(generator("paired", pairing.name, n), (trials, n))
            own = paired_ratio(dict(enumerate(one[0])), dict(enumerate(other[0])))
            if own != median_estimate(list(one[0] / other[0])):
                raise AssertionError("paired_ratio is not the median of the rounds' ratios any more")
            shares.append(medians(one / other).covers(pairing.truth).mean())
        yield row(pairing.name, *map(percent, shares))
    yield ""
    yield f"{trials:,} pairs of series for each figure, true ratio 1.05; what a round does to both is spiky."


# ---------------------------------------------------------------- ratios of two runs


def lucky(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw spiky visits in two processes, each of which is faster or slower as a whole by its own luck."""
    luck = np.exp(LUCK * rng.standard_normal((shape[0], 2)))
    of_visits: Array = np.repeat(luck, -(-shape[1] // 2), axis=1)[:, : shape[1]]
    return spiky(rng, shape) * of_visits


def of_runs(trials: int) -> Iterator[str]:
    """Yield how often two ways to an interval for the ratio of two runs cover, and how wide they are."""
    yield "### Ratios of two independent runs (`ratio_of_independent`, used by repeatability)"
    yield ""
    columns = [f"{n} visits: {what}" for n in VISITS for what in ("recovery, %", "Price-Bonett, %", "width")]
    yield from header("noise", *columns)
    for name, noise in {**NOISES, f"spiky, processes differ by {100 * LUCK:g} %": lucky}.items():
        cells = []
        for n in VISITS:
            rng = generator("runs", name, n)
            one, other = noise(rng, (trials, n)), noise(rng, (trials, n))
            ways = [by_recovery(one, other), by_standard_errors(one, other)]
            widths = [float(np.median(np.log(found.high / found.low))) for found in ways]
            cells += [percent(found.covers(1.0).mean()) for found in ways] + [f"{widths[0] / widths[1]:.2f}"]
        yield row(name, *cells)
    yield ""
    yield (
        f"{trials:,} pairs of runs for each figure. *Recovery* adds the reaches of both medians' intervals "
        "as squares, *Price-Bonett* two standard errors; *width* is the one's median width over the other's."
    )


# ---------------------------------------------------------------- percentiles


def of_percentiles(trials: int) -> Iterator[str]:
    """Yield how often `percentile_estimate` covers."""
    yield "### Percentiles of latency (`percentile_estimate`)"
    yield ""
    columns = [f"p{percentile}, {n} visits" for n in VISITS for percentile in percentiles.PERCENTILES]
    yield from header("visits", *columns)
    rows: dict[str, list[str]] = {}
    for name, _, shares in percentiles.coverages(trials):
        cells = [
            percent(share) + (f" ({100 * open_:.0f})" if open_ >= 0.005 else "") for share, open_ in shares
        ]
        rows.setdefault(name, []).extend(cells)
    for name, cells in rows.items():
        yield row(name, *cells)
    yield ""
    yield (
        f"{trials:,} trials for each figure, in percent; {percentiles.SAMPLES} samples in each visit, which "
        f"spread by {100 * percentiles.WITHIN:g} % and are correlated with their neighbours by "
        f"{percentiles.CORRELATION:g}. An interval whose upper end is left open reaches without end; in "
        "brackets how many of the intervals are."
    )


# ---------------------------------------------------------------- looking often


def of_stopping(trials: int) -> Iterator[str]:
    """Yield what stopping at a clear verdict does, without and with the rule."""
    yield "### Stopping when the verdict is clear (`leader.standing`)"
    yield ""
    yield (
        f"Two configurations in up to {MOST_ROUNDS} rounds, looked at after {MIN_VISITS} and after every "
        "further round. Without a rule, the first clear verdict by a 95 % interval ends it; with the rule, "
        f"every look after the first takes a {100 * LOOKED_AGAIN:g} % interval, and so does the report. "
        "*Wrong*: better or worse where the truth is 1, else the wrong direction. *Covers*: the interval "
        "that was looked at last, which is the one that is shown."
    )
    yield ""
    yield from header(
        "noise, true ratio", "rule", "wrong, %", *(f"{kind}, %" for kind in KINDS), "covers, %", "rounds"
    )
    for noise in (NOISES["spiky"], NOISES["loaded"]):
        for truth in TRUTHS:
            ratios = paired_ratios(noise, truth, trials)
            for rule, later in (("none", 0.95), (f"{100 * LOOKED_AGAIN:g} %", LOOKED_AGAIN)):
                found = stop(ratios, truth, later)
                yield row(
                    f"{noise.__name__}, {truth:g}",
                    rule,
                    f"{100 * found.wrong(truth):.1f}",
                    *(f"{100 * found.share(kind):.1f}" for kind in KINDS),
                    percent(float(found.covered.mean())),
                    f"{found.rounds.mean():.0f}",
                )
    yield ""
    yield f"{trials:,} comparisons for each row; both rules see the same ones."


# ---------------------------------------------------------------- the best of many


def of_choosing(trials: int) -> Iterator[str]:
    """Yield what a claim says that is made of the rounds that were chosen by, and of fresh ones."""
    yield "### The best of many (`analysis.confirmation`)"
    yield ""
    yield (
        f"The best of {choosing.CANDIDATES} configurations that are equal, by its median over "
        f"{choosing.ROUNDS} rounds, is compared with a baseline that is their equal too: by the rounds that "
        f"it was chosen by, and by {choosing.ROUNDS} fresh ones. *Refused*: turned down, in those, for a "
        "runner-up that is its equal."
    )
    yield ""
    yield from header("noise", "chosen by: ratio", "covers 1, %", "fresh: ratio", "covers 1, %", "refused, %")
    for name, first, fresh, refused in choosing.rows(NOISES, trials):
        told = [cell for one in (first, fresh) for cell in (f"{one.ratio:.3f}", percent(one.covers))]
        yield row(name, *told, f"{100 * refused:.1f}")
    yield ""
    yield f"{trials:,} runs for each row; the ratio is the geometric mean over them."
