"""Sight: the lines of a page at first sight, along the way the page lies, which only reading tells."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from simpleocr.decoding import Decoder
from simpleocr.deskew import UPSIDE_DOWN
from simpleocr.detection import Detector, crop_line, with_room
from simpleocr.document import Line
from simpleocr.geometry import Polygon, Transform
from simpleocr.layout import find_turned_lines, other_ways
from simpleocr.recognition import Reading, Recognizer, readings

PROBED = 12  # the longest lines, which are read the other ways where a page reads badly
FEW = 3  # lines that must tell, where there are so many
LETTERS = 3  # of a line at least, for it to say how the page lies: a "-" is one any way
TURNED = 0.6  # mean confidence of a page's words below which it may lie upside down or on its side
# likewise of one on which no line tells, for an "e" on its side is a "D", surely; so sure must another way be, too
ALONE = 0.95
SURER, SURE = 1.5, 0.3  # times as surely as the page that they must be read another way, and how surely at least


@dataclass(frozen=True)
class Sight:
    """A line of a page at first sight.

    Args:
        polygon: around it, in the page's pixels.
        crop: its upright picture, grey.
        back: from the crop's pixels to the page's.
        reading: of the crop.
    """

    polygon: Polygon
    crop: Image.Image
    back: Transform
    reading: Reading


def see(network: Recognizer, image: Image.Image, polygons: Sequence[Polygon], decoder: Decoder) -> list[Sight]:
    """What is read along each polygon of a page.

    Args:
        network: as for recognize().
        image: the page, as load_image gives it.
        polygons: around lines.
        decoder: one of DECODERS.
    """
    grey = image.convert("L")  # lines are read by their luminance: to turn three colours would take longer
    crops = [crop_line(grey, with_room(polygon)) for polygon in polygons]
    read = readings(network, [crop for crop, _ in crops], decoder)
    return [Sight(p, crop, back, one) for p, (crop, back), one in zip(polygons, crops, read, strict=True)]


def see_page(
    network: Recognizer,
    detector: Detector | None,
    image: Image.Image,
    polygons: Sequence[Polygon],
    decoder: Decoder,
    *,
    once: bool = True,
) -> list[Sight]:
    """The lines of a page in reading order, the page lying as it may.

    One that reads badly, or has no line that tells, is tried upside down and on its sides: its longest lines there. It lies the way in which those
    read most surely.

    Args:
        network: as for recognize().
        detector: as for find_lines(); with None a page lies the right way up.
        image: as load_image gives it.
        polygons: as find_lines() gives them.
        decoder: one of DECODERS.
        once: whether nothing will be looked at again: a second look weighs that a line by itself is seldom upside down.
    """
    seen = see(network, image, polygons, decoder)
    if detector is None or (as_it_lies := _confidence(seen)) >= (TURNED if _some_tell(seen) else ALONE):
        return seen
    longest = sorted(seen, key=lambda sight: _length(sight.polygon))[-PROBED:]
    surer = ALONE if as_it_lies >= TURNED else SURER * as_it_lies
    right, surest = None, max(SURE, surer, _surer_half(longest))
    for turn, turned in other_ways(detector, image, [sight.polygon for sight in seen]):
        if turn is UPSIDE_DOWN and len(seen) == 1 and not once:
            continue
        confidence = _surer_half(see(network, image, sorted(turned, key=_length)[-PROBED:], decoder))
        if confidence > surest:
            right, surest = turn, confidence
    return seen if right is None else see(network, image, find_turned_lines(detector, image, right), decoder)


def mean_confidence(lines: Iterable[Line]) -> float:
    """Of the words of lines, each counted by its letters; 0 where there are none."""
    words = [word for line in lines for word in line.words]
    return sum(len(word.chars) * word.confidence for word in words) / max(1, sum(len(word.chars) for word in words))


def _confidence(seen: Iterable[Sight]) -> float:
    return mean_confidence(sight.reading.line for sight in seen)


def _tells(line: Line) -> bool:
    """Whether a line says how the page lies."""
    return len(line.chars) >= LETTERS


def _some_tell(seen: Iterable[Sight]) -> bool:
    return any(_tells(sight.reading.line) for sight in seen)


def _surer_half(seen: Iterable[Sight]) -> float:
    """Of the lines that are read more surely: the longest are often rules, dashes and the edge of the paper.

    Fewer than a FEW that tell count for so much less: a number up the margin reads well on a page that lies on its side.
    """
    lines = [sight.reading.line for sight in seen]
    telling = sorted((line for line in lines if _tells(line)), key=lambda line: -mean_confidence([line]))
    return mean_confidence(telling[: (len(telling) + 1) // 2]) * min(1.0, len(telling) / max(1, min(FEW, len(lines))))


def _length(polygon: Polygon) -> float:
    (ax, ay), (bx, by), *_ = polygon
    return math.hypot(bx - ax, by - ay)
