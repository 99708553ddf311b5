"""Outline: where a sheet of paper lies in a photograph, by its edges; and the picture of the sheet as from above.

A sheet is the largest light region, on something darker, that four straight edges surround. Only these are asked for: how
its lines run is not known here.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from simpleocr.components import label_regions
from simpleocr.geometry import Point, Polygon, Transform

SIDE = 320  # pixels of the longer side of the picture in which edges are looked for
BLUR = 2.0  # pixels there: print must not cut a sheet in pieces
LEAST, MOST = 0.15, 0.97  # of the picture that a sheet covers
CONTRAST = 25.0  # grey levels between a sheet and what it lies on
FILLED = 0.9  # of the space between its edges that is light; the rest is print
STRAIGHT = 0.96  # of the four edges' area that the region's hull covers: rounded corners and torn edges take little
LIGHT_AROUND = 0.5  # of the picture's border that is light at most: a sheet lies on something darker
AT_BORDER = 0.15  # of the picture's border that a sheet may touch: what is cut off has no edge there
CORNERS = (55.0, 125.0)  # degrees of a sheet's corners, as it is seen
# of its length by which opposite edges differ at least; what tapers less is read as well as it lies, and better for not
# being sampled once more (10 forms: at 0.1 and 0.25 flattening cost a point of word F1, at 0.45 it brought two)
TAPER = 0.3


def find_sheet(grey: Image.Image) -> Polygon | None:
    """The corners of the sheet of paper that is photographed, in pixels, from what is nearest to the picture's top left.

    Args:
        grey: the picture, of mode "L".

    Returns:
        None where no sheet's edges are seen, and where it tapers so little that it is read as well as it lies.
    """
    scale = min(1.0, SIDE / max(grey.size))
    size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
    if min(size) < SIDE / 8:
        return None
    small = grey.resize(size, Image.Resampling.BOX, reducing_gap=3.0).filter(ImageFilter.GaussianBlur(BLUR))
    light = _lighter(np.asarray(small))
    if light is None or _at_border(light) > LIGHT_AROUND:
        return None
    labels = label_regions(light)
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    sheet = labels == counts.argmax()
    if not LEAST * sheet.size < counts.max() < MOST * sheet.size or _at_border(sheet) > AT_BORDER:
        return None
    outer = hull(_rim(sheet))
    corners = four_sided(outer)
    if corners is None or area(outer) < STRAIGHT * area(corners) or counts.max() < FILLED * area(outer):
        return None
    first = min(range(4), key=lambda i: corners[i][0] + corners[i][1])
    x, y = grey.width / size[0], grey.height / size[1]
    a, b, c, d = ((px * x, py * y) for px, py in (*corners[first:], *corners[:first]))
    return (a, b, c, d) if _is_aslant((a, b, c, d)) else None


def flattened(grey: Image.Image, sheet: Polygon) -> tuple[Image.Image, Transform]:
    """The sheet as from above, as long and wide as its longer edges; and the transform from its pixels to the picture's.

    Args:
        grey: the picture, of mode "L".
        sheet: as find_sheet() gives it.
    """
    a, b, c, d = sheet
    width, height = max(math.dist(a, b), math.dist(d, c)), max(math.dist(a, d), math.dist(b, c))
    size = (max(1, round(width)), max(1, round(height)))
    back = Transform.from_corners(size, sheet)
    return grey.transform(size, Image.Transform.PERSPECTIVE, back.coefficients, Image.Resampling.BILINEAR), back


def surrounds(polygon: Polygon, point: Point) -> bool:
    """Whether a point lies in a convex polygon whose corners run clockwise."""
    sides = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return all(_turn(start, end, point) >= 0 for start, end in sides)


def _lighter(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_] | None:
    """What is lighter than the threshold that parts the levels best (Otsu 1979); None where both parts are alike."""
    counts = np.bincount(levels.ravel(), minlength=256).astype(np.float64)
    below, sums = counts.cumsum(), (counts * np.arange(256)).cumsum()
    above = below[-1] - below
    parted = (below > 0) & (above > 0)
    means = np.zeros((2, 256))
    means[0, parted] = sums[parted] / below[parted]
    means[1, parted] = (sums[-1] - sums[parted]) / above[parted]
    best = int((below * above * (means[1] - means[0]) ** 2).argmax())
    if means[1, best] - means[0, best] < CONTRAST:
        return None
    return np.asarray(levels > best)


def _at_border(mask: npt.NDArray[np.bool_]) -> float:
    """The share of the border's cells that a region has."""
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    return float(border.mean())


