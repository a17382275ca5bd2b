"""perftool reports to nobody, and has the runtimes that it uses report to nobody."""

import sys

_PACKAGE = "openvino_telemetry"


def silence() -> None:
    """Put the runtimes' telemetry out of reach, before they are imported.

    Unless told otherwise NNCF reports each quantization to an analytics service, and OpenVINO keeps an
    identifier in the home folder. Without that package both fall back on stubs of their own.
    """
    sys.modules[_PACKAGE] = None  # type: ignore[assignment]
