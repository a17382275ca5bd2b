"""`python -m perftool` is `perftool`."""

from perftool.cli.main import main

main()