def _rim(mask: npt.NDArray[np.bool_]) -> list[Point]:
    """The corners of the first and last cell of a region in every row: its hull's are among them."""
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask[rows].argmax(axis=1), mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    return [
        (float(x), float(y + down))
        for y, left, right in zip(rows.tolist(), first.tolist(), last.tolist(), strict=True)
        for x in (left, right)
        for down in (0, 1)
    ]


def hull(points: Sequence[Point]) -> list[Point]:
    """The convex hull, clockwise as it is seen (Andrew 1979)."""
    ordered = sorted(set(points))
    half: list[list[Point]] = [[], []]
    for side, run in zip(half, (ordered, ordered[::-1]), strict=True):
        for point in run:
            while len(side) > 1 and _turn(side[-2], side[-1], point) <= 0:
                side.pop()
            side.append(point)
    return half[0][:-1] + half[1][:-1]


def four_sided(convex: Sequence[Point]) -> tuple[Point, Point, Point, Point] | None:
    """Four edges around a convex polygon: the edge that adds least is left out, until there are four.

    An edge is left out by drawing out those beside it until they meet. None where fewer edges are to be had.
    """
    points = list(convex)
    while len(points) > 4:
        best: tuple[float, int, Point] | None = None
        for i in range(len(points)):  # the edge from i to i + 1
            before, start, end, after = (points[(i + k) % len(points)] for k in (-1, 0, 1, 2))
            meeting = _meeting(before, start, end, after)
            if meeting is not None:
                added = abs(_turn(start, end, meeting)) / 2
                if best is None or added < best[0]:
                    best = added, i, meeting
        if best is None:
            return None
        _, i, meeting = best
        points[i] = meeting
        del points[(i + 1) % len(points)]
    if len(points) < 4:
        return None
    a, b, c, d = points
    return (a, b, c, d)


def area(polygon: Sequence[Point]) -> float:
    """Of a polygon whose corners run round it."""
    sides = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in sides)) / 2


def _turn(a: Point, b: Point, c: Point) -> float:
    """Twice the area of a triangle; positive where it turns clockwise, as it is seen."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _meeting(before: Point, start: Point, end: Point, after: Point) -> Point | None:
    """Where the edges before and after one meet beyond it; None where they do not."""
    (ux, uy), (vx, vy) = (start[0] - before[0], start[1] - before[1]), (end[0] - after[0], end[1] - after[1])
    cross = ux * vy - uy * vx
    if abs(cross) < 1e-9:
        return None
    along = ((end[0] - start[0]) * vy - (end[1] - start[1]) * vx) / cross
    back = ((end[0] - start[0]) * uy - (end[1] - start[1]) * ux) / cross
    return (start[0] + along * ux, start[1] + along * uy) if along >= 0 and back >= 0 else None


def _is_aslant(sheet: Polygon) -> bool:
    """Whether a sheet's outline can be one, and is no rectangle."""
    lengths, angles = [], []
    for i in range(4):
        before, corner, after = (sheet[(i + k) % 4] for k in (-1, 0, 1))
        lengths.append(math.dist(corner, after))
        u, v = (before[0] - corner[0], before[1] - corner[1]), (after[0] - corner[0], after[1] - corner[1])
        cosine = (u[0] * v[0] + u[1] * v[1]) / max(1e-9, math.hypot(*u) * math.hypot(*v))
        angles.append(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
    if not all(CORNERS[0] < angle < CORNERS[1] for angle in angles):
        return False
    pairs = ((lengths[0], lengths[2]), (lengths[1], lengths[3]))
    return any(max(pair) - min(pair) > TAPER * max(pair) for pair in pairs)
