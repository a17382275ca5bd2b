"""Draw the built-in labelled images: procedural textures, the same to the last bit on every machine.

Every pixel comes from raw bits of a counter-based generator (Philox; NumPy keeps its stream) by operations
that IEEE 754 defines exactly, one array operation at a time: no sine, no BLAS, no float reduction. They are
a task for the reference weights, hard enough that a loss by quantization shows; they are no photographs, and
an accuracy on them is always to be called that of reference weights on synthetic images.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

SIZE: Final = 299
Part = Literal["training", "calibration", "evaluation"]
Plane = NDArray[np.float32]

_SEED: Final = 0x1602_07261
_PART_NUMBER: Final[dict[Part, int]] = {"training": 1, "calibration": 2, "evaluation": 3}


class _Draws:
    """Random numbers of one image, taken from raw bits in a fixed order."""

    def __init__(self, part: Part, index: int) -> None:
        key = np.array([_SEED + _PART_NUMBER[part], index], dtype=np.uint64)
        self._bits = np.random.Philox(key=key)

    def uniform(self, low: float, high: float) -> float:
        """Draw a number in [low, high)."""
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def below(self, count: int) -> int:
        """Draw an integer in 0 … count - 1."""
        return (int(self._bits.random_raw()) >> 32) * count >> 32

    def plane(self, height: int, width: int) -> Plane:
        """Draw a plane of numbers in 0 … 1, in steps of 1/255."""
        raw = np.asarray(self._bits.random_raw((height * width + 7) // 8), dtype="<u8")
        levels = raw.view(np.uint8)[: height * width].reshape(height, width)
        return levels.astype(np.float32) * np.float32(1 / 255)


@cache
def _grid() -> tuple[Plane, Plane]:
    """Give every pixel's x and y, in pixels from the centre."""
    line = np.arange(SIZE, dtype=np.float32) - np.float32((SIZE - 1) / 2)
    x, y = np.tile(line, (SIZE, 1)), np.tile(line[:, None], (1, SIZE))
    x.flags.writeable = y.flags.writeable = False
    return x, y


def _plane_coordinates(draws: _Draws, period: float) -> tuple[Plane, Plane]:
    """Turn, scale and shift the grid so that a pattern repeats every `period` pixels (20 % up or down)."""
    x, y = _grid()
    half_tangent = draws.uniform(-1.0, 1.0)
    cosine = (1.0 - half_tangent * half_tangent) / (1.0 + half_tangent * half_tangent)
    sine = 2.0 * half_tangent / (1.0 + half_tangent * half_tangent)
    pitch = 1.0 / (period * draws.uniform(0.8, 1.25))
    shift_u, shift_v = draws.uniform(0.0, 64.0), draws.uniform(0.0, 64.0)
    u = x * np.float32(cosine * pitch) + y * np.float32(sine * pitch) + np.float32(shift_u)
    v = y * np.float32(cosine * pitch) - x * np.float32(sine * pitch) + np.float32(shift_v)
    return u, v


def _fraction(t: Plane) -> Plane:
    whole: Plane = np.floor(t)
    return t - whole


def _triangle(t: Plane) -> Plane:
    """A wave of period 1 between 0 and 1, made of straight lines."""
    wave: Plane = np.abs(_fraction(t) * np.float32(2.0) - np.float32(1.0))
    return wave


def _smooth(t: Plane) -> Plane:
    """Bend 0 … 1 so that it starts and ends level."""
    return t * t * (np.float32(3.0) - t * np.float32(2.0))


def _wave(t: Plane) -> Plane:
    """A smooth wave of period 1 between 0 and 1."""
    return _smooth(_triangle(t))


def _edge(t: Plane, softness: float) -> Plane:
    """Step from 0 to 1 where t passes 0, over a width of `softness`."""
    step: Plane = np.clip(t * np.float32(1.0 / softness) + np.float32(0.5), 0.0, 1.0)
    return step


def _odd(t: Plane) -> Plane:
    """1 where the integer part is odd, else 0."""
    parity: Plane = np.floor(_fraction(t * np.float32(0.5)) * np.float32(2.0))
    return parity


