"""Place labels beside points, so that they cover neither points nor each other."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox

#: Where a label may lie, as seen from its point: directions, at growing distances (in points).
_DIRECTIONS = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_DISTANCES = (5, 9, 12, 16, 24, 34, 48)
_FAR = 16
_MARKER = 10.0
_RING = 17.0
_LINE = 2.0

Point = tuple[float, float]


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
    taken = [_square(_pixels(axes, *point), _MARKER * scale) for point in points]
    taken += [_stroke(_pixels(axes, *a), _pixels(axes, *b), _LINE * scale) for a, b in lines]
    if ringed is not None:
        taken.append(_square(_pixels(axes, *ringed), _RING * scale))
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
                (_cost(box, taken, frame) + scale**2 * distance, index, box, dx * distance, dy * distance)
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
        taken.append(box)


def _pixels(axes: Axes, x: float, y: float) -> Point:
    across, up = axes.transData.transform((x, y))
    return float(across), float(up)


def _square(centre: Point, side: float) -> Bbox:
    return Bbox.from_bounds(centre[0] - side / 2, centre[1] - side / 2, side, side)


def _stroke(start: Point, end: Point, width: float) -> Bbox:
    left, right = sorted((start[0], end[0]))
    low, high = sorted((start[1], end[1]))
    return Bbox.from_extents(left - width / 2, low - width / 2, right + width / 2, high + width / 2)


def _box(at: Point, width: float, height: float, dx: int, dy: int, distance: float) -> Bbox:
    """Return the box of a label that lies in a direction from a point."""
    left = at[0] + dx * distance - (0 if dx > 0 else width if dx < 0 else width / 2)
    low = at[1] + dy * distance - (0 if dy > 0 else height if dy < 0 else height / 2)
    return Bbox.from_bounds(left, low, width, height)


def _cost(box: Bbox, taken: Sequence[Bbox], frame: Bbox) -> float:
    """Count the area that a label would cover, and what would stick out of the axes."""
    covered = sum(_overlap(box, other) for other in taken)
    outside = box.width * box.height - _overlap(box, frame)
    return covered + 4 * outside


def _overlap(one: Bbox, other: Bbox) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width * height if width > 0 and height > 0 else 0.0


def _align(label: Text, dx: int, dy: int, across: float, up: float) -> None:
    label.set_position((across, up))
    label.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
    label.set_verticalalignment("bottom" if dy > 0 else "top" if dy < 0 else "center")
