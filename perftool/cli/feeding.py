"""Read the options that say how a model file wants its images."""

from typing import Annotated, Literal

import typer

from perftool.errors import UsageError
from perftool.spec import Feeding, ModelFile, ModelSource

#: The largest size of a dimension that every part of a runtime takes.
_LARGEST = 2**31 - 1
#: How many characters of a shape an error repeats.
_SHOWN = 60

Mean = Annotated[
    str | None,
    typer.Option(
        "--mean", help="What the model wants subtracted from 0..255: a number, or three by channel (1,2,3)."
    ),
]
Scale = Annotated[
    str | None,
    typer.Option("--scale", help="What it wants the rest divided by: a number, or three by channel."),
]
Color = Annotated[
    Literal["BGR", "RGB"] | None,
    typer.Option("--color", help="The order of channels that it wants.", show_default="BGR"),
]
Layout = Annotated[
    Literal["NCHW", "NHWC"] | None,
    typer.Option("--layout", help="Where its channels are.", show_default="as its shape says"),
]
InputShape = Annotated[
    str | None,
    typer.Option("--input-shape", help="Its input's shape where the file leaves that open: 1,3,224,224."),
]


def read_feeding(
    mean: str | None,
    scale: str | None,
    color: Literal["BGR", "RGB"] | None,
    layout: Literal["NCHW", "NHWC"] | None,
    input_shape: str | None,
) -> Feeding:
    """Return the feeding that the options state; raise UsageError, naming the option, for bad values."""
    from perftool.model.convention import fault

    feeding = Feeding(
        mean=_floats("--mean", mean),
        scale=_floats("--scale", scale),
        color=color,
        layout=layout,
        shape=_sizes(input_shape),
    )
    if found := fault(feeding):
        raise UsageError(str(found))
    return feeding


def fed(source: ModelSource, feeding: Feeding) -> ModelSource:
    """Return a source that is fed so; raise UsageError where it is built, and so needs no telling."""
    if feeding == Feeding():
        return source
    if isinstance(source, ModelFile):
        return ModelFile(path=source.path, feeding=feeding)
    raise UsageError(
        f"--mean, --scale, --color, --layout and --input-shape go with a model file; perftool builds "
        f"{source.name} itself and knows how it is fed"
    )


def _sizes(text: str | None) -> tuple[int, ...]:
    """Read a shape; none where the option is not given."""
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    # A word of more digits is above the largest, and is never converted.
    sizes = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) <= 10]
    if len(sizes) < len(words) or not all(1 <= size <= _LARGEST for size in sizes):
        wanted = f"sizes are whole numbers from 1 to {_LARGEST}, as 1,3,224,224"
        raise UsageError(f"--input-shape: {text[:_SHOWN]}: {wanted}")
    return tuple(sizes)


def _floats(option: str, text: str | None) -> tuple[float, ...]:
    """Read numbers between commas; none where the option is not given."""
    if text is None:
        return ()
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"{option}: {text!r} is no number, and no numbers between commas") from None
