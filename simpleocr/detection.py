"""Detection: page picture -> polygons of its lines, found by a LineNet; and the upright crop of each."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from simpleocr.deskew import DOWNWARDS, UPSIDE_DOWN, UPWARDS
from simpleocr.geometry import Polygon, Transform, polygon_to_box
from simpleocr.gutters import mend_lines
from simpleocr.image import ground
from simpleocr.regions import LINES, MULTIPLE, STRIDE, WORD_ENDS, WORDS, Map, Region, regions, without

SIDE = 1280  # pixels of a page's longer side when it is first looked at
FIRST_ENLARGEMENT, MAX_ENLARGEMENT = 1.28, 3.0  # at the first look, and where letters are small
# pixels, from ascender to descender, beyond which the page is looked at again
SMALL_LETTERS, LARGE_LETTERS = 14.0, 45.0
GOOD_LETTERS = 18.0
SURE_LINE = 0.7  # of a line's core, mean probability; a page without one such line has specks and no small letters
LONGEST_SIDE = 4096  # pixels: more is never looked at
TILE, OVERLAP = 1536, 128  # pixels: a larger picture is looked at in parts, which see so much of their neighbours
ABOVE, BESIDE = 0.08, 0.05  # heights of a line that are read beyond its polygon
ALONE = 0.45  # probability of a word's cells where no line was found: a single digit in a table is seen less clearly
FINE = 36.0  # pixels high that a crop of a turned line is at least: it is sampled twice, and small print would blur
FLAT = 1e-6  # of a crop's depth that may change from its one corner to the other, for it to be none
BLOCK = 16  # pixels of a block, by which a dark desk is told from the page on it
DESK = 0.03  # share of the picture from which it is one
LEAST_STD = 8.0  # grey levels: a blank page is not brought to the contrast of a printed one
GREYS = np.arange(256, dtype=np.float64)
SMALLER = 0.6  # of the height of large letters: a line beside them that is lower is no part of theirs
FILLED_BY_ROWS = 0.3  # of what looks like one line, if it is several


class Detector(Protocol):
    """What sees lines: a LineNet, whatever computes it."""

    @property
    def threshold(self) -> float:
        """Probability from which a cell belongs to a line's core."""

    def cell_probs(self, pixels: Map) -> Map:
        """(H, W) of a page of mean 0 and deviation 1, multiples of MULTIPLE -> (2, H / 4, W / 4) probabilities."""


def detect_lines(network: Detector, image: Image.Image) -> list[Polygon]:
    """Polygons around the lines of a page, in its pixels, in no special order.

    The page is looked at in a size in which letters of most pages can be seen; again larger where most letters are
    small, and again smaller where some are large.

    Args:
        network: a LineNet in eval mode, faster through for_inference(), or an OnnxLineNet.
        image: as load_image gives it.
    """
    grey = image.convert("L")
    longer = max(grey.size)
    scale = min(SIDE / longer, FIRST_ENLARGEMENT)
    found = find_regions(network, grey, scale)
    if found:
        usual = float(np.median([region.height for region in found])) * scale
        if usual < SMALL_LETTERS and max(region.score for region in found) >= SURE_LINE:
            larger = min(scale * GOOD_LETTERS / usual, MAX_ENLARGEMENT, LONGEST_SIDE / longer)
            if larger > 1.2 * scale:
                scale, found = larger, find_regions(network, grey, larger)
    smaller = scale / 3
    if min(grey.size) * smaller >= MULTIPLE:
        large = [r for r in find_regions(network, grey, smaller) if r.height * scale > LARGE_LETTERS]
        large = [r for r in large if not _holds_rows(r, found)]
        large = [_without_ends(r, [other for other in found if _stands_beside(r, other)]) for r in large]
        large = [_as_it_runs(r, found) for r in large]
        large = [_beside(r, [other for other in large if r.height < SMALLER * other.height]) for r in large]
        found = [r for r in found if not any(_covers(other, r) for other in large)] + large
    return [region.polygon for region in mend_lines(found, grey)]


