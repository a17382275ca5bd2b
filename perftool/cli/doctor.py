"""`perftool doctor`: what on this machine would spoil measurements, and what to do about it."""

from perftool.cli import options


def doctor(
    json: options.Json = False,
) -> None:
    """Say what on this machine would spoil measurements, and what to do."""
    from perftool.bench.doctor import survey
    from perftool.cli.output import print_json, print_rich

    found = survey()
    if json:
        from perftool.bench.host import identity

        print_json({"findings": found.findings, "conditions": found.conditions, "host": identity()})
        return
    from perftool.render.doctor import finding_table, verdict

    print_rich(finding_table(found.findings), verdict(found.findings))
