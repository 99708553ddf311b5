"""Reading order: line polygons -> in the order in which they are read; columns one after the other, tables row by row.

The page is cut along its widest gaps, again and again (XY cut, Nagy and Seth 1984), into bands from top to bottom and,
where what lies beside each other is running text, into columns.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import numpy as np
import numpy.typing as npt

from simpleocr.document import SAME_ROW
from simpleocr.geometry import Polygon, Transform, polygon_to_box

PROSE = 9.0  # a column of text has lines that are so many times longer than high, in the middle
PROSE_LINES = 3  # and so many of them at least
Boxes = npt.NDArray[np.float64]
"""(N, 4): left, top, right, bottom."""
GUTTER = 0.6  # heights of a line that lie between two columns at least


def reading_order(polygons: Sequence[Polygon]) -> list[int]:
    """Indices of `polygons` in the order in which they are read.

    Args:
        polygons: of lines, on one page, which may be turned a little as a whole.
    """
    if not polygons:
        return []
    level = _levelled(polygons)
    boxes = np.array([polygon_to_box(polygon) for polygon in level])
    return _ordered(boxes, list(range(len(polygons))))


def _levelled(polygons: Sequence[Polygon]) -> list[Polygon]:
    """The polygons turned so that most lines are level: each line's vote counts by its length."""
    tops = np.array([(b[0] - a[0], b[1] - a[1]) for a, b, _, _ in polygons])
    lengths = np.hypot(tops[:, 0], tops[:, 1])
    angles = np.arctan2(tops[:, 1], tops[:, 0])
    order = np.argsort(angles)
    heavy = np.searchsorted(np.cumsum(lengths[order]), lengths.sum() / 2)
    angle = float(angles[order][min(int(heavy), len(angles) - 1)])
    cos, sin = float(np.cos(-angle)), float(np.sin(-angle))
    turn = Transform(((cos, -sin, 0), (sin, cos, 0), (0, 0, 1)))
    return [turn.apply_polygon(polygon) for polygon in polygons]


def _ordered(boxes: Boxes, members: list[int]) -> list[int]:
    if len(members) < 2:
        return members
    height = median(boxes[i][3] - boxes[i][1] for i in members)
    columns = _groups(boxes, members, axis=0, gap=GUTTER * height)
    if len(columns) > 1 and (parts := _columns(boxes, columns)):
        return [i for part in parts for i in _ordered(boxes, part)]
    bands = _groups(boxes, members, axis=1, gap=0.0)
    if len(bands) > 1:
        if merged := _joined(boxes, bands, height):
            return [i for band in merged for i in _ordered(boxes, band)]
        return [i for band in bands for i in _ordered(boxes, band)]
    if len(columns) > 1:
        return [i for part in columns for i in _ordered(boxes, part)]
    return _rows(boxes, members)


def _groups(boxes: Boxes, members: Sequence[int], axis: int, gap: float) -> list[list[int]]:
    """Members that no gap runs between: along x (axis 0) or y (axis 1), in that order."""
    # letters hang into the next line's room: lines are taken a little lower than they are
    shrink = 0.15 if axis == 1 else 0.0
    spans = []
    for i in members:
        low, high = boxes[i][axis], boxes[i][axis + 2]
        spans.append((low + shrink * (high - low), high - shrink * (high - low), i))
    spans.sort()
    groups: list[list[int]] = []
    end = -np.inf
    for low, high, i in spans:
        if low > end + gap or not groups:
            groups.append([])
        groups[-1].append(i)
        end = max(end, high)
    return groups


def _columns(boxes: Boxes, groups: Sequence[list[int]]) -> list[list[int]]:
    """The groups beside each other as columns of running text, those that are none joined to their left; [] if none is."""
    prose = [_is_prose(boxes, group) for group in groups]
    if sum(prose) < 2:
        return []
    parts: list[list[int]] = []
    for group, text in zip(groups, prose, strict=True):
        if parts and not text:
            parts[-1] += group
        else:
            parts.append(list(group))
    return parts if len(parts) > 1 else []


def _is_prose(boxes: Boxes, members: Sequence[int]) -> bool:
    """Whether lines are running text: long, and close one under the other."""
    if len(members) < PROSE_LINES:
        return False
    lengths = [(boxes[i][2] - boxes[i][0]) / max(1e-6, boxes[i][3] - boxes[i][1]) for i in members]
    if median(lengths) < PROSE:
        return False
    tops = sorted(members, key=lambda i: boxes[i][1])
    gaps = [boxes[b][1] - boxes[a][3] for a, b in pairwise(tops)]
    return bool(median(gaps) < 1.2 * median(boxes[i][3] - boxes[i][1] for i in members))


def _joined(boxes: Boxes, bands: Sequence[list[int]], height: float) -> list[list[int]]:
    """Bands put together so far as the same gutter runs through them and they are columns of text; [] if none are.

    Columns whose lines stand at the same height are cut into bands of one line each, which would be read across.
    """
    best: list[list[int]] = []
    for start in range(len(bands)):
        members: list[int] = []
        for end in range(start, len(bands)):
            members = members + bands[end]
            groups = _groups(boxes, members, axis=0, gap=GUTTER * height)
            if len(groups) < 2:
                break
            if end - start + 1 >= PROSE_LINES and _columns(boxes, groups):
                best = [*bands[:start], members, *bands[end + 1 :]]
        if best:
            return best
    return []


def _rows(boxes: Boxes, members: Sequence[int]) -> list[int]:
    """From top to bottom, and those of one row from left to right."""
    rows: list[list[int]] = []
    for i in sorted(members, key=lambda i: boxes[i][1] + boxes[i][3]):
        row = rows[-1] if rows else []
        if row and _overlap(boxes[row[-1]], boxes[i]) > SAME_ROW:
            row.append(i)
        else:
            rows.append([i])
    return [i for row in rows for i in sorted(row, key=lambda i: boxes[i][0])]


def _overlap(a: Boxes, b: Boxes) -> float:
    """How much of the lower one's height two boxes share."""
    return float((min(a[3], b[3]) - max(a[1], b[1])) / max(1e-6, min(a[3] - a[1], b[3] - b[1])))
