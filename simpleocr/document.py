"""Results: Page > Line > Word > Char, frozen, each with its text, confidence and place in the picture that was given.

A confidence is the calibrated probability that the text is right. A character's is that it comes next if all before it
are right; so those of a word's characters, and of the space or end after it, make the word's, and those of the words
and spaces make the line's.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from numbers import Real

from simpleocr.geometry import Box, Polygon, Transform, enclose, levelled, polygon_to_box

UNSURE_BELOW = 0.8  # confidence under which words and lines are marked as doubtful where they are shown


@dataclass(frozen=True)
class Char:
    """One character.

    Args:
        text: the character; a space is one.
        confidence: 0..1, that it is right if all before it are; of a line's last also that nothing follows.
        runner_up: the next likely character in its place, "" where that is none.
        runner_up_score: 0..1, the network's for that one in its place.
        polygon: around its column of the line, in pixels.
    """

    text: str
    confidence: float
    runner_up: str
    runner_up_score: float
    polygon: Polygon

    @property
    def box(self) -> Box:
        """(left, top, right, bottom) in pixels."""
        return polygon_to_box(self.polygon)


@dataclass(frozen=True)
class Word:
    """Characters between spaces.

    Args:
        chars: at least one.
        confidence: 0..1, that the word is these characters and ends with them, if the words before it are right.
    """

    chars: tuple[Char, ...]
    confidence: float

    @cached_property
    def text(self) -> str:
        """What it says."""
        return "".join(char.text for char in self.chars)

    @cached_property
    def polygon(self) -> Polygon:
        """Around its characters, in the line's direction."""
        return enclose([char.polygon for char in self.chars])

    @property
    def box(self) -> Box:
        """(left, top, right, bottom) in pixels."""
        return polygon_to_box(self.polygon)


@dataclass(frozen=True)
class Line:
    """One line of text.

    Args:
        chars: its characters with its spaces; none where the line says nothing.
        polygon: around the line, in pixels.
        confidence: 0..1, that the whole line says just this; of an empty one, that it says nothing.
    """

    chars: tuple[Char, ...]
    polygon: Polygon
    confidence: float

    @cached_property
    def text(self) -> str:
        """What it says."""
        return "".join(char.text for char in self.chars)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """Its characters between spaces."""
        words, chars = [], []
        left = self.confidence  # what is left of the line's when the words before are taken out of it
        for char in self.chars:
            if char.text != " ":
                chars.append(char)
            elif chars:
                confidence = math.prod(c.confidence for c in chars) * char.confidence
                left = left / confidence if confidence else 0.0
                words.append(Word(tuple(chars), confidence))
                chars = []
        if chars:
            words.append(Word(tuple(chars), min(1.0, left)))
        return tuple(words)

    def sure_text(self, min_confidence: float, unsure: str = "unsure") -> str:
        """Its words, with `unsure` in the place of each run of those that are less likely right than `min_confidence`.

        Raises:
            ValueError: a confidence that is not in 0..1.
        """
        _check_probability(min_confidence)
        groups = groupby(self.words, key=lambda word: word.confidence >= min_confidence)
        return " ".join(" ".join(word.text for word in words) if sure else unsure for sure, words in groups)

    @property
    def box(self) -> Box:
        """(left, top, right, bottom) in pixels."""
        return polygon_to_box(self.polygon)

    def moved(self, transform: Transform) -> "Line":
        """The same line in another picture's pixels."""
        chars = tuple(replace(char, polygon=transform.apply_polygon(char.polygon)) for char in self.chars)
        return Line(chars, transform.apply_polygon(self.polygon), self.confidence)


def _check_probability(given: object) -> None:
    if not isinstance(given, Real) or not 0 <= float(given) <= 1:  # nan is not
        raise ValueError(f"min_confidence {given!r:.60} is not a number from 0 to 1")


ROW_GAP, LINE_GAP, PARAGRAPH_GAP = "\t", "\n", "\n\n"
SAME_ROW = 0.5  # of the lower one's height: lines that overlap by more stand in one row
PARAGRAPH = 1.2  # heights of a line that are free between two paragraphs


def _gap(above: Box, box: Box) -> str:
    """What is written between two lines that are read one after the other."""
    heights = (above[3] - above[1], box[3] - box[1])
    overlap = min(above[3], box[3]) - max(above[1], box[1])
    if overlap > SAME_ROW * min(heights):
        if box[0] > above[0] and box[0] >= above[2] - 0.5 * min(heights):
            return ROW_GAP
        return PARAGRAPH_GAP if box[2] < above[0] else LINE_GAP
    free, usual = box[1] - above[3], sum(heights) / 2  # a cell of small letters is lower than those around it
    beside = box[0] > above[2] or box[2] < above[0]
    larger = max(heights) > 1.6 * min(heights)  # a heading and its text
    apart = free < -max(heights) or free > PARAGRAPH * usual or (larger and free > 0.5 * min(heights))
    return PARAGRAPH_GAP if apart and not (beside and 0 <= free <= PARAGRAPH * usual) else LINE_GAP


@dataclass(frozen=True)
class Page:
    """All that was read in one picture.

    Args:
        lines: in reading order.
        size: (width, height) of the picture in pixels, upright.
    """

    lines: tuple[Line, ...]
    size: tuple[int, int]

    @cached_property
    def text(self) -> str:
        """The lines, one under the other; tabs between those of one row, blank lines between paragraphs."""
        return self._joined([line.text for line in self.lines])

    def sure_text(self, min_confidence: float, unsure: str = "unsure") -> str:
        """As `text`, with `unsure` in the place of words that are less likely right than `min_confidence`.

        Raises:
            ValueError: a confidence that is not in 0..1.
        """
        _check_probability(min_confidence)  # of a page without lines, too
        return self._joined([line.sure_text(min_confidence, unsure) for line in self.lines])

    @cached_property
    def paragraphs(self) -> tuple[tuple[Line, ...], ...]:
        """The lines in groups that stand close together."""
        groups: list[list[Line]] = []
        for line, gap in zip(self.lines, self._gaps, strict=True):
            if groups and gap == LINE_GAP:
                groups[-1].append(line)
            else:
                groups.append([line])
        return tuple(tuple(group) for group in groups)

    @cached_property
    def rows(self) -> tuple[tuple[Line, ...], ...]:
        """The lines in groups that stand beside each other, as the cells of a table do."""
        groups: list[list[Line]] = []
        for line, gap in zip(self.lines, self._gaps, strict=True):
            if gap == ROW_GAP:
                groups[-1].append(line)
            else:
                groups.append([line])
        return tuple(tuple(group) for group in groups)

    @cached_property
    def _gaps(self) -> tuple[str, ...]:
        """What is written before each line."""
        boxes = [polygon_to_box(polygon) for polygon in levelled([line.polygon for line in self.lines])]
        return ("", *(_gap(above, box) for above, box in pairwise(boxes)))[: len(self.lines)]

    def _joined(self, texts: list[str]) -> str:
        return "".join(gap + text for gap, text in zip(self._gaps, texts, strict=True))

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all lines."""
        return tuple(word for line in self.lines for word in line.words)

    @property
    def chars(self) -> tuple[Char, ...]:
        """The characters of all lines, spaces included."""
        return tuple(char for line in self.lines for char in line.chars)
