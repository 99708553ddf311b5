"""Gutters: the white between columns; lines found across one are cut there, and pieces of one line are joined.

A wide space is a gap between words in justified text, and the white between columns elsewhere. What stands above and
below tells them apart: a gutter runs on through the neighbouring rows, a gap between words does not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from simpleocr.document import SAME_ROW
from simpleocr.regions import Region

REACH = 4.0  # heights above and below a line within which rows are its neighbours
ROWS = 3  # of them, the nearest on each side
WITNESSES = 2  # rows that a gutter runs through at least, and more than have ink there
WHITE_WITNESSES = 4  # or so many that have no ink there, found across it or not, and none that has
SHORTEST = 6.0  # heights: shorter lines are not cut
WIDEST_GAP = 3.0  # heights between words that belong together
NARROWEST_GUTTER = 0.5  # heights that neighbouring rows leave free together
ENDS = 0.25  # heights that a line was found to reach beyond its letters
BLANK = 0.6  # heights without ink in a line that is to be cut
THIN = 0.6  # of its neighbours' height: what lies between two words and is no higher is no letter
ALIKE = 1.6  # times that lines differ in height at most, to be pieces of one
TOUCHING = 0.25  # heights between a line and a lone letter that is part of it, whatever stands around them
OFF_LEVEL = 0.25  # heights that one of two pieces that overlap is higher than the other, at most
LONE = 1.5  # heights: what is shorter is a letter or two
HIGHER = 2.5  # times as high as such a letter was seen that its row is at most
MOST = 4  # letters in a row, of which most tell how high it is
HALF = 0.6  # of that height that its middle is off the row's at most: what is further off is smaller print
BEYOND = 0.1  # of the height of the row: ink that goes on so far above or below what was found is of a higher letter
INK = 0.3  # of the range of greys: what differs by more from the ground is ink

Gap = tuple[float, float]
"""Where white begins and ends along the lines."""
Indices = npt.NDArray[np.intp]
ALL = slice(None)


@dataclass(frozen=True)
class Level:
    """A region in the page's own direction.

    Args:
        region: as it was found.
        left, right, top, bottom: its sides along and across the lines, in pixels.
        blanks: where a line that may be cut has no ink for long, as distances from its left end.
    """

    region: Region
    left: float
    right: float
    top: float
    bottom: float
    blanks: tuple[Gap, ...] = ()

    @cached_property
    def height(self) -> float:
        """Of the line."""
        return self.bottom - self.top


class Rows:
    """What stands beside, above and below a line: numpy compares it with all, which would take minutes for a long table.

    Args:
        lines: of one page.
    """

    def __init__(self, lines: Sequence[Level]) -> None:
        self.lines = lines
        sides = np.array([(line.left, line.right, line.top, line.bottom) for line in lines], dtype=np.float64)
        self.left, self.right, self.top, self.bottom = sides.reshape(-1, 4).T.copy()
        self.height = self.bottom - self.top

    def beside(self, line: Level, among: Indices | slice = ALL) -> npt.NDArray[np.bool_]:
        """Which of some lines stand in one row with a line."""
        shared = np.minimum(self.bottom[among], line.bottom) - np.maximum(self.top[among], line.top)
        return np.asarray(shared > SAME_ROW * np.minimum(self.height[among], line.height))

    def around(self, line: Level) -> list[list[Level]]:
        """The nearest rows above and below a line."""
        rows = []
        twice = self.top + self.bottom  # as far down as the middle
        for sign in (-1, 1):
            apart = sign * (twice - line.top - line.bottom) / 2
            near = np.flatnonzero((apart > 0) & (apart < REACH * line.height))
            near = near[~self.beside(line, near)]
            near = near[np.argsort(sign * twice[near], kind="stable")]
            for _ in range(ROWS):
                if not len(near):
                    break
                row = self.beside(self.lines[near[0]], near)
                rows.append([self.lines[i] for i in near[row]])
                near = near[~row]
        return rows


def mend_lines(regions: Sequence[Region], grey: Image.Image) -> list[Region]:
    """Cut regions that run across a gutter, join those that are pieces of one line, leave out what lies in gaps.

    Args:
        regions: of one page, in its pixels.
        grey: the page, mode "L".
    """
    if len(regions) < 2:
        return list(regions)
    slope = float(np.median(np.repeat([r.slope for r in regions], [1 + int(r.length / r.height) for r in regions])))
    lines = _as_high_as_their_rows(_without_thin([_levelled(region, slope) for region in regions]), slope, grey)
    lines = [line if _is_short(line) else replace(line, blanks=_blanks(line.region, grey)) for line in lines]
    uncut = 0
    while uncut != len(lines):  # what is cut tells of the gutter to the rows beyond it
        uncut = len(lines)
        rows = Rows(lines)
        lines = [piece for line in lines for piece in _cut(line, rows, slope)]
    return _joined(lines)


def _levelled(region: Region, slope: float) -> Level:
    norm = math.hypot(1, slope)
    along, across = (region.x + slope * region.y) / norm, (region.y - slope * region.x) / norm
    half, high = region.length / 2, region.height / 2
    return Level(region, along - half, along + half, across - high, across + high)


def _without_thin(lines: list[Level]) -> list[Level]:
    """Without what is much lower than the words to its left and right: traces of the white between them."""
    rows = Rows(lines)
    kept = []
    for line in lines:
        row = rows.beside(line) & (THIN * rows.height > line.height)
        left = np.abs(rows.right - line.left) < rows.height
        right = np.abs(rows.left - line.right) < rows.height
        if not ((row & left).any() and (row & right).any()):
            kept.append(line)
    return kept


def _as_high_as_their_rows(lines: list[Level], slope: float, grey: Image.Image) -> list[Level]:
    """Lone letters as high as the nearest word in their row, or as most of it: of one letter that is hardly seen."""
    rows = Rows(lines)
    lengths = rows.right - rows.left
    are_words = lengths > LONE * rows.height
    found = []
    for line, length in zip(lines, lengths, strict=True):
        if length < HIGHER * LONE * line.height:
            apart = np.abs(rows.top + rows.bottom - line.top - line.bottom) / 2
            row = np.flatnonzero(
                rows.beside(line) & (rows.height < HIGHER * line.height) & (apart < HALF * line.height)
            )
            words = row[are_words[row] & (length < LONE * rows.height[row])]
            if len(words):
                other = words[np.argmin(np.abs(rows.left[words] + rows.right[words] - line.left - line.right))]
            else:
                other = row[np.argsort(rows.height[row])[len(row) // 2]]
            if (
                rows.height[other] > line.height
                and (len(words) or len(row) >= MOST)
                and (length < LONE * line.height or _goes_on(line, lines[other], grey))
            ):
                line = _as_high_as(line, lines[other], slope)
        found.append(line)
    return found


def _goes_on(line: Level, other: Level, grey: Image.Image) -> bool:
    """Whether the ink of what may be a word of its own goes on above or below it, as that of a higher letter does."""
    room = BEYOND * other.height
    ink = np.atleast_1d(_ink(replace(line.region, height=line.height + 2 * room), grey).any(axis=1))
    edge = room / (line.height + 2 * room) * len(ink)
    return bool(ink[: math.ceil(edge) + 1].all() or ink[-math.ceil(edge) - 1 :].all())


def _as_high_as(line: Level, other: Level, slope: float) -> Level:
    """A line from where the top of another in its row is to where its bottom is."""
    down = (other.top + other.bottom - line.top - line.bottom) / 2 / math.hypot(1, slope)
    region = line.region
    return _levelled(replace(region, x=region.x - down * slope, y=region.y + down, height=other.height), slope)


def _is_gutter(gap: Gap, rows: Sequence[Sequence[Level]], height: float, *, long: bool) -> bool:
    """Whether white between or in lines goes on through most of the rows around it.

    Args:
        gap: the white.
        rows: around its line.
        height: of the line.
        long: whether what it parts is long, so that rows that were found across it tell of it by their white alone.
    """
    free = white = covered = 0  # rows that leave it free, that were found across it without ink there, and with ink
    for row in rows:
        low = max((line.right - ENDS * line.height for line in row if line.left < gap[0]), default=-math.inf)
        high = min((line.left + ENDS * line.height for line in row if line.right > gap[1]), default=math.inf)
        if low >= gap[1] or high <= gap[0]:
            if any(_is_white(line, gap, height) for line in row):
                white += 1
            else:
                covered += 1
        elif low > -math.inf and high < math.inf and min(high, gap[1]) - max(low, gap[0]) > NARROWEST_GUTTER * height:
            free += 1
    if long and not covered and free + white >= WHITE_WITNESSES:
        return True
    return free >= WITNESSES and free > covered


def _is_white(line: Level, gap: Gap, height: float) -> bool:
    """Whether a line that was found across a gap has no ink in it."""
    return any(
        min(line.left + end, gap[1]) - max(line.left + begin, gap[0]) > NARROWEST_GUTTER * height
        for begin, end in line.blanks
    )


def _is_short(line: Level) -> bool:
    return line.right - line.left < SHORTEST * line.height


def _cut(line: Level, rows: Rows, slope: float) -> list[Level]:
    """A line in pieces, where gutters run through it and it has no ink; the line itself where none does."""
    if not line.blanks:
        return [line]
    around = rows.around(line)
    length = line.region.length
    cuts = [
        (begin, end)
        for begin, end in line.blanks
        if _is_gutter(
            (line.left + begin, line.left + end), around, line.height, long=_are_long(begin, length - end, line.height)
        )
    ]
    if not cuts:
        return [line]
    pieces, start = [], 0.0
    for begin, end in [*cuts, (length, length)]:
        if begin - start > 0.5 * line.height:
            white = tuple((a - start, b - start) for a, b in line.blanks if start <= a and b <= begin)
            pieces.append(replace(_levelled(_part(line.region, start, begin), slope), blanks=white))
        start = end
    return pieces or [line]


def _are_long(before: float, after: float, height: float) -> bool:
    """Whether what stands on both sides is as long as lines of columns are, and no number of a list or bullet."""
    return min(before, after) >= SHORTEST * height


def _part(region: Region, start: float, end: float) -> Region:
    """What lies between two distances from a region's left end."""
    norm = math.hypot(1, region.slope)
    shift = ((start + end) / 2 - region.length / 2) / norm
    return replace(region, x=region.x + shift, y=region.y + shift * region.slope, length=end - start)


