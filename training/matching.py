"""Matching: which of the boxes found is which of the true ones, how many of either have no other, and what does not count."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simpleocr.geometry import Box

LEAST = 0.5  # intersection over union of two boxes that are taken for the same
MOSTLY = 0.5  # of a box's area, above which it is taken to lie in another


def overlaps(found: Sequence[Box], true: Sequence[Box]) -> npt.NDArray[np.float64]:
    """(found, true) intersection over union of upright boxes; 0 where both are without area."""
    shared, a, b = _areas(found, true)
    both = a + b - shared
    return np.asarray(np.divide(shared, both, out=np.zeros_like(shared), where=both > 0))


def lying_in(found: Sequence[Box], places: Sequence[Box]) -> set[int]:
    """Numbers of found boxes of which the larger part lies in one place: "don't care" (ICDAR, Karatzas et al. 2015)."""
    shared, areas, _ = _areas(found, places)
    return {int(i) for i in np.flatnonzero((shared > MOSTLY * areas).any(axis=1))}


def _areas(found: Sequence[Box], true: Sequence[Box]) -> tuple[npt.NDArray[np.float64], ...]:
    """Areas of intersections (found, true), of the found boxes (found, 1), of the true ones (1, true)."""
    a, b = np.array(found, float).reshape(-1, 1, 4), np.array(true, float).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.maximum(0.0, sides).prod(axis=-1)
    return shared, *(np.maximum(0.0, box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (a, b))


def matched(found: Sequence[Box], true: Sequence[Box], least: float = LEAST) -> list[tuple[int, int]]:
    """Pairs (number of a found box, number of a true one), each box in one at most, those that overlap most first.

    Greedy: where the true boxes do not overlap and `least` is above 0.5, no assignment has more pairs, for a found box
    can then be one of them only; with others it has at least half as many as the best.

    Args:
        found: boxes.
        true: boxes in the same picture.
        least: intersection over union that a pair must reach.
    """
    table = overlaps(found, true)
    pairs: list[tuple[int, int]] = []
    taken: tuple[set[int], set[int]] = (set(), set())
    rows, columns = np.nonzero(table >= least)
    # of equals the first, so that the same boxes always give the same pairs
    for k in np.argsort(-table[rows, columns], kind="stable"):
        i, j = int(rows[k]), int(columns[k])
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            pairs.append((i, j))
    return pairs
