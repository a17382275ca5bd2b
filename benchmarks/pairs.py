"""The raw pairs of `agreement`: kept after every pair, read again by the next run."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.benchmark_app import Measured
from perftool.machine import HostInfo
from perftool.record import Visited


class Pair(Struct, frozen=True, kw_only=True):
    """One configuration measured by both, one right after the other."""

    configuration: str
    number: int
    perftool_first: bool
    perftool: Visited
    benchmark_app: Measured

    @property
    def throughput_ratio(self) -> float:
        """Return perftool's throughput over benchmark_app's, both as completions over the time they took."""
        ours = len(self.perftool.latencies_ns) / self.perftool.window_ns
        return ours / (self.benchmark_app.iterations / self.benchmark_app.duration_ms / 1e6)

    @property
    def latency_ratio(self) -> float:
        """Return perftool's median latency over benchmark_app's, both the lower of two middle ones."""
        ordered = sorted(self.perftool.latencies_ns)
        return ordered[(len(ordered) - 1) // 2] / 1e6 / self.benchmark_app.median_ms


class Pairs(Struct, kw_only=True):
    """All pairs of one setup. `models` are the keys of the prepared model files."""

    host: HostInfo
    seconds: int
    models: dict[str, str]
    pairs: list[Pair]

    def of(self, configuration: str) -> list[Pair]:
        """Return one configuration's pairs."""
        return [pair for pair in self.pairs if pair.configuration == configuration]

    def save(self, path: Path) -> None:
        """Write everything, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self))
        os.replace(part, path)


def taken_up(path: Path, host: HostInfo, seconds: int, models: dict[str, str]) -> Pairs:
    """Read what an earlier run left, if it is of the same setup; begin anew where there is nothing.

    Raises SystemExit where it is of another setup: those pairs are somebody's, and do not mix with these.
    """
    fresh = Pairs(host=host, seconds=seconds, models=models, pairs=[])
    if not path.exists():
        return fresh
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Pairs)
    except msgspec.DecodeError as error:
        raise SystemExit(f"{path}: {error}; --anew forgets them") from None
    if (found.host, found.seconds, found.models) != (host, seconds, models):
        raise SystemExit(f"{path}: pairs of another host, length or model; --anew forgets them")
    return found
