"""Framing: what of a line picture a network is shown, which has seen neither wide gaps nor text lost in its crop.

Beyond what it was trained on, its letters come out too small, and in the middle of a long stretch with nothing to see it
is no longer sure that there is nothing.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from simpleocr.image import box_of, ink
from simpleocr.preprocessing import Lines

LOOSE = 0.33  # of the height of a picture: lower ink is looked at closely; small letters alone are higher in a line
ROOM = 0.2  # of the height of the ink that is left above and below it
LEAST = 10  # pixels of ink, in height, from which on that is done: lower is a full stop, a dash or too small to read
WORD = 1.5  # width over height of ink that may be a word
SOLID = 0.75  # of the ink's box: with more, it is a dash or a block
GAP, KEPT = 2.0, 1.5  # heights of a tensor: more columns with nothing to see in a row are cut down, and to how many
SPACE = 4.0  # as many gaps between letters are left of one: in spread letters a space is as wide as a word elsewhere
FLAT = 0.08  # of the contrast of a line: a column that has less has nothing to see


def closer(image: Image.Image) -> tuple[int, int]:
    """(top, bottom) of the rows of a line picture that are shown: all, but where its text has far too much room."""
    if LOOSE * image.height <= LEAST:  # as most lines of a page
        return 0, image.height
    inked = ink(image.convert("L"))
    left, top, right, bottom = box_of(inked) or (0, 0, 0, 0)
    height = bottom - top
    if not LEAST <= height < LOOSE * image.height or right - left < WORD * height:
        return 0, image.height
    if inked[top:bottom, left:right].mean() > SOLID:
        return 0, image.height
    room = round(ROOM * height)
    return max(0, top - room), min(image.height, bottom + room)


def seen_columns(line: Lines) -> npt.NDArray[np.intp]:
    """The columns of a line tensor (1, H, W) that are shown: all, but the middle of long stretches with nothing to see."""
    grey = line[0]
    height, width = grey.shape
    nothing = FLAT * max(float(np.ptp(grey)), 1e-6)
    step = max(1, int(GAP * height) // 2)  # a stretch that is cut down has two of these columns in a row
    some = np.ptp(grey[:, ::step], axis=0) <= nothing
    if not (some[1:] & some[:-1]).any():
        return np.arange(width)
    flat = np.ptp(grey, axis=0) <= nothing
    steps = np.abs(np.diff(grey.mean(axis=0), prepend=np.inf)) > nothing
    starts = np.flatnonzero(flat & (steps | ~np.concatenate([[False], flat[:-1]])))
    ends = np.flatnonzero(flat & np.concatenate([steps[1:] | ~flat[1:], [True]])) + 1
    shown = np.ones(width, dtype=bool)
    inner = [end - start for start, end in zip(starts, ends, strict=True) if start > 0 and end < width]
    between = float(np.median(inner)) if len(inner) > 1 else 0.0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        within = start > 0 and end < width
        kept = max(KEPT * height, SPACE * between if within else 0.0)
        if end - start > max(GAP * height, kept):
            half = round(kept / 2)
            shown[start + half : end - half] = False
    return np.flatnonzero(shown)
