"""The roofline: what a device can do at most, and how near to it a configuration or a layer comes.

After Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures" (Communications of the ACM 52, 2009). From a PeaksMeasured record; nothing here measures.
"""

from msgspec import Struct

from perftool.analysis.stats import Estimate


class Ceiling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most operations per second that was seen in one precision, in 10^9, and the kernel that did it."""

    precision: str
    kernel: str
    gflops: Estimate


class Roofline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device's ceilings, the highest first, and its memory bandwidth in 10^9 bytes per second."""

    device: str
    ceilings: tuple[Ceiling, ...]
    bandwidth_gb_s: Estimate
    measured: str


class Placed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a configuration lies: operations per byte, the rate reached and the limit, in 10^9 operations/s.

    `of_limit` is the rate in percent of the limit; `bound` what the limit is made of. `words` say the
    headroom in a sentence.
    """

    id: str
    precision: str
    intensity: float
    gflops: Estimate
    limit_gflops: float
    of_limit: Estimate
    bound: str
    words: str
