"""Read the options that name a data set."""

from pathlib import Path

from perftool.errors import UsageError
from perftool.spec import Dataset


def image_source(dataset: Path | None, labels: Path | None, calibration: Path | None) -> Dataset | None:
    """Return the data set that the options name, None where they leave it to the profile.

    Paths are made absolute, so that a run resumes from any folder.
    """
    if dataset is None:
        for name, value in (("--labels", labels), ("--calibration", calibration)):
            if value is not None:
                raise UsageError(f"{name} goes with --dataset")
        return None
    return Dataset(
        directory=str(dataset.absolute()),
        labels=str(labels.absolute()) if labels else None,
        calibration=str(calibration.absolute()) if calibration else None,
    )
