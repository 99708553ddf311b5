"""Columns: lines one below the other to which more come; after each it is known whether they are running text."""

import math
from bisect import bisect_right, insort
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import Self

from simpleocr.geometry import Box

PROSE = 8.0  # a column of text has lines that are so many times longer than high, in the middle
PROSE_LINES = 3  # and so many of them at least
FULL, FULL_LINES = 0.65, 0.75  # of the column's width, that lines with so much of the text fill
CLOSE = 1.2  # heights of a line that lie between two at most, in the middle


def length(box: Box) -> float:
    """Of a line, in its heights."""
    return (box[2] - box[0]) / max(1e-6, box[3] - box[1])


class Column:
    """Lines that stand one below the other, in what order they may come; of n lines, one more takes log n.

    Args:
        lines: the first of them.
    """

    def __init__(self, lines: Sequence[Box] = ()) -> None:
        self.left, self.right = math.inf, -math.inf
        self.bands: list[int] = []
        """Numbers of the page's bands that its lines stand in, in order; that of each line is not less than the last's."""
        self.lines: list[tuple[float, float, float, float]] = []
        """(top, left, right, bottom) of each, from top to bottom."""
        self._lengths: list[float] = []  # these three in order, for their medians
        self._heights: list[float] = []
        self._gaps: list[float] = []
        self._width = self._full_width = 0.0  # of all lines together, of those that fill the column
        self._full: list[float] = []  # widths of the latter, a heap: the wider the column, the fewer fill it
        for line in lines:
            self.add(line)

    def add(self, line: Box, band: int = 0) -> None:
        """One more line, which stands in that of the page's bands."""
        if not self.bands or self.bands[-1] < band:
            self.bands.append(band)
        left, top, right, bottom = line
        self.left, self.right = min(self.left, left), max(self.right, right)
        insort(self._lengths, length(line))
        insort(self._heights, bottom - top)
        self._add_gaps((top, left, right, bottom))
        width = right - left
        self._width += width
        self._full_width += width
        heappush(self._full, width)
        while self._full and self._full[0] <= FULL * (self.right - self.left):
            self._full_width -= heappop(self._full)

    def _add_gaps(self, line: tuple[float, float, float, float]) -> None:
        at = bisect_right(self.lines, line)
        if 0 < at < len(self.lines):
            parted = self.lines[at][0] - self.lines[at - 1][3]
            del self._gaps[bisect_right(self._gaps, parted) - 1]
        self.lines.insert(at, line)
        for above, below in pairwise(self.lines[max(0, at - 1) : at + 2]):
            insort(self._gaps, below[0] - above[3])

    def merged(self, other: Self) -> Self:
        """With the lines of another, which takes as long as the shorter of the two has lines; neither is of use then."""
        if len(other.lines) > len(self.lines):
            return other.merged(self)
        bands = self.bands
        for top, left, right, bottom in other.lines:
            self.add((left, top, right, bottom))
        self.bands = sorted({*bands, *other.bands})
        return self

    @property
    def is_prose(self) -> bool:
        """Whether it is running text: its lines are long, fill it, and are close one under the other."""
        return (
            len(self.lines) >= PROSE_LINES
            and _median(self._lengths) >= PROSE
            and self._full_width >= FULL_LINES * self._width
            and _median(self._gaps) < CLOSE * _median(self._heights)
        )


def _median(values: Sequence[float]) -> float:
    """Of values in order."""
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


class Beside:
    """The columns beside each other of lines to which more come, from left to right: no gap between them, no columns.

    Args:
        gap: pixels that lie between two columns; less than 0, if lines may reach into the next.
    """

    def __init__(self, gap: float) -> None:
        self.columns: list[Column] = []
        self.gap = gap

    def add(self, line: Box, band: int) -> None:
        """One more line; bands come from the first to the last."""
        left, columns = line[0], self.columns
        at = bisect_right(columns, left, key=lambda column: column.left) - 1
        if at < 0 or left > columns[at].right + self.gap:
            at += 1
            columns.insert(at, Column())
        columns[at].add(line, band)
        while at + 1 < len(columns) and columns[at + 1].left <= columns[at].right + self.gap:
            columns[at : at + 2] = [columns[at].merged(columns[at + 1])]
