"""Geometry: points, polygons, boxes, and one Transform that is applied, inverted and composed.

Points are (x, y) in pixels, y down. A polygon is four points clockwise from the top-left of what it surrounds, as that
is read; a box is (left, top, right, bottom), right and bottom exclusive.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]
Polygon = tuple[Point, Point, Point, Point]
Box = tuple[float, float, float, float]


def box_to_polygon(box: Box) -> Polygon:
    """The corners of a box."""
    left, top, right, bottom = box
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def polygon_to_box(polygon: Polygon) -> Box:
    """The smallest box around a polygon."""
    xs, ys = [x for x, _ in polygon], [y for _, y in polygon]
    return (min(xs), min(ys), max(xs), max(ys))


def union(boxes: Sequence[Box]) -> Box:
    """The smallest box around boxes."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return (min(left), min(top), max(right), max(bottom))


def enclose(polygons: list[Polygon]) -> Polygon:
    """The smallest upright rectangle around polygons, in the frame of the first one's top edge.

    For the letters of one line that frame is the line's own direction, so the rectangle turns with the line.
    """
    assert polygons, "nothing to enclose"
    first = np.asarray(polygons[0], dtype=np.float64)
    along = first[1] - first[0]
    length = float(np.hypot(*along))
    along = along / length if length else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]])
    points = np.asarray(polygons, dtype=np.float64).reshape(-1, 2)
    u, v = points @ along, points @ across
    corners = [(u.min(), v.min()), (u.max(), v.min()), (u.max(), v.max()), (u.min(), v.max())]
    a, b, c, d = ((float(s * along[0] + t * across[0]), float(s * along[1] + t * across[1])) for s, t in corners)
    return (a, b, c, d)


@dataclass(frozen=True)
class Transform:
    """A mapping of the plane: a matrix (3, 3) on (x, y, 1); affine where the last row is (0, 0, 1).

    Args:
        matrix: row by row; must be invertible.
    """

    matrix: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

    @classmethod
    def from_array(cls, array: npt.ArrayLike) -> Self:
        """From any (3, 3) array."""
        a, b, c = (tuple(float(v) for v in row) for row in np.asarray(array, dtype=np.float64).reshape(3, 3))
        return cls((a, b, c))  # type: ignore[arg-type]  # rows of a (3, 3) array have three values

    @classmethod
    def identity(cls) -> Self:
        """Nothing moves."""
        return cls.from_array(np.eye(3))

    @classmethod
    def translate(cls, x: float, y: float) -> Self:
        """Right by x and down by y pixels."""
        return cls(((1, 0, x), (0, 1, y), (0, 0, 1)))

    @classmethod
    def scale(cls, x: float, y: float) -> Self:
        """Larger by x and y, from the origin."""
        return cls(((x, 0, 0), (0, y, 0), (0, 0, 1)))

    @classmethod
    def rotate(cls, degrees: float) -> Self:
        """Counter-clockwise about the origin, as it is seen: y runs down."""
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return cls(((cos, sin, 0), (-sin, cos, 0), (0, 0, 1)))

    @classmethod
    def from_corners(cls, size: tuple[float, float], polygon: Polygon) -> Self:
        """From a rectangle's pixels, (width, height) large, to where its corners lie; a perspective in general.

        Raises:
            ValueError: three corners of the polygon lie on one line.
        """
        width, height = size
        rows, values = [], []
        for (x, y), (u, v) in zip(((0, 0), (width, 0), (width, height), (0, height)), polygon, strict=True):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
            values += [u, v]
        try:
            solved = np.linalg.solve(np.array(rows, dtype=np.float64), np.array(values, dtype=np.float64))
        except np.linalg.LinAlgError as error:
            raise ValueError(f"no rectangle is seen as {polygon}") from error
        return cls.from_array([*solved, 1.0])

    def then(self, other: "Transform") -> "Transform":
        """First this, then the other."""
        return Transform.from_array(np.asarray(other.matrix) @ np.asarray(self.matrix))

    def invert(self) -> "Transform":
        """What undoes this.

        Raises:
            ValueError: nothing does.
        """
        matrix = np.asarray(self.matrix)
        # not by the determinant alone: it is small for any transform that shrinks
        if not np.isfinite(matrix).all() or np.linalg.cond(matrix / np.abs(matrix).max(initial=1e-300)) > 1e14:
            raise ValueError(f"the transform {self.matrix} cannot be inverted")
        return Transform.from_array(np.linalg.inv(matrix))

    @property
    def coefficients(self) -> tuple[float, ...]:
        """The eight numbers that Pillow's Image.transform() takes of a way back; the ninth is 1."""
        last = self.matrix[2][2]
        return tuple(value / last for row in self.matrix for value in row)[:8]

    def apply(self, point: Point) -> Point:
        """Where a point goes.

        Raises:
            ValueError: to infinity, as the horizon of a perspective does.
        """
        # without numpy, which takes ten times as long for three numbers; a page has thousands of points
        (a, b, c), (d, e, f), (g, h, i) = self.matrix
        x, y = point
        depth = g * x + h * y + i
        if not depth:
            raise ValueError(f"{point} goes to infinity")
        return ((a * x + b * y + c) / depth, (d * x + e * y + f) / depth)

    def apply_polygon(self, polygon: Polygon) -> Polygon:
        """Where a polygon's corners go."""
        (a, b, c), (d, e, f), (g, h, i) = self.matrix
        if g or h or i != 1:
            p, q, r, s = (self.apply(point) for point in polygon)
        else:  # the characters of every page pass here
            p, q, r, s = [(a * x + b * y + c, d * x + e * y + f) for x, y in polygon]
        return (p, q, r, s)


def skew(polygons: Sequence[Polygon]) -> float:
    """How much most lines of a page rise to the right, in degrees, counter-clockwise positive: each votes by its length.

    Between -180 and 180; 0 where there are no lines.
    """
    if not polygons:
        return 0.0
    tops = np.array([(b[0] - a[0], b[1] - a[1]) for a, b, _, _ in polygons])
    lengths = np.hypot(tops[:, 0], tops[:, 1])
    angles = np.arctan2(-tops[:, 1], tops[:, 0])
    order = np.argsort(angles)
    heavy = np.searchsorted(np.cumsum(lengths[order]), lengths.sum() / 2)
    return math.degrees(angles[order][min(int(heavy), len(angles) - 1)])


def levelled(polygons: Sequence[Polygon]) -> list[Polygon]:
    """Polygons of the lines of a page, turned together so that most lines are level."""
    turn = Transform.rotate(-skew(polygons))
    return [turn.apply_polygon(polygon) for polygon in polygons]
