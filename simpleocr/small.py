"""Small pictures: whether one is the crop of a single line, and if its lines hold or what it says as a whole.

A detector made for pages loses what tells letters apart on such a crop: the height of the line around an "s", a full stop,
the letters of a word that stands on its end.
"""

from collections.abc import Sequence

from PIL import Image

from simpleocr.document import SAME_ROW, Line
from simpleocr.geometry import Polygon, box_to_polygon
from simpleocr.preprocessing import Preprocessing
from simpleocr.retry import TALL
from simpleocr.sight import mean_confidence

SMALL = 160  # pixels of the shorter side up to which a picture may be the crop of one line
# by so much must what was found in one row be surer than the whole, to be preferred; and the whole, surer than rows
IN_A_ROW, IN_ROWS = 0.3, 0.2
SURE_ENOUGH = 0.5  # of a picture in which no line was found, for it to say something
SURE_ROWS = 0.9  # mean confidence of the words of several rows from which they are read without a doubt


def whole(image: Image.Image) -> Polygon:
    """Around the picture."""
    return box_to_polygon((0.0, 0.0, float(image.width), float(image.height)))


def is_small(image: Image.Image, preprocessing: Preprocessing) -> bool:
    """Whether a picture may be the crop of one line, which a network can read at once."""
    return min(image.size) <= SMALL and preprocessing.width(image.size) <= preprocessing.max_width


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
    if not found:
        return line.confidence > SURE_ENOUGH
    as_whole, apart = mean_confidence([line]), mean_confidence(found)
    if _in_one_row(found):
        return as_whole > apart - IN_A_ROW
    # a word on its end falls into its letters; rows of print that are read as one line make no sense
    return as_whole > apart + (0.0 if image.height > TALL * image.width else IN_ROWS)


def _in_one_row(found: Sequence[Line]) -> bool:
    """Whether all stand side by side."""
    boxes = [line.box for line in found]
    first = boxes[:1]
    return all(
        min(one[3], box[3]) - max(one[1], box[1]) >= SAME_ROW * min(one[3] - one[1], box[3] - box[1])
        for one in first
        for box in boxes[1:]
    )