def _blanks(region: Region, grey: Image.Image) -> tuple[Gap, ...]:
    """Where a region has no ink for long, as distances from its left end."""
    ink = _ink(region, grey).sum(axis=0) >= 2
    step = region.length / len(ink)
    edges = np.flatnonzero(np.diff(np.concatenate([[1], ink.astype(np.int8), [1]])))
    return tuple(
        (float(begin) * step, float(end) * step)
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
        if (end - begin) * step >= BLANK * region.height
    )


def _ink(region: Region, grey: Image.Image) -> npt.NDArray[np.bool_]:
    """Which of the pixels of a region, turned level, are ink."""
    pixels = _level_pixels(region, grey)
    ground = float(np.median(pixels[[0, -1]]))  # between the lines, however bold they are
    low, high = np.searchsorted(np.bincount(pixels.astype(np.uint8).ravel()).cumsum() / pixels.size, (0.02, 0.98))
    range_ = max(32.0, float(high - low))
    return np.asarray(np.abs(pixels - ground) > INK * range_)


def _level_pixels(region: Region, grey: Image.Image) -> npt.NDArray[np.float32]:
    """The pixels of a region, turned level."""
    size = (max(1, round(region.length)), max(1, round(region.height)))
    a, _, _, d = region.polygon
    norm = math.hypot(1, region.slope)
    cos, sin = 1 / norm, region.slope / norm
    matrix = (cos, (d[0] - a[0]) / size[1], a[0], sin, (d[1] - a[1]) / size[1], a[1])
    turned = grey.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.asarray(turned, dtype=np.float32)