def _value_noise(draws: _Draws, period: float) -> Plane:
    """Smooth noise: random values on a lattice of `period` pixels, interpolated."""
    cells = SIZE / (period * draws.uniform(0.8, 1.25))
    lattice = draws.plane(int(cells) + 3, int(cells) + 3)
    steps = np.arange(SIZE, dtype=np.float32) * np.float32(cells / SIZE)
    across, down = steps + np.float32(draws.uniform(0, 1)), steps + np.float32(draws.uniform(0, 1))
    column, row = across.astype(np.intp), down.astype(np.intp)
    right = _smooth(_fraction(across))[None, :]
    below = _smooth(_fraction(down))[:, None]
    rows = lattice[:, column] + (lattice[:, column + 1] - lattice[:, column]) * right
    upper = rows[row]
    return upper + (rows[row + 1] - upper) * below


def _stripes(draws: _Draws, period: float) -> Plane:
    return _wave(_plane_coordinates(draws, period)[0])


def _checkers(draws: _Draws, period: float) -> Plane:
    u, v = _plane_coordinates(draws, period)
    return _odd(np.floor(u * np.float32(2)) + np.floor(v * np.float32(2)))


def _dots(draws: _Draws, period: float) -> Plane:
    u, v = _plane_coordinates(draws, period)
    a, b = _fraction(u) - np.float32(0.5), _fraction(v) - np.float32(0.5)
    return _edge(np.float32(draws.uniform(0.28, 0.36)) - np.sqrt(a * a + b * b), 0.12)


def _rings(draws: _Draws, period: float) -> Plane:
    x, y = _grid()
    a = x - np.float32(draws.uniform(-90, 90))
    b = y - np.float32(draws.uniform(-90, 90))
    pitch = np.float32(1.0 / (period * draws.uniform(0.8, 1.25)))
    return _wave(np.sqrt(a * a + b * b) * pitch + np.float32(draws.uniform(0, 1)))


def _bricks(draws: _Draws, period: float) -> Plane:
    u, v = _plane_coordinates(draws, period)
    course = v * np.float32(2.0)
    along = u + _odd(np.floor(course)) * np.float32(0.5)
    joint = np.minimum(
        np.float32(0.5) - np.abs(_fraction(along) - np.float32(0.5)),
        (np.float32(0.5) - np.abs(_fraction(course) - np.float32(0.5))) * np.float32(0.5),
    )
    return _edge(joint - np.float32(0.05), 0.05)


def _blobs(draws: _Draws, period: float) -> Plane:
    return _edge(_value_noise(draws, period) - np.float32(draws.uniform(0.42, 0.58)), 0.08)


def _plaid(draws: _Draws, period: float) -> Plane:
    u, v = _plane_coordinates(draws, period)
    return (_wave(u) + _wave(v)) * np.float32(0.5)


def _mesh(draws: _Draws, period: float) -> Plane:
    u, v = _plane_coordinates(draws, period)
    return _edge(np.maximum(_triangle(u), _triangle(v)) - np.float32(0.8), 0.12)


def _chevrons(draws: _Draws, period: float) -> Plane:
    u, v = _plane_coordinates(draws, period)
    return _edge(_triangle(u + _triangle(v * np.float32(0.5))) - np.float32(0.5), 0.25)


def _rays(draws: _Draws, period: float) -> Plane:
    """Sectors around a point, over a diamond instead of a circle (so without an arc tangent)."""
    x, y = _grid()
    a = x - np.float32(draws.uniform(-70, 70))
    b = y - np.float32(draws.uniform(-70, 70))
    turn = a / (np.abs(a) + np.abs(b) + np.float32(1.0))
    return _wave(np.where(b < 0, turn, np.float32(2.0) - turn) * np.float32(period) + np.float32(0.25))


def _triangles(draws: _Draws, period: float) -> Plane:
    u, v = _plane_coordinates(draws, period)
    return _odd(np.floor(u) + np.floor(v) + np.floor(u + v))


def _grain(draws: _Draws, period: float) -> Plane:
    """Stripes bent by slow noise, as in wood."""
    bend = _value_noise(draws, 80.0) * np.float32(draws.uniform(1.5, 3.0))
    return _wave(_plane_coordinates(draws, period)[0] + bend)


