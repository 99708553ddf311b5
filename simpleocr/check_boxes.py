"""Check boxes: the empty squares of forms, which stand in lines like letters and are read as "O" or "d".

They are told from letters by their place, alone or before a word, and by their picture: four straight sides that meet,
nothing inside, room to the left and right.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image

from simpleocr.document import Char, Line
from simpleocr.geometry import polygon_to_box
from simpleocr.image import ground, ink

READ_AS = frozenset("oO0QDdBbaceCGUuLlnhJjiIvVEF[]|")  # what a square may be read as
SURE = 0.95  # confidence from which a letter is one: of 29 check boxes none was read so surely
LEAST, MOST = 0.25, 0.95  # of the line's height that a check box has
SMALLEST = 7  # pixels: an "o" of less is as square as a box
ASPECT = 1.3  # times as long as the other that a side is at most
SIDE = 0.92  # of a side that has ink at least: round corners take more
SLANT = 0.12  # of a side's length by which its ends may differ: lines of a scan are not quite level
THICK = 0.2  # of a side's length that its stroke has at most
ROOM = 0.2  # of a side's length that is free to the left and right of a box
INSIDE = 0.03  # of what lies inside that has ink at most

Ink = npt.NDArray[np.bool_]


def without_check_boxes(line: Line, crop: Image.Image) -> Line:
    """A line without the characters that are check boxes; words beside them are as sure as they were.

    Args:
        line: as it was read, in the crop's pixels.
        crop: its upright picture, of mode "L".
    """
    chars = line.chars
    suspects = {i for i in _beginnings(chars) if chars[i].text in READ_AS and chars[i].confidence < SURE}
    if not suspects:
        return line
    inked = ink(crop)
    boxes = {i for i in suspects if _is_hollow_square(inked, _middle(chars[i]))}
    if not boxes:
        return line
    kept = _single_spaces(char for i, char in enumerate(chars) if i not in boxes)
    # what was not sure of a box is not taken for doubt of the words beside it
    before, after = (math.prod(char.confidence for char in some) for some in (chars, kept))
    confidence = min(1.0, line.confidence * after / before) if before else line.confidence
    return Line(tuple(kept), line.polygon, confidence)


def without_box_before(line: Line, crop: Image.Image) -> Image.Image:
    """A line's crop without the check box before its first character: what is not sure of it doubts the letter beside it.

    Args:
        line: as it was read, in the crop's pixels.
        crop: its upright picture, of mode "L".
    """
    edge = math.floor(polygon_to_box(line.chars[0].polygon)[0]) if line.chars else 0
    inked = ink(crop)
    before = np.flatnonzero(inked[:, : max(0, edge)].any(axis=0))
    if not len(before) or not _is_hollow_square(inked, int(before[0] + before[-1]) // 2):
        return crop
    crop = crop.copy()
    crop.paste(ground(crop), (0, 0, int(before[-1]) + 1, crop.height))
    return crop


def _beginnings(chars: Sequence[Char]) -> Iterator[int]:
    """Characters that are alone or begin a word, whose next is another letter: digits and "oo" stand in a row."""
    spaces = [-1, *(i for i, char in enumerate(chars) if char.text == " "), len(chars)]
    for before, after in pairwise(spaces):
        first = before + 1
        if after - first == 1 or (
            after - first > 1 and chars[first + 1].text.isalpha() and chars[first + 1].text != chars[first].text
        ):
            yield first


def _middle(char: Char) -> int:
    left, _, right, _ = polygon_to_box(char.polygon)
    return round((left + right) / 2)


def _is_hollow_square(inked: Ink, middle: int) -> bool:
    """Whether the first long strokes to the left and right of a column are the sides of an empty box."""
    height = len(inked)
    sums = inked.sum(axis=0)
    tall = np.flatnonzero(sums >= LEAST * height)
    left, right = tall[tall <= middle], tall[tall > middle]
    if not len(left) or not len(right):
        return False
    start, end = _stroke(sums, int(left[-1]), -1), _stroke(sums, int(right[0]), 1)
    rows = np.flatnonzero(inked[:, start] | inked[:, end])
    top, bottom = int(rows[0]), int(rows[-1])
    across, down = end - start + 1, bottom - top + 1
    if not max(SMALLEST, LEAST * height) <= down <= MOST * height or max(across, down) > ASPECT * min(across, down):
        return False
    stroke, edge = (max(1, round(share * min(across, down))) for share in (THICK, SLANT))
    box = inked[top : bottom + 1, start : end + 1]
    sides = (box[:edge].any(axis=0), box[-edge:].any(axis=0), box[:, :edge].any(axis=1), box[:, -edge:].any(axis=1))
    if min(float(side.mean()) for side in sides) < SIDE:
        return False
    inside = box[stroke + 1 : -stroke - 1, stroke + 1 : -stroke - 1]
    if not inside.size or inside.mean() > INSIDE:
        return False
    room = max(1, round(ROOM * across))
    beside = (inked[top : bottom + 1, max(0, start - room) : start], inked[top : bottom + 1, end + 1 : end + 1 + room])
    return not any(part.any() for part in beside)


def _stroke(sums: npt.NDArray[np.int64], column: int, step: int) -> int:
    """The outermost column of an upright stroke, from one of its columns outwards."""
    while 0 <= column + step < len(sums) and sums[column + step] >= SIDE / 2 * sums[column]:
        column += step
    return column


def _single_spaces(chars: Iterable[Char]) -> list[Char]:
    kept: list[Char] = []
    for char in chars:
        if char.text != " " or (kept and kept[-1].text != " "):
            kept.append(char)
    if kept and kept[-1].text == " ":
        kept.pop()
    return kept
