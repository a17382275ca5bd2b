"""Place labels beside points, so that they cover neither points nor each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

#: Where a label may lie, as seen from its point: directions, at growing distances (in points).
_DIRECTIONS = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_DISTANCES = (5, 9, 12, 16, 24, 34, 48)
_FAR = 16
_MARKER = 10.0
_RING = 17.0
_LINE = 2.0

Point = tuple[float, float]
#: Boxes on the canvas, a row each: left, low, right, high.
Boxes = NDArray[np.float64]


def place(
    axes: Axes,
    points: Sequence[Point],
    lines: Sequence[tuple[Point, Point]],
    texts: Sequence[tuple[float, float, str]],
    ringed: Point | None = None,
) -> None:
    """Label some points of a drawn Axes; `texts` are (x, y, label).

    All `points`, the ring and the upright or level `lines` are kept clear, as far as there is room.

    Greedy: each label takes the nearest place that overlaps least with what is there already.
    """
    figure = axes.get_figure(root=True)
    if figure is None or not texts:
        return
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    frame = axes.get_window_extent()
    taken = [_squares(axes, points, _MARKER * scale), _strokes(axes, lines, _LINE * scale)]
    if ringed is not None:
        taken.append(_squares(axes, [ringed], _RING * scale))
    covered = np.concatenate(taken)
    for x, y, text in texts:
        label = axes.annotate(
            text,
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=7.5,
            parse_math=False,
            annotation_clip=True,
            arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 0.5, "shrinkA": 0, "shrinkB": 3},
        )
        size = label.get_window_extent()
        at = _pixels(axes, x, y)
        best = min(
            (
                (_cost(box, covered, frame) + scale**2 * distance, index, box, dx * distance, dy * distance)
                for distance in _DISTANCES
                for index, (dx, dy) in enumerate(_DIRECTIONS)
                for box in [_box(at, size.width, size.height, dx, dy, distance * scale)]
            ),
            key=lambda item: item[:2],
        )
        _, index, box, across, up = best
        _align(label, *_DIRECTIONS[index], across, up)
        if label.arrow_patch is not None:
            label.arrow_patch.set_visible(max(abs(across), abs(up)) >= _FAR)
        covered = np.concatenate([covered, [box.extents]])


def _pixels(axes: Axes, x: float, y: float) -> Point:
    across, up = axes.transData.transform((x, y))
    return float(across), float(up)


def _squares(axes: Axes, centres: Sequence[Point], side: float) -> Boxes:
    """Return squares around points."""
    at = axes.transData.transform(np.array(centres, dtype=float).reshape(-1, 2))
    return np.hstack([at - side / 2, at + side / 2])


def _strokes(axes: Axes, lines: Sequence[tuple[Point, Point]], width: float) -> Boxes:
    """Return what upright and level lines of a width cover."""
    ends = np.array(lines, dtype=float).reshape(-1, 2)
    at = axes.transData.transform(ends).reshape(-1, 2, 2)
    return np.hstack([at.min(axis=1) - width / 2, at.max(axis=1) + width / 2])


def _box(at: Point, width: float, height: float, dx: int, dy: int, distance: float) -> Bbox:
    """Return the box of a label that lies in a direction from a point."""
    left = at[0] + dx * distance - (0 if dx > 0 else width if dx < 0 else width / 2)
    low = at[1] + dy * distance - (0 if dy > 0 else height if dy < 0 else height / 2)
    return Bbox.from_bounds(left, low, width, height)


def _cost(box: Bbox, covered: Boxes, frame: Bbox) -> float:
    """Count the area that a label would cover, and what would stick out of the axes."""
    outside = box.width * box.height - _overlap(box, np.array([frame.extents]))
    return _overlap(box, covered) + 4 * outside


def _overlap(one: Bbox, others: Boxes) -> float:
    """Return the area that a box shares with others, all together."""
    left, low, right, high = others.T
    width = np.minimum(one.x1, right) - np.maximum(one.x0, left)
    height = np.minimum(one.y1, high) - np.maximum(one.y0, low)
    return float((np.maximum(width, 0) * np.maximum(height, 0)).sum())


def _align(label: Text, dx: int, dy: int, across: float, up: float) -> None:
    label.set_position((across, up))
    label.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
    label.set_verticalalignment("bottom" if dy > 0 else "top" if dy < 0 else "center")