def _joined(lines: list[Level]) -> list[Region]:
    """Neighbours in a row put together, where no gutter runs between them."""
    lines = sorted(lines, key=lambda line: line.left)
    rows = Rows(lines)
    partner: dict[int, int] = {}
    for i, line in enumerate(lines):
        after = np.flatnonzero(rows.beside(line) & (rows.left > line.left))
        if len(after) and _belong(line, lines[after[0]], rows):
            partner[i] = int(after[0])
    taken, found = set(), []
    for i in range(len(lines)):
        if i in taken:
            continue
        region, at = lines[i].region, i
        while at in partner and partner[at] not in taken:
            at = partner[at]
            taken.add(at)
            region = _both(region, lines[at].region)
        found.append(region)
    return found


def _belong(line: Level, other: Level, rows: Rows) -> bool:
    """Whether two neighbours in a row are pieces of one line: they overlap, or a line close above or below runs on."""
    low, high = sorted((line.height, other.height))
    shorter = min(line.right - line.left, other.right - other.left)
    if other.left - line.right < TOUCHING * high and shorter < LONE * low and high < HIGHER * low:
        return True
    if other.left - line.right > WIDEST_GAP * low or high > ALIKE * low:
        return False
    if line.right - other.left > ENDS * low and other.right > line.right and _distance(line, other) < OFF_LEVEL * low:
        return True  # they overlap: their letters are closer than any gutter is wide
    around = rows.around(line)
    over = [rest for row in around for rest in row if rest.left < line.right - high and rest.right > other.left + high]
    alike = [rest for rest in over if rest.height < ALIKE * high and _distance(rest, line) < REACH / 2 * high]
    between = (line.right - ENDS * line.height, other.left + ENDS * other.height)
    long = _are_long(line.right - line.left, other.right - other.left, low)
    return bool(alike) and not _is_gutter(between, around, low, long=long)


def _distance(a: Level, b: Level) -> float:
    return abs(a.top + a.bottom - b.top - b.bottom) / 2


def _both(a: Region, b: Region) -> Region:
    """One region around two pieces of a line."""
    start, end = _end(a, -1), max(_end(a, 1), _end(b, 1))  # one may end in the other
    slope = (end[1] - start[1]) / max(1e-6, end[0] - start[0])
    whole = a.length + b.length
    return Region(
        x=(start[0] + end[0]) / 2,
        y=(start[1] + end[1]) / 2,
        length=math.hypot(end[0] - start[0], end[1] - start[1]),
        height=(a.height * a.length + b.height * b.length) / whole,
        slope=slope,
        score=(a.score * a.length + b.score * b.length) / whole,
    )


def _end(region: Region, side: int) -> tuple[float, float]:
    """The middle of its left (-1) or right (1) side."""
    half = side * region.length / 2 / math.hypot(1, region.slope)
    return region.x + half, region.y + half * region.slope
