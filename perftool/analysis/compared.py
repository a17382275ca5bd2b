"""What two runs amount to, side by side: the types behind the JSON of `perftool compare`.

Values only: `compare` fills them, `render` shows them.
"""

from typing import Literal

from msgspec import Struct

from perftool.analysis.stats import Estimate
from perftool.spec import Precision

#: What the control is made of: hint baselines, most configurations where these are none, or nothing.
Kind = Literal["baselines", "most", "none"]

#: What became of a configuration in a run that has no figures of it. "elsewhere": another one stands for it,
#: or the search did not come to it.
Outcome = Literal["not planned", "refused", "elsewhere", "not measured", "failed"]

#: "same": the change surely lies inside the band. "undecided": it may lie outside, and may be none.
#: "not compared": there is nothing to judge by, and the reason says why.
Verdict = Literal["worse", "better", "same", "undecided", "not compared"]


class Side(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the runs compared. `choice` is what its own objective and limits recommend.

    `noise_cv` is the spread of its canary; of its `visits` so many were `disturbed`. Where a side has several
    runs, `runs` counts them, and the figures are those of all: the least complete, the most noisy.
    """

    id: str
    created: str
    model: str
    model_digest: str
    profile: str
    openvino: str
    rounds: int
    complete: bool
    noise_cv: float | None
    visits: int
    disturbed: int
    choice: str | None
    runs: int = 1


class Shift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One figure of one configuration in both runs.

    `ratio` is the run's over the baseline run's, whichever way is better. `own` is what the verdict is made
    of: that change over the one of the control, or without a control the same change with the machine's drift
    allowed for. `p_value` is of `own`, adjusted for the number of figures compared. `regression` tells
    whether it is worse by more than the threshold. `reason` says why there is no verdict.
    """

    metric: str
    unit: str
    better: Literal["higher", "lower"]
    before: Estimate | None
    now: Estimate | None
    ratio: Estimate | None
    own: Estimate | None
    p_value: float | None
    verdict: Verdict
    regression: bool
    reason: str | None


class ConfigurationShift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration that the baseline run measured and the other planned; `now_id` is its name there.

    `control`: it is one of those whose change is the machine's. `failed` is why it could not be measured in
    the run, though it could in the baseline run. `notes` say what else is not as it was.
    """

    id: str
    now_id: str
    device: str
    precision: Precision | Literal["default"]
    batch: int
    baseline: bool
    control: bool
    failed: str | None
    regression: bool
    shifts: tuple[Shift, ...]
    notes: tuple[str, ...]


class CommonShift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The change of what is the same for all configurations of a device: that of the control.

    The control is hint baselines, or most configurations (`kind`) where these are none.
    `ratio` has the machine's guessed drift in its interval, of standard deviation `drift`.
    """

    device: str
    metric: str
    better: Literal["higher", "lower"]
    kind: Kind
    control: tuple[str, ...]
    ratio: Estimate
    drift: float
    p_value: float | None
    verdict: Verdict
    regression: bool


class AccuracyShift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Top-1 of one model file as it runs on a device, in percent, paired by image.

    A positive drop is a loss, in percentage points. `changed` counts images whose likeliest class is another.
    """

    variant: str
    before: float | None
    now: float | None
    images: int
    changed: int | None
    drop_pp: float | None
    drop_low: float | None
    drop_high: float | None
    gained: int | None
    lost: int | None
    p_value: float | None
    verdict: Verdict
    regression: bool
    reason: str | None


class OnlyIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration that only one of the runs measured, and what became of it in the other."""

    id: str
    run: Literal["baseline", "run"]
    reason: str
    outcome: Outcome


class Lost(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the baseline run could judge, and the run cannot.

    `subject` is a configuration, what classified, or a run; `what` the metrics. `worse`: that it is lost says
    by itself that the run is worse. `meant`: nobody asked the run for it.
    """

    subject: str
    what: str
    reason: str
    worse: bool
    meant: bool


class Comparison(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run held against the baseline run.

    `incomparable` says why no verdict is given, `differences` what else differs. `regressions` are sentences,
    empty where no threshold was given.
    """

    baseline: Side
    run: Side
    incomparable: tuple[str, ...]
    differences: tuple[str, ...]
    metrics: tuple[str, ...]
    common: tuple[CommonShift, ...]
    configurations: tuple[ConfigurationShift, ...]
    accuracy: tuple[AccuracyShift, ...]
    only: tuple[OnlyIn, ...]
    lost: tuple[Lost, ...]
    notes: tuple[str, ...]
    regressions: tuple[str, ...]


class Compared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON of `perftool compare`. `threshold` is a share: 0.03 for 3 %."""

    threshold: float | None
    comparisons: tuple[Comparison, ...]
