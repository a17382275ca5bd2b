"""Run every benchmark and print a line for each figure."""

import sys

from benchmarks import startup

if __name__ == "__main__":
    for line in startup.run():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
