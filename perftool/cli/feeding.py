"""Read the options that say how a model file wants its images."""

from typing import Annotated, Literal

import typer

from perftool.errors import UsageError
from perftool.spec import Feeding, ModelFile, ModelSource

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

    sizes = _floats("--input-shape", input_shape)
    if not all(size.is_integer() and size >= 1 for size in sizes):
        raise UsageError(f"--input-shape: {input_shape}: sizes are whole numbers from 1, as 1,3,224,224")
    feeding = Feeding(
        mean=_floats("--mean", mean),
        scale=_floats("--scale", scale),
        color=color,
        layout=layout,
        shape=tuple(map(int, sizes)),
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


def _floats(option: str, text: str | None) -> tuple[float, ...]:
    """Read numbers between commas; none where the option is not given."""
    if text is None:
        return ()
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"{option}: {text!r} is no number, and no numbers between commas") from None
