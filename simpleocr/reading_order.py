"""Reading order: line polygons -> in the order in which they are read; columns one after the other, tables row by row.

The page is cut along its widest gaps, again and again (XY cut, Nagy and Seth 1984), into bands from top to bottom and,
where what lies beside each other is running text, into columns.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from simpleocr.columns import PROSE, PROSE_LINES, Beside, Column, length
from simpleocr.document import SAME_ROW
from simpleocr.geometry import Box, Polygon, levelled, polygon_to_box

LEFT, TOP, RIGHT, BOTTOM = range(4)
Boxes = Sequence[Box]
"""Of all lines of the page; `members` are indices into it. No arrays: of few numbers at a time they are slower."""
IN_ROWS = 0.4  # of the lines of a column have white above and below that runs on through the other, if they are a table
WIDE = 0.35  # of the range of gaps, below the widest, that a page is cut at first
CELL_LINES = 4  # of a cell at most
HANGING = 0.15  # heights of a line that it is taken lower by, above and below
FOOT = 0.8  # heights of a line between columns and what stands below them
FOOT_LINES = 2  # which are so many lines at most
SMALL = 0.85  # of the columns' letters: those of a footnote are smaller
NUMBER = 3.0  # heights: a page number is shorter
HIGHER = 3  # lines that one column begins higher than the next, at most
GUTTER = -0.15  # heights of a line that lie between two columns at least; lines reach beyond their letters


def reading_order(polygons: Sequence[Polygon]) -> list[int]:
    """Indices of `polygons` in the order in which they are read.

    Args:
        polygons: of lines, on one page, which may be turned a little as a whole.
    """
    if not polygons:
        return []
    boxes = [polygon_to_box(polygon) for polygon in levelled(polygons)]
    return _ordered(boxes, list(range(len(polygons))))


def _ordered(boxes: Boxes, members: list[int], around: float = 0.0) -> list[int]:
    """Members in order. `around`: the white above and below them all, in pixels."""
    if len(members) < 2:
        return members
    height = median(boxes[i][3] - boxes[i][1] for i in members)
    columns = _groups(boxes, members, axis=0, gap=GUTTER * height)
    bands = _groups(boxes, members, axis=1, gap=0.0)
    if len(columns) > 1 and (parts := _columns(boxes, columns)):
        if foot := _foot(boxes, bands, height):
            parts = [_flat(bands[:-foot]), *bands[-foot:]]
        return [i for part in parts for i in _ordered(boxes, part)]
    if len(bands) < 2:
        if len(columns) > 1:
            return [i for part in columns for i in _ordered(boxes, part)]
        return _rows(boxes, members)
    if len(columns) > 1 and _are_cells(boxes, columns, bands, around, height):
        return [i for part in columns for i in _ordered(boxes, part)]
    if merged := _joined(boxes, bands, height):
        return [i for band in merged for i in _ordered(boxes, band)]
    parts, whites = _parted(boxes, bands)
    return [i for part, white in zip(parts, whites, strict=True) for i in _ordered(boxes, part, white)]


def _parted(boxes: Boxes, bands: Sequence[list[int]]) -> tuple[list[list[int]], list[float]]:
    """Bands put together between the widest gaps; and of each the white around it."""
    gaps = [_low(boxes, below, TOP) - _high(boxes, above, BOTTOM) for above, below in pairwise(bands)]
    cut = max(gaps) - WIDE * (max(gaps) - min(gaps))
    parts = [list(bands[0])]
    whites = []
    for gap, band in zip(gaps, bands[1:], strict=True):
        if gap >= cut:
            parts.append([])
            whites.append(gap)
        parts[-1] += band
    around = [min(pair) for pair in pairwise([math.inf, *whites, math.inf])]
    return parts, [white if math.isfinite(white) else 0.0 for white in around]


def _are_cells(
    boxes: Boxes, columns: Sequence[list[int]], bands: Sequence[list[int]], around: float, height: float
) -> bool:
    """Whether columns are cells of several lines: blocks with one left edge, closer inside than what is around them."""
    if len(bands) > CELL_LINES:
        return False
    # three prices beside what they are of are rows
    if len(bands) > 2 and any(median(length(boxes[i]) for i in column) < NUMBER for column in columns):
        return False
    inside = max(_low(boxes, below, TOP) - _high(boxes, above, BOTTOM) for above, below in pairwise(bands))
    if inside > 0.6 * around or around - inside < 0.2 * height:
        return False
    return all(_high(boxes, column, LEFT) - _low(boxes, column, LEFT) < 0.7 * height for column in columns)


def _groups(boxes: Boxes, members: Sequence[int], axis: int, gap: float) -> list[list[int]]:
    """Members that no gap runs between: along x (axis 0) or y (axis 1), in that order."""
    if axis == 0:
        spans = sorted((boxes[i][LEFT], boxes[i][RIGHT], i) for i in members)
    else:
        spans = sorted((*_within(boxes[i]), i) for i in members)
    groups: list[list[int]] = []
    end = -math.inf
    for low, high, i in spans:
        if low > end:
            groups.append([i])
        else:
            groups[-1].append(i)
        if high + gap > end:
            end = high + gap
    return groups


def _within(box: Box) -> tuple[float, float]:
    """Top and bottom of a line, a little lower than it is: letters hang into the next line's room."""
    _, top, _, bottom = box
    less = HANGING * (bottom - top)
    return top + less, bottom - less


