"""A layer profile as the files in its folder: the figures as JSON, the tables as text, the pictures."""

from perftool.analysis.layer_changes import LayerReport
from perftool.render.files import as_json, as_text
from perftool.render.layer_plots import draw_layers
from perftool.render.layers import layers_view


def layers_files(report: LayerReport) -> dict[str, bytes]:
    """Return {file name: content} of a profile's folder; the text shows every layer."""
    most = max(len(one.layers) for one in (report.profile, report.other) if one is not None)
    pictures = draw_layers(report)
    return {
        "profile.json": as_json(report),
        "profile.txt": as_text(*layers_view(report, most)),
        **{f"plots/{name}": content for name, content in pictures.items()},
    }
