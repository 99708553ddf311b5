"""Passages: the words of a page, one or several side by side, that read most like a given text."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from simpleocr.document import Line, Page
from simpleocr.geometry import Polygon, enclose
from simpleocr.metrics import align
from simpleocr.vocabulary import normalize

ROOM = 0.1  # of the height of words that is left before and behind them


@dataclass(frozen=True)
class Piece:
    """Words of one line, and what of the text they are compared with.

    Args:
        line: index of the line in the page.
        read: what the words were read as.
        polygon: around them, in the page's pixels; the line's own where they are all of it.
        text: the part of the given text that would have to stand there.
    """

    line: int
    read: str
    polygon: Polygon
    text: str


def closest(text: str, page: Page) -> tuple[Piece, ...]:
    """The words of one row that read most like a text, upper and lower case being alike.

    A row's lines are as one text with spaces between; as lines are what is recognized, there is a piece of each that
    takes part. None where the page has no lines.

    Args:
        text: compared in the form of normalize().
        page: what was read.
    """
    text = normalize(text)
    rows, first = [], 0
    for row in page.rows:
        rows.append((*_find(f" {text} ", f" {' '.join(line.text for line in row)} "), first, row))
        first += len(row)
    if not rows:
        return ()
    _, start, end, first, row = min(rows, key=lambda found: found[0])
    parts = []
    at = 1  # where the line begins in its row, which has a space before it
    for number, line in enumerate(row, first):
        if words := _within(line.text, start - at, end - at):
            parts.append((number, line, *words))
        at += len(line.text) + 1
    parts = parts or [(number, line, 0, len(line.text)) for number, line in enumerate(row, first)]
    texts = _shared(text, [line.text[begin:stop] for _, line, begin, stop in parts])
    return tuple(
        Piece(number, line.text[begin:stop], _polygon(line, begin, stop), mine)
        for (number, line, begin, stop), mine in zip(parts, texts, strict=True)
    )


def _units(text: str) -> list[str]:
    """Its characters, without their case."""
    return [char.casefold() for char in text]


def _find(text: str, row: str) -> tuple[int, int, int]:
    """(edits, start, end) of the part of a row that takes the fewest edits to become a text (Sellers 1980)."""
    units = _units(row)
    edit = len(units) + 1  # one number holds both, edits * edit + start: pairs would take several times as long
    before = list(range(edit))  # a match may start anywhere
    for i, unit in enumerate(_units(text), start=1):
        now = [i * edit]
        for j, other in enumerate(units, start=1):
            now.append(min(before[j - 1] + edit * (unit != other), before[j] + edit, now[j - 1] + edit))
        before = now
    end = min(range(len(before)), key=lambda j: before[j] // edit)
    return (*divmod(before[end], edit), end)


def _within(text: str, start: int, end: int) -> tuple[int, int] | None:
    """From the first to the last word of a line that lies, be it in part, between two places."""
    spans = [word.span() for word in re.finditer("[^ ]+", text) if word.start() < end and word.end() > start]
    return (spans[0][0], spans[-1][1]) if spans else None


def _shared(text: str, reads: Sequence[str]) -> list[str]:
    """A text cut into as many parts as it is compared with, where the fewest edits put the cuts."""
    ends = list(accumulate(len(read) + 1 for read in reads))[:-1]  # each with the space behind it
    parts = [""] * len(reads)
    letters, at = iter(text), 0
    for _, given, read in align(prediction=_units(" ".join(reads)), target=_units(text)):
        if given:
            parts[sum(at >= end for end in ends)] += next(letters)
        at += bool(read)
    return [part.strip() for part in parts]


def _polygon(line: Line, start: int, end: int) -> Polygon:
    """Around some words of a line, with a little room before and behind them."""
    if not line.text[:start].strip() and not line.text[end:].strip():
        return line.polygon
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = enclose([char.polygon for char in line.chars[start:end]])
    share = ROOM * math.hypot(dx - ax, dy - ay) / max(1.0, math.hypot(bx - ax, by - ay))
    x, y = share * (bx - ax), share * (by - ay)
    return ((ax - x, ay - y), (bx + x, by + y), (cx + x, cy + y), (dx - x, dy - y))