def _stars(draws: _Draws, period: float) -> Plane:
    """One dot in each cell, anywhere in it and of any size."""
    u, v = _plane_coordinates(draws, period)
    column, row = np.floor(u), np.floor(v)
    cell = (row.astype(np.int64) & 31) * 32 + (column.astype(np.int64) & 31)
    table = draws.plane(3, 1024)
    radius = table[2].take(cell) * np.float32(0.2) + np.float32(0.06)
    a = u - column - (table[0].take(cell) * np.float32(0.5) + np.float32(0.25))
    b = v - row - (table[1].take(cell) * np.float32(0.5) + np.float32(0.25))
    return _edge(radius - np.sqrt(a * a + b * b), 0.08)


_Pattern = Callable[[_Draws, float], Plane]

_CLASSES: Final[tuple[tuple[str, _Pattern, float], ...]] = (
    ("coarse stripes", _stripes, 44.0),
    ("medium stripes", _stripes, 21.0),
    ("fine stripes", _stripes, 10.0),
    ("coarse checkers", _checkers, 60.0),
    ("fine checkers", _checkers, 22.0),
    ("large dots", _dots, 38.0),
    ("small dots", _dots, 16.0),
    ("wide rings", _rings, 44.0),
    ("narrow rings", _rings, 18.0),
    ("large bricks", _bricks, 66.0),
    ("small bricks", _bricks, 30.0),
    ("clouds", _value_noise, 60.0),
    ("rough noise", _value_noise, 22.0),
    ("fine noise", _value_noise, 9.0),
    ("speckle", _value_noise, 4.0),
    ("large blobs", _blobs, 44.0),
    ("small blobs", _blobs, 16.0),
    ("plaid", _plaid, 28.0),
    ("mesh", _mesh, 26.0),
    ("chevrons", _chevrons, 28.0),
    ("rays", _rays, 5.0),
    ("triangles", _triangles, 40.0),
    ("wood grain", _grain, 26.0),
    ("stars", _stars, 30.0),
)
"""Name, pattern and the pattern's period in pixels (for rays: how many there are in half a turn)."""

CLASS_NAMES: Final = tuple(name for name, _, _ in _CLASSES)
"""Names of the classes; the class at position i has the label i + FIRST_LABEL."""
FIRST_LABEL: Final = 1
"""Label of the first texture; class 0 of the 1001 is background, and does not occur."""

OTHER: Final = 0.15
"""The largest share of a second texture in an image."""
NOISE: Final = 20.0
"""The largest pixel noise, in grey levels from end to end."""


def label_of(index: int) -> int:
    """Give the label of image `index` of any part: the classes take turns."""
    return FIRST_LABEL + index % len(_CLASSES)


def draw_image(part: Part, index: int) -> NDArray[np.uint8]:
    """Draw image `index` of a part, (299, 299, 3) RGB; parts and indices never share random numbers."""
    draws = _Draws(part, index)
    _, pattern, period = _CLASSES[index % len(_CLASSES)]
    texture = pattern(draws, period)
    _, other, other_period = _CLASSES[draws.below(len(_CLASSES))]
    share = np.float32(draws.uniform(0.0, OTHER))
    texture = texture + (other(draws, other_period) - texture) * share
    x, y = _grid()
    light = x * np.float32(draws.uniform(-0.12, 0.12)) + y * np.float32(draws.uniform(-0.12, 0.12))
    light += draws.plane(SIZE, SIZE) * np.float32(draws.uniform(0.0, NOISE))
    contrast = draws.uniform(100.0, 150.0)
    image: NDArray[Any] = np.empty((SIZE, SIZE, 3), dtype=np.uint8)
    for channel in range(3):
        amplitude = contrast * draws.uniform(0.8, 1.0)
        middle = draws.uniform(110.0, 140.0)
        plane = texture * np.float32(amplitude) + np.float32(middle - amplitude * 0.5)
        image[:, :, channel] = np.clip(plane + light, 0.0, 255.0).astype(np.uint8)
    return image
