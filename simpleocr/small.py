"""Small pictures: whether one is the crop of a single line, and if its lines hold or what it says as a whole.

A detector made for pages loses what tells letters apart on such a crop: the height of the line around an "s", a full stop,
the letters of a word that stands on its end.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from PIL import Image

from simpleocr.document import SAME_ROW, Line
from simpleocr.image import LEAST_CONTRAST
from simpleocr.preprocessing import Preprocessing
from simpleocr.sides import TALL
from simpleocr.sight import mean_confidence

SMALL = 160  # pixels of the shorter side up to which a picture may be the crop of one line, whatever was found on it
FEW = 3  # lines found on a larger one that may be
NEAR, MOST = 0.15, 0.85  # of its contrast: so far from its two greys are so many of its pixels, at most
# by so much must what was found in one row be surer than the whole, to be preferred; and the whole, surer than rows
IN_A_ROW, IN_ROWS = 0.3, 0.2
SURE_ENOUGH = 0.5  # of the words of a picture in which no line was found, for it to say something
# mean confidence of the words of several rows, and of one, from which they are read without a doubt
SURE_ROWS, SURE_ROW = 0.9, 0.95
# share of the characters of rows that the whole must have, and how many fewer it may always have: of a small row beside
# a large one nothing is left in it
AS_MUCH, FEWER = 0.8, 2


def as_one(image: Image.Image, found: Sequence[Line], preprocessing: Preprocessing) -> Image.Image | None:
    """A picture as it can be read as one line; None where it is none.

    A larger one, on which few lines were found, may be one in letters larger than a detector knows, if it has no more than
    two greys; it is made smaller.

    Args:
        image: the picture.
        found: lines with characters, as a detector found them.
        preprocessing: of what is to read it.
    """
    if preprocessing.width(image.size) > preprocessing.max_width:
        return None
    if min(image.size) <= SMALL:
        return image
    if len(found) > FEW or image.height > 2 * image.width:
        return None
    smaller = image.reduce(min(image.size) // SMALL)
    return smaller if _has_two_greys(smaller.convert("L")) else None


def _has_two_greys(grey: Image.Image) -> bool:
    """Whether nearly all of a picture is as dark as its darkest or as light as its lightest parts, as letters on a ground are."""
    pixels = np.asarray(grey, dtype=np.float32)
    dark, light = pixels.min(), pixels.max()
    room = NEAR * (light - dark)
    return bool(light - dark > LEAST_CONTRAST and ((pixels < dark + room) | (pixels > light - room)).mean() > MOST)


def are_sure(found: Sequence[Line]) -> bool:
    """Whether lines with characters that were found on a small picture are several, one below the other, and read well."""
    return not _in_one_row(found) and mean_confidence(found) >= SURE_ROWS


def holds(line: Line, found: Sequence[Line], image: Image.Image) -> bool:
    """Whether a small picture says `line` as a whole, and not the lines that were found on it.

    Args:
        line: what it says as a whole.
        found: lines with characters, as a detector found them.
        image: the picture.
    """
    if not line.chars:
        return False
    as_whole, apart = mean_confidence([line]), mean_confidence(found)
    if not found:
        return as_whole > SURE_ENOUGH
    if _in_one_row(found):
        return as_whole > apart - (IN_A_ROW if apart < SURE_ROW else 0.0)
    if image.height > TALL * image.width:  # a word on its end falls into its letters
        return as_whole > apart
    if len(line.chars) + FEWER < AS_MUCH * sum(len(one.chars) for one in found):
        return False
    return as_whole > apart + IN_ROWS


def _in_one_row(found: Sequence[Line]) -> bool:
    """Whether all stand one beside the other along the text, which may run down or up."""
    boxes = [line.box for line in found]
    if not boxes:
        return True
    (ax, ay), (bx, by), _, _ = found[0].polygon
    low, high = (1, 3) if abs(bx - ax) >= abs(by - ay) else (0, 2)
    return all(
        min(one[high], other[high]) - max(one[low], other[low])
        >= SAME_ROW * min(one[high] - one[low], other[high] - other[low])
        for one, other in combinations(boxes, 2)  # two rows may stand beside one that is as high as both
    )
