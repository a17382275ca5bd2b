"""A layer profile as the files in its folder: the figures as JSON, the tables as text, the pictures."""

from perftool.analysis.layer_report import LayerReport, LayerSamples
from perftool.render.files import as_json, as_text
from perftool.render.layer_plots import draw_layers
from perftool.render.layers import layers_view


def layers_files(report: LayerReport, samples: LayerSamples | None = None) -> dict[str, bytes]:
    """Return {file name: content} of a profile's folder; the text shows every layer.

    `samples` are what the report was worked out from, which it can be again.
    """
    most = max(len(one.layers) for one in (report.profile, report.other) if one is not None)
    pictures = draw_layers(report)
    return {
        "profile.json": as_json(report),
        "profile.txt": as_text(*layers_view(report, most)),
        **({} if samples is None else {"samples.json": as_json(samples)}),
        **{f"plots/{name}": content for name, content in pictures.items()},
    }
