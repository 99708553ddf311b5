"""Extents: where in a line each of its characters begins and ends, by the timesteps that read it and by its ink.

CTC says in which timestep a character is read, not how wide it is, and mostly that timestep is one of its first. So its
bounds are looked for in the picture: two letters meet where there is least ink about where the second is expected to
begin, and a word ends where its ink does.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from simpleocr.preprocessing import COLUMN_STRIDE, Lines

EARLY = 3.5  # columns that a character mostly begins before the timestep that reads it, measured on rendered lines
STRAY = 0.04  # what a column so far from there, squared, costs of the ink of a usual one
FARTHEST = 6  # columns that two letters are looked to meet before there
AROUND = 40  # columns that have one ground
EVERY = 4  # rows and columns apart are the pixels that are looked at for it
GROUND = 0.6  # of a block's pixels in order, from ink to ground: which is taken for its ground; in a wide letter half are ink
SHIFT = 0.2  # of the contrast of a line that its ground may lie off from what it mostly is
FAINT = 0.1  # of the ink of a usual column: what has less is taken for ground
FULL = 0.4  # of the ink of a usual column: what has more is never taken for ground
SPLIT = 6  # columns free of ink within a character, as in a quotation mark
REACH = 1.6  # usual widths of a character that the first and last of a line may reach from where they are read

Ink = npt.NDArray[np.float32]


def ink_of(line: Lines) -> Ink:
    """How much differs from the ground in each column of a line tensor (1, H, W): (W,), about 1 in the fullest."""
    grey = line[0]
    ink = np.abs(grey - _ground(grey)).mean(axis=0)
    ink = np.maximum(0.0, ink - _ranked(ink, 1 / 20))
    usual = float(_ranked(ink[ink >= FULL * ink.max()], 1 / 2))
    return np.asarray(ink / max(usual, 1e-6), dtype=np.float32)


def _ground(grey: Lines) -> Ink:
    """What lies behind the letters, for each column (W,): the usual grey about there, if it is much like that of all."""
    some = np.ascontiguousarray(grey[1::EVERY, ::EVERY].T)  # which tell as much as all
    everywhere = _ranked(some.ravel(), 1 / 2)
    light = 2 * everywhere > some.min() + some.max()
    block = min(AROUND // EVERY, len(some))
    starts = np.linspace(0, len(some) - block, -(-len(some) // block)).astype(np.intp)
    around = _ranked(some[starts[:, None] + np.arange(block)].reshape(len(starts), -1), GROUND if light else 1 - GROUND)
    around[np.abs(around - everywhere) > SHIFT * np.ptp(some)] = everywhere  # a stroke as wide as that
    return np.interp(np.arange(grey.shape[1]), EVERY * (starts + block / 2), around).astype(np.float32)


def _ranked(values: Ink, share: float) -> Ink:
    """The value that so much of the last axis lies below: the median of a half, for which numpy's takes five times as long."""
    place = int(values.shape[-1] * share)
    return np.asarray(np.partition(values, place)[..., place])


def extents(texts: Sequence[str], read: Sequence[tuple[int, int]], ink: Ink) -> list[tuple[int, int]]:
    """(left, right) of each character, in columns; none ends behind where the next begins, and letters have some width.

    Args:
        texts: the characters, spaces among them.
        read: first timestep of each and the one after its last, rising.
        ink: as ink_of().
    """
    columns = ink.tolist()
    width = len(columns)
    starts, ends = [COLUMN_STRIDE * start for start, _ in read], [COLUMN_STRIDE * end for _, end in read]
    if ends and ends[-1] > width:  # of the last timestep
        starts, ends = [min(start, width - 1) for start in starts], [min(end, width) for end in ends]
    letters = [i for i, text in enumerate(texts) if text != " "] or list(range(len(texts)))
    if not letters:
        return []
    first, last = letters[0], letters[-1]
    reach = round(REACH * max((ends[last] - starts[first]) / (last - first + 1), 2 * COLUMN_STRIDE))
    left = _begins(columns, starts[first], max(0, starts[first] - reach))
    right = _ends(columns, starts[last], ends[last], min(width, ends[last] + reach))
    lefts, rights = [left] * (first + 1), [left] * first  # spaces beyond the letters have no width
    for i, j in pairwise(letters):
        end, begin = _between(columns, starts[i], starts[j]) if j == i + 1 else _gap(columns, starts[i], starts[j])
        spaces = j - i - 1
        rights += [end, *[begin] * spaces]
        lefts += [*[end] * min(spaces, 1), *[begin] * max(spaces, 1)]
    return list(zip(lefts + [right] * (len(texts) - 1 - last), rights + [right] * (len(texts) - last), strict=True))


def _between(columns: Sequence[float], before: int, after: int) -> tuple[int, int]:
    """(end, begin) of a letter read from `before` on and the next, from `after` on.

    They meet where there is least ink near the usual place; what is free of it there, where that is wide, belongs to neither.
    """
    expected = after - min(EARLY, (after - before) / 2)
    first = min(before + 1, after)
    near = max(first, int(expected) - FARTHEST)
    costs = [columns[x] + STRAY * (x - expected) ** 2 for x in range(near, after + 1)]
    meet = end = begin = near + costs.index(min(costs))
    ground = min(columns[meet] + FAINT, FULL)
    while end > first and columns[end - 1] <= ground:
        end -= 1
    while begin < after and columns[begin] <= ground:
        begin += 1
    if begin - end > SPLIT:
        return end, begin
    return _white_before(columns, first, near) or (meet, meet)


def _white_before(columns: Sequence[float], first: int, near: int) -> tuple[int, int] | None:
    """White as between spread letters that ends shortly before `near`: the second was read late, as an A at its top is."""
    begin = near
    while begin > first and columns[begin - 1] > FAINT:
        begin -= 1
        if near - begin > FARTHEST:
            return None
    end = begin
    while end > first and columns[end - 1] <= FAINT:
        end -= 1
    return (end, begin) if begin - end > SPLIT else None


def _gap(columns: Sequence[float], before: int, after: int) -> tuple[int, int]:
    """(end, begin) of letters read from `before` and from `after` on, between which a space was read."""
    first = min(before + 1, after)
    if first == after:
        return first, after
    ground = _ground_level(columns[first:after])
    longest, start = (0, 0), first
    for x in range(first, after + 1):
        if x == after or columns[x] > ground:
            longest = max(longest, (x - start, start))
            start = x + 1
    length, start = longest
    if not length:  # a space must be somewhere
        length, start = 1, min(range(first, after), key=columns.__getitem__)
    return start, start + length


def _begins(columns: Sequence[float], read: int, first: int) -> int:
    """The left edge of the ink that reaches from `read` to the left, but no further than `first`."""
    ground = _ground_level(columns[first : read + 1])
    edge = x = read
    while x > first and edge - x < SPLIT:
        x -= 1
        if columns[x] > ground:
            edge = x
    return edge


def _ends(columns: Sequence[float], start: int, end: int, last: int) -> int:
    """The right edge of the ink of a letter read from `start` to `end`, no further than `last`."""
    ground = _ground_level(columns[start:last])
    edge, x = start + 1, start
    while x < last and (x < end or x - edge < SPLIT):
        if columns[x] > ground:
            edge = x + 1
        x += 1
    return edge


def _ground_level(columns: Sequence[float]) -> float:
    """What ink a column may have that is taken for ground, a photograph's or none."""
    return min(min(columns, default=0.0) + FAINT, FULL)