def _columns(boxes: Boxes, groups: Sequence[list[int]]) -> list[list[int]]:
    """The groups beside each other as columns to be read one after the other; [] if they are to be read across.

    Running text is read column by column; so is what does not stand in rows.
    """
    prose = [Column([boxes[i] for i in group]).is_prose for group in groups]
    parts = [list(groups[0])]
    flowing = prose[0]
    for group, text in zip(groups[1:], prose[1:], strict=True):
        if (flowing and text) or not _in_rows(boxes, parts[-1], group):
            parts.append(list(group))
            flowing = text
        else:
            parts[-1] += group
            flowing = flowing or text
    return parts if len(parts) > 1 else []


def _in_rows(boxes: Boxes, left: Sequence[int], right: Sequence[int]) -> bool:
    """Whether white runs through both where it runs through one: a table, however many lines its cells have."""
    if min(len(left), len(right)) < 2:
        return True
    low = max(_low(boxes, left, TOP), _low(boxes, right, TOP))
    high = min(_high(boxes, left, BOTTOM), _high(boxes, right, BOTTOM))
    there = [[i for i in part if boxes[i][3] > low and boxes[i][1] < high] for part in (left, right)]
    if not all(there):
        return True
    together = len(_groups(boxes, [*there[0], *there[1]], axis=1, gap=0.0))
    if together > IN_ROWS * min(len(part) for part in there):  # there are no more groups than lines: mostly said so
        return True
    return together > IN_ROWS * min(len(_groups(boxes, part, axis=1, gap=0.0)) for part in there)


def _joined(boxes: Boxes, bands: Sequence[list[int]], height: float) -> list[list[int]]:
    """Bands put together so far as the same gutter runs through them and they are columns of text; [] if none are.

    Columns whose lines stand at the same height are cut into bands of one line each, which would be read across; and a
    column that begins higher than the next has bands to itself.
    """
    crowds = [IN_ROWS * max(0, _most_apart(boxes, band) - 2) for band in bands]
    for start in range(_starts(boxes, bands, crowds, height)):
        beside = Beside(GUTTER * height)
        last = alone = 0
        crowd = 0.0
        for end in range(start, len(bands)):
            for i in bands[end]:
                beside.add(boxes[i], end)
            crowd += crowds[end]
            if len(beside.columns) < 2:
                alone += 1
                if alone == end - start + 1 <= HIGHER and _begins_column(boxes, bands[end : end + 2], height):
                    continue
                break
            if end - start + 1 >= PROSE_LINES and _are_columns(boxes, bands[start : end + 1], beside, crowd):
                last = end + 1
            elif alone and not last and end - start > HIGHER + PROSE_LINES:
                break  # it was no column that begins higher
        if last:
            last -= _foot(boxes, bands[start:last], height)
            return [*bands[:start], _flat(bands[start:last]), *bands[last:]]
    return []