def _holds_rows(large: Region, found: list[Region]) -> bool:
    """Whether what looks like one line from afar is several, one under the other, or smaller letters far apart."""
    inside = [r for r in found if _covers(large, r)]
    if inside and all(r.height < SMALLER * large.height and r.score > large.score for r in inside):
        return True
    inside = [r for r in inside if r.length > r.height]
    # parts of letters that are too large to be seen whole fill little of the line, and are less sure than it is; the
    # numbers of a calendar fill little, too, but are surer
    fill = sum(r.length * r.height for r in inside) / (large.length * large.height)
    if fill < FILLED_BY_ROWS and sum(r.score - large.score for r in inside) <= 0:
        return False
    return any(
        abs(b.y - a.y - a.slope * (b.x - a.x)) > 0.5 * (a.height + b.height) * 0.8
        and min(a.x + a.length / 2, b.x + b.length / 2) > max(a.x - a.length / 2, b.x - b.length / 2)
        for a, b in combinations(inside, 2)
    )


def _as_it_runs(large: Region, found: Sequence[Region]) -> Region:
    """A large region, with the slope of what was found from nearer where that is most of it: there it is seen better."""
    same = [r for r in found if _covers(large, r) and min(r.height / large.height, r.length / large.length) > SMALLER]
    return replace(large, slope=max(same, key=lambda r: r.score).slope) if same else large


def _stands_beside(large: Region, region: Region) -> bool:
    """Whether what lies in a larger region is a line of smaller letters at its end, seen more surely than the whole."""
    return (
        _covers(large, region)
        and region.score > max(SURE_LINE, large.score)
        and region.height < SMALLER * large.height
        and abs(region.x - large.x) > region.length / 2 > region.height / 2
    )


def _without_ends(large: Region, beside: Sequence[Region]) -> Region:
    """A large region as far as the lines that stand beside its letters."""
    left, right = large.x - large.length / 2, large.x + large.length / 2
    left = max([left, *(r.x + r.length / 2 for r in beside if r.x < large.x)])
    right = min([right, *(r.x - r.length / 2 for r in beside if r.x > large.x)])
    return _between(large, left, right)


def _beside(region: Region, larger: Sequence[Region]) -> Region:
    """A region without the end that reaches into larger letters beside it: from afar, what is near to them runs into them."""
    left, right = region.x - region.length / 2, region.x + region.length / 2
    for other in larger:
        edges = other.x - other.length / 2, other.x + other.length / 2
        if abs(region.y - other.y - other.slope * (region.x - other.x)) < other.height / 2:
            left = max(left, edges[1]) if edges[1] < region.x else left
            right = min(right, edges[0]) if edges[0] > region.x else right
    return _between(region, left, right)


def _between(region: Region, left: float, right: float) -> Region:
    """A region as far as its columns are between two; all of it where too little of it is."""
    if right - left < region.height / 2:
        return region
    middle = (left + right) / 2
    return replace(region, x=middle, y=region.y + region.slope * (middle - region.x), length=right - left)


def _lies_in(region: Region, line: Region) -> bool:
    """Whether the middle of a region lies in a line."""
    along, across = region.x - line.x, region.y - line.y - line.slope * (region.x - line.x)
    return abs(along) < line.length / 2 and abs(across) < line.height / 2


def _covers(large: Region, region: Region) -> bool:
    """Whether a region is the same as a larger one, or lies in it."""
    x0, y0, x1, y1 = polygon_to_box(large.polygon)
    return x0 <= region.x <= x1 and y0 <= region.y <= y1 and region.height < 1.8 * large.height


def find_regions(network: Detector, grey: Image.Image, scale: float) -> list[Region]:
    """The lines of a page that is looked at in another size; in pixels of the page."""
    size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
    maps = text_maps(network, grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))
    across, down = grey.width / size[0], grey.height / size[1]  # not the same: a side is a whole number of pixels
    found = regions(maps[LINES], network.threshold)
    alone = without(maps[WORDS], maps[LINES] > network.threshold, ALONE)
    words = regions(alone, ALONE, ends=WORD_ENDS, doubtful=ALONE)
    found += [word for word in words if not any(_lies_in(word, line) for line in found)]  # a core ends before its ink
    return [region.scaled(across, down) for region in found]


