"""Windows: a line too wide to be read at once is cut with overlap, and what was read of it becomes one matrix again.

The readings of two neighbours are joined where they say the same, so that no text is ever compared: each timestep of the
line is what one window said of it, and all that follows, from decoding to confidence, need not know of windows.

Shapes: T timesteps of a line, V timesteps that two windows have in common, C classes.
"""

from collections.abc import Sequence

import numpy as np

from simpleocr.likelihood import LogProbs
from simpleocr.preprocessing import COLUMN_STRIDE, Preprocessing
from simpleocr.vocabulary import BLANK

WIDEST = 2048  # columns: a line that is not wider is read whole
OVERLAP = 8.0  # heights of a line that two neighbours both see
# timesteps on each side of a seam that should agree, each counting so much as the one before it: a character may be seen
# a little sooner in one window than in the other, and lost or doubled between
REACH, FADING = 8, 0.6
ON_INK, OFF_MIDDLE = 0.25, 0.1  # what a seam on a character, at the end of an overlap, is worth in disagreement


def windows(width: int, preprocessing: Preprocessing) -> list[tuple[int, int]]:
    """The columns (start, end) of each window of a line, end exclusive; the whole line where it is not too wide.

    Windows are of one width but for the last, which may be a few columns narrower. They start at multiples of
    COLUMN_STRIDE, so that a timestep stands for the same columns whichever window it is of.

    Args:
        width: columns of the line's tensor.
        preprocessing: how wide a line's height is in columns.
    """
    if width <= WIDEST:
        return [(0, width)]
    # of an unusually high or stretched tensor, less, or three windows would share a column
    overlap = min(_multiple(round(OVERLAP * preprocessing.height * preprocessing.stretch)), WIDEST // 4)
    count = -(-(width - overlap) // (WIDEST - overlap))
    step = _multiple(-(-(width - overlap) // count))
    starts = [i * step for i in range(count)]
    return [(start, min(width, start + step + overlap)) for start in starts]


def stitched(parts: Sequence[LogProbs], starts: Sequence[int]) -> LogProbs:
    """The log_probs of the windows of one line -> (T, C) of the line.

    Args:
        parts: (T_i, C) of each window, from left to right.
        starts: the timestep of the line at which each begins; each ends after the next has begun.
    """
    assert len(parts) == len(starts), f"{len(parts)} windows start at {len(starts)} timesteps"
    if len(parts) == 1:
        return parts[0]
    seams = [0]
    for left, right, start, after in zip(parts[:-1], parts[1:], starts[:-1], starts[1:], strict=True):
        shared = start + len(left) - after
        assert 0 < shared <= len(right), f"windows at {start} and {after} share {shared} timesteps"
        seams.append(after + seam(left[after - start :], right[:shared]))
    seams.append(starts[-1] + len(parts[-1]))
    return np.concatenate(
        [
            part[begin - start : end - start]
            for part, start, begin, end in zip(parts, starts, seams[:-1], seams[1:], strict=True)
        ]
    )


def seam(left: LogProbs, right: LogProbs) -> int:
    """The first of the timesteps that two windows share which is better taken from the one on the right.

    It lies where both say the same all around it: then no character is lost or written twice. Of such places, one where
    both see the ground between two characters is better, and one far from the end of either window, near which half of
    what stands around a character cannot be seen.

    Args:
        left: (V, C) what the window on the left says of the timesteps they share.
        right: what the one on the right says of them.
    """
    count = len(left)
    p, q = np.exp(left.astype(np.float64)), np.exp(right.astype(np.float64))
    differs = np.pad(np.maximum(0.0, 1 - np.sqrt(p * q).sum(axis=1)), REACH, mode="edge")  # squared Hellinger, 0..1
    fading = FADING ** np.arange(REACH)
    around = np.convolve(differs, np.concatenate([fading[::-1], fading]), mode="valid")  # (V + 1,) between timesteps
    # the ends of the overlap, too: all from the right, all from the left
    grounds = np.pad(p[:, BLANK] * q[:, BLANK], 1, mode="edge")
    on_ink = 1 - grounds[:-1] * grounds[1:]
    off_middle = (2 * np.arange(count + 1) / count - 1) ** 2
    return int((around + ON_INK * on_ink + OFF_MIDDLE * off_middle).argmin())


def _multiple(columns: int) -> int:
    return -(-columns // COLUMN_STRIDE) * COLUMN_STRIDE