def _starts(boxes: Boxes, bands: Sequence[list[int]], crowds: Sequence[float], height: float) -> int:
    """With how many of the bands columns of text may begin: there are none where the lines below are too short.

    Most tables have none at all, and a long one would be looked at for long. Columns are read one after the other only
    if two are prose, which have two long lines each at least, or if they do not stand in rows.
    """
    lefts, rights = [-math.inf] * 2, [math.inf] * 2  # of the long lines, the furthest to the right and to the left
    for start in range(len(bands) - 1, -1, -1):
        for left, _, right, _ in (boxes[i] for i in bands[start] if length(boxes[i]) >= PROSE):
            lefts, rights = sorted([*lefts, left])[1:], sorted([*rights, right])[:2]
        if crowds[start] or rights[1] + GUTTER * height < lefts[0]:
            return start + 1
    return 0


def _are_columns(boxes: Boxes, bands: Sequence[list[int]], beside: Beside, crowd: float) -> bool:
    """Whether _columns() finds any in these bands. It is only asked, which takes long, where that is not known without.

    Two columns of prose are some. Without those there are none if each column stands in rows with what is left of it, and
    so it does by _in_rows(), unless its lines are a `crowd`: each band that it has in common with that is a row at least,
    and no more than two of its own, but for the crowd.
    """
    if sum(column.is_prose for column in beside.columns) >= 2:
        return True
    if not crowd:
        return False
    first, last = beside.columns[0].bands[0], beside.columns[0].bands[-1]
    for column in beside.columns[1:]:
        begin, end = column.bands[0], column.bands[-1]
        beyond = max(first, begin) - begin + 1 + end - min(last, end) + 1
        if (1 - 2 * IN_ROWS) * (len(column.bands) - beyond) <= crowd:
            return bool(_columns(boxes, _groups(boxes, _flat(bands), axis=0, gap=beside.gap)))
        first, last = min(first, begin), max(last, end)
    return False


def _most_apart(boxes: Boxes, band: Sequence[int]) -> int:
    """How many lines of a band stand one below the other at most, wherever along x."""
    count, end = 0, -math.inf
    for top, bottom in sorted((_within(boxes[i]) for i in band), key=lambda span: span[1]):
        if top > end:
            count, end = count + 1, bottom
    return count


def _flat(bands: Sequence[list[int]]) -> list[int]:
    return [i for band in bands for i in band]


def _foot(boxes: Boxes, bands: Sequence[list[int]], height: float) -> int:
    """How many of the last bands are a line of a footnote or a page number, which stand below all columns, in none.

    They are smaller or very short, and what is above them must be columns without them: the last lines of a column that
    is longer than the others are neither.
    """
    for count in range(min(FOOT_LINES, len(bands) - 1), 0, -1):
        above, foot = bands[:-count], bands[-count:]
        if not all(len(band) == 1 and _is_small(boxes[band[0]], height) for band in foot):
            continue
        if _low(boxes, foot[0], TOP) - _high(boxes, above[-1], BOTTOM) < FOOT * height:
            continue
        groups = _groups(boxes, _flat(above), axis=0, gap=GUTTER * height)
        if len(groups) > 1 and _columns(boxes, groups):
            return count
    return 0


def _is_small(box: Box, height: float) -> bool:
    """Whether a line is a page number by its length, or by its letters no line of the columns of that height."""
    left, top, right, bottom = box
    return bottom - top < SMALL * height or right - left < NUMBER * (bottom - top)


def _begins_column(boxes: Boxes, bands: Sequence[list[int]], height: float) -> bool:
    """Whether a band is a single line of running text, close above the next band."""
    if len(bands) < 2 or len(bands[0]) > 1:
        return False
    left, top, right, bottom = boxes[bands[0][0]]
    return right - left > PROSE * (bottom - top) and _low(boxes, bands[1], TOP) - bottom < height


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


def _overlap(a: Box, b: Box) -> float:
    """How much of the lower one's height two boxes share."""
    return (min(a[3], b[3]) - max(a[1], b[1])) / max(1e-6, min(a[3] - a[1], b[3] - b[1]))


def _low(boxes: Boxes, members: Iterable[int], side: int) -> float:
    """The least coordinate that a side of the members has."""
    return min(boxes[i][side] for i in members)


def _high(boxes: Boxes, members: Iterable[int], side: int) -> float:
    """The greatest coordinate that a side of the members has."""
    return max(boxes[i][side] for i in members)
