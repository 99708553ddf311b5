"""Layout: page picture -> polygons of its lines in reading order, whichever way up the page lies."""

from collections.abc import Sequence

from PIL import Image

from simpleocr.detection import Detector, detect_lines
from simpleocr.document import SAME_ROW
from simpleocr.geometry import Polygon, Transform, box_to_polygon, polygon_to_box
from simpleocr.projection import split_lines
from simpleocr.reading_order import reading_order

FILLED = 0.45  # of the picture's height: a single row as high as this is a crop of a line, and best read whole
LEVEL = 8.0  # a page whose lines are so many times longer than high, in the middle, lies the right way or upside down
MORE_LEVEL = 1.35  # times longer for their height that the lines of a sideways page are, once it is turned


def find_lines(detector: Detector | None, image: Image.Image) -> list[Polygon]:
    """Polygons around the lines of a page, in its pixels, in the order in which they are read.

    A page that lies on its side is recognized by its lines; one that is upside down only by reading it. A picture of a
    single line is one line, whatever gaps there are between its words.

    Args:
        detector: in eval mode; None tells lines apart by the profile of their ink, on upright pages of one column.
        image: as load_image gives it.
    """
    if detector is None:
        return split_lines(image)
    found = detect_lines(detector, image)
    if _is_one_line(found, image):
        width, height = image.size
        return [box_to_polygon((0.0, 0.0, float(width), float(height)))]
    if _levelness(found) < LEVEL and image.height > 64:
        turned = image.transpose(Image.Transpose.ROTATE_90)
        back = Transform(((0, -1, image.width), (1, 0, 0), (0, 0, 1)))
        sideways = detect_lines(detector, turned)
        if _levelness(sideways) > MORE_LEVEL * _levelness(found) and _length(sideways) > 0.6 * _length(found):
            return [back.apply_polygon(sideways[i]) for i in reading_order(sideways)]
    return [found[i] for i in reading_order(found)]


def upside_down(polygons: Sequence[Polygon]) -> list[Polygon]:
    """The lines of a page that was read the wrong way up: each begins where it ended, and the last comes first."""
    return [(c, d, a, b) for a, b, c, d in reversed(polygons)]


def _sides(polygon: Polygon) -> tuple[float, float]:
    """Length and height of a line."""
    (ax, ay), (bx, by), _, (dx, dy) = polygon
    return ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, ((dx - ax) ** 2 + (dy - ay) ** 2) ** 0.5


def _levelness(polygons: Sequence[Polygon]) -> float:
    """How many times longer than high most of the area that lines cover is; 0 where there are none."""
    sides = sorted((_sides(polygon) for polygon in polygons), key=lambda side: side[0] / max(1e-6, side[1]))
    whole = sum(length * height for length, height in sides)
    covered = 0.0
    for length, height in sides:
        covered += length * height
        if covered >= whole / 2:
            return length / max(1e-6, height)
    return 0.0


def _length(polygons: Sequence[Polygon]) -> float:
    return sum(_sides(polygon)[0] for polygon in polygons)


def _is_one_line(polygons: Sequence[Polygon], image: Image.Image) -> bool:
    if not polygons or image.height > image.width:
        return False
    boxes = [polygon_to_box(polygon) for polygon in polygons]
    first = boxes[0]
    for box in boxes[1:]:
        overlap = min(first[3], box[3]) - max(first[1], box[1])
        if overlap < SAME_ROW * min(first[3] - first[1], box[3] - box[1]):
            return False
    return max(box[3] - box[1] for box in boxes) > FILLED * image.height
