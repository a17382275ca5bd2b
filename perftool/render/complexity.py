"""A model's complexity as tables and as JSON."""

from rich import box
from rich.markup import escape
from rich.table import Table

from perftool.record import Described


def as_json(described: Described, weights: str, *, layers: bool) -> dict[str, object]:
    """Return the figures under their documented names: GFLOPs, millions of parameters, megabytes.

    `weights` says which ones a built-in model has; "" for any other, in JSON null.
    """
    document: dict[str, object] = {
        "model": described.name,
        "weights": weights or None,
        "input_shape": described.input_shape,
        "output_shape": described.output_shape,
        "fed": described.fed,
        "batch": described.batch,
        "gflops": described.flops / 1e9,
        "gflops_mac": described.macs / 1e9,
        "mparams": described.convention_parameters / 1e6,
        "parameters": described.parameters,
        "activation_mb": described.activation_bytes / 1e6,
        "peak_activation_mb": described.peak_activation_bytes / 1e6,
    }
    if layers:
        document["layers"] = described.layers
    return document


def complexity_tables(described: Described, weights: str, *, layers: bool) -> list[Table]:
    """Show the totals and, asked for, a row per layer."""
    title = f"{described.name}, {weights}" if weights else described.name
    totals = Table(box=box.SIMPLE, title=escape(title), show_header=False, title_justify="left")
    totals.add_column()
    totals.add_column(justify="right")
    totals.add_column()
    for name, figure, unit in (
        ("operations", f"{described.flops / 1e9:.3f}", "GFLOPs (published convention: multiply-add is 2)"),
        ("multiply-adds", f"{described.macs / 1e9:.3f}", "GMAC"),
        ("parameters", f"{described.convention_parameters / 1e6:.6f}", "M (published convention)"),
        ("parameters in all", f"{described.parameters:,}", ""),
        ("activations", f"{described.activation_bytes / 1e6:.1f}", "MB written"),
        ("activations alive", f"{described.peak_activation_bytes / 1e6:.1f}", "MB at the most"),
        ("input", _shape(described.input_shape), escape(described.fed)),
        ("output", _shape(described.output_shape), "class scores"),
    ):
        totals.add_row(name, figure, unit)
    return [totals, _layer_table(described)] if layers else [totals]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in shape) or "unknown"


def _layer_table(described: Described) -> Table:
    table = Table(box=box.SIMPLE)
    for title in ("layer", "type", "output"):
        table.add_column(title, overflow="fold")
    for title in ("MFLOPs", "share", "parameters", "activations [kB]"):
        table.add_column(title, justify="right")
    for layer in described.layers:
        table.add_row(
            escape(layer.name),
            escape(layer.type),
            _shape(layer.output_shape),
            f"{layer.flops / 1e6:.1f}",
            f"{layer.flops / described.flops:.1%}" if described.flops else "",
            f"{layer.parameters:,}",
            f"{layer.activation_bytes / 1e3:.0f}",
        )
    return table
