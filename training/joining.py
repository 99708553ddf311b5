"""Joining: two lines of a corpus beside each other as one, with a space between what they say.

A corpus of words teaches nothing of spaces, and one of short lines nothing of long ones (PP-OCR does alike).
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from simpleocr.image import ground

GAP = (0.2, 0.45)  # widths of a space, as multiples of a line's height
ALONE = -1  # the number of the second line where there is none
TRIES = 8  # lines that are drawn for a second one before the first stays alone


def draw_seconds(
    firsts: npt.NDArray[np.int64],
    corpora: npt.NDArray[np.int64],
    fits: Callable[[int, int], bool],
    share: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """For a share of the lines, by lot, another one of the same corpus that comes after it; ALONE for the rest.

    Args:
        firsts: numbers of lines.
        corpora: the number of the corpus of every line that there is.
        fits: whether two lines can be one.
        share: the probability of each to get a second; it may find none that fits.
        rng: decides.
    """
    seconds = np.full(len(firsts), ALONE, dtype=np.int64)
    own = {int(number): np.flatnonzero(corpora == number) for number in np.unique(corpora)}
    for place in np.flatnonzero(rng.random(len(firsts)) < share):
        first = int(firsts[place])
        lines = own[int(corpora[first])]
        drawn = lines[rng.integers(len(lines), size=TRIES)].tolist()
        seconds[place] = next((second for second in drawn if fits(first, second)), ALONE)
    return seconds


def join(pictures: Sequence[Image.Image], height: int, rng: np.random.Generator) -> Image.Image:
    """Two lines of text as one, grey: as high as the lower of them but at least `height`, dark on light or both not.

    The gap is as wide as a space may be, and goes from the grey of one ground to that of the other.
    """
    first, second = (picture.convert("L") for picture in pictures)
    height = max(height, min(first.height, second.height))
    first, second = (
        grey.resize((max(1, round(grey.width * height / grey.height)), height), Image.Resampling.BILINEAR)
        for grey in (first, second)
    )
    if (np.asarray(first).mean() < ground(first)) != (np.asarray(second).mean() < ground(second)):
        second = ImageOps.invert(second)
    gap = np.linspace(ground(first), ground(second), max(1, round(height * rng.uniform(*GAP)))).astype(np.uint8)
    return Image.fromarray(np.hstack([np.asarray(first), np.tile(gap, (height, 1)), np.asarray(second)]))
