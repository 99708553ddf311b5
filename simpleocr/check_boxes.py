"""Check boxes: the empty squares of forms, which stand in lines like letters and are read as "O" or "d".

They are told from letters by their picture: four straight sides that meet, nothing inside, room to the left and right.
"""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image

from simpleocr.document import Char, Line
from simpleocr.geometry import polygon_to_box
from simpleocr.image import ink

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
    """A line without the characters that are check boxes.

    Args:
        line: as it was read, in the crop's pixels.
        crop: its upright picture, of mode "L".
    """
    suspects = {
        i for i in _at_ends_of_words(line.chars) if line.chars[i].text in READ_AS and line.chars[i].confidence < SURE
    }
    if not suspects:
        return line
    inked = ink(crop)
    boxes = {i for i in suspects if _is_hollow_square(inked, _middle(line.chars[i]))}
    if not boxes:
        return line
    kept = [char for i, char in enumerate(line.chars) if i not in boxes]
    return Line(tuple(_single_spaces(kept)), line.polygon, line.confidence)


def _at_ends_of_words(chars: tuple[Char, ...]) -> Iterable[int]:
    spaces = [-1, *(i for i, char in enumerate(chars) if char.text == " "), len(chars)]
    for before, after in pairwise(spaces):
        if after - before > 1:
            yield from {before + 1, after - 1}


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
