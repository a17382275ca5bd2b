"""Import TensorFlow, where it is installed, and keep it quiet. In a child process only.

It is an extra: perftool wants it to read checkpoints and to freeze them, and for nothing else.
"""

import os
from typing import Any

from perftool.errors import InputError


def import_tensorflow(purpose: str) -> Any:
    """Return the module `tensorflow`, its log cut down to errors.

    `purpose` opens the InputError that is raised, with what to install, where it cannot be imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Read once, by its C++ part, when that is loaded.
    try:
        import tensorflow
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise InputError(f"{purpose} takes TensorFlow, which is damaged here ({error})") from error
        raise InputError(
            f"{purpose} takes TensorFlow, which is not installed: pip install 'perftool[tensorflow]'"
        ) from None
    except ImportError as error:
        raise InputError(f"{purpose} takes TensorFlow, which cannot be loaded here ({error})") from error
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow
