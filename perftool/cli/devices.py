"""`perftool devices`: what is here, what each device supports, and what to install for the others."""

from perftool.cli import options

#: The devices that OpenVINO has plugins for on a machine like this.
KNOWN = ("CPU", "GPU", "NPU")


def devices(
    json: options.Json = False,
) -> None:
    """List devices, and what the missing ones need."""
    from perftool.cli.output import print_json, print_rich
    from perftool.sweep.preparing import probe_all

    found = probe_all(KNOWN)
    if json:
        print_json(found)
        return
    from perftool.render.devices import device_table

    print_rich(device_table(found))
