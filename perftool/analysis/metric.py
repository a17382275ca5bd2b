"""What a metric is: a figure of a configuration, and how it is read, compared, bounded and named."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from perftool.analysis.result import ConfigurationResult, Series
from perftool.analysis.stats import Estimate, ratio_of_independent
from perftool.spec import Closed, ClosedLoad, EndToEnd, Sync

#: The loads that rounds are made under, by the name that metrics have for them.
LOADS: dict[str, ClosedLoad] = {"closed": Closed(), "sync": Sync(), "end_to_end": EndToEnd()}


class Metric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure of a configuration: its name, unit, which way is better, and how to read it off a result.

    `label` is for an axis or a sentence, `heading` for a narrow column, `phrase` for a reason where the
    heading alone would say too little. `digits` are the decimals that are worth showing where no interval
    says better. `read` gives None where it was not measured. `series` gives the figure of each round, for
    pairing, where there is one, and `load` the one load that those rounds were visited under. `unscaled` is
    `read` without the scale that the figure is shown on, where it has one.

    `positive`: the figure is above zero wherever it makes sense, so it has a logarithm, and a weight.
    `spread`: it is seen more than once, so it has an interval once there are visits enough. Where it is not,
    `allowance` is the share by which runs of the same code differ, if that is known. `parts` are the
    metrics that it is made of, and `over` is what a ratio is over.
    """

    name: str
    label: str
    heading: str
    unit: str
    better: Literal["higher", "lower"]
    digits: int
    read: Callable[[ConfigurationResult], Estimate | None]
    series: Callable[[Series], dict[int, float]] | None = None
    load: Literal["closed", "sync", "end_to_end"] | None = None
    unscaled: Callable[[ConfigurationResult], Estimate | None] | None = None
    phrase: str = ""
    positive: bool = True
    spread: bool = True
    allowance: float | None = None
    parts: "tuple[Metric, ...]" = ()
    over: str = ""

    def value(self, result: ConfigurationResult) -> float | None:
        """Return the point estimate."""
        estimate = self.read(result)
        return estimate.point if estimate else None

    def ratio(self, one: ConfigurationResult, other: ConfigurationResult) -> Estimate | None:
        """Return the figure of one result over that of another, measured apart from it.

        None where either has none. A scale would cancel in the ratio, but not the noise of what it is set
        by: the figures are compared without.
        """
        read = self.unscaled or self.read
        mine, its = read(one), read(other)
        return ratio_of_independent(mine, its) if mine and its else None

    @property
    def called(self) -> str:
        """Return the name that reasons use."""
        return self.phrase or self.heading

    @property
    def way(self) -> Literal["<=", ">="]:
        """Return which side of a limit passes."""
        return ">=" if self.better == "higher" else "<="

    def keeps(self, value: float, bound: float) -> bool:
        """Tell whether a value keeps a limit."""
        return value >= bound if self.better == "higher" else value <= bound
