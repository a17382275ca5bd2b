"""Run benchmarks, all or those named, and print what they find as Markdown."""

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module

from benchmarks.document import heading, write_section
from benchmarks.options import Options
from perftool.errors import PerftoolError

#: By how long they take: the last three take most of an hour each.
NAMES = (
    "startup",
    "overhead",
    "intervals",
    "open_loop",
    "evaluation",
    "accuracy_control",
    "racing",
    "scale",
    "search",
    "agreement",
    "repeatability",
)


def main(arguments: list[str]) -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    plain = Options()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a smoke run: everything tried, nothing proved")
    parser.add_argument("--anew", action="store_true", help="forget what stopped runs left in build/")
    parser.add_argument("--write", action="store_true", help="replace the sections in docs/benchmarks.md")
    parser.add_argument("--seconds", type=int, default=plain.seconds, help="agreement: length of a window")
    parser.add_argument(
        "--most-pairs", type=int, default=plain.most_pairs, help="agreement: for each configuration"
    )
    parser.add_argument("--minutes", type=float, default=plain.minutes, help="agreement: begin no pair after")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in NAMES]:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if given.quick and given.write:
        parser.error("a smoke run proves nothing that could be written down: --quick or --write, not both")
    options = Options(
        quick=given.quick,
        anew=given.anew,
        write=given.write,
        seconds=given.seconds,
        most_pairs=given.most_pairs,
        minutes=given.minutes,
    )
    for name in given.names or NAMES:
        lines: list[str] = []
        for line in section(name, options):
            lines.append(line)
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        if given.write:
            write_section(name, lines)


def section(name: str, options: Options) -> Iterator[str]:
    """Run one benchmark; yield its section of the page, line by line."""
    benchmark = import_module(f"benchmarks.{name}")
    yield from heading(benchmark.TITLE, benchmark.QUESTION, options.command(name))
    yield from benchmark.run(options)
    yield ""


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except PerftoolError as error:
        sys.exit(f"benchmarks: {error}")
