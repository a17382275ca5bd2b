"""perftool reports to nobody, and has what it uses report to nobody."""

import os
import sys

_PACKAGE = "openvino_telemetry"
_MLFLOW = "MLFLOW_DISABLE_TELEMETRY"


def silence() -> None:
    """Put the telemetry of the runtimes and of MLflow out of reach, before they are imported.

    Unless told otherwise NNCF reports each quantization to an analytics service, and OpenVINO keeps an
    identifier in the home folder. Without that package both fall back on stubs of their own. MLflow reports
    which of its functions are called, unless its environment variable says no.
    """
    sys.modules[_PACKAGE] = None  # type: ignore[assignment]
    os.environ[_MLFLOW] = "true"
