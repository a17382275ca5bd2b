"""Devices as a table."""

from rich import box
from rich.markup import escape
from rich.table import Table

from perftool.machine import Device, DeviceFound


def device_table(devices: tuple[Device, ...]) -> Table:
    """Show every device with what it supports, or why it is missing and what to do."""
    table = Table(box=box.SIMPLE)
    for title in ("device", "status", "name, or what to do"):
        table.add_column(title, overflow="fold")
    table.add_column("capabilities", overflow="fold")
    table.add_column("streams")
    for device in devices:
        if isinstance(device, DeviceFound):
            streams = "" if device.streams is None else f"{device.streams[0]} to {device.streams[1]}"
            row = ("ready", device.full_name, ", ".join(device.capabilities), streams)
        else:
            row = ("missing", f"{device.reason}; {device.advice}", "", "")
        table.add_row(device.name, *(escape(cell) for cell in row))
    return table