def text_maps(network: Detector, grey: Image.Image) -> Map:
    """(2, H / 4, W / 4) probability that a cell lies in the core of a line, of a word; large pages in overlapping tiles."""
    pixels = np.asarray(grey)
    height, width = pixels.shape
    rows, columns = -(-height // STRIDE), -(-width // STRIDE)
    maps = np.zeros((2, rows, columns), dtype=np.float32)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            y0, x0 = max(0, top - OVERLAP), max(0, left - OVERLAP)
            part = pixels[y0 : top + TILE + OVERLAP, x0 : left + TILE + OVERLAP]
            seen = _tile_maps(network, part)
            a, b = (top - y0) // STRIDE, (left - x0) // STRIDE
            target = maps[:, top // STRIDE : (top + TILE) // STRIDE, left // STRIDE : (left + TILE) // STRIDE]
            target[...] = seen[:, a : a + target.shape[1], b : b + target.shape[2]]
    return maps


def _tile_maps(network: Detector, pixels: npt.NDArray[np.uint8]) -> Map:
    """As text_maps(), of one tile."""
    height, width = pixels.shape
    padded = np.zeros((-(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE), dtype=np.float32)
    mean, std = _levels(pixels)
    level = padded[:height, :width]
    np.subtract(pixels, np.float32(mean), out=level)
    level *= np.float32(1 / max(LEAST_STD, std))
    return network.cell_probs(padded)[:, : -(-height // STRIDE), : -(-width // STRIDE)]


def _levels(pixels: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and deviation of the page's grey levels, without a dark desk around it, on which faint print would be lost.

    That is where even the lightest pixel of a block is less than half as light as that of most blocks.
    """
    height, width = (side // BLOCK * BLOCK for side in pixels.shape)
    if height and width:
        whole = pixels[:height, :width]
        # rows first: whole rows are compared at once
        lightest = whole.reshape(-1, BLOCK, width).max(axis=1).reshape(-1, width // BLOCK, BLOCK).max(axis=2)
        page = lightest >= np.median(lightest) / 2
        if page.mean() < 1 - DESK:
            blocks = whole.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(0, 2, 1, 3)
            pixels = blocks[page].reshape(-1, BLOCK)
    counts = np.array(Image.fromarray(pixels).histogram(), dtype=np.float64) / pixels.size
    mean = float(counts @ GREYS)
    return mean, math.sqrt(float(counts @ (GREYS - mean) ** 2))


def with_room(polygon: Polygon) -> Polygon:
    """A line's polygon with the room around it with which lines are read best: what hangs over it, and its ends."""
    a, b, c, d = (np.array(corner) for corner in polygon)
    up = a - d
    along = (b - a) / max(1e-6, float(np.linalg.norm(b - a))) * np.linalg.norm(up)
    corners = (a + ABOVE * up - BESIDE * along, b + ABOVE * up + BESIDE * along, c + BESIDE * along, d - BESIDE * along)
    p, q, r, s = ((float(x), float(y)) for x, y in corners)
    return (p, q, r, s)


def crop_line(image: Image.Image, polygon: Polygon) -> tuple[Image.Image, Transform]:
    """The upright picture of one line, and the transform from its pixels to the page's.

    A polygon that is level, upside down or upright on its end is cut out as it is; another is turned upright.
    """
    left, top, right, bottom = polygon_to_box(polygon)
    (ax, ay), (bx, by), _, (dx, dy) = polygon
    if max(min(abs(by - ay), abs(bx - ax)), min(abs(dx - ax), abs(dy - ay))) < 1:
        x0, y0 = max(0, int(left)), max(0, int(top))
        x1, y1 = min(image.width, math.ceil(right)), min(image.height, math.ceil(bottom))
        crop, place = image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))), Transform.translate(x0, y0)
        if bx - ax > abs(by - ay) and dy > ay:
            return crop, place
        for turn, is_so in (
            (UPSIDE_DOWN, ax - bx > abs(by - ay) and dy < ay),
            (UPWARDS, ay - by > abs(bx - ax) and dx > ax),
            (DOWNWARDS, by - ay > abs(bx - ax) and dx < ax),
        ):
            if is_so:
                upright, back = turn(crop)
                return upright, back.then(place)
    length, across = math.hypot(bx - ax, by - ay), math.hypot(dx - ax, dy - ay)
    finer = max(1.0, FINE / max(1.0, across))
    width, height = max(1, round(finer * length)), max(1, round(finer * across))
    back = Transform.from_corners((width, height), polygon)
    values = back.coefficients
    method = Image.Transform.PERSPECTIVE
    if (
        abs(values[6]) * width + abs(values[7]) * height < FLAT
    ):  # a parallelogram needs half as long without perspective
        method, values = Image.Transform.AFFINE, values[:6]
    return image.transform((width, height), method, values, Image.Resampling.BICUBIC, fillcolor=ground(image)), back
