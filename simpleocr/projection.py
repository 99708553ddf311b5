"""Projection: page picture -> line polygons by the profile of its ink; for clean print, where there is no LineNet."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from simpleocr.geometry import Box, Polygon, Transform, box_to_polygon

ANALYSIS_SIDE = 1600  # pixels: a larger page is looked at in this size; lines are still cropped from the original
FILLED = 0.45  # of the picture's height: a single row as high as this is a crop of a line, and best read whole
THIN = 0.0005  # of a row: less ink than this is none
MIN_LINE = 6  # pixels: thinner bands of ink are rules and dust


def split_lines(image: Image.Image) -> list[Polygon]:
    """Polygons around the lines of a picture, from top to bottom, in its pixels.

    For upright text in one column on an even ground, dark on light or light on dark. A picture whose ink has no gaps
    between lines is taken as one line, so that a crop of a word is read whole. Empty only where nothing differs from
    the ground.
    """
    scale = min(1.0, ANALYSIS_SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
    ink = find_ink(grey)
    bands = _bands(ink)
    if len(bands) < 2:
        # the edges of a sheet on a table and the rules of a frame run down the page and join its lines; but a lone
        # "I" is one tall stroke too, so they are left out only where lines appear without them
        without_rules = ink & (ink.mean(axis=0) <= 0.7)
        if len(apart := _bands(without_rules)) > 2:
            bands, ink = apart, without_rules
    boxes = [box for top, bottom in bands for box in _trim(ink, top, bottom)]
    fills = len(boxes) == 1 and boxes[0][3] - boxes[0][1] > FILLED * size[1]
    if fills or (not boxes and ink.any()):
        boxes = [(0.0, 0.0, float(size[0]), float(size[1]))]
    back = Transform.scale(image.width / size[0], image.height / size[1])
    return [back.apply_polygon(box_to_polygon(box)) for box in boxes]


def find_ink(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which pixels of a page (H, W) differ from the ground around them: text of either polarity.

    The ground is the local median, on a coarse grid, so that a shadow across the page does not count.
    """
    height, width = grey.shape
    cell = max(64, min(height, width) // 8)  # wider than a letter, or its strokes would be the ground
    rows, columns = max(1, height // cell), max(1, width // cell)
    ground = np.array(
        [
            [np.median(part) for part in np.array_split(band, columns, axis=1)]
            for band in np.array_split(grey, rows, axis=0)
        ],
        dtype=np.float32,
    )
    smooth = Image.fromarray(ground).resize((width, height), Image.Resampling.BILINEAR)
    difference = np.abs(grey - np.asarray(smooth))
    strong = float(np.percentile(difference, 99.5))
    if strong < 12:  # grey levels: less than this is noise of a page without text
        return np.zeros(grey.shape, dtype=np.bool_)
    return np.asarray(difference > max(10.0, 0.4 * strong))


def _bands(ink: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Rows (top, bottom) of ink between empty rows; marks above or below letters are joined to their line."""
    profile = ink.mean(axis=1)
    filled = profile > max(THIN, 0.03 * float(np.percentile(profile, 95)))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], filled, [False]]).astype(np.int8)))
    bands = [(int(top), int(bottom)) for top, bottom in edges.reshape(-1, 2)]
    if not bands:
        return []
    usual = float(np.median([bottom - top for top, bottom in bands if bottom - top >= MIN_LINE] or [MIN_LINE]))
    joined: list[tuple[int, int]] = []
    for top, bottom in bands:
        thin = bottom - top < 0.35 * usual or (joined and joined[-1][1] - joined[-1][0] < 0.35 * usual)
        if joined and thin and top - joined[-1][1] < 0.25 * usual:
            joined[-1] = (joined[-1][0], bottom)
        else:
            joined.append((top, bottom))
    return [_with_tails(profile, top, bottom) for top, bottom in joined if bottom - top >= MIN_LINE]


def _with_tails(profile: npt.NDArray[np.floating], top: int, bottom: int) -> tuple[int, int]:
    """A band grown over the thin rows next to it: a single descender or accent in a long line."""
    reach = round(0.35 * (bottom - top))
    above, below = profile[max(0, top - reach) : top][::-1], profile[bottom : bottom + reach]
    return (top - _leading(above > THIN), bottom + _leading(below > THIN))


def _leading(flags: npt.NDArray[np.bool_]) -> int:
    return len(flags) if flags.all() else int(flags.argmin())


def _trim(ink: npt.NDArray[np.bool_], top: int, bottom: int) -> list[Box]:
    """The band's box around its ink with a margin, unless nothing but specks is in it."""
    columns = np.flatnonzero(ink[top:bottom].any(axis=0))
    if not len(columns):
        return []
    margin = max(1.0, 0.12 * (bottom - top))
    left, right = max(0.0, columns[0] - margin), min(float(ink.shape[1]), columns[-1] + 1 + margin)
    return [(left, max(0.0, top - margin), right, min(float(ink.shape[0]), bottom + margin))]
