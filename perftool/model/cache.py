"""Where prepared models are kept between runs. Runtime-free; what lies in there is `variants`' business."""

from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return the folder of prepared models: under XDG_CACHE_HOME, or the platform's cache folder."""
    return user_cache_path("perftool") / "models"
