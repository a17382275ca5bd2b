"""Where prepared models, evaluations and fetched weights are kept between runs. Runtime-free."""

from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return the folder of prepared models: under XDG_CACHE_HOME, or the platform's cache folder."""
    return user_cache_path("perftool") / "models"


def evaluations_folder() -> Path:
    """Return the folder of evaluations, whole ones and those that were stopped."""
    return user_cache_path("perftool") / "evaluations"


def peaks_folder() -> Path:
    """Return the folder of what devices can do at most, a file for each device and machine."""
    return user_cache_path("perftool") / "peaks"


def fetched_folder() -> Path:
    """Return the folder of what was fetched, one folder per known model."""
    return user_cache_path("perftool") / "fetched"
