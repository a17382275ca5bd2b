"""How a benchmark is run: the command line's options, as the benchmarks read them."""

from pathlib import Path

from msgspec import Struct

#: Where raw results lie, so that a stopped run resumes; git ignores it.
RAW = Path("build") / "benchmarks"


class Options(Struct, frozen=True, kw_only=True):
    """What to spend. `quick` runs for a smoke test: everything is tried, nothing is proved.

    `anew` forgets what a stopped run left; a smoke run always does.

    `write` tells that the results go into the docs.

    `seconds`, `most_pairs` and `minutes` are agreement's: a window's length, the most pairs for each
    configuration, and the time after which no other pair is begun.
    """

    quick: bool = False
    anew: bool = False
    write: bool = False
    seconds: int = 5
    most_pairs: int = 40
    minutes: float = 45.0

    @property
    def forgets(self) -> bool:
        """Tell whether to begin without what an earlier run left."""
        return self.anew or self.quick

    def command(self, name: str) -> str:
        """Return the command that runs a benchmark with these options."""
        given = [f"python -m benchmarks {name}"]
        plain = Options()
        for field in ("seconds", "most_pairs", "minutes"):
            if (value := getattr(self, field)) != getattr(plain, field):
                given.append(f"--{field.replace('_', '-')} {value:g}")
        return " ".join([*given, "--quick"] if self.quick else given)
