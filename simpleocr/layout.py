"""Layout: page picture -> polygons of its lines in reading order, whichever way the page lies."""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from PIL import Image

from simpleocr.deskew import DOWNWARDS, UPSIDE_DOWN, UPWARDS, QuarterTurn, deskew
from simpleocr.detection import Detector, detect_lines
from simpleocr.document import SAME_ROW
from simpleocr.geometry import Point, Polygon, Transform, box_to_polygon, polygon_to_box, skew
from simpleocr.outline import find_sheet, flattened, surrounds
from simpleocr.projection import FILLED, split_lines
from simpleocr.reading_order import reading_order

LEVEL_ENOUGH = 2.0  # degrees up to which lines are found as well as on a level page
AS_MUCH = 0.9  # of the lines' length that must be found on a levelled page, too, for it to be the better one
ROOM = 5.0  # heights of a line that are kept around the lines of a page that is levelled
STEEP = 40.0  # degrees beyond which a page does not lie skewed but on its side


def whole(image: Image.Image) -> Polygon:
    """Around the picture."""
    return box_to_polygon((0.0, 0.0, float(image.width), float(image.height)))


def find_lines(detector: Detector | None, image: Image.Image) -> list[Polygon]:
    """Polygons around the lines of a page, in its pixels, in the order in which they are read.

    Lines may rise or fall together, or lie on a sheet that is photographed aslant; a page that lies on its side or upside
    down is read in one of other_ways(). A picture of a single line is one line, whatever gaps there are between its words.

    Args:
        detector: in eval mode; None tells lines apart by the profile of their ink, on upright pages of one column.
        image: as load_image gives it.
    """
    if detector is None:
        return split_lines(image)
    grey = image.convert("L")
    found = detect_lines(detector, grey)
    if _is_one_line(found, image):
        return [whole(image)]
    if on_sheet := _on_a_sheet(detector, grey, found):
        return on_sheet
    if LEVEL_ENOUGH < abs(skew(found)) < STEEP:
        level, back = _around(*deskew(grey, skew(found)), found)
        again = detect_lines(detector, level)
        if _length(again) >= AS_MUCH * _length(found):
            return _in_order(again, back)
    return _in_order(found, Transform.identity())


def _on_a_sheet(detector: Detector, grey: Image.Image, found: Sequence[Polygon]) -> list[Polygon]:
    """The lines of a sheet that is photographed aslant, found on it as from above, and after them those beside it.

    None, where no edges of such a sheet are seen, or where less is found so than was `found` on the picture as it is.
    """
    sheet = find_sheet(grey)
    if sheet is None:
        return []
    flat, back = flattened(grey, sheet)
    lines = _in_order(detect_lines(detector, flat), back)
    beside = [polygon for polygon in found if not surrounds(sheet, _middle(polygon))]
    if _length(lines) < AS_MUCH * (_length(found) - _length(beside)):
        return []
    return lines + _in_order(beside, Transform.identity())


def _around(level: Image.Image, back: Transform, found: Sequence[Polygon]) -> tuple[Image.Image, Transform]:
    """What of a levelled page lies around its lines: turning made it larger, and it would be looked at that much smaller."""
    boxes = np.array([polygon_to_box(back.invert().apply_polygon(polygon)) for polygon in found])
    room = ROOM * float(np.median([math.dist(polygon[0], polygon[3]) for polygon in found]))
    left, top = (max(0, int(edge - room)) for edge in boxes[:, :2].min(axis=0))
    right = min(level.width, math.ceil(boxes[:, 2].max() + room))
    bottom = min(level.height, math.ceil(boxes[:, 3].max() + room))
    return level.crop((left, top, right, bottom)), Transform.translate(left, top).then(back)


def find_turned_lines(detector: Detector, image: Image.Image, turn: QuarterTurn) -> list[Polygon]:
    """As find_lines(), of a page that `turn` sets right; in the pixels of the page as it lies."""
    upright, back = turn(image)
    return [back.apply_polygon(polygon) for polygon in find_lines(detector, upright)]


def other_ways(
    detector: Detector, image: Image.Image, polygons: Sequence[Polygon]
) -> Iterator[tuple[QuarterTurn, list[Polygon]]]:
    """How else a page may lie: what would set it right, and about where its lines would be, in order.

    Only reading tells which it is. The lines are found best once the page is right, by find_turned_lines().

    Args:
        detector: as for find_lines().
        image: the page.
        polygons: what find_lines() found on it.
    """
    if polygons:
        yield UPSIDE_DOWN, upside_down(polygons)
    if sideways := find_turned_lines(detector, image, DOWNWARDS):
        yield DOWNWARDS, sideways
        yield UPWARDS, upside_down(sideways)


def upside_down(polygons: Sequence[Polygon]) -> list[Polygon]:
    """The lines of a page that was read the wrong way up: each begins where it ended, and the last comes first."""
    return [(c, d, a, b) for a, b, c, d in reversed(polygons)]


def _length(polygons: Sequence[Polygon]) -> float:
    return sum(math.dist(a, b) for a, b, _, _ in polygons)


def _middle(polygon: Polygon) -> Point:
    return (sum(x for x, _ in polygon) / 4, sum(y for _, y in polygon) / 4)


def _in_order(polygons: Sequence[Polygon], back: Transform) -> list[Polygon]:
    return [back.apply_polygon(polygons[i]) for i in reading_order(polygons)]


def _is_one_line(polygons: Sequence[Polygon], image: Image.Image) -> bool:
    if not polygons or image.height > image.width:
        return False
    boxes = [polygon_to_box(polygon) for polygon in polygons]
    for one, other in combinations(boxes, 2):  # two rows may stand beside one that is as high as both
        overlap = min(one[3], other[3]) - max(one[1], other[1])
        if overlap < SAME_ROW * min(one[3] - one[1], other[3] - other[1]):
            return False
    return max(box[3] - box[1] for box in boxes) > FILLED * image.height
